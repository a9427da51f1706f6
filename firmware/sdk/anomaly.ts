/** What does not belong: create these at top level or in setup(), use them in callbacks. */
import {
  ANOMALY_ALPHA,
  ANOMALY_WARMUP,
  ANOMALY_Z,
  anomalyBaseline,
  anomalyBytes,
  anomalyInit,
  anomalyUpdate,
} from "../../assembly/stats/anomaly";
import {
  seasonalBytes,
  seasonalDeviation,
  seasonalInit,
  seasonalIsWarm,
  seasonalMean,
  seasonalUpdate,
  seasonalZ,
} from "../../assembly/stats/seasonal";
import * as tardi from "./tardi";

export { FALLEN, RISEN, SPIKE } from "../../assembly/stats/anomaly";

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
    this.at = room(anomalyBytes(slots));
    const periodUs = <u64>periodMs * 1000;
    this.status = anomalyInit(
      this.at,
      periodUs,
      slots,
      ANOMALY_ALPHA,
      ANOMALY_Z,
      deviationMin,
      ANOMALY_WARMUP,
      <u64>DAY_MS * 1000,
    );
  }
  /** Judges a reading, then learns it. SPIKE, RISEN or FALLEN when an alarm begins, which is once a day at most; else 0, or a negative code. */
  update(reading: f32): i32 {
    return this.status == 0 ? anomalyUpdate(this.at, this.since.nowUs, reading) : this.status;
  }
  /** What this part of the period usually has. */
  get expected(): f32 {
    return this.status == 0 ? seasonalMean(anomalyBaseline(this.at)) : 0;
  }
  /** Deviations of the last reading from it, with the sign. */
  get z(): f32 {
    return this.status == 0 ? seasonalZ(anomalyBaseline(this.at)) : 0;
  }
  get isWarm(): bool {
    return this.status == 0 && seasonalIsWarm(anomalyBaseline(this.at));
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
