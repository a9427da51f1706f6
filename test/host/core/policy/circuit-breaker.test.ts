import { describe, expect, test } from "vitest";
import { createBulkhead } from "../../../../host/core/policy/bulkhead.ts";
import { createCircuitBreaker } from "../../../../host/core/policy/circuit-breaker.ts";
import { createTimeout } from "../../../../host/core/policy/timeout.ts";
import { wrap } from "../../../../host/core/policy/wrap.ts";
import { ERRORS } from "../../../../protocols/table.ts";
import { boom, codeOf, codeOfRejection, core, fail, policyRig } from "../../../support/policy-rig.ts";

describe("circuitBreaker", () => {
  test("runs plain work plainly, counts its throws, and refuses while open with the time to come back", () => {
    const { clock, seams } = policyRig();
    const breaker = createCircuitBreaker(seams, { consecutiveFailures: 2, openMs: 1000 });
    expect(breaker.executeSync(() => 5)).toBe(5);
    expect(codeOf(() => breaker.executeSync(fail))).toBe("Error: boom");
    expect(codeOf(() => breaker.executeSync(fail))).toBe("Error: boom");
    expect(breaker.state).toBe("open");
    clock.nowMs = 400;
    let called = false;
    try {
      breaker.executeSync(() => {
        called = true;
      });
      expect.unreachable();
    } catch (error) {
      expect(error).toMatchObject({ code: "BREAKER_OPEN", context: { retryAfterMs: 600 } });
      expect((error as Error).message).toContain("in 600 ms");
    }
    expect(called).toBe(false);
    expect(breaker.waitMs).toBe(600);
    clock.nowMs = 1000;
    expect(breaker.state).toBe("half-open");
    expect(breaker.executeSync(() => "well")).toBe("well");
    expect(breaker.state).toBe("closed");
  });

  test("holds the permit of async work until it settles", async () => {
    const { clock, seams } = policyRig();
    const breaker = createCircuitBreaker(seams, { consecutiveFailures: 1, openMs: 10 });
    await expect(breaker.execute(async () => fail())).rejects.toBe(boom);
    expect(breaker.state).toBe("open");
    clock.nowMs = 10;
    const probe = Promise.withResolvers<string>();
    const running = breaker.execute(() => probe.promise);
    expect(await codeOfRejection(breaker.execute(() => 1))).toBe("BREAKER_OPEN");
    probe.resolve("well");
    expect(await running).toBe("well");
    expect(breaker.state).toBe("closed");
  });

  test("does not count an abort by the caller, nor errors that are none, nor refusals of policies inside", async () => {
    const { seams } = policyRig();
    const breaker = createCircuitBreaker(seams, {
      consecutiveFailures: 1,
      isFailure: (error) => error !== boom,
    });
    expect(codeOf(() => breaker.executeSync(fail))).toBe("Error: boom");
    const controller = new AbortController();
    const running = breaker.execute(({ signal }) => {
      return new Promise((_, reject) => {
        signal.addEventListener("abort", () => reject(new Error("aborted work")));
      });
    }, controller);
    controller.abort(new Error("changed my mind"));
    await expect(running).rejects.toThrow("aborted work");
    expect(await codeOfRejection(breaker.execute(() => 1, { signal: controller.signal }))).toBe(
      "Error: changed my mind",
    );
    expect(codeOf(() => breaker.executeSync(() => 1, { signal: controller.signal }))).toBe(
      "Error: changed my mind",
    );
    expect(breaker.state).toBe("closed");
    expect(codeOf(() => breaker.executeSync(() => JSON.parse("{")))).toContain("SyntaxError");
    expect(breaker.state).toBe("open");

    const outer = createCircuitBreaker(seams, { consecutiveFailures: 1 });
    const inner = createBulkhead(seams, { limit: 1 });
    inner.tryAcquire();
    expect(await codeOfRejection(wrap(outer, inner).execute(() => 1))).toBe("BULKHEAD_FULL");
    expect(outer.state).toBe("closed");
  });

  test("a timeout inside is a failure, though the work was aborted", async () => {
    const { clock, seams } = policyRig();
    const breaker = createCircuitBreaker(seams, { consecutiveFailures: 1 });
    const running = codeOfRejection(
      wrap(breaker, createTimeout(seams, { ms: 10 })).execute(() => new Promise(() => undefined)),
    );
    await clock.advance(12);
    expect(await running).toBe("TIMED_OUT");
    expect(breaker.state).toBe("open");
  });

  test("an error can count as a success", () => {
    const { clock, seams } = policyRig();
    const breaker = createCircuitBreaker(seams, {
      consecutiveFailures: 1,
      openMs: 10,
      classify: (error) => (error === boom ? "success" : "failure"),
    });
    codeOf(() => breaker.executeSync(() => JSON.parse("{")));
    clock.nowMs = 10;
    codeOf(() => breaker.executeSync(fail));
    expect(breaker.state).toBe("closed");
  });

  test("opens at rates, by count, by time and by slowness; with numbers for those who allocate nothing", () => {
    const { clock, seams } = policyRig();
    const byCount = createCircuitBreaker(seams, { failureRate: 0.5, windowCalls: 4 });
    for (const outcome of ["success", "failure", "success", "failure"] as const) {
      const permit = byCount.tryAcquire();
      expect(permit).toBeGreaterThan(0);
      expect(byCount.report(permit, outcome)).toBe(0);
    }
    expect(byCount.tryAcquire()).toBe(-ERRORS.BREAKER_OPEN.number);
    expect(byCount.report(1, "success")).toBe(-ERRORS.ARGUMENT.number);

    const byTime = createCircuitBreaker(seams, { failureRate: 0.5, windowMs: 100, callsMin: 2 });
    codeOf(() => byTime.executeSync(fail));
    clock.nowMs = 200;
    codeOf(() => byTime.executeSync(fail));
    expect(byTime.state).toBe("closed");
    codeOf(() => byTime.executeSync(fail));
    expect(byTime.state).toBe("open");

    const bySlowness = createCircuitBreaker(seams, {
      slowCallRate: 1,
      slowCallMs: 50,
      callsMin: 2,
      windowCalls: 2,
    });
    for (let call = 0; call < 2; call += 1) {
      bySlowness.executeSync(() => {
        clock.nowMs += 50;
      });
    }
    expect(bySlowness.state).toBe("open");
  });

  test("is put into any state by hand", () => {
    const { clock, seams } = policyRig();
    const breaker = createCircuitBreaker(seams, { consecutiveFailures: 1, openMs: 10 });
    breaker.forceOpen();
    clock.nowMs = 1e9;
    expect(breaker.state).toBe("forced-open");
    expect(breaker.waitMs).toBe(Number.POSITIVE_INFINITY);
    expect(codeOf(() => breaker.executeSync(() => 1))).toBe("BREAKER_OPEN");
    breaker.disable();
    for (let call = 0; call < 3; call += 1) codeOf(() => breaker.executeSync(fail));
    expect([breaker.state, breaker.executeSync(() => 1)]).toEqual(["disabled", 1]);
    breaker.open();
    expect(breaker.state).toBe("open");
    breaker.reset();
    expect(breaker.state).toBe("closed");
  });

  test("tells its changes, refusals and outcomes, to whoever still listens, and counts them", () => {
    const { clock, seams } = policyRig();
    const counted: string[] = [];
    const breaker = createCircuitBreaker(seams, {
      name: "database",
      consecutiveFailures: 1,
      openMs: 10,
      meter: {
        count: (name, labels) => counted.push(`${name} ${labels?.policy} ${labels?.result}`),
      },
    });
    const heard: string[] = [];
    const changes = breaker.on("stateChange", ({ from, to }) => heard.push(`${from} > ${to}`));
    breaker.on("refused", ({ code, retryAfterMs }) => heard.push(`${code} ${retryAfterMs}`));
    breaker.on("success", ({ tookMs }) => heard.push(`success ${tookMs}`));
    breaker.on("failure", ({ outcome, error }) => heard.push(`${outcome} ${String(error)}`));
    codeOf(() => breaker.executeSync(fail));
    codeOf(() => breaker.executeSync(() => 1));
    clock.nowMs = 10;
    breaker.executeSync(() => {
      clock.nowMs += 3;
    });
    changes[Symbol.dispose]();
    breaker.forceOpen();
    expect(heard).toEqual([
      "failure Error: boom",
      "closed > open",
      "BREAKER_OPEN 10",
      "open > half-open",
      "success 3",
      "half-open > closed",
    ]);
    expect(counted[0]).toBe("tardigrade_policy_results_total database failure");
    expect(counted.map((line) => line.split(" ")[2])).toEqual([
      "failure",
      "open",
      "refused",
      "half-open",
      "success",
      "closed",
      "forced-open",
    ]);
  });

  test("a listener that throws changes no decision", async () => {
    const { seams } = policyRig();
    const breaker = createCircuitBreaker(seams);
    breaker.on("success", fail);
    const rejections: unknown[] = [];
    const listen = (error: unknown): void => {
      rejections.push(error);
    };
    process.on("unhandledRejection", listen);
    expect(breaker.executeSync(() => 1)).toBe(1);
    await new Promise((resolve) => setImmediate(resolve));
    process.off("unhandledRejection", listen);
    expect(rejections).toEqual([boom]);
  });

  test("with a throttle it makes fewer calls the fewer are accepted", () => {
    const { seams } = policyRig(0x7000_0000);
    const breaker = createCircuitBreaker(seams, {
      consecutiveFailures: 65_535,
      throttle: { k: 2, windowMs: 10_000 },
    });
    let made = 0;
    for (let call = 0; call < 100; call += 1) {
      const permit = breaker.tryAcquire();
      if (permit < 0) {
        expect(permit).toBe(-ERRORS.THROTTLED.number);
        continue;
      }
      made += 1;
      breaker.report(permit, "failure");
    }
    expect(made).toBeLessThan(5);
    expect(codeOf(() => breaker.executeSync(() => 1))).toBe("THROTTLED");
    expect(codeOf(() => createCircuitBreaker({ core, clock: seams.clock }, { throttle: {} }))).toBe(
      "ARGUMENT",
    );
  });

  test("a throttle lets a burst through to a service that is well, however many calls are out at once", async () => {
    // Dice that refuse whenever they may.
    const { seams } = policyRig(0);
    const breaker = createCircuitBreaker(seams, { throttle: {} });
    const answer = Promise.withResolvers<string>();
    const first = Array.from({ length: 100 }, () => breaker.execute(() => answer.promise));
    answer.resolve("well");
    expect(await Promise.all(first)).toEqual(Array(100).fill("well"));
    const mixed = await Promise.all(
      Array.from({ length: 100 }, (_, index) =>
        breaker.execute(() => (index % 2 === 0 ? 1 : Promise.resolve(1))),
      ),
    );
    expect(mixed).toEqual(Array(100).fill(1));
  });

  test("a permit that comes back without a verdict, or never was, counts neither for a throttle nor against it", () => {
    const { clock, seams } = policyRig(0);
    const breaker = createCircuitBreaker(seams, {
      consecutiveFailures: 2,
      openMs: 10,
      throttle: { k: 1, windowMs: 1000 },
    });
    for (const outcome of ["cancelled", "ignored"] as const) {
      for (let call = 0; call < 10; call += 1) expect(breaker.report(breaker.tryAcquire(), outcome)).toBe(0);
    }
    expect(breaker.report(1, "failure")).toBe(-ERRORS.ARGUMENT.number);
    // Nothing was accepted so far: one failure is enough for these dice.
    const permits = [breaker.tryAcquire(), breaker.tryAcquire()];
    expect(Math.min(...permits)).toBeGreaterThan(0);
    breaker.report(permits[0] ?? 0, "timeout");
    expect(breaker.tryAcquire()).toBe(-ERRORS.THROTTLED.number);
    clock.nowMs = 2000;
    // What the breaker itself refuses is no request: its first probe passes these dice.
    breaker.open();
    for (let call = 0; call < 10; call += 1) expect(breaker.tryAcquire()).toBe(-ERRORS.BREAKER_OPEN.number);
    clock.nowMs = 2010;
    expect(breaker.report(breaker.tryAcquire(), "success")).toBe(0);
    expect(breaker.state).toBe("closed");
  });

  test.each([
    { failureRate: 2 },
    { failureRate: 0 },
    { consecutiveFailures: 0 },
    { consecutiveFailures: 1.5 },
    { slowCallRate: 0.5 },
    { windowCalls: 10 },
    { windowMs: 10 },
    { callsMin: 10 },
    { failureRate: 0.5, windowCalls: 10, windowMs: 10 },
    { failureRate: 0.5, windowCalls: 257 },
    { failureRate: 0.5, windowCalls: 10, callsMin: 11 },
    { failureRate: 0.5, windowMs: 0 },
    { openMs: -1 },
    { openMs: Number.NaN },
    { halfOpenMs: 0 },
    { probes: 0 },
    { successesToClose: 65_536 },
    { throttle: { k: 0.5 } },
    { throttle: { windowMs: 0 } },
  ])("is refused with %o", (options) => {
    expect(codeOf(() => createCircuitBreaker(policyRig().seams, options))).toBe("ARGUMENT");
  });

  test("closed, it refuses with a code, and a call that is under way ends well", async () => {
    const { seams } = policyRig();
    const breaker = createCircuitBreaker(seams, { throttle: {} });
    const work = Promise.withResolvers<number>();
    const running = breaker.execute(() => work.promise);
    breaker.close();
    breaker.close();
    work.resolve(3);
    expect(await running).toBe(3);
    expect(breaker.tryAcquire()).toBe(-ERRORS.POLICY_CLOSED.number);
    expect(codeOf(() => breaker.executeSync(() => 1))).toBe("POLICY_CLOSED");
    expect(codeOf(() => breaker.reset())).toBe("POLICY_CLOSED");
    expect([breaker.state, breaker.waitMs]).toEqual(["closed", 0]);
  });
});
