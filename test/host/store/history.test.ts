import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  History,
  QUERY_LOOKUPS_MAX,
  RAW_READINGS_PER_MINUTE_MAX,
  type Reading,
} from "../../../host/store/history.ts";
import { memoryState } from "../../../host/store/memory-state.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 3_600_000;
const NOW_MS = Date.UTC(2026, 5, 1, 12);

const reading = (timeMs: number, value: number, metric = "t", device = "d"): Reading => ({
  device,
  metric,
  timeMs,
  value,
});
const ALL = { device: "d", metric: "t", fromMs: 0, toMs: NOW_MS * 2 };

async function stored(...batches: Reading[][]) {
  const store = memoryState();
  const history = new History();
  for (const batch of batches) await store.transaction((t) => void history.appendAll(t, batch));
  return { store, history };
}

/** What a roll-up must be, worked out from all readings at once. */
function expectedRollups(readings: readonly Reading[], bucketMs: number) {
  const buckets = new Map<number, Reading[]>();
  for (const one of readings) {
    const timeMs = Math.floor(one.timeMs / bucketMs) * bucketMs;
    buckets.set(timeMs, [...(buckets.get(timeMs) ?? []), one]);
  }
  return [...buckets]
    .sort(([a], [b]) => a - b)
    .map(([timeMs, list]) => {
      const values = list.map((one) => one.value);
      const newest = Math.max(...list.map((one) => one.timeMs));
      return {
        timeMs,
        count: list.length,
        min: Math.min(...values),
        max: Math.max(...values),
        sum: values.reduce((sum, value) => sum + value, 0),
        last: list.findLast((one) => one.timeMs === newest)?.value,
      };
    });
}

describe("appending", () => {
  test("gives back any readings, in the order of time, in any batches and order of arrival", async () => {
    const one = fc.record({
      timeMs: fc.integer({ min: 0, max: 3 * HOUR_MS }).map((ms) => NOW_MS + ms),
      value: fc.integer({ min: -99, max: 99 }),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.array(one, { maxLength: 12 }), { maxLength: 5 }), async (batches) => {
        const lists = batches.map((batch) => batch.map((each) => reading(each.timeMs, each.value)));
        const { store, history } = await stored(...lists);
        const flat = lists.flat();
        const inOrder = flat
          .toSorted((a, b) => a.timeMs - b.timeMs)
          .map(({ timeMs, value }) => ({ timeMs, value }));
        expect(history.raw(store, ALL).points).toEqual(inOrder);
        for (const [resolution, bucketMs] of [
          ["minute", MINUTE_MS],
          ["hour", HOUR_MS],
        ] as const) {
          expect(history.rollup(store, { ...ALL, resolution }).points).toEqual(
            expectedRollups(flat, bucketMs),
          );
        }
      }),
      { numRuns: 200 },
    );
  });

  test("keeps series apart, whatever their names are", async () => {
    const names = ["a", "a/b", "a%2Fb", "é", "a b", "\uD800", "0"];
    const { store, history } = await stored(names.map((metric, index) => reading(NOW_MS, index, metric)));
    await store.transaction((t) => void history.append(t, reading(NOW_MS, 99, "a", "d2")));
    for (const [index, metric] of names.entries()) {
      expect(history.raw(store, { ...ALL, metric }).points).toEqual([{ timeMs: NOW_MS, value: index }]);
    }
    expect(history.raw(store, { ...ALL, metric: "none" }).points).toEqual([]);
  });

  test("not a number and infinities stay raw and leave the roll-ups alone", async () => {
    const values = [Number.NaN, 4, Number.POSITIVE_INFINITY];
    const { store, history } = await stored(values.map((value, index) => reading(NOW_MS + index, value)));
    expect(history.raw(store, ALL).points.map((point) => point.value)).toEqual(values);
    expect(history.rollup(store, { ...ALL, resolution: "hour" }).points).toEqual([
      { timeMs: NOW_MS, count: 1, min: 4, max: 4, sum: 4, last: 4 },
    ]);
    const lone = await stored([reading(NOW_MS, Number.NaN)]);
    expect(lone.history.rollup(lone.store, { ...ALL, resolution: "minute" }).points).toEqual([]);
  });

  test("refuses times that are none, and counts them", async () => {
    const store = memoryState();
    const history = new History();
    await store.transaction((t) => {
      const times = [Number.NaN, -1, Number.POSITIVE_INFINITY, 1e300, NOW_MS + 0.7];
      expect(
        history.appendAll(
          t,
          times.map((timeMs) => reading(timeMs, 1)),
        ),
      ).toEqual({ stored: 1, refused: 4, rawFull: 0 });
    });
    expect(history.raw(store, ALL).points).toEqual([{ timeMs: NOW_MS, value: 1 }]);
  });

  test("a minute holds so many raw readings; further ones count in the roll-ups", async () => {
    const store = memoryState();
    const history = new History();
    const burst = Array.from({ length: RAW_READINGS_PER_MINUTE_MAX + 5 }, (_, index) =>
      reading(NOW_MS + index, index),
    );
    await store.transaction((t) => {
      expect(history.appendAll(t, burst)).toMatchObject({ rawFull: 5 });
      expect(history.append(t, reading(NOW_MS, 1))).toMatchObject({ rawFull: 1 });
    });
    expect(history.raw(store, ALL).points.length).toBe(RAW_READINGS_PER_MINUTE_MAX);
    expect(history.rollup(store, { ...ALL, resolution: "minute" }).points[0]?.count).toBe(
      RAW_READINGS_PER_MINUTE_MAX + 6,
    );
  });

  test("belongs to its transaction: a rollback takes it back", async () => {
    const { store, history } = await stored([reading(NOW_MS, 1)]);
    const failing = store.transaction((t) => {
      history.append(t, reading(NOW_MS + 1, 2));
      throw new Error("no");
    });
    await expect(failing).rejects.toThrow("no");
    expect(history.raw(store, ALL).points.length).toBe(1);
    expect(history.rollup(store, { ...ALL, resolution: "hour" }).points[0]?.count).toBe(1);
  });
});

describe("querying", () => {
  test("includes the start, excludes the end, and pages through without loss", async () => {
    const times = [0, 0, 0, 5, 59_999, 60_000, 60_001, 200_000, 7_200_000].map((ms) => NOW_MS + ms);
    const { store, history } = await stored(times.map((timeMs, index) => reading(timeMs, index)));
    const span = { ...ALL, fromMs: NOW_MS + 5, toMs: NOW_MS + 60_001 };
    expect(history.raw(store, span).points.map((point) => point.value)).toEqual([3, 4, 5]);
    for (const limit of [1, 2, 4, 100]) {
      const values: number[] = [];
      for (let fromMs: number | undefined = 0; fromMs !== undefined; ) {
        const page: ReturnType<History["raw"]> = history.raw(store, { ...ALL, fromMs, limit });
        values.push(...page.points.map((point) => point.value));
        fromMs = page.nextMs;
      }
      expect(values).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    }
    const minutes = history.rollup(store, { ...ALL, resolution: "minute", limit: 2 });
    expect([minutes.points.length, minutes.nextMs]).toEqual([2, NOW_MS + 180_000]);
    // A minute that began before the range is not in it.
    const later = history.rollup(store, { ...ALL, fromMs: NOW_MS + 1, resolution: "minute" });
    expect(later.points[0]?.timeMs).toBe(NOW_MS + 60_000);
  });

  test("one call serves all resolutions", async () => {
    const { store, history } = await stored([reading(NOW_MS + 1, 5), reading(NOW_MS + 2, 7)]);
    expect(history.query(store, { ...ALL, resolution: "raw" }).points).toEqual([
      { timeMs: NOW_MS + 1, count: 1, min: 5, max: 5, sum: 5, last: 5 },
      { timeMs: NOW_MS + 2, count: 1, min: 7, max: 7, sum: 7, last: 7 },
    ]);
    expect(history.query(store, { ...ALL, resolution: "hour" }).points).toEqual([
      { timeMs: NOW_MS, count: 2, min: 5, max: 7, sum: 12, last: 7 },
    ]);
    const empty = memoryState();
    expect(history.query(empty, { ...ALL, resolution: "raw" })).toEqual({ points: [], nextMs: undefined });
  });

  test("bounds its look-ups and says where to go on", async () => {
    const far = NOW_MS + (QUERY_LOOKUPS_MAX + 10) * MINUTE_MS;
    const { store, history } = await stored([reading(NOW_MS, 1), reading(far, 2)]);
    const first = history.raw(store, ALL);
    expect([first.points.length, first.nextMs]).toEqual([1, NOW_MS + QUERY_LOOKUPS_MAX * MINUTE_MS]);
    expect(
      history.raw(store, { ...ALL, fromMs: first.nextMs as number }).points.map((point) => point.value),
    ).toEqual([2]);
  });
});

describe("expiring", () => {
  test("takes each resolution at its own time, in bounded steps, and leaves what is younger", async () => {
    const store = memoryState();
    const history = new History({ retentionMs: { raw: HOUR_MS, minute: 2 * HOUR_MS, hour: 10 * HOUR_MS } });
    const readings = Array.from({ length: 240 }, (_, minute) => reading(NOW_MS + minute * MINUTE_MS, minute));
    await store.transaction((t) => void history.appendAll(t, readings));
    const nowMs = NOW_MS + 240 * MINUTE_MS;
    const steps: number[] = [];
    for (let deleted = 50; deleted === 50; ) {
      await store.transaction((t) => {
        deleted = history.expire(t, nowMs, 50);
      });
      steps.push(deleted);
    }
    expect(steps).toEqual([50, 50, 50, 50, 50, 50, 0]);
    expect(history.raw(store, ALL).points[0]?.timeMs).toBe(nowMs - HOUR_MS);
    expect(history.rollup(store, { ...ALL, resolution: "minute" }).points[0]?.timeMs).toBe(
      nowMs - 2 * HOUR_MS,
    );
    expect(history.rollup(store, { ...ALL, resolution: "hour" }).points.length).toBe(4);
    await store.transaction((t) => {
      expect(history.expire(t, 0)).toBe(0);
      expect(history.expire(t, nowMs + 100 * HOUR_MS)).toBeGreaterThan(100);
    });
    expect([...store.range({ from: "a", to: "z" })]).toEqual([]);
  });
});
