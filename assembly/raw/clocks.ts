/** Hybrid logical clocks by handle. */
import { hlcBoundSet, hlcInit, hlcLast, hlcReceive, hlcReserve, hlcTick } from "../clock/hlc";
import { ARGUMENT } from "../errors/codes.generated";
import { poolAt, poolGive, poolTake } from "../memory/pool";
import { CLOCKS } from "./pools";
import { wallMilliseconds } from "./time";

export function clockCreate(driftMsMax: u32, floor: u64): i32 {
  const handle = poolTake(CLOCKS, true);
  if (handle > 0) hlcInit(poolAt(CLOCKS, handle), driftMsMax, floor);
  return handle;
}

export function clockFree(handle: u32): i32 {
  return poolGive(CLOCKS, handle) ? 0 : -ARGUMENT;
}

/** Stamps are u64, a BigInt in JavaScript: they travel and are compared, and 53 bits would not do. */
export function clockTick(handle: u32, wallMs: f64): u64 {
  const at = poolAt(CLOCKS, handle);
  return at == 0 ? 0 : hlcTick(at, wallMilliseconds(wallMs));
}

export function clockReceive(handle: u32, wallMs: f64, remote: u64): i32 {
  const at = poolAt(CLOCKS, handle);
  return at == 0 ? -ARGUMENT : hlcReceive(at, wallMilliseconds(wallMs), remote);
}

export function clockLast(handle: u32): u64 {
  const at = poolAt(CLOCKS, handle);
  return at == 0 ? 0 : hlcLast(at);
}

export function clockReserve(handle: u32, wallMs: f64, aheadMs: u32): u64 {
  const at = poolAt(CLOCKS, handle);
  return at == 0 ? 0 : hlcReserve(at, wallMilliseconds(wallMs), aheadMs);
}

export function clockBoundSet(handle: u32, bound: u64): i32 {
  const at = poolAt(CLOCKS, handle);
  if (at == 0) return -ARGUMENT;
  hlcBoundSet(at, bound);
  return 0;
}
