/**
 * Sliding log: at most `limit` in any span of `periodUs`, exactly, at the price of remembering when each was: 8 bytes a token. What the
 * windows estimate it knows; for small limits where a wrong answer costs something.
 *
 *   +0 entries u32 (address of limit * 8 bytes)   +4 limit u32   +8 periodUs u32   +12 first u32 (oldest)   +16 count u32
 *   entries: a ring of times (u64), oldest first; a token taken at t counts until t + period
 */
import { ARGUMENT, RATE_LIMITED } from "../errors/codes.generated";

export const LOG_BYTES: usize = 24;
/** Half a megabyte of times. */
export const LOG_LIMIT_MAX: u32 = 65536;

const ENTRIES: usize = 0;
const LIMIT: usize = 4;
const PERIOD_US: usize = 8;
const FIRST: usize = 12;
const COUNT: usize = 16;

/** `entries` has room for `limit` u64. 0, or -ARGUMENT. */
export function logInit(at: usize, limit: u32, periodUs: u32, entries: usize): i32 {
  if (limit == 0 || limit > LOG_LIMIT_MAX || periodUs == 0 || entries == 0) return -ARGUMENT;
  store<u32>(at, <u32>entries, ENTRIES);
  store<u32>(at, limit, LIMIT);
  store<u32>(at, periodUs, PERIOD_US);
  store<u32>(at, 0, FIRST);
  store<u32>(at, 0, COUNT);
  return 0;
}

function entry(at: usize, index: u32): usize {
  const limit = load<u32>(at, LIMIT);
  let place = load<u32>(at, FIRST) + index;
  if (place >= limit) place -= limit;
  return <usize>load<u32>(at, ENTRIES) + ((<usize>place) << 3);
}

/** Forgets what counts no more. */
function expire(at: usize, nowUs: u64): void {
  const period = <u64>load<u32>(at, PERIOD_US);
  while (load<u32>(at, COUNT) > 0 && load<u64>(entry(at, 0)) + period <= nowUs) {
    const first = load<u32>(at, FIRST) + 1;
    store<u32>(at, first == load<u32>(at, LIMIT) ? 0 : first, FIRST);
    store<u32>(at, load<u32>(at, COUNT) - 1, COUNT);
  }
}

export function logTake(at: usize, tokens: u32, nowUs: u64): i32 {
  const limit = load<u32>(at, LIMIT);
  if (tokens > limit) return -ARGUMENT;
  expire(at, nowUs);
  const count = load<u32>(at, COUNT);
  if (tokens > limit - count) return -RATE_LIMITED;
  // A clock that goes back must not put a time before the ones that are there.
  const lastUs = count == 0 ? 0 : load<u64>(entry(at, count - 1));
  for (let token: u32 = 0; token < tokens; ++token)
    store<u64>(entry(at, count + token), max<u64>(nowUs, lastUs));
  store<u32>(at, count + tokens, COUNT);
  return 0;
}

export function logRemaining(at: usize, nowUs: u64): u32 {
  expire(at, nowUs);
  return load<u32>(at, LIMIT) - load<u32>(at, COUNT);
}

/** Until the token that is the n-th to expire does. */
function untilExpired(at: usize, index: u32, nowUs: u64): u64 {
  return load<u64>(entry(at, index)) + <u64>load<u32>(at, PERIOD_US) - nowUs;
}

export function logResetUs(at: usize, nowUs: u64): u64 {
  expire(at, nowUs);
  const count = load<u32>(at, COUNT);
  return count == 0 ? 0 : untilExpired(at, count - 1, nowUs);
}

export function logWaitUs(at: usize, tokens: u32, nowUs: u64): u64 {
  const remaining = logRemaining(at, nowUs);
  if (tokens <= remaining) return 0;
  return untilExpired(at, min<u32>(tokens - remaining, load<u32>(at, COUNT)) - 1, nowUs);
}
