/** Rate limiters over the core's; assembly/resilience/limiter.ts says what sets the algorithms apart, and where each comes from. */
import { TardigradeError } from "../../../protocols/error.ts";
import { ERRORS } from "../../../protocols/table.ts";
import { checkHandle } from "../core.ts";
import { giveRegion, takeRegion } from "../regions.ts";
import type { CallScope, ExecuteOptions, Work } from "./call.ts";
import { type BucketOptions, DoubleBucket, isExact } from "./double-bucket.ts";
import { type Observable, Reporter } from "./events.ts";
import {
  argument,
  CLOSED_STATUS,
  type CommonOptions,
  closedError,
  executeBy,
  executeSyncBy,
  type PolicySeams,
  type SyncPolicy,
} from "./policy.ts";
import { pause, timersOf } from "./timers.ts";

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

export interface RateLimitOptions extends CommonOptions {
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
  /**
   * Of `gcra` and `leaky-bucket`: execute() waits up to so long for its turn instead of failing, and calls leave one after another at the rate. Then plain
   * work is waited for too, and there is no executeSync().
   */
  readonly maxWaitMs?: number;
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

export interface RateLimitEvents {
  readonly refused: { readonly retryAfterMs: number };
}

export interface RateLimit extends SyncPolicy, Observable<RateLimitEvents> {
  readonly algorithm: RateAlgorithm;
  readonly state: RateState;
  /** 0 when `tokens` (default 1) were taken, else the negative of a code's number. Allocates nothing, never throws. */
  tryAcquire(tokens?: number): number;
  /**
   * Of `gcra` and `leaky-bucket`: takes a place in the queue and says how many milliseconds to wait for it, so that what comes in bursts
   * leaves evenly; the negative of a code's number when the queue is full. ARGUMENT for other algorithms.
   */
  reserve(tokens?: number): number;
  /** Milliseconds until `tokens` could be taken if nobody else took any; Infinity for more than it can ever give at once. */
  waitMs(tokens?: number): number;
}

/** Over a queue, execute() may wait. */
export type QueuedRateLimit = Omit<RateLimit, "executeSync">;

const OF_QUEUES = KINDS.gcra;
const ARGUMENT = -ERRORS.ARGUMENT.number;
const LIMITED = -ERRORS.RATE_LIMITED.number;

export function createRateLimit(
  seams: Omit<PolicySeams, "random">,
  options: RateLimitOptions & { readonly maxWaitMs: number },
): QueuedRateLimit;
export function createRateLimit(seams: Omit<PolicySeams, "random">, options: RateLimitOptions): RateLimit;
export function createRateLimit(
  { core, clock }: Omit<PolicySeams, "random">,
  options: RateLimitOptions,
): QueuedRateLimit {
  const { limit, periodMs = 1000, burst = limit, algorithm = "token-bucket", maxWaitMs } = options;
  const reporter = new Reporter<RateLimitEvents>("rate-limit", options);
  const { name } = reporter;
  check(name, options);
  const periodUs = Math.round(periodMs * US_PER_MS);
  const meter = meterOf({ core, clock }, { limit, periodUs, burst, algorithm });
  const { take } = meter;
  let isOpen = true;
  const waitMs = (tokens = 1): number => (isOpen ? meter.waitMs(tokens, clock.monotonicMs()) : 0);
  const refused = (status: number): number => {
    if (status < 0 && reporter.isHeard) reporter.tell("refused", { retryAfterMs: waitMs() }, "refused");
    return status;
  };
  const tryAcquire = (tokens = 1): number => {
    if (!isOpen) return CLOSED_STATUS;
    const status = take(tokens);
    return status < 0 ? refused(status) : status;
  };
  const reserve = (tokens = 1): number => {
    if (!isOpen) return CLOSED_STATUS;
    if (KINDS[algorithm] !== OF_QUEUES) return ARGUMENT;
    const delayMs = meter.reserve(tokens, clock.monotonicMs());
    return delayMs < 0 ? refused(delayMs) : delayMs;
  };
  const refusal = (retryAfterMs: number): TardigradeError =>
    new TardigradeError(
      "RATE_LIMITED",
      `The rate limit of ${limit} each ${periodMs} ms is used up; retry after ${Math.ceil(retryAfterMs)} ms.`,
      { context: { component: name, retryAfterMs } },
    );
  const runNow = <T>(work: Work<T>, call: CallScope): T => {
    const status = tryAcquire();
    if (status === CLOSED_STATUS) throw closedError(name);
    if (status < 0) throw refusal(waitMs());
    return work(call);
  };
  /** A place that was taken cannot be given back: who gives up while waiting has used it. */
  const runInTurn = <T>(work: Work<T>, call: CallScope): T | Promise<Awaited<T>> => {
    // The next place in the queue is free when all before it have left.
    const turnMs = isOpen ? meter.resetMs(clock.monotonicMs()) : 0;
    if (turnMs > (maxWaitMs ?? 0)) {
      refused(LIMITED);
      throw refusal(turnMs - (maxWaitMs ?? 0));
    }
    const delayMs = reserve();
    if (delayMs === CLOSED_STATUS) throw closedError(name);
    if (delayMs < 0) throw refusal(waitMs());
    if (delayMs === 0) return work(call);
    return pause(timersOf(core, clock), delayMs, call).then(() => work(call)) as Promise<Awaited<T>>;
  };
  const run = maxWaitMs === undefined ? runNow : runInTurn;
  const close = (): void => {
    if (!isOpen) return;
    isOpen = false;
    meter.free();
  };
  const queued: QueuedRateLimit = {
    name,
    algorithm,
    tryAcquire,
    reserve,
    waitMs,
    get state() {
      const nowMs = clock.monotonicMs();
      return {
        limit,
        remaining: isOpen ? meter.remaining(nowMs) : 0,
        resetMs: isOpen ? meter.resetMs(nowMs) : 0,
        retryAfterMs: isOpen ? meter.waitMs(1, nowMs) : 0,
      };
    },
    run,
    execute: <T>(work: Work<T>, executeOptions?: ExecuteOptions) => executeBy({ run }, work, executeOptions),
    on: (event, listener) => reporter.on(event, listener),
    close,
    [Symbol.dispose]: close,
  };
  if (maxWaitMs !== undefined) return queued;
  const executeSync = <T>(work: Work<T>, executeOptions?: ExecuteOptions): T =>
    executeSyncBy({ run }, work, executeOptions);
  return Object.defineProperty(queued, "executeSync", { value: executeSync });
}

/** What keeps count, in the core or beside it. */
interface LimitMeter {
  take(tokens: number): number;
  reserve(tokens: number, nowMs: number): number;
  remaining(nowMs: number): number;
  resetMs(nowMs: number): number;
  waitMs(tokens: number, nowMs: number): number;
  free(): void;
}

function meterOf(
  { core, clock }: Omit<PolicySeams, "random">,
  options: BucketOptions & { readonly algorithm: RateAlgorithm },
): LimitMeter {
  const { raw } = core;
  const { limit, periodUs, burst, algorithm } = options;
  if (algorithm === "token-bucket" && isExact(options)) {
    const bucket = new DoubleBucket(clock, options);
    return {
      take: (tokens) => bucket.take(tokens),
      reserve: () => ARGUMENT,
      remaining: (atMs) => bucket.remaining(atMs),
      resetMs: (atMs) => bucket.resetMs(atMs),
      waitMs: (tokens, atMs) => bucket.waitMs(tokens, atMs),
      free: () => undefined,
    };
  }
  const entries = algorithm === "sliding-log" ? takeRegion(core, limit * 8) : undefined;
  const handle = checkHandle(
    raw.limiterCreate(KINDS[algorithm], limit, periodUs, burst, entries?.at ?? 0, clock.monotonicMs()),
    "The rate limit could not be created.",
  );
  return {
    take: (tokens) => raw.limiterTake(handle, tokens, clock.monotonicMs()),
    reserve: (tokens, atMs) => raw.limiterReserve(handle, tokens, atMs),
    remaining: (atMs) => raw.limiterRemaining(handle, atMs) >>> 0,
    resetMs: (atMs) => Math.max(0, raw.limiterResetMs(handle, atMs)),
    waitMs: (tokens, atMs) => Math.max(0, raw.limiterWaitMs(handle, tokens, atMs)),
    free: () => {
      raw.limiterFree(handle);
      if (entries !== undefined) giveRegion(core, entries);
    },
  };
}

function check(name: string, options: RateLimitOptions): void {
  const { limit, periodMs = 1000, burst = limit, algorithm = "token-bucket", maxWaitMs } = options;
  const isWhole = (value: number): boolean => Number.isInteger(value) && value > 0 && value <= 0xffff_ffff;
  if (!(algorithm in KINDS)) {
    throw argument(
      name,
      `There is no rate limit "${algorithm}"; there are ${Object.keys(KINDS).join(", ")}.`,
    );
  }
  if (!isWhole(limit) || !isWhole(burst) || !(periodMs * US_PER_MS >= 1 && periodMs <= PERIOD_MS_MAX)) {
    throw argument(
      name,
      `A rate limit needs whole numbers of 1 to 4,294,967,295 as limit and burst, and a periodMs of 0.001 to ` +
        `${PERIOD_MS_MAX}; for slower rates give a smaller limit.`,
    );
  }
  if (algorithm === "sliding-log" && limit > LOG_LIMIT_MAX) {
    throw argument(name, `A sliding log remembers each call: its limit is ${LOG_LIMIT_MAX} at most.`);
  }
  if (maxWaitMs === undefined) return;
  if (KINDS[algorithm] !== OF_QUEUES)
    throw argument(name, `A ${algorithm} has no queue to wait in; gcra and leaky-bucket have.`);
  if (!(maxWaitMs > 0 && maxWaitMs <= PERIOD_MS_MAX))
    throw argument(name, `maxWaitMs must be above 0 and at most ${PERIOD_MS_MAX}.`);
}
