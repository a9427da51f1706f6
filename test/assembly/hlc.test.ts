import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ERRORS } from "../../protocols/table.ts";
import { openTestCore } from "../support/core.ts";

const { raw } = openTestCore();
const DRIFT = -ERRORS.CLOCK_DRIFT.number;
const ARGUMENT = -ERRORS.ARGUMENT.number;
const stamp = (ms: number, logical: number): bigint => (BigInt(ms) << 16n) | BigInt(logical);
const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);

describe("a hybrid logical clock", () => {
  test("follows the wall clock, and counts while it stands or goes back", () => {
    const clock = raw.clockCreate(1000, 0n);
    expect(raw.clockTick(clock, 5000)).toBe(stamp(5000, 0));
    expect(raw.clockTick(clock, 5000)).toBe(stamp(5000, 1));
    expect(raw.clockTick(clock, 4000)).toBe(stamp(5000, 2));
    expect(raw.clockTick(clock, 5001)).toBe(stamp(5001, 0));
    expect(raw.clockLast(clock)).toBe(stamp(5001, 0));
  });

  test("carries a full logical part into the milliseconds", () => {
    const clock = raw.clockCreate(1000, stamp(5000, 0xffff));
    expect(raw.clockTick(clock, 5000)).toBe(stamp(5001, 0));
  });

  test("is after what it has received", () => {
    const clock = raw.clockCreate(1000, 0n);
    expect(raw.clockReceive(clock, 5000, stamp(5500, 7))).toBe(0);
    expect(raw.clockTick(clock, 5001)).toBe(stamp(5500, 8));
    expect(raw.clockReceive(clock, 5001, stamp(10, 0))).toBe(0);
    expect(raw.clockTick(clock, 5001)).toBe(stamp(5500, 9));
  });

  test("refuses a remote clock beyond the drift bound, and is not moved by it", () => {
    const clock = raw.clockCreate(1000, 0n);
    raw.clockTick(clock, 5000);
    expect(raw.clockReceive(clock, 5000, stamp(6001, 0))).toBe(DRIFT);
    expect(raw.clockReceive(clock, 5000, u64(-1n))).toBe(DRIFT);
    expect(raw.clockTick(clock, 5000)).toBe(stamp(5000, 1));
    expect(raw.clockReceive(clock, 5000, stamp(6000, 0xffff))).toBe(0);
  });

  test("gives no stamp above the persisted bound, and starts above it", () => {
    const clock = raw.clockCreate(1000, 0n);
    const bound = u64(raw.clockReserve(clock, 5000, 100));
    expect(bound).toBe(stamp(5100, 0));
    expect(raw.clockBoundSet(clock, bound)).toBe(0);
    expect(raw.clockTick(clock, 5100)).toBe(bound);
    expect(raw.clockTick(clock, 5100)).toBe(0n);
    expect(raw.clockTick(clock, 9000)).toBe(0n);
    expect(raw.clockBoundSet(clock, u64(raw.clockReserve(clock, 9000, 100)))).toBe(0);
    expect(raw.clockTick(clock, 9000)).toBe(stamp(9000, 0));
    const next = raw.clockCreate(1000, stamp(9100, 0));
    expect(raw.clockTick(next, 20)).toBe(stamp(9100, 1)); // The wall clock was lost in the restart.
  });

  test("takes times that are no times, and refuses handles that are gone", () => {
    const clock = raw.clockCreate(0, 0n);
    expect(raw.clockTick(clock, Number.NaN)).toBe(1n);
    expect(raw.clockTick(clock, -1)).toBe(2n);
    expect(u64(raw.clockTick(clock, Number.POSITIVE_INFINITY))).toBe(stamp(2 ** 48 - 1, 0));
    expect(u64(raw.clockReserve(clock, 0, 2 ** 32 - 1))).toBe(2n ** 64n - 1n);
    expect(raw.clockFree(clock)).toBe(0);
    expect(raw.clockFree(clock)).toBe(ARGUMENT);
    expect(raw.clockTick(clock, 1)).toBe(0n);
    expect(raw.clockLast(clock)).toBe(0n);
    expect(raw.clockReserve(clock, 1, 1)).toBe(0n);
    expect(raw.clockReceive(clock, 1, 1n)).toBe(ARGUMENT);
    expect(raw.clockBoundSet(clock, 1n)).toBe(ARGUMENT);
  });

  test("keeps the order of cause among machines whose wall clocks jump", () => {
    const step = fc.record({ from: fc.nat(2), to: fc.nat(2), jumpMs: fc.integer({ min: -3000, max: 3000 }) });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
        const driftMs = 1000;
        const machines = [0, 1, 2].map(() => ({
          clock: raw.clockCreate(driftMs, 0n),
          wallMs: 100_000,
          last: 0n,
        }));
        const tick = (machine: (typeof machines)[number]): bigint => {
          const given = raw.clockTick(machine.clock, machine.wallMs);
          expect(given).toBeGreaterThan(machine.last);
          expect(given).toBeGreaterThanOrEqual(stamp(machine.wallMs, 0));
          machine.last = given;
          return given;
        };
        for (const { from, to, jumpMs } of steps) {
          const [sender, receiver] = [machines[from], machines[to]];
          if (sender === undefined || receiver === undefined) continue;
          sender.wallMs += jumpMs;
          const sent = tick(sender);
          const status = raw.clockReceive(receiver.clock, receiver.wallMs, sent);
          expect(status === 0).toBe(Number(sent >> 16n) <= receiver.wallMs + driftMs);
          const arrived = tick(receiver);
          if (status === 0) expect(arrived).toBeGreaterThan(sent);
        }
        for (const machine of machines) raw.clockFree(machine.clock);
      }),
      { numRuns: 2_000 },
    );
  });
});
