/**
 * tardigrade/policy: circuit breaker, retry, timeout, bulkhead, rate limit, fallback and hedge for any Node program, on the same core as the devices.
 *
 *     const call = wrap(retry({ attempts: 3 }), circuitBreaker({ openMs: 5000 }), timeout({ ms: 2000 }));
 *     const answer = await call.execute(({ signal }) => fetch(url, { signal }));
 */

import { openCore } from "../core/core.ts";
import { readCoreBytes } from "../core/core-bytes.ts";
import { type Bulkhead, type BulkheadOptions, createBulkhead } from "../core/policy/bulkhead.ts";
import {
  type CircuitBreaker,
  type CircuitBreakerOptions,
  createCircuitBreaker,
} from "../core/policy/circuit-breaker.ts";
import { createFallback, type Fallback, type FallbackOptions } from "../core/policy/fallback.ts";
import { createHedge, type Hedge, type HedgeOptions } from "../core/policy/hedge.ts";
import type { PolicyClock, PolicyRandom, PolicySeams } from "../core/policy/policy.ts";
import {
  createRateLimit,
  type QueuedRateLimit,
  type RateLimit,
  type RateLimitOptions,
} from "../core/policy/rate-limit.ts";
import { createRetry, type Retry, type RetryOptions } from "../core/policy/retry.ts";
import { createRetryBudget, type RetryBudget, type RetryBudgetOptions } from "../core/policy/retry-budget.ts";
import { createTimeout, type Timeout, type TimeoutOptions } from "../core/policy/timeout.ts";
import { turnClock } from "../core/turn-clock.ts";
import { xoshiro128 } from "../core/xoshiro.ts";
import { systemClock } from "../io/clock.ts";
import { systemRandom } from "../io/random.ts";

export { isTardigradeError, TardigradeError } from "../../protocols/error.ts";
export { codeOfStatus } from "../core/core.ts";
export type {
  AdaptiveConcurrency,
  Bulkhead,
  BulkheadEvents,
  BulkheadOptions,
  BulkheadState,
} from "../core/policy/bulkhead.ts";
export type { Call, ExecuteOptions, Work } from "../core/policy/call.ts";
export type {
  BreakerEvents,
  BreakerState,
  CircuitBreaker,
  CircuitBreakerOptions,
  Outcome,
} from "../core/policy/circuit-breaker.ts";
export type { Observable } from "../core/policy/events.ts";
export type {
  Fallback,
  FallbackEvents,
  FallbackOptions,
  FallbackState,
  FallbackStep,
} from "../core/policy/fallback.ts";
export type { Hedge, HedgeEvents, HedgeOptions, HedgeState } from "../core/policy/hedge.ts";
export type {
  CommonOptions,
  Policy,
  PolicyClock,
  PolicyMeter,
  PolicyRandom,
  SyncPolicy,
} from "../core/policy/policy.ts";
export type {
  QueuedRateLimit,
  RateAlgorithm,
  RateLimit,
  RateLimitEvents,
  RateLimitOptions,
  RateState,
} from "../core/policy/rate-limit.ts";
export type { Retry, RetryEvents, RetryOptions, RetryState } from "../core/policy/retry.ts";
export type { RetryBudget, RetryBudgetOptions } from "../core/policy/retry-budget.ts";
export type {
  AdaptiveTimeout,
  Timeout,
  TimeoutEvents,
  TimeoutOptions,
  TimeoutState,
} from "../core/policy/timeout.ts";
export { wrap } from "../core/policy/wrap.ts";
export {
  type LadderOptions,
  RECOVERY_LADDER,
  type RecoveryHandlers,
  RecoveryLadder,
  type RecoveryOverrides,
  recover,
  recoveryOf,
} from "../core/recovery.ts";

export interface SeamOptions {
  /** Default the system's monotonic clock, read once a turn of the event loop. */
  readonly clock?: PolicyClock;
  /** Reads the default clock at each decision, which costs some 50 to 150 ns. */
  readonly exactTime?: boolean;
  /** Default the system's dice. */
  readonly random?: PolicyRandom;
}

/** Stops calling what keeps failing, and finds out cheaply when it is well again. Throws ARGUMENT, as all of these do. */
export function circuitBreaker(options: CircuitBreakerOptions & SeamOptions = {}): CircuitBreaker {
  return createCircuitBreaker(seamsOf(options), options);
}

/** Tries again, after waits that grow and are drawn at random, within a budget. */
export function retry(options: RetryOptions & SeamOptions = {}): Retry {
  return createRetry(seamsOf(options), options);
}

/** A budget that several retries and hedges share. */
export function retryBudget(options: RetryBudgetOptions & SeamOptions = {}): RetryBudget {
  return createRetryBudget(seamsOf(options), options);
}

/** Gives up what takes too long. */
export function timeout(options: TimeoutOptions & SeamOptions): Timeout {
  return createTimeout(seamsOf(options), options);
}

/** Lets so many calls in at once, and queues some, by priority. */
export function bulkhead(options: BulkheadOptions & SeamOptions = {}): Bulkhead {
  return createBulkhead(seamsOf(options), options);
}

/** Lets so many calls through each period. */
export function rateLimit(
  options: RateLimitOptions & SeamOptions & { readonly maxWaitMs: number },
): QueuedRateLimit;
export function rateLimit(options: RateLimitOptions & SeamOptions): RateLimit;
export function rateLimit(options: RateLimitOptions & SeamOptions): QueuedRateLimit {
  return createRateLimit(seamsOf(options), options);
}

/** Answers with something else when a call fails. */
export function fallback(options: FallbackOptions & SeamOptions): Fallback {
  return createFallback(seamsOf(options), options);
}

/** Makes a call that is late once more, and takes the first answer. */
export function hedge(options: HedgeOptions & SeamOptions): Hedge {
  return createHedge(seamsOf(options), options);
}

interface Defaults extends PolicySeams {
  readonly exact: PolicyClock;
}

let shared: Defaults | undefined;

/** Jitter is no secret: the system's generator seeds dice that are cheap to throw. */
function dice(): PolicyRandom {
  const system = systemRandom();
  return { u32: xoshiro128(Uint32Array.from({ length: 4 }, system.u32)) };
}

/** One core a process, opened when the first policy is made. */
function seamsOf(options: SeamOptions): PolicySeams {
  if (shared === undefined) {
    const exact = systemClock();
    shared = { core: openCore(readCoreBytes()), exact, clock: turnClock(exact), random: dice() };
  }
  return {
    core: shared.core,
    clock: options.clock ?? (options.exactTime ? shared.exact : shared.clock),
    random: options.random ?? shared.random,
  };
}
