import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ERRORS } from "../../protocols/table.ts";
import { openTestCore } from "../support/core.ts";

const core = openTestCore();
const { raw } = core;
const ARGUMENT = -ERRORS.ARGUMENT.number;
const FULL = -ERRORS.BULKHEAD_FULL.number;
const memory = core.allocate(raw.bulkheadBytes(64));
const create = (limit: number, queueMax: number): number => raw.bulkheadCreate(limit, queueMax, memory);

/** Lists and a count. */
class Model {
  inFlight = 0;
  waiting: { ticket: number; priority: number }[] = [];
  shares = [1000, 1000, 1000, 1000];
  limit: number;
  readonly queueMax: number;
  constructor(limit: number, queueMax: number) {
    this.limit = limit;
    this.queueMax = queueMax;
  }
  hasRoom(priority: number): boolean {
    const share = this.shares[priority] ?? 0;
    return this.inFlight < this.limit && (share === 1000 || this.inFlight < (this.limit * share) / 1000);
  }
  enter(priority: number, ticket: number): "granted" | "waits" | "refused" | { shed: number } {
    const isAwaited = this.waiting.some((one) => one.priority <= priority);
    if (this.hasRoom(priority) && !isAwaited) {
      this.inFlight += 1;
      return "granted";
    }
    let shed: number | undefined;
    if (this.waiting.length >= this.queueMax) {
      const below = this.waiting.filter((one) => one.priority > priority);
      const lowest = Math.max(...below.map((one) => one.priority));
      const victim = below.findLast((one) => one.priority === lowest);
      if (victim === undefined) return "refused";
      this.waiting.splice(this.waiting.indexOf(victim), 1);
      shed = victim.ticket;
    }
    this.waiting.push({ ticket, priority });
    return shed === undefined ? "waits" : { shed };
  }
  next(): number {
    for (const priority of [0, 1, 2, 3]) {
      const found = this.waiting.find((one) => one.priority === priority);
      if (found === undefined || !this.hasRoom(priority)) continue;
      this.waiting.splice(this.waiting.indexOf(found), 1);
      this.inFlight += 1;
      return found.ticket;
    }
    return 0;
  }
}

describe("a bulkhead", () => {
  test("lets so many in, queues so many, refuses the rest", () => {
    const bulkhead = create(2, 1);
    expect([raw.bulkheadTry(bulkhead, 0), raw.bulkheadEnter(bulkhead, 0, 1)]).toEqual([0, 0]);
    expect(raw.bulkheadTry(bulkhead, 0)).toBe(FULL);
    expect(raw.bulkheadEnter(bulkhead, 0, 2)).toBeGreaterThan(0);
    expect(raw.bulkheadEnter(bulkhead, 0, 3)).toBe(FULL);
    expect(raw.bulkheadNext(bulkhead)).toBe(0);
    expect(raw.bulkheadLeave(bulkhead)).toBe(0);
    expect(raw.bulkheadTry(bulkhead, 0)).toBe(FULL); // Who waits comes first.
    expect(raw.bulkheadNext(bulkhead)).toBe(2);
    expect(raw.bulkheadInFlight(bulkhead)).toBe(2);
    raw.bulkheadFree(bulkhead);
  });

  test("an important arrival takes the place of the newest of the lowest priority", () => {
    const bulkhead = create(1, 3);
    raw.bulkheadTry(bulkhead, 0);
    for (const [priority, ticket] of [
      [2, 1],
      [3, 2],
      [3, 3],
    ] as const)
      raw.bulkheadEnter(bulkhead, priority, ticket);
    expect(raw.bulkheadEnter(bulkhead, 1, 4)).toBeGreaterThan(0);
    expect([raw.bulkheadShed(bulkhead), raw.bulkheadShed(bulkhead)]).toEqual([3, 0]);
    expect(raw.bulkheadEnter(bulkhead, 3, 5)).toBe(FULL);
    const order: number[] = [];
    for (let left = 0; left < 3; left += 1) {
      raw.bulkheadLeave(bulkhead);
      order.push(raw.bulkheadNext(bulkhead));
    }
    expect(order).toEqual([4, 1, 2]);
    raw.bulkheadFree(bulkhead);
  });

  test("any arrivals, leavings and limits: as lists would have it; granted = left + in flight", () => {
    const step = fc.record({
      do: fc.constantFrom("enter", "enter", "enter", "try", "leave", "leave", "cancel", "limit", "share"),
      priority: fc.nat(3),
      number: fc.nat(1000),
    });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.nat(6),
        fc.array(step, { maxLength: 150 }),
        (limit, queueMax, steps) => {
          const bulkhead = create(limit, queueMax);
          const model = new Model(limit, queueMax);
          const places = new Map<number, number>();
          let [tickets, granted, left] = [0, 0, 0];
          const pull = (): void => {
            for (let ticket = raw.bulkheadNext(bulkhead); ; ticket = raw.bulkheadNext(bulkhead)) {
              expect(ticket).toBe(model.next());
              if (ticket === 0) return;
              granted += 1;
              places.delete(ticket);
            }
          };
          for (const { do: what, priority, number } of steps) {
            if (what === "enter") {
              const ticket = ++tickets;
              const expected = model.enter(priority, ticket);
              const status = raw.bulkheadEnter(bulkhead, priority, ticket);
              expect(raw.bulkheadShed(bulkhead)).toBe(typeof expected === "object" ? expected.shed : 0);
              if (typeof expected === "object") places.delete(expected.shed);
              expect(Math.sign(status)).toBe(expected === "granted" ? 0 : expected === "refused" ? -1 : 1);
              if (status === 0) granted += 1;
              if (status > 0) places.set(ticket, status);
            } else if (what === "try") {
              const expected =
                model.hasRoom(priority) && !model.waiting.some((one) => one.priority <= priority);
              expect(raw.bulkheadTry(bulkhead, priority)).toBe(expected ? 0 : FULL);
              if (expected) {
                model.inFlight += 1;
                granted += 1;
              }
            } else if (what === "leave") {
              expect(raw.bulkheadLeave(bulkhead)).toBe(model.inFlight > 0 ? 0 : ARGUMENT);
              if (model.inFlight > 0) left += 1;
              model.inFlight = Math.max(0, model.inFlight - 1);
              pull();
            } else if (what === "cancel") {
              const chosen = [...places][number % Math.max(places.size, 1)];
              if (chosen === undefined) continue;
              expect(raw.bulkheadCancel(bulkhead, chosen[1])).toBe(0);
              expect(raw.bulkheadCancel(bulkhead, chosen[1])).toBe(ARGUMENT);
              places.delete(chosen[0]);
              model.waiting = model.waiting.filter((one) => one.ticket !== chosen[0]);
              pull();
            } else if (what === "limit") {
              model.limit = (number % 6) + 1;
              raw.bulkheadLimit(bulkhead, model.limit);
              pull();
            } else {
              model.shares[priority] = (number % 1000) + 1;
              raw.bulkheadShare(bulkhead, priority, model.shares[priority] ?? 1);
              pull();
            }
            expect(raw.bulkheadInFlight(bulkhead)).toBe(model.inFlight);
            expect(raw.bulkheadQueued(bulkhead)).toBe(model.waiting.length);
            expect(model.inFlight).toBe(granted - left);
          }
          raw.bulkheadFree(bulkhead);
        },
      ),
      { numRuns: 800 },
    );
  });

  test("misuse has a code", () => {
    expect(raw.bulkheadCreate(0, 1, memory)).toBe(ARGUMENT);
    expect(raw.bulkheadCreate(1, 65_535, memory)).toBe(ARGUMENT);
    expect(raw.bulkheadCreate(1, 1, 0)).toBe(ARGUMENT);
    const bulkhead = create(1, 2);
    expect(raw.bulkheadTry(bulkhead, 4)).toBe(ARGUMENT);
    expect(raw.bulkheadEnter(bulkhead, 4, 1)).toBe(ARGUMENT);
    expect(raw.bulkheadEnter(bulkhead, 0, 0)).toBe(ARGUMENT);
    expect(raw.bulkheadLeave(bulkhead)).toBe(ARGUMENT);
    expect(raw.bulkheadLimit(bulkhead, 0)).toBe(ARGUMENT);
    for (const share of [0, 1001]) expect(raw.bulkheadShare(bulkhead, 0, share)).toBe(ARGUMENT);
    expect(raw.bulkheadShare(bulkhead, 4, 10)).toBe(ARGUMENT);
    for (const place of [0, 1, 3, 0xffff_ffff]) expect(raw.bulkheadCancel(bulkhead, place)).toBe(ARGUMENT);
    raw.bulkheadTry(bulkhead, 0);
    const place = raw.bulkheadEnter(bulkhead, 0, 1);
    raw.bulkheadCancel(bulkhead, place);
    const next = raw.bulkheadEnter(bulkhead, 0, 2);
    expect(next & 0xffff).toBe(place & 0xffff);
    expect(raw.bulkheadCancel(bulkhead, place)).toBe(ARGUMENT);
    expect(raw.bulkheadFree(bulkhead)).toBe(0);
    expect([
      raw.bulkheadFree(bulkhead),
      raw.bulkheadTry(bulkhead, 0),
      raw.bulkheadEnter(bulkhead, 0, 1),
      raw.bulkheadLeave(bulkhead),
      raw.bulkheadCancel(bulkhead, 1),
      raw.bulkheadLimit(bulkhead, 1),
      raw.bulkheadShare(bulkhead, 0, 1),
    ]).toEqual(Array(7).fill(ARGUMENT));
    expect([
      raw.bulkheadNext(bulkhead),
      raw.bulkheadShed(bulkhead),
      raw.bulkheadInFlight(bulkhead),
      raw.bulkheadQueued(bulkhead),
    ]).toEqual([0, 0, 0, 0]);
  });
});
