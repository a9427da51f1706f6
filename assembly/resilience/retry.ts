/**
 * Exponential backoff with jitter (Brooker, "Exponential Backoff and Jitter", AWS 2015): waits double up to a cap, and are
 * drawn at random so that clients that failed together do not come back together.
 *
 *   none   the whole wait        full   uniform in 0 .. wait        equal   half, and a uniform half
 *
 * The caller brings 32 random bits; scaling is one multiplication. Delays are u32 microseconds (71 minutes at most).
 *
 *   +0 baseUs u32   +4 capUs u32   +8 attemptsMax u32 (0: no end)   +12 jitter u32
 */
import { ARGUMENT, RETRIES_EXHAUSTED } from "../errors/codes.generated";

export const RETRY_BYTES: usize = 16;

export const JITTER_NONE: u32 = 0;
export const JITTER_FULL: u32 = 1;
export const JITTER_EQUAL: u32 = 2;

/** 0 or -ARGUMENT: no base, a cap below it, an unknown jitter. */
export function retryInit(at: usize, baseUs: u32, capUs: u32, attemptsMax: u32, jitter: u32): i32 {
  if (baseUs == 0 || capUs < baseUs || jitter > JITTER_EQUAL) return -ARGUMENT;
  store<u32>(at, baseUs);
  store<u32>(at, capUs, 4);
  store<u32>(at, attemptsMax, 8);
  store<u32>(at, jitter, 12);
  return 0;
}

/** Microseconds to wait after `failures` failed attempts (1 at first), or -RETRIES_EXHAUSTED. */
export function retryNext(at: usize, failures: u32, random: u32): i64 {
  const attemptsMax = load<u32>(at, 8);
  if (attemptsMax != 0 && failures >= attemptsMax) return <i64>-RETRIES_EXHAUSTED;
  return <i64>backoffUs(load<u32>(at), load<u32>(at, 4), failures, load<u32>(at, 12), random);
}

/** The wait alone, for callers that keep no struct. */
export function backoffUs(baseUs: u32, capUs: u32, failures: u32, jitter: u32, random: u32): u32 {
  const doublings = failures == 0 ? 0 : failures - 1;
  // Beyond 31 doublings any base is beyond u32.
  const wait = doublings > 31 ? capUs : <u32>min<u64>((<u64>baseUs) << (<u64>doublings), <u64>capUs);
  if (jitter == JITTER_NONE) return wait;
  if (jitter == JITTER_FULL) return scale(wait, random);
  const half = wait >> 1;
  return half + scale(wait - half, random);
}

/** Uniform in 0 .. span, from 32 random bits. */
function scale(span: u32, random: u32): u32 {
  return <u32>((<u64>span * <u64>random) >> 32);
}
