/** Circuit breakers by handle. */
import { ARGUMENT } from "../errors/codes.generated";
import { poolAt, poolGive, poolTake } from "../memory/pool";
import {
  breakerAcquire as acquire,
  breakerInit,
  breakerProbes,
  breakerTripConsecutive,
  breakerTripRate,
  breakerWaitUs,
  breakerReturn as giveBack,
  breakerState as stateOf,
} from "../resilience/breaker";
import { BREAKERS } from "./pools";
import { isSpan, isTime, microseconds, milliseconds, spanMicroseconds } from "./time";

/** Address of a breaker's struct, 0 for a handle that names none. */
export function breakerAt(handle: u32): usize {
  return poolAt(BREAKERS, handle);
}

/**
 * A breaker. consecutive: failures in a row that open it, 0 none. calls, rateMilli, callsMin: window, failure rate in
 * thousandths and least calls that open it; calls 0: none. A handle, or -ARGUMENT, or -POOL_FULL.
 */
export function breakerCreate(
  openMs: f64,
  probeMs: f64,
  consecutive: u32,
  calls: u32,
  rateMilli: u32,
  callsMin: u32,
  permits: u32,
  successesMin: u32,
): i32 {
  if (!isSpan(openMs) || !isSpan(probeMs)) return -ARGUMENT;
  const handle = poolTake(BREAKERS, true);
  if (handle < 0) return handle;
  const at = poolAt(BREAKERS, handle);
  breakerInit(at, spanMicroseconds(openMs), spanMicroseconds(probeMs));
  breakerTripConsecutive(at, consecutive);
  let status = breakerProbes(at, permits, successesMin);
  if (status == 0 && calls != 0) status = breakerTripRate(at, calls, rateMilli, callsMin);
  if (consecutive == 0 && calls == 0) status = -ARGUMENT;
  if (status == 0) return handle;
  poolGive(BREAKERS, handle);
  return status;
}

export function breakerFree(handle: u32): i32 {
  return poolGive(BREAKERS, handle) ? 0 : -ARGUMENT;
}

export function breakerAcquire(handle: u32, nowMs: f64): i32 {
  const at = poolAt(BREAKERS, handle);
  return at == 0 || !isTime(nowMs) ? -ARGUMENT : acquire(at, microseconds(nowMs));
}

export function breakerReturn(handle: u32, permit: i32, outcome: u32, nowMs: f64): i32 {
  const at = poolAt(BREAKERS, handle);
  return at == 0 || !isTime(nowMs) ? -ARGUMENT : giveBack(at, permit, outcome, microseconds(nowMs));
}

export function breakerState(handle: u32, nowMs: f64): i32 {
  const at = poolAt(BREAKERS, handle);
  return at == 0 || !isTime(nowMs) ? -ARGUMENT : stateOf(at, microseconds(nowMs));
}

export function breakerWaitMs(handle: u32, nowMs: f64): f64 {
  const at = poolAt(BREAKERS, handle);
  return at == 0 || !isTime(nowMs) ? <f64>-ARGUMENT : milliseconds(breakerWaitUs(at, microseconds(nowMs)));
}

/** breakerAcquire for `count` handles (u32) at `handles`; permits or codes (i32) go to `permits`. Permits granted. */
export function breakerAcquireBatch(handles: usize, count: i32, permits: usize, nowMs: f64): i32 {
  if (!isTime(nowMs)) return -ARGUMENT;
  const nowUs = microseconds(nowMs);
  let granted: i32 = 0;
  for (let index = 0; index < count; ++index) {
    const offset = (<usize>index) << 2;
    const at = poolAt(BREAKERS, load<u32>(handles + offset));
    const permit = at == 0 || !isTime(nowMs) ? -ARGUMENT : acquire(at, nowUs);
    if (permit > 0) ++granted;
    store<i32>(permits + offset, permit);
  }
  return granted;
}

/** breakerReturn for `count` handles; a permit that is not above 0 is passed over. Outcomes are u8. Permits returned. */
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
    if (giveBack(at, permit, <u32>load<u8>(outcomes + <usize>index), nowUs) >= 0) ++returned;
  }
  return returned;
}
