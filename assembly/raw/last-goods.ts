/** Ages of last good values by handle. */
import { ARGUMENT } from "../errors/codes.generated";
import { poolAt, poolGive, poolTake } from "../memory/pool";
import { lastGoodCheck as check, lastGoodStore as keep, lastGoodInit } from "../resilience/last-good";
import { LAST_GOODS } from "./pools";
import { isSpan, isTime, microseconds, spanMicroseconds } from "./time";

/** A handle, or -ARGUMENT, or -POOL_FULL. */
export function lastGoodCreate(ageMaxMs: f64): i32 {
  if (!isSpan(ageMaxMs)) return -ARGUMENT;
  const handle = poolTake(LAST_GOODS, true);
  if (handle > 0) lastGoodInit(poolAt(LAST_GOODS, handle), spanMicroseconds(ageMaxMs));
  return handle;
}

export function lastGoodFree(handle: u32): i32 {
  return poolGive(LAST_GOODS, handle) ? 0 : -ARGUMENT;
}

export function lastGoodStore(handle: u32, nowMs: f64): i32 {
  const at = poolAt(LAST_GOODS, handle);
  if (at == 0 || !isTime(nowMs)) return -ARGUMENT;
  keep(at, microseconds(nowMs));
  return 0;
}

/** 0, -NO_FALLBACK or -ARGUMENT. */
export function lastGoodCheck(handle: u32, nowMs: f64): i32 {
  const at = poolAt(LAST_GOODS, handle);
  return at == 0 || !isTime(nowMs) ? -ARGUMENT : check(at, microseconds(nowMs));
}
