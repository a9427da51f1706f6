import fc from "fast-check";
import { expect, test } from "vitest";
import { DoubleBucket, isExact } from "../../../../host/core/policy/double-bucket.ts";
import { core } from "../../../support/policy-rig.ts";

const { raw } = core;
const U32_MAX = 0xffff_ffff;
const TOKEN_BUCKET = 0;

test("wherever it is exact it decides as the core does, whatever limit, burst, times and tokens", () => {
  const count = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: U32_MAX }));
  const step = fc.record({
    tokens: fc.oneof(fc.nat(3), fc.nat(U32_MAX)),
    deltaMs: fc.oneof(
      fc.double({ min: 0, max: 2, noNaN: true }),
      fc.double({ min: 0, max: 1e6, noNaN: true }),
      fc.double({ min: -1000, max: 9e12, noNaN: true }),
    ),
  });
  let exact = 0;
  fc.assert(
    fc.property(count, count, count, fc.array(step, { maxLength: 40 }), (limit, periodUs, burst, steps) => {
      const options = { limit, periodUs, burst };
      fc.pre(isExact(options));
      exact += 1;
      let nowMs = 5;
      const handle = raw.limiterCreate(TOKEN_BUCKET, limit, periodUs, burst, 0, nowMs);
      const bucket = new DoubleBucket({ monotonicMs: () => nowMs }, options);
      for (const { tokens, deltaMs } of steps) {
        nowMs = Math.min(8.9e12, Math.max(0, nowMs + deltaMs));
        expect(bucket.take(tokens)).toBe(raw.limiterTake(handle, tokens, nowMs));
        expect(bucket.remaining(nowMs)).toBe(raw.limiterRemaining(handle, nowMs) >>> 0);
        expect(bucket.waitMs(tokens, nowMs)).toBe(raw.limiterWaitMs(handle, tokens, nowMs));
        expect(bucket.resetMs(nowMs)).toBe(raw.limiterResetMs(handle, nowMs));
      }
      for (nowMs of [Number.NaN, -1, 1e13, Number.POSITIVE_INFINITY])
        expect(bucket.take(1)).toBe(raw.limiterTake(handle, 1, nowMs));
      raw.limiterFree(handle);
    }),
    { numRuns: 1000, maxSkipsPerRun: 1000 },
  );
  expect(exact).toBeGreaterThan(500);
});

test("where it would round, it says so", () => {
  expect(isExact({ limit: 1, periodUs: 1_000_000, burst: 9_007_199_254 })).toBe(true);
  expect(isExact({ limit: 1, periodUs: U32_MAX, burst: U32_MAX })).toBe(false);
});
