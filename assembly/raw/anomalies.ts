/** Seasonal baselines and monitors on memory of the caller, with times in milliseconds. */
import { ARGUMENT } from "../errors/codes.generated";
import { anomalyInit as initAnomaly, anomalyUpdate as updateAnomaly } from "../stats/anomaly";
import { seasonalInit as initSeasonal, seasonalUpdate as updateSeasonal } from "../stats/seasonal";
import { isSpan, isTime, microseconds, spanMicroseconds } from "./time";

export function seasonalInit(
  at: usize,
  periodMs: f64,
  slots: u32,
  alpha: f32,
  z: f32,
  deviationMin: f32,
  warmup: u32,
): i32 {
  if (!isTime(periodMs)) return -ARGUMENT;
  return initSeasonal(at, microseconds(periodMs), slots, alpha, z, deviationMin, warmup);
}

export function seasonalUpdate(at: usize, nowMs: f64, reading: f32): i32 {
  return isTime(nowMs) ? updateSeasonal(at, microseconds(nowMs), reading) : -ARGUMENT;
}

export function anomalyInit(
  at: usize,
  periodMs: f64,
  slots: u32,
  alpha: f32,
  z: f32,
  deviationMin: f32,
  warmup: u32,
  holdMs: f64,
): i32 {
  if (!isTime(periodMs) || !isSpan(holdMs)) return -ARGUMENT;
  const holdUs = spanMicroseconds(holdMs);
  return initAnomaly(at, microseconds(periodMs), slots, alpha, z, deviationMin, warmup, holdUs);
}

export function anomalyUpdate(at: usize, nowMs: f64, reading: f32): i32 {
  return isTime(nowMs) ? updateAnomaly(at, microseconds(nowMs), reading) : -ARGUMENT;
}
