/** The questions that bench/core.ts asks, of ours and of the peers. */
import { TraceIdRatioBasedSampler } from "@opentelemetry/sdk-trace-base";
import {
  BrokenCircuitError,
  ConsecutiveBreaker,
  ConstantBackoff,
  circuitBreaker as cockatielBreaker,
  bulkhead as cockatielBulkhead,
  retry as cockatielRetry,
  timeout as cockatielTimeout,
  ExponentialBackoff,
  handleAll,
  noJitterGenerator,
  TimeoutStrategy,
} from "cockatiel";
import HashRing from "hashring";
import { RateLimiter } from "limiter";
import Opossum from "opossum";
import { RateLimiterMemory } from "rate-limiter-flexible";
import { placement } from "../host/exports/hash.ts";
import {
  bulkhead,
  circuitBreaker,
  isTardigradeError,
  rateLimit,
  retry,
  timeout,
} from "../host/exports/policy.ts";
import { ratioSampler } from "../host/exports/trace.ts";
import { versionOf } from "./measure.ts";

/** Does the work `calls` times and returns a checksum of it. */
export type Side = (calls: number) => number | Promise<number>;

export interface Comparison {
  readonly claim: string;
  readonly calls: number;
  readonly ours: Side;
  /** Calls a round where theirs would take too long for as many. */
  readonly peer: { readonly name: string; readonly version: string; readonly calls?: number };
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
/** Failures in a row for the backoff row; the delay is at its cap long before. */
const BACKOFF_STEPS = 16;
const LIMIT = 1_000_000_000;
const HOUR_MS = 3_600_000;
const NODES = 10;
const KEYS = 1000;
const FLEET = 100_000;

const failed = new Error("the work failed");
const peer = (name: string) => ({ name, version: versionOf(name) });

/**
 * Every side gets a loop of its own: one loop for all would see every side's functions and inline none, which costs a decision of a few nanoseconds half of
 * its time, and a call of microseconds nothing.
 */
let loops = 0;
function ownLoop<T>(source: string, ...given: readonly unknown[]): T {
  loops += 1;
  return new Function("call", "failed", `/* ${loops} */ ${source}`)(...given) as T;
}

/** Awaits each call; a rejection with `failed` counts as 1. */
function awaited(call: (index: number) => Promise<number>): Side {
  return ownLoop(
    `return async (calls) => {
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
    }`,
    call,
    failed,
  );
}

/** A loop of its own for plain calls. */
export function direct(call: (index: number) => number): (calls: number) => number {
  return ownLoop(
    `return (calls) => {
      let sum = 0;
      for (let index = 0; index < calls; index += 1) sum = (sum + call(index)) >>> 0;
      return sum;
    }`,
    call,
  );
}

export function comparisons(): readonly Comparison[] {
  return [...clocks(), ...breakers(), ...retries(), ...limits(), ...timeouts(), ...others()];
}

/** A synchronous decision, and how many a second the specification wants at least. */
export function decisions(): readonly {
  readonly claim: string;
  readonly decide: (index: number) => number;
  readonly floorPerSecond: number;
}[] {
  const breaker = circuitBreaker();
  const limit = rateLimit({ limit: LIMIT });
  const again = retry({ attempts: 1000, budget: false });
  const room = bulkhead({ limit: 10 });
  const sampler = ratioSampler({ ratio: 0.5 });
  return [
    {
      claim: "breaker, acquire and report",
      decide: (index) => {
        const permit = breaker.tryAcquire();
        return breaker.report(permit, index % 16 === 0 ? "failure" : "success") + permit;
      },
      floorPerSecond: 1e6,
    },
    {
      claim: "retry, next delay",
      decide: (index) => again.nextDelay((index % 64) + 1) | 0,
      floorPerSecond: 5e6,
    },
    { claim: "rate check", decide: () => limit.tryAcquire(), floorPerSecond: 10e6 },
    {
      claim: "bulkhead, acquire and release",
      decide: () => room.tryAcquire() + room.release(),
      floorPerSecond: 1e6,
    },
    {
      claim: "ratio sampler",
      decide: (index) => (sampler.sample(index, Math.imul(index, 0x9e3779b1)) ? 1 : 0),
      floorPerSecond: 10e6,
    },
  ];
}

function clocks(): Comparison[] {
  const breaker = circuitBreaker();
  const exact = circuitBreaker({ exactTime: true });
  const decide = (policy: typeof breaker) => () => {
    const permit = policy.tryAcquire();
    policy.report(permit, "success");
    return 1;
  };
  return [
    {
      claim: "breaker acquire and report, clock read once a turn / at each decision",
      calls: CALLS,
      ours: direct(decide(breaker)),
      peer: { name: "ours, exactTime", version: "" },
      theirs: direct(decide(exact)),
      note: "two readings of performance.now() are the difference",
    },
  ];
}

function breakers(): Comparison[] {
  const ours = circuitBreaker({ consecutiveFailures: FAILURES });
  const theirs = theirBreaker();
  const work = async (index: number): Promise<number> => index;
  const opossum = new Opossum(work, {
    timeout: false,
    errorThresholdPercentage: 50,
    rollingCountTimeout: 10_000,
  });
  const windowed = circuitBreaker({ failureRate: 0.5, windowMs: 10_000 });
  const mixed = async (index: number): Promise<number> => {
    if (index % 8 === 7) throw failed;
    return index;
  };
  const [oursOpen, theirsOpen] = [
    circuitBreaker({ consecutiveFailures: 1, openMs: HOUR_MS }),
    theirBreaker(),
  ];
  oursOpen.report(oursOpen.tryAcquire(), "failure");
  theirsOpen.isolate();
  return [
    {
      claim: "breaker, synchronous acquire and report / execute",
      calls: CALLS,
      ours: direct((index) => {
        const permit = ours.tryAcquire();
        ours.report(permit, "success");
        return index;
      }),
      peer: peer("cockatiel"),
      theirs: awaited((index) => theirs.execute(() => index)),
      note: "the shapes differ: two plain calls here, a promise there, which has no synchronous form",
      goal: 10,
    },
    {
      claim: "closed breaker around async work",
      calls: CALLS,
      ours: awaited((index) => ours.execute(() => work(index))),
      peer: peer("cockatiel"),
      theirs: awaited((index) => theirs.execute(() => work(index))),
      note: `opens after ${FAILURES} failures in a row, none fails`,
      goal: 1.5,
    },
    {
      claim: "closed breaker around async work, rates over ten seconds",
      calls: CALLS,
      ours: awaited((index) => windowed.execute(() => work(index))),
      peer: peer("opossum"),
      theirs: awaited((index) => opossum.fire(index)),
      note: "opossum without its timeout",
      goal: 4,
    },
    {
      claim: "closed breaker around async work, one in eight fails",
      calls: THROWING_CALLS,
      ours: awaited((index) => ours.execute(() => mixed(index))),
      peer: peer("cockatiel"),
      theirs: awaited((index) => theirs.execute(() => mixed(index))),
      note: "the failure is caught by the caller",
    },
    {
      claim: "closed breaker around plain work",
      calls: CALLS,
      ours: direct((index) => ours.executeSync(() => index)),
      peer: peer("cockatiel"),
      theirs: awaited((index) => theirs.execute(() => index)),
      note: "ours returns the value, cockatiel a promise of it",
    },
    {
      claim: "open breaker refuses, by an error",
      calls: THROWING_CALLS,
      ours: direct(() => {
        try {
          return oursOpen.executeSync(() => 0);
        } catch (error) {
          return isTardigradeError(error) && error.code === "BREAKER_OPEN" ? 1 : 0;
        }
      }),
      peer: peer("cockatiel"),
      theirs: awaited(() =>
        theirsOpen.execute(() => 0).catch((error: unknown) => (error instanceof BrokenCircuitError ? 1 : 0)),
      ),
      note: "an error object with its stack in both",
    },
    {
      claim: "open breaker refuses, by a code",
      calls: CALLS,
      ours: direct(() => (oursOpen.tryAcquire() < 0 ? 1 : 0)),
      peer: { ...peer("cockatiel"), calls: THROWING_CALLS },
      theirs: awaited(() => theirsOpen.execute(() => 0).catch(() => 1)),
      note: "cockatiel has execute() alone, which rejects with an error",
      goal: 100,
    },
  ];
}

function theirBreaker() {
  return cockatielBreaker(handleAll, {
    halfOpenAfter: HOUR_MS,
    breaker: new ConsecutiveBreaker(FAILURES),
  });
}

function retries(): Comparison[] {
  const ours = retry({ attempts: ATTEMPTS });
  const theirs = cockatielRetry(handleAll, { maxAttempts: ATTEMPTS - 1, backoff: new ExponentialBackoff() });
  const soon = retry({ attempts: ATTEMPTS, baseMs: 0.001, capMs: 0.001, jitter: "none", budget: false });
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
  const delays = retry({ attempts: 1000, baseMs: BASE_MS, capMs: CAP_MS, jitter: "none", budget: false });
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
      ours: awaited((index) => ours.execute(async () => index)),
      peer: peer("cockatiel"),
      theirs: awaited((index) => theirs.execute(async () => index)),
      note: `${ATTEMPTS} attempts at most; ours counts the call in its budget`,
    },
    {
      claim: "retry of work that succeeds at the third attempt, all calls at once",
      calls: RETRIED_CALLS,
      ours: atOnce(() => soon.execute(thirdTime())),
      peer: peer("cockatiel"),
      theirs: atOnce(() => theirsSoon.execute(thirdTime())),
      note: "shortest wait both take; two waits a call",
    },
    {
      claim: "retry decision: the next exponential delay",
      calls: CALLS,
      ours: direct((index) => delays.nextDelay((index % BACKOFF_STEPS) + 1)),
      peer: peer("cockatiel"),
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

function limits(): Comparison[] {
  const clock = { nowMs: 0, monotonicMs: () => clock.nowMs, alarm: () => () => undefined };
  const ours = rateLimit({ limit: LIMIT, clock });
  const limiter = new RateLimiter({ tokensPerInterval: LIMIT, interval: "second" });
  const flexible = new RateLimiterMemory({ points: LIMIT, duration: 1 });
  const check = direct((index) => {
    clock.nowMs = index;
    return ours.tryAcquire() === 0 ? 1 : 0;
  });
  const mine = bulkhead({ limit: 4 });
  const theirs = cockatielBulkhead(4);
  return [
    {
      claim: "rate check that passes",
      calls: CALLS,
      ours: check,
      peer: peer("limiter"),
      theirs: direct(() => (limiter.tryRemoveTokens(1) ? 1 : 0)),
      note: "ours with the caller's clock, limiter reads its own",
      goal: 8,
    },
    {
      claim: "rate check that passes / consume",
      calls: CALLS,
      ours: check,
      peer: peer("rate-limiter-flexible"),
      theirs: awaited(() => flexible.consume("key", 1).then(() => 1)),
      note: "ours with the caller's clock; rate-limiter-flexible in memory, one key, a promise",
      goal: 15,
    },
    {
      claim: "bulkhead around async work",
      calls: CALLS,
      ours: awaited((index) => mine.execute(async () => index)),
      peer: peer("cockatiel"),
      theirs: awaited((index) => theirs.execute(async () => index)),
      note: "no call waits",
    },
  ];
}

function timeouts(): Comparison[] {
  const ours = timeout({ ms: 30_000 });
  const theirs = cockatielTimeout(30_000, TimeoutStrategy.Aggressive);
  const nothing = (): void => undefined;
  return [
    {
      claim: "timeout around async work that ends at once",
      calls: CALLS,
      ours: awaited((index) => ours.execute(async () => index)),
      peer: { ...peer("cockatiel"), calls: CALLS / 10 },
      theirs: awaited((index) => theirs.execute(async () => index)),
      note: "forced in both; neither work looks at its signal",
      goal: 20,
    },
    {
      claim: "timeout, synchronous start and stop / execute",
      calls: CALLS,
      ours: direct((index) => {
        ours.stop(ours.start(nothing));
        return index;
      }),
      peer: { ...peer("cockatiel"), calls: CALLS / 10 },
      theirs: awaited((index) => theirs.execute(() => index)),
      note: "the shapes differ: two plain calls here, a promise there",
      goal: 20,
    },
  ];
}

function others(): Comparison[] {
  const ours = ratioSampler({ ratio: 0.5 });
  const theirs = new TraceIdRatioBasedSampler(0.5);
  const ids = Array.from({ length: KEYS }, (_, index) =>
    [0x0af76519, index * 7919, Math.imul(index, 0x9e3779b1) >>> 0, Math.imul(index + 1, 0x85ebca6b) >>> 0]
      .map((word) => (word >>> 0).toString(16).padStart(8, "0"))
      .join(""),
  );
  const halves = ids.map((id) => [
    Number.parseInt(id.slice(16, 24), 16) | 0,
    Number.parseInt(id.slice(24), 16) | 0,
  ]);
  const highs = Int32Array.from(halves, ([high]) => high ?? 0);
  const lows = Int32Array.from(halves, ([, low]) => low ?? 0);
  const nodes = Array.from({ length: NODES }, (_, index) => `10.0.0.${index}:1883`);
  const maglev = placement({ kind: "maglev", nodes: nodes.map((id) => ({ id })) });
  const ring = new HashRing(nodes);
  const keys = Array.from({ length: KEYS }, (_, index) => `greenhouse-${index}`);
  const fleet = Array.from({ length: FLEET }, (_, index) => `greenhouse-${index}`);
  return [
    {
      claim: "ratio sampler, one decision",
      calls: CALLS,
      ours: direct((index) => (ours.sample(highs[index % KEYS] ?? 0, lows[index % KEYS] ?? 0) ? 1 : 1)),
      peer: peer("@opentelemetry/sdk-trace-base"),
      theirs: direct((index) =>
        theirs.shouldSample({} as never, ids[index % KEYS] ?? "").decision === 2 ? 1 : 1,
      ),
      note: "ours takes the id's last 64 bits as two numbers, theirs as hexadecimal text; half of the traces in both, not the same half",
      goal: 5,
    },
    {
      claim: "ratio sampler, one decision by the id's text",
      calls: CALLS,
      ours: direct((index) => (ours.sampleTrace(ids[index % KEYS] ?? "") ? 1 : 1)),
      peer: peer("@opentelemetry/sdk-trace-base"),
      theirs: direct((index) =>
        theirs.shouldSample({} as never, ids[index % KEYS] ?? "").decision === 2 ? 1 : 1,
      ),
      note: "the same text for both",
    },
    {
      claim: "owner of a device among ten nodes, a fleet of 100,000: Maglev / ring",
      calls: CALLS,
      ours: direct((index) => (maglev.owner(fleet[index % FLEET] ?? "") === "" ? 0 : 1)),
      peer: { ...peer("hashring"), calls: CALLS / 2 },
      theirs: direct((index) => (ring.get(fleet[index % FLEET] ?? "") === "" ? 0 : 1)),
      note: "more keys than the 5,000 answers that hashring keeps",
      goal: 20,
    },
    {
      claim: "owner of a device among ten nodes, a fleet of 1,000: Maglev / ring",
      calls: CALLS,
      ours: direct((index) => (maglev.owner(keys[index % KEYS] ?? "") === "" ? 0 : 1)),
      peer: peer("hashring"),
      theirs: direct((index) => (ring.get(keys[index % KEYS] ?? "") === "" ? 0 : 1)),
      note: "hashring looks up the answers that it keeps",
    },
  ];
}
