import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  anomalyDetector,
  anomalyMonitor,
  cusum,
  HISTOGRAM_VALUE_MAX,
  hampel,
  histogram,
  histogramFromBytes,
  isTardigradeError,
  quantileEstimator,
  seasonalBaseline,
  summary,
} from "../../../host/exports/stats.ts";

const HOUR_MS = 3_600_000;
const value = fc.oneof(fc.nat(40), fc.nat(5000), fc.integer({ min: 0, max: HISTOGRAM_VALUE_MAX }));
const values = fc.array(value, { maxLength: 200, size: "max" });
const refusal = (call: () => unknown) => {
  try {
    call();
  } catch (error) {
    if (isTardigradeError(error)) return error.code;
    throw error;
  }
  return "none";
};

describe("a histogram", () => {
  test("quantiles by rank, exact extremes, mean and total", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 10 }),
        values,
        fc.double({ min: 0, max: 1, noNaN: true }),
        (bits, all, share) => {
          using spread = histogram({ bits });
          for (const it of all) spread.record(it);
          const sorted = [...all].sort((a, b) => a - b);
          expect([spread.total, spread.min, spread.max]).toEqual([all.length, sorted[0], sorted.at(-1)]);
          const exact = sorted[Math.max(1, Math.ceil(share * sorted.length - 1e-9)) - 1] ?? 0;
          expect(spread.quantile(share)).toBeGreaterThanOrEqual(exact);
          expect(spread.quantile(share)).toBeLessThanOrEqual(exact * (1 + 2 ** -bits));
          const mean = all.length === 0 ? 0 : all.reduce((a, b) => a + b, 0) / all.length;
          expect(Math.abs(spread.mean - mean)).toBeLessThanOrEqual(1e-12 * mean);
        },
      ),
      { numRuns: 300 },
    );
  });

  test("finer shares than thousandths; a fraction is cut off; times", () => {
    using spread = histogram({ bits: 10 });
    for (let it = 1; it <= 10_000; it += 1) spread.record(it);
    expect(spread.quantile(0.9999)).toBeGreaterThanOrEqual(9999);
    expect(spread.quantile(0.0001)).toBe(1);
    expect(spread.quantile(0.07)).toBe(700);
    spread.reset();
    spread.record(3.9, 5);
    expect([spread.total, spread.max, spread.mean]).toEqual([5, 3, 3]);
  });

  test("travels as bytes, and merged there it is as if one had seen all", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 10 }), values, values, (bits, here, there) => {
        using mine = histogram({ bits });
        using both = histogram({ bits });
        for (const it of [...here, ...there]) both.record(it);
        for (const it of here) mine.record(it);
        const bytes = (() => {
          using theirs = histogram({ bits });
          for (const it of there) theirs.record(it);
          return theirs.toBytes();
        })();
        using loaded = histogramFromBytes(bytes);
        expect(loaded.toBytes()).toEqual(bytes);
        mine.merge(loaded);
        expect(mine.toBytes()).toEqual(both.toBytes());
        expect(mine.quantile(0.9)).toBe(both.quantile(0.9));
      }),
      { numRuns: 200 },
    );
  });

  test("bytes that no histogram gives are refused, whatever was changed in them", () => {
    using spread = histogram();
    for (const it of [1, 7, 7, 900, 901, 4_000_000_000]) spread.record(it, 200);
    const bytes = spread.toBytes();
    for (let length = 0; length < bytes.length; length += 1) {
      expect(
        refusal(() => histogramFromBytes(bytes.slice(0, length))),
        `${length} bytes`,
      ).toBe("ARGUMENT");
    }
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.integer({ min: 1, max: 255 }), (at, flip) => {
        const changed = bytes.slice();
        changed[at] = (changed[at] as number) ^ flip;
        let told: ReturnType<typeof histogramFromBytes>;
        try {
          told = histogramFromBytes(changed);
        } catch (error) {
          expect(error).toMatchObject({ code: "ARGUMENT", message: expect.stringContaining("no histogram") });
          return;
        }
        // What passes is a histogram that could have been.
        expect(told.toBytes()).toEqual(changed);
        expect(told.min).toBeLessThanOrEqual(told.max as number);
        told[Symbol.dispose]();
      }),
      { numRuns: 2000 },
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (noise) => {
        expect(["ARGUMENT", "none"]).toContain(refusal(() => histogramFromBytes(noise)[Symbol.dispose]()));
      }),
      { numRuns: 2000 },
    );
    // A number in more bytes than it needs.
    const long = new Uint8Array([...bytes.slice(0, 18), 0x81, 0x00, ...bytes.slice(19)]);
    expect(refusal(() => histogramFromBytes(long))).toBe("ARGUMENT");
  });

  test("refuses what it cannot record, merge or tell", () => {
    using spread = histogram();
    for (const bad of [-1, Number.NaN, HISTOGRAM_VALUE_MAX + 1, Number.POSITIVE_INFINITY]) {
      expect(refusal(() => spread.record(bad))).toBe("ARGUMENT");
      expect(refusal(() => spread.record(1, bad))).toBe("ARGUMENT");
    }
    for (const bad of [-0.1, 1.1, Number.NaN]) expect(refusal(() => spread.quantile(bad))).toBe("ARGUMENT");
    for (const bits of [0, 11, 2.5, -1]) expect(refusal(() => histogram({ bits }))).toBe("ARGUMENT");
    using coarse = histogram({ bits: 3 });
    expect(() => spread.merge(coarse)).toThrow(/5 and 3 bits/);
    expect([spread.quantile(0.5), spread.mean, spread.min, spread.max]).toEqual([0, 0, undefined, undefined]);
  });

  test("one that was disposed of says so, and its memory is used again", () => {
    const gone = histogram({ bits: 7 });
    gone.record(5);
    gone[Symbol.dispose]();
    gone[Symbol.dispose]();
    for (const call of [
      () => gone.record(1),
      () => gone.total,
      () => gone.toBytes(),
      () => gone.quantile(1),
    ]) {
      expect(call).toThrow(/disposed/);
    }
    for (let round = 0; round < 5000; round += 1) {
      using again = histogram({ bits: 7 });
      expect(again.total).toBe(0);
      again.record(round);
    }
  });
});

describe("figures of a stream", () => {
  test("a quantile, an average and its deviation", () => {
    using median = quantileEstimator({ quantile: 0.5 });
    using first = summary();
    using second = summary();
    expect(median.value).toBeNaN();
    for (let it = 0; it <= 1000; it += 1) {
      median.update(it);
      (it < 300 ? first : second).update(it);
    }
    first.merge(second);
    expect(Math.abs(median.value - 500)).toBeLessThan(10);
    expect([median.count, first.count, first.mean]).toEqual([1001, 1001, 500]);
    expect(first.variance).toBeCloseTo((1001 * 1002) / 12, 6);
    expect(first.deviation).toBeCloseTo(Math.sqrt(first.variance), 9);
    first.reset();
    expect([first.count, first.mean, first.variance]).toEqual([0, 0, 0]);
    for (const quantile of [0, 1, Number.NaN])
      expect(refusal(() => quantileEstimator({ quantile }))).toBe("ARGUMENT");
    expect(refusal(() => first.merge({} as typeof first))).toBe("ARGUMENT");
  });
});

describe("detectors", () => {
  test("a shift, an outlier, a reading far off", () => {
    using shifts = cusum({ target: 10, slack: 0.5, threshold: 4 });
    expect([10, 10.2, 12, 12, 12].map((it) => shifts.update(it))).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
      "risen",
    ]);
    shifts.reset();
    expect([8, 8, 8].map((it) => shifts.update(it))).toEqual([undefined, undefined, "fallen"]);
    using outliers = hampel({ window: 5, deviationMin: 0.1 });
    expect([1, 1, 2, 1, 1, 50, 1].map((it) => outliers.update(it))).toEqual([
      false,
      false,
      false,
      false,
      false,
      true,
      false,
    ]);
    expect([outliers.median, outliers.deviation]).toEqual([1, 0]);
    using far = anomalyDetector({ warmup: 5 });
    for (let it = 0; it < 50; it += 1) far.update(20 + (it % 3));
    expect(far.update(200)).toBe(true);
    expect(refusal(() => cusum({ target: 0, slack: -1, threshold: 1 }))).toBe("ARGUMENT");
    for (const window of [2, 256, 2.5]) expect(refusal(() => hampel({ window }))).toBe("ARGUMENT");
    expect(refusal(() => hampel({ z: 0 }))).toBe("ARGUMENT");
  });

  test("a baseline expects by the hour; a monitor says what kind of alarm it is", () => {
    using baseline = seasonalBaseline({ deviationMin: 0.1 });
    using monitor = anomalyMonitor({ deviationMin: 0.1 });
    const celsius = (hour: number) => 20 + 5 * Math.sin(((hour % 24) / 24) * 2 * Math.PI);
    const startMs = Date.UTC(2026, 0, 1);
    for (let hour = 0; hour < 24 * 10; hour += 1) {
      const reading = celsius(hour) + (hour % 7) * 0.05;
      expect(baseline.update(reading, startMs + hour * HOUR_MS)).toBe(false);
      expect(monitor.update(reading, startMs + hour * HOUR_MS)).toBeUndefined();
    }
    expect([baseline.isWarm, monitor.isWarm]).toEqual([true, true]);
    const laterMs = startMs + 24 * 10 * HOUR_MS;
    expect(baseline.update(25, laterMs)).toBe(true);
    expect(Math.abs(baseline.expected - 20.15)).toBeLessThan(0.2);
    expect(baseline.z).toBeGreaterThan(10);
    expect(monitor.update(25, laterMs)).toBe("spike");
    expect(Math.abs(monitor.expected - 20.15)).toBeLessThan(0.2);
    expect([monitor.z > 10, monitor.deviation > 0, baseline.deviation > 0]).toEqual([true, true, true]);
    // No number is passed over, no time is refused.
    expect([baseline.update(Number.NaN, laterMs), monitor.update(Number.NaN, laterMs)]).toEqual([
      false,
      undefined,
    ]);
    for (const time of [Number.NaN, -1]) {
      expect(refusal(() => baseline.update(20, time))).toBe("ARGUMENT");
      expect(refusal(() => monitor.update(20, time))).toBe("ARGUMENT");
    }
    let shift: string | undefined;
    for (let hour = 24 * 12; hour < 24 * 14 && shift === undefined; hour += 1) {
      shift = monitor.update(celsius(hour) + 0.55, startMs + hour * HOUR_MS);
    }
    expect(shift).toBe("risen");
    for (const bad of [
      { slots: 0 },
      { slots: 1.5 },
      { alpha: 2 },
      { z: -1 },
      { warmupPeriods: 0 },
      { periodMs: Number.NaN },
      { deviationMin: -1 },
    ]) {
      expect(
        refusal(() => seasonalBaseline(bad)),
        JSON.stringify(bad),
      ).toBe("ARGUMENT");
      expect(
        refusal(() => anomalyMonitor(bad)),
        JSON.stringify(bad),
      ).toBe("ARGUMENT");
    }
    expect(refusal(() => anomalyMonitor({ holdMs: -1 }))).toBe("ARGUMENT");
  });
});
