/**
 * Client-side adaptive throttling (Beyer et al., "Site Reliability Engineering", 2016, ch. 21, "Client-Side Throttling"): a breaker without
 * states. Once the other side accepts less than a K-th of what is asked of it, calls are refused here with the probability
 *
 *     max(0, (requests - K * accepts) / (requests + 1))
 *
 * over a window of time, so that it gets about K times what it can take and finds out at once when it is well again. A call that is refused here
 * counts as a request at once, any other when its end is known, once: `throttleAccepted` or `throttleRejected`. What is still out counts as
 * nothing, so a service that accepts all is never refused a call, however many are out at once; nor does what ends without a verdict (cancelled),
 * which is simply not told. The price: a burst at the begin goes out whole, whatever comes of it; a bulkhead bounds that.
 * The caller brings 32 random bits a decision.
 *
 *   +0 kMilli u32   +4 refused u32   +8 the window of outcomes.ts, by time: calls are requests, failures stand for accepts
 */
import { ARGUMENT, THROTTLED } from "../errors/codes.generated";
import {
  OUTCOMES_BYTES_MAX,
  outcomesAdd,
  outcomesByTime,
  outcomesBytesByTime,
  outcomesCalls,
  outcomesFailures,
  outcomesRoll,
} from "./outcomes";

const WINDOW: usize = 8;
export const THROTTLE_BYTES_MAX: usize = WINDOW + OUTCOMES_BYTES_MAX;

const K_MILLI_MAX: u32 = 100_000;
/** Keeps the products below 2^64: 2^20 requests times 2^32 times 1000 is below 2^62. */
const REQUESTS_EXACT_MAX: u64 = 0xf_ffff;

export function throttleBytes(slots: u32): usize {
  return WINDOW + outcomesBytesByTime(slots);
}

/** kMilli: K in thousandths, 1,000 to 100,000; 2,000 is usual. 0 or -ARGUMENT. */
export function throttleInit(at: usize, kMilli: u32, spanUs: u32, slots: u32, nowUs: u64): i32 {
  if (kMilli < 1000 || kMilli > K_MILLI_MAX) return -ARGUMENT;
  store<u32>(at, kMilli);
  store<u32>(at, 0, 4);
  return outcomesByTime(at + WINDOW, spanUs, slots, nowUs);
}

/** Asks to make a call. 0, or -THROTTLED. */
export function throttleAdmit(at: usize, random: u32, nowUs: u64): i32 {
  outcomesRoll(at + WINDOW, nowUs);
  const refuses = <u64>random * 1000 * (scaledRequests(at) + 1) < scaledExcess(at) << 32;
  if (!refuses) return 0;
  outcomesAdd(at + WINDOW, 1, 0, 0, nowUs);
  store<u32>(at, load<u32>(at, 4) + 1, 4);
  return -THROTTLED;
}

/** The other side took the call on, whatever came of it: it was not overloaded. */
export function throttleAccepted(at: usize, nowUs: u64): void {
  outcomesAdd(at + WINDOW, 1, 1, 0, nowUs);
}

/** The other side did not: it refused, or did not answer in time. */
export function throttleRejected(at: usize, nowUs: u64): void {
  outcomesAdd(at + WINDOW, 1, 0, 0, nowUs);
}

/** Probability that a call is refused now, in thousandths. */
export function throttleMilli(at: usize, nowUs: u64): u32 {
  outcomesRoll(at + WINDOW, nowUs);
  return <u32>(scaledExcess(at) / (scaledRequests(at) + 1));
}

export function throttleRefused(at: usize): u32 {
  return load<u32>(at, 4);
}

function scaleOf(at: usize): u64 {
  let requests = <u64>outcomesCalls(at + WINDOW);
  let shift: u64 = 0;
  while (requests > REQUESTS_EXACT_MAX) {
    requests >>= 1;
    ++shift;
  }
  return shift;
}
function scaledRequests(at: usize): u64 {
  return <u64>outcomesCalls(at + WINDOW) >> scaleOf(at);
}
/** (requests - K * accepts) in thousandths, not below 0. */
function scaledExcess(at: usize): u64 {
  const accepts = <u64>outcomesFailures(at + WINDOW) >> scaleOf(at);
  const asked = scaledRequests(at) * 1000;
  const served = accepts * <u64>load<u32>(at);
  return asked > served ? asked - served : 0;
}
