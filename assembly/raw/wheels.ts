/** Timer wheels by handle, in memory that the caller gives: wheelBytes of it. */
import { ARGUMENT } from "../errors/codes.generated";
import { poolAt, poolGive, poolTake } from "../memory/pool";
import {
  wheelAdd as add,
  wheelCancel as cancel,
  wheelGrow as grow,
  wheelPop as pop,
  wheelUsed as usedOf,
  wheelInit,
  wheelNextUs,
} from "../resilience/timer-wheel";
import { WHEELS } from "./pools";
import { isSpan, isTime, microseconds, milliseconds, spanMicroseconds } from "./time";

export { wheelBytes } from "../resilience/timer-wheel";

function at(handle: u32): usize {
  const item = poolAt(WHEELS, handle);
  return item == 0 ? 0 : <usize>load<u32>(item);
}

/** A handle, or -ARGUMENT, or -POOL_FULL. */
export function wheelCreate(capacity: u32, memory: usize, nowMs: f64): i32 {
  if (memory == 0 || !isTime(nowMs)) return -ARGUMENT;
  const handle = poolTake(WHEELS, true);
  if (handle < 0) return handle;
  const status = wheelInit(memory, capacity, microseconds(nowMs));
  if (status == 0) {
    store<u32>(poolAt(WHEELS, handle), <u32>memory);
    return handle;
  }
  poolGive(WHEELS, handle);
  return status;
}

export function wheelFree(handle: u32): i32 {
  return poolGive(WHEELS, handle) ? 0 : -ARGUMENT;
}

/** Moves the wheel to larger memory; the old is free again. */
export function wheelGrow(handle: u32, capacity: u32, memory: usize): i32 {
  const own = at(handle);
  if (own == 0 || memory == 0) return -ARGUMENT;
  const status = grow(memory, own, capacity);
  if (status == 0) store<u32>(poolAt(WHEELS, handle), <u32>memory);
  return status;
}

/** A timer `delayMs` from now: its handle, or -ARGUMENT, or -POOL_FULL. */
export function wheelAdd(handle: u32, delayMs: f64, tag: u32, nowMs: f64): i32 {
  const own = at(handle);
  if (own == 0 || !isTime(nowMs) || !isSpan(delayMs)) return -ARGUMENT;
  const nowUs = microseconds(nowMs);
  const delayUs = spanMicroseconds(delayMs);
  return add(own, delayUs > u64.MAX_VALUE - nowUs ? u64.MAX_VALUE : nowUs + delayUs, tag);
}
export function wheelCancel(handle: u32, timer: u32): i32 {
  const own = at(handle);
  return own == 0 ? -ARGUMENT : cancel(own, timer);
}
/** The tag of a timer that is due, or -1; -ARGUMENT for a handle that names nothing. Tags are below 2^31 here. */
export function wheelPop(handle: u32, nowMs: f64): i32 {
  const own = at(handle);
  return own == 0 || !isTime(nowMs) ? -ARGUMENT : <i32>pop(own, microseconds(nowMs));
}
/** Infinity for an empty wheel. */
export function wheelNextMs(handle: u32): f64 {
  const own = at(handle);
  if (own == 0) return <f64>-ARGUMENT;
  const nextUs = wheelNextUs(own);
  return nextUs == u64.MAX_VALUE ? Infinity : milliseconds(nextUs);
}
export function wheelUsed(handle: u32): u32 {
  const own = at(handle);
  return own == 0 ? 0 : usedOf(own);
}
