/** Structures that many threads share: each beside its model in one thread, then from several. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { SharedExports } from "../../../host/concurrency/shared-exports.ts";
import { deque, latest, map, pool, queue, stack } from "../../../host/exports/lockfree.ts";
import { PAIR, WIDE } from "../../support/lockfree/schemas.ts";
import { thread } from "../../support/lockfree/thread.ts";

const record = (id: number) => ({ id, check: id * 3 });

describe("a queue", () => {
  test("is first in, first out, and bounded", () => {
    fc.assert(
      fc.property(fc.constantFrom(2, 4), fc.array(fc.boolean(), { maxLength: 60 }), (capacity, steps) => {
        const one = queue({ schema: PAIR, capacity });
        const model: number[] = [];
        steps.forEach((isPush, id) => {
          if (isPush) {
            expect(one.tryPush(record(id))).toBe(model.length < capacity);
            if (model.length < capacity) model.push(id);
          } else {
            let got: number | undefined;
            one.tryShift((view) => {
              got = view.id;
            });
            expect(got).toBe(model.shift());
          }
          expect(one.count).toBe(model.length);
          expect(one.isStalled).toBe(false);
        });
      }),
    );
  });

  test("takes and gives rows of records at once", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 5 })), { maxLength: 40 }),
        (steps) => {
          const one = queue({ schema: PAIR, capacity: 4 });
          const model: number[] = [];
          let next = 0;
          for (const [isPush, count] of steps) {
            if (isPush) {
              const pushed = one.pushBatch(count, (view, index) => Object.assign(view, record(next + index)));
              expect(pushed).toBe(Math.min(count, 4 - model.length));
              for (let index = 0; index < pushed; index += 1) model.push(next++);
            } else {
              const got: number[] = [];
              one.shiftBatch(count, ({ id }) => got.push(id));
              expect(got).toEqual(model.splice(0, count));
            }
          }
        },
      ),
    );
  });

  test("between four threads loses nothing, doubles nothing, and keeps each producer's order", async () => {
    const one = queue({ schema: PAIR, capacity: 16 });
    const consumers = [0, 1].map(() => thread({ job: "queueShift", handle: one.handle }));
    const producers = [0, 100_000].map((from) =>
      thread({ job: "queuePush", handle: one.handle, from, count: 5000 }),
    );
    await Promise.all(producers.map(({ result }) => result));
    one.close();
    const lists = (await Promise.all(consumers.map(({ result }) => result))) as number[][];
    expect(lists.flat().sort((a, b) => a - b)).toEqual(
      [0, 100_000].flatMap((from) => Array.from({ length: 5000 }, (_, index) => from + index)),
    );
    for (const list of lists) {
      for (const from of [0, 100_000]) {
        const own = list.filter((id) => id >= from && id < from + 5000);
        expect(own).toEqual([...own].sort((a, b) => a - b));
      }
    }
    await expect(one.push(record(1))).rejects.toMatchObject({ code: "SHARED_CLOSED" });
  });

  test("a producer that stopped in the middle: who waits sleeps, and is told when the queue is closed", async () => {
    const one = queue({ schema: PAIR, capacity: 4 });
    // As if its thread had been ended there: claimed by nobody who will publish it.
    const { module, memory, at } = one.handle;
    const raw = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as SharedExports;
    raw.mpmcClaim(at);
    one.tryPush(record(1));
    expect(one.tryShift(() => {})).toBe(false);
    expect(one.isStalled).toBe(true);
    expect(one.shiftSync(() => {}, 5)).toBe(false);
    const waiting = one.shift(() => {});
    expect(await Promise.race([waiting, new Promise((resolve) => setTimeout(resolve, 20, "sleeps"))])).toBe(
      "sleeps",
    );
    one.close();
    await expect(waiting).rejects.toMatchObject({ code: "SHARED_STALLED" });
    expect(() => one.shiftSync(() => {})).toThrow(/in the middle/);
    const reading = (async () => {
      for await (const _ of one);
    })();
    await expect(reading).rejects.toMatchObject({ code: "SHARED_STALLED" });
  });

  test("callbacks may use it again, and two iterations each have a view of their own", async () => {
    const one = queue({ schema: PAIR, capacity: 8 });
    one.tryPush(record(5));
    let kept = 0;
    one.tryShift((view) => {
      one.tryPush(record(6));
      kept = view.id;
    });
    expect(kept).toBe(5);
    for (const id of [7, 8, 9]) one.tryPush(record(id));
    one.close();
    expect(one.tryPush(record(10))).toBe(false);
    const ids: number[] = [];
    const read = async () => {
      for await (const view of one) {
        await new Promise(setImmediate);
        ids.push(view.id);
      }
    };
    await Promise.all([read(), read()]);
    expect(ids.sort((a, b) => a - b)).toEqual([6, 7, 8, 9]);
  });

  test("rows longer than a number can tell with their position come in pieces", () => {
    const one = queue({ schema: { v: "u32" }, capacity: 2 ** 22 });
    one.tryPush({ v: 7 });
    one.tryShift(() => {});
    let next = 0;
    expect(
      one.pushBatch(Number.POSITIVE_INFINITY, (view) => {
        view.v = next++;
      }),
    ).toBe(2 ** 20);
    let first = -1;
    one.tryShift(({ v }) => {
      first = v;
    });
    expect(first).toBe(0);
  });

  test("an exception while writing or reading holds up nobody", () => {
    const one = queue({ schema: PAIR, capacity: 2 });
    const fail = () => {
      throw new Error("no");
    };
    expect(() => one.tryPush(fail)).toThrow("no");
    one.tryPush(record(2));
    expect(() => one.tryShift(fail)).toThrow("no");
    let got = 0;
    expect(one.tryShift((view) => (got = view.id))).toBe(true);
    expect(got).toBe(2);
  });
});

describe("the latest value", () => {
  test("is what was written last", () => {
    const one = latest({ schema: WIDE });
    expect(one.read()).toBeUndefined();
    const writer = one.writer();
    expect(() => one.writer()).toThrow(/one producer/);
    for (let value = 1; value < 5; value += 1) {
      writer.write({ a: value, b: value, c: value / 2, d: 0 });
      expect(one.read()).toMatchObject({ a: value, b: value, c: value / 2 });
      expect(one.version).toBe(value);
    }
  });

  test("is whole whenever it is read", async () => {
    const one = latest({ schema: WIDE });
    const { result } = thread({ job: "write", handle: one.handle, count: 300_000 });
    let reads = 0;
    let before = 0;
    while (before < 300_000) {
      const value = one.read();
      if (value === undefined) {
        await new Promise(setImmediate);
        continue;
      }
      const { a, b, c, d } = value;
      expect([b, c, d]).toEqual([a, a, a]);
      expect(a).toBeGreaterThanOrEqual(before);
      before = a;
      reads += 1;
    }
    expect(reads).toBeGreaterThan(10);
    await result;
  });
});

describe("blocks", () => {
  test("a stack is last in, first out, and bounded; a failed push or pop loses no block", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("push", "pop", "fail"), { maxLength: 60 }), (steps) => {
        const one = stack({ schema: PAIR, capacity: 3 });
        const model: number[] = [];
        steps.forEach((step, id) => {
          if (step === "push") {
            expect(one.tryPush(record(id))).toBe(model.length < 3);
            if (model.length < 3) model.push(id);
          } else if (step === "pop") {
            let got: number | undefined;
            one.tryPop((view) => {
              got = view.id;
            });
            expect(got).toBe(model.pop());
          } else if (model.length < 3) {
            const fail = () => {
              throw new Error("no");
            };
            expect(() => one.tryPush(fail)).toThrow("no");
          }
        });
      }),
    );
  });

  test("two threads and this one push and pop: nothing torn, nothing lost", async () => {
    const one = stack({ schema: PAIR, capacity: 8 });
    const threads = [0, 1].map(() => thread({ job: "stack", handle: one.handle, count: 20_000 }));
    const balances = (await Promise.all(threads.map(({ result }) => result))) as number[];
    let left = 0;
    while (one.tryPop(() => {})) left += 1;
    expect(left).toBe((balances[0] ?? 0) + (balances[1] ?? 0));
    // Every block is free again.
    for (let id = 0; id < 8; id += 1) expect(one.tryPush(record(id))).toBe(true);
    expect(one.tryPush(record(9))).toBe(false);
  });

  test("a pool gives each block to one owner; frees once; takes back what a dead thread had", async () => {
    const one = pool({ schema: PAIR, capacity: 4 });
    const threads = [0, 1, 2].map(() => thread({ job: "blocks", handle: one.handle, count: 10_000 }));
    await Promise.all(threads.map(({ result }) => result));
    const dying = thread({ job: "allocateAndDie", handle: one.handle, from: 77, count: 3 });
    await dying.exit;
    const last = one.allocate(1) as number;
    expect(one.allocate(1)).toBeUndefined();
    one.free(last);
    expect(() => one.free(last)).toThrow(/freed before/);
    expect(one.reclaim(77)).toBe(3);
    expect(one.reclaim(77)).toBe(0);
    expect(new Set([1, 2, 3, 4].map((owner) => one.allocate(owner))).size).toBe(4);
    expect(() => one.allocate(0)).toThrow(/owner/);
    expect(() => one.view(4)).toThrow(/no block 4/);
    expect(() => one.free(Number.NaN)).toThrow(/no block NaN/);
    expect(() => one.reclaim(0)).toThrow(/owner/);
    expect(() => pool({ schema: PAIR, capacity: 2 ** 32 + 2 })).toThrow(/whole number/);
  });
});

describe("a deque", () => {
  test("gives its owner the last, thieves the first", () => {
    fc.assert(
      fc.property(fc.array(fc.constantFrom("push", "take", "steal"), { maxLength: 60 }), (steps) => {
        const one = deque({ capacity: 4 });
        const owner = one.owner();
        const model: number[] = [];
        steps.forEach((step, value) => {
          if (step === "push") {
            expect(owner.tryPush(value)).toBe(model.length < 4);
            if (model.length < 4) model.push(value);
          } else
            expect(step === "take" ? owner.take() : one.steal()).toBe(
              step === "take" ? model.pop() : model.shift(),
            );
          expect(one.count).toBe(model.length);
        });
      }),
    );
  });

  test("an heir of an owner that died while it took finds a deque that works", () => {
    const one = deque({ capacity: 4 });
    one.owner();
    // As it stands there between its two stores.
    Atomics.store(new Int32Array(one.handle.memory.buffer), (one.handle.at + 64) >> 2, -1);
    one.abandon("producer");
    const heir = one.owner();
    expect([heir.tryPush(1), heir.take(), heir.take()]).toEqual([true, 1, undefined]);
    expect(() => heir.tryPush(1.5)).toThrow(/whole numbers/);
  });

  test("each number goes to one thread", async () => {
    const one = deque({ capacity: 64 });
    const owner = one.owner();
    const thieves = [0, 1].map(() => thread({ job: "steal", handle: one.handle }));
    const mine: number[] = [];
    owner.tryPush(0);
    // Until a thief has begun.
    while (one.count > 0) await new Promise(setImmediate);
    for (let value = 1; value < 20_000; value += 1) {
      while (!owner.tryPush(value)) mine.push(...[owner.take()].filter((one) => one !== undefined));
      if (value % 7 === 0) await new Promise(setImmediate);
    }
    for (let value = owner.take(); value !== undefined; value = owner.take()) mine.push(value);
    owner.close();
    const stolen = (await Promise.all(thieves.map(({ result }) => result))) as number[][];
    expect([...mine, ...stolen.flat()].sort((a, b) => a - b)).toEqual(
      Array.from({ length: 20_000 }, (_, value) => value),
    );
    expect(stolen.flat().length).toBeGreaterThan(0);
    for (const list of stolen) expect(list).toEqual([...list].sort((a, b) => a - b));
  });
});

describe("a map", () => {
  test("is a map, through every growth", () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.tuple(
            fc.constantFrom("set", "add", "delete", "get", "swap"),
            fc.integer({ min: 0, max: 40 }),
            fc.integer({ min: 0, max: 3 }),
          ),
          { maxLength: 200 },
        ),
        (steps) => {
          const one = map({ capacity: 64, initial: 4 });
          const model = new Map<number, number>();
          for (const [step, key, value] of steps) {
            const had = model.get(key);
            if (step === "set") {
              one.set(key, value);
              model.set(key, value);
            } else if (step === "add") {
              expect(one.add(key, value)).toBe(had === undefined);
              if (had === undefined) model.set(key, value);
            } else if (step === "delete") {
              expect(one.delete(key)).toBe(had);
              model.delete(key);
            } else if (step === "swap") {
              expect(one.compareAndSet(key, value, value + 1)).toBe(had === value);
              if (had === value) model.set(key, value + 1);
            }
            expect(one.get(key)).toBe(model.get(key));
            expect(one.size).toBe(model.size);
          }
          expect([...one.keys()].sort((a, b) => a - b)).toEqual([...model.keys()].sort((a, b) => a - b));
        },
      ),
    );
  });

  test("holds as many different keys as it says; its bounds are told", () => {
    const one = map({ capacity: 16, initial: 4 });
    for (let key = 0; key < 16; key += 1) one.set(key * 1e12, key);
    expect(() => one.set(17, 1)).toThrow(/16 different keys/);
    one.set(3e12, 42);
    expect(one.get(3e12)).toBe(42);
    expect(one.get(2 ** 53 - 2)).toBeUndefined();
    expect(() => one.get(-1)).toThrow(/whole number/);
    expect(() => one.get(2 ** 53)).toThrow(/whole number/);
    expect(() => one.set(1, 1.5)).toThrow(/value is a whole number/);
    expect(() => one.compareAndSet(1, -1, 2)).toThrow(/value is a whole number/);
    expect(() => map({ capacity: 2 ** 25 })).toThrow(/capacity is a whole number from 1 to 16777216/);
  });

  test("keys that are there all the time are met by every walk, while it grows", async () => {
    const one = map({ capacity: 2 ** 17, initial: 4 });
    for (const key of [0, 1, 2]) one.set(key, 1);
    const growing = thread({ job: "add", handle: one.handle, count: 60_000 });
    let isDone = false;
    void growing.result.then(() => {
      isDone = true;
    });
    let walks = 0;
    while (!isDone) {
      const met = new Set<number>();
      for (const key of one.keys()) {
        expect(Number.isSafeInteger(key) && key < 60_000).toBe(true);
        if (key < 3) met.add(key);
      }
      expect(met.size).toBe(3);
      walks += 1;
      await new Promise(setImmediate);
    }
    expect(walks).toBeGreaterThan(0);
  });

  test("three threads add the same keys while it grows: each key once; a count by compare-and-set is exact", async () => {
    const one = map({ capacity: 32_768, initial: 4 });
    const adding = [0, 1, 2].map(() => thread({ job: "add", handle: one.handle, count: 20_000 }));
    const added = (await Promise.all(adding.map(({ result }) => result))) as number[];
    expect(added.reduce((sum, count) => sum + count, 0)).toBe(20_000);
    expect(one.size).toBe(20_000);
    expect([...one.keys()].length).toBe(20_000);
    one.set(20_001, 0);
    const counting = [0, 1].map(() =>
      thread({ job: "countUp", handle: one.handle, from: 20_001, count: 20_000 }),
    );
    await Promise.all(counting.map(({ result }) => result));
    expect(one.get(20_001)).toBe(40_000);
  });
});
