/** Retry budgets by handle. */
import { ARGUMENT } from "../errors/codes.generated";
import { poolAt, poolGive, poolTake } from "../memory/pool";
import {
  budgetInit,
  budgetCall as callOf,
  budgetLeft as leftOf,
  budgetRetry as retryOf,
} from "../resilience/retry-budget";
import { BUDGETS } from "./pools";
import { isSpan, isTime, microseconds, u32Microseconds } from "./time";

const WINDOW_SLOTS: u32 = 10;

/** A handle, or -ARGUMENT, or -POOL_FULL. */
export function budgetCreate(shareMilli: u32, perSecond: u32, spanMs: f64, nowMs: f64): i32 {
  if (!isTime(nowMs) || !isSpan(spanMs)) return -ARGUMENT;
  const handle = poolTake(BUDGETS, true);
  if (handle < 0) return handle;
  const at = poolAt(BUDGETS, handle);
  const status = budgetInit(
    at,
    shareMilli,
    perSecond,
    u32Microseconds(spanMs),
    WINDOW_SLOTS,
    microseconds(nowMs),
  );
  if (status == 0) return handle;
  poolGive(BUDGETS, handle);
  return status;
}

export function budgetFree(handle: u32): i32 {
  return poolGive(BUDGETS, handle) ? 0 : -ARGUMENT;
}

export function budgetCall(handle: u32, nowMs: f64): i32 {
  const at = poolAt(BUDGETS, handle);
  if (at == 0 || !isTime(nowMs)) return -ARGUMENT;
  callOf(at, microseconds(nowMs));
  return 0;
}

export function budgetRetry(handle: u32, nowMs: f64): i32 {
  const at = poolAt(BUDGETS, handle);
  return at == 0 || !isTime(nowMs) ? -ARGUMENT : retryOf(at, microseconds(nowMs));
}

/** 0 for a handle that names nothing. */
export function budgetLeft(handle: u32, nowMs: f64): u32 {
  const at = poolAt(BUDGETS, handle);
  return at == 0 || !isTime(nowMs) ? 0 : leftOf(at, microseconds(nowMs));
}
