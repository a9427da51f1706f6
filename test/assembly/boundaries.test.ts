/** The last number that is taken and the first that is not, pools to their end, and machines begun in memory that somebody used before. */
import { describe, expect, test } from "vitest";
import { ERRORS } from "../../protocols/table.ts";
import { openTestCore } from "../support/core.ts";

const core = openTestCore();
const { raw } = core;
const [ARGUMENT, FULL, LIMITED, DRIFT] = (
  ["ARGUMENT", "POOL_FULL", "RATE_LIMITED", "CLOCK_DRIFT"] as const
).map((code) => -ERRORS[code].number);
/** Memory in which every bit is set. */
const dirty = (bytes: number): number => {
  const at = core.allocate(bytes);
  core.bytes().fill(0xff, at, at + bytes);
  return at;
};
const word = (at: number): number => new DataView(core.bytes().buffer).getUint32(at, true);

describe("limits that are still allowed", () => {
  test("retry budget, adaptive limit, Lamport's jump", () => {
    expect(raw.budgetCreate(10_000, 1_000_000, 1000, 0)).toBeGreaterThan(0);
    for (const decrease of [500, 999])
      expect(raw.concurrencyCreate(0, 1, 1, 100_000, 1, decrease, 0, 0, 1000, 0)).toBeGreaterThan(0);
    expect(raw.concurrencyCreate(2, 1, 1, 1, 1, 900, 0, 0, 10_000, 0)).toBeGreaterThan(0);
    const lamport = dirty(16);
    raw.lamportInit(lamport, 5n);
    expect(raw.lamportReceive(lamport, 5n + (1n << 40n))).toBe(0);
    raw.lamportInit(lamport, 5n);
    expect(raw.lamportReceive(lamport, 6n + (1n << 40n))).toBe(DRIFT);
  });

  test("a place in a queue is rounded up, never early", () => {
    // Three a 10 us: the second waits 3 1/3.
    const gcra = raw.limiterCreate(1, 3, 10, 3, 0, 0);
    expect([raw.limiterReserve(gcra, 1, 0), raw.limiterReserve(gcra, 1, 0)]).toEqual([0, 0.004]);
  });
});

test("a limiter counts tokens granted and requests refused, reserved ones too", () => {
  const handle = raw.limiterCreate(1, 10, 1_000_000, 3, 0, 0);
  const counts = () => [word(raw.limiterAt(handle) + 4), word(raw.limiterAt(handle) + 8)];
  expect(raw.limiterTake(handle, 2, 0)).toBe(0);
  expect(raw.limiterReserve(handle, 1, 0)).toBe(200);
  expect(counts()).toEqual([3, 0]);
  for (let call = 0; call < 3; call += 1) expect(raw.limiterTake(handle, 1, 0)).toBe(LIMITED);
  expect(raw.limiterReserve(handle, 1, 0)).toBe(LIMITED);
  expect(raw.limiterTake(handle, 9, 0)).toBe(ARGUMENT);
  expect(counts()).toEqual([3, 4]);
  raw.limiterFree(handle);
});

test("a throttle that was idle for its window lets the next call through", () => {
  const throttle = raw.throttleCreate(2000, 1000, 0);
  for (let call = 0; call < 100; call += 1) raw.throttleRejected(throttle, 0);
  expect(raw.throttleAdmit(throttle, 0, 999)).toBe(-ERRORS.THROTTLED.number);
  expect(raw.throttleAdmit(throttle, 0, 5000)).toBe(0);
});

test("a pool that is full says so, and goes on when something was given back", () => {
  const handles: number[] = [];
  for (let handle = raw.latencyCreate(500); handle > 0; handle = raw.latencyCreate(500)) handles.push(handle);
  expect(handles.length).toBe(0xf_fffe);
  expect(raw.latencyCreate(500)).toBe(FULL);
  expect(raw.latencyFree(handles[7] ?? 0)).toBe(0);
  const again = raw.latencyCreate(500);
  expect(again).toBeGreaterThan(0);
  expect(again).not.toBe(handles[7]);
  expect(raw.latencyCreate(500)).toBe(FULL);
});

describe("in memory that was used before", () => {
  test("an anomaly monitor tells its first alarm", () => {
    const [used, clean] = [dirty(1024), core.allocate(1024)];
    const tell = (at: number): number[] => {
      expect(raw.anomalyInit(at, 24_000, 4, 0.125, 5, 0.1, 1, 1000)).toBe(0);
      return Array.from({ length: 400 }, (_, step) =>
        raw.anomalyUpdate(at, 500 * step, (step % 7) / 10 + (step === 390 ? 1000 : 0)),
      );
    };
    core.bytes().fill(0, clean, clean + 1024);
    const told = tell(used);
    expect(told).toEqual(tell(clean));
    expect(told.some((alarm) => alarm > 0)).toBe(true);
  });

  test("a ladder begins at its lowest rung, a CUSUM with no sums, dots with none", () => {
    const [ladder, sums, dots] = [dirty(32), dirty(64), dirty(64)];
    raw.recoveryReset(ladder);
    expect([...core.bytes().subarray(ladder, ladder + 24)]).toEqual(Array(24).fill(0));
    expect(raw.cusumInit(sums, 10, 1, 5)).toBe(0);
    expect([raw.cusumUpdate(sums, 10), raw.cusumUpdate(sums, 5), raw.cusumUpdate(sums, 15)]).toEqual([
      0, 0, 0,
    ]);
    expect(raw.dotsInit(dots, 2)).toBe(0);
    expect(raw.dotsCount(dots)).toBe(0);
  });

  test("a sliding log of one holds one", () => {
    const log = raw.limiterCreate(4, 1, 1_000_000, 1, dirty(8), 0);
    const after = dirty(8);
    expect([raw.limiterTake(log, 1, 0), raw.limiterTake(log, 1, 999), raw.limiterTake(log, 1, 1000)]).toEqual(
      [0, LIMITED, 0],
    );
    expect([...core.bytes().subarray(after, after + 8)]).toEqual(Array(8).fill(0xff));
  });
});
