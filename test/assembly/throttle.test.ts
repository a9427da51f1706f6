import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ERRORS } from "../../protocols/table.ts";
import { openTestCore } from "../support/core.ts";

const { raw } = openTestCore();
const ARGUMENT = -ERRORS.ARGUMENT.number;
const THROTTLED = -ERRORS.THROTTLED.number;
const NEVER = 0xffff_ffff;

/** A call was let through, and this came of it. */
function answers(throttle: number, accepted: boolean): void {
  if (accepted) raw.throttleAccepted(throttle, 0);
  else raw.throttleRejected(throttle, 0);
}

describe("client-side throttling (Site Reliability Engineering, ch. 21)", () => {
  test("refuses nothing while a K-th is accepted, and as the formula says below that", () => {
    const throttle = raw.throttleCreate(2000, 120_000, 0);
    for (let call = 0; call < 100; call += 1) {
      expect(raw.throttleAdmit(throttle, 0, 0)).toBe(0);
      answers(throttle, call % 2 === 0);
    }
    expect(raw.throttleMilli(throttle, 0)).toBe(0);
    for (let call = 0; call < 100; call += 1) {
      expect(raw.throttleAdmit(throttle, NEVER, 0)).toBe(0);
      answers(throttle, false);
    }
    // 200 requests, 50 accepts: (200 - 100) / 201.
    expect(raw.throttleMilli(throttle, 0)).toBe(497);
    const border = Math.floor((2 ** 32 * 100) / 201);
    expect(raw.throttleAdmit(throttle, border - 1, 0)).toBe(THROTTLED);
    const next = Math.ceil((2 ** 32 * 101) / 202);
    expect(raw.throttleAdmit(throttle, next + 1, 0)).toBe(0);
    raw.throttleFree(throttle);
  });

  test("any requests and accepts: the probability is the formula's", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1000, max: 100_000 }),
        fc.nat(300),
        fc.nat(300),
        fc.nat(NEVER),
        (kMilli, requests, accepts, random) => {
          const throttle = raw.throttleCreate(kMilli, 60_000, 0);
          for (let call = 0; call < requests; call += 1) answers(throttle, call < accepts);
          const accepted = Math.min(accepts, requests);
          const excess = BigInt(requests) * 1000n - BigInt(kMilli) * BigInt(accepted);
          const refuses = excess > 0n && BigInt(random) * BigInt(requests + 1) * 1000n < excess << 32n;
          expect(raw.throttleAdmit(throttle, random, 0)).toBe(refuses ? THROTTLED : 0);
          raw.throttleFree(throttle);
        },
      ),
    );
  });

  test("what is out counts as nothing, and what was refused here as a request", () => {
    const throttle = raw.throttleCreate(2000, 60_000, 0);
    for (let call = 0; call < 1000; call += 1) expect(raw.throttleAdmit(throttle, 0, 0)).toBe(0);
    raw.throttleRejected(throttle, 0);
    expect(raw.throttleMilli(throttle, 0)).toBe(500);
    expect(raw.throttleAdmit(throttle, 0, 0)).toBe(THROTTLED);
    expect(raw.throttleMilli(throttle, 0)).toBe(666);
    raw.throttleAccepted(throttle, 0);
    expect(raw.throttleMilli(throttle, 0)).toBe(250);
    raw.throttleFree(throttle);
  });

  test("whatever is out and whatever the dice show, it refuses nothing of one that accepts all", () => {
    const step = fc.oneof(fc.constant("ends" as const), fc.nat(NEVER));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
        const throttle = raw.throttleCreate(1000, 60_000, 0);
        let out = 0;
        for (const next of steps) {
          if (next !== "ends") {
            expect(raw.throttleAdmit(throttle, next, 0)).toBe(0);
            out += 1;
          } else if (out > 0) {
            raw.throttleAccepted(throttle, 0);
            out -= 1;
          }
        }
        raw.throttleFree(throttle);
      }),
    );
  });

  test("asks again for K times what is accepted once the other side is well, and forgets with the window", () => {
    const throttle = raw.throttleCreate(2000, 12_000, 0);
    for (let call = 0; call < 1000; call += 1) answers(throttle, false);
    expect(raw.throttleMilli(throttle, 0)).toBeGreaterThan(990);
    expect(raw.throttleMilli(throttle, 11_999)).toBeGreaterThan(990);
    expect(raw.throttleMilli(throttle, 12_000)).toBe(0);
    raw.throttleFree(throttle);
  });

  test("stays right with more requests than its products hold exactly", () => {
    const throttle = raw.throttleCreate(2000, 4_000_000, 0);
    for (let call = 0; call < 2_200_000; call += 1) {
      answers(throttle, call % 4 === 0);
    }
    expect(Math.abs(raw.throttleMilli(throttle, 0) - 500)).toBeLessThanOrEqual(1);
    expect(raw.throttleAdmit(throttle, 0x7f00_0000, 0)).toBe(THROTTLED);
    expect(raw.throttleAdmit(throttle, 0x8100_0000, 0)).toBe(0);
    raw.throttleFree(throttle);
  });

  test("misuse has a code", () => {
    for (const kMilli of [0, 999, 100_001]) expect(raw.throttleCreate(kMilli, 1000, 0)).toBe(ARGUMENT);
    expect(raw.throttleCreate(2000, 0.001, 0)).toBe(ARGUMENT);
    expect(raw.throttleCreate(2000, Number.NaN, 0)).toBe(ARGUMENT);
    expect(raw.throttleCreate(2000, 1000, -1)).toBe(ARGUMENT);
    const throttle = raw.throttleCreate(2000, 1000, 0);
    expect(raw.throttleAdmit(throttle, 0, Number.NaN)).toBe(ARGUMENT);
    expect(raw.throttleAccepted(throttle, -1)).toBe(ARGUMENT);
    expect(raw.throttleRejected(throttle, -1)).toBe(ARGUMENT);
    expect(raw.throttleFree(throttle)).toBe(0);
    expect([
      raw.throttleFree(throttle),
      raw.throttleAdmit(throttle, 0, 0),
      raw.throttleAccepted(throttle, 0),
      raw.throttleRejected(throttle, 0),
      raw.throttleMilli(throttle, 0),
    ]).toEqual(Array(5).fill(ARGUMENT));
  });
});
