/** Circuit breakers by handle. */
import { ARGUMENT } from "../errors/codes.generated";
import { poolAt, poolGive, poolTake } from "../memory/pool";
import {
  breakerAcquire as acquire,
  breakerInit,
  breakerProbes,
  breakerTripConsecutive,
  breakerTripRates,
  breakerWaitUs,
  breakerWindowByCount,
  breakerWindowByTime,
  breakerForce as force,
  breakerReturn as giveBack,
  breakerState as stateOf,
} from "../resilience/breaker";
import { BREAKERS } from "./pools";
import { isSpan, isTime, microseconds, milliseconds, u32Microseconds } from "./time";

const WINDOW_SLOTS: u32 = 10;

/** Address of the breakers' pool, for who looks at structs without a call; assembly/memory/pool.ts draws it. */
export function breakersPool(): usize {
  return BREAKERS;
}

/** Address of a breaker's struct, 0 for a handle that names none. */
export function breakerAt(handle: u32): usize {
  return poolAt(BREAKERS, handle);
}

/**
 * A breaker. consecutive: failures in a row that open it, 0 none. windowCalls or windowMs: the window of rates by count or by time, both 0 for
 * none. failureMilli, slowMilli: rates in thousandths that open it, from callsMin calls on; slowMs: what is slow. A handle, or -ARGUMENT, or -POOL_FULL.
 */
export function breakerCreate(
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
): i32 {
  if (!isTime(nowMs) || !isSpan(windowMs) || !isSpan(slowMs)) return -ARGUMENT;
  const hasWindow = windowCalls != 0 || windowMs != 0;
  if (consecutive == 0 && !hasWindow) return -ARGUMENT;
  const handle = poolTake(BREAKERS, true);
  if (handle < 0) return handle;
  const at = poolAt(BREAKERS, handle);
  let status = breakerInit(at, openMs, halfOpenMs);
  if (status == 0) status = breakerTripConsecutive(at, consecutive);
  if (status == 0) status = breakerProbes(at, permits, successesMin);
  if (status == 0 && hasWindow) {
    status =
      windowCalls != 0
        ? breakerWindowByCount(at, windowCalls)
        : breakerWindowByTime(at, u32Microseconds(windowMs), WINDOW_SLOTS, microseconds(nowMs));
    if (status == 0)
      status = breakerTripRates(at, failureMilli, slowMilli, u32Microseconds(slowMs), callsMin);
    if (windowCalls != 0 && callsMin > windowCalls) status = -ARGUMENT;
  }
  if (status == 0) return handle;
  poolGive(BREAKERS, handle);
  return status;
}

export function breakerFree(handle: u32): i32 {
  return poolGive(BREAKERS, handle) ? 0 : -ARGUMENT;
}

/** A permit above 0, -BREAKER_OPEN, or -ARGUMENT for a handle that names nothing and for what is no time. */
export function breakerAcquire(handle: u32, nowMs: f64): i32 {
  const at = poolAt(BREAKERS, handle);
  return at == 0 || !isTime(nowMs) ? -ARGUMENT : acquire(at, microseconds(nowMs));
}

/** tookMs: how long the call took, 0 when nobody measured. */
export function breakerReturn(handle: u32, permit: i32, outcome: u32, tookMs: f64, nowMs: f64): i32 {
  const at = poolAt(BREAKERS, handle);
  if (at == 0 || !isTime(nowMs) || !isSpan(tookMs)) return -ARGUMENT;
  return giveBack(at, permit, outcome, u32Microseconds(tookMs), microseconds(nowMs));
}

export function breakerForce(handle: u32, state: i32, nowMs: f64): i32 {
  const at = poolAt(BREAKERS, handle);
  return at == 0 || !isTime(nowMs) ? -ARGUMENT : force(at, state, microseconds(nowMs));
}

export function breakerState(handle: u32, nowMs: f64): i32 {
  const at = poolAt(BREAKERS, handle);
  return at == 0 || !isTime(nowMs) ? -ARGUMENT : stateOf(at, microseconds(nowMs));
}

/** Infinity for a breaker that was opened by hand for good. */
export function breakerWaitMs(handle: u32, nowMs: f64): f64 {
  const at = poolAt(BREAKERS, handle);
  if (at == 0 || !isTime(nowMs)) return <f64>-ARGUMENT;
  return spanMilliseconds(breakerWaitUs(at, microseconds(nowMs)));
}

function spanMilliseconds(us: u64): f64 {
  return us == u64.MAX_VALUE ? Infinity : milliseconds(us);
}

/** breakerAcquire for `count` handles (u32) at `handles`; permits or codes (i32) go to `permits`. Permits granted. */
export function breakerAcquireBatch(handles: usize, count: i32, permits: usize, nowMs: f64): i32 {
  if (!isTime(nowMs)) return -ARGUMENT;
  const nowUs = microseconds(nowMs);
  let granted: i32 = 0;
  for (let index = 0; index < count; ++index) {
    const offset = (<usize>index) << 2;
    const at = poolAt(BREAKERS, load<u32>(handles + offset));
    const permit = at == 0 ? -ARGUMENT : acquire(at, nowUs);
    if (permit > 0) ++granted;
    store<i32>(permits + offset, permit);
  }
  return granted;
}

/** breakerReturn for `count` handles, unmeasured; a permit that is not above 0 is passed over. Outcomes are u8. Permits returned. */
export function breakerReturnBatch(
  handles: usize,
  permits: usize,
  outcomes: usize,
  count: i32,
  nowMs: f64,
): i32 {
  if (!isTime(nowMs)) return -ARGUMENT;
  const nowUs = microseconds(nowMs);
  let returned: i32 = 0;
  for (let index = 0; index < count; ++index) {
    const offset = (<usize>index) << 2;
    const at = poolAt(BREAKERS, load<u32>(handles + offset));
    const permit = load<i32>(permits + offset);
    if (at == 0 || permit <= 0) continue;
    if (giveBack(at, permit, <u32>load<u8>(outcomes + <usize>index), 0, nowUs) >= 0) ++returned;
  }
  return returned;
}
