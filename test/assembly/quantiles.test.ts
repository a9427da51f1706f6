/** Quantiles beside the obvious: sort everything; and P² beside its paper. */
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

describe("a histogram at its edges", () => {
  const BITS = 2;
  const bytes = raw.histogramBytes(BITS);
  const made = () => {
    const at = core.allocate(bytes + 16);
    core.bytes().fill(0xff, at, at + bytes + 16);
    expect(raw.histogramInit(at, BITS)).toBe(0);
    return at;
  };
  const isKept = (at: number) =>
    core
      .bytes()
      .subarray(at + bytes, at + bytes + 4)
      .every((byte) => byte === 0xff);

  test("stays in its memory, and adds up what another has counted and no more", () => {
    const [at, other] = [made(), made()];
    raw.histogramRecord(other, 2 ** 32 - 1, 3);
    core.bytes().fill(0, at + bytes, at + bytes + 16);
    expect(raw.histogramMerge(at, other)).toBe(0);
    expect(core.bytes()[at + bytes]).toBe(0);
    core.bytes().fill(0xff, at + bytes, at + bytes + 16);
    expect([raw.histogramTotal(at), raw.histogramHighest(at) >>> 0]).toEqual([3n, 2 ** 32 - 1]);
    raw.histogramReset(at);
    expect([isKept(at), isKept(other)]).toEqual([true, true]);
    expect([raw.histogramTotal(at), raw.histogramLowest(at) >>> 0, raw.histogramHighest(at)]).toEqual([
      0n,
      2 ** 32 - 1,
      0,
    ]);
    expect([raw.histogramValueAt(at, 1), raw.histogramQuantile(at, 1000)]).toEqual([0, 0]);
  });

  test("has 1 to 10 bits", () => {
    const at = core.allocate(raw.histogramBytes(10));
    expect([0, 1, 10, 11].map((bits) => raw.histogramInit(at, bits))).toEqual([ARGUMENT, 0, 0, ARGUMENT]);
    expect([raw.histogramBytes(1), raw.histogramBytes(10)]).toEqual([32 + 256, 32 + 4 * 23 * 1024]);
  });

  test("quantiles of many: rank of thousandths of the total, rounded up", () => {
    const counted = fc.array(fc.tuple(fc.nat(7), fc.integer({ min: 1, max: 5000 })), {
      minLength: 1,
      maxLength: 8,
    });
    fc.assert(
      fc.property(counted, fc.integer({ min: 0, max: 1001 }), (all, thousandths) => {
        const at = core.allocate(bytes);
        raw.histogramInit(at, BITS);
        for (const [value, times] of all) raw.histogramRecord(at, value, times);
        const sorted = all.toSorted(([a], [b]) => a - b);
        const total = all.reduce((sum, [, times]) => sum + times, 0);
        const rank = Math.max(1, Math.ceil((total * Math.min(thousandths, 1000)) / 1000));
        // Below 8 each value has a bucket of its own.
        const upTo = (value: number) =>
          sorted.filter(([it]) => it <= value).reduce((sum, [, times]) => sum + times, 0);
        const exact = sorted.find(([it]) => upTo(it) >= rank)?.[0];
        expect(raw.histogramQuantile(at, thousandths)).toBe(exact);
        expect(raw.histogramTotal(at)).toBe(BigInt(total));
      }),
      { numRuns: 500 },
    );
  });

  test("every bucket has 2^bits parts of a power of two: the smallest and the largest of each are told alike", () => {
    const at = core.allocate(raw.histogramBytes(3));
    for (let power = 3; power < 32; power += 1) {
      for (let part = 8; part < 16; part += 1) {
        const [low, high] = [part * 2 ** (power - 3), (part + 1) * 2 ** (power - 3) - 1];
        for (const value of [low, high]) {
          raw.histogramInit(at, 3);
          raw.histogramRecord(at, value, 1);
          raw.histogramRecord(at, 2 ** 32 - 1, 1);
          expect(raw.histogramQuantile(at, 500) >>> 0).toBe(high);
        }
      }
    }
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

describe("P² beside the paper's text", () => {
  /** Box 1 of the paper, with arrays; places and observations count from 1. */
  class SlowP2 {
    readonly #q: number;
    #heights: number[] = [];
    #places = [1, 2, 3, 4, 5];
    #seen = 0;
    constructor(q: number) {
      this.#q = q;
    }
    update(value: number): void {
      this.#seen += 1;
      const [heights, places] = [this.#heights, this.#places];
      if (this.#seen <= 5) {
        this.#heights = ascending([...heights, value]);
        return;
      }
      const at = (index: number) => heights[index] as number;
      const n = (index: number) => places[index] as number;
      if (value < at(0)) heights[0] = value;
      if (value > at(4)) heights[4] = value;
      const cell =
        value >= at(4)
          ? 3
          : Math.max(
              0,
              heights.findLastIndex((height) => height <= value),
            );
      for (let index = cell + 1; index < 5; index += 1) places[index] = n(index) + 1;
      for (const [index, share] of [
        [1, this.#q / 2],
        [2, this.#q],
        [3, (1 + this.#q) / 2],
      ] as const) {
        const lag = share * (this.#seen - 1) - (n(index) - 1);
        const mayRise = lag >= 1 && n(index + 1) - n(index) > 1;
        if (!mayRise && !(lag <= -1 && n(index - 1) - n(index) < -1)) continue;
        const d = mayRise ? 1 : -1;
        const [low, mid, high] = [at(index - 1), at(index), at(index + 1)];
        const [below, here, above] = [n(index - 1), n(index), n(index + 1)];
        const curve =
          mid +
          (d / (above - below)) *
            (((here - below + d) * (high - mid)) / (above - here) +
              ((above - here - d) * (mid - low)) / (here - below));
        const line = mid + (d * (at(index + d) - mid)) / (n(index + d) - here);
        heights[index] = low < curve && curve < high ? curve : line;
        places[index] = here + d;
      }
    }
    get heights(): readonly number[] {
      return this.#heights;
    }
    get places(): readonly number[] {
      return this.#places.map((place) => place - 1);
    }
    get value(): number {
      if (this.#seen >= 5) return this.#heights[2] as number;
      return this.#seen === 0
        ? Number.NaN
        : (this.#heights[Math.max(1, Math.ceil(this.#q * this.#seen)) - 1] as number);
    }
  }

  test("markers and estimate are the same numbers, over streams with many equal values", () => {
    const value = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.double({ min: -50, max: 50, noNaN: true }));
    fc.assert(
      fc.property(
        fc.constantFrom(0.01, 0.1, 0.25, 0.5, 0.9, 0.99),
        fc.array(value, { maxLength: 120, size: "max" }),
        (q, all) => {
          const at = core.allocate(112);
          core.bytes().fill(0xff, at, at + 96);
          core.bytes().fill(0, at + 96, at + 112);
          raw.p2Init(at, q);
          const slow = new SlowP2(q);
          for (const [index, it] of all.entries()) {
            expect(raw.p2Value(at)).toBe(slow.value);
            raw.p2Update(at, it);
            slow.update(it);
            if (index < 4) continue;
            const doubles = new Float64Array(core.bytes().buffer, at + 16, 10);
            expect([...doubles.subarray(0, 5)].map((height) => height + 0)).toEqual(
              slow.heights.map((height) => height + 0),
            );
            expect([...doubles.subarray(5)]).toEqual(slow.places);
          }
          expect(raw.p2Count(at)).toBe(BigInt(all.length));
          expect([...core.bytes().subarray(at + 96, at + 112)]).toEqual(Array(16).fill(0));
        },
      ),
      { numRuns: 300 },
    );
  });
});
