/**
 * Rate limits by windows of `periodUs`, which begin when the limiter is made.
 *
 * Fixed window: at most `limit` in each. Cheap and easily explained; but twice the limit may pass around a boundary.
 *
 * Sliding counter (as Cloudflare counts, "How we built rate limiting capable of scaling to millions of domains", 2017): of the window before
 * counts the share that still lies within the last period, as if its requests had been spread evenly. An estimate, by integers: at
 * most `limit` by it, and in truth at most twice in the worst case, some percent off in the usual.
 *
 *   +0 startUs u64   +8 limit u32   +12 periodUs u32   +16 count u32   +20 before u32
 */
import { ARGUMENT, RATE_LIMITED } from "../errors/codes.generated";

export const WINDOW_BYTES: usize = 24;

const START_US: usize = 0;
const LIMIT: usize = 8;
const PERIOD_US: usize = 12;
const COUNT: usize = 16;
const BEFORE: usize = 20;

/** 0, or -ARGUMENT when a number is 0. */
export function windowInit(at: usize, limit: u32, periodUs: u32, nowUs: u64): i32 {
  if (limit == 0 || periodUs == 0) return -ARGUMENT;
  store<u64>(at, nowUs, START_US);
  store<u32>(at, limit, LIMIT);
  store<u32>(at, periodUs, PERIOD_US);
  store<u32>(at, 0, COUNT);
  store<u32>(at, 0, BEFORE);
  return 0;
}

/** Begins the window of now, when another has begun since. A clock that goes back stays in its window. */
function roll(at: usize, nowUs: u64): void {
  const start = load<u64>(at, START_US);
  const period = <u64>load<u32>(at, PERIOD_US);
  if (nowUs < start || nowUs - start < period) return;
  const isNext = nowUs - start < period * 2;
  store<u32>(at, isNext ? load<u32>(at, COUNT) : 0, BEFORE);
  store<u32>(at, 0, COUNT);
  store<u64>(at, isNext ? start + period : nowUs - ((nowUs - start) % period), START_US);
}

function elapsedUs(at: usize, nowUs: u64): u64 {
  const start = load<u64>(at, START_US);
  return nowUs < start ? 0 : nowUs - start;
}

export function fixedTake(at: usize, tokens: u32, nowUs: u64): i32 {
  const limit = load<u32>(at, LIMIT);
  if (tokens > limit) return -ARGUMENT;
  roll(at, nowUs);
  const count = load<u32>(at, COUNT);
  if (tokens > limit - count) return -RATE_LIMITED;
  store<u32>(at, count + tokens, COUNT);
  return 0;
}

export function fixedRemaining(at: usize, nowUs: u64): u32 {
  roll(at, nowUs);
  return load<u32>(at, LIMIT) - load<u32>(at, COUNT);
}

/** Until the next window, when something was taken in this one. */
export function fixedResetUs(at: usize, nowUs: u64): u64 {
  roll(at, nowUs);
  return load<u32>(at, COUNT) == 0 ? 0 : <u64>load<u32>(at, PERIOD_US) - elapsedUs(at, nowUs);
}

export function fixedWaitUs(at: usize, tokens: u32, nowUs: u64): u64 {
  return tokens <= fixedRemaining(at, nowUs) ? 0 : fixedResetUs(at, nowUs);
}

/** What the window before and this one weigh now, times the period. */
function weight(at: usize, nowUs: u64): u64 {
  const period = <u64>load<u32>(at, PERIOD_US);
  return <u64>load<u32>(at, BEFORE) * (period - elapsedUs(at, nowUs)) + <u64>load<u32>(at, COUNT) * period;
}

export function slidingTake(at: usize, tokens: u32, nowUs: u64): i32 {
  const limit = load<u32>(at, LIMIT);
  if (tokens > limit) return -ARGUMENT;
  if (slidingRoom(at, nowUs) < <u64>tokens * <u64>load<u32>(at, PERIOD_US)) return -RATE_LIMITED;
  store<u32>(at, load<u32>(at, COUNT) + tokens, COUNT);
  return 0;
}

/** What may still be taken, times the period. */
function slidingRoom(at: usize, nowUs: u64): u64 {
  roll(at, nowUs);
  const most = <u64>load<u32>(at, LIMIT) * <u64>load<u32>(at, PERIOD_US);
  const used = weight(at, nowUs);
  return used >= most ? 0 : most - used;
}

export function slidingRemaining(at: usize, nowUs: u64): u32 {
  return <u32>(slidingRoom(at, nowUs) / <u64>load<u32>(at, PERIOD_US));
}

/** Until nothing weighs any more: the end of the window after the last that something was taken in. */
export function slidingResetUs(at: usize, nowUs: u64): u64 {
  roll(at, nowUs);
  const left = <u64>load<u32>(at, PERIOD_US) - elapsedUs(at, nowUs);
  if (load<u32>(at, COUNT) > 0) return left + <u64>load<u32>(at, PERIOD_US);
  return load<u32>(at, BEFORE) > 0 ? left : 0;
}

/** Until `tokens` could be taken if nothing else were. */
export function slidingWaitUs(at: usize, tokens: u32, nowUs: u64): u64 {
  const need = <u64>tokens * <u64>load<u32>(at, PERIOD_US);
  const room = slidingRoom(at, nowUs);
  if (need <= room) return 0;
  const period = <u64>load<u32>(at, PERIOD_US);
  const most = <u64>load<u32>(at, LIMIT) * period;
  const left = period - elapsedUs(at, nowUs);
  const count = load<u32>(at, COUNT);
  const before = load<u32>(at, BEFORE);
  // In this window only the one before loses weight, a token's for each period / before. Where this one's leaves room, it is the one before that takes it.
  if (need + <u64>count * period <= most) {
    return (<u64>before * left + <u64>count * period + need - most + <u64>before - 1) / <u64>before;
  }
  // In the next one this one does, from its whole weight on.
  const over = <u64>count * period + need - most;
  return left + (over + <u64>count - 1) / <u64>count;
}
