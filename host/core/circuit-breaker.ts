/** Circuit breaker over the core's; assembly/resilience/breaker.ts has the state machine. */
import { TardigradeError } from "../../protocols/error.ts";
import { type Core, checkHandle } from "./core.ts";
import {
  callOf,
  type DirectPolicy,
  isThenable,
  type PolicyClock,
  type RunOptions,
  type Work,
} from "./policy.ts";

const STATES = ["closed", "open", "half-open"] as const;
export type BreakerState = (typeof STATES)[number];

export const OUTCOME = { success: 0, failure: 1, cancelled: 2 } as const;
export type Outcome = keyof typeof OUTCOME;

export interface CircuitBreakerOptions {
  /** How long it stays open before it lets probes through. Default 10,000. */
  readonly openMs?: number;
  /** Opens after so many failures in a row. Default 5 when no failureRate is given, else off. */
  readonly consecutiveFailures?: number;
  /** Opens when this share (0.001 to 1) of the last `windowCalls` failed, judged from `callsMin` calls on. */
  readonly failureRate?: number;
  /** 1 to 256. Default 100. */
  readonly windowCalls?: number;
  /** Default 10, at most windowCalls. */
  readonly callsMin?: number;
  /** Calls let through at once while half-open. Default 1. */
  readonly probes?: number;
  /** Successful probes that close it. Default 1. */
  readonly successesToClose?: number;
  /** A probe unanswered for so long is declared lost, so that it blocks no others. Default 60,000. */
  readonly probeMs?: number;
  /** Which errors count. Default all; an abort by the caller's signal never does. */
  readonly isFailure?: (error: unknown) => boolean;
}

export interface CircuitBreaker extends DirectPolicy, Disposable {
  /** A permit above 0 to give back with `give`, or a negative number when open. Allocates nothing. */
  tryAcquire(): number;
  give(permit: number, outcome: Outcome): void;
  state(): BreakerState;
  /** Milliseconds until an open breaker lets a probe through. */
  waitMs(): number;
  /** The core's handle, for the typed plane. */
  readonly handle: number;
}

export function createCircuitBreaker(
  core: Core,
  clock: PolicyClock,
  options: CircuitBreakerOptions = {},
): CircuitBreaker {
  const { raw } = core;
  const isFailure = options.isFailure ?? (() => true);
  const handle = createHandle(core, options);
  const tryAcquire = (): number => raw.breakerAcquire(handle, clock.monotonicMs());
  const give = (permit: number, outcome: Outcome): void => {
    raw.breakerReturn(handle, permit, OUTCOME[outcome], 0, clock.monotonicMs());
  };
  const outcomeOf = (error: unknown, signal: AbortSignal | undefined): Outcome => {
    if (signal?.aborted) return "cancelled";
    return isFailure(error) ? "failure" : "success";
  };
  const run = <T>(work: Work<T>, runOptions?: RunOptions): T => {
    const signal = runOptions?.signal;
    signal?.throwIfAborted();
    const permit = tryAcquire();
    if (permit <= 0) throw refusal(raw.breakerWaitMs(handle, clock.monotonicMs()));
    let result: T;
    try {
      result = work(callOf(runOptions));
    } catch (error) {
      give(permit, outcomeOf(error, signal));
      throw error;
    }
    if (!isThenable(result)) {
      give(permit, "success");
      return result;
    }
    return result.then(
      (value) => {
        give(permit, "success");
        return value;
      },
      (error) => {
        give(permit, outcomeOf(error, signal));
        throw error;
      },
    ) as T;
  };
  return {
    kind: "direct",
    handle,
    run,
    tryAcquire,
    give,
    state: () => STATES[raw.breakerState(handle, clock.monotonicMs())] ?? "closed",
    waitMs: () => raw.breakerWaitMs(handle, clock.monotonicMs()),
    [Symbol.dispose]: () => {
      raw.breakerFree(handle);
    },
  };
}

function createHandle({ raw }: Core, options: CircuitBreakerOptions): number {
  const rate = options.failureRate;
  const calls = rate === undefined ? 0 : (options.windowCalls ?? 100);
  return checkHandle(
    raw.breakerCreate(
      options.openMs ?? 10_000,
      options.probeMs ?? 60_000,
      options.consecutiveFailures ?? (rate === undefined ? 5 : 0),
      calls,
      0,
      Math.round((rate ?? 0) * 1000),
      0,
      0,
      options.callsMin ?? Math.min(10, calls),
      options.probes ?? 1,
      options.successesToClose ?? 1,
      0,
    ),
    "A circuit breaker needs consecutiveFailures above 0 or a failureRate of 0.001 to 1, windowCalls of 1 to 256, " +
      "callsMin of 1 to windowCalls, and probes and successesToClose above 0.",
  );
}

function refusal(waitMs: number): TardigradeError {
  const when = waitMs > 0 ? `in ${Math.ceil(waitMs)} ms` : "when a probe has answered";
  return new TardigradeError("BREAKER_OPEN", `The circuit breaker is open; try again ${when}.`, {
    context: { component: "circuit-breaker", retryAfterMs: waitMs },
  });
}
