/** Rate limiters over the core's; assembly/resilience/limiter.ts says what sets the algorithms apart, and where each comes from. */
import { TardigradeError } from "../../protocols/error.ts";
import { type Core, checkHandle } from "./core.ts";
import { callOf, type DirectPolicy, type PolicyClock, type RunOptions, type Work } from "./policy.ts";
import { giveRegion, takeRegion } from "./regions.ts";

const PERIOD_MS_MAX = 4_294_967;
const US_PER_MS = 1000;
/** Of a sliding log, which keeps 8 bytes for each. */
export const LOG_LIMIT_MAX = 65_536;

const KINDS = {
  "token-bucket": 0,
  gcra: 1,
  "leaky-bucket": 1,
  "fixed-window": 2,
  "sliding-counter": 3,
  "sliding-log": 4,
} as const;
export type RateAlgorithm = keyof typeof KINDS;

export interface RateLimiterOptions {
  /** Calls let through each period, 1 to 2^32 - 1; 65,536 at most with a sliding log. */
  readonly limit: number;
  /** 0.001 to 4,294,967 (71 minutes). Default 1,000. */
  readonly periodMs?: number;
  /** Calls that may come at once after a quiet time: of token bucket, GCRA and leaky bucket. Default `limit`. */
  readonly burst?: number;
  /**
   * `token-bucket` by default. `gcra` and `leaky-bucket` are one algorithm, which decides as the token bucket does and can also reserve();
   * `fixed-window` lets twice the limit through around a boundary; `sliding-counter` estimates, `sliding-log` is exact over any period.
   */
  readonly algorithm?: RateAlgorithm;
}

/** What the headers RateLimit-Limit, -Remaining, -Reset and Retry-After want to know. */
export interface RateState {
  readonly limit: number;
  /** Calls that could be made at once now. */
  readonly remaining: number;
  /** Until it is as if nothing had been taken. */
  readonly resetMs: number;
  /** Until the next call could be made; 0 when now. */
  readonly retryAfterMs: number;
}

export interface RateLimiter extends DirectPolicy, Disposable {
  readonly algorithm: RateAlgorithm;
  /** True when `tokens` (default 1) were taken. Allocates nothing. */
  tryTake(tokens?: number): boolean;
  /**
   * Of `gcra` and `leaky-bucket`: takes a place in the queue and says how many milliseconds to wait for it, so that what comes in bursts
   * leaves evenly; -1 when the queue is full. Throws ARGUMENT for other algorithms.
   */
  reserve(tokens?: number): number;
  /** Milliseconds until `tokens` could be taken if nobody else took any; Infinity for more than it can ever give at once. */
  waitMs(tokens?: number): number;
  state(): RateState;
  /** The core's handle. */
  readonly handle: number;
}

export function createRateLimiter(core: Core, clock: PolicyClock, options: RateLimiterOptions): RateLimiter {
  const { raw } = core;
  const { limit, periodMs = 1000, burst = limit, algorithm = "token-bucket" } = options;
  check(options);
  const entries = algorithm === "sliding-log" ? takeRegion(core, limit * 8) : undefined;
  const handle = checkHandle(
    raw.limiterCreate(
      KINDS[algorithm],
      limit,
      Math.round(periodMs * US_PER_MS),
      burst,
      entries?.at ?? 0,
      clock.monotonicMs(),
    ),
    "The rate limiter could not be created.",
  );
  const canReserve = KINDS[algorithm] === KINDS.gcra;
  const tryTake = (tokens = 1): boolean => raw.limiterTake(handle, tokens, clock.monotonicMs()) === 0;
  const waitMs = (tokens = 1): number => raw.limiterWaitMs(handle, tokens, clock.monotonicMs());
  let isOpen = true;
  return {
    kind: "direct",
    algorithm,
    handle,
    tryTake,
    waitMs,
    reserve: (tokens = 1) => {
      if (!canReserve) throw argument(`A ${algorithm} has no queue; gcra and leaky-bucket have.`, options);
      const delayMs = raw.limiterReserve(handle, tokens, clock.monotonicMs());
      return delayMs < 0 ? -1 : delayMs;
    },
    state: () => {
      const nowMs = clock.monotonicMs();
      return {
        limit,
        remaining: raw.limiterRemaining(handle, nowMs) >>> 0,
        resetMs: raw.limiterResetMs(handle, nowMs),
        retryAfterMs: raw.limiterWaitMs(handle, 1, nowMs),
      };
    },
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
      if (!isOpen) return;
      isOpen = false;
      raw.limiterFree(handle);
      if (entries !== undefined) giveRegion(core, entries);
    },
  };
}

function check(options: RateLimiterOptions): void {
  const { limit, periodMs = 1000, burst = limit, algorithm = "token-bucket" } = options;
  const whole = (value: number): boolean => Number.isInteger(value) && value > 0 && value <= 0xffff_ffff;
  if (!(algorithm in KINDS)) {
    throw argument(
      `There is no rate limit "${algorithm}"; there are ${Object.keys(KINDS).join(", ")}.`,
      options,
    );
  }
  if (!whole(limit) || !whole(burst) || !(periodMs * US_PER_MS >= 1 && periodMs <= PERIOD_MS_MAX)) {
    throw argument(
      `A rate limiter needs whole numbers of 1 to 4,294,967,295 as limit and burst, and a periodMs of 0.001 to ` +
        `${PERIOD_MS_MAX}; for slower rates give a smaller limit.`,
      options,
    );
  }
  if (algorithm === "sliding-log" && limit > LOG_LIMIT_MAX) {
    throw argument(`A sliding log remembers each call: its limit is ${LOG_LIMIT_MAX} at most.`, options);
  }
}

function argument(message: string, { limit, periodMs, burst }: RateLimiterOptions): TardigradeError {
  return new TardigradeError("ARGUMENT", message, {
    context: { component: "rate-limiter", limit, burst, periodMs },
  });
}
