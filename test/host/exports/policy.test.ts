import { expect, test } from "vitest";
import {
  bulkhead,
  circuitBreaker,
  codeOfStatus,
  fallback,
  hedge,
  isTardigradeError,
  rateLimit,
  retry,
  retryBudget,
  timeout,
  wrap,
} from "../../../host/exports/policy.ts";

test("policies work with nothing but their options", async () => {
  const limit = rateLimit({ limit: 2, periodMs: 600_000 });
  const breaker = circuitBreaker({ consecutiveFailures: 1, exactTime: true });
  const call = wrap(retry({ attempts: 2, baseMs: 1, capMs: 1 }), limit, breaker);
  expect(await call.execute(async ({ attempt }) => attempt)).toBe(1);
  expect(await call.execute(() => "plain")).toBe("plain");
  const refusal = await call.execute(() => "too many").catch((error: unknown) => error);
  // The limit asks for a longer wait than is worth it, so its refusal stands.
  expect(isTardigradeError(refusal) && refusal.code).toMatch("RATE_LIMITED");
  expect(codeOfStatus(limit.tryAcquire())).toBe("RATE_LIMITED");
});

test("all of them around one call, with the system's clock", async () => {
  const all = wrap(
    fallback({ value: "instead" }),
    retry({ budget: retryBudget({ share: 0.5 }), baseMs: 1, capMs: 2 }),
    bulkhead({ limit: 4, queue: 4, adaptive: {} }),
    circuitBreaker({ failureRate: 0.5, throttle: {} }),
    hedge({ delayMs: 1000 }),
    timeout({ ms: 1000 }),
  );
  const answers = await Promise.all(
    Array.from({ length: 8 }, (_, index) =>
      all.execute(async ({ signal }) => {
        if (index === 5) throw new Error("five");
        return signal.aborted ? "aborted" : index;
      }),
    ),
  );
  expect(answers).toEqual([0, 1, 2, 3, 4, "instead", 6, 7]);
  all.close();
});

test("a given clock and dice take the place of the machine's", async () => {
  const clock = {
    nowMs: 0,
    monotonicMs: () => clock.nowMs,
    alarm: (delayMs: number, call: () => void) => {
      clock.nowMs += delayMs;
      queueMicrotask(call);
      return () => undefined;
    },
  };
  const again = retry({ attempts: 3, clock, random: { u32: () => 0 } });
  await expect(again.execute(() => Promise.reject(new Error("no")))).rejects.toMatchObject({
    code: "RETRIES_EXHAUSTED",
  });
  const limit = rateLimit({ limit: 1, clock });
  expect(limit.tryAcquire()).toBe(0);
  expect(limit.tryAcquire()).toBeLessThan(0);
  clock.nowMs += 1000;
  expect(limit.tryAcquire()).toBe(0);
});
