/**
 * How long to wait before another attempt. The wait grows with the failures so far, up to a cap, and is drawn at random so that clients that failed
 * together do not come back together (Brooker, "Exponential Backoff and Jitter", AWS 2015).
 *
 *   backoff   0 exponential  base, 2 base, 4 base ...     2 linear     base, 2 base, 3 base ...
 *             1 constant     base, base ...               3 Fibonacci  base, base, 2 base, 3 base, 5 base ...
 *   jitter    0 none   the whole wait      1 full   uniform in 0 .. wait      2 equal   half, and a uniform half
 *             3 decorrelated   uniform in base .. 3 times the wait before; needs no backoff
 *
 * The caller brings 32 random bits; scaling is one multiplication. Waits are u32 microseconds (71 minutes at most).
 *
 *   +0 baseUs u32   +4 capUs u32   +8 attemptsMax u32 (0: no end)   +12 backoff u16   +14 jitter u16   +16 lastUs u32   +20 unused
 */
import { ARGUMENT, RETRIES_EXHAUSTED } from "../errors/codes.generated";

export const RETRY_BYTES: usize = 24;

export const BACKOFF_EXPONENTIAL: u32 = 0;
export const BACKOFF_CONSTANT: u32 = 1;
export const BACKOFF_LINEAR: u32 = 2;
export const BACKOFF_FIBONACCI: u32 = 3;

export const JITTER_NONE: u32 = 0;
export const JITTER_FULL: u32 = 1;
export const JITTER_EQUAL: u32 = 2;
export const JITTER_DECORRELATED: u32 = 3;

/** 0 or -ARGUMENT: no base, a cap below it, an unknown backoff or jitter. */
export function retryInit(
  at: usize,
  backoff: u32,
  baseUs: u32,
  capUs: u32,
  attemptsMax: u32,
  jitter: u32,
): i32 {
  if (baseUs == 0 || capUs < baseUs || backoff > BACKOFF_FIBONACCI || jitter > JITTER_DECORRELATED) {
    return -ARGUMENT;
  }
  store<u32>(at, baseUs);
  store<u32>(at, capUs, 4);
  store<u32>(at, attemptsMax, 8);
  store<u16>(at, <u16>backoff, 12);
  store<u16>(at, <u16>jitter, 14);
  store<u32>(at, baseUs, 16);
  return 0;
}

/** Microseconds to wait after `failures` failed attempts (1 at first), or -RETRIES_EXHAUSTED. */
export function retryNext(at: usize, failures: u32, random: u32): i64 {
  const attemptsMax = load<u32>(at, 8);
  if (attemptsMax != 0 && failures >= attemptsMax) return <i64>-RETRIES_EXHAUSTED;
  const baseUs = load<u32>(at);
  const lastUs = failures <= 1 ? baseUs : load<u32>(at, 16);
  const jitter = <u32>load<u16>(at, 14);
  const waitUs = backoffUs(
    <u32>load<u16>(at, 12),
    baseUs,
    load<u32>(at, 4),
    failures,
    jitter,
    random,
    lastUs,
  );
  store<u32>(at, waitUs, 16);
  return <i64>waitUs;
}

/** The wait alone, for callers that keep no struct; `lastUs` is the wait before this one (the base at first) and only decorrelated jitter asks for it. */
export function backoffUs(
  backoff: u32,
  baseUs: u32,
  capUs: u32,
  failures: u32,
  jitter: u32,
  random: u32,
  lastUs: u32,
): u32 {
  if (jitter == JITTER_DECORRELATED) {
    const spanUs = max<u64>(<u64>lastUs * 3, <u64>baseUs) - <u64>baseUs;
    // Three times 32 bits times 32 bits is more than 64: by halves.
    const drawnUs = (spanUs >> 32) * <u64>random + (((spanUs & 0xffff_ffff) * <u64>random) >> 32);
    return <u32>min<u64>(<u64>baseUs + drawnUs, <u64>capUs);
  }
  const wait = waitOf(backoff, baseUs, capUs, failures);
  if (jitter == JITTER_NONE) return wait;
  if (jitter == JITTER_FULL) return scale(wait, random);
  const half = wait >> 1;
  return half + scale(wait - half, random);
}

/**
 * Attempts that are worth making while of the last `calls` attempts `failures` failed: all of them when every one succeeds, the first alone when
 * none does, as retries help only against faults that pass. Below `callsMin` calls there is nothing to go by.
 */
export function adaptiveAttempts(attemptsMax: u32, calls: u32, failures: u32, callsMin: u32): u32 {
  if (attemptsMax <= 1 || calls < callsMin || calls == 0) return attemptsMax;
  const succeeded = <u64>(calls - min<u32>(failures, calls));
  const retries = (<u64>(attemptsMax - 1) * succeeded + <u64>calls - 1) / <u64>calls;
  return 1 + <u32>retries;
}

function waitOf(backoff: u32, baseUs: u32, capUs: u32, failures: u32): u32 {
  if (backoff == BACKOFF_CONSTANT) return baseUs;
  const steps: u32 = failures == 0 ? 1 : failures;
  if (backoff == BACKOFF_LINEAR) return <u32>min<u64>(<u64>baseUs * <u64>steps, <u64>capUs);
  if (backoff == BACKOFF_FIBONACCI) return fibonacci(baseUs, capUs, steps);
  // Beyond 31 doublings any base is beyond u32.
  if (steps > 32) return capUs;
  const doublings = <u64>steps - 1;
  return <u32>min<u64>((<u64>baseUs) << doublings, <u64>capUs);
}

/** Grows by 1.6 a step, so the loop ends at the cap after 46 of them at most. */
function fibonacci(baseUs: u32, capUs: u32, steps: u32): u32 {
  const cap = <u64>capUs;
  let before: u64 = 0;
  let wait = <u64>baseUs;
  for (let step: u32 = 1; step < steps && wait < cap; ++step) {
    const next = before + wait;
    before = wait;
    wait = next;
  }
  return <u32>min<u64>(wait, cap);
}

/** Uniform in 0 .. span, from 32 random bits. */
function scale(span: u32, random: u32): u32 {
  return <u32>((<u64>span * <u64>random) >> 32);
}
