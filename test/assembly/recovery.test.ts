/** The ladder of recoveries: as the module draws it, and the same on device (the core) and host. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { climb, RECOVERY_LADDER, RecoveryLadder, recoveryOf } from "../../host/core/recovery.ts";
import { ERRORS, type ErrorCode, RECOVERIES, type Recovery, SEVERITIES } from "../../protocols/table.ts";
import { openTestCore } from "../support/core.ts";

const core = openTestCore();
const { raw } = core;
const CODES = Object.keys(ERRORS) as ErrorCode[];
const number = (strategy: Recovery) => RECOVERIES.indexOf(strategy);
const STATE_BYTES = 24;
const state = () => {
  const at = core.allocate(STATE_BYTES);
  raw.recoveryReset(at);
  return at;
};

test("by code and severity, on both sides the same", () => {
  for (const code of CODES) {
    for (const severity of SEVERITIES) {
      const told = raw.recoveryOf(ERRORS[code].number, SEVERITIES.indexOf(severity));
      expect([code, severity, RECOVERIES[told]]).toEqual([code, severity, recoveryOf({ code, severity })]);
    }
    expect(recoveryOf({ code, severity: ERRORS[code].severity })).toBe(ERRORS[code].recovery);
  }
  for (const strategy of RECOVERIES)
    expect(RECOVERIES[raw.recoveryClimb(number(strategy))]).toBe(climb(strategy));
});

test.each([
  ["LINK_DOWN", "info", "retry"],
  ["LINK_DOWN", "warning", "fallback"],
  ["LINK_DOWN", "error", "degrade"],
  ["LINK_DOWN", "fatal", "isolate"],
  ["APP_TRAP", "fatal", "isolate"],
  ["SENSOR_RANGE", "error", "ignore"],
  ["SENSOR_RANGE", "critical", "escalate"],
  ["ARGUMENT", "warning", "ignore"],
] as const)("%s that is %s: %s", (code, severity, strategy) => {
  expect(recoveryOf({ code, severity })).toBe(strategy);
});

describe("the ladder", () => {
  const limit = 3;
  const periodMs = 1000;
  const strategies = (strategy: Recovery, timesMs: readonly number[]) => {
    const at = state();
    return timesMs.map(
      (ms) =>
        RECOVERIES[raw.recoveryNext(at, number(strategy), limit, BigInt(periodMs * 1000), BigInt(ms * 1000))],
    );
  };
  const burst = (count: number) => Array.from({ length: count }, (_, index) => index);

  test("each rung is tried `limit` times, then the next, to the top", () => {
    expect(strategies("retry", burst(20))).toEqual([
      ...RECOVERY_LADDER.flatMap((rung) => [rung, rung, rung]),
      ...["escalate", "escalate"],
    ]);
    expect(strategies("restart", burst(8))).toEqual([
      ...["restart", "restart", "restart", "isolate", "isolate", "isolate", "escalate", "escalate"],
    ]);
    expect(new Set(strategies("ignore", burst(50)))).toEqual(new Set(["ignore"]));
  });

  test("slower than `limit` in a period never climbs; a quiet period begins anew", () => {
    expect(new Set(strategies("restart", [0, 400, 800, 1200, 1600, 2000, 2400]))).toEqual(
      new Set(["restart"]),
    );
    expect(strategies("restart", [0, 1, 2, 3, 1002, 2002, 2003])).toEqual([
      ...["restart", "restart", "restart", "isolate", "isolate", "restart", "restart"],
    ]);
  });

  test("the count of tries stops at its end and does not begin anew", () => {
    const at = state();
    const next = () => RECOVERIES[raw.recoveryNext(at, number("retry"), 70_000, 1000n, 5n)];
    next();
    new DataView(core.bytes().buffer).setUint16(at + 16, 65_534, true);
    const tries = [1, 2, 3].map(() => [next(), new DataView(core.bytes().buffer).getUint16(at + 16, true)]);
    expect(tries).toEqual(Array(3).fill(["retry", 65_535]));
  });

  test("on the host as on a device, whatever comes when", () => {
    const step = fc.record({
      gapMs: fc.oneof(fc.nat(50), fc.constantFrom(499, 500, 999, 1000, 1001), fc.nat(5000)),
      code: fc.constantFrom(...CODES),
      severity: fc.constantFrom(...SEVERITIES),
      reset: fc.integer({ min: 0, max: 30 }).map((roll) => roll === 0),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), fc.integer({ min: 1, max: 6 }), (steps, tries) => {
        let nowMs = 0;
        const ladder = new RecoveryLadder({ nowMs: () => nowMs, limit: tries, periodMs });
        const at = state();
        for (const { gapMs, code, severity, reset } of steps) {
          nowMs += gapMs;
          if (reset) {
            ladder.reset("it");
            raw.recoveryReset(at);
          }
          const strategy = raw.recoveryOf(ERRORS[code].number, SEVERITIES.indexOf(severity));
          const told = raw.recoveryNext(at, strategy, tries, BigInt(periodMs * 1000), BigInt(nowMs * 1000));
          expect(RECOVERIES[told]).toBe(ladder.next("it", { code, severity }));
        }
      }),
      { numRuns: 300 },
    );
  });
});
