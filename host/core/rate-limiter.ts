/** Rate limiter over the core's token bucket; assembly/resilience/token-bucket.ts has the arithmetic. */
import { TardigradeError } from "../../protocols/error.ts";
import { type Core, checkHandle } from "./core.ts";
import { callOf, type DirectPolicy, type PolicyClock, type RunOptions, type Work } from "./policy.ts";

const PERIOD_MS_MAX = 4_294_967;
const US_PER_MS = 1000;

export interface RateLimiterOptions {
  /** Calls let through each period, 1 to 2^32 - 1. */
  readonly limit: number;
  /** 0.001 to 4,294,967 (71 minutes). Default 1,000. */
  readonly periodMs?: number;
  /** Calls that may come at once after a quiet time. Default `limit`. */
  readonly burst?: number;
}

export interface RateLimiter extends DirectPolicy, Disposable {
  /** True when `tokens` (default 1) were taken. Allocates nothing. */
  tryTake(tokens?: number): boolean;
  /** Milliseconds until `tokens` could be taken. */
  waitMs(tokens?: number): number;
  /** The core's handle, for the typed plane. */
  readonly handle: number;
}

export function createRateLimiter(core: Core, clock: PolicyClock, options: RateLimiterOptions): RateLimiter {
  const { raw } = core;
  const { limit, periodMs = 1000, burst = limit } = options;
  const whole = (value: number): boolean => Number.isInteger(value) && value > 0 && value <= 0xffff_ffff;
  if (!whole(limit) || !whole(burst) || !(periodMs * US_PER_MS >= 1 && periodMs <= PERIOD_MS_MAX)) {
    throw new TardigradeError(
      "ARGUMENT",
      `A rate limiter needs whole numbers of 1 to 4,294,967,295 as limit and burst, and a periodMs of 0.001 to ` +
        `${PERIOD_MS_MAX}; for slower rates give a smaller limit.`,
      { context: { component: "rate-limiter", limit, burst, periodMs } },
    );
  }
  const handle = checkHandle(
    raw.bucketCreate(limit, Math.round(periodMs * US_PER_MS), burst, clock.monotonicMs()),
    "The rate limiter could not be created.",
  );
  const tryTake = (tokens = 1): boolean => raw.bucketTake(handle, tokens, clock.monotonicMs()) === 0;
  const waitMs = (tokens = 1): number => raw.bucketWaitMs(handle, tokens, clock.monotonicMs());
  return {
    kind: "direct",
    handle,
    tryTake,
    waitMs,
    run: <T>(work: Work<T>, runOptions?: RunOptions): T => {
      runOptions?.signal?.throwIfAborted();
      if (tryTake()) return work(callOf(runOptions));
      const retryAfterMs = waitMs();
      throw new TardigradeError(
        "RATE_LIMITED",
        `The rate limit of ${limit} each ${periodMs} ms is used up; retry after ${Math.ceil(retryAfterMs)} ms.`,
        { context: { component: "rate-limiter", retryAfterMs } },
      );
    },
    [Symbol.dispose]: () => {
      raw.bucketFree(handle);
    },
  };
}
