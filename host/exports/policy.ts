/**
 * tardigrade/policy: circuit breaker, retry and rate limiter for any Node program, on the same core as the devices.
 *
 *     const call = wrap(retry({ attempts: 3 }), circuitBreaker({ openMs: 5000 }));
 *     const answer = await call.run(({ signal }) => fetch(url, { signal }));
 */

import {
  type CircuitBreaker,
  type CircuitBreakerOptions,
  createCircuitBreaker,
} from "../core/circuit-breaker.ts";
import { type Core, openCore } from "../core/core.ts";
import { readCoreBytes } from "../core/core-bytes.ts";
import type { AsyncPolicy, PolicyClock } from "../core/policy.ts";
import { createRateLimiter, type RateLimiter, type RateLimiterOptions } from "../core/rate-limiter.ts";
import { createRetry, type PolicyRandom, type RetryOptions } from "../core/retry.ts";
import { turnClock } from "../core/turn-clock.ts";
import { systemClock } from "../io/clock.ts";
import { systemRandom } from "../io/random.ts";

export { isTardigradeError, TardigradeError } from "../../protocols/error.ts";
export type {
  BreakerState,
  CircuitBreaker,
  CircuitBreakerOptions,
  Outcome,
} from "../core/circuit-breaker.ts";
export {
  type AsyncPolicy,
  type Call,
  type DirectPolicy,
  type Policy,
  type PolicyClock,
  type RunOptions,
  type Work,
  wrap,
} from "../core/policy.ts";
export type { RateLimiter, RateLimiterOptions } from "../core/rate-limiter.ts";
export {
  type LadderOptions,
  RECOVERY_LADDER,
  type RecoveryHandlers,
  RecoveryLadder,
  type RecoveryOverrides,
  recover,
  recoveryOf,
} from "../core/recovery.ts";
export type { PolicyRandom, RetryOptions } from "../core/retry.ts";

export interface TimeOptions {
  /** Default the system's monotonic clock, read once a turn of the event loop. */
  readonly clock?: PolicyClock;
  /** Reads the default clock at each decision, which costs some 150 ns. */
  readonly exactTime?: boolean;
}

export function circuitBreaker(options: CircuitBreakerOptions & TimeOptions = {}): CircuitBreaker {
  return createCircuitBreaker(defaults().core, clockOf(options), options);
}

export function retry(
  options: RetryOptions & TimeOptions & { readonly random?: PolicyRandom } = {},
): AsyncPolicy {
  return createRetry(defaults().core, clockOf(options), options.random ?? defaults().random, options);
}

export function rateLimiter(options: RateLimiterOptions & TimeOptions): RateLimiter {
  return createRateLimiter(defaults().core, clockOf(options), options);
}

interface Defaults {
  readonly core: Core;
  readonly exact: PolicyClock;
  readonly turn: PolicyClock;
  readonly random: PolicyRandom;
}

let shared: Defaults | undefined;

/** One core a process, opened when the first policy is made. */
function defaults(): Defaults {
  if (shared === undefined) {
    const clock = systemClock();
    shared = {
      core: openCore(readCoreBytes()),
      exact: clock,
      turn: turnClock(clock),
      random: systemRandom(),
    };
  }
  return shared;
}

function clockOf(options: TimeOptions): PolicyClock {
  return options.clock ?? (options.exactTime ? defaults().exact : defaults().turn);
}
