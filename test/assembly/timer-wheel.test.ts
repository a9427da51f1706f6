import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ERRORS } from "../../protocols/table.ts";
import { openTestCore } from "../support/core.ts";

const core = openTestCore();
const { raw } = core;
const ARGUMENT = -ERRORS.ARGUMENT.number;
const FULL = -ERRORS.POOL_FULL.number;
const NONE = -1;
const TICK_MS = 1.024;
const memory = core.allocate(raw.wheelBytes(512));
const create = (capacity = 512, nowMs = 0): number => raw.wheelCreate(capacity, memory, nowMs);

const popAll = (wheel: number, nowMs: number): number[] => {
  const tags: number[] = [];
  for (let tag = raw.wheelPop(wheel, nowMs); tag >= 0; tag = raw.wheelPop(wheel, nowMs)) tags.push(tag);
  return tags;
};

describe("a timer wheel", () => {
  test("gives a timer when its time has come: not early, and at most a tick late", () => {
    for (const delayMs of [0.001, 1, 1.024, 30, 33, 1000, 33_000, 1_100_000, 3.3e7]) {
      const wheel = create();
      raw.wheelAdd(wheel, delayMs, 7, 0);
      expect(raw.wheelPop(wheel, delayMs - 0.001)).toBe(NONE);
      expect(popAll(wheel, delayMs + TICK_MS)).toEqual([7]);
      expect(raw.wheelUsed(wheel)).toBe(0);
      raw.wheelFree(wheel);
    }
  });

  test("keeps a timer beyond its reach", () => {
    const wheel = create();
    const delayMs = 30 * 24 * 3_600_000;
    raw.wheelAdd(wheel, delayMs, 3, 0);
    for (let hour = 1; hour < 24 * 30; hour += 1) expect(raw.wheelPop(wheel, hour * 3_600_000)).toBe(NONE);
    expect(popAll(wheel, delayMs + TICK_MS)).toEqual([3]);
    raw.wheelAdd(wheel, Number.POSITIVE_INFINITY, 4, 0);
    expect(raw.wheelPop(wheel, 8e12)).toBe(NONE);
    raw.wheelFree(wheel);
  });

  test("puts a timer beyond its reach into a slot to come, even at the end of a slot of the top level", () => {
    const nowMs = (2 ** 20 - 1) * TICK_MS;
    const wheel = create(512, nowMs);
    raw.wheelAdd(wheel, 40 * 2 ** 20 * TICK_MS, 5, nowMs);
    const nextMs = raw.wheelNextMs(wheel);
    expect(nextMs).toBeGreaterThan(nowMs);
    expect(nextMs).toBeLessThanOrEqual(nowMs + 31 * 2 ** 20 * TICK_MS);
    raw.wheelFree(wheel);
  });

  test("any timers, stops and times: those that are due come, in the order of their ticks, and no others", () => {
    const step = fc.oneof(
      {
        weight: 5,
        arbitrary: fc.record({
          do: fc.constant("add" as const),
          number: fc.oneof(fc.nat(40), fc.nat(3000), fc.nat(4e7)),
        }),
      },
      { weight: 2, arbitrary: fc.record({ do: fc.constant("cancel" as const), number: fc.nat(1000) }) },
      {
        weight: 3,
        arbitrary: fc.record({
          do: fc.constant("wait" as const),
          number: fc.oneof(fc.nat(50), fc.nat(5000), fc.nat(4e7)),
        }),
      },
    );
    fc.assert(
      fc.property(
        fc.array(step, { maxLength: 120 }),
        fc.double({ min: 0, max: 1e9, noNaN: true }),
        (steps, startMs) => {
          const wheel = create(512, startMs);
          let nowMs = startMs;
          let tags = 0;
          const running = new Map<number, { handle: number; tick: number; dueMs: number }>();
          for (const { do: what, number } of steps) {
            if (what === "add") {
              const dueMs = nowMs + number;
              const handle = raw.wheelAdd(wheel, number, ++tags, nowMs);
              expect(handle).toBeGreaterThan(0);
              running.set(tags, { handle, tick: Math.ceil(Math.round(dueMs * 1000) / 1024 - 1e-6), dueMs });
            } else if (what === "cancel") {
              const chosen = [...running][number % Math.max(running.size, 1)];
              if (chosen === undefined) continue;
              expect(raw.wheelCancel(wheel, chosen[1].handle)).toBe(0);
              expect(raw.wheelCancel(wheel, chosen[1].handle)).toBe(ARGUMENT);
              running.delete(chosen[0]);
            } else {
              nowMs += number;
              let last = 0;
              for (const tag of popAll(wheel, nowMs)) {
                const timer = running.get(tag);
                expect(timer).toBeDefined();
                expect(timer?.tick).toBeGreaterThanOrEqual(last);
                expect(timer?.dueMs).toBeLessThanOrEqual(nowMs + 0.001);
                last = timer?.tick ?? 0;
                running.delete(tag);
              }
              for (const { dueMs } of running.values()) expect(dueMs).toBeGreaterThan(nowMs - 2 * TICK_MS);
            }
            expect(raw.wheelUsed(wheel)).toBe(running.size);
            const next = raw.wheelNextMs(wheel);
            const soonest = Math.min(...[...running.values()].map((timer) => timer.dueMs));
            expect(next).toBeLessThanOrEqual(soonest + TICK_MS);
          }
          raw.wheelFree(wheel);
        },
      ),
      { numRuns: 400 },
    );
  });

  test("stops the last timer it has room for", () => {
    const wheel = create(2);
    const timers = [raw.wheelAdd(wheel, 10, 1, 0), raw.wheelAdd(wheel, 10, 2, 0)];
    expect(timers.map((timer) => raw.wheelCancel(wheel, timer))).toEqual([0, 0]);
    raw.wheelFree(wheel);
  });

  test("is full at its capacity, grows with its timers in place, and names nothing that is gone", () => {
    const wheel = create(2);
    const first = raw.wheelAdd(wheel, 10, 1, 0);
    const second = raw.wheelAdd(wheel, 5000, 2, 0);
    expect(raw.wheelAdd(wheel, 10, 3, 0)).toBe(FULL);
    const larger = core.allocate(raw.wheelBytes(8));
    expect(raw.wheelGrow(wheel, 2, larger)).toBe(ARGUMENT);
    expect(raw.wheelGrow(wheel, 8, larger)).toBe(0);
    const third = raw.wheelAdd(wheel, 20, 3, 0);
    expect(third).toBeGreaterThan(0);
    expect(raw.wheelCancel(wheel, second)).toBe(0);
    expect(popAll(wheel, 100)).toEqual([1, 3]);
    expect(raw.wheelCancel(wheel, first)).toBe(ARGUMENT);
    const again = raw.wheelAdd(wheel, 1, 9, 100);
    expect(raw.wheelCancel(wheel, third)).toBe(ARGUMENT);
    expect(raw.wheelCancel(wheel, again)).toBe(0);
    expect(raw.wheelNextMs(wheel)).toBe(Number.POSITIVE_INFINITY);
    expect(raw.wheelFree(wheel)).toBe(0);
    expect([
      raw.wheelFree(wheel),
      raw.wheelAdd(wheel, 1, 1, 0),
      raw.wheelCancel(wheel, 1),
      raw.wheelPop(wheel, 0),
      raw.wheelNextMs(wheel),
      raw.wheelGrow(wheel, 9, larger),
    ]).toEqual(Array(6).fill(ARGUMENT));
    expect(raw.wheelUsed(wheel)).toBe(0);
  });

  test("whose timers are all stopped has nothing to do, wherever they lay and however late it is", () => {
    for (const nowMs of [0, 1.024, 40, 1000, 33_600, 2e6, 3.3e7, 3.6e7, 8e8]) {
      const wheel = create();
      expect(raw.wheelPop(wheel, nowMs)).toBe(NONE);
      for (let level = 0; level < 5; level += 1) {
        for (let digit = 0; digit < 32; digit += 1) {
          const delayMs = digit * 32 ** level * TICK_MS;
          const handles = [1, 2].map((tag) => raw.wheelAdd(wheel, delayMs, tag, nowMs));
          if (delayMs > 2) expect(raw.wheelNextMs(wheel)).toBeGreaterThan(0);
          expect(raw.wheelNextMs(wheel)).toBeLessThanOrEqual(nowMs + delayMs + TICK_MS);
          for (const handle of handles) expect(raw.wheelCancel(wheel, handle)).toBe(0);
          expect(raw.wheelNextMs(wheel)).toBe(Number.POSITIVE_INFINITY);
        }
      }
      raw.wheelFree(wheel);
    }
  });

  test("of any capacity stays in its memory, grown or not, and has at most 1,048,574 timers", () => {
    const [small, large] = [7, 9].map((capacity) => {
      const bytes = raw.wheelBytes(capacity);
      const at = core.allocate(bytes + 8);
      core.bytes().fill(0xff, at, at + bytes + 8);
      return { at, end: at + bytes, capacity };
    }) as [{ at: number; end: number; capacity: number }, { at: number; end: number; capacity: number }];
    const wheel = raw.wheelCreate(small.capacity, small.at, 0);
    const add = (tag: number) => raw.wheelAdd(wheel, 10 * tag, tag, 0);
    for (let tag = 0; tag < 7; tag += 1) expect(add(tag)).toBeGreaterThan(0);
    expect(add(7)).toBe(FULL);
    expect(raw.wheelGrow(wheel, 7, large.at)).toBe(ARGUMENT);
    expect(raw.wheelGrow(wheel, 9, large.at)).toBe(0);
    for (const tag of [7, 8]) expect(add(tag)).toBeGreaterThan(0);
    expect(add(9)).toBe(FULL);
    expect([core.bytes()[small.end], core.bytes()[large.end]]).toEqual([0xff, 0xff]);
    expect(popAll(wheel, 100)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    for (let tag = 0; tag < 9; tag += 1) expect(add(tag)).toBeGreaterThan(0);
    expect(raw.wheelGrow(wheel, 1_048_575, large.at)).toBe(ARGUMENT);
    raw.wheelFree(wheel);
    expect(raw.wheelCreate(1_048_575, small.at, 0)).toBe(ARGUMENT);
    const bytes = raw.wheelBytes(1_048_574);
    expect(bytes).toBe(688 + 24 * 1_048_574);
    const most = raw.wheelCreate(1_048_574, core.allocate(bytes), 0);
    expect(most).toBeGreaterThan(0);
    raw.wheelFree(most);
  });

  test("refuses what is no capacity, time, span or timer", () => {
    expect(raw.wheelCreate(0, memory, 0)).toBe(ARGUMENT);
    expect(raw.wheelCreate(2 ** 20, memory, 0)).toBe(ARGUMENT);
    expect(raw.wheelCreate(1, 0, 0)).toBe(ARGUMENT);
    expect(raw.wheelCreate(1, memory, Number.NaN)).toBe(ARGUMENT);
    const wheel = create(4);
    for (const bad of [Number.NaN, -1]) {
      expect(raw.wheelAdd(wheel, bad, 1, 0)).toBe(ARGUMENT);
      expect(raw.wheelAdd(wheel, 1, 1, bad)).toBe(ARGUMENT);
      expect(raw.wheelPop(wheel, bad)).toBe(ARGUMENT);
    }
    for (const timer of [0, 1, 5, 0xffff_ffff]) expect(raw.wheelCancel(wheel, timer)).toBe(ARGUMENT);
    raw.wheelFree(wheel);
  });

  test("a clock that goes back makes nothing due, and a new timer is none the worse", () => {
    const wheel = create(4, 1000);
    expect(raw.wheelPop(wheel, 1000)).toBe(NONE);
    raw.wheelAdd(wheel, 10, 1, 500);
    expect(popAll(wheel, 1000 + TICK_MS)).toEqual([1]);
    raw.wheelFree(wheel);
  });
});
