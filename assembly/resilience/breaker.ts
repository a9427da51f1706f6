/**
 * Circuit breaker: stops calling what keeps failing, and finds out cheaply when it is well again (Nygard, "Release It!").
 *
 *            failures in a row, or failure rate over a window            every needed probe succeeded
 *   CLOSED ------------------------------------------------> OPEN <----+      HALF-OPEN ----> CLOSED
 *                                                             |        |         ^
 *                                                             |        +- a probe failed
 *                                                             +- openUs passed --+
 *
 * No timer: an open breaker becomes half-open in the first decision after its time. Half-open lets at most `permits` probes
 * out at once, as permits that are given back, with their outcome or cancelled. A breaker would be stuck if a probe's caller
 * vanished, so when all permits have been out for probeUs they are declared lost and new ones are given.
 *
 * A permit names the period it was granted in (the state's generation). What comes back from an earlier period is counted
 * as returned and decides nothing: a slow call of yesterday's outage must not open today's breaker.
 *
 *   +0   state u32             +4   generation u32        +8   openUs u64            +16  untilUs u64
 *   +24  probeUs u64           +32  consecutiveMax u32    +36  consecutive u32       +40  windowCalls u32
 *   +44  rateMilli u32         +48  callsMin u32          +52  permits u32           +56  successesMin u32
 *   +60  probesOut u32         +64  successes u32         +68  windowAt u32          +72  windowFilled u32
 *   +76  windowFailures u32    +80  granted u32           +84  returned u32          +88  refused u32
 *   +92  opened u32            +96  window: a bit a call, 1 for failure, 8 words
 */
import { ARGUMENT, BREAKER_OPEN } from "../errors/codes.generated";

export const BREAKER_BYTES: usize = 128;
export const BREAKER_WINDOW_CALLS_MAX: u32 = 256;

export const BREAKER_CLOSED: i32 = 0;
export const BREAKER_OPENED: i32 = 1;
export const BREAKER_HALF_OPEN: i32 = 2;

export const OUTCOME_SUCCESS: u32 = 0;
export const OUTCOME_FAILURE: u32 = 1;
/** The call was not made or says nothing about the other side, as an abort by the caller. */
export const OUTCOME_CANCELLED: u32 = 2;

const STATE: usize = 0;
const GENERATION: usize = 4;
const OPEN_US: usize = 8;
const UNTIL_US: usize = 16;
const PROBE_US: usize = 24;
const CONSECUTIVE_MAX: usize = 32;
const CONSECUTIVE: usize = 36;
const WINDOW_CALLS: usize = 40;
const RATE_MILLI: usize = 44;
const CALLS_MIN: usize = 48;
const PERMITS: usize = 52;
const SUCCESSES_MIN: usize = 56;
const PROBES_OUT: usize = 60;
const SUCCESSES: usize = 64;
const WINDOW_AT: usize = 68;
const WINDOW_FILLED: usize = 72;
const WINDOW_FAILURES: usize = 76;
const GRANTED: usize = 80;
const RETURNED: usize = 84;
const REFUSED: usize = 88;
const OPENED: usize = 92;
const WINDOW: usize = 96;

const RATE_MILLI_MAX: u32 = 1000;
const GENERATION_MASK: u32 = 0x3fff_ffff;

/** Closed and empty, open for `openUs` a time. Trips on nothing and probes one call until configured. */
export function breakerInit(at: usize, openUs: u64, probeUs: u64): void {
  for (let offset: usize = 0; offset < BREAKER_BYTES; offset += 8) store<u64>(at + offset, 0);
  store<u64>(at, openUs, OPEN_US);
  store<u64>(at, probeUs, PROBE_US);
  store<u32>(at, 1, PERMITS);
  store<u32>(at, 1, SUCCESSES_MIN);
}

/** Opens after so many failures in a row; 0 never. */
export function breakerTripConsecutive(at: usize, failures: u32): void {
  store<u32>(at, failures, CONSECUTIVE_MAX);
}

/**
 * Opens when of the last `calls` (1 to 256) at least `rateMilli` thousandths failed, judged from `callsMin` calls on.
 * 0 or -ARGUMENT.
 */
export function breakerTripRate(at: usize, calls: u32, rateMilli: u32, callsMin: u32): i32 {
  if (calls == 0 || calls > BREAKER_WINDOW_CALLS_MAX) return -ARGUMENT;
  if (rateMilli == 0 || rateMilli > RATE_MILLI_MAX || callsMin == 0 || callsMin > calls) return -ARGUMENT;
  store<u32>(at, calls, WINDOW_CALLS);
  store<u32>(at, rateMilli, RATE_MILLI);
  store<u32>(at, callsMin, CALLS_MIN);
  return 0;
}

/** Probes out at once while half-open, and successes that close. 0 or -ARGUMENT. */
export function breakerProbes(at: usize, permits: u32, successesMin: u32): i32 {
  if (permits == 0 || successesMin == 0) return -ARGUMENT;
  store<u32>(at, permits, PERMITS);
  store<u32>(at, successesMin, SUCCESSES_MIN);
  return 0;
}

/** Asks to make a call. A permit above 0, to be given back once by breakerReturn, or -BREAKER_OPEN. */
export function breakerAcquire(at: usize, nowUs: u64): i32 {
  const state = load<u32>(at, STATE);
  if (state != BREAKER_CLOSED) {
    const due = nowUs >= load<u64>(at, UNTIL_US);
    if (state == BREAKER_OPENED) {
      if (!due) return refuse(at);
      enterHalfOpen(at, nowUs);
    } else if (load<u32>(at, PROBES_OUT) >= load<u32>(at, PERMITS)) {
      if (!due) return refuse(at);
      enterHalfOpen(at, nowUs); // The probes are lost.
    }
    increment(at, PROBES_OUT);
    store<u64>(at, later(nowUs, load<u64>(at, PROBE_US)), UNTIL_US);
  }
  increment(at, GRANTED);
  return <i32>(load<u32>(at, GENERATION) + 1);
}

/** Gives a permit back. The state after it, or -ARGUMENT when no such permit is out or the outcome is unknown. */
export function breakerReturn(at: usize, permit: i32, outcome: u32, nowUs: u64): i32 {
  if (outcome > OUTCOME_CANCELLED || load<u32>(at, GRANTED) == load<u32>(at, RETURNED)) return -ARGUMENT;
  const state = <i32>load<u32>(at, STATE);
  const current = permit == <i32>(load<u32>(at, GENERATION) + 1);
  if (current && state != BREAKER_CLOSED) {
    // Of an open or half-open period only probes are out; one more was given back twice.
    const out = load<u32>(at, PROBES_OUT);
    if (out == 0) return -ARGUMENT;
    store<u32>(at, out - 1, PROBES_OUT);
  }
  increment(at, RETURNED);
  if (!current || outcome == OUTCOME_CANCELLED) return state;
  if (state == BREAKER_CLOSED) {
    recordClosed(at, outcome == OUTCOME_FAILURE, nowUs);
  } else if (outcome == OUTCOME_FAILURE) {
    enterOpen(at, nowUs);
  } else {
    increment(at, SUCCESSES);
    if (load<u32>(at, SUCCESSES) >= load<u32>(at, SUCCESSES_MIN)) enterClosed(at);
  }
  return <i32>load<u32>(at, STATE);
}

/** State as a decision now would find it; changes nothing. */
export function breakerState(at: usize, nowUs: u64): i32 {
  const state = <i32>load<u32>(at, STATE);
  return state == BREAKER_OPENED && nowUs >= load<u64>(at, UNTIL_US) ? BREAKER_HALF_OPEN : state;
}

/** Microseconds until an open breaker lets a probe through; 0 when it is not open. */
export function breakerWaitUs(at: usize, nowUs: u64): u64 {
  const until = load<u64>(at, UNTIL_US);
  return load<u32>(at, STATE) == BREAKER_OPENED && until > nowUs ? until - nowUs : 0;
}

/** Permits granted and not given back yet. */
export function breakerInFlight(at: usize): u32 {
  return load<u32>(at, GRANTED) - load<u32>(at, RETURNED);
}

/** Probes out in this half-open period. */
export function breakerProbesOut(at: usize): u32 {
  return load<u32>(at, PROBES_OUT);
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

function increment(at: usize, offset: usize): void {
  store<u32>(at + offset, load<u32>(at + offset) + 1);
}

function refuse(at: usize): i32 {
  increment(at, REFUSED);
  return -BREAKER_OPEN;
}

function later(nowUs: u64, spanUs: u64): u64 {
  return spanUs > u64.MAX_VALUE - nowUs ? u64.MAX_VALUE : nowUs + spanUs;
}

function nextGeneration(at: usize, state: i32): void {
  store<u32>(at, <u32>state, STATE);
  store<u32>(at, (load<u32>(at, GENERATION) + 1) & GENERATION_MASK, GENERATION);
  store<u32>(at, 0, PROBES_OUT);
  store<u32>(at, 0, SUCCESSES);
}

function enterOpen(at: usize, nowUs: u64): void {
  nextGeneration(at, BREAKER_OPENED);
  increment(at, OPENED);
  store<u64>(at, later(nowUs, load<u64>(at, OPEN_US)), UNTIL_US);
}

function enterHalfOpen(at: usize, nowUs: u64): void {
  nextGeneration(at, BREAKER_HALF_OPEN);
  store<u64>(at, later(nowUs, load<u64>(at, PROBE_US)), UNTIL_US);
}

function enterClosed(at: usize): void {
  nextGeneration(at, BREAKER_CLOSED);
  store<u32>(at, 0, CONSECUTIVE);
  store<u32>(at, 0, WINDOW_AT);
  store<u32>(at, 0, WINDOW_FILLED);
  store<u32>(at, 0, WINDOW_FAILURES);
}

function recordClosed(at: usize, failed: bool, nowUs: u64): void {
  store<u32>(at, failed ? load<u32>(at, CONSECUTIVE) + 1 : 0, CONSECUTIVE);
  const consecutiveMax = load<u32>(at, CONSECUTIVE_MAX);
  let trips = consecutiveMax != 0 && load<u32>(at, CONSECUTIVE) >= consecutiveMax;
  if (load<u32>(at, WINDOW_CALLS) != 0 && recordWindow(at, failed)) trips = true;
  if (trips && failed) enterOpen(at, nowUs);
}

/** Puts a call into the window; true when the rate is reached. Compared by multiplying, since a division costs more. */
function recordWindow(at: usize, failed: bool): bool {
  const calls = load<u32>(at, WINDOW_CALLS);
  const index = load<u32>(at, WINDOW_AT);
  let filled = load<u32>(at, WINDOW_FILLED);
  let failures = load<u32>(at, WINDOW_FAILURES);
  const word = at + WINDOW + <usize>((index >> 5) << 2);
  const bit: u32 = 1 << (index & 31);
  if (filled < calls) store<u32>(at, ++filled, WINDOW_FILLED);
  else if ((load<u32>(word) & bit) != 0) --failures;
  if (failed) {
    ++failures;
    store<u32>(word, load<u32>(word) | bit);
  } else {
    store<u32>(word, load<u32>(word) & ~bit);
  }
  store<u32>(at, failures, WINDOW_FAILURES);
  store<u32>(at, index + 1 == calls ? 0 : index + 1, WINDOW_AT);
  return (
    filled >= load<u32>(at, CALLS_MIN) && failures * RATE_MILLI_MAX >= load<u32>(at, RATE_MILLI) * filled
  );
}
