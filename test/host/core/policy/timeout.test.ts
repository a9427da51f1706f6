import { describe, expect, test } from "vitest";
import { createTimeout, type TimeoutOptions } from "../../../../host/core/policy/timeout.ts";
import { PolicyTimers, timersOf } from "../../../../host/core/policy/timers.ts";
import { settle } from "../../../support/manual-clock.ts";
import { boom, codeOf, codeOfRejection, core, fail, policyRig } from "../../../support/policy-rig.ts";

const never = (): Promise<never> => new Promise(() => undefined);

describe("timeout", () => {
  test("rejects in time whatever the work does, and aborts its signal", async () => {
    const { clock, seams } = policyRig();
    const timeout = createTimeout(seams, { ms: 100 });
    let signal: AbortSignal | undefined;
    const running = timeout.execute((call) => {
      ({ signal } = call);
      return never();
    });
    const settled = expect(running).rejects.toMatchObject({ code: "TIMED_OUT", context: { timeoutMs: 100 } });
    await clock.advance(99.9);
    expect([signal?.aborted, timeout.state.underWay]).toEqual([false, 1]);
    await clock.advance(1.2);
    await settled;
    expect(signal?.reason).toMatchObject({ code: "TIMED_OUT" });
    expect(timeout.state.underWay).toBe(0);
  });

  test("what ends in time is as if there were no timeout: values, errors, plain work", async () => {
    const { clock, seams } = policyRig();
    for (const strategy of ["forced", "cooperative"] as const) {
      const timeout = createTimeout(seams, { ms: 100, strategy });
      expect(await timeout.execute(async () => 5)).toBe(5);
      expect(await timeout.execute(() => 6)).toBe(6);
      await expect(timeout.execute(async () => fail())).rejects.toBe(boom);
      await expect(timeout.execute(fail)).rejects.toBe(boom);
      expect(timersOf(core, clock).running).toBe(0);
    }
    await clock.advance(0);
    expect(clock.waiting).toEqual([]);
  });

  test("what comes too late is dropped, and is no unhandled rejection", async () => {
    const { clock, seams } = policyRig();
    const timeout = createTimeout(seams, { ms: 10 });
    const late = Promise.withResolvers<number>();
    const running = codeOfRejection(timeout.execute(() => late.promise));
    await clock.advance(12);
    late.reject(boom);
    expect(await running).toBe("TIMED_OUT");
    await settle();
  });

  test("cooperative: waits for the work to end, and tells of the lateness when it fails", async () => {
    const { clock, seams } = policyRig();
    const timeout = createTimeout(seams, { ms: 10, strategy: "cooperative" });
    const heeding = codeOfRejection(
      timeout.execute(
        ({ signal }) =>
          new Promise((_, reject) => signal.addEventListener("abort", () => reject(new Error("stopped")))),
      ),
    );
    const slow = Promise.withResolvers<string>();
    const ending = timeout.execute(() => slow.promise);
    await clock.advance(12);
    expect(await heeding).toBe("TIMED_OUT");
    expect(timeout.state.underWay).toBe(1);
    slow.resolve("late, but there");
    expect(await ending).toBe("late, but there");
  });

  test("forced: a caller who gives up need not wait for the work", async () => {
    const { clock, seams } = policyRig();
    const controller = new AbortController();
    const running = createTimeout(seams, { ms: 1000 }).execute(never, controller);
    controller.abort(boom);
    await expect(running).rejects.toBe(boom);
    expect(timersOf(core, clock).running).toBe(0);
  });

  test("adaptive: follows how long calls take, up and down, within its bounds", async () => {
    const { clock, seams } = policyRig();
    const timeout = createTimeout(seams, { adaptive: { quantile: 0.9, factor: 2, minMs: 5, maxMs: 1000 } });
    const calls = async (count: number, ms: number): Promise<void> => {
      for (let call = 0; call < count; call += 1) {
        const running = codeOfRejection(
          timeout.execute(() => new Promise<void>((resolve) => clock.alarm(ms, resolve))),
        );
        await clock.advance(Math.min(ms, timeout.state.timeoutMs + 1.1));
        await running;
      }
    };
    expect(timeout.state.timeoutMs).toBe(1000);
    await calls(50, 20);
    expect(timeout.state.timeoutMs).toBeCloseTo(40, -1);
    await calls(300, 1);
    expect(timeout.state.timeoutMs).toBeLessThan(20);
    // Everything takes longer than the timeout now: what timed out pushes it up.
    await calls(300, 200);
    expect(timeout.state.timeoutMs).toBeGreaterThan(200);
    timeout.close();
    expect(timeout.state.timeoutMs).toBe(1000);
  });

  test("the synchronous form starts and stops timers", async () => {
    const { clock, seams } = policyRig();
    const timeout = createTimeout(seams, { ms: 50 });
    const expired: number[] = [];
    const timers = [1, 2, 3].map((number) => timeout.start(() => expired.push(number)));
    expect(timeout.stop(timers[1] ?? 0)).toBe(true);
    expect(timeout.stop(timers[1] ?? 0)).toBe(false);
    await clock.advance(52);
    expect(expired.sort()).toEqual([1, 3]);
    expect(timeout.stop(timers[0] ?? 0)).toBe(false);
  });

  test("tells of timeouts and of what settled", async () => {
    const { clock, seams } = policyRig();
    const timeout = createTimeout(seams, { ms: 10 });
    const heard: string[] = [];
    timeout.on("timeout", ({ timeoutMs }) => heard.push(`timeout ${timeoutMs}`));
    timeout.on("settled", ({ tookMs }) => heard.push(`settled ${tookMs}`));
    const running = timeout.execute(() => new Promise<void>((resolve) => clock.alarm(4, resolve)));
    await clock.advance(4);
    await running;
    const late = codeOfRejection(timeout.execute(never));
    await clock.advance(12);
    await late;
    expect(heard).toEqual(["settled 4", "timeout 10"]);
  });

  test.each<TimeoutOptions>([
    {},
    { ms: 0 },
    { ms: Number.NaN },
    { ms: 1e9 },
    { ms: 1, adaptive: { maxMs: 1 } },
    { adaptive: { maxMs: 0 } },
    { adaptive: { minMs: 2, maxMs: 1 } },
    { adaptive: { quantile: 1, maxMs: 1 } },
    { adaptive: { factor: 0.5, maxMs: 1 } },
  ])("is refused with %o", (options) => {
    expect(codeOf(() => createTimeout(policyRig().seams, options))).toBe("ARGUMENT");
  });

  test("closed, it refuses with a code, and a call under way still has its timeout", async () => {
    const { clock, seams } = policyRig();
    const timeout = createTimeout(seams, { adaptive: { maxMs: 10 } });
    const running = codeOfRejection(timeout.execute(never));
    timeout.close();
    timeout.close();
    await clock.advance(12);
    expect(await running).toBe("TIMED_OUT");
    expect(await codeOfRejection(timeout.execute(() => 1))).toBe("POLICY_CLOSED");
  });
});

describe("timers of policies", () => {
  test("share one alarm, which is for what is due next, and none is left when nothing runs", async () => {
    const { clock } = policyRig();
    const timers = new PolicyTimers(core, clock);
    const running = [500, 100, 900].map((delayMs) => timers.start(delayMs, () => undefined));
    expect(clock.waiting).toHaveLength(1);
    expect(clock.waiting[0]).toBeGreaterThanOrEqual(100);
    expect(clock.waiting[0]).toBeLessThan(102);
    for (const timer of running) timers.stop(timer);
    await clock.advance(0);
    expect(clock.waiting).toEqual([]);
  });

  test("grow beyond what they began with, and call each once", async () => {
    const { clock } = policyRig();
    const timers = new PolicyTimers(core, clock);
    const called: number[] = [];
    for (let index = 0; index < 1000; index += 1) timers.start(1 + (index % 200), () => called.push(index));
    await clock.advance(250);
    expect(called.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 1000 }, (_, index) => index));
    expect(timers.running).toBe(0);
  });

  test("a call may start and stop others", async () => {
    const { clock } = policyRig();
    const timers = new PolicyTimers(core, clock);
    const called: string[] = [];
    const victim = timers.start(20, () => called.push("victim"));
    timers.start(10, () => {
      called.push("first");
      timers.stop(victim);
      timers.start(10, () => called.push("second"));
    });
    await clock.advance(12);
    await clock.advance(12);
    expect(called).toEqual(["first", "second"]);
  });
});
