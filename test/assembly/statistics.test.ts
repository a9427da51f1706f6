/** Statistics beside the obvious: sort everything, or compute it in two passes. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ERRORS } from "../../protocols/table.ts";
import { openTestCore } from "../support/core.ts";

const core = openTestCore();
const { raw } = core;
const ARGUMENT = -ERRORS.ARGUMENT.number;

/** Value of rank ceil(q * n), from 1. */
const exactQuantile = (sorted: readonly number[], q: number) =>
  sorted[Math.max(1, Math.ceil(q * sorted.length - 1e-9)) - 1] as number;
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

describe("a histogram", () => {
  const made = (bits: number) => {
    const at = core.allocate(raw.histogramBytes(bits));
    expect(raw.histogramInit(at, bits)).toBe(0);
    return at;
  };
  const value = fc.oneof(fc.nat(40), fc.nat(5_000), fc.integer({ min: 0, max: 2 ** 32 - 1 }));
  const values = fc.array(value, { minLength: 1, maxLength: 200, size: "max" });

  test("gives the value of a rank, the first for what is no rank, the last for ranks beyond", () => {
    const at = made(10);
    for (const one of [30, 10, 20]) raw.histogramRecord(at, one, 1);
    const ranks = [1, 2, 3, 0, -5, Number.NaN, 4, 2 ** 60, Number.POSITIVE_INFINITY];
    expect(ranks.map((rank) => raw.histogramValueAt(at, rank) >>> 0)).toEqual([
      10, 20, 30, 10, 10, 10, 30, 30, 30,
    ]);
  });

  test("every quantile is at most one part of 2^bits too high, and never too low", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10 }), values, (bits, all) => {
        const at = made(bits);
        for (const it of all) raw.histogramRecord(at, it, 1);
        const sorted = ascending(all);
        for (const thousandths of [0, 1, 250, 500, 900, 990, 999, 1000]) {
          const exact = exactQuantile(sorted, thousandths / 1000);
          const told = raw.histogramQuantile(at, thousandths) >>> 0;
          expect(told).toBeGreaterThanOrEqual(exact);
          expect(told).toBeLessThanOrEqual(exact * (1 + 2 ** -bits));
        }
        expect([raw.histogramLowest(at) >>> 0, raw.histogramHighest(at) >>> 0]).toEqual([
          sorted[0],
          sorted.at(-1),
        ]);
        expect(raw.histogramMean(at)).toBeCloseTo(all.reduce((a, b) => a + b, 0) / all.length, 3);
      }),
      { numRuns: 500 },
    );
  });

  test("two merged are as if one had seen all; others are refused", () => {
    fc.assert(
      fc.property(values, values, (left, right) => {
        const [a, b, both] = [made(5), made(5), made(5)];
        for (const it of left) raw.histogramRecord(a, it, 1);
        for (const it of right) raw.histogramRecord(b, it, 1);
        for (const it of [...left, ...right]) raw.histogramRecord(both, it, 1);
        expect(raw.histogramMerge(a, b)).toBe(0);
        const bytes = (at: number) => [...core.bytes().subarray(at, at + raw.histogramBytes(5))];
        expect(bytes(a)).toEqual(bytes(both));
      }),
      { numRuns: 100 },
    );
    expect(raw.histogramMerge(made(3), made(4))).toBe(ARGUMENT);
  });

  test("counts saturate and do not begin anew; sizes are as documented; empty is 0", () => {
    expect([raw.histogramBytes(3), raw.histogramBytes(5), raw.histogramBytes(7)]).toEqual([
      992, 3616, 13_344,
    ]);
    expect([raw.histogramBytes(0), raw.histogramBytes(11)]).toEqual([0, 0]);
    const at = made(3);
    expect(raw.histogramInit(at, 0)).toBe(ARGUMENT);
    expect([raw.histogramQuantile(at, 500), raw.histogramMean(at)]).toEqual([0, 0]);
    for (let n = 0; n < 3; n += 1) raw.histogramRecord(at, 7, 2 ** 32 - 1);
    raw.histogramRecord(at, 9, 0);
    raw.histogramRecord(at, 100, 1);
    expect(raw.histogramQuantile(at, 500)).toBe(7);
    expect(raw.histogramTotal(at)).toBe(2n ** 32n);
    expect(raw.histogramMean(at)).toBeCloseTo(7, 5);
    raw.histogramReset(at);
    expect(raw.histogramTotal(at)).toBe(0n);
  });
});

describe("Welford", () => {
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

describe("P²", () => {
  test("the paper's own example, value for value", () => {
    // Table I of the paper: the median of twenty observations.
    const observations = [
      0.02, 0.15, 0.74, 3.39, 0.83, 22.37, 10.15, 15.43, 38.62, 15.92, 34.6, 10.28, 1.47, 0.4, 0.05, 11.39,
      0.27, 0.42, 0.09, 11.37,
    ];
    const at = core.allocate(96);
    expect(raw.p2Init(at, 0.5)).toBe(0);
    for (const it of observations) raw.p2Update(at, it);
    expect(raw.p2Value(at)).toBeCloseTo(4.44, 2);
    expect(raw.p2Count(at)).toBe(20n);
  });

  test.each([0.1, 0.5, 0.9, 0.99])("quantile %d of a normal stream to within 2 % of its spread", (q) => {
    const all = normals(20_000, 7);
    const at = core.allocate(96);
    raw.p2Init(at, q);
    for (const it of all) raw.p2Update(at, it);
    expect(Math.abs(raw.p2Value(at) - exactQuantile(ascending(all), q))).toBeLessThan(0.06);
  });

  test("few values by rank, none is NaN, odd ones are passed over or refused", () => {
    const at = core.allocate(96);
    for (const q of [0, 1, -1, Number.NaN]) expect(raw.p2Init(at, q)).toBe(ARGUMENT);
    raw.p2Init(at, 0.5);
    expect(raw.p2Value(at)).toBeNaN();
    for (const it of [9, Number.NaN, 1, Number.NEGATIVE_INFINITY, 5]) raw.p2Update(at, it);
    expect(raw.p2Value(at)).toBe(5);
    // What comes in from now on prevails.
    for (let n = 0; n < 100; n += 1) raw.p2Update(at, 5);
    expect(raw.p2Value(at)).toBeCloseTo(5, 1);
  });
});

describe("CUSUM", () => {
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
