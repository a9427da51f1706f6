/** Rate limiters by handle. */
import { ARGUMENT } from "../errors/codes.generated";
import { poolAt, poolGive, poolTake } from "../memory/pool";
import {
  limiterInit,
  limiterResetUs,
  limiterWaitUs,
  limiterRemaining as remainingOf,
  limiterReserve as reserve,
  limiterTake as takeOf,
} from "../resilience/limiter";
import { LIMITERS } from "./pools";
import { isTime, microseconds, milliseconds } from "./time";

/** Address of a limiter's struct, 0 for a handle that names none. */
export function limiterAt(handle: u32): usize {
  return poolAt(LIMITERS, handle);
}

/**
 * A rate limiter of a kind of resilience/limiter.ts: 0 token bucket, 1 GCRA, 2 fixed window, 3 sliding counter, 4 sliding log (with `entries`, room
 * for `limit` u64). A handle, or -ARGUMENT, or -POOL_FULL.
 */
export function limiterCreate(
  kind: u32,
  limit: u32,
  periodUs: u32,
  burst: u32,
  entries: usize,
  nowMs: f64,
): i32 {
  if (!isTime(nowMs)) return -ARGUMENT;
  const handle = poolTake(LIMITERS, true);
  if (handle < 0) return handle;
  const at = poolAt(LIMITERS, handle);
  const status = limiterInit(at, kind, limit, periodUs, burst, entries, microseconds(nowMs));
  if (status == 0) return handle;
  poolGive(LIMITERS, handle);
  return status;
}

export function limiterFree(handle: u32): i32 {
  return poolGive(LIMITERS, handle) ? 0 : -ARGUMENT;
}

/** As limiterTake of resilience/limiter.ts; -ARGUMENT also for a handle that names nothing, and for what is no time. */
export function limiterTake(handle: u32, tokens: u32, nowMs: f64): i32 {
  const at = poolAt(LIMITERS, handle);
  return at == 0 || !isTime(nowMs) ? -ARGUMENT : takeOf(at, tokens, microseconds(nowMs));
}

/** limiterTake by exact microseconds: milliseconds as a double tell them apart for 285 years only. */
export function limiterTakeAtUs(handle: u32, tokens: u32, nowUs: u64): i32 {
  const at = poolAt(LIMITERS, handle);
  return at == 0 ? -ARGUMENT : takeOf(at, tokens, nowUs);
}

/** GCRA: milliseconds to wait for the place that was taken, or the negative of a code. */
export function limiterReserve(handle: u32, tokens: u32, nowMs: f64): f64 {
  const at = poolAt(LIMITERS, handle);
  if (at == 0 || !isTime(nowMs)) return -ARGUMENT;
  const waitUs = reserve(at, tokens, microseconds(nowMs));
  return waitUs < 0 ? <f64>waitUs : milliseconds(<u64>waitUs);
}

/** 0 for a handle that names nothing. */
export function limiterRemaining(handle: u32, nowMs: f64): u32 {
  const at = poolAt(LIMITERS, handle);
  return at == 0 || !isTime(nowMs) ? 0 : remainingOf(at, microseconds(nowMs));
}

export function limiterResetMs(handle: u32, nowMs: f64): f64 {
  const at = poolAt(LIMITERS, handle);
  return at == 0 || !isTime(nowMs) ? <f64>-ARGUMENT : milliseconds(limiterResetUs(at, microseconds(nowMs)));
}

/** Infinity for more tokens than it can ever give at once. */
export function limiterWaitMs(handle: u32, tokens: u32, nowMs: f64): f64 {
  const at = poolAt(LIMITERS, handle);
  if (at == 0 || !isTime(nowMs)) return -ARGUMENT;
  const waitUs = limiterWaitUs(at, tokens, microseconds(nowMs));
  return waitUs == u64.MAX_VALUE ? Infinity : milliseconds(waitUs);
}

/** limiterTake for `count` handles with `tokens` (u32) each; 0 or codes (i32) go to `results`. Requests granted. */
export function limiterTakeBatch(handles: usize, tokens: usize, count: i32, results: usize, nowMs: f64): i32 {
  if (!isTime(nowMs)) return -ARGUMENT;
  const nowUs = microseconds(nowMs);
  let granted: i32 = 0;
  for (let index = 0; index < count; ++index) {
    const offset = (<usize>index) << 2;
    const at = poolAt(LIMITERS, load<u32>(handles + offset));
    const status = at == 0 || !isTime(nowMs) ? -ARGUMENT : takeOf(at, load<u32>(tokens + offset), nowUs);
    if (status == 0) ++granted;
    store<i32>(results + offset, status);
  }
  return granted;
}
