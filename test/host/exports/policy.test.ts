import { expect, test } from "vitest";
import { circuitBreaker, isTardigradeError, rateLimiter, retry, wrap } from "../../../host/exports/policy.ts";

test("policies work with nothing but their options", async () => {
  const limiter = rateLimiter({ limit: 2, periodMs: 60_000 });
  const breaker = circuitBreaker({ consecutiveFailures: 1, exactTime: true });
  const call = wrap(retry({ attempts: 2, baseMs: 1, capMs: 1 }), limiter, breaker);
  expect(await call.run(async ({ attempt }) => attempt)).toBe(1);
  expect(await call.run(() => "plain")).toBe("plain");
  const refusal = await call.run(() => "too many").catch((error: unknown) => error);
  expect(isTardigradeError(refusal) && refusal.code).toBe("RETRIES_EXHAUSTED");
  expect((refusal as Error).cause).toMatchObject({ code: "RATE_LIMITED" });
});

test("a given clock and dice take the place of the machine's", async () => {
  const clock = {
    nowMs: 0,
    monotonicMs: () => clock.nowMs,
    alarm: (_: number, call: () => void) => {
      call();
      return () => undefined;
    },
  };
  const again = retry({ attempts: 3, clock, random: { u32: () => 0 } });
  await expect(again.run(() => Promise.reject(new Error("no")))).rejects.toMatchObject({
    code: "RETRIES_EXHAUSTED",
  });
  const limiter = rateLimiter({ limit: 1, clock });
  expect([limiter.tryTake(), limiter.tryTake()]).toEqual([true, false]);
  clock.nowMs = 1000;
  expect(limiter.tryTake()).toBe(true);
});
