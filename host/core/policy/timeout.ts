/** Timeout: a call that takes too long is given up. assembly/resilience/latency.ts follows what is usual, timer-wheel.ts counts the time. */
import { TardigradeError } from "../../../protocols/error.ts";
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
} from "./policy.ts";
import { type PolicyTimers, timersOf } from "./timers.ts";

export const TIMEOUT_MS_MAX = 4_294_967;

export interface AdaptiveTimeout {
  /** Share of calls that are in time by far, 0.001 to 0.999. Default 0.99. */
  readonly quantile?: number;
  /** The timeout is so many times that quantile, 1 to 1,000. Default 2. */
  readonly factor?: number;
  /** Default 1. */
  readonly minMs?: number;
  /** Also the timeout until 16 calls were seen; up to 4,294,967. */
  readonly maxMs: number;
}

export interface TimeoutOptions extends CommonOptions {
  /** Above 0, up to 4,294,967. One of `ms` and `adaptive`. */
  readonly ms?: number;
  /** A timeout that follows how long calls take. */
  readonly adaptive?: AdaptiveTimeout;
  /**
   * `forced` (default) rejects in time, whatever the work does, and aborts its signal; what it gives later is dropped. `cooperative` aborts the signal
   * and waits for the work to end, so that nothing goes on unseen: for work that heeds its signal.
   */
  readonly strategy?: "forced" | "cooperative";
}

export interface TimeoutEvents {
  readonly timeout: { readonly timeoutMs: number };
  readonly settled: { readonly tookMs: number };
}

export interface TimeoutState {
  /** Of a call that began now. */
  readonly timeoutMs: number;
  readonly underWay: number;
}

export interface Timeout extends Policy, Observable<TimeoutEvents> {
  readonly state: TimeoutState;
  /** The synchronous form: calls `expire` in timeoutMs unless it is stopped. A timer above 0, or the negative of a code's number. Allocates nothing. */
  start(expire: () => void): number;
  /** False when it is not running any more. */
  stop(timer: number): boolean;
}

export function createTimeout(seams: Omit<PolicySeams, "random">, options: TimeoutOptions): Timeout {
  return new WheelTimeout(seams, options);
}

class WheelTimeout implements Timeout {
  readonly #seams: Omit<PolicySeams, "random">;
  readonly #timers: PolicyTimers;
  readonly #reporter: Reporter<TimeoutEvents>;
  readonly #isForced: boolean;
  readonly #fixedMs: number;
  readonly #adaptive:
    | {
        readonly handle: number;
        readonly factorMilli: number;
        readonly minMs: number;
        readonly maxMs: number;
      }
    | undefined;
  #isOpen = true;
  #underWay = 0;

  constructor(seams: Omit<PolicySeams, "random">, options: TimeoutOptions) {
    this.#seams = seams;
    this.#timers = timersOf(seams.core, seams.clock);
    this.#reporter = new Reporter("timeout", options);
    this.#isForced = (options.strategy ?? "forced") === "forced";
    const { ms, adaptive } = options;
    if ((ms === undefined) === (adaptive === undefined))
      throw argument(this.name, "A timeout has `ms` or `adaptive`.");
    this.#fixedMs = ms === undefined ? 0 : span(this.name, "ms", ms);
    this.#adaptive = adaptive === undefined ? undefined : this.#adapt(adaptive);
  }

  #adapt({ quantile = 0.99, factor = 2, minMs = 1, maxMs }: AdaptiveTimeout) {
    if (span(this.name, "adaptive.minMs", minMs) > span(this.name, "adaptive.maxMs", maxMs)) {
      throw argument(this.name, "adaptive.minMs must not be above adaptive.maxMs.");
    }
    const factorMilli = milli(this.name, "adaptive.factor", factor, { min: 1, max: 1000 });
    const qMilli = milli(this.name, "adaptive.quantile", quantile, { min: 0.001, max: 0.999 });
    const handle = checkHandle(
      this.#seams.core.raw.latencyCreate(qMilli),
      "The timeout could not be created.",
    );
    return { handle, factorMilli, minMs, maxMs };
  }

  get name(): string {
    return this.#reporter.name;
  }

  get state(): TimeoutState {
    return { timeoutMs: this.#timeoutMs(), underWay: this.#underWay };
  }

  #timeoutMs(): number {
    if (this.#adaptive === undefined) return this.#fixedMs;
    const { handle, factorMilli, minMs, maxMs } = this.#adaptive;
    return this.#isOpen ? this.#seams.core.raw.latencyTimeoutMs(handle, factorMilli, minMs, maxMs) : maxMs;
  }

  start(expire: () => void): number {
    return this.#timers.start(this.#timeoutMs(), expire);
  }

  stop(timer: number): boolean {
    return this.#timers.stop(timer);
  }

  run<T>(work: Work<T>, call: CallScope): T | Promise<Awaited<T>> {
    if (!this.#isOpen) throw closedError(this.name);
    const timeoutMs = this.#timeoutMs();
    const scope = call.within();
    const measures = this.#adaptive !== undefined || this.#reporter.isHeard;
    const startedMs = measures ? this.#seams.clock.monotonicMs() : 0;
    let giveUp: ((error: unknown) => void) | undefined;
    let late: TardigradeError | undefined;
    const timer = this.#timers.start(timeoutMs, () => {
      late = this.#timedOut(timeoutMs);
      scope.abort(late);
      giveUp?.(late);
    });
    this.#underWay += 1;
    const settle = (): void => {
      this.#timers.stop(timer);
      this.#underWay -= 1;
      scope.end();
      if (measures && late === undefined) this.#settled(this.#seams.clock.monotonicMs() - startedMs);
    };
    let result: T;
    try {
      result = work(scope);
    } catch (error) {
      settle();
      throw error;
    }
    if (!isThenable(result)) {
      settle();
      return result;
    }
    const pending = result as PromiseLike<Awaited<T>>;
    if (!this.#isForced) {
      return pending.then(
        (value) => {
          settle();
          return value;
        },
        (error: unknown) => {
          settle();
          // Work that heeds its signal rejects with the reason of it, or with something about that.
          throw late ?? error;
        },
      ) as Promise<Awaited<T>>;
    }
    return new Promise((resolve, reject) => {
      let isOver = false;
      const over = (): boolean => {
        if (isOver) return true;
        isOver = true;
        settle();
        forget?.();
        return false;
      };
      giveUp = (error) => {
        if (!over()) reject(error);
      };
      const forget = call.canAbort
        ? call.onAbort((reason) => {
            scope.abort(reason);
            giveUp?.(reason);
          })
        : undefined;
      pending.then(
        (value) => {
          if (!over()) resolve(value);
        },
        (error: unknown) => giveUp?.(error),
      );
    });
  }

  #settled(tookMs: number): void {
    if (this.#adaptive !== undefined && this.#isOpen)
      this.#seams.core.raw.latencyRecord(this.#adaptive.handle, Math.max(0, tookMs));
    if (this.#reporter.isHeard) this.#reporter.tell("settled", { tookMs });
  }

  #timedOut(timeoutMs: number): TardigradeError {
    // What did not end in time took that long at least: without it the timeout would only ever shrink.
    if (this.#adaptive !== undefined && this.#isOpen)
      this.#seams.core.raw.latencyRecord(this.#adaptive.handle, timeoutMs);
    if (this.#reporter.isHeard) this.#reporter.tell("timeout", { timeoutMs }, "timeout");
    return new TardigradeError(
      "TIMED_OUT",
      `The call took longer than ${Number(timeoutMs.toPrecision(4))} ms.`,
      {
        context: { component: this.name, timeoutMs },
      },
    );
  }

  execute<T>(work: Work<T>, options?: ExecuteOptions): Promise<Awaited<T>> {
    return executeBy(this, work, options);
  }

  on<Name extends keyof TimeoutEvents>(
    event: Name,
    listener: (detail: TimeoutEvents[Name]) => void,
  ): Disposable {
    return this.#reporter.on(event, listener);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    if (this.#adaptive !== undefined) this.#seams.core.raw.latencyFree(this.#adaptive.handle);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function span(name: string, option: string, ms: number): number {
  if (ms > 0 && ms <= TIMEOUT_MS_MAX) return ms;
  throw argument(name, `${option} must be above 0 and at most ${TIMEOUT_MS_MAX}, not ${ms}.`);
}
