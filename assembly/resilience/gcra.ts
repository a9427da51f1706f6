/**
 * GCRA, the generic cell rate algorithm (ITU-T I.371, annex A, virtual scheduling): one number, the theoretical arrival time (TAT) of the next
 * token, decides. It is the leaky bucket as a meter: the bucket is empty when the TAT has passed and overflows when the TAT lies `burst` tokens
 * ahead. Its decisions are the token bucket's; its state is smaller, and it also says how long a queue would be (gcraReserve).
 *
 * The time of a token, period / limit, is no whole number of microseconds, and a rounded one drifts. So times are kept as microseconds
 * and a fraction in 1/limit: sums and comparisons are exact, and a decision about one token divides nothing.
 *
 *   +0 tatUs u64   +8 stepUs u64   +16 spanUs u64   +24 tatPart u32   +28 stepPart u32   +32 spanPart u32   +36 limit u32   +40 periodUs u32
 *   a token takes step; span is burst tokens' time; parts are below limit
 */
import { ARGUMENT, RATE_LIMITED } from "../errors/codes.generated";

export const GCRA_BYTES: usize = 48;

const TAT_US: usize = 0;
const STEP_US: usize = 8;
const SPAN_US: usize = 16;
const TAT_PART: usize = 24;
const STEP_PART: usize = 28;
const SPAN_PART: usize = 32;
const LIMIT: usize = 36;
const PERIOD_US: usize = 40;
/** The latest time there is. */
const TIME_MAX: u64 = 0x7fff_ffff_ffff_ffff;
/** The TAT lies a span beyond now at most, and a schedule that is asked for another beyond that: all below 2^64. */
const SPAN_MAX: u64 = 0x3fff_ffff_ffff_fffe;

/** 0, or -ARGUMENT when a number is 0 or the burst takes 2^62 microseconds or more. An empty bucket, whenever its first token is asked for. */
export function gcraInit(at: usize, limit: u32, periodUs: u32, burst: u32): i32 {
  if (limit == 0 || periodUs == 0 || burst == 0) return -ARGUMENT;
  const span = <u64>burst * <u64>periodUs;
  store<u64>(at, 0, TAT_US);
  store<u32>(at, 0, TAT_PART);
  store<u64>(at, <u64>(periodUs / limit), STEP_US);
  store<u32>(at, periodUs % limit, STEP_PART);
  // Some 146,000 years: no rate that anybody waits for.
  if (span / <u64>limit > SPAN_MAX) return -ARGUMENT;
  store<u64>(at, span / <u64>limit, SPAN_US);
  store<u32>(at, <u32>(span % <u64>limit), SPAN_PART);
  store<u32>(at, limit, LIMIT);
  store<u32>(at, periodUs, PERIOD_US);
  return 0;
}

/** The TAT after `tokens` more, in nextUs and nextPart. */
let nextUs: u64 = 0;
let nextPart: u32 = 0;

/** max(TAT, now) + tokens: the virtual schedule's next time. */
function schedule(at: usize, tokens: u32, nowUs: u64): void {
  const limit = load<u32>(at, LIMIT);
  const tatUs = load<u64>(at, TAT_US);
  const isIdle = tatUs < nowUs;
  const fromUs = isIdle ? nowUs : tatUs;
  const fromPart: u32 = isIdle ? 0 : load<u32>(at, TAT_PART);
  let stepUs = load<u64>(at, STEP_US);
  let stepPart = load<u32>(at, STEP_PART);
  if (tokens != 1) {
    const whole = <u64>tokens * <u64>load<u32>(at, PERIOD_US);
    stepUs = whole / <u64>limit;
    stepPart = <u32>(whole % <u64>limit);
  }
  const part = <u64>fromPart + <u64>stepPart;
  const carries = part >= <u64>limit;
  nextUs = fromUs + stepUs + (carries ? 1 : 0);
  nextPart = <u32>(carries ? part - <u64>limit : part);
}

/** Whether the schedule lies beyond the span from now: the bucket would overflow. */
function overflows(at: usize, nowUs: u64): bool {
  const edgeUs = nowUs + load<u64>(at, SPAN_US);
  if (nextUs != edgeUs) return nextUs > edgeUs;
  return nextPart > load<u32>(at, SPAN_PART);
}

/** Whether the bucket can ever hold so many. */
function fits(at: usize, tokens: u32): bool {
  const needUs = <u64>tokens * <u64>load<u32>(at, PERIOD_US);
  const limit = <u64>load<u32>(at, LIMIT);
  const us = needUs / limit;
  const spanUs = load<u64>(at, SPAN_US);
  return us < spanUs || (us == spanUs && <u32>(needUs % limit) <= load<u32>(at, SPAN_PART));
}

/** Takes `tokens` at once. 0, -RATE_LIMITED (nothing is taken), or -ARGUMENT for more than the burst or a time beyond 2^63. */
export function gcraTake(at: usize, tokens: u32, nowUs: u64): i32 {
  if (nowUs > TIME_MAX) return -ARGUMENT;
  if (tokens == 0) return 0;
  schedule(at, tokens, nowUs);
  if (overflows(at, nowUs)) return tokens == 1 || fits(at, tokens) ? -RATE_LIMITED : -ARGUMENT;
  store<u64>(at, nextUs, TAT_US);
  store<u32>(at, nextPart, TAT_PART);
  return 0;
}

/**
 * The leaky bucket as a queue: a place for `tokens`, and how many microseconds to wait for it, so that what comes in bursts leaves evenly. The
 * negative of a code where gcraTake gives one.
 */
export function gcraReserve(at: usize, tokens: u32, nowUs: u64): i64 {
  const tatUs = load<u64>(at, TAT_US);
  const waitUs = tatUs < nowUs ? 0 : tatUs - nowUs + (load<u32>(at, TAT_PART) > 0 ? 1 : 0);
  const status = gcraTake(at, tokens, nowUs);
  return status == 0 ? <i64>waitUs : <i64>status;
}

/** Microseconds until `tokens` could be taken, 0 when now. */
export function gcraWaitUs(at: usize, tokens: u32, nowUs: u64): u64 {
  schedule(at, tokens, nowUs);
  if (tokens == 0 || !overflows(at, nowUs)) return 0;
  const edgeUs = nowUs + load<u64>(at, SPAN_US);
  return nextUs - edgeUs + (nextPart > load<u32>(at, SPAN_PART) ? 1 : 0);
}

/** Whole tokens that could be taken at once now. Divides. */
export function gcraRemaining(at: usize, nowUs: u64): u32 {
  const limit = <u64>load<u32>(at, LIMIT);
  let freeUs = load<u64>(at, SPAN_US);
  let freePart = <i64>load<u32>(at, SPAN_PART);
  const tatUs = load<u64>(at, TAT_US);
  if (tatUs >= nowUs) {
    const usedUs = tatUs - nowUs;
    if (usedUs > freeUs) return 0;
    freeUs -= usedUs;
    freePart -= <i64>load<u32>(at, TAT_PART);
  }
  // Together burst * period at most; it may be below zero by a part.
  const free = <i64>(freeUs * limit) + freePart;
  return free <= 0 ? 0 : <u32>(<u64>free / <u64>load<u32>(at, PERIOD_US));
}

/** Microseconds until the bucket is as at the start. */
export function gcraResetUs(at: usize, nowUs: u64): u64 {
  const tatUs = load<u64>(at, TAT_US);
  const part: u64 = load<u32>(at, TAT_PART) > 0 ? 1 : 0;
  return tatUs + part <= nowUs ? 0 : tatUs + part - nowUs;
}
