/** Backoffs, attempts and streaming quantiles beside whole numbers of any size. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { ERRORS } from "../../protocols/table.ts";
import { openInside } from "../support/inside.ts";

const { call, call64, constant, dirty, view } = await openInside(["resilience/latency", "resilience/retry"]);
const ARGUMENT = -ERRORS.ARGUMENT.number;
const u32 = fc.oneof(
  fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  fc.nat(100),
  fc.constantFrom(2 ** 31, 2 ** 32 - 1),
);

test("every backoff with every jitter", () => {
  const fibonacci = (steps: number) => {
    let [a, b] = [0n, 1n];
    for (let step = 1; step < Math.min(steps, 60); step += 1) [a, b] = [b, a + b];
    return b;
  };
  fc.assert(
    fc.property(
      fc.nat(3),
      fc.nat(3),
      u32.filter((it) => it > 0),
      u32,
      fc.oneof(fc.nat(50), u32),
      u32,
      u32,
      (backoff, jitter, base, more, failures, random, last) => {
        const cap = Math.min(base + more, 2 ** 32 - 1);
        const least = (value: bigint) => (value < BigInt(cap) ? value : BigInt(cap));
        const part = (span: bigint) => (span * BigInt(random)) >> 32n;
        const steps = Math.max(1, failures);
        const grown = [
          least(BigInt(base) << BigInt(Math.min(steps, 40) - 1)),
          BigInt(base),
          least(BigInt(base) * BigInt(steps)),
          least(BigInt(base) * fibonacci(steps)),
        ][backoff] as bigint;
        const span = BigInt(Math.max(3 * last, base) - base);
        const wait = [
          grown,
          part(grown),
          (grown >> 1n) + part(grown - (grown >> 1n)),
          least(BigInt(base) + part(span)),
        ][jitter];
        expect(call64("backoffUs", backoff, base, cap, failures, jitter, random, last) & 0xffff_ffffn).toBe(
          wait,
        );
      },
    ),
    { numRuns: 5000 },
  );
});

test("doubles as long as 32 bits hold it", () => {
  const wait = (failures: number) => call("backoffUs", 0, 1, 2 ** 32 - 1, failures, 0, 0, 0) >>> 0;
  expect([0, 1, 2, 31, 32, 33, 34].map(wait)).toEqual([1, 1, 2, 2 ** 30, 2 ** 31, 2 ** 32 - 1, 2 ** 32 - 1]);
});

test("attempts that are worth making", () => {
  fc.assert(
    fc.property(fc.nat(12), u32, u32, fc.nat(5), (attempts, calls, failures, least) => {
      const isKnown = calls > 0 && calls >= least && attempts > 1;
      const succeeded = BigInt(calls - Math.min(failures, calls));
      const retries = isKnown
        ? (BigInt(attempts - 1) * succeeded + BigInt(calls) - 1n) / BigInt(calls)
        : BigInt(attempts - 1);
      expect(call("adaptiveAttempts", attempts, calls, failures, least)).toBe(1 + Number(retries));
    }),
    { numRuns: 2000 },
  );
});

test("a retry's attempts and its last wait", () => {
  const at = dirty(constant("RETRY_BYTES"));
  const init = (backoff: number, base: number, cap: number, attempts: number, jitter: number) =>
    call("retryInit", at, backoff, base, cap, attempts, jitter);
  expect([init(3, 1, 1, 0, 3), init(4, 1, 1, 0, 0), init(0, 1, 1, 0, 4)]).toEqual([0, ARGUMENT, ARGUMENT]);
  expect([init(0, 0, 1, 0, 0), init(0, 2, 1, 0, 0)]).toEqual([ARGUMENT, ARGUMENT]);
  init(0, 100, 10_000, 3, 3);
  const next = (failures: number) => call("retryNext", at, failures, 0xffff_ffff);
  expect([next(1), next(2), next(3)]).toEqual([299, 896, -ERRORS.RETRIES_EXHAUSTED.number]);
  expect([next(0), next(2)]).toEqual([299, 896]);
  expect([next(1), next(2)]).toEqual([299, 896]);
});

test("a streaming quantile's estimate, sample by sample", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.integer({ min: 1, max: 999 }), fc.constantFrom(1, 999)),
      fc.array(fc.oneof(fc.nat(4), fc.nat(3000), u32), { maxLength: 60, size: "max" }),
      (milli, samples) => {
        const at = dirty(constant("LATENCY_BYTES"));
        expect(call("latencyInit", at, milli)).toBe(0);
        const q = BigInt(Math.min(Math.max(Math.round((milli * 1024) / 1000), 1), 1023));
        let estimate = 0n;
        for (const [index, tookUs] of samples.entries()) {
          const sample = BigInt(tookUs) << 8n;
          const bits = 10n + (index < 16 ? 2n : 5n);
          const step = (share: bigint) => {
            const by = (estimate * share) >> bits;
            return by > 1n ? by : 1n;
          };
          if (index === 0) estimate = sample;
          else if (sample > estimate) {
            const risen = estimate + step(q);
            estimate = risen < sample ? risen : sample;
          } else if (sample < estimate) {
            const fallen = estimate - step(1024n - q);
            estimate = fallen > sample ? fallen : sample;
          }
          call("latencyRecord", at, tookUs);
          expect(view().getBigUint64(at, true)).toBe(estimate);
          const told = index < 15 ? 0 : Number(estimate >> 8n);
          expect(call("latencyUs", at) >>> 0).toBe(told);
          const timeout = Math.min(Math.max(Math.floor(told * 2.5), 100), 100_000);
          expect(call("latencyTimeoutUs", at, 2500, 100, 100_000)).toBe(told === 0 ? 100_000 : timeout);
        }
      },
    ),
    { numRuns: 500 },
  );
  const at = dirty(constant("LATENCY_BYTES"));
  expect([0, 1, 999, 1000].map((milli) => call("latencyInit", at, milli))).toEqual([
    ARGUMENT,
    0,
    0,
    ARGUMENT,
  ]);
});
