/** Detectors: the core's statistics as objects. Create them at top level or in setup(), use them in callbacks. */
import { CUSUM_BYTES, cusumInit, cusumReset, cusumUpdate } from "../../assembly/stats/cusum";
import { EWMA_BYTES, ewmaInit, ewmaMean, ewmaUpdate, ewmaZ } from "../../assembly/stats/ewma";
import { madBytes, madDeviation, madInit, madMedian, madUpdate } from "../../assembly/stats/mad";

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
