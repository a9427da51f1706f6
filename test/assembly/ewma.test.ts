import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ERRORS } from "../../protocols/table.ts";
import { openTestCore } from "../support/core.ts";

const { raw } = openTestCore();
const ARGUMENT = -ERRORS.ARGUMENT.number;
const learn = (handle: number, readings: readonly number[]): number[] =>
  readings.map((reading) => raw.ewmaUpdate(handle, reading));

describe("an exponentially weighted average", () => {
  test("begins at the first reading and moves by alpha", () => {
    const handle = raw.ewmaCreate(0.25, 4, 0, 10);
    learn(handle, [8, 12]);
    expect(raw.ewmaMean(handle)).toBe(9);
    // Finch 2009, equation 143: (1 - a)(S + a d^2) = 0.75 * (0 + 0.25 * 16).
    expect(raw.ewmaVariance(handle)).toBe(3);
  });

  test("flags a reading many deviations off, judged before it is learnt", () => {
    const handle = raw.ewmaCreate(0.1, 4, 0, 20);
    const calm = Array.from({ length: 200 }, (_, index) => 20 + Math.sin(index * 2.4));
    expect(learn(handle, calm)).not.toContain(1);
    expect(raw.ewmaUpdate(handle, 35)).toBe(1);
    expect(raw.ewmaZ(handle)).toBeGreaterThan(10);
    expect(learn(handle, [20, 21, 19])).toEqual([0, 0, 0]);
  });

  test("flags nothing while it warms up, and the first after", () => {
    const handle = raw.ewmaCreate(0.1, 3, 0.1, 3);
    expect(learn(handle, [1, 100, 1])).toEqual([0, 0, 0]);
    const steady = raw.ewmaCreate(0.1, 3, 0.1, 3);
    expect(learn(steady, [1, 1, 1, 100])).toEqual([0, 0, 0, 1]);
  });

  test("takes a flicker of a constant signal for one only beyond the least deviation", () => {
    const coarse = raw.ewmaCreate(0.1, 4, 0.5, 2);
    expect(learn(coarse, [5, 5, 5, 6.9, 5])).toEqual([0, 0, 0, 0, 0]);
    const exact = raw.ewmaCreate(0.1, 4, 0, 2);
    expect(learn(exact, [5, 5, 5])).toEqual([0, 0, 0]);
    expect(raw.ewmaZ(exact)).toBe(0);
    expect(raw.ewmaUpdate(exact, 5.01)).toBe(1);
    expect(raw.ewmaZ(exact)).toBeGreaterThan(1e18);
  });

  test("does not learn what is not finite", () => {
    const handle = raw.ewmaCreate(0.5, 4, 0, 0);
    learn(handle, [2, 4]);
    expect(learn(handle, [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 1e300])).toEqual([
      ARGUMENT,
      ARGUMENT,
      ARGUMENT,
      ARGUMENT,
    ]);
    expect(raw.ewmaMean(handle)).toBe(3);
  });

  test.each([
    [0, 1, 0],
    [1.1, 1, 0],
    [Number.NaN, 1, 0],
    [0.5, 0, 0],
    [0.5, Number.NaN, 0],
    [0.5, Number.POSITIVE_INFINITY, 0],
    [0.5, 1, -1],
    [0.5, 1, Number.NaN],
    [0.5, 1, Number.POSITIVE_INFINITY],
  ])("refuses alpha %d, z %d, deviationMin %d", (alpha, z, deviationMin) => {
    expect(raw.ewmaCreate(alpha, z, deviationMin, 0)).toBe(ARGUMENT);
  });

  test("stays finite whatever it is fed, and wears the extremes off", () => {
    fc.assert(
      fc.property(fc.array(fc.float({ noNaN: true, noDefaultInfinity: true })), (readings) => {
        const handle = raw.ewmaCreate(0.5, 4, 0, 0);
        learn(handle, readings);
        expect(Number.isFinite(raw.ewmaMean(handle))).toBe(true);
        expect(Number.isFinite(raw.ewmaVariance(handle))).toBe(true);
        expect(raw.ewmaVariance(handle)).toBeGreaterThanOrEqual(0);
        learn(
          handle,
          Array.from({ length: 600 }, () => 1),
        );
        expect(raw.ewmaMean(handle)).toBeCloseTo(1, 5);
        expect(raw.ewmaVariance(handle)).toBeLessThan(1e-6);
        raw.ewmaFree(handle);
      }),
    );
  });

  test("agrees with the weighted sums that define it", () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -1000, max: 1000 }), { minLength: 1, maxLength: 40 }),
        (readings) => {
          const alpha = 0.125;
          const handle = raw.ewmaCreate(alpha, 4, 0, 0);
          learn(handle, readings);
          const weights = readings.map((_, index) => {
            const age = readings.length - 1 - index;
            return (index === 0 ? 1 : alpha) * (1 - alpha) ** age;
          });
          const mean = readings.reduce((sum, reading, index) => sum + reading * (weights[index] ?? 0), 0);
          const variance = readings.reduce(
            (sum, reading, index) => sum + (reading - mean) ** 2 * (weights[index] ?? 0),
            0,
          );
          expect(Math.abs(raw.ewmaMean(handle) - mean)).toBeLessThan(0.01);
          expect(Math.abs(raw.ewmaVariance(handle) - variance)).toBeLessThan(1 + variance * 1e-4);
          raw.ewmaFree(handle);
        },
      ),
    );
  });

  test("answers zeros for a handle that is gone", () => {
    const handle = raw.ewmaCreate(0.5, 4, 0, 0);
    expect([raw.ewmaFree(handle), raw.ewmaFree(handle)]).toEqual([0, ARGUMENT]);
    expect(raw.ewmaUpdate(handle, 1)).toBe(ARGUMENT);
    expect([raw.ewmaMean(handle), raw.ewmaVariance(handle), raw.ewmaZ(handle)]).toEqual([0, 0, 0]);
  });
});
