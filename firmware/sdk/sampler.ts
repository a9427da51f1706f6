/** Which traces are kept, as every other machine decides of them. A trace's id is its last 64 bits, in two halves. */
import {
  ADAPTIVE_BYTES,
  RATE_BYTES,
  RATIO_BYTES,
  samplerAdaptive,
  samplerAdaptiveInit,
  samplerRate,
  samplerRateInit,
  samplerRatio,
  samplerRatioInit,
} from "../../assembly/trace/sampler";
import * as tardi from "./tardi";

/** Keeps a share of all traces; who keeps a larger share keeps these too. */
export class RatioSampler {
  private readonly at: usize = heap.alloc(RATIO_BYTES);
  /** 0, or the negative of an error code when an option is out of range; nothing is kept then. */
  readonly status: i32;

  /** ratio: 0 to 1. */
  constructor(ratio: f64) {
    this.status = samplerRatioInit(this.at, ratio);
  }
  sample(high: u32, low: u32): bool {
    return this.status == 0 && samplerRatio(this.at, high, low) == 1;
  }
}

/** Keeps a share, and never more than `limit` each `periodMs`. For traces that begin here. */
export class RateSampler {
  private readonly at: usize = heap.alloc(RATE_BYTES);
  readonly status: i32;

  /** periodMs up to 4,294,967; burst: how many at once after a quiet time. */
  constructor(ratio: f64, limit: u32, periodMs: u32, burst: u32) {
    this.status = samplerRateInit(this.at, ratio, limit, periodMs * 1000, burst);
  }
  sample(high: u32, low: u32): bool {
    return this.status == 0 && samplerRate(this.at, high, low, tardi.now_us()) == 1;
  }
}

/** Keeps about `target` traces each `periodMs`, however many there are: sets its share once a period, at most to its double or half. */
export class AdaptiveSampler {
  private readonly at: usize = heap.alloc(ADAPTIVE_BYTES);
  readonly status: i32;

  constructor(target: u32, periodMs: u32) {
    this.status = samplerAdaptiveInit(this.at, target, <u64>periodMs * 1000, 1);
  }
  sample(high: u32, low: u32): bool {
    return this.status == 0 && samplerAdaptive(this.at, high, low, tardi.now_us()) == 1;
  }
}
