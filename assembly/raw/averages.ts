/** Exponentially weighted averages by handle. */
import { ARGUMENT } from "../errors/codes.generated";
import { poolAt, poolGive, poolTake } from "../memory/pool";
import {
  ewmaInit,
  ewmaMean as meanOf,
  ewmaUpdate as update,
  ewmaVariance as varianceOf,
  ewmaZ as zOf,
} from "../stats/ewma";
import { AVERAGES } from "./pools";

export function ewmaCreate(alpha: f32, z: f32, deviationMin: f32, warmup: u32): i32 {
  const handle = poolTake(AVERAGES, true);
  if (handle < 0) return handle;
  const status = ewmaInit(poolAt(AVERAGES, handle), alpha, z, deviationMin, warmup);
  if (status == 0) return handle;
  poolGive(AVERAGES, handle);
  return status;
}

export function ewmaFree(handle: u32): i32 {
  return poolGive(AVERAGES, handle) ? 0 : -ARGUMENT;
}

export function ewmaUpdate(handle: u32, reading: f32): i32 {
  const at = poolAt(AVERAGES, handle);
  return at == 0 ? -ARGUMENT : update(at, reading);
}

export function ewmaMean(handle: u32): f32 {
  const at = poolAt(AVERAGES, handle);
  return at == 0 ? 0 : meanOf(at);
}

export function ewmaVariance(handle: u32): f32 {
  const at = poolAt(AVERAGES, handle);
  return at == 0 ? 0 : varianceOf(at);
}

export function ewmaZ(handle: u32): f32 {
  const at = poolAt(AVERAGES, handle);
  return at == 0 ? 0 : zOf(at);
}
