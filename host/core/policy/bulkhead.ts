/** Bulkhead over the core's; assembly/resilience/bulkhead.ts has the queue, concurrency.ts the adaptive limits. */
import { TardigradeError } from "../../../protocols/error.ts";
import { checkHandle } from "../core.ts";
import { giveRegion, type Region, takeRegion } from "../regions.ts";
import type { CallScope, ExecuteOptions, Work } from "./call.ts";
import { type Observable, Reporter } from "./events.ts";
import {
  argument,
  CLOSED_STATUS,
  type CommonOptions,
  closedError,
  executeBy,
  isRefusal,
  isThenable,
  isTimeout,
  milli,
  type Policy,
  type PolicySeams,
  whole,
} from "./policy.ts";
import { type PolicyTimers, timersOf } from "./timers.ts";

export const BULKHEAD_LIMIT_MAX = 100_000;
export const BULKHEAD_QUEUE_MAX = 65_534;
const PRIORITIES = 4;
const KINDS = { aimd: 0, vegas: 1, gradient: 2 } as const;

export interface AdaptiveConcurrency {
  /** `gradient` and `vegas` go by how long calls take beside what they take at best, `aimd` by drops and `slowMs`. Default `gradient`. */
  readonly algorithm?: keyof typeof KINDS;
  /** Default 1 and 1,000; 100,000 at most. */
  readonly min?: number;
  readonly max?: number;
  /** How often the limit may change. Default 1,000. */
  readonly windowMs?: number;
  /** How often what calls take at best is measured anew, during which the limit is `min`. Default 60,000; 0 never. */
  readonly measureEveryMs?: number;
  /** Of `gradient`: how many times that is still no congestion, 1 to 10. Default 1.5. */
  readonly tolerance?: number;
  /** Of `aimd`: a mean above it lowers the limit. Default: drops alone do. */
  readonly slowMs?: number;
  /** Which errors say that the other side has too much. Default timeouts, and refusals of policies inside. */
  readonly isDropped?: (error: unknown) => boolean;
}

export interface BulkheadOptions extends CommonOptions {
  /** Calls at once, 1 to 100,000; where it begins when it is adaptive. Default 10. */
  readonly limit?: number;
  /** Calls that may wait, 0 to 65,534. Default 0. */
  readonly queue?: number;
  /** Longest wait in the queue, above 0, up to 4,294,967; then TIMED_OUT. Default: no end. */
  readonly queueMs?: number;
  /** Share of the limit up to which calls of priority 0 to 3 are let in, above 0 to 1. Default 1 each. */
  readonly shares?: readonly [number, number, number, number];
  /** A limit that follows how calls fare. */
  readonly adaptive?: AdaptiveConcurrency;
}

export interface BulkheadEvents {
  readonly refused: { readonly priority: number };
  /** A waiting call lost its place to a more important one. */
  readonly shed: { readonly priority: number };
  readonly limitChange: { readonly from: number; readonly to: number };
}

export interface BulkheadState {
  readonly limit: number;
  readonly inFlight: number;
  readonly queued: number;
}

export interface Bulkhead extends Policy, Observable<BulkheadEvents> {
  readonly state: BulkheadState;
  /** 0 when a call may be made now, to be given back with release(); else the negative of a code's number. Never waits, allocates nothing. */
  tryAcquire(priority?: number): number;
  /** Gives back what tryAcquire granted. 0, or the negative of a code's number when nothing is out. */
  release(): number;
}

interface Waiting {
  readonly priority: number;
  readonly go: () => void;
  readonly fail: (error: unknown) => void;
}

export function createBulkhead(seams: Omit<PolicySeams, "random">, options: BulkheadOptions = {}): Bulkhead {
  return new QueueBulkhead(seams, options);
}

class QueueBulkhead implements Bulkhead {
  readonly #seams: Omit<PolicySeams, "random">;
  readonly #raw: PolicySeams["core"]["raw"];
  readonly #timers: PolicyTimers;
  readonly #reporter: Reporter<BulkheadEvents>;
  readonly #options: BulkheadOptions;
  readonly #memory: Region;
  readonly #handle: number;
  /** 0 without an adaptive limit. */
  readonly #concurrency: number;
  readonly #isDropped: (error: unknown) => boolean;
  readonly #waiting = new Map<number, Waiting>();
  #limit: number;
  #tickets = 0;
  #isOpen = true;

  constructor(seams: Omit<PolicySeams, "random">, options: BulkheadOptions) {
    this.#seams = seams;
    this.#raw = seams.core.raw;
    this.#timers = timersOf(seams.core, seams.clock);
    this.#reporter = new Reporter("bulkhead", options);
    this.#options = options;
    const { adaptive, queueMs } = options;
    this.#limit = whole(this.name, "limit", options.limit ?? 10, { min: 1, max: BULKHEAD_LIMIT_MAX });
    const queue = whole(this.name, "queue", options.queue ?? 0, { min: 0, max: BULKHEAD_QUEUE_MAX });
    if (queueMs !== undefined && !(queueMs > 0 && queueMs <= 4_294_967)) {
      throw argument(this.name, "queueMs must be above 0 and at most 4,294,967.");
    }
    const shares = options.shares?.map((share) => milli(this.name, "a share", share, { min: 0.001, max: 1 }));
    this.#concurrency = adaptive === undefined ? 0 : this.#adapt(adaptive);
    this.#isDropped = adaptive?.isDropped ?? isOverload;
    this.#memory = takeRegion(seams.core, this.#raw.bulkheadBytes(queue));
    this.#handle = checkHandle(
      this.#raw.bulkheadCreate(this.#limit, queue, this.#memory.at),
      "The bulkhead could not be created.",
    );
    shares?.forEach((share, priority) => {
      this.#raw.bulkheadShare(this.#handle, priority, share);
    });
  }

  #adapt(adaptive: AdaptiveConcurrency): number {
    const {
      algorithm = "gradient",
      min = 1,
      max = 1000,
      windowMs = 1000,
      measureEveryMs = 60_000,
    } = adaptive;
    const status = this.#raw.concurrencyCreate(
      KINDS[algorithm] ?? -1,
      this.#limit,
      whole(this.name, "adaptive.min", min, { min: 1, max: this.#limit }),
      whole(this.name, "adaptive.max", max, { min: this.#limit, max: BULKHEAD_LIMIT_MAX }),
      windowMs,
      900,
      adaptive.slowMs ?? 0,
      measureEveryMs,
      milli(this.name, "adaptive.tolerance", adaptive.tolerance ?? 1.5, { min: 1, max: 10 }),
      this.#seams.clock.monotonicMs(),
    );
    return checkHandle(
      status,
      `An adaptive limit has an algorithm of ${Object.keys(KINDS).join(", ")}, and windowMs above 0, all of its times up to 4,294,967.`,
    );
  }

  get name(): string {
    return this.#reporter.name;
  }

  get state(): BulkheadState {
    return {
      limit: this.#limit,
      inFlight: this.#raw.bulkheadInFlight(this.#handle),
      queued: this.#raw.bulkheadQueued(this.#handle),
    };
  }

  tryAcquire(priority = 0): number {
    if (!this.#isOpen) return CLOSED_STATUS;
    const status = this.#raw.bulkheadTry(this.#handle, priority);
    if (status < 0 && this.#reporter.isHeard) this.#reporter.tell("refused", { priority }, "refused");
    return status;
  }

  release(): number {
    const status = this.#raw.bulkheadLeave(this.#handle);
    if (this.#waiting.size > 0) this.#admit();
    return status;
  }

  run<T>(work: Work<T>, call: CallScope): T | Promise<Awaited<T>> {
    if (!this.#isOpen) throw closedError(this.name);
    const { priority } = call;
    if (!(priority >= 0 && priority < PRIORITIES && Number.isInteger(priority)))
      throw argument(this.name, `A priority is 0, 1, 2 or 3, not ${priority}.`);
    const ticket = this.#nextTicket();
    const place = this.#raw.bulkheadEnter(this.#handle, priority, ticket);
    if (place === 0) return this.#perform(work, call);
    if (place < 0) {
      if (this.#reporter.isHeard) this.#reporter.tell("refused", { priority }, "refused");
      throw new TardigradeError(
        "BULKHEAD_FULL",
        `${this.#limit} calls are under way, and the queue of ${this.#options.queue ?? 0} is full; try again later.`,
        { context: { component: this.name, limit: this.#limit } },
      );
    }
    const entered = this.#wait(ticket, place, call);
    const shed = this.#raw.bulkheadShed(this.#handle);
    if (shed !== 0) this.#shed(shed);
    return entered.then(() => this.#perform(work, call)) as Promise<Awaited<T>>;
  }

  #nextTicket(): number {
    this.#tickets = this.#tickets === 0x7fff_ffff ? 1 : this.#tickets + 1;
    return this.#tickets;
  }

  #wait(ticket: number, place: number, call: CallScope): Promise<void> {
    const { queueMs } = this.#options;
    return new Promise((resolve, reject) => {
      const leave = (error: unknown): void => {
        if (!this.#waiting.has(ticket)) return;
        this.#raw.bulkheadCancel(this.#handle, place);
        done();
        reject(error);
        // A place that was waited for by a lower share may be had by another.
        this.#admit();
      };
      const timer =
        queueMs === undefined ? 0 : this.#timers.start(queueMs, () => leave(this.#waitedTooLong(queueMs)));
      const forget = call.onAbort(leave);
      const done = (): void => {
        this.#waiting.delete(ticket);
        forget();
        if (timer !== 0) this.#timers.stop(timer);
      };
      this.#waiting.set(ticket, {
        priority: call.priority,
        go: () => {
          done();
          resolve();
        },
        fail: (error) => {
          done();
          reject(error);
        },
      });
    });
  }

  #shed(ticket: number): void {
    const waiting = this.#waiting.get(ticket);
    if (waiting === undefined) return;
    const { priority } = waiting;
    if (this.#reporter.isHeard) this.#reporter.tell("shed", { priority }, "shed");
    waiting.fail(
      new TardigradeError("LOAD_SHED", "The call gave up its place in the queue to a more important one.", {
        context: { component: this.name, priority },
      }),
    );
  }

  #admit(): void {
    for (
      let ticket = this.#raw.bulkheadNext(this.#handle);
      ticket !== 0;
      ticket = this.#raw.bulkheadNext(this.#handle)
    ) {
      this.#waiting.get(ticket)?.go();
    }
  }

  #perform<T>(work: Work<T>, call: CallScope): T | Promise<Awaited<T>> {
    const startedMs = this.#concurrency === 0 ? 0 : this.#seams.clock.monotonicMs();
    const inFlight = this.#concurrency === 0 ? 0 : this.#raw.bulkheadInFlight(this.#handle);
    let result: T;
    try {
      result = work(call);
    } catch (error) {
      this.#ended(startedMs, inFlight, error, call);
      throw error;
    }
    if (!isThenable(result)) {
      this.#ended(startedMs, inFlight, undefined, call);
      return result;
    }
    return result.then(
      (value) => {
        this.#ended(startedMs, inFlight, undefined, call);
        return value;
      },
      (error: unknown) => {
        this.#ended(startedMs, inFlight, error, call);
        throw error;
      },
    ) as Promise<Awaited<T>>;
  }

  #ended(startedMs: number, inFlight: number, error: unknown, call: CallScope): void {
    if (this.#concurrency !== 0 && this.#isOpen) {
      const dropped = error !== undefined && this.#isDropped(error);
      // A call that its caller gave up took no time that means anything.
      if (dropped || !call.isAborted) {
        const nowMs = this.#seams.clock.monotonicMs();
        this.#limitTo(
          this.#raw.concurrencySample(this.#concurrency, startedMs, inFlight, dropped ? 1 : 0, nowMs),
        );
      }
    }
    this.release();
  }

  #limitTo(limit: number): void {
    const from = this.#limit;
    if (limit <= 0 || limit === from) return;
    this.#limit = limit;
    this.#raw.bulkheadLimit(this.#handle, limit);
    if (this.#reporter.isHeard) this.#reporter.tell("limitChange", { from, to: limit });
  }

  #waitedTooLong(queueMs: number): TardigradeError {
    return new TardigradeError("TIMED_OUT", `The call waited ${queueMs} ms for its turn and was not made.`, {
      context: { component: this.name, queueMs },
    });
  }

  execute<T>(work: Work<T>, options?: ExecuteOptions): Promise<Awaited<T>> {
    return executeBy(this, work, options);
  }

  on<Name extends keyof BulkheadEvents>(
    event: Name,
    listener: (detail: BulkheadEvents[Name]) => void,
  ): Disposable {
    return this.#reporter.on(event, listener);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    for (const waiting of [...this.#waiting.values()]) waiting.fail(closedError(this.name));
    this.#raw.bulkheadFree(this.#handle);
    if (this.#concurrency !== 0) this.#raw.concurrencyFree(this.#concurrency);
    giveRegion(this.#seams.core, this.#memory);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function isOverload(error: unknown): boolean {
  return isTimeout(error) || isRefusal(error);
}
