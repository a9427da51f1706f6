/** Statistics beside the obvious: sort everything, or compute it in two passes. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ERRORS } from "../../protocols/table.ts";
import { openTestCore } from "../support/core.ts";

const core = openTestCore();
const { raw } = core;
const ARGUMENT = -ERRORS.ARGUMENT.number;

const ascending = (values: readonly number[]) => [...values].sort((a, b) => a - b);
/** A reproducible stream: normal by twelve uniforms. */
function normals(count: number, seed = 1): number[] {
  let state = seed;
  const unit = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return Array.from({ length: count }, () => Array.from({ length: 12 }, unit).reduce((a, b) => a + b) - 6);
}

describe("Welford", () => {
  test("an empty half changes nothing, and takes on the other", () => {
    const [one, empty] = [core.allocate(24), core.allocate(24)];
    for (const at of [one, empty]) raw.welfordInit(at);
    for (const value of [3, 5]) raw.welfordUpdate(one, value);
    const told = (at: number) => [raw.welfordCount(at), raw.welfordMean(at), raw.welfordVariance(at)];
    raw.welfordMerge(one, empty);
    expect(told(one)).toEqual([2n, 4, 2]);
    raw.welfordMerge(empty, one);
    expect(told(empty)).toEqual([2n, 4, 2]);
    for (const at of [one, empty]) raw.welfordInit(at);
    raw.welfordMerge(empty, one);
    expect(told(empty)).toEqual([0n, 0, 0]);
  });

  test("mean and variance as two passes have them, merged or not, far from zero", () => {
    const number = fc.double({ min: -1e6, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(
        fc.array(number, { minLength: 2, maxLength: 100 }),
        fc.nat(100),
        fc.double({ min: -1e6, max: 1e6, noNaN: true }),
        (all, cut, offset) => {
          const shifted = all.map((it) => it + offset);
          const [whole, left, right] = [core.allocate(24), core.allocate(24), core.allocate(24)];
          for (const at of [whole, left, right]) raw.welfordInit(at);
          for (const [index, it] of shifted.entries()) {
            raw.welfordUpdate(whole, it);
            raw.welfordUpdate(index < cut ? left : right, it);
          }
          raw.welfordUpdate(whole, Number.NaN);
          raw.welfordUpdate(whole, Number.POSITIVE_INFINITY);
          raw.welfordMerge(left, right);
          const mean = shifted.reduce((a, b) => a + b, 0) / all.length;
          const variance = shifted.reduce((sum, it) => sum + (it - mean) ** 2, 0) / (all.length - 1);
          for (const at of [whole, left]) {
            expect(raw.welfordCount(at)).toBe(BigInt(all.length));
            expect(Math.abs(raw.welfordMean(at) - mean)).toBeLessThan(1e-6);
            expect(Math.abs(raw.welfordVariance(at) - variance)).toBeLessThan(1e-9 * variance + 1e-4);
          }
        },
      ),
      { numRuns: 300 },
    );
    const empty = core.allocate(24);
    raw.welfordInit(empty);
    raw.welfordUpdate(empty, 5);
    expect(raw.welfordVariance(empty)).toBe(0);
  });
});

describe("CUSUM", () => {
  test("a sum that is the threshold is none beyond it; no slack is a slack; infinities are refused", () => {
    const at = core.allocate(32);
    core.bytes().fill(0xff, at, at + 32);
    expect(raw.cusumInit(at, 0, 0, 0.5)).toBe(0);
    expect([0.5, 0.25, -0.75, -0.25].map((it) => raw.cusumUpdate(at, it))).toEqual([0, 1, -1, 0]);
    expect([-0.25, 0, -0.125].map((it) => raw.cusumUpdate(at, it))).toEqual([0, 0, -1]);
    expect(
      [Number.POSITIVE_INFINITY, 0.5, Number.NEGATIVE_INFINITY, 0.5].map((it) => raw.cusumUpdate(at, it)),
    ).toEqual([0, 0, 0, 1]);
    for (const none of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      expect(raw.cusumInit(at, none, 1, 5)).toBe(ARGUMENT);
      expect(raw.cusumInit(at, 0, none, 5)).toBe(ARGUMENT);
      expect(raw.cusumInit(at, 0, 1, none)).toBe(ARGUMENT);
    }
    // What a smallest number would show.
    expect(raw.cusumInit(at, 0, 0, 1e-45)).toBe(0);
    expect(raw.cusumUpdate(at, 0)).toBe(0);
    raw.cusumUpdate(at, 1.2345);
    expect([...core.bytes().subarray(at + 12, at + 20)]).toEqual(Array(8).fill(0));
    expect(raw.cusumUpdate(at, 0)).toBe(0);
  });

  test("a shift of one deviation is found within some twenty readings, and none where there is none", () => {
    const at = core.allocate(20);
    expect(raw.cusumInit(at, 10, 0.5, 8)).toBe(0);
    const quiet = normals(2000, 3).map((it) => raw.cusumUpdate(at, 10 + it));
    expect(quiet.every((it) => it === 0)).toBe(true);
    raw.cusumReset(at);
    const risen = normals(200, 4).map((it) => raw.cusumUpdate(at, 11 + it));
    expect(risen.indexOf(1)).toBeGreaterThan(2);
    expect(risen.indexOf(1)).toBeLessThan(40);
    expect(risen).not.toContain(-1);
    raw.cusumReset(at);
    expect(normals(200, 5).map((it) => raw.cusumUpdate(at, 9 + it))).toContain(-1);
  });

  test("sums as the formula has them; begins anew after an alarm; refuses what is no number", () => {
    const at = core.allocate(20);
    raw.cusumInit(at, 0, 1, 5);
    expect([4, 2, Number.NaN, 1, 3].map((it) => raw.cusumUpdate(at, it))).toEqual([0, 0, 0, 0, 1]);
    expect([-3, -3, -3, -3].map((it) => raw.cusumUpdate(at, it))).toEqual([0, 0, -1, 0]);
    expect(raw.cusumInit(at, 0, -1, 5)).toBe(ARGUMENT);
    expect(raw.cusumInit(at, 0, 1, 0)).toBe(ARGUMENT);
    expect(raw.cusumInit(at, Number.NaN, 1, 5)).toBe(ARGUMENT);
  });
});

describe("MAD", () => {
  const made = (window: number, z: number, deviationMin: number) => {
    const at = core.allocate(raw.madBytes(window));
    expect(raw.madInit(at, window, z, deviationMin)).toBe(0);
    return at;
  };
  const medianOf = (values: readonly number[]) => {
    const sorted = ascending(values);
    const half = sorted.length >> 1;
    return sorted.length % 2 === 1
      ? (sorted[half] as number)
      : Math.fround(Math.fround((sorted[half] as number) + (sorted[half - 1] as number)) / 2);
  };

  test("median and deviation of the last readings, as sorting has them", () => {
    const reading = fc.float({ min: -1000, max: 1000, noNaN: true });
    fc.assert(
      fc.property(
        fc.integer({ min: 3, max: 20 }),
        fc.array(reading, { minLength: 1, maxLength: 60 }),
        (window, all) => {
          const at = made(window, 3.5, 0);
          for (const it of all) raw.madUpdate(at, it);
          const last = all.slice(-window);
          const median = medianOf(last);
          expect(raw.madMedian(at)).toBe(median);
          expect(raw.madDeviation(at)).toBe(
            medianOf(last.map((it) => Math.fround(Math.abs(Math.fround(it - median))))),
          );
        },
      ),
      { numRuns: 500 },
    );
  });

  test("exactly z deviations are no outlier; windows of 3 to 255 stay in their memory, whatever lay there", () => {
    const at = core.allocate(raw.madBytes(5) + 16);
    core.bytes().fill(0xff, at, at + raw.madBytes(5) + 16);
    // 0.6745 * 2 / 1, in singles.
    const z = Math.fround(Math.fround(Math.fround(0.6745) * 2) / 1);
    expect(raw.madInit(at, 5, z, 0)).toBe(0);
    expect(raw.madMedian(at)).toBeNaN();
    for (const it of [8, 9, 10, 11, 12]) expect(raw.madUpdate(at, it)).toBe(0);
    expect([raw.madUpdate(at, 12), raw.madDeviation(at)]).toEqual([0, 1]);
    const flat = made(3, 1e-3, 0);
    for (const it of [7, 7, 7, 7]) expect(raw.madUpdate(flat, it)).toBe(0);
    expect([raw.madUpdate(flat, 7.5), raw.madUpdate(flat, Number.POSITIVE_INFINITY)]).toEqual([1, 0]);
    expect(core.bytes()[at + raw.madBytes(5)]).toBe(0xff);
    expect([raw.madBytes(3), raw.madBytes(255)]).toEqual([20 + 24, 20 + 255 * 8]);
    for (const none of [Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(raw.madInit(at, 5, none, 0)).toBe(ARGUMENT);
      expect(raw.madInit(at, 5, 3, none)).toBe(ARGUMENT);
    }
    // Up to the least deviation that counts.
    expect(raw.madInit(at, 3, z, 2)).toBe(0);
    for (const it of [5, 5, 5, 9]) expect(raw.madUpdate(at, it)).toBe(0);
    expect(raw.madUpdate(at, 9.5)).toBe(1);
  });

  test("flags what lies apart, also when two fifths of the window were garbage; not before the window is full", () => {
    const at = made(15, 3.5, 0.1);
    expect(raw.madUpdate(at, 1e6)).toBe(0);
    for (const it of normals(15, 9)) raw.madUpdate(at, 20 + it * 0.1);
    for (let n = 0; n < 6; n += 1) expect(raw.madUpdate(at, 1000)).toBe(1);
    expect(raw.madUpdate(at, 20.05)).toBe(0);
    expect(raw.madUpdate(at, Number.NaN)).toBe(0);
    const flat = made(3, 3.5, 0);
    for (let n = 0; n < 3; n += 1) raw.madUpdate(flat, 7);
    expect([raw.madUpdate(flat, 7), raw.madUpdate(flat, 7.5)]).toEqual([0, 1]);
    expect([raw.madBytes(2), raw.madBytes(256)]).toEqual([0, 0]);
    expect(raw.madInit(at, 2, 3, 0)).toBe(ARGUMENT);
    expect(raw.madInit(at, 5, 0, 0)).toBe(ARGUMENT);
    expect(raw.madInit(at, 5, 3, -1)).toBe(ARGUMENT);
  });
});
