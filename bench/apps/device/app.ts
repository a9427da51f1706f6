/**
 * Decisions of every policy of the core, one a round. `run {k, n}` makes n decisions of kernel k and answers their digest; `bytes {k}` answers the
 * bytes of its state. peer.c does the same by hand in C.
 *
 * Decisions are called through the table of functions, as callbacks of an app are: so the toolchain does not take them for the inside of a loop.
 */

import { Args, onCommand } from "tardigrade/firmware";
import * as breaker from "../../../assembly/resilience/breaker";
import * as bulkhead from "../../../assembly/resilience/bulkhead";
import * as concurrency from "../../../assembly/resilience/concurrency";
import * as gcra from "../../../assembly/resilience/gcra";
import * as lastGood from "../../../assembly/resilience/last-good";
import * as latency from "../../../assembly/resilience/latency";
import { outcomesBytesByCount } from "../../../assembly/resilience/outcomes";
import * as retry from "../../../assembly/resilience/retry";
import * as budget from "../../../assembly/resilience/retry-budget";
import * as log from "../../../assembly/resilience/sliding-log";
import * as throttle from "../../../assembly/resilience/throttle";
import * as wheel from "../../../assembly/resilience/timer-wheel";
import * as bucket from "../../../assembly/resilience/token-bucket";
import * as window from "../../../assembly/resilience/window";

/** The only policy that is built in, by its number below; -1: all of them. The suite writes other numbers here. */
const ONLY: i32 = -1;

const BREAKER: i32 = 1;
const THROTTLE: i32 = 2;
const BUCKET: i32 = 3;
const GCRA: i32 = 4;
const WINDOW: i32 = 5;
const LOG: i32 = 6;
const RETRY: i32 = 7;
const BUDGET: i32 = 8;
const LATENCY: i32 = 9;
const WHEEL: i32 = 10;
const BULKHEAD: i32 = 11;
const CONCURRENCY: i32 = 12;
const LAST_GOOD: i32 = 13;

/** Nearly three hours after start-up: times have a high word. */
const START_US: u64 = 10_000_000_000;
const STEP_US: u64 = 5_000;
const SLOTS: u32 = 6;
const CALLS: u32 = 16;
const TIMERS: u32 = 8;
const QUEUE: u32 = 4;
const ENTRIES: u32 = 20;

/** State of the kernel that runs. */
const at: usize = heap.alloc(1024);
const entries: usize = heap.alloc(8 * ENTRIES);

type Kernel = (round: u32, now: u64) => u32;

function empty(round: u32, _now: u64): u32 {
  return round;
}
function breakerCall(_round: u32, now: u64): u32 {
  const permit = breaker.breakerAcquire(at, now);
  return <u32>(permit + breaker.breakerReturn(at, permit, breaker.OUTCOME_SUCCESS, 0, now));
}
function breakerWindowed(round: u32, now: u64): u32 {
  const permit = breaker.breakerAcquire(at, now);
  return <u32>(permit + breaker.breakerReturn(at, permit, (round & 7) == 7 ? 1 : 0, 900, now));
}
function breakerAsk(_round: u32, now: u64): u32 {
  return <u32>breaker.breakerAcquire(at, now);
}
function throttled(round: u32, now: u64): u32 {
  const status = throttle.throttleAdmit(at, round * 2654435761, now);
  if (status != 0) return <u32>status;
  if ((round & 3) == 0) throttle.throttleAccepted(at, now);
  else throttle.throttleRejected(at, now);
  return 0;
}
function bucketOne(_round: u32, now: u64): u32 {
  return <u32>bucket.bucketTake(at, 1, now);
}
function gcraOne(_round: u32, now: u64): u32 {
  return <u32>gcra.gcraTake(at, 1, now);
}
function fixedOne(_round: u32, now: u64): u32 {
  return <u32>window.fixedTake(at, 1, now);
}
function slidingOne(_round: u32, now: u64): u32 {
  return <u32>window.slidingTake(at, 1, now);
}
function logOne(_round: u32, now: u64): u32 {
  return <u32>log.logTake(at, 1, now);
}
function retryOne(round: u32, _now: u64): u32 {
  return <u32>retry.retryNext(at, 1 + (round & 7), round * 2654435761);
}
function budgeted(_round: u32, now: u64): u32 {
  budget.budgetCall(at, now);
  return <u32>budget.budgetRetry(at, now);
}
function latencyOne(round: u32, _now: u64): u32 {
  latency.latencyRecord(at, 1000 + ((round * 2654435761) >> 20));
  return latency.latencyUs(at);
}
function wheelCancelled(round: u32, now: u64): u32 {
  return <u32>wheel.wheelCancel(at, <u32>wheel.wheelAdd(at, now + 2_000_000, round));
}
function wheelPopped(round: u32, now: u64): u32 {
  wheel.wheelAdd(at, now + 4_000, round);
  return <u32>wheel.wheelPop(at, now);
}
function bulkheadTried(_round: u32, _now: u64): u32 {
  return <u32>(bulkhead.bulkheadTry(at, 1) + bulkhead.bulkheadLeave(at));
}
function bulkheadQueued(round: u32, _now: u64): u32 {
  const handle = <u32>bulkhead.bulkheadEnter(at, round & 3, round + 1);
  bulkhead.bulkheadLeave(at);
  return handle + bulkhead.bulkheadNext(at);
}
function sampled(round: u32, now: u64): u32 {
  const changed = concurrency.concurrencySample(at, now - 800 - (round & 255), 6, (round & 63) == 63, now);
  return (changed ? 1 : 0) + concurrency.concurrencyLimit(at);
}
function lastGoodOne(_round: u32, now: u64): u32 {
  lastGood.lastGoodStore(at, now);
  return <u32>lastGood.lastGoodCheck(at, now + 3_000);
}

/** Makes the state of kernel k and returns its decision. */
function prepare(k: i32, now: u64): Kernel {
  if (ONLY < 0 || ONLY == BREAKER) {
    if (k <= 3) {
      breaker.breakerInit(at, 3_600_000, 60_000);
      breaker.breakerTripConsecutive(at, 5);
      breaker.breakerProbes(at, 2, 3);
    }
    if (k == 1) return breakerCall;
    if (k == 2) {
      breaker.breakerWindowByCount(at, CALLS);
      breaker.breakerTripRates(at, 500, 500, 5_000, 8);
      return breakerWindowed;
    }
    if (k == 3) {
      breaker.breakerForce(at, breaker.BREAKER_OPENED, now);
      return breakerAsk;
    }
  }
  if ((ONLY < 0 || ONLY == THROTTLE) && k == 4) {
    throttle.throttleInit(at, 2_000, 1_200_000, SLOTS, now);
    return throttled;
  }
  if ((ONLY < 0 || ONLY == BUCKET) && k == 5) {
    bucket.bucketInit(at, 100, 1_000_000, 20, now);
    return bucketOne;
  }
  if ((ONLY < 0 || ONLY == GCRA) && k == 6) {
    gcra.gcraInit(at, 100, 1_000_000, 20);
    return gcraOne;
  }
  if (ONLY < 0 || ONLY == WINDOW) {
    if (k == 7 || k == 8) window.windowInit(at, 100, 1_000_000, now);
    if (k == 7) return fixedOne;
    if (k == 8) return slidingOne;
  }
  if ((ONLY < 0 || ONLY == LOG) && k == 9) {
    log.logInit(at, ENTRIES, 200_000, entries);
    return logOne;
  }
  if ((ONLY < 0 || ONLY == RETRY) && k == 10) {
    retry.retryInit(at, retry.BACKOFF_EXPONENTIAL, 100_000, 5_000_000, 0, retry.JITTER_FULL);
    return retryOne;
  }
  if ((ONLY < 0 || ONLY == BUDGET) && k == 11) {
    budget.budgetInit(at, 200, 10, 1_200_000, SLOTS, now);
    return budgeted;
  }
  if ((ONLY < 0 || ONLY == LATENCY) && k == 12) {
    latency.latencyInit(at, 950);
    return latencyOne;
  }
  if (ONLY < 0 || ONLY == WHEEL) {
    if (k == 13 || k == 14) wheel.wheelInit(at, TIMERS, now);
    if (k == 13) return wheelCancelled;
    if (k == 14) return wheelPopped;
  }
  if (ONLY < 0 || ONLY == BULKHEAD) {
    if (k == 15 || k == 16) bulkhead.bulkheadInit(at, 2, QUEUE);
    if (k == 15) return bulkheadTried;
    if (k == 16) {
      bulkhead.bulkheadTry(at, 0);
      bulkhead.bulkheadTry(at, 0);
      return bulkheadQueued;
    }
  }
  if ((ONLY < 0 || ONLY == CONCURRENCY) && k == 17) {
    concurrency.concurrencyInit(at, concurrency.CONCURRENCY_AIMD, 10, 1, 20, 500_000, now);
    return sampled;
  }
  if ((ONLY < 0 || ONLY == LAST_GOOD) && k == 18) {
    lastGood.lastGoodInit(at, 60_000_000);
    return lastGoodOne;
  }
  return empty;
}

function run(args: Args): i32 {
  const rounds = <u32>args.number("n", 0);
  let now = START_US;
  const decide = prepare(<i32>args.number("k", 0), now);
  let digest: u32 = 1;
  for (let round: u32 = 0; round < rounds; ++round) {
    now += STEP_US;
    digest = digest * 31 + decide(round, now);
  }
  args.answer(<f64>digest);
  return 0;
}

function bytesOf(k: i32): usize {
  if (k == 1 || k == 3) return breaker.BREAKER_BYTES;
  if (k == 2) return breaker.BREAKER_BYTES + outcomesBytesByCount(CALLS);
  if (k == 4) return throttle.throttleBytes(SLOTS);
  if (k == 5) return bucket.BUCKET_BYTES;
  if (k == 6) return gcra.GCRA_BYTES;
  if (k == 7 || k == 8) return window.WINDOW_BYTES;
  if (k == 9) return log.LOG_BYTES + 8 * ENTRIES;
  if (k == 10) return retry.RETRY_BYTES;
  if (k == 11) return budget.budgetBytes(SLOTS);
  if (k == 12) return latency.LATENCY_BYTES;
  if (k == 13 || k == 14) return wheel.wheelBytes(TIMERS);
  if (k == 15 || k == 16) return bulkhead.bulkheadBytes(QUEUE);
  if (k == 17) return concurrency.CONCURRENCY_BYTES;
  return k == 18 ? lastGood.LAST_GOOD_BYTES : 0;
}

function bytes(args: Args): i32 {
  args.answer(<f64>bytesOf(<i32>args.number("k", 0)));
  return 0;
}

export function setup(): void {
  onCommand("run", run);
  if (ONLY < 0) onCommand("bytes", bytes);
}
