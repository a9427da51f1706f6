/**
 * The typed plane: exports of protocols/wit/core.wit by the canonical ABI, on the same pools as index.ts.
 *
 * Parameters are scalars, flattened from their records. A result of more than one scalar is written to a static area whose
 * address is returned; it is read before the next call, so one area does. Nothing is allocated, so neither cabi_realloc nor
 * a post-return is needed. scripts/build-wasm.ts gives the `wit_` names their place in the world's interface.
 *
 *   result<handle, code>     +0 u8 0 ok, 1 error        +4 u32 handle, or u16 code
 *   result<_, code>          +0 u8 0 ok, 1 error        +2 u16 code
 *   result<view, code>       +0 u8 0 ok, 1 error        +8 the view, or u16 code
 */
import { ARGUMENT } from "./errors/codes.generated";
import { poolCapacity, poolUsed } from "./memory/pool";
import { breakerAt, breakerCreate, breakerFree } from "./raw/breakers";
import { limiterAt, limiterCreate, limiterFree } from "./raw/limiters";
import { AVERAGES, BREAKERS, CLOCKS, LIMITERS } from "./raw/pools";
import { isTime, microseconds, milliseconds } from "./raw/time";
import {
  breakerGranted,
  breakerInFlight,
  breakerOpenedCount,
  breakerProbesOut,
  breakerRefused,
  breakerState,
  breakerWaitUs,
  breakerWindowCalls,
  breakerWindowFailures,
  breakerWindowRoll,
  breakerWindowSlow,
} from "./resilience/breaker";
import {
  limiterGranted,
  limiterRefused,
  limiterRemaining,
  limiterResetUs,
  limiterWaitUs,
} from "./resilience/limiter";

const AREA: usize = memory.data(64, 8);

export function wit_createBreaker(
  openMs: u32,
  halfOpenMs: u32,
  consecutive: u32,
  windowCalls: u32,
  windowMs: f64,
  failureMilli: u32,
  slowMilli: u32,
  slowMs: f64,
  callsMin: u32,
  permits: u32,
  successesMin: u32,
  nowMs: f64,
): usize {
  return handleResult(
    breakerCreate(
      openMs,
      halfOpenMs,
      consecutive,
      windowCalls,
      windowMs,
      failureMilli,
      slowMilli,
      slowMs,
      callsMin,
      permits,
      successesMin,
      nowMs,
    ),
  );
}

export function wit_inspectBreaker(handle: u32, nowMs: f64): usize {
  const at = breakerAt(handle);
  if (at == 0 || !isTime(nowMs)) return failed(8);
  const nowUs = microseconds(nowMs);
  store<u8>(AREA, 0);
  store<u8>(AREA, <u8>breakerState(at, nowUs), 8);
  store<u32>(AREA, breakerInFlight(at), 12);
  store<u32>(AREA, breakerProbesOut(at), 16);
  store<u32>(AREA, breakerGranted(at), 20);
  store<u32>(AREA, breakerRefused(at), 24);
  store<u32>(AREA, breakerOpenedCount(at), 28);
  const waitUs = breakerWaitUs(at, nowUs);
  store<f64>(AREA, waitUs == u64.MAX_VALUE ? Infinity : milliseconds(waitUs), 32);
  breakerWindowRoll(at, nowUs);
  store<u32>(AREA, breakerWindowCalls(at), 40);
  store<u32>(AREA, breakerWindowFailures(at), 44);
  store<u32>(AREA, breakerWindowSlow(at), 48);
  return AREA;
}

export function wit_freeBreaker(handle: u32): usize {
  return emptyResult(breakerFree(handle));
}

export function wit_createLimiter(
  kind: u32,
  limit: u32,
  periodUs: u32,
  burst: u32,
  entries: u32,
  nowMs: f64,
): usize {
  return handleResult(limiterCreate(kind, limit, periodUs, burst, <usize>entries, nowMs));
}

export function wit_inspectLimiter(handle: u32, nowMs: f64): usize {
  const at = limiterAt(handle);
  if (at == 0 || !isTime(nowMs)) return failed(8);
  const nowUs = microseconds(nowMs);
  store<u8>(AREA, 0);
  store<u32>(AREA, limiterRemaining(at, nowUs), 8);
  store<u32>(AREA, limiterGranted(at), 12);
  store<u32>(AREA, limiterRefused(at), 16);
  store<f64>(AREA, milliseconds(limiterResetUs(at, nowUs)), 24);
  store<f64>(AREA, milliseconds(limiterWaitUs(at, 1, nowUs)), 32);
  return AREA;
}

export function wit_freeLimiter(handle: u32): usize {
  return emptyResult(limiterFree(handle));
}

export function wit_inspectPools(): usize {
  poolView(0, BREAKERS);
  poolView(1, LIMITERS);
  poolView(2, AVERAGES);
  poolView(3, CLOCKS);
  return AREA;
}

function poolView(index: usize, pool: usize): void {
  store<u32>(AREA + (index << 3), poolUsed(pool));
  store<u32>(AREA + (index << 3), poolCapacity(pool), 4);
}

function failed(offset: usize): usize {
  store<u8>(AREA, 1);
  store<u16>(AREA + offset, <u16>ARGUMENT);
  return AREA;
}

function handleResult(status: i32): usize {
  store<u8>(AREA, status < 0 ? 1 : 0);
  if (status < 0) store<u16>(AREA, <u16>-status, 4);
  else store<u32>(AREA, <u32>status, 4);
  return AREA;
}

function emptyResult(status: i32): usize {
  store<u8>(AREA, status < 0 ? 1 : 0);
  store<u16>(AREA, <u16>-status, 2);
  return AREA;
}
