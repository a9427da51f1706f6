import { describe, expect, test } from "vitest";
import { seededRandom } from "../../host/world/random.ts";
import { ERRORS } from "../../protocols/table.ts";
import { openTestCore } from "../support/core.ts";

const { raw } = openTestCore();
const ARGUMENT = -ERRORS.ARGUMENT.number;
const [AIMD, VEGAS, GRADIENT] = [0, 1, 2] as const;

interface Options {
  readonly kind: 0 | 1 | 2;
  readonly limit?: number;
  readonly min?: number;
  readonly max?: number;
  readonly windowMs?: number;
  readonly slowMs?: number;
  readonly measureEveryMs?: number;
}
const create = ({
  kind,
  limit = 20,
  min = 1,
  max = 1000,
  windowMs = 100,
  slowMs = 0,
  measureEveryMs = 0,
}: Options) => raw.concurrencyCreate(kind, limit, min, max, windowMs, 900, slowMs, measureEveryMs, 1500, 0);

/**
 * A server of `workers` that each take `workMs` a call, and callers who always keep the limit full: what does not find a worker waits. A call that
 * would take longer than `timeoutMs` is dropped then.
 */
function simulate(
  handle: number,
  options: {
    readonly workers: number;
    readonly workMs: (nowMs: number) => number;
    readonly untilMs: number;
    /** Callers that know no limit, and crowd the server besides. */
    readonly others?: (nowMs: number) => number;
    readonly timeoutMs?: number;
    readonly demand?: number;
    readonly fromMs?: number;
  },
): { readonly limits: number[]; readonly baselines: number[]; readonly nowMs: number } {
  const random = seededRandom(5);
  const limits: number[] = [];
  const baselines: number[] = [];
  const running: { startedMs: number; endsMs: number; dropped: boolean; beside: number }[] = [];
  const free = Array.from({ length: options.workers }, () => 0);
  let nowMs = options.fromMs ?? 0;
  const start = (): void => {
    const crowd = (options.others?.(nowMs) ?? 0) / options.workers;
    const worker = free.indexOf(Math.min(...free));
    const beginsMs = Math.max(free[worker] ?? 0, nowMs);
    const workMs = options.workMs(nowMs) * (0.9 + 0.2 * random.unit());
    const endsMs = beginsMs + workMs + crowd * workMs;
    free[worker] = endsMs;
    const dropped = options.timeoutMs !== undefined && endsMs - nowMs > options.timeoutMs;
    running.push({
      startedMs: nowMs,
      endsMs: dropped ? nowMs + (options.timeoutMs ?? 0) : endsMs,
      dropped,
      beside: running.length + 1,
    });
  };
  while (nowMs < options.untilMs) {
    while (running.length < Math.min(raw.concurrencyLimit(handle), options.demand ?? 1e9)) start();
    running.sort((a, b) => a.endsMs - b.endsMs);
    const ended = running.shift();
    if (ended === undefined) break;
    nowMs = Math.max(nowMs, ended.endsMs);
    raw.concurrencySample(handle, ended.startedMs, running.length + 1, ended.dropped ? 1 : 0, nowMs);
    limits.push(raw.concurrencyLimit(handle));
    baselines.push(raw.concurrencyBaselineMs(handle));
  }
  return { limits, baselines, nowMs };
}
const last = (values: readonly number[], count = 200): number[] => values.slice(-count);
const mean = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value, 0) / values.length;

describe("adaptive concurrency", () => {
  test.each([
    ["AIMD", { kind: AIMD, slowMs: 40 }, 10, 45],
    ["Vegas", { kind: VEGAS }, 15, 45],
    ["gradient", { kind: GRADIENT }, 15, 45],
  ] as const)(
    "%s settles near what a server of 20 workers takes, from below and from above",
    (_, options, low, high) => {
      for (const limit of [2, 300]) {
        const handle = create({ ...options, limit, measureEveryMs: 5000 });
        const { limits } = simulate(handle, { workers: 20, workMs: () => 20, untilMs: 60_000 });
        const settled = mean(last(limits, 5000));
        expect(settled).toBeGreaterThan(low);
        expect(settled).toBeLessThan(high);
        raw.concurrencyFree(handle);
      }
    },
  );

  test.each([AIMD, VEGAS, GRADIENT] as const)(
    "kind %i: drops lower the limit, and it stays within its bounds",
    (kind) => {
      const handle = create({ kind, limit: 100, min: 5, max: 200 });
      let nowMs = 0;
      for (let call = 0; call < 5000; call += 1) {
        nowMs += 1;
        raw.concurrencySample(handle, Math.max(0, nowMs - 20), 100, 1, nowMs);
      }
      expect(raw.concurrencyLimit(handle)).toBe(5);
      for (let call = 0; call < 200_000; call += 1) {
        nowMs += 1;
        raw.concurrencySample(handle, nowMs - 20, 1000, 0, nowMs);
      }
      expect(raw.concurrencyLimit(handle)).toBe(200);
      raw.concurrencyFree(handle);
    },
  );

  test("a limit that nobody comes near is not raised", () => {
    for (const kind of [AIMD, VEGAS, GRADIENT] as const) {
      const handle = create({ kind, limit: 50 });
      simulate(handle, { workers: 100, workMs: () => 20, untilMs: 20_000, demand: 10 });
      expect(raw.concurrencyLimit(handle)).toBeLessThanOrEqual(50);
      raw.concurrencyFree(handle);
    }
  });
});

describe("known runaways", () => {
  test("concurrency-limits #134: under a steady modest overload (gradient 0.8) the limit falls, it does not creep up", () => {
    const handle = create({ kind: GRADIENT, limit: 50 });
    let nowMs = 0;
    for (let call = 0; call < 200; call += 1) {
      raw.concurrencySample(handle, nowMs, 50, 0, nowMs + 20);
      nowMs += 20;
    }
    const before = raw.concurrencyLimit(handle);
    // Calls take 1.875 times the baseline: with a tolerance of 1.5 the gradient is 0.8.
    const limits: number[] = [];
    for (let call = 0; call < 20_000; call += 1) {
      raw.concurrencySample(handle, nowMs, raw.concurrencyLimit(handle), 0, nowMs + 37.5);
      nowMs += 37.5;
      limits.push(raw.concurrencyLimit(handle));
    }
    expect(Math.max(...limits)).toBeLessThanOrEqual(before);
    expect(limits).toEqual(limits.toSorted((a, b) => b - a));
    expect(limits.at(-1)).toBe(1);
    raw.concurrencyFree(handle);
  });

  test("concurrency-limits #137: calls that all time out after the same time do not look healthy", () => {
    for (const kind of [VEGAS, GRADIENT] as const) {
      const handle = create({ kind, limit: 50, min: 2, measureEveryMs: 3000 });
      const well = simulate(handle, { workers: 40, workMs: () => 20, untilMs: 10_000, timeoutMs: 5000 });
      const baseline = last(well.baselines, 1)[0] ?? 0;
      // Others burst the server: every call of ours ends at its timeout, never earlier or later.
      const burst = simulate(handle, {
        workers: 40,
        workMs: () => 20,
        others: () => 1e9,
        untilMs: 600_000,
        timeoutMs: 5000,
        fromMs: well.nowMs,
      });
      expect(burst.limits.at(-1)).toBe(2);
      // And what times out is no measure of what a call takes.
      expect(burst.baselines.at(-1)).toBeLessThanOrEqual(baseline * 1.2);
      raw.concurrencyFree(handle);
    }
  });

  test("Envoy #11579: under a sustained load the baseline does not climb with each measurement", () => {
    for (const kind of [VEGAS, GRADIENT] as const) {
      const handle = create({ kind, limit: 20, min: 3, max: 400, measureEveryMs: 2000 });
      const { baselines, limits } = simulate(handle, { workers: 20, workMs: () => 20, untilMs: 120_000 });
      expect(Math.max(...baselines.slice(100))).toBeLessThan(24);
      expect(Math.max(...last(limits, 5000))).toBeLessThan(80);
      raw.concurrencyFree(handle);
    }
  });

  test("a server that became slower for good is measured anew, and the limit comes back", () => {
    const handle = create({ kind: GRADIENT, limit: 20, min: 3, measureEveryMs: 5000 });
    const fast = simulate(handle, { workers: 20, workMs: () => 20, untilMs: 30_000 });
    const slow = simulate(handle, { workers: 20, workMs: () => 60, untilMs: 120_000, fromMs: fast.nowMs });
    expect(slow.baselines.at(-1)).toBeGreaterThan(50);
    expect(mean(last(slow.limits, 2000))).toBeGreaterThan(12);
    raw.concurrencyFree(handle);
  });

  test("a measurement that gets no answers ends, and the baseline of before stands", () => {
    const handle = create({ kind: GRADIENT, limit: 20, min: 3, measureEveryMs: 1000 });
    const well = simulate(handle, { workers: 20, workMs: () => 20, untilMs: 900 });
    let nowMs = well.nowMs;
    const limits = new Set<number>();
    for (let call = 0; call < 3000; call += 1) {
      raw.concurrencySample(handle, nowMs, 20, 1, nowMs + 10);
      nowMs += 10;
      limits.add(raw.concurrencyLimit(handle));
    }
    expect(raw.concurrencyBaselineMs(handle)).toBeLessThan(22);
    const after = simulate(handle, { workers: 20, workMs: () => 20, untilMs: nowMs + 20_000, fromMs: nowMs });
    expect(Math.max(...last(after.limits, 1000))).toBeGreaterThan(10);
    raw.concurrencyFree(handle);
  });
});

test("misuse has a code", () => {
  const of = (...changed: (readonly [number, number])[]): number => {
    const options = [GRADIENT, 20, 1, 100, 100, 900, 0, 0, 1500, 0];
    for (const [index, value] of changed) options[index] = value;
    return raw.concurrencyCreate(...(options as Parameters<typeof raw.concurrencyCreate>));
  };
  for (const [index, value] of [
    [0, 3],
    [1, 0],
    [2, 0],
    [2, 21],
    [3, 19],
    [3, 100_001],
    [4, 0],
    [4, Number.NaN],
    [5, 499],
    [5, 1000],
    [6, -1],
    [7, Number.NaN],
    [8, 999],
    [8, 10_001],
    [9, -1],
  ] as const)
    expect(of([index, value])).toBe(ARGUMENT);
  const handle = of();
  expect(raw.concurrencySample(handle, Number.NaN, 1, 0, 1)).toBe(ARGUMENT);
  expect(raw.concurrencySample(handle, 1, 1, 0, -1)).toBe(ARGUMENT);
  expect(raw.concurrencySample(handle, 5, 1, 0, 1)).toBe(20); // Ended before it began: no time.
  expect(raw.concurrencyFree(handle)).toBe(0);
  expect([
    raw.concurrencyFree(handle),
    raw.concurrencySample(handle, 0, 1, 0, 0),
    raw.concurrencyLimit(handle),
    raw.concurrencyBaselineMs(handle),
  ]).toEqual(Array(4).fill(ARGUMENT));
});
