import { describe, expect, test } from "vitest";
import { createRateLimit } from "../../../../host/core/policy/rate-limit.ts";
import { ERRORS } from "../../../../protocols/table.ts";
import { boom, codeOf, codeOfRejection, policyRig } from "../../../support/policy-rig.ts";

const LIMITED = -ERRORS.RATE_LIMITED.number;

describe("rateLimit", () => {
  test.each([
    "token-bucket",
    "gcra",
    "leaky-bucket",
    "fixed-window",
    "sliding-counter",
    "sliding-log",
  ] as const)("%s: limit, remaining, reset and retry-after", (algorithm) => {
    const { clock, seams } = policyRig();
    using limit = createRateLimit(seams, { algorithm, limit: 4, periodMs: 1000 });
    expect(limit.state).toEqual({ limit: 4, remaining: 4, resetMs: 0, retryAfterMs: 0 });
    expect(limit.tryAcquire(4)).toBe(0);
    const { state } = limit;
    expect(state).toMatchObject({ limit: 4, remaining: 0 });
    expect(state.resetMs).toBeGreaterThanOrEqual(1000);
    expect(state.retryAfterMs).toBe(
      { "sliding-counter": 1250, "fixed-window": 1000, "sliding-log": 1000 }[algorithm as string] ?? 250,
    );
    expect(limit.tryAcquire()).toBe(LIMITED);
    clock.nowMs = state.retryAfterMs;
    expect(limit.tryAcquire()).toBe(0);
    expect(limit.waitMs(5)).toBe(Number.POSITIVE_INFINITY);
  });

  test("lets the limit through each period, and says when to come back", () => {
    const { clock, seams } = policyRig();
    const limit = createRateLimit(seams, { limit: 2, periodMs: 1000 });
    const heard: number[] = [];
    limit.on("refused", ({ retryAfterMs }) => heard.push(retryAfterMs));
    expect([limit.executeSync(() => 1), limit.executeSync(() => 2)]).toEqual([1, 2]);
    clock.nowMs = 100;
    try {
      limit.executeSync(() => 3);
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: "RATE_LIMITED", context: { retryAfterMs: 400 } });
    }
    expect(heard).toEqual([400]);
    expect([limit.tryAcquire(), limit.waitMs(), limit.waitMs(2)]).toEqual([LIMITED, 400, 900]);
    clock.nowMs = 500;
    expect([limit.tryAcquire(), limit.tryAcquire()]).toEqual([0, LIMITED]);
  });

  test("saves up to its burst, takes several, heeds an abort", () => {
    const limit = createRateLimit(policyRig().seams, { limit: 1, burst: 5 });
    expect([limit.tryAcquire(3), limit.tryAcquire(3), limit.tryAcquire(2)]).toEqual([0, LIMITED, 0]);
    const fresh = createRateLimit(policyRig().seams, { limit: 1 });
    expect(codeOf(() => fresh.executeSync(() => 1, { signal: AbortSignal.abort(boom) }))).toBe("Error: boom");
    expect(fresh.tryAcquire()).toBe(0);
  });

  test("a leaky bucket says how long to wait in its queue; others have none", () => {
    const { seams } = policyRig();
    using queue = createRateLimit(seams, { algorithm: "leaky-bucket", limit: 10, burst: 3 });
    expect([queue.reserve(), queue.reserve(), queue.reserve(), queue.reserve()]).toEqual([
      0,
      100,
      200,
      LIMITED,
    ]);
    using bucket = createRateLimit(seams, { limit: 10 });
    expect(bucket.reserve()).toBe(-ERRORS.ARGUMENT.number);
  });

  test("with maxWaitMs calls leave one after another, and none waits longer", async () => {
    const { clock, seams } = policyRig();
    const queue = createRateLimit(seams, {
      algorithm: "leaky-bucket",
      limit: 10,
      burst: 100,
      maxWaitMs: 150,
    });
    expect("executeSync" in queue).toBe(false);
    const left: [number, number][] = [];
    const calls = [1, 2, 3].map((number) =>
      codeOfRejection(queue.execute(() => left.push([number, clock.nowMs]))),
    );
    expect(await calls[2]).toBe("RATE_LIMITED");
    expect(left).toEqual([[1, 0]]);
    await clock.advance(99);
    expect(left).toHaveLength(1);
    await clock.advance(3);
    expect(left).toEqual([
      [1, 0],
      [2, 102],
    ]);
    // Who gives up while waiting has used the place.
    const controller = new AbortController();
    const givenUp = queue.execute(() => left.push([4, clock.nowMs]), controller);
    controller.abort(boom);
    await expect(givenUp).rejects.toBe(boom);
    await clock.advance(500);
    expect(left).toHaveLength(2);
  });

  test.each([
    { limit: 0 },
    { limit: 1.5 },
    { limit: 1, burst: 0 },
    { limit: 1, periodMs: 0 },
    { limit: 1, periodMs: 1e9 },
    { limit: 1, algorithm: "no-such" as "gcra" },
    { limit: 70_000, algorithm: "sliding-log" as const },
    { limit: 1, maxWaitMs: 10 },
    { limit: 1, algorithm: "gcra" as const, maxWaitMs: 0 },
  ])("is refused with %o", (options) => {
    expect(codeOf(() => createRateLimit(policyRig().seams, options))).toBe("ARGUMENT");
  });

  test("closed, it refuses with a code", () => {
    const { seams } = policyRig();
    const limit = createRateLimit(seams, { limit: 1, algorithm: "sliding-log" });
    limit.close();
    limit.close();
    const CLOSED = -ERRORS.POLICY_CLOSED.number;
    expect([limit.tryAcquire(), limit.reserve()]).toEqual([CLOSED, CLOSED]);
    expect(codeOf(() => limit.executeSync(() => 1))).toBe("POLICY_CLOSED");
    expect([limit.waitMs(), limit.state.remaining]).toEqual([0, 0]);
  });
});
