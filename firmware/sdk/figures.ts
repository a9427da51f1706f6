/** Figures of what an app measures: create these at top level or in setup(), use them in callbacks. */
import { HISTOGRAM_BYTES_MAX } from "../../assembly/codec/limits.generated";
import { MESSAGE_OVERSIZE } from "../../assembly/errors/codes.generated";
import {
  histogramBytes,
  histogramHighest,
  histogramInit,
  histogramLowest,
  histogramMean,
  histogramMerge,
  histogramQuantile,
  histogramRecord,
  histogramReset,
  histogramTotal,
} from "../../assembly/stats/histogram";
import { histogramForget, histogramWholeBytes, histogramWrite } from "../../assembly/stats/histogram-bytes";
import { P2_BYTES, p2Count, p2Init, p2Update, p2Value } from "../../assembly/stats/p2";
import {
  WELFORD_BYTES,
  welfordCount,
  welfordInit,
  welfordMean,
  welfordMerge,
  welfordUpdate,
  welfordVariance,
} from "../../assembly/stats/welford";
import * as tardi from "./tardi";

/** Four messages' worth, less what a piece leaves unused at its end: a report must not push the readings out of the ring. */
const REPORT_BYTES_MAX: u32 = 4 * (HISTOGRAM_BYTES_MAX - 26);

/** How values are spread, in fixed memory and integers: quantiles to within one part of 2^bits. */
export class Histogram {
  private readonly at: usize;
  readonly status: i32;

  /** bits: 1 to 10. 3: 992 bytes, 12.5 %; 5: 3,616 bytes, 3.1 %; 7: 13,344 bytes, 0.8 %. */
  constructor(bits: u32) {
    // Where bits are out of range the status says so, and nothing is read of it.
    this.at = heap.alloc(<usize>max<u32>(histogramBytes(bits), 8));
    this.status = histogramInit(this.at, bits);
  }
  record(value: u32, times: u32 = 1): void {
    if (this.status == 0) histogramRecord(this.at, value, times);
  }
  /** Adds what another of the same bits has; 0, or -ARGUMENT. */
  merge(other: Histogram): i32 {
    if (this.status != 0) return this.status;
    return other.status == 0 ? histogramMerge(this.at, other.at) : other.status;
  }
  /** The value that so many thousandths of all do not exceed: 500 for the median, 990 for 99 %. */
  quantile(thousandths: u32): u32 {
    return this.status == 0 ? histogramQuantile(this.at, thousandths) : 0;
  }
  get total(): u64 {
    return this.status == 0 ? histogramTotal(this.at) : 0;
  }
  get mean(): f64 {
    return this.status == 0 ? histogramMean(this.at) : 0;
  }
  /** 4,294,967,295 when nothing was recorded. */
  get lowest(): u32 {
    return this.status == 0 ? histogramLowest(this.at) : u32.MAX_VALUE;
  }
  get highest(): u32 {
    return this.status == 0 ? histogramHighest(this.at) : 0;
  }
  reset(): void {
    if (this.status == 0) histogramReset(this.at);
  }
  /**
   * Puts all of it into the outbox as the metric's and empties it, in up to four messages; Metric.report() says it better. Messages dropped to make
   * room, or the negative of a code: MESSAGE_OVERSIZE when four do not hold it, and then nothing changes.
   */
  send(metric: u32): i32 {
    if (this.status != 0) return this.status;
    if (histogramWholeBytes(this.at) > REPORT_BYTES_MAX) return -MESSAGE_OVERSIZE;
    const piece = memory.data(HISTOGRAM_BYTES_MAX);
    let dropped = 0;
    let length = histogramWrite(this.at, piece, HISTOGRAM_BYTES_MAX);
    while (length > 0) {
      const status = tardi.histogram(metric, piece, length);
      if (status < 0) return status;
      dropped += status;
      histogramForget(this.at);
      length = histogramWrite(this.at, piece, HISTOGRAM_BYTES_MAX);
    }
    return dropped;
  }
}

/** An estimate of one quantile in 96 bytes, without a bound on its error. Doubles: some thousand cycles a value where there is no floating-point unit. */
export class Quantile {
  private readonly at: usize = heap.alloc(P2_BYTES);
  readonly status: i32;

  /** quantile: between 0 and 1. */
  constructor(quantile: f64) {
    this.status = p2Init(this.at, quantile);
  }
  update(value: f64): void {
    if (this.status == 0) p2Update(this.at, value);
  }
  /** NaN before the first value. */
  get value(): f64 {
    return this.status == 0 ? p2Value(this.at) : NaN;
  }
  get count(): u64 {
    return this.status == 0 ? p2Count(this.at) : 0;
  }
}

/** Mean and variance of everything so far, in doubles. */
export class Summary {
  private readonly at: usize = heap.alloc(WELFORD_BYTES);

  constructor() {
    welfordInit(this.at);
  }
  update(value: f64): void {
    welfordUpdate(this.at, value);
  }
  merge(other: Summary): void {
    welfordMerge(this.at, other.at);
  }
  reset(): void {
    welfordInit(this.at);
  }
  get count(): u64 {
    return welfordCount(this.at);
  }
  get mean(): f64 {
    return welfordMean(this.at);
  }
  /** Of the sample; 0 for less than two values. */
  get variance(): f64 {
    return welfordVariance(this.at);
  }
}
