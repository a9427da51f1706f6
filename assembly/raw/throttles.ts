/** Adaptive throttles by handle. */
import { ARGUMENT } from "../errors/codes.generated";
import { poolAt, poolGive, poolTake } from "../memory/pool";
import {
  throttleAccepted as accepted,
  throttleAdmit as admit,
  throttleMilli as milliOf,
  throttleRejected as rejected,
  throttleInit,
} from "../resilience/throttle";
import { THROTTLES } from "./pools";
import { isSpan, isTime, microseconds, u32Microseconds } from "./time";

const WINDOW_SLOTS: u32 = 12;

/** A handle, or -ARGUMENT, or -POOL_FULL. */
export function throttleCreate(kMilli: u32, windowMs: f64, nowMs: f64): i32 {
  if (!isTime(nowMs) || !isSpan(windowMs)) return -ARGUMENT;
  const handle = poolTake(THROTTLES, true);
  if (handle < 0) return handle;
  const at = poolAt(THROTTLES, handle);
  const status = throttleInit(at, kMilli, u32Microseconds(windowMs), WINDOW_SLOTS, microseconds(nowMs));
  if (status == 0) return handle;
  poolGive(THROTTLES, handle);
  return status;
}

export function throttleFree(handle: u32): i32 {
  return poolGive(THROTTLES, handle) ? 0 : -ARGUMENT;
}

export function throttleAdmit(handle: u32, random: u32, nowMs: f64): i32 {
  const at = poolAt(THROTTLES, handle);
  return at == 0 || !isTime(nowMs) ? -ARGUMENT : admit(at, random, microseconds(nowMs));
}

export function throttleAccepted(handle: u32, nowMs: f64): i32 {
  const at = poolAt(THROTTLES, handle);
  if (at == 0 || !isTime(nowMs)) return -ARGUMENT;
  accepted(at, microseconds(nowMs));
  return 0;
}

export function throttleRejected(handle: u32, nowMs: f64): i32 {
  const at = poolAt(THROTTLES, handle);
  if (at == 0 || !isTime(nowMs)) return -ARGUMENT;
  rejected(at, microseconds(nowMs));
  return 0;
}

/** Thousandths, or -ARGUMENT. */
export function throttleMilli(handle: u32, nowMs: f64): i32 {
  const at = poolAt(THROTTLES, handle);
  return at == 0 || !isTime(nowMs) ? -ARGUMENT : <i32>milliOf(at, microseconds(nowMs));
}
