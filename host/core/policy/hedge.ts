/**
 * Hedging (Dean, Barroso, "The Tail at Scale", 2013): when an answer is late, the same call is made once more, and the first answer counts. For calls that may
 * be made twice. What is late follows the latencies seen, and hedges draw on a budget, since an other side that is slow for all is not helped by more calls.
 */
import { checkHandle } from "../core.ts";
import type { CallScope, ExecuteOptions, Work } from "./call.ts";
import { type Observable, Reporter } from "./events.ts";
import {
  argument,
  type CommonOptions,
  closedError,
  executeBy,
  isThenable,
  milli,
  type Policy,
  type PolicySeams,
  whole,
} from "./policy.ts";
import { createRetryBudget, type RetryBudget, type RetryBudgetOptions } from "./retry-budget.ts";
import { type PolicyTimers, timersOf } from "./timers.ts";

export interface HedgeOptions extends CommonOptions {
  /** Another call is made when there is no answer for so long, above 0. One of `delayMs` and `adaptive`. */
  readonly delayMs?: number;
  /** Late is what takes longer than this share of the calls (default 0.95), within minMs (default 1) and maxMs, which also counts until 16 calls were seen. */
  readonly adaptive?: { readonly quantile?: number; readonly minMs?: number; readonly maxMs: number };
  /** Calls at once at most, the first included, 2 to 10. Default 2. */
  readonly attempts?: number;
  /** Hedges for each call: { share: 0.1, perSecond: 1 } by default. Over it, the calls under way are waited for. */
  readonly budget?: RetryBudget | RetryBudgetOptions | false;
}

export interface HedgeEvents {
  /** Another call is made. */
  readonly hedge: { readonly attempt: number };
  /** Which attempt answered first. */
  readonly success: { readonly attempt: number; readonly tookMs: number };
}

export interface HedgeState {
  /** Of a call that began now. */
  readonly delayMs: number;
  readonly budgetLeft: number;
}

export interface Hedge extends Policy, Observable<HedgeEvents> {
  readonly state: HedgeState;
}

const DELAY_MS_MAX = 4_294_967;

export function createHedge(seams: Omit<PolicySeams, "random">, options: HedgeOptions): Hedge {
  return new LateHedge(seams, options);
}

class LateHedge implements Hedge {
  readonly #seams: Omit<PolicySeams, "random">;
  readonly #timers: PolicyTimers;
  readonly #reporter: Reporter<HedgeEvents>;
  readonly #attempts: number;
  readonly #fixedMs: number;
  readonly #adaptive: { readonly handle: number; readonly minMs: number; readonly maxMs: number } | undefined;
  readonly #budget: RetryBudget | undefined;
  readonly #ownsBudget: boolean;
  #isOpen = true;

  constructor(seams: Omit<PolicySeams, "random">, options: HedgeOptions) {
    const { delayMs, adaptive, budget } = options;
    this.#seams = seams;
    this.#timers = timersOf(seams.core, seams.clock);
    this.#reporter = new Reporter("hedge", options);
    this.#attempts = whole(this.name, "attempts", options.attempts ?? 2, { min: 2, max: 10 });
    if ((delayMs === undefined) === (adaptive === undefined))
      throw argument(this.name, "A hedge has `delayMs` or `adaptive`.");
    this.#fixedMs = delayMs === undefined ? 0 : this.#span("delayMs", delayMs);
    this.#adaptive = adaptive === undefined ? undefined : this.#adapt(adaptive);
    const given = budget !== undefined && budget !== false && "tryRetry" in budget ? budget : undefined;
    this.#ownsBudget = budget !== false && given === undefined;
    this.#budget =
      given ??
      (budget === false ? undefined : createRetryBudget(seams, { share: 0.1, perSecond: 1, ...budget }));
  }

  #span(option: string, ms: number): number {
    if (ms > 0 && ms <= DELAY_MS_MAX) return ms;
    throw argument(this.name, `${option} must be above 0 and at most ${DELAY_MS_MAX}, not ${ms}.`);
  }

  #adapt({ quantile = 0.95, minMs = 1, maxMs }: NonNullable<HedgeOptions["adaptive"]>) {
    if (this.#span("adaptive.minMs", minMs) > this.#span("adaptive.maxMs", maxMs)) {
      throw argument(this.name, "adaptive.minMs must not be above adaptive.maxMs.");
    }
    const qMilli = milli(this.name, "adaptive.quantile", quantile, { min: 0.001, max: 0.999 });
    return {
      handle: checkHandle(this.#seams.core.raw.latencyCreate(qMilli), "The hedge could not be created."),
      minMs,
      maxMs,
    };
  }

  get name(): string {
    return this.#reporter.name;
  }

  get state(): HedgeState {
    return { delayMs: this.#delayMs(), budgetLeft: this.#budget?.left ?? Number.POSITIVE_INFINITY };
  }

  #delayMs(): number {
    if (this.#adaptive === undefined) return this.#fixedMs;
    const { handle, minMs, maxMs } = this.#adaptive;
    return this.#isOpen ? this.#seams.core.raw.latencyTimeoutMs(handle, 1000, minMs, maxMs) : maxMs;
  }

  run<T>(work: Work<T>, call: CallScope): T | Promise<Awaited<T>> {
    if (!this.#isOpen) throw closedError(this.name);
    this.#budget?.call();
    const startedMs = this.#seams.clock.monotonicMs();
    const first = call.within(1);
    let result: T;
    try {
      result = work(first);
    } catch (error) {
      result = Promise.reject(error) as T;
    }
    if (!isThenable(result)) return result;
    return this.#race(work, call, first, result as PromiseLike<Awaited<T>>, startedMs);
  }

  #race<T>(
    work: Work<T>,
    call: CallScope,
    first: CallScope,
    result: PromiseLike<Awaited<T>>,
    startedMs: number,
  ): Promise<Awaited<T>> {
    return new Promise((resolve, reject) => {
      const scopes = [first];
      let failed = 0;
      let isOver = false;
      let timer = 0;
      const finish = (winner: CallScope | undefined): void => {
        isOver = true;
        this.#timers.stop(timer);
        forget();
        const reason = call.isAborted
          ? call.reason
          : new DOMException("Another attempt answered first.", "AbortError");
        for (const scope of scopes) {
          if (scope !== winner) scope.abort(reason);
          scope.end();
        }
      };
      const follow = (scope: CallScope, attempt: PromiseLike<Awaited<T>>): void => {
        attempt.then(
          (value) => {
            if (isOver) return;
            finish(scope);
            this.#answered(scope.attempt, startedMs);
            resolve(value);
          },
          (error: unknown) => {
            if (isOver) return;
            failed += 1;
            // A failure is an early answer: the next attempt need not wait.
            if (!another() && failed === scopes.length) {
              finish(undefined);
              reject(error);
            }
          },
        );
      };
      const another = (): boolean => {
        const mayHedge = scopes.length < this.#attempts && !call.isAborted && this.#isOpen;
        if (!mayHedge || this.#budget?.tryRetry() === false) return false;
        const scope = call.within(scopes.length + 1);
        scopes.push(scope);
        if (this.#reporter.isHeard) this.#reporter.tell("hedge", { attempt: scope.attempt }, "hedge");
        wait();
        try {
          follow(scope, Promise.resolve(work(scope)));
        } catch (error) {
          follow(scope, Promise.reject(error));
        }
        return true;
      };
      const wait = (): void => {
        this.#timers.stop(timer);
        if (scopes.length < this.#attempts) timer = this.#timers.start(this.#delayMs(), another);
      };
      const forget = call.onAbort((reason) => {
        if (isOver) return;
        finish(undefined);
        reject(reason);
      });
      wait();
      follow(first, result);
    });
  }

  #answered(attempt: number, startedMs: number): void {
    const tookMs = Math.max(0, this.#seams.clock.monotonicMs() - startedMs);
    if (this.#adaptive !== undefined && this.#isOpen)
      this.#seams.core.raw.latencyRecord(this.#adaptive.handle, tookMs);
    if (this.#reporter.isHeard)
      this.#reporter.tell("success", { attempt, tookMs }, attempt === 1 ? "first" : "hedged");
  }

  execute<T>(work: Work<T>, options?: ExecuteOptions): Promise<Awaited<T>> {
    return executeBy(this, work, options);
  }

  on<Name extends keyof HedgeEvents>(event: Name, listener: (detail: HedgeEvents[Name]) => void): Disposable {
    return this.#reporter.on(event, listener);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (this.#adaptive !== undefined) this.#seams.core.raw.latencyFree(this.#adaptive.handle);
    if (this.#ownsBudget) this.#budget?.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
