/** Retry with the core's backoff; assembly/resilience/retry.ts has the kinds of backoff and jitter, retry-budget.ts the budget. */
import { TardigradeError } from "../../../protocols/error.ts";
import { ERRORS } from "../../../protocols/table.ts";
import { BACKOFFS, type Backoff, createBackoff, JITTERS } from "./backoff.ts";
import type { CallScope, ExecuteOptions, Work } from "./call.ts";
import { type Observable, Reporter } from "./events.ts";
import {
  argument,
  type CommonOptions,
  closedError,
  executeBy,
  isThenable,
  type Policy,
  type PolicySeams,
} from "./policy.ts";
import { retryAfterOf } from "./retry-after.ts";
import { createRetryBudget, type RetryBudget, type RetryBudgetOptions } from "./retry-budget.ts";
import { type PolicyTimers, pause, timersOf } from "./timers.ts";

const US_PER_MS = 1000;
const DELAY_MS_MAX = 4_294_967;
const EXHAUSTED = -ERRORS.RETRIES_EXHAUSTED.number;
const OVER_BUDGET = -ERRORS.RETRY_BUDGET.number;
/** Attempts that adaptive retries look back on, and that they want to have seen. */
const ADAPTIVE_CALLS = 64;
const ADAPTIVE_CALLS_MIN = 10;

export interface RetryOptions extends CommonOptions {
  /** Attempts in all, the first included, at least 1. Default 5. */
  readonly attempts?: number;
  /** How waits grow: base, 2 base, 4 base (`exponential`, default), base (`constant`), base, 2 base, 3 base (`linear`), or like Fibonacci's numbers. */
  readonly backoff?: keyof typeof BACKOFFS;
  /** Wait after the first failure. Default 100. */
  readonly baseMs?: number;
  /** Longest wait, at most 4,294,967. Default 30,000. */
  readonly capMs?: number;
  /** Default `full`. `decorrelated` takes the place of a backoff: between the base and three times the wait before. */
  readonly jitter?: keyof typeof JITTERS;
  /** Which errors are worth another attempt. Default all; an abort never is, nor what closed policies say. */
  readonly retryIf?: (error: unknown, attempt: number) => boolean;
  /**
   * Holds retries to a share of the calls: { share: 0.2, perSecond: 10 } by default, one of your own (retryBudget()) to share it, false for none. Over it, the
   * failure stands, as cause of RETRY_BUDGET.
   */
  readonly budget?: RetryBudget | RetryBudgetOptions | false;
  /** Makes fewer attempts the fewer of the last 64 succeeded: retries help only against faults that pass. Default false. */
  readonly adaptive?: boolean;
  /**
   * How long an error asks to wait, in milliseconds: at least so long is waited. By default what a TardigradeError's retryAfterMs says, or a Retry-After
   * header of its `response` or itself.
   */
  readonly retryAfter?: (error: unknown) => number | undefined;
  /** Longer than this is not waited for an error that asks for it: the failure stands. Default 60,000. */
  readonly retryAfterMaxMs?: number;
}

export interface RetryEvents {
  /** Before a wait. */
  readonly retry: { readonly attempt: number; readonly delayMs: number; readonly error: unknown };
  readonly success: { readonly attempts: number };
  readonly giveUp: { readonly attempts: number; readonly error: unknown };
}

export interface RetryState {
  /** Attempts that are made as things are. */
  readonly attempts: number;
  /** Retries that the budget has left; Infinity without one. */
  readonly budgetLeft: number;
}

export interface Retry extends Policy, Observable<RetryEvents> {
  readonly state: RetryState;
  /**
   * The synchronous form, for loops of your own: milliseconds to wait after `failures` failed attempts (1 at first) and after `lastMs`, the wait before, or
   * the negative of a code's number: RETRIES_EXHAUSTED or RETRY_BUDGET. Allocates nothing.
   */
  nextDelay(failures: number, lastMs?: number): number;
}

export function createRetry(seams: PolicySeams, options: RetryOptions = {}): Retry {
  return new BackoffRetry(seams, options);
}

class BackoffRetry implements Retry {
  readonly #seams: PolicySeams;
  readonly #timers: PolicyTimers;
  readonly #reporter: Reporter<RetryEvents>;
  readonly #options: RetryOptions;
  readonly #attempts: number;
  readonly #backoff: Backoff;
  readonly #budget: RetryBudget | undefined;
  readonly #ownsBudget: boolean;
  /** Of adaptive retries: how the last attempts ended, in a circle, and the failures among them. */
  readonly #ended: boolean[] = [];
  #endedAt = 0;
  #failures = 0;
  #isOpen = true;

  constructor(seams: PolicySeams, options: RetryOptions) {
    const { attempts = 5, baseMs = 100, capMs = 30_000, budget } = options;
    this.#seams = seams;
    this.#timers = timersOf(seams.core, seams.clock);
    this.#reporter = new Reporter("retry", options);
    this.#options = options;
    const ranged = baseMs * US_PER_MS >= 1 && capMs >= baseMs && capMs <= DELAY_MS_MAX;
    if (!Number.isInteger(attempts) || attempts < 1 || !ranged) {
      throw argument(
        this.name,
        `A retry needs a whole number of attempts from 1, and 0.001 <= baseMs <= capMs <= ${DELAY_MS_MAX}.`,
      );
    }
    if (!((options.backoff ?? "exponential") in BACKOFFS) || !((options.jitter ?? "full") in JITTERS)) {
      throw argument(
        this.name,
        `backoff is one of ${Object.keys(BACKOFFS).join(", ")}; jitter one of ${Object.keys(JITTERS).join(", ")}.`,
      );
    }
    this.#attempts = attempts;
    this.#backoff = createBackoff(seams, { ...options, baseMs, capMs });
    this.#ownsBudget = budget !== false && !(budget !== undefined && "tryRetry" in budget);
    this.#budget =
      budget === false
        ? undefined
        : budget !== undefined && "tryRetry" in budget
          ? budget
          : createRetryBudget(seams, budget);
  }

  get name(): string {
    return this.#reporter.name;
  }

  get state(): RetryState {
    return {
      attempts: this.#worthwhile(),
      budgetLeft: this.#budget === undefined ? Number.POSITIVE_INFINITY : this.#budget.left,
    };
  }

  #worthwhile(): number {
    if (this.#options.adaptive !== true) return this.#attempts;
    const { raw } = this.#seams.core;
    return raw.adaptiveAttempts(this.#attempts, this.#ended.length, this.#failures, ADAPTIVE_CALLS_MIN) >>> 0;
  }

  nextDelay(failures: number, lastMs = 0): number {
    if (failures >= this.#worthwhile()) return EXHAUSTED;
    if (this.#budget !== undefined && !this.#budget.tryRetry()) return OVER_BUDGET;
    return this.#backoff(failures, lastMs);
  }

  run<T>(work: Work<T>, call: CallScope): T | Promise<Awaited<T>> {
    if (!this.#isOpen) throw closedError(this.name);
    this.#budget?.call();
    let result: T;
    try {
      result = work(call);
    } catch (error) {
      return this.#again(work, call, error);
    }
    if (!isThenable(result)) {
      this.#succeeded(1);
      return result;
    }
    return result.then(
      (value) => {
        this.#succeeded(1);
        return value;
      },
      (error: unknown) => this.#again(work, call, error),
    ) as Promise<Awaited<T>>;
  }

  /** After the first attempt, which most calls end with. */
  async #again<T>(work: Work<T>, call: CallScope, first: unknown): Promise<Awaited<T>> {
    let error = first;
    let delayMs = 0;
    for (let attempt = 1; ; attempt += 1) {
      this.#ends(true);
      delayMs = this.#delayAfter(error, attempt, delayMs, call);
      if (this.#reporter.isHeard) this.#reporter.tell("retry", { attempt, delayMs, error }, "retry");
      await pause(this.#timers, delayMs, call);
      if (!this.#isOpen) throw closedError(this.name);
      const scope = call.again(attempt + 1);
      try {
        const value = await work(scope);
        this.#succeeded(attempt + 1);
        return value;
      } catch (next) {
        error = next;
      } finally {
        scope.end();
      }
    }
  }

  /** The wait before another attempt; throws when there is none. */
  #delayAfter(error: unknown, attempt: number, lastMs: number, call: CallScope): number {
    const { retryIf, retryAfter = retryAfterOf, retryAfterMaxMs = 60_000 } = this.#options;
    const isClosed = error instanceof TardigradeError && error.code === "POLICY_CLOSED";
    if (call.isAborted || isClosed || retryIf?.(error, attempt) === false)
      throw this.#gaveUp(attempt, error, error);
    const askedMs = retryAfter(error) ?? 0;
    if (askedMs > retryAfterMaxMs) throw this.#gaveUp(attempt, error, error);
    const delayMs = this.nextDelay(attempt, lastMs);
    if (delayMs === OVER_BUDGET) throw this.#gaveUp(attempt, error, overBudget(this.name, attempt, error));
    if (delayMs < 0) throw this.#gaveUp(attempt, error, exhausted(this.name, attempt, error));
    return Math.max(delayMs, askedMs);
  }

  #gaveUp(attempts: number, error: unknown, told: unknown): unknown {
    if (this.#reporter.isHeard) this.#reporter.tell("giveUp", { attempts, error }, "gave-up");
    return told;
  }

  #succeeded(attempts: number): void {
    this.#ends(false);
    if (this.#reporter.isHeard) this.#reporter.tell("success", { attempts }, "success");
  }

  #ends(failed: boolean): void {
    if (this.#options.adaptive !== true) return;
    if (this.#ended[this.#endedAt] === true) this.#failures -= 1;
    this.#ended[this.#endedAt] = failed;
    if (failed) this.#failures += 1;
    this.#endedAt = (this.#endedAt + 1) % ADAPTIVE_CALLS;
  }

  execute<T>(work: Work<T>, options?: ExecuteOptions): Promise<Awaited<T>> {
    return executeBy(this, work, options);
  }

  on<Name extends keyof RetryEvents>(event: Name, listener: (detail: RetryEvents[Name]) => void): Disposable {
    return this.#reporter.on(event, listener);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (this.#ownsBudget) this.#budget?.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function exhausted(component: string, attempts: number, cause: unknown): TardigradeError {
  return new TardigradeError(
    "RETRIES_EXHAUSTED",
    `All ${attempts} attempts failed; the last: ${reasonOf(cause)}`,
    {
      cause,
      context: { component, attempts },
    },
  );
}

function overBudget(component: string, attempts: number, cause: unknown): TardigradeError {
  return new TardigradeError(
    "RETRY_BUDGET",
    `Retries have used up their share of the calls; after ${attempts} attempts: ${reasonOf(cause)}`,
    { cause, context: { component, attempts } },
  );
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
