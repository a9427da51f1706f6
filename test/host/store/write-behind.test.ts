/** What is kept in memory and when it is written; that it is a StateStore like the others is shown in test/conform/state-store.test.ts. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Clock } from "../../../host/io/seams.ts";
import { memoryState } from "../../../host/store/memory-state.ts";
import type { StateStore, StateTransaction } from "../../../host/store/state-store.ts";
import { writeBehind } from "../../../host/store/write-behind.ts";

const one = new Uint8Array([1]);

function setUp(options: { readonly keysMax?: number } = {}) {
  const below = memoryState();
  const alarms: (() => void)[] = [];
  const clock: Clock = {
    monotonicMs: () => 0,
    wallMs: () => 0,
    alarm: (_, call) => {
      alarms.push(call);
      return () => {
        if (alarms.includes(call)) alarms.splice(alarms.indexOf(call), 1);
      };
    },
  };
  let isFull = false;
  let transactions = 0;
  const counted: StateStore = {
    get: (key) => below.get(key),
    range: (range) => below.range(range),
    flush: () => below.flush(),
    close: () => below.close(),
    transaction: async (work) => {
      if (isFull) throw new Error("full");
      transactions += 1;
      await below.transaction(work);
    },
  };
  return {
    ...{ below, alarms },
    store: writeBehind({ store: counted, clock, ...options }),
    setFull: (full: boolean) => {
      isFull = full;
    },
    written: () => transactions,
  };
}

const put = (store: StateStore, key: string) => store.transaction((t) => t.put(key, one));

describe("a store that is written behind", () => {
  test("writes many transactions in one, when the time is over or at a flush", async () => {
    const { store, below, alarms, written } = setUp();
    for (const key of ["a", "b", "a", "c"]) await put(store, key);
    expect([written(), below.get("a"), alarms.length]).toEqual([0, undefined, 1]);
    alarms.shift()?.();
    await Promise.resolve();
    expect([written(), below.get("a"), below.get("c")]).toEqual([1, one, one]);
    await store.flush();
    expect(written()).toBe(1);
    await store.transaction((t) => t.delete("a"));
    expect([store.get("a"), below.get("a")]).toEqual([undefined, one]);
    await store.flush();
    expect([written(), below.get("a"), alarms.length]).toEqual([2, undefined, 0]);
  });

  test("keeps no more than its bound, and refuses what is beyond while the store below fails", async () => {
    const { store, below, setFull, written } = setUp({ keysMax: 2 });
    setFull(true);
    await put(store, "a");
    await put(store, "b");
    await expect(put(store, "c")).rejects.toThrow("full");
    expect([store.get("b"), store.get("c"), below.get("a")]).toEqual([one, undefined, undefined]);
    setFull(false);
    await put(store, "c");
    expect([written(), below.get("b"), store.get("c"), below.get("c")]).toEqual([1, one, one, undefined]);
  });

  test("after a write that failed in the background it is tried again", async () => {
    const { store, below, alarms, setFull } = setUp();
    setFull(true);
    await put(store, "a");
    alarms.splice(0).forEach((call) => {
      call();
    });
    await new Promise<void>((resolve) => setImmediate(resolve));
    expect(alarms).toHaveLength(1);
    setFull(false);
    alarms.shift()?.();
    await new Promise<void>((resolve) => setImmediate(resolve));
    expect(below.get("a")).toEqual(one);
  });

  test("what is large goes past it, behind what came before", async () => {
    const { store, below, written } = setUp();
    await put(store, "a");
    await store.transaction(
      (t) => {
        expect(t.get("a")).toEqual(one);
        t.delete("a");
        t.put("b", one);
      },
      { isLarge: true },
    );
    expect([written(), below.get("a"), below.get("b"), store.get("a")]).toEqual([
      2,
      undefined,
      one,
      undefined,
    ]);
  });

  test("closing writes what is kept, and leaves the store below open", async () => {
    const { store, below } = setUp();
    await put(store, "a");
    await store.close();
    expect(below.get("a")).toEqual(one);
    expect(() => store.get("a")).toThrow("closed");
  });

  test("ranges over both layers are those of one store", async () => {
    const key = fc.constantFrom(..."abcdefghij");
    const changes = fc.array(fc.record({ key, isPut: fc.boolean() }), { maxLength: 12 });
    const range = fc.record({
      from: key,
      to: key,
      limit: fc.integer({ min: 0, max: 6 }),
      reverse: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(changes, changes, range, async (early, late, asked) => {
        const { store } = setUp();
        const model = memoryState();
        for (const [at, all] of [early, late].entries()) {
          for (const { key: changed, isPut } of all) {
            const value = new Uint8Array([at]);
            const work = (t: StateTransaction) => (isPut ? t.put(changed, value) : t.delete(changed));
            await store.transaction(work);
            await model.transaction(work);
          }
          if (at === 0) await store.flush();
        }
        expect([...store.range(asked)]).toEqual([...model.range(asked)]);
      }),
      { numRuns: 1000 },
    );
  });
});
