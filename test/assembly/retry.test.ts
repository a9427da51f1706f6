import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ERRORS } from "../../protocols/table.ts";
import { openTestCore } from "../support/core.ts";

const core = openTestCore();
const { raw } = core;
const [NONE, FULL, EQUAL] = [0, 1, 2] as const;
const MAX = 0xffff_ffff;
const backoff = (...args: Parameters<typeof raw.backoffUs>): number => raw.backoffUs(...args) >>> 0;

describe("exponential backoff", () => {
  test("doubles up to its cap, and never overflows", () => {
    const waits = [0, 1, 2, 3, 4, 5].map((failures) => backoff(100, 1000, failures, NONE, 0));
    expect(waits).toEqual([100, 100, 200, 400, 800, 1000]);
    for (const failures of [31, 32, 33, 34, 63, 64, 65, 1e9])
      expect(backoff(1, MAX, failures + 1, NONE, 0)).toBeGreaterThan(2 ** 30);
    expect(backoff(MAX, MAX, 32, NONE, 0)).toBe(MAX);
  });

  test("full jitter spreads over all of the wait, equal jitter over its upper half", () => {
    expect([backoff(1000, 1000, 1, FULL, 0), backoff(1000, 1000, 1, FULL, MAX)]).toEqual([0, 999]);
    expect([backoff(1000, 1000, 1, EQUAL, 0), backoff(1000, 1000, 1, EQUAL, MAX)]).toEqual([500, 999]);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: MAX }), fc.nat(80), fc.nat(MAX), (base, failures, random) => {
        const wait = backoff(base, MAX, failures, NONE, random);
        const [full, equal] = [
          backoff(base, MAX, failures, FULL, random),
          backoff(base, MAX, failures, EQUAL, random),
        ];
        expect(full).toBe(Number((BigInt(wait) * BigInt(random)) >> 32n));
        expect(equal).toBeGreaterThanOrEqual(Math.floor(wait / 2));
        expect(equal).toBeLessThanOrEqual(wait);
      }),
    );
  });

  test("as a struct: says when attempts are used up, and refuses nonsense", () => {
    const at = core.allocate(16);
    const argument = -ERRORS.ARGUMENT.number;
    expect(raw.retryInit(at, 0, 10, 3, FULL)).toBe(argument);
    expect(raw.retryInit(at, 10, 9, 3, FULL)).toBe(argument);
    expect(raw.retryInit(at, 10, 10, 3, 3)).toBe(argument);
    expect(raw.retryInit(at, 10, 1000, 3, NONE)).toBe(0);
    expect([1, 2].map((failures) => raw.retryNext(at, failures, 0))).toEqual([10n, 20n]);
    expect(raw.retryNext(at, 3, 0)).toBe(BigInt(-ERRORS.RETRIES_EXHAUSTED.number));
    expect(raw.retryInit(at, MAX, MAX, 0, NONE)).toBe(0);
    expect(raw.retryNext(at, 1e6, 0)).toBe(BigInt(MAX));
  });
});
