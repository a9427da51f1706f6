/**
 * Policies for calls that may fail: the core's, with the board's clock and dice. Create them at top level or in setup(), use them in callbacks;
 * nothing allocates after that. A `status` other than 0 is the negative of an error code: an option is out of range.
 */
import {
  BREAKER_BYTES,
  breakerAcquire,
  breakerForce,
  breakerInit,
  breakerProbes,
  breakerReturn,
  breakerState,
  breakerTripConsecutive,
  breakerTripRates,
  breakerWaitUs,
  breakerWindowByCount,
} from "../../assembly/resilience/breaker";
import {
  bulkheadBytes,
  bulkheadCancel,
  bulkheadEnter,
  bulkheadInFlight,
  bulkheadInit,
  bulkheadLeave,
  bulkheadLimit,
  bulkheadNext,
  bulkheadShed,
  bulkheadTry,
} from "../../assembly/resilience/bulkhead";
import {
  CONCURRENCY_BYTES,
  concurrencyInit,
  concurrencyLimit,
  concurrencySample,
} from "../../assembly/resilience/concurrency";
import {
  LAST_GOOD_BYTES,
  lastGoodCheck,
  lastGoodInit,
  lastGoodStore,
} from "../../assembly/resilience/last-good";
import {
  LATENCY_BYTES,
  latencyInit,
  latencyRecord,
  latencyTimeoutUs,
  latencyUs,
} from "../../assembly/resilience/latency";
import { outcomesBytesByCount } from "../../assembly/resilience/outcomes";
import { RETRY_BYTES, retryInit, retryNext } from "../../assembly/resilience/retry";
import { budgetBytes, budgetCall, budgetInit, budgetRetry } from "../../assembly/resilience/retry-budget";
import {
  throttleAccepted,
  throttleAdmit,
  throttleBytes,
  throttleInit,
  throttleRejected,
} from "../../assembly/resilience/throttle";
import {
  wheelAdd,
  wheelBytes,
  wheelCancel,
  wheelInit,
  wheelNextUs,
  wheelPop,
} from "../../assembly/resilience/timer-wheel";
import * as tardi from "./tardi";

const WINDOW_SLOTS: u32 = 6;
const HALF_OPEN_MS: u32 = 60_000;

/** How a call ended, for Breaker.report. */
export const SUCCESS: u32 = 0;
export const FAILURE: u32 = 1;
export const CANCELLED: u32 = 2;
export const IGNORED: u32 = 3;
export const TIMEOUT: u32 = 4;

/** Stops calling what keeps failing: opens after `failures` in a row (0: never), or by rates over the last `windowCalls`; probes after `openMs`. */
export class Breaker {
  private readonly at: usize;
  status: i32;

  constructor(failures: u32, openMs: u32, windowCalls: u32 = 0) {
    this.at = heap.alloc(BREAKER_BYTES + (windowCalls == 0 ? 0 : outcomesBytesByCount(windowCalls)));
    this.status = breakerInit(this.at, openMs, HALF_OPEN_MS);
    this.keep(breakerTripConsecutive(this.at, failures));
    if (windowCalls != 0) this.keep(breakerWindowByCount(this.at, windowCalls));
  }
  /** Opens at these thousandths of failed calls, or of calls that took `slowMs` or longer (0: does not look), from `callsMin` calls on. */
  rates(failureMilli: u32, slowMilli: u32, slowMs: u32, callsMin: u32): void {
    this.keep(breakerTripRates(this.at, failureMilli, slowMilli, slowMs * 1000, callsMin));
  }
  /** Probes let out at once while half-open, and the successes that close. */
  probes(permits: u32, successes: u32): void {
    this.keep(breakerProbes(this.at, permits, successes));
  }
  private keep(status: i32): void {
    if (this.status == 0) this.status = status;
  }
  /** A permit, or a negative code: do not call now. Give every permit back, with `done` or `report`. */
  acquire(): i32 {
    return breakerAcquire(this.at, tardi.now_us());
  }
  done(permit: i32, succeeded: bool): void {
    breakerReturn(this.at, permit, succeeded ? SUCCESS : FAILURE, 0, tardi.now_us());
  }
  report(permit: i32, outcome: u32, tookUs: u32 = 0): void {
    breakerReturn(this.at, permit, outcome, tookUs, tardi.now_us());
  }
  /** 0 closed, 1 open, 2 half-open, 3 forced open, 4 disabled. */
  get state(): i32 {
    return breakerState(this.at, tardi.now_us());
  }
  get isClosed(): bool {
    return this.state == 0;
  }
  /** By hand: 0 closed, 1 open, 3 forced open, 4 disabled. */
  force(state: i32): i32 {
    return breakerForce(this.at, state, tardi.now_us());
  }
  /** Until an open breaker lets a probe through. */
  get waitUs(): u64 {
    return breakerWaitUs(this.at, tardi.now_us());
  }
}

/** Makes fewer calls the fewer end accepted, down to `kMilli` thousandths of what is accepted (2,000 is usual), over the last `spanMs`. */
export class Throttle {
  private readonly at: usize = heap.alloc(throttleBytes(WINDOW_SLOTS));
  readonly status: i32;

  constructor(kMilli: u32, spanMs: u32) {
    this.status = throttleInit(this.at, kMilli, spanMs * 1000, WINDOW_SLOTS, tardi.now_us());
  }
  /** Whether to make a call now. */
  admit(): bool {
    return throttleAdmit(this.at, tardi.random(), tardi.now_us()) == 0;
  }
  /** The other side took a call on. */
  accepted(): void {
    throttleAccepted(this.at, tardi.now_us());
  }
  /** It refused a call, or did not answer in time. A call that says nothing about it is told to neither. */
  rejected(): void {
    throttleRejected(this.at, tardi.now_us());
  }
}

/** Waits between attempts. backoff: 0 exponential, 1 constant, 2 linear, 3 Fibonacci. jitter: 0 none, 1 full, 2 equal, 3 decorrelated. */
export class Retry {
  private readonly at: usize = heap.alloc(RETRY_BYTES);
  private failures: u32 = 0;
  readonly status: i32;

  constructor(baseMs: u32, capMs: u32, attempts: u32, jitter: u32 = 1, backoff: u32 = 0) {
    this.status = retryInit(this.at, backoff, baseMs * 1000, capMs * 1000, attempts, jitter);
  }
  /** An attempt failed: microseconds until the next, or the negative of a code when there is none left. */
  failed(): i64 {
    return retryNext(this.at, ++this.failures, tardi.random());
  }
  /** It succeeded, or was given up: the next failure is the first again. */
  reset(): void {
    this.failures = 0;
  }
}

/** Holds retries to a share of the calls and a few a second (200 thousandths and 10 are usual), over the last `spanMs`. */
export class RetryBudget {
  private readonly at: usize = heap.alloc(budgetBytes(WINDOW_SLOTS));
  readonly status: i32;

  constructor(shareMilli: u32, perSecond: u32, spanMs: u32 = 10_000) {
    this.status = budgetInit(this.at, shareMilli, perSecond, spanMs * 1000, WINDOW_SLOTS, tardi.now_us());
  }
  /** A call is made; not its retries. */
  call(): void {
    budgetCall(this.at, tardi.now_us());
  }
  /** Whether a retry may be made. */
  retry(): bool {
    return budgetRetry(this.at, tardi.now_us()) == 0;
  }
}

/** Follows how long calls take, and says after how long one is late: `factorMilli` thousandths of the quantile `qMilli`, within bounds. */
export class Timeout {
  private readonly at: usize = heap.alloc(LATENCY_BYTES);
  readonly status: i32;

  constructor(
    qMilli: u32,
    private factorMilli: u32,
    private minUs: u32,
    private maxUs: u32,
  ) {
    this.status = latencyInit(this.at, qMilli);
  }
  /** A call took so long. */
  record(tookUs: u32): void {
    latencyRecord(this.at, tookUs);
  }
  /** `maxUs` until enough calls were seen. */
  get timeoutUs(): u32 {
    return latencyTimeoutUs(this.at, this.factorMilli, this.minUs, this.maxUs);
  }
  /** The quantile itself, 0 at first. */
  get quantileUs(): u32 {
    return latencyUs(this.at);
  }
}

/** Many deadlines in one place; ask `pop` in an every() of a millisecond or more. */
export class TimerWheel {
  private readonly at: usize;
  readonly status: i32;

  /** 24 bytes a timer, and 688. */
  constructor(capacity: u32) {
    this.at = heap.alloc(wheelBytes(capacity));
    this.status = wheelInit(this.at, capacity, tardi.now_us());
  }
  /** A timer's handle, or the negative of a code when the wheel is full. */
  add(delayUs: u64, tag: u32): i32 {
    return wheelAdd(this.at, tardi.now_us() + delayUs, tag);
  }
  /** False when it is not running any more. */
  cancel(timer: i32): bool {
    return wheelCancel(this.at, timer) == 0;
  }
  /** The tag of a timer that is due, or -1. */
  pop(): i64 {
    return wheelPop(this.at, tardi.now_us());
  }
  /** When there is something to do again, in the clock of now(); u64.MAX_VALUE: never. */
  get nextUs(): u64 {
    return wheelNextUs(this.at);
  }
}

/** At most `limit` calls at once, and a queue of `queueMax` by priority, 0 (first) to 3. */
export class Bulkhead {
  private readonly at: usize;
  readonly status: i32;

  constructor(limit: u32, queueMax: u32) {
    this.at = heap.alloc(bulkheadBytes(queueMax));
    this.status = bulkheadInit(this.at, limit, queueMax);
  }
  /** Whether a call may be made now; give it back with `leave`. */
  tryEnter(priority: u32 = 0): bool {
    return bulkheadTry(this.at, priority) == 0;
  }
  /** 0: go on. Above 0: it waits, and `next` will name its ticket (from 1). Else the negative of a code. */
  enter(priority: u32, ticket: u32): i32 {
    return bulkheadEnter(this.at, priority, ticket);
  }
  leave(): void {
    bulkheadLeave(this.at);
  }
  /** The ticket of a waiting call that may go on now, or 0. */
  next(): u32 {
    return bulkheadNext(this.at);
  }
  /** The ticket of a call that lost its place to a more important one, or 0. */
  shed(): u32 {
    return bulkheadShed(this.at);
  }
  cancel(place: i32): bool {
    return bulkheadCancel(this.at, place) == 0;
  }
  set limit(limit: u32) {
    bulkheadLimit(this.at, limit);
  }
  get inFlight(): u32 {
    return bulkheadInFlight(this.at);
  }
}

/** Finds how many calls at once the other side takes well. kind: 0 AIMD, 1 Vegas, 2 gradient. */
export class AdaptiveLimit {
  private readonly at: usize = heap.alloc(CONCURRENCY_BYTES);
  readonly status: i32;

  constructor(kind: u32, limit: u32, limitMin: u32, limitMax: u32, windowMs: u32) {
    this.status = concurrencyInit(this.at, kind, limit, limitMin, limitMax, windowMs * 1000, tardi.now_us());
  }
  /** A call ended that began at `startedUs`, with so many under way; dropped: it timed out or was refused for overload. */
  sample(startedUs: u64, inFlight: u32, dropped: bool): void {
    concurrencySample(this.at, startedUs, inFlight, dropped, tardi.now_us());
  }
  get limit(): u32 {
    return concurrencyLimit(this.at);
  }
}

/** The last good reading, for as long as it may stand in for a new one. */
export class LastGood {
  private readonly at: usize = heap.alloc(LAST_GOOD_BYTES);
  private kept: f64 = NaN;

  constructor(ageMaxMs: u32) {
    lastGoodInit(this.at, <u64>ageMaxMs * 1000);
  }
  set value(value: f64) {
    this.kept = value;
    lastGoodStore(this.at, tardi.now_us());
  }
  /** NaN when there is none, or it is too old. */
  get value(): f64 {
    return lastGoodCheck(this.at, tardi.now_us()) == 0 ? this.kept : NaN;
  }
}
