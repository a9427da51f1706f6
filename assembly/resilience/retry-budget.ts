/**
 * Retry budget (as in Finagle, RetryBudget): retries may be a share of the calls made in the last seconds, and a few a second on top, so that a client
 * with little traffic may retry too. Retries that multiply load are what turns a hiccup into an outage; a count of attempts a call cannot stop that.
 *
 *     over any span:  retries <= perSecond * span + share * calls
 *
 *   +0 shareMilli u32   +4 reserve u32 (perSecond * span)   +8 refused u32   +12 unused   +16 the window of outcomes.ts, by time: failures stand for retries
 */
import { ARGUMENT, RETRY_BUDGET } from "../errors/codes.generated";
import {
  OUTCOMES_BYTES_MAX,
  outcomesAdd,
  outcomesByTime,
  outcomesBytesByTime,
  outcomesCalls,
  outcomesFailures,
  outcomesRoll,
} from "./outcomes";

const WINDOW: usize = 16;
const US_PER_SECOND: u64 = 1_000_000;
const SHARE_MILLI_MAX: u32 = 10_000;
const PER_SECOND_MAX: u32 = 1_000_000;
export const BUDGET_BYTES_MAX: usize = WINDOW + OUTCOMES_BYTES_MAX;

export function budgetBytes(slots: u32): usize {
  return WINDOW + outcomesBytesByTime(slots);
}

/** shareMilli: retries a thousand calls, at most 10,000; 200 is usual. perSecond: at most 1,000,000; 10 is usual. 0 or -ARGUMENT. */
export function budgetInit(
  at: usize,
  shareMilli: u32,
  perSecond: u32,
  spanUs: u32,
  slots: u32,
  nowUs: u64,
): i32 {
  if (shareMilli > SHARE_MILLI_MAX || perSecond > PER_SECOND_MAX) return -ARGUMENT;
  store<u32>(at, shareMilli);
  store<u32>(at, <u32>min<u64>((<u64>perSecond * <u64>spanUs) / US_PER_SECOND, <u64>u32.MAX_VALUE), 4);
  store<u32>(at, 0, 8);
  return outcomesByTime(at + WINDOW, spanUs, slots, nowUs);
}

/** A call is made; not its retries. */
export function budgetCall(at: usize, nowUs: u64): void {
  outcomesAdd(at + WINDOW, 1, 0, 0, nowUs);
}

/** Asks for a retry. 0, or -RETRY_BUDGET. */
export function budgetRetry(at: usize, nowUs: u64): i32 {
  if (budgetLeft(at, nowUs) == 0) {
    store<u32>(at, load<u32>(at, 8) + 1, 8);
    return -RETRY_BUDGET;
  }
  outcomesAdd(at + WINDOW, 0, 1, 0, nowUs);
  return 0;
}

/** Retries that could be made now. */
export function budgetLeft(at: usize, nowUs: u64): u32 {
  outcomesRoll(at + WINDOW, nowUs);
  const earned = (<u64>outcomesCalls(at + WINDOW) * <u64>load<u32>(at)) / 1000 + <u64>load<u32>(at, 4);
  const used = <u64>outcomesFailures(at + WINDOW);
  return earned > used ? <u32>min<u64>(earned - used, <u64>u32.MAX_VALUE) : 0;
}

export function budgetRefused(at: usize): u32 {
  return load<u32>(at, 8);
}
