/**
 * What the policies share. A policy is a value with execute(work, { signal }), a synchronous form for those who cannot wait or allocate, its
 * state, events, a meter, and close(). Policies read time, wait and throw dice through what is given to them, which a simulation can drive.
 */
import { TardigradeError } from "../../../protocols/error.ts";
import { ERRORS, type ErrorCode } from "../../../protocols/table.ts";
import type { Core } from "../core.ts";
import { type CallScope, type ExecuteOptions, scopeOf, type Work } from "./call.ts";

/** The part of the Clock seam that policies use. */
export interface PolicyClock {
  monotonicMs(): number;
  alarm(delayMs: number, call: () => void, options?: { readonly background?: boolean }): () => void;
}

/** The part of the Random seam that policies use. */
export interface PolicyRandom {
  /** Uniform in [0, 2^32). */
  u32(): number;
}

/** The part of the Meter seam that policies use. */
export interface PolicyMeter {
  count(name: string, labels?: Readonly<Record<string, string>>, by?: number): void;
}

export interface PolicySeams {
  readonly core: Core;
  readonly clock: PolicyClock;
  readonly random: PolicyRandom;
}

/** What every policy can be told. */
export interface CommonOptions {
  /** Names it in errors and metrics. Default its kind. */
  readonly name?: string;
  /** Counts tardigrade_policy_results_total by policy and result. */
  readonly meter?: PolicyMeter;
}

export interface Policy extends Disposable {
  readonly name: string;
  /**
   * Runs the work, plain or async, as the policy allows; always a promise. Rejects with the work's own error, with the reason of an aborted
   * signal, or with a TardigradeError of a policy's code.
   */
  execute<T>(work: Work<T>, options?: ExecuteOptions): Promise<Awaited<T>>;
  /** As execute within a call that is under way: what wrap() and policies of your own build on. Plain work that need not wait stays plain, and throws. */
  run<T>(work: Work<T>, call: CallScope): T | Promise<Awaited<T>>;
  /** Gives up what it holds; calls that wait reject with POLICY_CLOSED, and so do all later ones. Calls under way go on. */
  close(): void;
}

/** A policy that never waits. */
export interface SyncPolicy extends Policy {
  /** Plain work gives its value at once, and throws what execute rejects with; async work gives its promise. */
  executeSync<T>(work: Work<T>, options?: ExecuteOptions): T;
}

/** What `execute` of every policy is. */
export function executeBy<T>(
  policy: Pick<Policy, "run">,
  work: Work<T>,
  options?: ExecuteOptions,
): Promise<Awaited<T>> {
  try {
    const call = scopeOf(options);
    call.throwIfAborted();
    const result = policy.run(work, call);
    return result instanceof Promise ? (result as Promise<Awaited<T>>) : Promise.resolve(result);
  } catch (error) {
    return Promise.reject(error);
  }
}

/** What `executeSync` of every policy that never waits is. */
export function executeSyncBy<T>(policy: Pick<Policy, "run">, work: Work<T>, options?: ExecuteOptions): T {
  const call = scopeOf(options);
  call.throwIfAborted();
  return policy.run(work, call) as T;
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    value instanceof Promise ||
    (typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function")
  );
}

/** The refusal of policies: the work was not done, which says nothing about the other side. */
const REFUSALS: ReadonlySet<string> = new Set<ErrorCode>([
  "BREAKER_OPEN",
  "RATE_LIMITED",
  "BULKHEAD_FULL",
  "LOAD_SHED",
  "THROTTLED",
  "POLICY_CLOSED",
]);

export function isRefusal(error: unknown): boolean {
  return error instanceof TardigradeError && REFUSALS.has(error.code);
}

export function isTimeout(error: unknown): boolean {
  if (error instanceof TardigradeError) return error.code === "TIMED_OUT";
  // What AbortSignal.timeout() aborts with.
  return error instanceof Error && error.name === "TimeoutError";
}

export const CLOSED_STATUS: number = -ERRORS.POLICY_CLOSED.number;

export function closedError(name: string): TardigradeError {
  return new TardigradeError("POLICY_CLOSED", `The policy ${name} was closed; make a new one.`, {
    context: { component: name },
  });
}

export function argument(component: string, message: string): TardigradeError {
  return new TardigradeError("ARGUMENT", message, { context: { component } });
}

/** A whole number within its range, or ARGUMENT. */
export function whole(
  component: string,
  option: string,
  value: number,
  range: { readonly min: number; readonly max: number },
): number {
  if (Number.isInteger(value) && value >= range.min && value <= range.max) return value;
  throw argument(
    component,
    `${option} must be a whole number from ${range.min} to ${range.max}, not ${value}.`,
  );
}

/** A share as thousandths within its range, or ARGUMENT. */
export function milli(
  component: string,
  option: string,
  value: number,
  range: { readonly min: number; readonly max: number },
): number {
  const thousandths = Math.round(value * 1000);
  if (value >= range.min && value <= range.max) return thousandths;
  throw argument(component, `${option} must lie within ${range.min} and ${range.max}, not at ${value}.`);
}
