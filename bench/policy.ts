/**
 * What a policy adds to a call, beside cockatiel: the same work guarded by both, in turns, nanoseconds a call. Ours with their
 * defaults, which read the clock once a turn of the event loop.
 *
 * cockatiel's policies are asynchronous throughout; ours run plain work plainly. Rows with "async work" give both a promise to
 * guard; rows with "plain work" show what that difference is worth. cockatiel has no rate limiter: its bulkhead is the nearest
 * thing that says whether a call may go on.
 */
import {
  BrokenCircuitError,
  bulkhead,
  type CircuitBreakerPolicy,
  ConsecutiveBreaker,
  ConstantBackoff,
  circuitBreaker as cockatielBreaker,
  retry as cockatielRetry,
  ExponentialBackoff,
  handleAll,
  noJitterGenerator,
} from "cockatiel";
import { openCore } from "../host/core/core.ts";
import { readCoreBytes } from "../host/core/core-bytes.ts";
import { circuitBreaker, isTardigradeError, rateLimiter, retry } from "../host/exports/policy.ts";
import { systemClock } from "../host/io/clock.ts";
import {
  interleave,
  median,
  type SuiteOptions,
  sameChecksum,
  scaled,
  short,
  spread,
  versionOf,
} from "./measure.ts";
import { type BenchRow, benchRow } from "./rows.ts";

/** Does the work `calls` times and returns a checksum of it. */
type Side = (calls: number) => number | Promise<number>;

interface Comparison {
  readonly claim: string;
  readonly calls: number;
  readonly ours: Side;
  readonly theirs: Side;
  readonly note: string;
  readonly goal?: number;
}

const CALLS = 200_000;
/** Calls that throw cost microseconds. */
const THROWING_CALLS = 20_000;
const RETRIED_CALLS = 2_000;
const FAILURES = 5;
const ATTEMPTS = 3;
const BASE_MS = 100;
const CAP_MS = 30_000;
/** Failures in a row for the backoff rows; the delay is at its cap long before. */
const BACKOFF_STEPS = 16;
const NANOSECONDS_A_MS = 1e6;

const failed = new Error("the work failed");

export async function policySuite(options: SuiteOptions): Promise<BenchRow[]> {
  const version = versionOf("cockatiel");
  const rows: BenchRow[] = [];
  for (const { claim, calls, ours, theirs, note, goal } of [...breakers(), ...retries(), ...rates()]) {
    options.say(claim);
    const count = scaled(calls, options.scale, 32);
    const results = await interleave(options.rounds, {
      ours: () => timed(ours, count),
      theirs: () => timed(theirs, count),
    });
    const nanoseconds = (side: string): number[] => (results.get(side) ?? []).map((one) => one.nanoseconds);
    const sum = (side: string): number => results.get(side)?.at(-1)?.checksum ?? Number.NaN;
    rows.push(
      benchRow({
        claim,
        unit: "ns",
        better: "less",
        ours: median(nanoseconds("ours")),
        peer: { name: "cockatiel", version, value: median(nanoseconds("theirs")) },
        ...(goal === undefined ? {} : { goal }),
        checksum: sameChecksum({ ours: sum("ours"), cockatiel: sum("theirs") }),
        note: `${note}; ${short(count)} calls a round, rounds ours ${spread(nanoseconds("ours"))}, cockatiel ${spread(nanoseconds("theirs"))}`,
      }),
    );
  }
  return rows;
}

async function timed(side: Side, calls: number): Promise<{ nanoseconds: number; checksum: number }> {
  const clock = systemClock();
  const startedMs = clock.monotonicMs();
  const checksum = await side(calls);
  const elapsedMs = clock.monotonicMs() - startedMs;
  return { nanoseconds: (elapsedMs * NANOSECONDS_A_MS) / calls, checksum: checksum >>> 0 };
}

/** Awaits each call; a rejection with `failed` counts as 1. */
function awaited(call: (index: number) => Promise<number>): Side {
  return async (calls) => {
    let sum = 0;
    for (let index = 0; index < calls; index += 1) {
      try {
        sum = (sum + (await call(index))) >>> 0;
      } catch (error) {
        if (error !== failed) throw error;
        sum += 1;
      }
    }
    return sum;
  };
}

function direct(call: (index: number) => number): Side {
  return (calls) => {
    let sum = 0;
    for (let index = 0; index < calls; index += 1) sum = (sum + call(index)) >>> 0;
    return sum;
  };
}

function theirBreaker(): CircuitBreakerPolicy {
  return cockatielBreaker(handleAll, {
    halfOpenAfter: 3_600_000,
    breaker: new ConsecutiveBreaker(FAILURES),
  });
}

function breakers(): Comparison[] {
  const ours = circuitBreaker({ consecutiveFailures: FAILURES });
  const theirs = theirBreaker();
  const work = async (index: number): Promise<number> => index;
  const mixed = async (index: number): Promise<number> => {
    if (index % 8 === 7) throw failed;
    return index;
  };
  const [oursOpen, theirsOpen] = [
    circuitBreaker({ consecutiveFailures: 1, openMs: 3_600_000 }),
    theirBreaker(),
  ];
  const permit = oursOpen.tryAcquire();
  oursOpen.give(permit, "failure");
  theirsOpen.isolate();
  return [
    {
      claim: "closed breaker around async work",
      calls: CALLS,
      ours: awaited((index) => ours.run(() => work(index))),
      theirs: awaited((index) => theirs.execute(() => work(index))),
      note: `opens after ${FAILURES} failures in a row, none fails`,
    },
    {
      claim: "closed breaker around async work, one in eight fails",
      calls: THROWING_CALLS,
      ours: awaited((index) => ours.run(() => mixed(index))),
      theirs: awaited((index) => theirs.execute(() => mixed(index))),
      note: "the failure is caught by the caller",
    },
    {
      claim: "closed breaker around plain work",
      calls: CALLS,
      ours: direct((index) => ours.run(() => index)),
      theirs: awaited((index) => theirs.execute(() => index)),
      note: "ours returns the value, cockatiel a promise of it",
    },
    {
      claim: "open breaker refuses, by an error",
      calls: THROWING_CALLS,
      ours: direct(() => {
        try {
          return oursOpen.run(() => 0);
        } catch (error) {
          return isTardigradeError(error) && error.code === "BREAKER_OPEN" ? 1 : 0;
        }
      }),
      theirs: awaited(() =>
        theirsOpen.execute(() => 0).catch((error: unknown) => (error instanceof BrokenCircuitError ? 1 : 0)),
      ),
      note: "an error object with its stack in both",
    },
    {
      claim: "open breaker refuses, by the cheapest way",
      calls: THROWING_CALLS,
      ours: direct(() => (oursOpen.tryAcquire() <= 0 ? 1 : 0)),
      theirs: awaited(() => theirsOpen.execute(() => 0).catch(() => 1)),
      note: "ours by tryAcquire(), cockatiel has execute() alone",
    },
  ];
}

function retries(): Comparison[] {
  const ours = retry({ attempts: ATTEMPTS });
  const theirs = cockatielRetry(handleAll, { maxAttempts: ATTEMPTS - 1, backoff: new ExponentialBackoff() });
  const oursSoon = retry({ attempts: ATTEMPTS, baseMs: 0.001, capMs: 0.001, jitter: "none" });
  const theirsSoon = cockatielRetry(handleAll, {
    maxAttempts: ATTEMPTS - 1,
    backoff: new ConstantBackoff(0),
  });
  const thirdTime = (): (() => Promise<number>) => {
    let attempts = 0;
    return async () => {
      attempts += 1;
      if (attempts < ATTEMPTS) throw failed;
      return attempts;
    };
  };
  const atOnce =
    (call: () => Promise<number>): Side =>
    async (calls) =>
      (await Promise.all(Array.from({ length: calls }, call))).reduce((sum, value) => sum + value, 0);
  const { raw } = openCore(readCoreBytes());
  const first = new ExponentialBackoff({
    generator: noJitterGenerator,
    initialDelay: BASE_MS,
    maxDelay: CAP_MS,
    exponent: 2,
  });
  return [
    {
      claim: "retry around async work that succeeds at once",
      calls: CALLS,
      ours: awaited((index) => ours.run(async () => index)),
      theirs: awaited((index) => theirs.execute(async () => index)),
      note: `${ATTEMPTS} attempts at most`,
    },
    {
      claim: "retry of work that succeeds at the third attempt, all calls at once",
      calls: RETRIED_CALLS,
      ours: atOnce(() => oursSoon.run(thirdTime())),
      theirs: atOnce(() => theirsSoon.execute(thirdTime())),
      note: "shortest wait both take; two timers a call",
    },
    {
      claim: "retry decision: the next exponential delay",
      calls: CALLS,
      ours: direct(
        (index) =>
          (raw.backoffUs(0, BASE_MS * 1000, CAP_MS * 1000, (index % BACKOFF_STEPS) + 1, 0, 0, 0) >>> 0) /
          1000,
      ),
      theirs: (calls) => {
        let sum = 0;
        for (let index = 0; index < calls; ) {
          let backoff = first.next();
          for (let step = 0; step < BACKOFF_STEPS && index < calls; step += 1, index += 1) {
            sum = (sum + backoff.duration) >>> 0;
            backoff = backoff.next(undefined);
          }
        }
        return sum;
      },
      note: `${BASE_MS} ms doubled up to ${CAP_MS} ms, without jitter, so that both give the same delays`,
    },
  ];
}

function rates(): Comparison[] {
  const limit = 4_000_000_000;
  const ours = rateLimiter({ limit });
  const theirs = bulkhead(FAILURES);
  return [
    {
      claim: "rate check that passes / bulkhead",
      calls: CALLS,
      ours: direct((index) => (ours.tryTake() ? index : 0)),
      theirs: awaited((index) => theirs.execute(() => index)),
      note: "cockatiel has no rate limiter; its bulkhead is the nearest question",
    },
    {
      claim: "rate limited async work / bulkhead",
      calls: CALLS,
      ours: awaited((index) => ours.run(async () => index)),
      theirs: awaited((index) => theirs.execute(async () => index)),
      note: "cockatiel has no rate limiter; its bulkhead is the nearest question",
    },
  ];
}
