/** Circuit breaker over the core's; assembly/resilience/breaker.ts has the state machine, throttle.ts the adaptive threshold. */
import { TardigradeError } from "../../../protocols/error.ts";
import { ERRORS } from "../../../protocols/table.ts";
import { checkHandle } from "../core.ts";
import type { CallScope, ExecuteOptions, Work } from "./call.ts";
import { ClosedBreaker } from "./closed-breaker.ts";
import { type Observable, Reporter } from "./events.ts";
import {
  argument,
  CLOSED_STATUS,
  type CommonOptions,
  closedError,
  executeBy,
  executeSyncBy,
  isRefusal,
  isThenable,
  isTimeout,
  milli,
  type PolicyClock,
  type PolicySeams,
  type SyncPolicy,
  whole,
} from "./policy.ts";

export const BREAKER_STATES = ["closed", "open", "half-open", "forced-open", "disabled"] as const;
export type BreakerState = (typeof BREAKER_STATES)[number];

const OUTCOMES = { success: 0, failure: 1, cancelled: 2, ignored: 3, timeout: 4 } as const;
/** Cancelled and ignored calls give their permit back and count as nothing; a timeout is a failure. */
export type Outcome = keyof typeof OUTCOMES;

const SPAN_MS_MAX = 4_294_967_295;
const U16_MAX = 65_535;
const THROTTLED = -ERRORS.THROTTLED.number;

export interface CircuitBreakerOptions extends CommonOptions {
  /** How long it stays open before it lets probes through, 0 to 2^32 - 1. Default 10,000. */
  readonly openMs?: number;
  /** Half-open for so long without a verdict, it opens again: probes that never answer do not block it. 1 to 2^32 - 1, default 60,000. */
  readonly halfOpenMs?: number;
  /** Opens after so many failures in a row, at most 65,535. Default 5 when no rate is given, else off. */
  readonly consecutiveFailures?: number;
  /** Opens when this share (0.001 to 1) of the window failed. */
  readonly failureRate?: number;
  /** Opens when this share (0.001 to 1) of the window took slowCallMs or longer. */
  readonly slowCallRate?: number;
  /** What is slow, above 0, up to 4,294,967. */
  readonly slowCallMs?: number;
  /** The window of rates: the last calls, 1 to 256. Default 100 when windowMs is not given. */
  readonly windowCalls?: number;
  /** The window of rates: a span of time, in tenths of which it is forgotten; up to 4,294,967. */
  readonly windowMs?: number;
  /** Rates are judged from so many calls in the window on. Default 10, at most windowCalls. */
  readonly callsMin?: number;
  /** Calls let through at once while half-open, at most 65,535. Default 1. */
  readonly probes?: number;
  /** Successful probes that close it, at most 65,535. Default 1. */
  readonly successesToClose?: number;
  /**
   * Adaptive threshold: refuses calls at random, the more the fewer are accepted (client-side throttling of "Site Reliability Engineering",
   * ch. 21). A call counts when it has ended: a success as accepted, a failure or timeout as not. k: how many times what is accepted may be
   * asked, 1 to 100, default 2; windowMs: default 120,000.
   */
  readonly throttle?: { readonly k?: number; readonly windowMs?: number };
  /** Which errors count as failures; the others are ignored. Default all but refusals of policies inside, for which no call was made. */
  readonly isFailure?: (error: unknown) => boolean;
  /** What an error counts as, in place of isFailure: an error of the caller's making may show that the other side is well. */
  readonly classify?: (error: unknown) => Outcome;
}

export interface BreakerEvents {
  readonly stateChange: { readonly from: BreakerState; readonly to: BreakerState };
  readonly refused: { readonly code: "BREAKER_OPEN" | "THROTTLED"; readonly retryAfterMs: number };
  readonly success: { readonly tookMs: number };
  readonly failure: {
    readonly outcome: "failure" | "timeout";
    readonly tookMs: number;
    readonly error: unknown;
  };
}

export interface CircuitBreaker extends SyncPolicy, Observable<BreakerEvents> {
  /** A permit above 0, to give back once with `report`, or the negative of a code's number. Allocates nothing, never throws. */
  tryAcquire(): number;
  /** Gives a permit back; tookMs: how long the call took, for slow calls. 0, or the negative of a code's number: no such permit is out. */
  report(permit: number, outcome: Outcome, tookMs?: number): number;
  readonly state: BreakerState;
  /** Milliseconds until an open breaker lets a probe through; Infinity when it was forced open. */
  readonly waitMs: number;
  /** Lets nothing through until reset() or another of these. */
  forceOpen(): void;
  /** Lets everything through and only counts. */
  disable(): void;
  /** Opens for openMs. */
  open(): void;
  /** Closed, as if nothing had been. */
  reset(): void;
  /** The core's handle, for the typed plane. */
  readonly handle: number;
}

export function createCircuitBreaker(
  seams: Omit<PolicySeams, "random"> & Partial<Pick<PolicySeams, "random">>,
  options: CircuitBreakerOptions = {},
): CircuitBreaker {
  return new Breaker(seams, options);
}

interface Settlers {
  readonly permit: number;
  readonly succeeded: (value: unknown) => unknown;
  readonly failed: (error: unknown) => never;
}

class Breaker implements CircuitBreaker {
  readonly #raw: PolicySeams["core"]["raw"];
  readonly #clock: PolicyClock;
  readonly #random: PolicySeams["random"] | undefined;
  readonly #classify: (error: unknown) => Outcome;
  readonly #reporter: Reporter<BreakerEvents>;
  readonly #measures: boolean;
  readonly #throttle: number;
  readonly #closed: ClosedBreaker;
  readonly handle: number;
  #isOpen = true;
  #lastState: BreakerState = "closed";
  #plain: Settlers | undefined;

  constructor(
    seams: Omit<PolicySeams, "random"> & Partial<Pick<PolicySeams, "random">>,
    options: CircuitBreakerOptions,
  ) {
    this.#raw = seams.core.raw;
    this.#clock = seams.clock;
    this.#random = seams.random;
    const isFailure = options.isFailure ?? isOutside;
    this.#classify =
      options.classify ??
      ((error) => (!isFailure(error) ? "ignored" : isTimeout(error) ? "timeout" : "failure"));
    this.#reporter = new Reporter("circuit-breaker", options);
    this.#measures = options.slowCallRate !== undefined;
    this.handle = createHandle(seams, options, this.name);
    this.#throttle = createThrottle(seams, options, this.name);
    this.#closed = new ClosedBreaker(seams.core, this.handle);
  }

  get name(): string {
    return this.#reporter.name;
  }

  get state(): BreakerState {
    return BREAKER_STATES[this.#raw.breakerState(this.handle, this.#clock.monotonicMs())] ?? "closed";
  }

  get waitMs(): number {
    return Math.max(0, this.#raw.breakerWaitMs(this.handle, this.#clock.monotonicMs()));
  }

  tryAcquire(): number {
    if (!this.#isOpen) return CLOSED_STATUS;
    if (this.#throttle === 0 && !this.#reporter.isHeard) {
      const permit = this.#closed.acquire();
      if (permit > 0) return permit;
    }
    const nowMs = this.#clock.monotonicMs();
    if (this.#throttle !== 0) {
      const status = this.#raw.throttleAdmit(this.#throttle, this.#random?.u32() ?? 0, nowMs);
      if (status < 0) {
        if (this.#reporter.isHeard)
          this.#reporter.tell("refused", { code: "THROTTLED", retryAfterMs: 0 }, "refused");
        return status;
      }
    }
    const permit = this.#raw.breakerAcquire(this.handle, nowMs);
    if (this.#reporter.isHeard) this.#notice(permit);
    return permit;
  }

  report(permit: number, outcome: Outcome, tookMs = 0): number {
    return this.#report(permit, outcome, tookMs, undefined);
  }

  #report(permit: number, outcome: Outcome, tookMs: number, error: unknown): number {
    if (
      outcome === "success" &&
      this.#throttle === 0 &&
      !this.#reporter.isHeard &&
      this.#closed.succeeded(permit)
    )
      return 0;
    const nowMs = this.#clock.monotonicMs();
    const status = this.#raw.breakerReturn(this.handle, permit, OUTCOMES[outcome], tookMs, nowMs);
    if (this.#throttle !== 0 && status >= 0) this.#tellThrottle(outcome, nowMs);
    if (this.#reporter.isHeard && status >= 0) {
      if (outcome === "success") this.#reporter.tell("success", { tookMs }, outcome);
      else if (outcome === "failure" || outcome === "timeout")
        this.#reporter.tell("failure", { outcome, tookMs, error }, outcome);
      this.#change(BREAKER_STATES[status] ?? "closed");
    }
    return Math.min(status, 0);
  }

  #tellThrottle(outcome: Outcome, nowMs: number): void {
    if (outcome === "success") this.#raw.throttleAccepted(this.#throttle, nowMs);
    else if (outcome === "failure" || outcome === "timeout")
      this.#raw.throttleRejected(this.#throttle, nowMs);
  }

  #notice(permit: number): void {
    const state = this.state;
    // What was let through while it was open is the first probe.
    this.#change(permit > 0 && state === "open" ? "half-open" : state);
    if (permit < 0)
      this.#reporter.tell("refused", { code: "BREAKER_OPEN", retryAfterMs: this.waitMs }, "refused");
  }

  #change(to: BreakerState): void {
    const from = this.#lastState;
    if (from === to) return;
    this.#lastState = to;
    this.#reporter.tell("stateChange", { from, to }, to);
  }

  run<T>(work: Work<T>, call: CallScope): T | Promise<Awaited<T>> {
    const permit = this.tryAcquire();
    if (permit <= 0) throw this.#refusal(permit);
    const measures = this.#measures || this.#reporter.isHeard;
    // Never 0 when it is measured, which stands for a call that is not.
    const startedMs = measures ? this.#clock.monotonicMs() || Number.MIN_VALUE : 0;
    let result: T;
    try {
      result = work(call);
    } catch (error) {
      this.#fail(permit, error, call, startedMs);
      throw error;
    }
    if (!isThenable(result)) {
      this.#report(permit, "success", this.#tookMs(startedMs), undefined);
      return result;
    }
    const { succeeded, failed } = this.#settlers(permit, call, startedMs);
    return result.then(succeeded, failed) as Promise<Awaited<T>>;
  }

  /** What an async call ends with. Of calls that nobody measures or can abort it depends on the permit alone, which few calls change. */
  #settlers(permit: number, call: CallScope, startedMs: number): Settlers {
    const isPlain = startedMs === 0 && !call.canAbort;
    if (isPlain && this.#plain?.permit === permit) return this.#plain;
    const settlers: Settlers = {
      permit,
      succeeded: (value) => {
        this.#report(permit, "success", this.#tookMs(startedMs), undefined);
        return value;
      },
      failed: (error) => {
        this.#fail(permit, error, call, startedMs);
        throw error;
      },
    };
    if (isPlain) this.#plain = settlers;
    return settlers;
  }

  #tookMs(startedMs: number): number {
    return startedMs === 0 ? 0 : Math.max(0, this.#clock.monotonicMs() - startedMs);
  }

  #fail(permit: number, error: unknown, call: CallScope, startedMs: number): void {
    const outcome = call.isAborted && !isTimeout(call.reason) ? "cancelled" : this.#classify(error);
    this.#report(permit, outcome, this.#tookMs(startedMs), error);
  }

  execute<T>(work: Work<T>, options?: ExecuteOptions): Promise<Awaited<T>> {
    return executeBy(this, work, options);
  }

  executeSync<T>(work: Work<T>, options?: ExecuteOptions): T {
    return executeSyncBy(this, work, options);
  }

  on<Name extends keyof BreakerEvents>(
    event: Name,
    listener: (detail: BreakerEvents[Name]) => void,
  ): Disposable {
    return this.#reporter.on(event, listener);
  }

  forceOpen(): void {
    this.#force(3);
  }
  disable(): void {
    this.#force(4);
  }
  open(): void {
    this.#force(1);
  }
  reset(): void {
    this.#force(0);
  }

  #force(state: number): void {
    if (!this.#isOpen) throw closedError(this.name);
    this.#raw.breakerForce(this.handle, state, this.#clock.monotonicMs());
    if (this.#reporter.isHeard) this.#change(BREAKER_STATES[state] ?? "closed");
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#raw.breakerFree(this.handle);
    if (this.#throttle !== 0) this.#raw.throttleFree(this.#throttle);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #refusal(status: number): TardigradeError {
    if (status === CLOSED_STATUS) return closedError(this.name);
    if (status === THROTTLED) {
      return new TardigradeError(
        "THROTTLED",
        "Most calls of late were not accepted, so this one was not made; try again later.",
        { context: { component: this.name } },
      );
    }
    const { waitMs } = this;
    const when =
      waitMs === Number.POSITIVE_INFINITY
        ? "once reset() was called"
        : waitMs > 0
          ? `in ${Math.ceil(waitMs)} ms`
          : "when a probe has answered";
    const retryAfterMs = Number.isFinite(waitMs) ? { retryAfterMs: waitMs } : {};
    return new TardigradeError("BREAKER_OPEN", `The circuit breaker is open; try again ${when}.`, {
      context: { component: this.name, ...retryAfterMs },
    });
  }
}

function isOutside(error: unknown): boolean {
  return !isRefusal(error);
}

function createHandle(
  { core, clock }: Pick<PolicySeams, "core" | "clock">,
  options: CircuitBreakerOptions,
  name: string,
): number {
  const { failureRate, slowCallRate, slowCallMs, windowMs } = options;
  const hasRate = failureRate !== undefined || slowCallRate !== undefined;
  if (!hasRate && (options.windowCalls ?? windowMs ?? options.callsMin) !== undefined) {
    throw argument(name, "A window needs a failureRate or a slowCallRate.");
  }
  if (windowMs !== undefined && options.windowCalls !== undefined) {
    throw argument(name, "The window is windowCalls or windowMs, not both.");
  }
  if (slowCallRate !== undefined && !(slowCallMs !== undefined && slowCallMs > 0)) {
    throw argument(name, "A slowCallRate needs a slowCallMs above 0.");
  }
  if (windowMs !== undefined && !(windowMs >= 0.01)) throw argument(name, "windowMs must be 0.01 at least.");
  const calls = !hasRate || windowMs !== undefined ? 0 : (options.windowCalls ?? 100);
  if (calls !== 0) whole(name, "windowCalls", calls, { min: 1, max: 256 });
  const callsMin = options.callsMin ?? (calls === 0 ? 10 : Math.min(10, calls));
  const rate = { min: 0.001, max: 1 };
  return checkHandle(
    core.raw.breakerCreate(
      whole(name, "openMs", Math.ceil(options.openMs ?? 10_000), { min: 0, max: SPAN_MS_MAX }),
      whole(name, "halfOpenMs", Math.ceil(options.halfOpenMs ?? 60_000), { min: 1, max: SPAN_MS_MAX }),
      whole(name, "consecutiveFailures", options.consecutiveFailures ?? (hasRate ? 0 : 5), {
        min: hasRate ? 0 : 1,
        max: U16_MAX,
      }),
      calls,
      hasRate ? (windowMs ?? 0) : 0,
      failureRate === undefined ? 0 : milli(name, "failureRate", failureRate, rate),
      slowCallRate === undefined ? 0 : milli(name, "slowCallRate", slowCallRate, rate),
      slowCallMs ?? 0,
      whole(name, "callsMin", callsMin, { min: 1, max: calls === 0 ? U16_MAX : calls }),
      whole(name, "probes", options.probes ?? 1, { min: 1, max: U16_MAX }),
      whole(name, "successesToClose", options.successesToClose ?? 1, { min: 1, max: U16_MAX }),
      clock.monotonicMs(),
    ),
    "The circuit breaker could not be created.",
  );
}

/** 0 for none. */
function createThrottle(
  { core, clock, random }: Pick<PolicySeams, "core" | "clock"> & Partial<Pick<PolicySeams, "random">>,
  { throttle }: CircuitBreakerOptions,
  name: string,
): number {
  if (throttle === undefined) return 0;
  if (random === undefined) throw argument(name, "A throttle needs dice: give it a `random`.");
  const k = milli(name, "throttle.k", throttle.k ?? 2, { min: 1, max: 100 });
  return checkHandle(
    core.raw.throttleCreate(k, throttle.windowMs ?? 120_000, clock.monotonicMs()),
    "A throttle needs a windowMs above 0, 4,294,967 at most.",
  );
}
