import { describe, expect, test } from "vitest";
import { createBulkhead } from "../../../../host/core/policy/bulkhead.ts";
import { createCircuitBreaker } from "../../../../host/core/policy/circuit-breaker.ts";
import { createFallback } from "../../../../host/core/policy/fallback.ts";
import { createRateLimit } from "../../../../host/core/policy/rate-limit.ts";
import { createRetry } from "../../../../host/core/policy/retry.ts";
import { createTimeout } from "../../../../host/core/policy/timeout.ts";
import { wrap } from "../../../../host/core/policy/wrap.ts";
import { turnClock } from "../../../../host/core/turn-clock.ts";
import { ManualClock, settle } from "../../../support/manual-clock.ts";
import { boom, codeOf, codeOfRejection, fail, policyRig } from "../../../support/policy-rig.ts";

describe("wrap", () => {
  test("of policies that never wait is plain for plain work, the first outermost", () => {
    const { seams } = policyRig();
    const limit = createRateLimit(seams, { limit: 1 });
    const fallback = createFallback(seams, { value: "instead" });
    const breaker = createCircuitBreaker(seams, {});
    const inside = wrap(fallback, breaker, limit);
    expect([inside.executeSync(() => "first"), inside.executeSync(() => "second")]).toEqual([
      "first",
      "instead",
    ]);
    const outside = wrap(limit, fallback);
    expect(codeOf(() => outside.executeSync(() => 1))).toBe("RATE_LIMITED");
    expect(inside.name).toBe("fallback > circuit-breaker > rate-limit");
    expect("executeSync" in wrap(createTimeout(seams, { ms: 1 }), breaker)).toBe(false);
    expect(wrap().executeSync(({ attempt }) => attempt)).toBe(1);
  });

  test("asks the breaker anew at each attempt, and passes signal and attempt on", async () => {
    const { clock, seams } = policyRig();
    const breaker = createCircuitBreaker(seams, { consecutiveFailures: 2, openMs: 10 });
    const again = createRetry(seams, { attempts: 5, baseMs: 10, jitter: "none" });
    const controller = new AbortController();
    const seen: [number, boolean][] = [];
    const running = wrap(again, breaker).execute(({ attempt, signal }) => {
      seen.push([attempt, signal === controller.signal]);
      return attempt < 3 ? fail() : attempt;
    }, controller);
    await settle();
    await clock.advance(12);
    expect(breaker.state).toBe("open");
    await clock.advance(22);
    expect(await running).toBe(3);
    expect(seen).toEqual([
      [1, true],
      [2, true],
      [3, true],
    ]);
    expect(breaker.state).toBe("closed");
  });

  test("a timeout around a retry ends its waits, its attempts and the queue it stands in", async () => {
    const { clock, seams } = policyRig();
    let attempts = 0;
    const around = wrap(
      createTimeout(seams, { ms: 150 }),
      createRetry(seams, { attempts: 9, baseMs: 100, jitter: "none" }),
    );
    const running = codeOfRejection(
      around.execute(() => {
        attempts += 1;
        fail();
      }),
    );
    await settle();
    await clock.advance(102);
    expect(attempts).toBe(2);
    await clock.advance(60);
    expect(await running).toBe("TIMED_OUT");
    await clock.advance(1000);
    expect(attempts).toBe(2);

    const bulkhead = createBulkhead(seams, { limit: 1, queue: 1 });
    bulkhead.tryAcquire();
    const waiting = codeOfRejection(wrap(createTimeout(seams, { ms: 10 }), bulkhead).execute(() => 1));
    await clock.advance(12);
    expect(await waiting).toBe("TIMED_OUT");
    expect(bulkhead.state.queued).toBe(0);
  });

  test("the work's signal is aborted by the timeout inside as by the caller outside", async () => {
    const { clock, seams } = policyRig();
    const all = wrap(
      createRetry(seams, { attempts: 2, baseMs: 1, capMs: 1 }),
      createTimeout(seams, { ms: 10 }),
    );
    const signals: AbortSignal[] = [];
    const controller = new AbortController();
    const running = codeOfRejection(
      all.execute(({ signal }) => {
        signals.push(signal);
        return new Promise(() => undefined);
      }, controller),
    );
    await clock.advance(12);
    await clock.advance(3);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
    controller.abort(boom);
    expect(await running).toBe("Error: boom");
    expect(signals[1]?.reason).toBe(boom);
  });

  test("closing it leaves its policies open", async () => {
    const { seams } = policyRig();
    const breaker = createCircuitBreaker(seams, {});
    const combined = wrap(breaker);
    combined.close();
    expect(await codeOfRejection(combined.execute(() => 1))).toBe("POLICY_CLOSED");
    expect(breaker.executeSync(() => 1)).toBe(1);
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
