/**
 * Rate limiters of every kind behind one set of calls, for who chooses the kind when it runs. The kinds and what sets them apart:
 *
 *   0 token bucket     a rate, and what was saved up at once     2 fixed window     at most limit a window, twice that around a boundary
 *   1 GCRA             the same decisions, and a queue's wait    3 sliding counter  an estimate over the last period
 *                                                                4 sliding log      at most limit in any period, exactly
 *
 *   +0 kind u32   +4 granted u32   +8 refused u32 (they wrap around)   +12 limit u32   +16 the kind's own struct
 */
import { ARGUMENT, RATE_LIMITED } from "../errors/codes.generated";
import { GCRA_BYTES, gcraInit, gcraRemaining, gcraReserve, gcraResetUs, gcraTake, gcraWaitUs } from "./gcra";
import { logInit, logRemaining, logResetUs, logTake, logWaitUs } from "./sliding-log";
import { bucketInit, bucketTake, bucketTokens, bucketWaitUs } from "./token-bucket";
import {
  fixedRemaining,
  fixedResetUs,
  fixedTake,
  fixedWaitUs,
  slidingRemaining,
  slidingResetUs,
  slidingTake,
  slidingWaitUs,
  windowInit,
} from "./window";

const HEADER_BYTES: usize = 16;
export const LIMITER_BYTES: usize = HEADER_BYTES + GCRA_BYTES;

export const TOKEN_BUCKET: u32 = 0;
export const GCRA: u32 = 1;
export const FIXED_WINDOW: u32 = 2;
export const SLIDING_COUNTER: u32 = 3;
export const SLIDING_LOG: u32 = 4;

/** What a bucket or GCRA may hold at once; the limit of the others. */
function most(at: usize): u32 {
  return load<u32>(at, 12);
}

/**
 * `burst` counts for kinds 0 and 1; `entries` (limit * 8 bytes) for kind 4. 0, or -ARGUMENT.
 */
export function limiterInit(
  at: usize,
  kind: u32,
  limit: u32,
  periodUs: u32,
  burst: u32,
  entries: usize,
  nowUs: u64,
): i32 {
  const own = at + HEADER_BYTES;
  store<u32>(at, kind);
  store<u64>(at, 0, 4);
  store<u32>(at, kind <= GCRA ? burst : limit, 12);
  if (kind == TOKEN_BUCKET) return bucketInit(own, limit, periodUs, burst, nowUs);
  if (kind == GCRA) return gcraInit(own, limit, periodUs, burst);
  if (kind == FIXED_WINDOW || kind == SLIDING_COUNTER) return windowInit(own, limit, periodUs, nowUs);
  return kind == SLIDING_LOG ? logInit(own, limit, periodUs, entries) : -ARGUMENT;
}

function take(at: usize, tokens: u32, nowUs: u64): i32 {
  const own = at + HEADER_BYTES;
  const kind = load<u32>(at);
  if (kind == TOKEN_BUCKET) return bucketTake(own, tokens, nowUs);
  if (kind == GCRA) return gcraTake(own, tokens, nowUs);
  if (kind == FIXED_WINDOW) return fixedTake(own, tokens, nowUs);
  return kind == SLIDING_COUNTER ? slidingTake(own, tokens, nowUs) : logTake(own, tokens, nowUs);
}

function counted(at: usize, status: i32, tokens: u32): void {
  if (status >= 0) store<u32>(at, load<u32>(at, 4) + tokens, 4);
  else if (status == -RATE_LIMITED) store<u32>(at, load<u32>(at, 8) + 1, 8);
}

/** Takes `tokens` at once. 0, -RATE_LIMITED (nothing is taken), or -ARGUMENT for more than it can ever give at once. */
export function limiterTake(at: usize, tokens: u32, nowUs: u64): i32 {
  const status = take(at, tokens, nowUs);
  counted(at, status, tokens);
  return status;
}

/** GCRA only: a place in the queue, and the microseconds to wait for it. The negative of a code else. */
export function limiterReserve(at: usize, tokens: u32, nowUs: u64): i64 {
  if (load<u32>(at) != GCRA) return -ARGUMENT;
  const waitUs = gcraReserve(at + HEADER_BYTES, tokens, nowUs);
  counted(at, waitUs < 0 ? <i32>waitUs : 0, tokens);
  return waitUs;
}

/** Tokens that could be taken at once now. */
export function limiterRemaining(at: usize, nowUs: u64): u32 {
  const own = at + HEADER_BYTES;
  const kind = load<u32>(at);
  if (kind == TOKEN_BUCKET) return bucketTokens(own, nowUs);
  if (kind == GCRA) return gcraRemaining(own, nowUs);
  if (kind == FIXED_WINDOW) return fixedRemaining(own, nowUs);
  return kind == SLIDING_COUNTER ? slidingRemaining(own, nowUs) : logRemaining(own, nowUs);
}

/** Microseconds until it is as if nothing had been taken. */
export function limiterResetUs(at: usize, nowUs: u64): u64 {
  const own = at + HEADER_BYTES;
  const kind = load<u32>(at);
  if (kind == TOKEN_BUCKET) return bucketWaitUs(own, most(at), nowUs);
  if (kind == GCRA) return gcraResetUs(own, nowUs);
  if (kind == FIXED_WINDOW) return fixedResetUs(own, nowUs);
  return kind == SLIDING_COUNTER ? slidingResetUs(own, nowUs) : logResetUs(own, nowUs);
}

/** Microseconds until `tokens` could be taken if nobody else took any; u64.MAX_VALUE for more than it can ever give at once. */
export function limiterWaitUs(at: usize, tokens: u32, nowUs: u64): u64 {
  if (tokens > most(at)) return u64.MAX_VALUE;
  const own = at + HEADER_BYTES;
  const kind = load<u32>(at);
  if (kind == TOKEN_BUCKET) return bucketWaitUs(own, tokens, nowUs);
  if (kind == GCRA) return gcraWaitUs(own, tokens, nowUs);
  if (kind == FIXED_WINDOW) return fixedWaitUs(own, tokens, nowUs);
  return kind == SLIDING_COUNTER ? slidingWaitUs(own, tokens, nowUs) : logWaitUs(own, tokens, nowUs);
}

export function limiterGranted(at: usize): u32 {
  return load<u32>(at, 4);
}
export function limiterRefused(at: usize): u32 {
  return load<u32>(at, 8);
}
