/**
 * A rate limit that a fleet of programs shares through the replicated store: all of them together are let through so often. A decision is local and
 * costs no message: each member holds a batch of tokens, got from the fleet's account (quota.ts) as it needs them.
 *
 * ```
 *   tryAcquire ──► tokens held? ── yes ──► 0
 *                     │ fewer than half of what a half batch time needs
 *                     ▼
 *                 ask: read the account (unless it is known) ─► grant ─► put if nobody changed it ─┬─ done ──► a batch, for batchMs
 *                     ▲                                                                           ├─ changed: read again
 *                     └── after the wait that the account names, or a back-off ───────────────────┴─ no answer: given out, or not: never used
 * ```
 * Promise: over any time of w ms, by a clock that runs as fast as the fastest of the members', at most burst + (w + batchMs) x limit / periodMs calls
 * are let through, and one. To that comes up to a burst for each member whose idea of the fleet's time was behind when it asked after a quiet time, and
 * another's was not: one that had joined meanwhile, for which no time has passed since the account was written, or one whose clock is slower by as much as a burst
 * takes to fill. While members ask, they keep each other's time. No wall clock is read, so none can be wrong.
 *
 * A member that pauses loses its batch, since that lapses by the monotonic clock, from before it was asked for; a machine whose monotonic
 * clock stands still while it sleeps has it longer by that. A member that dies takes what it holds with it.
 *
 * While the store cannot be reached, calls are refused when the batch is used up, or `aloneLimit` of them are let through each period by each member,
 * which the promise then does not cover. Doorman (YouTube) and Envoy's rate limit quota service give out capacity by time in the same way.
 */
import { TardigradeError } from "../../../protocols/error.ts";
import { ERRORS } from "../../../protocols/table.ts";
import type { CallScope, ExecuteOptions, Work } from "../../core/policy/call.ts";
import { type Observable, Reporter } from "../../core/policy/events.ts";
import {
  argument,
  CLOSED_STATUS,
  type CommonOptions,
  closedError,
  executeBy,
  type Policy,
  type PolicySeams,
  whole,
} from "../../core/policy/policy.ts";
import { createRateLimit, type RateLimit } from "../../core/policy/rate-limit.ts";
import type { KvClient } from "../client/kv-client.ts";
import { KEY_BYTES_MAX } from "../kv/limits.ts";
import { Asking } from "./asking.ts";
import { HeldTokens } from "./held-tokens.ts";
import type { QuotaLimits } from "./quota.ts";

export interface FleetRateLimitOptions extends CommonOptions {
  readonly kv: Pick<KvClient, "get" | "put">;
  /** Of the fleet's account in the store. Members of one key must have the same figures: with others the promise holds for none of them. */
  readonly key: string;
  /** Calls of all members together each period, 1 to 1,000,000. */
  readonly limit: number;
  /** 1 to 3,600,000; 1,000 by default. */
  readonly periodMs?: number;
  /**
   * Calls of all together that may come at once after a quiet time, 1 to 1,000,000; `limit` by default. Less than what 50 ms bring cannot be used up, as
   * nobody asks so often.
   */
  readonly burst?: number;
  /** How long a member may keep tokens that it does not use, 20 to 60,000; 500 by default. Shorter asks more often and wastes less. */
  readonly batchMs?: number;
  /** execute() waits up to so long for a token instead of failing. */
  readonly maxWaitMs?: number;
  /** Calls that may wait so; 1,000 by default. */
  readonly waitingMax?: number;
  /** Calls each period that this member lets through by itself while the store cannot be reached; 0 by default. */
  readonly aloneLimit?: number;
}

export interface FleetRateState {
  readonly limit: number;
  /** Calls that could be made here at once now. */
  readonly held: number;
  /** Calls of execute() that wait. */
  readonly waiting: number;
  /** False from an ask that failed, or is not answered for a second, to the next that does not. */
  readonly isReachable: boolean;
  /** Until it is asked for more, when there are none: a call may succeed then. 0 when there are. */
  readonly retryAfterMs: number;
}

export interface FleetRateEvents {
  readonly refused: { readonly retryAfterMs: number };
  readonly granted: { readonly tokens: number };
  /** The store did not answer, or holds something else under the key. */
  readonly unreachable: { readonly error: Error };
  readonly reachable: Record<never, never>;
}

export interface FleetRateLimit extends Policy, Observable<FleetRateEvents> {
  readonly state: FleetRateState;
  /** 0 when `tokens` (default 1) were taken, else the negative of a code's number. Never throws. */
  tryAcquire(tokens?: number): number;
}

interface Waiting {
  readonly go: () => void;
  readonly fail: (error: Error) => void;
}

const US_PER_MS = 1000;
const COUNT = { min: 1, max: 1_000_000 } as const;
const LIMITED = -ERRORS.RATE_LIMITED.number;
const ARGUMENT = -ERRORS.ARGUMENT.number;

/** Throws ARGUMENT. */
export function createFleetRateLimit(seams: PolicySeams, options: FleetRateLimitOptions): FleetRateLimit {
  return new SharedRateLimit(seams, options);
}

class SharedRateLimit implements FleetRateLimit {
  readonly name: string;
  readonly #seams: PolicySeams;
  readonly #options: FleetRateLimitOptions;
  readonly #limits: QuotaLimits;
  readonly #waitingMax: number;
  readonly #reporter: Reporter<FleetRateEvents>;
  readonly #held: HeldTokens;
  readonly #alone: RateLimit | undefined;
  readonly #asking: Asking;
  readonly #waiting: Waiting[] = [];
  #aloneAlarm: (() => void) | undefined;
  /** The most that one call asked for and did not get. */
  #least = 1;
  #isShort = false;
  #isOpen = true;

  constructor(seams: PolicySeams, options: FleetRateLimitOptions) {
    this.#reporter = new Reporter("fleet-rate-limit", options);
    this.name = this.#reporter.name;
    const {
      limit,
      periodMs = 1000,
      burst = limit,
      batchMs = 500,
      waitingMax = 1000,
      aloneLimit = 0,
    } = options;
    whole(this.name, "limit", limit, COUNT);
    whole(this.name, "burst", burst, COUNT);
    whole(this.name, "periodMs", periodMs, { min: 1, max: 3_600_000 });
    whole(this.name, "batchMs", batchMs, { min: 20, max: 60_000 });
    whole(this.name, "waitingMax", waitingMax, { min: 1, max: 1_000_000 });
    whole(this.name, "aloneLimit", aloneLimit, { min: 0, max: COUNT.max });
    if (options.maxWaitMs !== undefined)
      whole(this.name, "maxWaitMs", options.maxWaitMs, { min: 1, max: 3_600_000 });
    const keyBytes = new TextEncoder().encode(options.key).length;
    if (keyBytes < 1 || keyBytes > KEY_BYTES_MAX)
      throw argument(this.name, `The key of the account has 1 to ${KEY_BYTES_MAX} bytes, not ${keyBytes}.`);
    this.#seams = seams;
    this.#options = options;
    this.#limits = { limit, burst, periodUs: periodMs * US_PER_MS };
    this.#waitingMax = waitingMax;
    this.#held = new HeldTokens(batchMs / 2);
    const asked = { name: this.name, kv: options.kv, key: options.key, limits: this.#limits, batchMs };
    this.#asking = new Asking(seams, asked, {
      wanted: (nowMs) => this.#wanted(nowMs),
      isWaitedFor: () => this.#waiting.length > 0,
      least: () => this.#least,
      forgetLeast: () => {
        this.#least = 1;
      },
      granted: (tokens, ask) => this.#granted(tokens, ask),
      answered: () => this.#serve(),
      unreachable: (error) => this.#reporter.tell("unreachable", { error }, "unreachable"),
      reachable: () => this.#reporter.tell("reachable", {}, "reachable"),
    });
    if (aloneLimit > 0)
      this.#alone = createRateLimit(seams, { limit: aloneLimit, periodMs, name: `${this.name} alone` });
  }

  tryAcquire(tokens = 1): number {
    if (!this.#isOpen) return CLOSED_STATUS;
    if (!(Number.isInteger(tokens) && tokens >= 1 && tokens <= this.#limits.burst)) return ARGUMENT;
    // Who waits came first.
    this.#serve();
    const status = this.#waiting.length > 0 ? LIMITED : this.#take(tokens);
    if (status < 0 && this.#reporter.isHeard)
      this.#reporter.tell("refused", { retryAfterMs: this.#retryAfterMs() }, "refused");
    return status;
  }

  get state(): FleetRateState {
    const held = this.#isOpen ? this.#held.count(this.#nowMs) : 0;
    return {
      limit: this.#limits.limit,
      held,
      waiting: this.#waiting.length,
      isReachable: this.#asking.failure === undefined,
      retryAfterMs: held > 0 ? 0 : this.#retryAfterMs(),
    };
  }

  execute<T>(work: Work<T>, options?: ExecuteOptions): Promise<Awaited<T>> {
    return executeBy(this, work, options);
  }

  run<T>(work: Work<T>, call: CallScope): T | Promise<Awaited<T>> {
    const status = this.tryAcquire();
    if (status === 0) return work(call);
    if (status === CLOSED_STATUS) throw closedError(this.name);
    if (this.#options.maxWaitMs === undefined || this.#waiting.length >= this.#waitingMax)
      throw this.#refusal();
    return this.#wait(call, this.#options.maxWaitMs).then(() => work(call)) as Promise<Awaited<T>>;
  }

  on<Name extends keyof FleetRateEvents>(
    event: Name,
    listener: (detail: FleetRateEvents[Name]) => void,
  ): Disposable {
    return this.#reporter.on(event, listener);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#asking.close();
    this.#aloneAlarm?.();
    this.#alone?.close();
    for (const { fail } of this.#waiting.splice(0)) fail(closedError(this.name));
  }
  [Symbol.dispose](): void {
    this.close();
  }

  get #nowMs(): number {
    return this.#seams.clock.monotonicMs();
  }

  #take(tokens: number): number {
    const nowMs = this.#nowMs;
    this.#held.asked(tokens, nowMs);
    const isTaken = this.#held.take(tokens, nowMs);
    if (!isTaken) this.#short(tokens);
    else if (this.#wanted(nowMs) > 0) this.#asking.soon();
    if (isTaken) return 0;
    return this.#asking.failure === undefined ? LIMITED : (this.#alone?.tryAcquire(tokens) ?? LIMITED);
  }

  #short(tokens: number): void {
    this.#least = Math.max(this.#least, tokens);
    this.#isShort = true;
    this.#asking.soon();
  }

  #refusal(): TardigradeError {
    const retryAfterMs = this.#retryAfterMs();
    const why =
      this.#asking.failure === undefined
        ? "is used up"
        : `cannot be asked for (${this.#asking.failure.message})`;
    return new TardigradeError(
      "RATE_LIMITED",
      `The fleet's rate limit of ${this.#limits.limit} each ${this.#limits.periodUs / US_PER_MS} ms ${why}; retry after ${Math.ceil(retryAfterMs)} ms.`,
      { cause: this.#asking.failure, context: { component: this.name, retryAfterMs } },
    );
  }

  #retryAfterMs(): number {
    return Math.max(1, this.#asking.waitMs());
  }

  // ---- calls that wait

  #wait(call: CallScope, maxWaitMs: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        cancel();
        forget();
        const at = this.#waiting.indexOf(waiting);
        if (at >= 0) this.#waiting.splice(at, 1);
      };
      const waiting: Waiting = {
        go: () => {
          leave();
          resolve();
        },
        fail: (error) => {
          leave();
          reject(error);
        },
      };
      this.#waiting.push(waiting);
      const cancel = this.#seams.clock.alarm(maxWaitMs, () => waiting.fail(this.#refusal()));
      const forget = call.onAbort((reason) => waiting.fail(reason as Error));
      this.#short(1);
    });
  }

  #serve(): void {
    while (this.#waiting.length > 0 && this.#mayGo()) (this.#waiting[0] as Waiting).go();
    if (this.#waiting.length > 0 && this.#asking.failure !== undefined && this.#alone !== undefined)
      this.#serveAlone(this.#alone.waitMs());
  }
  #serveAlone(delayMs: number): void {
    this.#aloneAlarm ??= this.#seams.clock.alarm(delayMs, () => {
      this.#aloneAlarm = undefined;
      this.#serve();
    });
  }
  #mayGo(): boolean {
    if (this.#held.take(1, this.#nowMs)) return true;
    return this.#asking.failure !== undefined && this.#alone?.tryAcquire() === 0;
  }

  // ---- asking

  /** Tokens that should be asked for now: none while more than half of what is needed is there. */
  #wanted(nowMs: number): number {
    const need = Math.min(this.#limits.burst, Math.max(this.#held.need(nowMs), this.#waiting.length));
    const held = this.#held.count(nowMs);
    if (this.#isShort || this.#waiting.length > 0) return Math.max(this.#least, need - held);
    return held < need / 2 ? need - held : 0;
  }

  #granted(tokens: number, ask: { readonly untilMs: number; readonly least: number }): void {
    this.#held.add(tokens, ask.untilMs);
    if (this.#least === ask.least) this.#least = 1;
    this.#isShort = false;
    if (this.#reporter.isHeard) this.#reporter.tell("granted", { tokens }, "granted");
  }
}
