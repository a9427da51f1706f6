/** Fallback: what to answer when a call failed. assembly/resilience/last-good.ts says how long a last good value may stand in. */
import { TardigradeError } from "../../../protocols/error.ts";
import { checkHandle } from "../core.ts";
import type { CallScope, ExecuteOptions, Work } from "./call.ts";
import { type Observable, Reporter } from "./events.ts";
import {
  argument,
  type CommonOptions,
  closedError,
  executeBy,
  executeSyncBy,
  isThenable,
  type PolicySeams,
  type SyncPolicy,
} from "./policy.ts";

/** One thing to fall back on: a value, a function that gets the error (plain or async), or the last good value if it is not older than so many milliseconds. */
export type FallbackStep =
  | { readonly value: unknown }
  | { readonly call: (error: unknown, call: CallScope) => unknown }
  | { readonly lastGoodMs: number };

export type FallbackOptions = CommonOptions & {
  /** Which errors are worth a fallback. Default all; an abort by the caller never is. */
  readonly fallbackIf?: (error: unknown) => boolean;
} & (
    | FallbackStep
    | {
        /** In this order, until one has a value; a function that throws has none. */
        readonly chain: readonly FallbackStep[];
      }
  );

export interface FallbackEvents {
  readonly fallback: { readonly step: "value" | "call" | "lastGood"; readonly error: unknown };
  readonly exhausted: { readonly error: unknown };
}

export interface FallbackState {
  /** Whether there is a last good value that may stand in now. */
  readonly hasLastGood: boolean;
}

export interface Fallback extends SyncPolicy, Observable<FallbackEvents> {
  readonly state: FallbackState;
}

export function createFallback(seams: Omit<PolicySeams, "random">, options: FallbackOptions): Fallback {
  return new ChainFallback(seams, options);
}

interface KeptStep {
  readonly lastGood: number;
}

class ChainFallback implements Fallback {
  readonly #seams: Omit<PolicySeams, "random">;
  readonly #reporter: Reporter<FallbackEvents>;
  readonly #steps: readonly (Exclude<FallbackStep, { lastGoodMs: number }> | KeptStep)[];
  readonly #fallbackIf: (error: unknown) => boolean;
  #lastGood: unknown;
  #isOpen = true;

  constructor(seams: Omit<PolicySeams, "random">, options: FallbackOptions) {
    this.#seams = seams;
    this.#reporter = new Reporter("fallback", options);
    this.#fallbackIf = options.fallbackIf ?? (() => true);
    const chain = "chain" in options ? options.chain : [options];
    if (chain.length === 0) throw argument(this.name, "A fallback needs something to fall back on.");
    this.#steps = chain.map((step) => {
      if ("value" in step || ("call" in step && typeof step.call === "function")) return step;
      if (!("lastGoodMs" in step))
        throw argument(this.name, "A fallback is a `value`, a `call`, or a `lastGoodMs`.");
      const lastGood = checkHandle(
        seams.core.raw.lastGoodCreate(step.lastGoodMs),
        "lastGoodMs must be 0 or more; Infinity for a value that never ages.",
      );
      return { lastGood };
    });
  }

  get name(): string {
    return this.#reporter.name;
  }

  get state(): FallbackState {
    return { hasLastGood: this.#steps.some((step) => "lastGood" in step && this.#isFresh(step)) };
  }

  #isFresh({ lastGood }: KeptStep): boolean {
    return this.#seams.core.raw.lastGoodCheck(lastGood, this.#seams.clock.monotonicMs()) === 0;
  }

  run<T>(work: Work<T>, call: CallScope): T | Promise<Awaited<T>> {
    if (!this.#isOpen) throw closedError(this.name);
    let result: T;
    try {
      result = work(call);
    } catch (error) {
      return this.#instead(0, error, call) as T;
    }
    if (!isThenable(result)) {
      this.#keep(result);
      return result;
    }
    return result.then(
      (value) => {
        this.#keep(value);
        return value;
      },
      (error: unknown) => this.#instead(0, error, call),
    ) as Promise<Awaited<T>>;
  }

  #keep(value: unknown): void {
    for (const step of this.#steps) {
      if (!("lastGood" in step) || !this.#isOpen) continue;
      this.#lastGood = value;
      this.#seams.core.raw.lastGoodStore(step.lastGood, this.#seams.clock.monotonicMs());
    }
  }

  #instead(index: number, error: unknown, call: CallScope): unknown {
    if (call.isAborted || (index === 0 && !this.#fallbackIf(error))) throw error;
    const step = this.#steps[index];
    if (step === undefined) throw this.#exhausted(error);
    if ("value" in step) {
      this.#tell("value", error);
      return step.value;
    }
    if ("lastGood" in step) {
      if (!this.#isFresh(step)) return this.#instead(index + 1, error, call);
      this.#tell("lastGood", error);
      return this.#lastGood;
    }
    this.#tell("call", error);
    try {
      const result = step.call(error, call);
      if (!isThenable(result)) return result;
      return result.then(undefined, (next: unknown) => this.#instead(index + 1, next, call));
    } catch (next) {
      return this.#instead(index + 1, next, call);
    }
  }

  #tell(step: FallbackEvents["fallback"]["step"], error: unknown): void {
    if (this.#reporter.isHeard) this.#reporter.tell("fallback", { step, error }, `fallback-${step}`);
  }

  #exhausted(cause: unknown): TardigradeError {
    if (this.#reporter.isHeard) this.#reporter.tell("exhausted", { error: cause }, "exhausted");
    const reason = cause instanceof Error ? cause.message : String(cause);
    return new TardigradeError("NO_FALLBACK", `The call failed and no fallback had a value: ${reason}`, {
      cause,
      context: { component: this.name },
    });
  }

  execute<T>(work: Work<T>, options?: ExecuteOptions): Promise<Awaited<T>> {
    return executeBy(this, work, options);
  }

  executeSync<T>(work: Work<T>, options?: ExecuteOptions): T {
    return executeSyncBy(this, work, options);
  }

  on<Name extends keyof FallbackEvents>(
    event: Name,
    listener: (detail: FallbackEvents[Name]) => void,
  ): Disposable {
    return this.#reporter.on(event, listener);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#lastGood = undefined;
    for (const step of this.#steps) if ("lastGood" in step) this.#seams.core.raw.lastGoodFree(step.lastGood);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
