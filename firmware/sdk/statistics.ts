/** What apps measure by: create these at top level or in setup(), use them in callbacks. */
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
import {
  MONITOR_ALPHA,
  MONITOR_WARMUP,
  MONITOR_Z,
  monitorBaseline,
  monitorBytes,
  monitorInit,
  monitorUpdate,
} from "../../assembly/stats/monitor";
import { P2_BYTES, p2Count, p2Init, p2Update, p2Value } from "../../assembly/stats/p2";
import {
  seasonalBytes,
  seasonalDeviation,
  seasonalInit,
  seasonalIsWarm,
  seasonalMean,
  seasonalUpdate,
  seasonalZ,
} from "../../assembly/stats/seasonal";
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

export { FALLEN, RISEN, SPIKE } from "../../assembly/stats/monitor";

const DAY_MS: u32 = 86_400_000;

/** A struct's memory; where options are out of range the status says so, and nothing is read of it. */
function room(bytes: u32): usize {
  return heap.alloc(<usize>max<u32>(bytes, 128));
}

/** Time since the first reading: boards take different times to start, and their slots shall begin alike. */
class Since {
  private firstUs: u64 = u64.MAX_VALUE;

  get nowUs(): u64 {
    const nowUs = tardi.now_us();
    if (this.firstUs == u64.MAX_VALUE) this.firstUs = nowUs;
    return nowUs - this.firstUs;
  }
}

/** Watches a sensor: learns its day, then says when a reading lies far off, and when its mean has shifted. Needs no numbers but the sensor's resolution. */
export class AnomalyMonitor {
  private readonly at: usize;
  private readonly since: Since = new Since();
  /** 0, or the negative of an error code when an option is out of range. */
  readonly status: i32;

  /**
   * deviationMin: least deviation that counts, for example the sensor's resolution. periodMs: what the signal repeats itself in, a day, or a
   * week. slots: parts of it that differ, 1 to 1,024, 9 bytes each. Nothing is said before three periods.
   */
  constructor(deviationMin: f32 = 0, periodMs: u32 = DAY_MS, slots: u32 = 24) {
    this.at = room(monitorBytes(slots));
    const periodUs = <u64>periodMs * 1000;
    this.status = monitorInit(
      this.at,
      periodUs,
      slots,
      MONITOR_ALPHA,
      MONITOR_Z,
      deviationMin,
      MONITOR_WARMUP,
      <u64>DAY_MS * 1000,
    );
  }
  /** Judges a reading, then learns it. SPIKE, RISEN or FALLEN when an alarm begins, which is once a day at most; else 0, or a negative code. */
  update(reading: f32): i32 {
    return this.status == 0 ? monitorUpdate(this.at, this.since.nowUs, reading) : this.status;
  }
  /** What this part of the period usually has. */
  get expected(): f32 {
    return this.status == 0 ? seasonalMean(monitorBaseline(this.at)) : 0;
  }
  /** Deviations of the last reading from it, with the sign. */
  get z(): f32 {
    return this.status == 0 ? seasonalZ(monitorBaseline(this.at)) : 0;
  }
  get isWarm(): bool {
    return this.status == 0 && seasonalIsWarm(monitorBaseline(this.at));
  }
}

/** What a reading should be at this time of the day or week, and how far it usually lies off. */
export class Seasonal {
  private readonly at: usize;
  private readonly since: Since = new Since();
  readonly status: i32;

  /** alpha: weight of a period in what is learnt. z: deviations that flag. warmup: periods before anything is flagged. */
  constructor(periodMs: u32, slots: u32, alpha: f32, z: f32, deviationMin: f32, warmup: u32) {
    this.at = room(seasonalBytes(slots));
    this.status = seasonalInit(this.at, <u64>periodMs * 1000, slots, alpha, z, deviationMin, warmup);
  }
  /** Judges a reading, then learns it. True for one that lies too far off. */
  update(reading: f32): bool {
    return this.status == 0 && seasonalUpdate(this.at, this.since.nowUs, reading) == 1;
  }
  get expected(): f32 {
    return this.status == 0 ? seasonalMean(this.at) : 0;
  }
  get deviation(): f32 {
    return this.status == 0 ? seasonalDeviation(this.at) : 0;
  }
  get z(): f32 {
    return this.status == 0 ? seasonalZ(this.at) : 0;
  }
}

/** How values are spread, in fixed memory and integers: quantiles to within one part of 2^bits. */
export class Histogram {
  private readonly at: usize;
  readonly status: i32;

  /** bits: 1 to 10. 3: 992 bytes, 12.5 %; 5: 3,616 bytes, 3.1 %; 7: 13,344 bytes, 0.8 %. */
  constructor(bits: u32) {
    this.at = room(histogramBytes(bits));
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
