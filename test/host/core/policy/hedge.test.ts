import { describe, expect, test } from "vitest";
import { createHedge, type HedgeOptions } from "../../../../host/core/policy/hedge.ts";
import { timersOf } from "../../../../host/core/policy/timers.ts";
import { settle } from "../../../support/manual-clock.ts";
import { boom, codeOf, codeOfRejection, core, fail, policyRig } from "../../../support/policy-rig.ts";

/** Calls that end when they are told to, with their signals. */
function attempts() {
  const made: {
    readonly resolve: (value: string) => void;
    readonly reject: (error: unknown) => void;
    readonly signal: AbortSignal;
  }[] = [];
  return {
    made,
    work: ({ signal }: { readonly signal: AbortSignal }) =>
      new Promise<string>((resolve, reject) => made.push({ resolve, reject, signal })),
  };
}

describe("hedge", () => {
  test("makes no second call while the first is not late", async () => {
    const { clock, seams } = policyRig();
    const hedge = createHedge(seams, { delayMs: 100 });
    const { made, work } = attempts();
    const running = hedge.execute(work);
    await clock.advance(99);
    made[0]?.resolve("first");
    expect(await running).toBe("first");
    await clock.advance(1000);
    expect(made).toHaveLength(1);
    expect(await hedge.execute(() => 5)).toBe(5);
    expect(timersOf(core, clock).running).toBe(0);
  });

  test("the first answer counts, and the others are told that they may end", async () => {
    const { clock, seams } = policyRig();
    const hedge = createHedge(seams, { delayMs: 100, attempts: 3 });
    const { made, work } = attempts();
    const heard: string[] = [];
    hedge.on("hedge", ({ attempt }) => heard.push(`hedge ${attempt}`));
    hedge.on("success", ({ attempt, tookMs }) => heard.push(`success ${attempt} ${Math.floor(tookMs)}`));
    const running = hedge.execute(work);
    await clock.advance(101);
    await clock.advance(101);
    await clock.advance(1000);
    expect(made).toHaveLength(3);
    made[1]?.resolve("second");
    expect(await running).toBe("second");
    expect(made.map(({ signal }) => signal.aborted)).toEqual([true, false, true]);
    expect(heard).toEqual(["hedge 2", "hedge 3", "success 2 1202"]);
    made[0]?.reject(boom);
    made[2]?.reject(boom);
    await settle();
  });

  test("a failure is followed by the next at once, and the last failure stands", async () => {
    const { seams } = policyRig();
    const hedge = createHedge(seams, { delayMs: 100 });
    const { made, work } = attempts();
    const running = hedge.execute(work);
    made[0]?.reject(new Error("first"));
    await settle();
    expect(made).toHaveLength(2);
    made[1]?.reject(boom);
    await expect(running).rejects.toBe(boom);
    // Plain work that throws is a failure as well.
    let calls = 0;
    expect(
      await hedge.execute(() => {
        calls += 1;
        return calls === 1 ? fail() : "second";
      }),
    ).toBe("second");
  });

  test("one failure does not end what is still under way", async () => {
    const { clock, seams } = policyRig();
    const { made, work } = attempts();
    const running = createHedge(seams, { delayMs: 10 }).execute(work);
    await clock.advance(12);
    made[1]?.reject(boom);
    await settle();
    made[0]?.resolve("first after all");
    expect(await running).toBe("first after all");
  });

  test("a caller who gives up ends them all", async () => {
    const { clock, seams } = policyRig();
    const controller = new AbortController();
    const { made, work } = attempts();
    const running = createHedge(seams, { delayMs: 10 }).execute(work, controller);
    await clock.advance(12);
    controller.abort(boom);
    await expect(running).rejects.toBe(boom);
    expect(made.map(({ signal }) => signal.aborted)).toEqual([true, true]);
    await clock.advance(100);
    expect(made).toHaveLength(2);
  });

  test("draws on a budget: over it, the calls under way are waited for", async () => {
    const { clock, seams } = policyRig();
    const hedge = createHedge(seams, { delayMs: 10, budget: { share: 0, perSecond: 1, spanMs: 1000 } });
    const { made, work } = attempts();
    const running = [hedge.execute(work), hedge.execute(work)];
    await clock.advance(12);
    expect(made).toHaveLength(3);
    expect(hedge.state.budgetLeft).toBe(0);
    for (const one of made) one.resolve("done");
    expect(await Promise.all(running)).toEqual(["done", "done"]);
    expect(createHedge(seams, { delayMs: 1, budget: false }).state.budgetLeft).toBe(Number.POSITIVE_INFINITY);
  });

  test("adaptive: late is what takes longer than nearly all", async () => {
    const { clock, seams } = policyRig();
    const hedge = createHedge(seams, { adaptive: { quantile: 0.9, minMs: 2, maxMs: 500 } });
    expect(hedge.state.delayMs).toBe(500);
    for (let call = 0; call < 60; call += 1) {
      const running = hedge.execute(() => new Promise<void>((resolve) => clock.alarm(20, resolve)));
      await clock.advance(20);
      await running;
    }
    expect(hedge.state.delayMs).toBe(20);
    hedge.close();
    expect(hedge.state.delayMs).toBe(500);
  });

  test.each<HedgeOptions>([
    {},
    { delayMs: 0 },
    { delayMs: 1, adaptive: { maxMs: 1 } },
    { delayMs: 1, attempts: 1 },
    { delayMs: 1, attempts: 11 },
    { adaptive: { minMs: 2, maxMs: 1 } },
    { adaptive: { quantile: 0, maxMs: 1 } },
  ])("is refused with %o", (options) => {
    expect(codeOf(() => createHedge(policyRig().seams, options))).toBe("ARGUMENT");
  });

  test("closed, it refuses with a code", async () => {
    const hedge = createHedge(policyRig().seams, { delayMs: 1 });
    hedge.close();
    hedge.close();
    expect(await codeOfRejection(hedge.execute(() => 1))).toBe("POLICY_CLOSED");
  });
});
