/**
 * Circuit breaker: stops calling what keeps failing, and finds out cheaply when it is well again (Nygard, "Release It!", 2nd ed., ch. 5).
 *
 *            failures in a row, or a rate of failed              successesMin probes
 *            or slow calls over a window                         succeeded, and fast
 *   CLOSED -------------------------------> OPEN                +--------------> CLOSED
 *                                           |  ^                |
 *                             openMs passed |  | a probe failed, or was slow;
 *                                           v  | halfOpenMs passed without a verdict
 *                                        HALF-OPEN ------------ +
 *
 *   by hand, from any state:  FORCED-OPEN refuses everything;  DISABLED passes everything, and only counts;
 *                             OPEN (for openMs) and CLOSED as above
 *
 * No timer: an open breaker becomes half-open in the first decision after its time, and half-open ends by its probes or by its time, whatever
 * becomes of the callers. So no state is left for ever.
 *
 * Half-open lets at most `permits` probes out at once, as permits that are given back: with success, failure or timeout, or without a verdict
 * (cancelled, ignored), which lets another probe out. A permit names the period it was granted in (the state's generation). What comes back from
 * an earlier period is counted as returned and decides nothing: a slow call of yesterday's outage must not open today's breaker.
 * Always: granted = returned + in flight.
 *
 * A clock that goes back keeps an open breaker open for longer and shortens nothing.
 *
 *   +0   untilUs u64 (end of open or half-open)   +8   openMs u32          +12  halfOpenMs u32      +16  slowUs u32 (0: none is slow)
 *   +20  generation u32                           +24  state u8            +25  hasWindow u8        +26  callsMin u16
 *   +28  permits u16          +30 successesMin u16    +32  probesOut u16       +34  successes u16
 *   +36  consecutiveMax u16   +38 consecutive u16     +40  failureMilli u16    +42  slowMilli u16   +44  unused
 *   +48  granted u32          +52 returned u32        +56  refused u32         +60  opened u32
 *   +64  the window of outcomes.ts, where there is one
 */
import { ARGUMENT, BREAKER_OPEN } from "../errors/codes.generated";
import {
  OUTCOMES_BYTES_MAX,
  outcomesByCount,
  outcomesByTime,
  outcomesCalls,
  outcomesFailures,
  outcomesRecord,
  outcomesReset,
  outcomesRoll,
  outcomesSlow,
} from "./outcomes";

/** Without a window; with one of outcomes.ts its bytes come on top. */
export const BREAKER_BYTES: usize = 64;
export const BREAKER_BYTES_MAX: usize = BREAKER_BYTES + OUTCOMES_BYTES_MAX;

export const BREAKER_CLOSED: i32 = 0;
export const BREAKER_OPENED: i32 = 1;
export const BREAKER_HALF_OPEN: i32 = 2;
export const BREAKER_FORCED_OPEN: i32 = 3;
export const BREAKER_DISABLED: i32 = 4;

export const OUTCOME_SUCCESS: u32 = 0;
export const OUTCOME_FAILURE: u32 = 1;
/** The caller gave up: says nothing about the other side. */
export const OUTCOME_CANCELLED: u32 = 2;
/** The call ended in a way that is neither, as an error of the caller's making. */
export const OUTCOME_IGNORED: u32 = 3;
/** A failure by lateness. */
export const OUTCOME_TIMEOUT: u32 = 4;

const UNTIL_US: usize = 0;
const OPEN_MS: usize = 8;
const HALF_OPEN_MS: usize = 12;
const SLOW_US: usize = 16;
const GENERATION: usize = 20;
const STATE: usize = 24;
const HAS_WINDOW: usize = 25;
const CALLS_MIN: usize = 26;
const PERMITS: usize = 28;
const SUCCESSES_MIN: usize = 30;
const PROBES_OUT: usize = 32;
const SUCCESSES: usize = 34;
const CONSECUTIVE_MAX: usize = 36;
const CONSECUTIVE: usize = 38;
const FAILURE_MILLI: usize = 40;
const SLOW_MILLI: usize = 42;
const GRANTED: usize = 48;
const RETURNED: usize = 52;
const REFUSED: usize = 56;
const OPENED: usize = 60;
const WINDOW: usize = 64;

const RATE_MILLI_MAX: u32 = 1000;
const U16_MAX: u32 = 0xffff;
const GENERATION_MASK: u32 = 0x3fff_ffff;
const US_PER_MS: u64 = 1000;
/** Above so many calls a rate is compared by thousands of them, which keeps the product within 32 bits. */
const CALLS_EXACT_MAX: u32 = 0x3f_ffff;

/** Closed and empty. Trips on nothing and probes one call until configured. 0, or -ARGUMENT when halfOpenMs is 0. */
export function breakerInit(at: usize, openMs: u32, halfOpenMs: u32): i32 {
  for (let offset: usize = 0; offset < BREAKER_BYTES; offset += 8) store<u64>(at + offset, 0);
  if (halfOpenMs == 0) return -ARGUMENT;
  store<u32>(at, openMs, OPEN_MS);
  store<u32>(at, halfOpenMs, HALF_OPEN_MS);
  store<u16>(at, 1, PERMITS);
  store<u16>(at, 1, SUCCESSES_MIN);
  return 0;
}

/** Opens after so many failures in a row, at most 65,535; 0 never. */
export function breakerTripConsecutive(at: usize, failures: u32): i32 {
  if (failures > U16_MAX) return -ARGUMENT;
  store<u16>(at, <u16>failures, CONSECUTIVE_MAX);
  return 0;
}

/**
 * Opens when of the calls in the window at least `failureMilli` thousandths failed, or `slowMilli` thousandths took `slowUs` or longer (0: does not
 * look), judged from `callsMin` calls on, whenever a call failed or was slow. Needs a window. 0 or -ARGUMENT.
 */
export function breakerTripRates(
  at: usize,
  failureMilli: u32,
  slowMilli: u32,
  slowUs: u32,
  callsMin: u32,
): i32 {
  if (failureMilli > RATE_MILLI_MAX || slowMilli > RATE_MILLI_MAX || callsMin == 0 || callsMin > U16_MAX) {
    return -ARGUMENT;
  }
  if (failureMilli + slowMilli == 0 || (slowMilli != 0 && slowUs == 0)) return -ARGUMENT;
  store<u16>(at, <u16>failureMilli, FAILURE_MILLI);
  store<u16>(at, <u16>slowMilli, SLOW_MILLI);
  store<u16>(at, <u16>callsMin, CALLS_MIN);
  store<u32>(at, slowUs, SLOW_US);
  return 0;
}

/** The last `calls` calls as the window, 1 to 256; memory for it follows the breaker's. 0 or -ARGUMENT. */
export function breakerWindowByCount(at: usize, calls: u32): i32 {
  store<u8>(at, 1, HAS_WINDOW);
  return outcomesByCount(at + WINDOW, calls);
}

/** The last `spanUs` as the window, in 2 to 16 slots; memory for it follows the breaker's. 0 or -ARGUMENT. */
export function breakerWindowByTime(at: usize, spanUs: u32, slots: u32, nowUs: u64): i32 {
  store<u8>(at, 1, HAS_WINDOW);
  return outcomesByTime(at + WINDOW, spanUs, slots, nowUs);
}

/** Probes out at once while half-open, and successes that close, each 1 to 65,535. 0 or -ARGUMENT. */
export function breakerProbes(at: usize, permits: u32, successesMin: u32): i32 {
  if (permits == 0 || permits > U16_MAX || successesMin == 0 || successesMin > U16_MAX) return -ARGUMENT;
  store<u16>(at, <u16>permits, PERMITS);
  store<u16>(at, <u16>successesMin, SUCCESSES_MIN);
  return 0;
}

/** Asks to make a call. A permit above 0, to be given back once by breakerReturn, or -BREAKER_OPEN. */
export function breakerAcquire(at: usize, nowUs: u64): i32 {
  if (load<u8>(at, STATE) != BREAKER_CLOSED && !passes(at, nowUs)) {
    store<u32>(at, load<u32>(at, REFUSED) + 1, REFUSED);
    return -BREAKER_OPEN;
  }
  store<u32>(at, load<u32>(at, GRANTED) + 1, GRANTED);
  return <i32>(load<u32>(at, GENERATION) + 1);
}

/**
 * Gives a permit back with how the call ended and how long it took (0 when nobody measured). The state after it, or -ARGUMENT when no such
 * permit is out or the outcome is unknown, and nothing changes.
 */
export function breakerReturn(at: usize, permit: i32, outcome: u32, tookUs: u32, nowUs: u64): i32 {
  if (outcome > OUTCOME_TIMEOUT || permit <= 0 || load<u32>(at, GRANTED) == load<u32>(at, RETURNED)) {
    return -ARGUMENT;
  }
  let state = <i32>load<u8>(at, STATE);
  if (state == BREAKER_HALF_OPEN) state = expire(at, nowUs);
  const isCurrent = permit == <i32>(load<u32>(at, GENERATION) + 1);
  if (isCurrent && state != BREAKER_CLOSED && state != BREAKER_DISABLED) {
    // Of the current period only probes of half-open are out; one more was given back twice.
    const out = load<u16>(at, PROBES_OUT);
    if (out == 0) return -ARGUMENT;
    store<u16>(at, out - 1, PROBES_OUT);
  }
  store<u32>(at, load<u32>(at, RETURNED) + 1, RETURNED);
  if (!isCurrent || outcome == OUTCOME_CANCELLED || outcome == OUTCOME_IGNORED) return state;
  const failed = outcome != OUTCOME_SUCCESS;
  const slowUs = load<u32>(at, SLOW_US);
  judge(at, state, failed, slowUs != 0 && tookUs >= slowUs, nowUs);
  return <i32>load<u8>(at, STATE);
}

/** Puts the breaker into a state by hand, as if nothing had been before; permits that are out decide nothing any more. 0 or -ARGUMENT. */
export function breakerForce(at: usize, state: i32, nowUs: u64): i32 {
  if (state == BREAKER_OPENED) {
    enterOpen(at, nowUs);
    return 0;
  }
  if (state != BREAKER_CLOSED && state != BREAKER_FORCED_OPEN && state != BREAKER_DISABLED) return -ARGUMENT;
  enter(at, state);
  forget(at, nowUs);
  return 0;
}

/** State as a decision now would find it; changes nothing. */
export function breakerState(at: usize, nowUs: u64): i32 {
  const state = <i32>load<u8>(at, STATE);
  const until = load<u64>(at, UNTIL_US);
  if (nowUs < until) return state;
  if (state == BREAKER_OPENED) return BREAKER_HALF_OPEN;
  if (state != BREAKER_HALF_OPEN) return state;
  return nowUs < later(until, load<u32>(at, OPEN_MS)) ? BREAKER_OPENED : BREAKER_HALF_OPEN;
}

/** Microseconds until an open breaker lets a probe through; 0 when it is not open, u64.MAX_VALUE when it was opened by hand for good. */
export function breakerWaitUs(at: usize, nowUs: u64): u64 {
  const state = <i32>load<u8>(at, STATE);
  if (state == BREAKER_FORCED_OPEN) return u64.MAX_VALUE;
  if (breakerState(at, nowUs) != BREAKER_OPENED) return 0;
  const until = load<u64>(at, UNTIL_US);
  return (state == BREAKER_OPENED ? until : later(until, load<u32>(at, OPEN_MS))) - nowUs;
}

/** Permits granted and not given back yet. */
export function breakerInFlight(at: usize): u32 {
  return load<u32>(at, GRANTED) - load<u32>(at, RETURNED);
}

/** Probes out in this half-open period. */
export function breakerProbesOut(at: usize): u32 {
  return <u32>load<u16>(at, PROBES_OUT);
}

/** Counters since init; they wrap around. */
export function breakerGranted(at: usize): u32 {
  return load<u32>(at, GRANTED);
}
export function breakerRefused(at: usize): u32 {
  return load<u32>(at, REFUSED);
}
export function breakerOpenedCount(at: usize): u32 {
  return load<u32>(at, OPENED);
}

/** Of the window now; 0 without one. */
export function breakerWindowCalls(at: usize): u32 {
  return load<u8>(at, HAS_WINDOW) != 0 ? outcomesCalls(at + WINDOW) : 0;
}
export function breakerWindowFailures(at: usize): u32 {
  return load<u8>(at, HAS_WINDOW) != 0 ? outcomesFailures(at + WINDOW) : 0;
}
export function breakerWindowSlow(at: usize): u32 {
  return load<u8>(at, HAS_WINDOW) != 0 ? outcomesSlow(at + WINDOW) : 0;
}

function later(fromUs: u64, spanMs: u32): u64 {
  const spanUs = <u64>spanMs * US_PER_MS;
  return spanUs > u64.MAX_VALUE - fromUs ? u64.MAX_VALUE : fromUs + spanUs;
}

/** Whether a breaker that is not closed lets a call through; takes a probe's place when it is half-open. */
function passes(at: usize, nowUs: u64): bool {
  const state = settle(at, nowUs);
  if (state == BREAKER_DISABLED) return true;
  if (state != BREAKER_HALF_OPEN) return false;
  const out = load<u16>(at, PROBES_OUT);
  if (out >= load<u16>(at, PERMITS)) return false;
  store<u16>(at, out + 1, PROBES_OUT);
  return true;
}

/** A half-open period that has lasted its time was over then, not now. */
function expire(at: usize, nowUs: u64): i32 {
  const until = load<u64>(at, UNTIL_US);
  if (nowUs < until) return BREAKER_HALF_OPEN;
  enterOpen(at, until);
  return BREAKER_OPENED;
}

function settle(at: usize, nowUs: u64): i32 {
  let state = <i32>load<u8>(at, STATE);
  if (state == BREAKER_HALF_OPEN) state = expire(at, nowUs);
  if (state != BREAKER_OPENED || nowUs < load<u64>(at, UNTIL_US)) return state;
  enter(at, BREAKER_HALF_OPEN);
  store<u64>(at, later(nowUs, load<u32>(at, HALF_OPEN_MS)), UNTIL_US);
  return BREAKER_HALF_OPEN;
}

function enter(at: usize, state: i32): void {
  store<u8>(at, <u8>state, STATE);
  store<u32>(at, (load<u32>(at, GENERATION) + 1) & GENERATION_MASK, GENERATION);
  store<u32>(at, 0, PROBES_OUT); // And the successes.
}

function enterOpen(at: usize, nowUs: u64): void {
  enter(at, BREAKER_OPENED);
  store<u32>(at, load<u32>(at, OPENED) + 1, OPENED);
  store<u64>(at, later(nowUs, load<u32>(at, OPEN_MS)), UNTIL_US);
}

function forget(at: usize, nowUs: u64): void {
  store<u16>(at, 0, CONSECUTIVE);
  if (load<u8>(at, HAS_WINDOW) != 0) outcomesReset(at + WINDOW, nowUs);
}

function judge(at: usize, state: i32, failed: bool, slow: bool, nowUs: u64): void {
  if (state == BREAKER_HALF_OPEN) {
    if (failed || slow) {
      enterOpen(at, nowUs);
      return;
    }
    const successes = load<u16>(at, SUCCESSES) + 1;
    store<u16>(at, successes, SUCCESSES);
    if (successes < load<u16>(at, SUCCESSES_MIN)) return;
    enter(at, BREAKER_CLOSED);
    forget(at, nowUs);
    return;
  }
  const consecutive = <u32>load<u16>(at, CONSECUTIVE);
  if (!failed) {
    if (consecutive != 0) store<u16>(at, 0, CONSECUTIVE);
  } else if (consecutive != U16_MAX) store<u16>(at, <u16>(consecutive + 1), CONSECUTIVE);
  if (load<u8>(at, HAS_WINDOW) != 0) outcomesRecord(at + WINDOW, failed, slow, nowUs);
  // A call that was well opens nothing, whatever the window says.
  if (state == BREAKER_CLOSED && (failed || slow) && trips(at)) enterOpen(at, nowUs);
}

function trips(at: usize): bool {
  const consecutiveMax = load<u16>(at, CONSECUTIVE_MAX);
  if (consecutiveMax != 0 && load<u16>(at, CONSECUTIVE) >= consecutiveMax) return true;
  const callsMin = <u32>load<u16>(at, CALLS_MIN);
  if (callsMin == 0 || load<u8>(at, HAS_WINDOW) == 0) return false;
  const calls = outcomesCalls(at + WINDOW);
  if (calls < callsMin) return false;
  return (
    reaches(outcomesFailures(at + WINDOW), calls, <u32>load<u16>(at, FAILURE_MILLI)) ||
    reaches(outcomesSlow(at + WINDOW), calls, <u32>load<u16>(at, SLOW_MILLI))
  );
}

/** Compared by multiplying, since a division costs more. */
function reaches(part: u32, whole: u32, milli: u32): bool {
  if (milli == 0) return false;
  if (whole > CALLS_EXACT_MAX) {
    part >>= 10;
    whole >>= 10;
  }
  return part * RATE_MILLI_MAX >= milli * whole;
}

/** Drops what has left a window by time, for who looks at it. */
export function breakerWindowRoll(at: usize, nowUs: u64): void {
  if (load<u8>(at, HAS_WINDOW) != 0) outcomesRoll(at + WINDOW, nowUs);
}
