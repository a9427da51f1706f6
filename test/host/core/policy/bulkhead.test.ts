import { describe, expect, test } from "vitest";
import { type BulkheadOptions, createBulkhead } from "../../../../host/core/policy/bulkhead.ts";
import { TardigradeError } from "../../../../protocols/error.ts";
import { ERRORS } from "../../../../protocols/table.ts";
import { settle } from "../../../support/manual-clock.ts";
import { boom, codeOf, codeOfRejection, fail, policyRig } from "../../../support/policy-rig.ts";

const FULL = -ERRORS.BULKHEAD_FULL.number;

/** Work that ends when it is told to. */
function held() {
  const open: {
    readonly name: string;
    readonly resolve: () => void;
    readonly reject: (error: unknown) => void;
  }[] = [];
  return {
    open,
    work: (name: string) => () =>
      new Promise<string>((resolve, reject) => open.push({ name, resolve: () => resolve(name), reject })),
  };
}

describe("bulkhead", () => {
  test("lets so many in, queues so many in order, refuses the rest", async () => {
    const { seams } = policyRig();
    const bulkhead = createBulkhead(seams, { limit: 2, queue: 2 });
    const { open, work } = held();
    const calls = ["a", "b", "c", "d", "e"].map((name) => bulkhead.execute(work(name)));
    expect(await codeOfRejection(calls[4] as Promise<string>)).toBe("BULKHEAD_FULL");
    const failed = expect(calls[1]).rejects.toBe(boom);
    expect(open.map(({ name }) => name)).toEqual(["a", "b"]);
    expect(bulkhead.state).toEqual({ limit: 2, inFlight: 2, queued: 2 });
    open[1]?.reject(boom);
    await settle();
    expect(open.map(({ name }) => name)).toEqual(["a", "b", "c"]);
    open[0]?.resolve();
    await settle();
    for (const one of open) one.resolve();
    await settle();
    expect(await Promise.all([calls[0], calls[2], calls[3]])).toEqual(["a", "c", "d"]);
    await failed;
    expect(bulkhead.state).toEqual({ limit: 2, inFlight: 0, queued: 0 });
  });

  test("plain work that throws gives its place back", async () => {
    const { seams } = policyRig();
    const bulkhead = createBulkhead(seams, { limit: 1 });
    for (let call = 0; call < 3; call += 1) await expect(bulkhead.execute(fail)).rejects.toBe(boom);
    expect(await bulkhead.execute(() => 5)).toBe(5);
    expect(bulkhead.state.inFlight).toBe(0);
  });

  test("important calls come first, and take the place of the least important when the queue is full", async () => {
    const { seams } = policyRig();
    const bulkhead = createBulkhead(seams, { limit: 1, queue: 2 });
    const { open, work } = held();
    const shed: number[] = [];
    bulkhead.on("shed", ({ priority }) => shed.push(priority));
    const calls = [
      bulkhead.execute(work("running")),
      bulkhead.execute(work("batch"), { priority: 3 }),
      bulkhead.execute(work("report"), { priority: 2 }),
      bulkhead.execute(work("alarm"), { priority: 0 }),
    ];
    expect(await codeOfRejection(calls[1] as Promise<string>)).toBe("LOAD_SHED");
    expect(shed).toEqual([3]);
    for (let step = 0; step < 3; step += 1) {
      open[step]?.resolve();
      await settle();
    }
    expect(open.map(({ name }) => name)).toEqual(["running", "alarm", "report"]);
    expect(await codeOfRejection(bulkhead.execute(() => 1, { priority: 4 }))).toBe("ARGUMENT");
  });

  test("keeps room for important calls", () => {
    const { seams } = policyRig();
    const bulkhead = createBulkhead(seams, { limit: 4, shares: [1, 1, 0.5, 0.25] });
    expect([
      bulkhead.tryAcquire(3),
      bulkhead.tryAcquire(3),
      bulkhead.tryAcquire(2),
      bulkhead.tryAcquire(2),
    ]).toEqual([0, FULL, 0, FULL]);
    expect([bulkhead.tryAcquire(1), bulkhead.tryAcquire(0), bulkhead.tryAcquire(0)]).toEqual([0, 0, FULL]);
    expect([bulkhead.release(), bulkhead.release()]).toEqual([0, 0]);
    expect(bulkhead.state.inFlight).toBe(2);
  });

  test("a wait ends by an abort or by its time, and the place is free again", async () => {
    const { clock, seams } = policyRig();
    const bulkhead = createBulkhead(seams, { limit: 1, queue: 1, queueMs: 100 });
    expect(bulkhead.tryAcquire()).toBe(0);
    const controller = new AbortController();
    const givenUp = bulkhead.execute(() => 1, controller);
    controller.abort(boom);
    await expect(givenUp).rejects.toBe(boom);
    const waiting = codeOfRejection(bulkhead.execute(() => 1));
    await clock.advance(102);
    expect(await waiting).toBe("TIMED_OUT");
    expect(bulkhead.state.queued).toBe(0);
    const served = bulkhead.execute(() => "served");
    bulkhead.release();
    expect(await served).toBe("served");
    await clock.advance(1000);
    expect([bulkhead.state.inFlight, bulkhead.release()]).toEqual([0, -ERRORS.ARGUMENT.number]);
  });

  test.each(["aimd", "vegas", "gradient"] as const)(
    "adaptive %s: too much lowers the limit, and who waits comes in when it rises",
    async (algorithm) => {
      const { clock, seams } = policyRig();
      const bulkhead = createBulkhead(seams, {
        limit: 20,
        queue: 100,
        adaptive: { algorithm, min: 2, max: 50, windowMs: 100, measureEveryMs: 0 },
      });
      const changes: number[] = [];
      bulkhead.on("limitChange", ({ to }) => changes.push(to));
      const overloaded = new TardigradeError("TIMED_OUT", "late");
      for (let call = 0; call < 400; call += 1) {
        clock.nowMs += 30;
        await codeOfRejection(bulkhead.execute(() => Promise.reject(overloaded)));
      }
      expect(bulkhead.state.limit).toBe(2);
      expect(Math.max(...changes)).toBeLessThanOrEqual(20);
      // Well again: rounds of as many calls as are let in, 20 ms each.
      for (let round = 0; round < 200; round += 1) {
        const calls = Array.from({ length: 60 }, () =>
          bulkhead.execute(() => new Promise<void>((resolve) => clock.alarm(20, resolve))),
        );
        for (let step = 0; step < 40 && bulkhead.state.inFlight > 0; step += 1) await clock.advance(20);
        await Promise.all(calls);
      }
      expect(bulkhead.state.limit).toBeGreaterThan(5);
      expect(bulkhead.state.limit).toBeLessThanOrEqual(50);
    },
  );

  test("a call that its caller gave up says nothing about the other side", async () => {
    const { clock, seams } = policyRig();
    const bulkhead = createBulkhead(seams, {
      limit: 10,
      adaptive: { algorithm: "aimd", windowMs: 1, max: 10 },
    });
    for (let call = 0; call < 100; call += 1) {
      clock.nowMs += 10;
      const controller = new AbortController();
      const running = codeOfRejection(
        bulkhead.execute(() => {
          controller.abort(boom);
          throw boom;
        }, controller),
      );
      await running;
    }
    expect(bulkhead.state).toEqual({ limit: 10, inFlight: 0, queued: 0 });
  });

  test.each<BulkheadOptions>([
    { limit: 0 },
    { limit: 1.5 },
    { limit: 200_000 },
    { queue: -1 },
    { queue: 65_535 },
    { queueMs: 0 },
    { shares: [1, 1, 1, 0] },
    { adaptive: { min: 11 } },
    { adaptive: { max: 9 } },
    { adaptive: { windowMs: 0 } },
    { adaptive: { tolerance: 0.5 } },
    { adaptive: { algorithm: "bbr" as "vegas" } },
  ])("is refused with %o", (options) => {
    expect(codeOf(() => createBulkhead(policyRig().seams, options))).toBe("ARGUMENT");
  });

  test("closed, it refuses with a code, and so do those that wait; calls under way go on", async () => {
    const { seams } = policyRig();
    const bulkhead = createBulkhead(seams, { limit: 1, queue: 2, adaptive: {} });
    const { open, work } = held();
    const running = bulkhead.execute(work("running"));
    const waiting = codeOfRejection(bulkhead.execute(work("waiting")));
    bulkhead.close();
    bulkhead.close();
    expect(await waiting).toBe("POLICY_CLOSED");
    open[0]?.resolve();
    expect(await running).toBe("running");
    expect(bulkhead.tryAcquire()).toBe(-ERRORS.POLICY_CLOSED.number);
    expect(await codeOfRejection(bulkhead.execute(() => 1))).toBe("POLICY_CLOSED");
  });
});
