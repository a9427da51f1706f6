import { describe, expect, test } from "vitest";
import { createCircuitBreaker } from "../../../host/core/circuit-breaker.ts";
import { type AsyncPolicy, type DirectPolicy, wrap } from "../../../host/core/policy.ts";
import { createRateLimiter } from "../../../host/core/rate-limiter.ts";
import { createRetry, type RetryOptions } from "../../../host/core/retry.ts";
import { turnClock } from "../../../host/core/turn-clock.ts";
import { TardigradeError } from "../../../protocols/error.ts";
import { openTestCore } from "../../support/core.ts";
import { ManualClock, settle } from "../../support/manual-clock.ts";

const core = openTestCore();
const boom = new Error("boom");
const fail = (): never => {
  throw boom;
};
const codeOf = (run: () => unknown): string | undefined => {
  try {
    run();
  } catch (error) {
    return error instanceof TardigradeError ? error.code : String(error);
  }
  return undefined;
};

describe("circuitBreaker", () => {
  test("runs plain work plainly, counts its throws, and refuses while open with the time to come back", () => {
    const clock = new ManualClock();
    const breaker = createCircuitBreaker(core, clock, { consecutiveFailures: 2, openMs: 1000 });
    expect(breaker.run(() => 5)).toBe(5);
    expect(codeOf(() => breaker.run(fail))).toBe("Error: boom");
    expect(codeOf(() => breaker.run(fail))).toBe("Error: boom");
    expect(breaker.state()).toBe("open");
    clock.nowMs = 400;
    let called = false;
    try {
      breaker.run(() => {
        called = true;
      });
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: "BREAKER_OPEN", context: { retryAfterMs: 600 } });
      expect((error as Error).message).toContain("in 600 ms");
    }
    expect(called).toBe(false);
    expect(breaker.waitMs()).toBe(600);
    clock.nowMs = 1000;
    expect(breaker.state()).toBe("half-open");
    expect(breaker.run(() => "well")).toBe("well");
    expect(breaker.state()).toBe("closed");
  });

  test("holds the permit of async work until it settles", async () => {
    const clock = new ManualClock();
    const breaker = createCircuitBreaker(core, clock, { consecutiveFailures: 1, openMs: 10 });
    await expect(breaker.run(async () => fail())).rejects.toBe(boom);
    expect(breaker.state()).toBe("open");
    clock.nowMs = 10;
    const probe = Promise.withResolvers<string>();
    const running = breaker.run(() => probe.promise);
    expect(codeOf(() => breaker.run(() => 1))).toBe("BREAKER_OPEN");
    probe.resolve("well");
    expect(await running).toBe("well");
    expect(breaker.state()).toBe("closed");
  });

  test("does not count an abort by the caller, nor errors that are none", async () => {
    const breaker = createCircuitBreaker(core, new ManualClock(), {
      consecutiveFailures: 1,
      isFailure: (error) => error !== boom,
    });
    expect(codeOf(() => breaker.run(fail))).toBe("Error: boom");
    const controller = new AbortController();
    const running = breaker.run(({ signal }) => {
      return new Promise((_, reject) => {
        signal?.addEventListener("abort", () => reject(new Error("aborted work")));
      });
    }, controller);
    controller.abort(new Error("changed my mind"));
    await expect(running).rejects.toThrow("aborted work");
    expect(codeOf(() => breaker.run(() => 1, { signal: controller.signal }))).toBe("Error: changed my mind");
    expect(breaker.state()).toBe("closed");
    expect(codeOf(() => breaker.run(() => JSON.parse("{")))).toContain("SyntaxError");
    expect(breaker.state()).toBe("open");
  });

  test("opens at a rate, with numbers for those who allocate nothing", () => {
    const breaker = createCircuitBreaker(core, new ManualClock(), { failureRate: 0.5, windowCalls: 4 });
    for (const outcome of ["success", "failure", "success", "failure"] as const) {
      const permit = breaker.tryAcquire();
      expect(permit).toBeGreaterThan(0);
      breaker.give(permit, outcome);
    }
    expect(breaker.tryAcquire()).toBeLessThan(0);
  });

  test("is refused with options that make no sense, and gone when disposed", () => {
    const clock = new ManualClock();
    expect(codeOf(() => createCircuitBreaker(core, clock, { failureRate: 2 }))).toBe("ARGUMENT");
    expect(codeOf(() => createCircuitBreaker(core, clock, { consecutiveFailures: 0 }))).toBe("ARGUMENT");
    const breaker = createCircuitBreaker(core, clock);
    breaker[Symbol.dispose]();
    expect(breaker.tryAcquire()).toBeLessThan(0);
  });
});

describe("rateLimiter", () => {
  test.each([
    "token-bucket",
    "gcra",
    "leaky-bucket",
    "fixed-window",
    "sliding-counter",
    "sliding-log",
  ] as const)("%s: limit, remaining, reset and retry-after", (algorithm) => {
    const clock = new ManualClock();
    using limiter = createRateLimiter(core, clock, { algorithm, limit: 4, periodMs: 1000 });
    expect(limiter.state()).toEqual({ limit: 4, remaining: 4, resetMs: 0, retryAfterMs: 0 });
    expect(limiter.tryTake(4)).toBe(true);
    const state = limiter.state();
    expect(state).toMatchObject({ limit: 4, remaining: 0 });
    expect(state.resetMs).toBeGreaterThanOrEqual(1000);
    expect(state.retryAfterMs).toBe(
      { "sliding-counter": 1250, "fixed-window": 1000, "sliding-log": 1000 }[algorithm as string] ?? 250,
    );
    expect(limiter.tryTake()).toBe(false);
    clock.nowMs = state.retryAfterMs;
    expect(limiter.tryTake()).toBe(true);
    expect(limiter.waitMs(5)).toBe(Number.POSITIVE_INFINITY);
  });

  test("a leaky bucket says how long to wait in its queue; others have none", () => {
    const clock = new ManualClock();
    using queue = createRateLimiter(core, clock, { algorithm: "leaky-bucket", limit: 10, burst: 3 });
    expect([queue.reserve(), queue.reserve(), queue.reserve(), queue.reserve()]).toEqual([0, 100, 200, -1]);
    using bucket = createRateLimiter(core, clock, { limit: 10 });
    expect(codeOf(() => bucket.reserve())).toBe("ARGUMENT");
    const of = (options: object) => codeOf(() => createRateLimiter(core, clock, { limit: 10, ...options }));
    expect(of({ algorithm: "no-such" })).toBe("ARGUMENT");
    expect(of({ algorithm: "sliding-log", limit: 70_000 })).toBe("ARGUMENT");
  });

  test("lets the limit through each period, and says when to come back", () => {
    const clock = new ManualClock();
    const limiter = createRateLimiter(core, clock, { limit: 2, periodMs: 1000 });
    expect([limiter.run(() => 1), limiter.run(() => 2)]).toEqual([1, 2]);
    clock.nowMs = 100;
    try {
      limiter.run(() => 3);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: "RATE_LIMITED", context: { retryAfterMs: 400 } });
    }
    expect([limiter.tryTake(), limiter.waitMs(), limiter.waitMs(2)]).toEqual([false, 400, 900]);
    clock.nowMs = 500;
    expect([limiter.tryTake(), limiter.tryTake()]).toEqual([true, false]);
  });

  test("saves up to its burst, takes several, heeds an abort", () => {
    const limiter = createRateLimiter(core, new ManualClock(), { limit: 1, burst: 5 });
    expect([limiter.tryTake(3), limiter.tryTake(3), limiter.tryTake(2)]).toEqual([true, false, true]);
    const fresh = createRateLimiter(core, new ManualClock(), { limit: 1 });
    expect(codeOf(() => fresh.run(() => 1, { signal: AbortSignal.abort(boom) }))).toBe("Error: boom");
    expect(fresh.tryTake()).toBe(true);
  });

  test.each([
    { limit: 0 },
    { limit: 1.5 },
    { limit: 1, burst: 0 },
    { limit: 1, periodMs: 0 },
    { limit: 1, periodMs: 1e9 },
  ])("is refused with %o", (options) => {
    expect(codeOf(() => createRateLimiter(core, new ManualClock(), options))).toBe("ARGUMENT");
  });

  test("is gone when disposed", () => {
    const limiter = createRateLimiter(core, new ManualClock(), { limit: 1 });
    limiter[Symbol.dispose]();
    expect(limiter.tryTake()).toBe(false);
  });
});

describe("retry", () => {
  const retryOn = (clock: ManualClock, options: RetryOptions, random = 0): AsyncPolicy =>
    createRetry(core, clock, { u32: () => random }, options);

  test("waits twice as long after each failure, and gives the value of the first success", async () => {
    const clock = new ManualClock();
    const attempts: number[] = [];
    const running = retryOn(clock, { attempts: 4, baseMs: 100, capMs: 150, jitter: "none" }).run(
      ({ attempt }) => {
        attempts.push(attempt);
        return attempt < 4 ? fail() : "done";
      },
    );
    await settle();
    expect([attempts, clock.waiting]).toEqual([[1], [100]]);
    await clock.advance(99);
    expect(attempts).toEqual([1]);
    await clock.advance(1);
    expect([attempts, clock.waiting]).toEqual([[1, 2], [150]]);
    await clock.advance(150);
    await clock.advance(150);
    expect(await running).toBe("done");
    expect(attempts).toEqual([1, 2, 3, 4]);
  });

  test("draws its waits from the dice it is given", async () => {
    const clock = new ManualClock();
    const delays: number[] = [];
    const note: RetryOptions = {
      attempts: 2,
      baseMs: 100,
      onRetry: (_, __, delayMs) => delays.push(delayMs),
    };
    for (const [jitter, random] of [
      ["full", 2 ** 31],
      ["equal", 2 ** 31],
      ["full", 0],
    ] as const) {
      const running = retryOn(clock, { ...note, jitter }, random).run(fail);
      const settled = expect(running).rejects.toThrow();
      await settle();
      await clock.advance(100);
      await settled;
    }
    expect(delays).toEqual([50, 75, 0]);
  });

  test("gives up after its attempts, with the last error as cause", async () => {
    const clock = new ManualClock();
    const running = retryOn(clock, { attempts: 2, baseMs: 1 }).run(async () => fail());
    const settled = expect(running).rejects.toMatchObject({ code: "RETRIES_EXHAUSTED", cause: boom });
    await settle();
    await clock.advance(1);
    await settled;
  });

  test("does not repeat what is not worth it", async () => {
    const clock = new ManualClock();
    await expect(retryOn(clock, { retryIf: () => false }).run(fail)).rejects.toBe(boom);
    expect(clock.waiting).toEqual([]);
  });

  test("stops at an abort: before, during work and during a wait", async () => {
    const clock = new ManualClock();
    const policy = retryOn(clock, { jitter: "none" });
    await expect(policy.run(() => 1, { signal: AbortSignal.abort(boom) })).rejects.toBe(boom);
    const during = new AbortController();
    const working = policy.run(() => {
      during.abort();
      fail();
    }, during);
    await expect(working).rejects.toBe(boom);
    const controller = new AbortController();
    const waiting = expect(policy.run(fail, controller)).rejects.toThrow("changed my mind");
    await settle();
    expect(clock.waiting).toEqual([100]);
    controller.abort(new Error("changed my mind"));
    await waiting;
    expect(clock.waiting).toEqual([]);
  });

  test.each([{ attempts: 0 }, { attempts: 1.5 }, { baseMs: 0 }, { baseMs: 10, capMs: 9 }, { capMs: 1e9 }])(
    "is refused with %o",
    (options) => {
      expect(codeOf(() => retryOn(new ManualClock(), options))).toBe("ARGUMENT");
    },
  );
});

describe("wrap", () => {
  test("of direct policies stays direct, the first outermost", () => {
    const order: string[] = [];
    const tracing = (name: string): DirectPolicy => ({
      kind: "direct",
      run: (work, options) => {
        order.push(name);
        return work({ signal: options?.signal, attempt: options?.attempt ?? 1 });
      },
    });
    expect(wrap(tracing("outer"), tracing("inner")).run(() => 7)).toBe(7);
    expect(order).toEqual(["outer", "inner"]);
    expect(wrap().run(({ attempt }) => attempt)).toBe(1);
  });

  test("asks the breaker anew at each attempt, and passes signal and attempt on", async () => {
    const clock = new ManualClock();
    const breaker = createCircuitBreaker(core, clock, { consecutiveFailures: 2, openMs: 10 });
    const again = createRetry(core, clock, { u32: () => 0 }, { attempts: 5, baseMs: 10, jitter: "none" });
    const controller = new AbortController();
    const seen: [number, boolean][] = [];
    const running = wrap(again, breaker).run(({ attempt, signal }) => {
      seen.push([attempt, signal === controller.signal]);
      return attempt < 3 ? fail() : attempt;
    }, controller);
    await settle();
    await clock.advance(10);
    expect(breaker.state()).toBe("open");
    await clock.advance(20);
    expect(await running).toBe(3);
    expect(seen).toEqual([
      [1, true],
      [2, true],
      [3, true],
    ]);
    expect(breaker.state()).toBe("closed");
  });
});

describe("turnClock", () => {
  test("reads its clock once a turn", async () => {
    const clock = new ManualClock();
    const turn = turnClock(clock);
    clock.nowMs = 5;
    expect([turn.monotonicMs(), turn.monotonicMs()]).toEqual([5, 5]);
    expect(clock.reads).toBe(1);
    await clock.advance(3);
    expect(turn.monotonicMs()).toBe(8);
    expect(clock.reads).toBe(2);
    turn.alarm(7, () => undefined);
    expect(clock.waiting).toContain(7);
  });
});
