import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ERRORS } from "../../protocols/table.ts";
import { openTestCore } from "../support/core.ts";

const core = openTestCore();
const { raw } = core;
const [NONE, FULL, EQUAL, DECORRELATED] = [0, 1, 2, 3] as const;
const [EXPONENTIAL, CONSTANT, LINEAR, FIBONACCI] = [0, 1, 2, 3] as const;
const MAX = 0xffff_ffff;
const ARGUMENT = -ERRORS.ARGUMENT.number;
const of = (
  kind: number,
  base: number,
  cap: number,
  failures: number,
  jitter: number,
  random: number,
): number => raw.backoffUs(kind, base, cap, failures, jitter, random, base) >>> 0;
const backoff = (base: number, cap: number, failures: number, jitter: number, random: number): number =>
  of(EXPONENTIAL, base, cap, failures, jitter, random);

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
});

describe("other backoffs", () => {
  test("constant, linear and Fibonacci waits, up to the cap", () => {
    const waits = (kind: number) =>
      [0, 1, 2, 3, 4, 5, 6, 7].map((failures) => of(kind, 100, 900, failures, NONE, 0));
    expect(waits(CONSTANT)).toEqual([100, 100, 100, 100, 100, 100, 100, 100]);
    expect(waits(LINEAR)).toEqual([100, 100, 200, 300, 400, 500, 600, 700]);
    expect(waits(FIBONACCI)).toEqual([100, 100, 100, 200, 300, 500, 800, 900]);
    for (const kind of [LINEAR, FIBONACCI, EXPONENTIAL]) expect(of(kind, 1, MAX, MAX, NONE, 0)).toBe(MAX);
    expect(of(FIBONACCI, MAX, MAX, 3, NONE, 0)).toBe(MAX);
  });

  test("decorrelated jitter lies between the base and three times the wait before, within the cap", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: MAX }),
        fc.nat(MAX),
        fc.nat(MAX),
        fc.nat(MAX),
        (base, spare, last, random) => {
          const cap = Math.min(MAX, base + spare);
          const wait = raw.backoffUs(EXPONENTIAL, base, cap, 1, DECORRELATED, random, last) >>> 0;
          const most = Math.max(base, 3 * last);
          const exact = BigInt(base) + ((BigInt(most - base) * BigInt(random)) >> 32n);
          expect(wait).toBe(Number(exact < BigInt(cap) ? exact : BigInt(cap)));
        },
      ),
    );
  });

  test("fewer attempts are worth making the fewer succeed", () => {
    const attempts = (calls: number, failures: number, max = 5) =>
      raw.adaptiveAttempts(max, calls, failures, 10);
    expect([attempts(9, 9), attempts(10, 0), attempts(10, 10), attempts(10, 5), attempts(10, 9)]).toEqual([
      5, 5, 1, 3, 2,
    ]);
    expect([attempts(10, 11), attempts(0, 0), attempts(100, 100, 1), attempts(1e9, 1, 0xffff)]).toEqual([
      1, 5, 1, 0xffff,
    ]);
    expect(raw.adaptiveAttempts(5, 0, 0, 0)).toBe(5);
  });

  test("as a struct: says when attempts are used up, and refuses nonsense", () => {
    const at = core.allocate(24);
    expect(raw.retryInit(at, EXPONENTIAL, 0, 10, 3, FULL)).toBe(ARGUMENT);
    expect(raw.retryInit(at, EXPONENTIAL, 10, 9, 3, FULL)).toBe(ARGUMENT);
    expect(raw.retryInit(at, EXPONENTIAL, 10, 10, 3, 4)).toBe(ARGUMENT);
    expect(raw.retryInit(at, 4, 10, 10, 3, FULL)).toBe(ARGUMENT);
    expect(raw.retryInit(at, EXPONENTIAL, 10, 1000, 3, NONE)).toBe(0);
    expect([1, 2].map((failures) => raw.retryNext(at, failures, 0))).toEqual([10n, 20n]);
    expect(raw.retryNext(at, 3, 0)).toBe(BigInt(-ERRORS.RETRIES_EXHAUSTED.number));
    expect(raw.retryInit(at, EXPONENTIAL, MAX, MAX, 0, NONE)).toBe(0);
    expect(raw.retryNext(at, 1e6, 0)).toBe(BigInt(MAX));
  });

  test("as a struct: decorrelated waits follow each other, and begin at the base again", () => {
    const at = core.allocate(24);
    expect(raw.retryInit(at, EXPONENTIAL, 100, 10_000, 0, DECORRELATED)).toBe(0);
    const waits = [1, 2, 3, 4, 5, 6].map((failures) => Number(raw.retryNext(at, failures, MAX)));
    expect(waits).toEqual([299, 896, 2687, 8060, 10_000, 10_000]);
    expect(raw.retryNext(at, 1, MAX)).toBe(299n);
  });
});

describe("a retry budget", () => {
  const BUDGET = -ERRORS.RETRY_BUDGET.number;

  test("allows a share of the calls and a few a second, over its span", () => {
    const budget = raw.budgetCreate(200, 1, 10_000, 0);
    for (let call = 0; call < 100; call += 1) raw.budgetCall(budget, 0);
    expect(raw.budgetLeft(budget, 0)).toBe(30); // 20 of the calls, 10 of the seconds.
    for (let retry = 0; retry < 30; retry += 1) expect(raw.budgetRetry(budget, 5_000)).toBe(0);
    expect(raw.budgetRetry(budget, 5_000)).toBe(BUDGET);
    // The calls leave the span before the retries do.
    expect(raw.budgetLeft(budget, 10_000)).toBe(0);
    expect(raw.budgetLeft(budget, 15_000)).toBe(10);
    raw.budgetFree(budget);
  });

  test("holds retries to their bound whatever the load (Finagle's 20 % and 10 a second)", () => {
    fc.assert(
      fc.property(
        fc.array(fc.record({ waitMs: fc.nat(300), calls: fc.nat(40), retries: fc.nat(40) }), {
          maxLength: 200,
        }),
        (steps) => {
          const spanMs = 10_000;
          const budget = raw.budgetCreate(200, 10, spanMs, 0);
          let nowMs = 0;
          const calls: number[] = [];
          const retries: number[] = [];
          for (const step of steps) {
            nowMs += step.waitMs;
            for (let call = 0; call < step.calls; call += 1) {
              raw.budgetCall(budget, nowMs);
              calls.push(nowMs);
            }
            for (let retry = 0; retry < step.retries; retry += 1) {
              if (raw.budgetRetry(budget, nowMs) === 0) retries.push(nowMs);
            }
            const within = (times: number[], ms: number) => times.filter((time) => time > nowMs - ms).length;
            // The span is looked at in ten slots: nine at least.
            expect(within(retries, spanMs * 0.9)).toBeLessThanOrEqual(0.2 * within(calls, spanMs) + 100);
          }
          raw.budgetFree(budget);
        },
      ),
      { numRuns: 100 },
    );
  });

  test("misuse has a code", () => {
    expect(raw.budgetCreate(10_001, 1, 1000, 0)).toBe(ARGUMENT);
    expect(raw.budgetCreate(1, 1_000_001, 1000, 0)).toBe(ARGUMENT);
    expect(raw.budgetCreate(1, 1, Number.NaN, 0)).toBe(ARGUMENT);
    expect(raw.budgetCreate(1, 1, 0, 0)).toBe(ARGUMENT);
    expect(raw.budgetCreate(1, 1, 1000, -1)).toBe(ARGUMENT);
    const budget = raw.budgetCreate(0, 0, 1000, 0);
    expect(raw.budgetRetry(budget, 0)).toBe(BUDGET);
    expect([raw.budgetCall(budget, Number.NaN), raw.budgetRetry(budget, -1)]).toEqual([ARGUMENT, ARGUMENT]);
    expect(raw.budgetFree(budget)).toBe(0);
    expect([raw.budgetFree(budget), raw.budgetCall(budget, 0), raw.budgetRetry(budget, 0)]).toEqual(
      Array(3).fill(ARGUMENT),
    );
    expect(raw.budgetLeft(budget, 0)).toBe(0);
  });
});
