/** The fleet's account, its clock and the tokens a member holds: each beside a plain model. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FleetClock } from "../../../../host/cluster/limit/fleet-clock.ts";
import { HeldTokens } from "../../../../host/cluster/limit/held-tokens.ts";
import {
  decodeQuota,
  encodeQuota,
  FIRST_QUOTA,
  grantOf,
  type Quota,
} from "../../../../host/cluster/limit/quota.ts";

const limits = fc.record({
  limit: fc.integer({ min: 1, max: 5_000 }),
  periodUs: fc.integer({ min: 1_000, max: 60_000_000 }),
  burst: fc.integer({ min: 1, max: 500 }),
});

describe("the account", () => {
  test("gives no more over any time than the burst and what the rate brings, and one", () => {
    const ask = fc.record({
      afterUs: fc.oneof(fc.nat(2_000), fc.nat(5_000_000)),
      wanted: fc.integer({ min: 1, max: 600 }),
      least: fc.integer({ min: 1, max: 3 }),
      /** Another member's idea of the time may be behind. */
      behindUs: fc.oneof(fc.constant(0), fc.nat(100_000)),
    });
    fc.assert(
      fc.property(limits, fc.array(ask, { maxLength: 60 }), (limit, asks) => {
        let [quota, nowUs]: [Quota, number] = [FIRST_QUOTA, 0];
        const given: { readonly atUs: number; readonly tokens: number }[] = [];
        for (const { afterUs, wanted, least, behindUs } of asks) {
          nowUs += afterUs;
          const grant = grantOf(quota, limit, { nowUs: nowUs - behindUs, wanted, least });
          expect(grant.quota.fleetUs).toBeGreaterThanOrEqual(quota.fleetUs);
          quota = grant.quota;
          if (grant.tokens > 0) expect(grant.tokens).toBeGreaterThanOrEqual(least);
          given.push({ atUs: quota.fleetUs, tokens: grant.tokens });
        }
        for (let from = 0; from < given.length; from += 1) {
          let sum = 0;
          for (const { atUs, tokens } of given.slice(from)) {
            sum += tokens;
            const passedUs = atUs - (given[from]?.atUs ?? 0);
            expect(sum).toBeLessThanOrEqual(limit.burst + (passedUs * limit.limit) / limit.periodUs + 1);
          }
        }
      }),
    );
  });
  test("after the wait that it names there are as many as were asked for, and not a millisecond in a thousand earlier", () => {
    fc.assert(
      fc.property(limits, fc.nat(1_000_000), (limit, nowUs) => {
        let quota: Quota = FIRST_QUOTA;
        for (;;) {
          const grant = grantOf(quota, limit, { nowUs, wanted: 1_000_000, least: 1 });
          quota = grant.quota;
          if (grant.tokens > 0) continue;
          const later = (us: number) =>
            grantOf(quota, limit, { nowUs: nowUs + us, wanted: 1, least: 1 }).tokens;
          expect(later(grant.waitUs)).toBe(1);
          expect(later(grant.waitUs - 2)).toBe(0);
          return;
        }
      }),
    );
  });
  test("leaves half to who comes next", () => {
    const limit = { limit: 100, periodUs: 1_000_000, burst: 100 };
    const first = grantOf(FIRST_QUOTA, limit, { nowUs: 0, wanted: 1_000, least: 1 });
    const second = grantOf(first.quota, limit, { nowUs: 0, wanted: 1_000, least: 1 });
    const large = grantOf(second.quota, limit, { nowUs: 0, wanted: 25, least: 25 });
    expect([first.tokens, second.tokens, large.tokens]).toEqual([50, 25, 25]);
    expect(grantOf(large.quota, limit, { nowUs: 0, wanted: 1, least: 1 })).toMatchObject({
      tokens: 0,
      waitUs: 10_000,
    });
  });
  test("as bytes and back; others' bytes are none", () => {
    const time = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
    fc.assert(
      fc.property(time, time, (fleetUs, arrivalUs) => {
        expect(decodeQuota(encodeQuota({ fleetUs, arrivalUs }))).toEqual({ fleetUs, arrivalUs });
      }),
    );
    const bytes = encodeQuota({ fleetUs: 1, arrivalUs: 2 });
    expect(decodeQuota(bytes.subarray(1))).toBeUndefined();
    expect(decodeQuota(bytes.with(0, 9))).toBeUndefined();
    expect(decodeQuota(bytes.with(4, 1))).toBeUndefined();
    expect(decodeQuota(bytes.with(15, 0xff))).toBeUndefined();
  });
});

test("the fleet's time is never ahead of the fastest clock, and never goes back", () => {
  const write = fc.record({
    member: fc.nat(3),
    afterMs: fc.nat(3_000),
    /** What it read was written that long before. */
    readMs: fc.nat(400),
  });
  const clocks = fc.array(
    fc.record({ rate: fc.double({ min: 0.95, max: 1.05, noNaN: true }), fromMs: fc.nat(1e9) }),
    {
      minLength: 4,
      maxLength: 4,
    },
  );
  fc.assert(
    fc.property(clocks, fc.array(write, { minLength: 1, maxLength: 40 }), (members, writes) => {
      const fleets = members.map(() => new FleetClock());
      const own = (member: number, trueMs: number): number => {
        const { rate, fromMs } = members[member] as { rate: number; fromMs: number };
        return fromMs + trueMs * rate;
      };
      const fastest = Math.max(...members.map(({ rate }) => rate));
      let [trueMs, recordUs] = [0, 0];
      for (const { member, afterMs, readMs } of writes) {
        // It reads, the answer takes a while, and then it writes.
        trueMs += readMs;
        fleets[member]?.observe(recordUs, own(member, trueMs));
        trueMs += afterMs;
        const nowUs = fleets[member]?.nowUs(own(member, trueMs)) ?? 0;
        expect(nowUs).toBeLessThanOrEqual(trueMs * 1000 * fastest + 1);
        expect(nowUs).toBeGreaterThanOrEqual(recordUs - 1);
        recordUs = Math.max(recordUs, nowUs);
      }
    }),
  );
});

test("what lay there for a while is taken for new, until something newer is read", () => {
  const fleet = new FleetClock();
  fleet.observe(5_000, 100);
  expect(fleet.nowUs(200)).toBe(105_000);
  fleet.observe(3_105_000, 203);
  fleet.observe(3_105_000, 9_000);
  expect(fleet.nowUs(9_000)).toBe(3_105_000 + 8_797_000);
});

describe("tokens that are held", () => {
  test("lapse, the oldest are taken first, and never more than there are", () => {
    const step = fc.record({
      afterMs: fc.nat(40),
      what: fc.oneof(
        fc.record({ add: fc.integer({ min: 1, max: 20 }), forMs: fc.integer({ min: 1, max: 100 }) }),
        fc.record({ take: fc.integer({ min: 1, max: 15 }) }),
      ),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
        const held = new HeldTokens(100);
        let model: number[] = [];
        let [nowMs, untilMs] = [0, 0];
        for (const { afterMs, what } of steps) {
          nowMs += afterMs;
          model = model.filter((until) => until > nowMs);
          if ("add" in what) {
            // Batches are asked for one after the other.
            untilMs = Math.max(untilMs, nowMs + what.forMs);
            held.add(what.add, untilMs);
            model.push(...new Array<number>(what.add).fill(untilMs));
          } else {
            const isEnough = model.length >= what.take;
            expect(held.take(what.take, nowMs)).toBe(isEnough);
            if (isEnough) model.splice(0, what.take);
          }
          expect(held.count(nowMs)).toBe(model.length);
        }
      }),
    );
  });
  test("what is needed is what was asked for lately", () => {
    const held = new HeldTokens(100);
    for (let at = 0; at < 50; at += 10) held.asked(2, at);
    expect(held.need(50)).toBe(10);
    expect(held.need(120)).toBe(10);
    held.asked(30, 130);
    expect(held.need(130)).toBe(30);
    expect(held.need(500)).toBe(0);
  });
});
