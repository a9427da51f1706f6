import { describe, expect, test } from "vitest";
import { createRetry, type Retry, type RetryOptions } from "../../../../host/core/policy/retry.ts";
import { createRetryBudget } from "../../../../host/core/policy/retry-budget.ts";
import { TardigradeError } from "../../../../protocols/error.ts";
import { ERRORS } from "../../../../protocols/table.ts";
import { settle } from "../../../support/manual-clock.ts";
import {
  boom,
  codeOf,
  codeOfRejection,
  fail,
  type PolicyRig,
  policyRig,
} from "../../../support/policy-rig.ts";

const EXHAUSTED = -ERRORS.RETRIES_EXHAUSTED.number;
const OVER_BUDGET = -ERRORS.RETRY_BUDGET.number;
const retryOn = (rig: PolicyRig, options: RetryOptions): Retry => createRetry(rig.seams, options);
/** Waits that a policy whose work always fails would make. */
async function delaysOf(rig: PolicyRig, options: RetryOptions, error: unknown = boom): Promise<number[]> {
  const retry = retryOn(rig, options);
  const delays: number[] = [];
  retry.on("retry", ({ delayMs }) => delays.push(delayMs));
  const running = codeOfRejection(retry.execute(() => Promise.reject(error)));
  for (let step = 0; step < 20; step += 1) {
    await settle();
    await rig.clock.advance(4e6);
  }
  await running;
  return delays;
}

describe("retry", () => {
  test("waits twice as long after each failure, and gives the value of the first success", async () => {
    const rig = policyRig();
    const attempts: number[] = [];
    const running = retryOn(rig, { attempts: 4, baseMs: 100, capMs: 150, jitter: "none" }).execute(
      ({ attempt }) => {
        attempts.push(attempt);
        return attempt < 4 ? fail() : "done";
      },
    );
    await settle();
    expect(attempts).toEqual([1]);
    await rig.clock.advance(99);
    expect(attempts).toEqual([1]);
    await rig.clock.advance(3);
    expect(attempts).toEqual([1, 2]);
    await rig.clock.advance(149);
    expect(attempts).toEqual([1, 2]);
    await rig.clock.advance(3);
    await rig.clock.advance(152);
    expect(await running).toBe("done");
    expect(attempts).toEqual([1, 2, 3, 4]);
  });

  test("plain work that succeeds at once stays a plain value within other policies", () => {
    const rig = policyRig();
    const retry = retryOn(rig, {});
    const call = { attempt: 1 } as never;
    expect(retry.run(() => 5, call)).toBe(5);
  });

  test("every backoff and jitter", async () => {
    const shape = { attempts: 5, baseMs: 100, capMs: 1000 } as const;
    const plain = { ...shape, jitter: "none" } as const;
    expect(await delaysOf(policyRig(), plain)).toEqual([100, 200, 400, 800]);
    expect(await delaysOf(policyRig(), { ...plain, backoff: "constant" })).toEqual([100, 100, 100, 100]);
    expect(await delaysOf(policyRig(), { ...plain, backoff: "linear" })).toEqual([100, 200, 300, 400]);
    expect(await delaysOf(policyRig(), { ...plain, backoff: "fibonacci" })).toEqual([100, 100, 200, 300]);
    const half = 2 ** 31;
    expect(await delaysOf(policyRig(half), shape)).toEqual([50, 100, 200, 400]);
    expect(await delaysOf(policyRig(half), { ...shape, jitter: "equal" })).toEqual([75, 150, 300, 600]);
    expect(await delaysOf(policyRig(half), { ...shape, jitter: "decorrelated" })).toEqual([
      200, 350, 575, 912.5,
    ]);
  });

  test("gives up after its attempts, with the last error as cause", async () => {
    const rig = policyRig();
    const running = retryOn(rig, { attempts: 2, baseMs: 1 }).execute(async () => fail());
    const settled = expect(running).rejects.toMatchObject({ code: "RETRIES_EXHAUSTED", cause: boom });
    await settle();
    await rig.clock.advance(3);
    await settled;
  });

  test("does not repeat what is not worth it", async () => {
    const rig = policyRig();
    await expect(retryOn(rig, { retryIf: () => false }).execute(fail)).rejects.toBe(boom);
    const closed = new TardigradeError("POLICY_CLOSED", "closed");
    await expect(retryOn(rig, {}).execute(() => Promise.reject(closed))).rejects.toBe(closed);
    expect(rig.clock.waiting).toEqual([]);
  });

  test("stops at an abort: before, during work and during a wait", async () => {
    const rig = policyRig();
    const policy = retryOn(rig, { jitter: "none" });
    await expect(policy.execute(() => 1, { signal: AbortSignal.abort(boom) })).rejects.toBe(boom);
    const during = new AbortController();
    const working = policy.execute(() => {
      during.abort();
      fail();
    }, during);
    await expect(working).rejects.toBe(boom);
    const controller = new AbortController();
    const waiting = expect(policy.execute(fail, controller)).rejects.toThrow("changed my mind");
    await settle();
    controller.abort(new Error("changed my mind"));
    await waiting;
    await rig.clock.advance(1000);
    expect(rig.clock.waiting).toEqual([]);
  });

  test("forgets the caller's signal when a call is over", async () => {
    const rig = policyRig();
    const { signal } = new AbortController();
    let listeners = 0;
    const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners += 1;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners -= 1;
      remove(...args);
    };
    const running = retryOn(rig, { attempts: 3, baseMs: 1, capMs: 1 }).execute(
      ({ attempt }) => (attempt < 3 ? fail() : "done"),
      { signal },
    );
    for (let step = 0; step < 4; step += 1) {
      await settle();
      await rig.clock.advance(3);
    }
    expect(await running).toBe("done");
    expect(listeners).toBe(0);
  });

  test("holds retries to a budget of its own, and of several", async () => {
    const rig = policyRig();
    const retry = retryOn(rig, {
      attempts: 2,
      baseMs: 1,
      capMs: 1,
      budget: { share: 0, perSecond: 1, spanMs: 2000 },
    });
    expect([retry.nextDelay(1), retry.nextDelay(1), retry.nextDelay(1), retry.nextDelay(2)]).toEqual([
      0,
      0,
      OVER_BUDGET,
      EXHAUSTED,
    ]);
    await expect(retry.execute(fail)).rejects.toMatchObject({ code: "RETRY_BUDGET", cause: boom });
    expect(retry.state).toEqual({ attempts: 2, budgetLeft: 0 });
    const budget = createRetryBudget(rig.seams, { share: 1, perSecond: 0 });
    const several = [1, 2].map(() => retryOn(rig, { budget }));
    budget.call();
    expect(several.map((one) => one.nextDelay(1))).toEqual([0, OVER_BUDGET]);
    several[0]?.close();
    expect(several[1]?.state.budgetLeft).toBe(0);
    budget.call();
    expect(several[1]?.nextDelay(1)).toBe(0);
    expect(retryOn(rig, { budget: false }).state.budgetLeft).toBe(Number.POSITIVE_INFINITY);
  });

  test("waits at least as long as the other side asks, and not at all for longer than it may", async () => {
    const once = { attempts: 2, baseMs: 100, jitter: "none" } as const;
    const limited = (retryAfterMs: number) =>
      new TardigradeError("RATE_LIMITED", "later", { context: { component: "test", retryAfterMs } });
    expect(await delaysOf(policyRig(), once, limited(5000))).toEqual([5000]);
    expect(await delaysOf(policyRig(), once, limited(50))).toEqual([100]);
    expect(await delaysOf(policyRig(), once, limited(61_000))).toEqual([]);
    expect(await delaysOf(policyRig(), { ...once, retryAfterMaxMs: 70_000 }, limited(61_000))).toEqual([
      61_000,
    ]);
    const headers = (fields: Record<string, string>) =>
      Object.assign(new Error("503"), { response: { headers: fields } });
    expect(await delaysOf(policyRig(), once, headers({ "retry-after": "7" }))).toEqual([7000]);
    const date = "Wed, 25 Nov 2026 10:00:00 GMT";
    const later = "Wed, 25 Nov 2026 10:00:09 GMT";
    expect(await delaysOf(policyRig(), once, headers({ "retry-after": later, date }))).toEqual([9000]);
    expect(await delaysOf(policyRig(), once, headers({ "retry-after": date, date: later }))).toEqual([100]);
    for (const bad of ["soon", "-1", "1e3", later])
      expect(await delaysOf(policyRig(), once, headers({ "retry-after": bad }))).toEqual([100]);
    const fetched = Object.assign(new Error("429"), { headers: new Headers({ "Retry-After": "3" }) });
    expect(await delaysOf(policyRig(), once, fetched)).toEqual([3000]);
    expect(await delaysOf(policyRig(), { ...once, retryAfter: () => 250 })).toEqual([250]);
  });

  test("adaptive: makes fewer attempts the fewer succeed, and more again when they do", async () => {
    const rig = policyRig();
    const retry = retryOn(rig, { attempts: 5, baseMs: 1, capMs: 1, adaptive: true, budget: false });
    expect(retry.state.attempts).toBe(5);
    for (let call = 0; call < 12; call += 1) {
      const running = codeOfRejection(retry.execute(fail));
      for (let step = 0; step < 6; step += 1) {
        await settle();
        await rig.clock.advance(3);
      }
      await running;
    }
    expect(retry.state.attempts).toBe(1);
    for (let call = 0; call < 64; call += 1) await retry.execute(() => 1);
    expect(retry.state.attempts).toBe(5);
  });

  test.each([
    { attempts: 0 },
    { attempts: 1.5 },
    { baseMs: 0 },
    { baseMs: 10, capMs: 9 },
    { capMs: 1e9 },
    { backoff: "cubic" as "linear" },
    { jitter: "some" as "full" },
    { budget: { share: -1 } },
    { budget: { perSecond: 0.5 } },
    { budget: { spanMs: 0 } },
  ])("is refused with %o", (options) => {
    expect(codeOf(() => retryOn(policyRig(), options))).toBe("ARGUMENT");
  });

  test("closed, it refuses with a code, and makes no more attempts", async () => {
    const rig = policyRig();
    const retry = retryOn(rig, { baseMs: 1, capMs: 1 });
    let attempts = 0;
    const running = codeOfRejection(
      retry.execute(() => {
        attempts += 1;
        fail();
      }),
    );
    await settle();
    retry.close();
    await rig.clock.advance(3);
    expect(await running).toBe("POLICY_CLOSED");
    expect(attempts).toBe(1);
    expect(await codeOfRejection(retry.execute(() => 1))).toBe("POLICY_CLOSED");
  });
});
