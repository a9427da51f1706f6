/**
 * One object that watches a sensor: the seasonal baseline (seasonal.ts) flags a reading far from what this hour of the day has, and a CUSUM (cusum.ts)
 * over how far each hour's mean lay off finds what shifts a little and stays. After an alarm none is raised for `holdUs`; what then still
 * lasts may raise another, until it has been learnt.
 *
 * All thresholds are in deviations that the baseline has learnt, so the defaults serve temperatures and counters alike. They were set on two series of the
 * Numenta Anomaly Benchmark (MIT), in the middle of a plateau: test/assembly/nab.test.ts says what they reach there, and what a step to either side does.
 *
 *   +0 cusum (20 bytes)   +20 unused   +24 holdUs u64   +32 quietUntilUs u64   +40 seasonal baseline
 */
import { cusumInit, cusumReset, cusumUpdate } from "./cusum";
import { seasonalBytes, seasonalInit, seasonalSkipped, seasonalUpdate, seasonalVisitZ } from "./seasonal";

const HEADER_BYTES: usize = 40;

/** A reading lies far off. */
export const SPIKE: i32 = 1;
/** The mean has risen, or fallen. */
export const RISEN: i32 = 2;
export const FALLEN: i32 = 3;

export const ANOMALY_ALPHA: f32 = 0.125;
export const ANOMALY_Z: f32 = 5;
export const ANOMALY_WARMUP: u32 = 3;
/** Deviations of an hour's mean: twice the slack is the shift to find. Large, since hours that follow each other resemble each other. */
const SLACK: f32 = 1.75;
const THRESHOLD: f32 = 9;
/** One visit proves no shift by itself, however far off: at most so many deviations of it count. */
const VISIT_MAX: f32 = 3;

/** Bytes for 1 to 1,024 slots, 0 for others; 24 slots: 344. */
export function anomalyBytes(slots: u32): u32 {
  const bytes = seasonalBytes(slots);
  return bytes == 0 ? 0 : <u32>HEADER_BYTES + bytes;
}

/** Address of the baseline within, for what seasonal.ts tells. */
export function anomalyBaseline(at: usize): usize {
  return at + HEADER_BYTES;
}

/** As seasonalInit; alarms are at least `holdUs` apart. 0, or -ARGUMENT. */
export function anomalyInit(
  at: usize,
  periodUs: u64,
  slots: u32,
  alpha: f32,
  z: f32,
  deviationMin: f32,
  warmup: u32,
  holdUs: u64,
): i32 {
  const status = seasonalInit(anomalyBaseline(at), periodUs, slots, alpha, z, deviationMin, warmup);
  if (status != 0) return status;
  store<u64>(at, holdUs, 24);
  store<u64>(at, 0, 32);
  return cusumInit(at, 0, SLACK, THRESHOLD);
}

/** Judges and learns a reading. 0, or SPIKE, RISEN or FALLEN when an alarm begins, or -ARGUMENT for a reading that is no number. */
export function anomalyUpdate(at: usize, nowUs: u64, reading: f32): i32 {
  const baseline = anomalyBaseline(at);
  const flag = seasonalUpdate(baseline, nowUs, reading);
  if (flag < 0) return flag;
  let alarm = flag == 1 ? SPIKE : 0;
  const skipped = seasonalSkipped(baseline);
  if (skipped != 0) {
    const z = min<f32>(max<f32>(seasonalVisitZ(baseline), -VISIT_MAX), VISIT_MAX);
    const shift = cusumUpdate(at, z);
    if (shift != 0) alarm = shift > 0 ? RISEN : FALLEN;
    // What was summed before a silence of a whole period says nothing about what comes after it.
    if (skipped >= load<u32>(baseline)) cusumReset(at);
  }
  if (alarm == 0 || nowUs < load<u64>(at, 32)) return 0;
  const quietUntilUs = nowUs + load<u64>(at, 24);
  store<u64>(at, quietUntilUs < nowUs ? u64.MAX_VALUE : quietUntilUs, 32);
  return alarm;
}
