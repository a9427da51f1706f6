import fc from "fast-check";
import { expect, test } from "vitest";
import { createCircuitBreaker } from "../../../../host/core/policy/circuit-breaker.ts";
import { core, policyRig } from "../../../support/policy-rig.ts";

const OUTCOMES = ["success", "failure", "cancelled", "ignored", "timeout"] as const;
const STRUCT_BYTES = 64;
const structOf = (handle: number): number[] => {
  const at = core.raw.breakerAt(handle);
  return [...core.bytes().subarray(at, at + STRUCT_BYTES)];
};

test("whatever is done, the struct is as if the core had decided everything", () => {
  const step = fc.record({
    do: fc.constantFrom("acquire", "acquire", "report", "report", "report", "wait", "force"),
    number: fc.nat(60),
    outcome: fc.constantFrom(
      "success",
      "success",
      "success",
      "failure",
      "cancelled",
      "timeout",
    ) as fc.Arbitrary<(typeof OUTCOMES)[number]>,
  });
  fc.assert(
    fc.property(fc.boolean(), fc.array(step, { maxLength: 120 }), (hasWindow, steps) => {
      const { clock, seams } = policyRig();
      const options = hasWindow
        ? { failureRate: 0.5, windowCalls: 8, callsMin: 4 }
        : { consecutiveFailures: 3 };
      const mirrored = createCircuitBreaker(seams, { ...options, openMs: 20, halfOpenMs: 50 });
      // Somebody listens, so nothing is mirrored.
      const whole = createCircuitBreaker(seams, { ...options, openMs: 20, halfOpenMs: 50 });
      whole.on("refused", () => undefined);
      const permits: number[] = [];
      for (const { do: what, number, outcome } of steps) {
        if (what === "wait") clock.nowMs += number;
        else if (what === "force") {
          const how = (["reset", "open", "forceOpen", "disable"] as const)[number % 4] ?? "reset";
          if (number % 15 === 0) for (const breaker of [mirrored, whole]) breaker[how]();
        } else if (what === "acquire") {
          const permit = whole.tryAcquire();
          expect(mirrored.tryAcquire()).toBe(permit);
          if (permit > 0) permits.push(permit);
        } else {
          // Sometimes twice, and permits that nobody gave.
          const permit = permits[number % Math.max(1, permits.length)] ?? number;
          if (number % 7 !== 0) permits.splice(permits.indexOf(permit), 1);
          expect(mirrored.report(permit, outcome)).toBe(whole.report(permit, outcome));
        }
        expect(structOf(mirrored.handle)).toEqual(structOf(whole.handle));
        expect(mirrored.state).toBe(whole.state);
      }
      mirrored.close();
      whole.close();
    }),
    { numRuns: 400 },
  );
});

test("a pool that moves, memory that grows and a handle that was freed are noticed", () => {
  const { seams } = policyRig();
  const breaker = createCircuitBreaker(seams, {});
  const permit = breaker.tryAcquire();
  expect(permit).toBeGreaterThan(0);
  const others = Array.from({ length: 4000 }, () => createCircuitBreaker(seams, {}));
  core.allocate(4_000_000);
  expect(breaker.report(permit, "success")).toBe(0);
  for (let call = 0; call < 5; call += 1) expect(breaker.report(breaker.tryAcquire(), "success")).toBe(0);
  const view = new DataView(core.bytes().buffer);
  const at = core.raw.breakerAt(breaker.handle);
  expect([view.getUint32(at + 48, true), view.getUint32(at + 52, true)]).toEqual([6, 6]);
  for (const other of others) other.close();
  core.raw.breakerFree(breaker.handle);
  const successor = createCircuitBreaker(seams, {});
  expect(successor.handle & 0xfffff).toBe(breaker.handle & 0xfffff);
  expect(breaker.tryAcquire()).toBeLessThan(0);
  expect(breaker.report(1, "success")).toBeLessThan(0);
});
