/**
 * Exponentially weighted mean and variance, with a flag for readings that lie more than z deviations off (Finch,
 * "Incremental calculation of weighted mean and variance", 2009). One multiplication more than a moving average, no history.
 *
 * Judged before it is learnt, else an outlier would widen its own yardstick. z is compared squared, so there is no root in
 * a decision. A constant signal has no variance, and its first flicker would be an anomaly: deviationMin is the least
 * deviation that counts, for example the sensor's resolution. f32, which is what small processors and readings afford.
 *
 *   +0 mean f32   +4 variance f32   +8 alpha f32   +12 zSquared f32   +16 varianceMin f32   +20 count u32   +24 warmup u32
 *   +28 lastSquared f32 (squared z of the last reading)
 */
import { ARGUMENT } from "../errors/codes.generated";

export const EWMA_BYTES: usize = 32;

const MEAN: usize = 0;
const VARIANCE: usize = 4;
const ALPHA: usize = 8;
const Z_SQUARED: usize = 12;
const VARIANCE_MIN: usize = 16;
const COUNT: usize = 20;
const WARMUP: usize = 24;
const LAST_SQUARED: usize = 28;

/**
 * alpha: weight of a new reading, above 0 and at most 1. z: deviations that flag, above 0. deviationMin: at least 0.
 * warmup: readings that are learnt before one may be flagged. 0 or -ARGUMENT.
 */
export function ewmaInit(at: usize, alpha: f32, z: f32, deviationMin: f32, warmup: u32): i32 {
  // Written so that a NaN fails.
  const valid = alpha > 0 && alpha <= 1 && z > 0 && z < f32.MAX_VALUE && deviationMin >= 0;
  if (!valid || deviationMin > f32.MAX_VALUE) return -ARGUMENT;
  store<f32>(at, 0, MEAN);
  store<f32>(at, 0, VARIANCE);
  store<f32>(at, alpha, ALPHA);
  store<f32>(at, z * z, Z_SQUARED);
  store<f32>(at, deviationMin * deviationMin, VARIANCE_MIN);
  store<u32>(at, 0, COUNT);
  store<u32>(at, warmup, WARMUP);
  store<f32>(at, 0, LAST_SQUARED);
  return 0;
}

/** Judges and learns a reading. 1 for an anomaly, 0, or -ARGUMENT for one that is not finite (and is not learnt). */
export function ewmaUpdate(at: usize, reading: f32): i32 {
  if (!(abs<f32>(reading) <= f32.MAX_VALUE)) return -ARGUMENT;
  const count = load<u32>(at, COUNT);
  if (count != u32.MAX_VALUE) store<u32>(at, count + 1, COUNT);
  if (count == 0) {
    store<f32>(at, reading, MEAN);
    return 0;
  }
  const mean = load<f32>(at, MEAN);
  const variance = load<f32>(at, VARIANCE);
  const alpha = load<f32>(at, ALPHA);
  const difference = reading - mean;
  const squared = difference * difference;
  const yardstick = max<f32>(variance, load<f32>(at, VARIANCE_MIN));
  const anomaly = count >= load<u32>(at, WARMUP) && squared > load<f32>(at, Z_SQUARED) * yardstick;
  store<f32>(at, yardstick > 0 ? squared / yardstick : squared > 0 ? f32.MAX_VALUE : 0, LAST_SQUARED);
  store<f32>(at, finite(mean + alpha * difference), MEAN);
  store<f32>(at, finite((1 - alpha) * (variance + alpha * squared)), VARIANCE);
  return anomaly ? 1 : 0;
}

export function ewmaMean(at: usize): f32 {
  return load<f32>(at, MEAN);
}

export function ewmaVariance(at: usize): f32 {
  return load<f32>(at, VARIANCE);
}

/** Deviations by which the last reading was off; takes a root. */
export function ewmaZ(at: usize): f32 {
  return sqrt<f32>(load<f32>(at, LAST_SQUARED));
}

/** Readings learnt. */
export function ewmaCount(at: usize): u32 {
  return load<u32>(at, COUNT);
}

/** Squares of huge readings overflow f32; infinity would never wear off, and infinity minus infinity is no number. */
function finite(value: f32): f32 {
  return min<f32>(max<f32>(value, -f32.MAX_VALUE), f32.MAX_VALUE);
}
