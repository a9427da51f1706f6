/**
 * Which traces are kept, decided when they begin, alike on every machine that sees the same trace.
 *
 * Consistent probability sampling (OpenTelemetry, OTEP 235): the last 56 bits of a W3C trace id are random (Trace Context level 2), or `rv` gives 56
 * others, R. A share p of all traces has R >= T, where T = 2^56 * (1 - p) is the threshold that tracestate carries as `th`. So a trace that is kept at
 * one share is kept at every larger one, and nobody needs to ask anybody.
 *
 *   ratio      R >= T
 *   rate       R >= T, and a token of GCRA (resilience/gcra.ts) is there: a bound that holds, at the price of consistency, so for roots only
 *   adaptive   R >= T, and once a period T is set so that about `target` traces would have been kept of as many as the period saw; the share
 *              at most doubles or halves each period, and each period without a trace doubles it. One division a period, no float.
 *
 *   ratio      +0 threshold u64 (0 to 2^56)
 *   rate       +0 threshold u64   +8 gcra
 *   adaptive   +0 threshold u64   +8 periodUs u64   +16 endUs u64 (0: not begun)   +24 share u64 (of 2^32)   +32 target u32   +36 shareMin u32   +40 seen u32
 */
import { ARGUMENT } from "../errors/codes.generated";
import { GCRA_BYTES, gcraInit, gcraTake } from "../resilience/gcra";

export const RATIO_BYTES: usize = 8;
export const RATE_BYTES: usize = 8 + GCRA_BYTES;
export const ADAPTIVE_BYTES: usize = 48;

const RANDOM_BITS: u64 = 56;
const ALWAYS_SHARE: u64 = 1 << 32;
/** The high half of the random part holds 24 bits; what stands above them in a trace id is not random. */
const HIGH_MASK: u32 = 0xff_ffff;
/** Doublings that take the smallest share to the largest. */
const DOUBLINGS: u64 = 32;

/** ratio: the share that is kept, 0 to 1; one above 0 keeps at least one trace in 2^56. 0, or -ARGUMENT. */
export function samplerRatioInit(at: usize, ratio: f64): i32 {
  // Written so that a NaN fails.
  if (!(ratio >= 0 && ratio <= 1)) return -ARGUMENT;
  const all: f64 = <f64>((<u64>1) << RANDOM_BITS);
  const kept = <u64>(ratio * all + 0.5);
  store<u64>(at, ((<u64>1) << RANDOM_BITS) - (kept == 0 && ratio > 0 ? 1 : kept));
  return 0;
}

/**
 * Whether the trace is kept, 1 or 0. `high` and `low` are the last 64 bits of its id, or of `rv`, in two halves, the upper eight bits of
 * which do not count.
 */
export function samplerRatio(at: usize, high: u32, low: u32): i32 {
  const random = ((<u64>(high & HIGH_MASK)) << 32) | <u64>low;
  return random >= load<u64>(at) ? 1 : 0;
}

/** The threshold T, 0 to 2^56. */
export function samplerThreshold(at: usize): u64 {
  return load<u64>(at);
}

/** As ratio, and at most `limit` traces each `periodUs`, in bursts of at most `burst`. 0, or -ARGUMENT. */
export function samplerRateInit(at: usize, ratio: f64, limit: u32, periodUs: u32, burst: u32): i32 {
  const status = gcraInit(at + 8, limit, periodUs, burst);
  return status != 0 ? status : samplerRatioInit(at, ratio);
}

/** 1 or 0; a time beyond 2^63 keeps nothing. */
export function samplerRate(at: usize, high: u32, low: u32, nowUs: u64): i32 {
  return samplerRatio(at, high, low) == 1 && gcraTake(at + 8, 1, nowUs) == 0 ? 1 : 0;
}

/** About `target` traces each `periodUs`, both above 0; never less than `shareMin` of 2^32 of them, at least 1. Starts with all. 0, or -ARGUMENT. */
export function samplerAdaptiveInit(at: usize, target: u32, periodUs: u64, shareMin: u32): i32 {
  if (target == 0 || periodUs == 0 || shareMin == 0) return -ARGUMENT;
  store<u64>(at, periodUs, 8);
  store<u64>(at, 0, 16);
  store<u32>(at, target, 32);
  store<u32>(at, shareMin, 36);
  store<u32>(at, 0, 40);
  setShare(at, ALWAYS_SHARE);
  return 0;
}

/** 1 or 0. A time before the period that runs counts as in it. */
export function samplerAdaptive(at: usize, high: u32, low: u32, nowUs: u64): i32 {
  const endUs = load<u64>(at, 16);
  if (nowUs >= endUs) {
    const periodUs = load<u64>(at, 8);
    // Later than a period after the end: periods without a trace lie between.
    if (endUs != 0) adapt(at, nowUs - endUs < periodUs ? 0 : (nowUs - endUs) / periodUs);
    const nextUs = nowUs + periodUs;
    store<u64>(at, nextUs < nowUs ? u64.MAX_VALUE : nextUs, 16);
    store<u32>(at, 0, 40);
  }
  const seen = load<u32>(at, 40);
  if (seen != u32.MAX_VALUE) store<u32>(at, seen + 1, 40);
  return samplerRatio(at, high, low);
}

/** The share that is kept now, of 2^32. */
export function samplerShare(at: usize): u64 {
  return load<u64>(at, 24);
}

function adapt(at: usize, idlePeriods: u64): void {
  const share = load<u64>(at, 24);
  const seen = <u64>load<u32>(at, 40);
  const target = <u64>load<u32>(at, 32);
  const wanted: u64 = seen <= target ? ALWAYS_SHARE : (target << 32) / seen;
  const next = min<u64>(max<u64>(max<u64>(wanted, share >> 1), <u64>load<u32>(at, 36)), share << 1);
  // At most 2^32, shifted by at most 31.
  setShare(at, idlePeriods >= DOUBLINGS ? ALWAYS_SHARE : next << idlePeriods);
}

function setShare(at: usize, share: u64): void {
  const next = min<u64>(max<u64>(share, <u64>load<u32>(at, 36)), ALWAYS_SHARE);
  store<u64>(at, next, 24);
  store<u64>(at, ((<u64>1) << RANDOM_BITS) - (next << (RANDOM_BITS - 32)));
}
