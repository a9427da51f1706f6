import { describe, expect, test } from "vitest";
import { seededRandom } from "../../host/world/random.ts";
import { ERRORS } from "../../protocols/table.ts";
import { openTestCore } from "../support/core.ts";

const { raw } = openTestCore();
const ARGUMENT = -ERRORS.ARGUMENT.number;
const NO_FALLBACK = -ERRORS.NO_FALLBACK.number;
const SAMPLES_MIN = 16;

/** Latencies as they are: log-normal around 20 ms. */
function latencies(seed: number, count: number, scale = 1): number[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => {
    const normal = Math.sqrt(-2 * Math.log(1 - random.unit())) * Math.cos(2 * Math.PI * random.unit());
    return scale * 20 * Math.exp(0.5 * normal);
  });
}
const shareBelow = (values: readonly number[], ms: number): number =>
  values.filter((value) => value <= ms).length / values.length;

describe("a streaming quantile", () => {
  test.each([
    [500, 0.06],
    [900, 0.05],
    [950, 0.04],
    [990, 0.02],
  ])("%i thousandths: so many lie below the estimate, give or take %f", (qMilli, error) => {
    const values = latencies(7, 20_000);
    const handle = raw.latencyCreate(qMilli);
    const shares: number[] = [];
    values.forEach((value, index) => {
      raw.latencyRecord(handle, value);
      if (index > 1000 && index % 50 === 0) shares.push(shareBelow(values, raw.latencyMs(handle)));
    });
    const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
    expect(Math.abs(mean - qMilli / 1000)).toBeLessThan(error);
    raw.latencyFree(handle);
  });

  test("follows a shift of ten times within a few hundred calls, both ways", () => {
    const handle = raw.latencyCreate(950);
    for (const value of latencies(1, 2000)) raw.latencyRecord(handle, value);
    const before = raw.latencyMs(handle);
    for (const value of latencies(2, 300, 10)) raw.latencyRecord(handle, value);
    expect(raw.latencyMs(handle)).toBeGreaterThan(5 * before);
    for (const value of latencies(3, 3000)) raw.latencyRecord(handle, value);
    expect(raw.latencyMs(handle)).toBeLessThan(2 * before);
    raw.latencyFree(handle);
  });

  test("settles on a constant, from far above and below, and never leaves the samples' range", () => {
    const handle = raw.latencyCreate(500);
    raw.latencyRecord(handle, 4000);
    for (let index = 0; index < 400; index += 1) raw.latencyRecord(handle, 3);
    expect(raw.latencyMs(handle)).toBe(3);
    raw.latencyRecord(handle, 0);
    for (let index = 0; index < 5000; index += 1) raw.latencyRecord(handle, 0);
    expect(raw.latencyMs(handle)).toBe(0);
    for (let index = 0; index < 20_000; index += 1) raw.latencyRecord(handle, 5);
    expect(raw.latencyMs(handle)).toBeGreaterThan(4);
    raw.latencyFree(handle);
  });

  test("a timeout: the most it may be until there are samples, then a factor of the quantile within its bounds", () => {
    const handle = raw.latencyCreate(990);
    for (let index = 0; index < SAMPLES_MIN - 1; index += 1) raw.latencyRecord(handle, 20);
    expect([raw.latencyMs(handle), raw.latencyTimeoutMs(handle, 1500, 10, 1000)]).toEqual([0, 1000]);
    raw.latencyRecord(handle, 20);
    expect(raw.latencyMs(handle)).toBe(20);
    expect(raw.latencyTimeoutMs(handle, 1500, 10, 1000)).toBe(30);
    expect(raw.latencyTimeoutMs(handle, 1500, 50, 1000)).toBe(50);
    expect(raw.latencyTimeoutMs(handle, 100_000, 50, 1000)).toBe(1000);
    raw.latencyFree(handle);
  });

  test("misuse has a code", () => {
    for (const qMilli of [0, 1000]) expect(raw.latencyCreate(qMilli)).toBe(ARGUMENT);
    const handle = raw.latencyCreate(500);
    expect(raw.latencyRecord(handle, Number.NaN)).toBe(ARGUMENT);
    expect(raw.latencyRecord(handle, -1)).toBe(ARGUMENT);
    expect(raw.latencyRecord(handle, Number.POSITIVE_INFINITY)).toBe(0);
    expect(raw.latencyTimeoutMs(handle, 1, Number.NaN, 1)).toBe(ARGUMENT);
    expect(raw.latencyFree(handle)).toBe(0);
    expect([
      raw.latencyFree(handle),
      raw.latencyRecord(handle, 1),
      raw.latencyMs(handle),
      raw.latencyTimeoutMs(handle, 1, 1, 1),
    ]).toEqual(Array(4).fill(ARGUMENT));
  });
});

describe("a last good value", () => {
  test("may stand in until it is too old", () => {
    const handle = raw.lastGoodCreate(100);
    expect(raw.lastGoodCheck(handle, 0)).toBe(NO_FALLBACK);
    raw.lastGoodStore(handle, 1000);
    expect([raw.lastGoodCheck(handle, 1100), raw.lastGoodCheck(handle, 1100.001)]).toEqual([0, NO_FALLBACK]);
    expect(raw.lastGoodCheck(handle, 0)).toBe(0); // A clock that went back.
    raw.lastGoodFree(handle);
    const ageless = raw.lastGoodCreate(Number.POSITIVE_INFINITY);
    raw.lastGoodStore(ageless, 0);
    expect(raw.lastGoodCheck(ageless, 8e12)).toBe(0);
    raw.lastGoodFree(ageless);
    const fresh = raw.lastGoodCreate(0);
    raw.lastGoodStore(fresh, 5);
    expect([5, 4, 5.001].map((nowMs) => raw.lastGoodCheck(fresh, nowMs))).toEqual([0, 0, NO_FALLBACK]);
    raw.lastGoodFree(fresh);
  });

  test("misuse has a code", () => {
    expect(raw.lastGoodCreate(Number.NaN)).toBe(ARGUMENT);
    const handle = raw.lastGoodCreate(1);
    expect([raw.lastGoodStore(handle, -1), raw.lastGoodCheck(handle, Number.NaN)]).toEqual([
      ARGUMENT,
      ARGUMENT,
    ]);
    expect(raw.lastGoodFree(handle)).toBe(0);
    expect([raw.lastGoodFree(handle), raw.lastGoodStore(handle, 1), raw.lastGoodCheck(handle, 1)]).toEqual(
      Array(3).fill(ARGUMENT),
    );
  });
});
