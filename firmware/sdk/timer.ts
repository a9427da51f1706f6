/** Time: callbacks on a period, and the clock that they share on every board. */
import * as tardi from "./tardi";

const TIMERS_MAX: i32 = 8;
const callbacks = new StaticArray<() => void>(TIMERS_MAX);

/**
 * Calls `callback` each `periodMs` (1 ms to 7 days), first one period from now. In setup() only; at most eight.
 * Returns the timer's id, or the negative of an error code. Inside a callback `now()` is its deadline.
 */
export function every(periodMs: u32, callback: () => void): i32 {
  const id = tardi.every(<u64>periodMs * 1000);
  if (id >= 0) callbacks[id] = callback;
  return id;
}

/** Microseconds since boot: the deadline of the callback that runs. */
export function now(): u64 {
  return tardi.now_us();
}

/** Microseconds since boot, read now: to measure how long something takes. */
export function exactNow(): u64 {
  return tardi.exact_us();
}

/** 32 random bits. */
export function random(): u32 {
  return tardi.random();
}

export function callTimer(id: u32): void {
  callbacks[id]();
}
