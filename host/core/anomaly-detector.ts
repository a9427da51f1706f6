/** Anomaly flags by the core's exponentially weighted mean and variance; see assembly/stats/ewma.ts. */
import { type Core, checkHandle } from "./core.ts";

export interface AnomalyDetectorOptions {
  /** Weight of a new reading, above 0 and at most 1. Default 0.1. */
  readonly alpha?: number;
  /** Deviations that flag a reading. Default 4. */
  readonly z?: number;
  /** Least deviation that counts, for example the sensor's resolution. Default 0. */
  readonly deviationMin?: number;
  /** Readings learnt before one may be flagged. Default 20. */
  readonly warmup?: number;
}

export interface AnomalyDetector extends Disposable {
  /** Judges and learns a reading; true for an anomaly. One that is not finite is neither learnt nor flagged. */
  update(reading: number): boolean;
  mean(): number;
  variance(): number;
  /** Deviations by which the last reading was off. */
  z(): number;
}

export function createAnomalyDetector(core: Core, options: AnomalyDetectorOptions = {}): AnomalyDetector {
  const { raw } = core;
  const { alpha = 0.1, z = 4, deviationMin = 0, warmup = 20 } = options;
  const handle = checkHandle(
    raw.ewmaCreate(alpha, z, deviationMin, warmup),
    "An anomaly detector needs 0 < alpha <= 1, z above 0 and deviationMin of at least 0.",
  );
  return {
    update: (reading) => raw.ewmaUpdate(handle, reading) === 1,
    mean: () => raw.ewmaMean(handle),
    variance: () => raw.ewmaVariance(handle),
    z: () => raw.ewmaZ(handle),
    [Symbol.dispose]: () => {
      raw.ewmaFree(handle);
    },
  };
}
