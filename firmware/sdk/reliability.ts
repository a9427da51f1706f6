/** The core's algorithms as objects: create them at top level or in setup(), use them in callbacks. */
import {
  BREAKER_BYTES,
  breakerAcquire,
  breakerInit,
  breakerProbes,
  breakerReturn,
  breakerState,
  breakerTripConsecutive,
} from "../../assembly/resilience/breaker";
import { GCRA_BYTES, gcraInit, gcraReserve, gcraTake, gcraWaitUs } from "../../assembly/resilience/gcra";
import { BUCKET_BYTES, bucketInit, bucketTake, bucketWaitUs } from "../../assembly/resilience/token-bucket";
import { CUSUM_BYTES, cusumInit, cusumReset, cusumUpdate } from "../../assembly/stats/cusum";
import { EWMA_BYTES, ewmaInit, ewmaMean, ewmaUpdate, ewmaZ } from "../../assembly/stats/ewma";
import { madBytes, madDeviation, madInit, madMedian, madUpdate } from "../../assembly/stats/mad";
import * as tardi from "./tardi";

/** Smooths a signal and flags readings that lie too many deviations off (exponentially weighted mean and variance). */
export class Detector {
  private readonly at: usize = heap.alloc(EWMA_BYTES);
  /** 0, or the negative of an error code when an option is out of range. */
  readonly status: i32;

  /**
   * alpha: weight of a new reading, above 0 and at most 1. z: deviations that flag. deviationMin: least deviation that
   * counts, for example the sensor's resolution. warmup: readings learnt before one may be flagged.
   */
  constructor(alpha: f32, z: f32, deviationMin: f32, warmup: u32) {
    this.status = ewmaInit(this.at, alpha, z, deviationMin, warmup);
  }
  /** Judges a reading, then learns it. True for an anomaly. */
  update(reading: f32): bool {
    return ewmaUpdate(this.at, reading) == 1;
  }
  get mean(): f32 {
    return ewmaMean(this.at);
  }
  /** Deviations of the last reading from the mean before it. */
  get z(): f32 {
    return ewmaZ(this.at);
  }
}

/** Finds a mean that has shifted, however little, once it lasts (two-sided CUSUM). */
export class Cusum {
  private readonly at: usize = heap.alloc(CUSUM_BYTES);
  readonly status: i32;

  /** target: the mean there should be. slack: half the shift to find. threshold: some four to five deviations. */
  constructor(target: f32, slack: f32, threshold: f32) {
    this.status = cusumInit(this.at, target, slack, threshold);
  }
  /** 1 when the mean has risen, -1 when it has fallen, else 0; after an alarm it begins anew. */
  update(reading: f32): i32 {
    return cusumUpdate(this.at, reading);
  }
  reset(): void {
    cusumReset(this.at);
  }
}

/** Finds outliers by the median of the last readings, which garbage in half of them does not move (Hampel identifier). */
export class Hampel {
  private readonly at: usize;
  readonly status: i32;

  /** window: 3 to 255 readings, 8 bytes each. z: deviations that flag, 3.5 is usual. deviationMin: least deviation that counts. */
  constructor(window: u32, z: f32, deviationMin: f32) {
    this.at = heap.alloc(max<u32>(madBytes(window), 32));
    this.status = madInit(this.at, window, z, deviationMin);
  }
  /** Judges a reading, then learns it. True for an outlier; never before the window is full. */
  update(reading: f32): bool {
    return this.status == 0 && madUpdate(this.at, reading) == 1;
  }
  get median(): f32 {
    return madMedian(this.at);
  }
  /** Median absolute deviation. */
  get deviation(): f32 {
    return madDeviation(this.at);
  }
}

/** Lets `limit` tokens through each `periodMs`, and saved-up bursts of at most `burst`. */
export class TokenBucket {
  private readonly at: usize = heap.alloc(BUCKET_BYTES);
  readonly status: i32;

  constructor(limit: u32, periodMs: u32, burst: u32) {
    this.status = bucketInit(this.at, limit, periodMs * 1000, burst, tardi.now_us());
  }
  take(tokens: u32 = 1): bool {
    return bucketTake(this.at, tokens, tardi.now_us()) == 0;
  }
  /** Microseconds until that many tokens are there. */
  waitUs(tokens: u32 = 1): u64 {
    return bucketWaitUs(this.at, tokens, tardi.now_us());
  }
}

/** A rate limit that decides as the token bucket does, and can also put in a queue: `reserveUs` says how long to wait for one's place. */
export class Gcra {
  private readonly at: usize = heap.alloc(GCRA_BYTES);
  readonly status: i32;

  constructor(limit: u32, periodMs: u32, burst: u32) {
    this.status = gcraInit(this.at, limit, periodMs * 1000, burst);
  }
  take(tokens: u32 = 1): bool {
    return gcraTake(this.at, tokens, tardi.now_us()) == 0;
  }
  /** Takes a place: microseconds until its turn, or the negative of a code when the queue is full. */
  reserveUs(tokens: u32 = 1): i64 {
    return gcraReserve(this.at, tokens, tardi.now_us());
  }
  /** Microseconds until that many tokens could be taken. */
  waitUs(tokens: u32 = 1): u64 {
    return gcraWaitUs(this.at, tokens, tardi.now_us());
  }
}

/** Stops calling what keeps failing: opens after `failures` in a row, probes once after `openMs`. */
export class Breaker {
  private readonly at: usize = heap.alloc(BREAKER_BYTES);

  constructor(failures: u32, openMs: u32) {
    breakerInit(this.at, <u64>openMs * 1000, <u64>openMs * 1000);
    breakerTripConsecutive(this.at, failures);
    breakerProbes(this.at, 1, 1);
  }
  /** A permit, or a negative code: do not call now. Give every permit back with `done`. */
  acquire(): i32 {
    return breakerAcquire(this.at, tardi.now_us());
  }
  done(permit: i32, succeeded: bool): void {
    breakerReturn(this.at, permit, succeeded ? 0 : 1, tardi.now_us());
  }
  get isClosed(): bool {
    return breakerState(this.at, tardi.now_us()) == 0;
  }
}
