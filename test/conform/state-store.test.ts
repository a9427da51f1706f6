/** One suite for every StateStore. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { openLmdbState } from "../../host/store/lmdb-state.ts";
import { memoryState } from "../../host/store/memory-state.ts";
import type { StateStore } from "../../host/store/state-store.ts";
import { writeBehind } from "../../host/store/write-behind.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

const STORES: Record<string, () => Promise<StateStore>> = {
  memory: async () => memoryState(),
  lmdb: async () => {
    const folder = mkdtempSync(join(tmpdir(), "tardi-state-"));
    folders.push(folder);
    return openLmdbState({ path: folder });
  },
  "write-behind": async () => behind(memoryState(), {}),
  // Every second transaction or so is written below.
  "write-behind, small": async () => behind(memoryState(), { keysMax: 2, bytesMax: 16 }),
};

function behind(
  store: StateStore,
  bounds: { readonly keysMax?: number; readonly bytesMax?: number },
): StateStore {
  const clock = { monotonicMs: () => 0, wallMs: () => 0, alarm: () => () => undefined };
  return writeBehind({ store, clock, ...bounds });
}

const bytes = (...values: number[]) => new Uint8Array(values);
const keysOf = (entries: Iterable<readonly [string, Uint8Array]>) => [...entries].map(([key]) => key);
const utf8 = new TextEncoder();
const byteOrder = (a: string, b: string) => Buffer.compare(utf8.encode(a), utf8.encode(b));

describe.each(Object.entries(STORES))("StateStore: %s", (_name, open) => {
  test("gives back what was put, and nothing where nothing is", async () => {
    const store = await open();
    await store.transaction((t) => t.put("a", bytes(1, 2)));
    expect(store.get("a")).toEqual(bytes(1, 2));
    expect(store.get("b")).toBeUndefined();
    await store.close();
  });

  test("keeps empty values apart from absent ones", async () => {
    const store = await open();
    await store.transaction((t) => t.put("empty", bytes()));
    expect(store.get("empty")).toEqual(bytes());
    expect(keysOf(store.range({ from: "a", to: "z" }))).toEqual(["empty"]);
    await store.close();
  });

  test("orders keys by their UTF-8 bytes, forward and reversed", async () => {
    const store = await open();
    const keys = ["b", "a", "a/2", "a/10", "\u{1F980}", "\uFF5E", "é", "A", "zz", "a\u0000b", "\u0001"];
    await store.transaction((t) => {
      for (const key of keys) t.put(key, bytes(1));
    });
    const ordered = [...keys].sort(byteOrder);
    expect(keysOf(store.range({ from: "\u0000", to: "\u{10FFFF}" }))).toEqual(ordered);
    expect(keysOf(store.range({ from: "\u0000", to: "\u{10FFFF}", reverse: true }))).toEqual(
      [...ordered].reverse(),
    );
    await store.close();
  });

  test("a range includes its start, excludes its end and stops at its limit", async () => {
    const store = await open();
    await store.transaction((t) => {
      for (const key of ["a", "b", "c", "d", "e"]) t.put(key, utf8.encode(key));
    });
    expect(keysOf(store.range({ from: "b", to: "d" }))).toEqual(["b", "c"]);
    expect(keysOf(store.range({ from: "b", to: "d", reverse: true }))).toEqual(["c", "b"]);
    expect(keysOf(store.range({ from: "a", to: "z", limit: 2 }))).toEqual(["a", "b"]);
    expect(keysOf(store.range({ from: "a", to: "z", limit: 2, reverse: true }))).toEqual(["e", "d"]);
    expect(keysOf(store.range({ from: "aa", to: "cc" }))).toEqual(["b", "c"]);
    expect(keysOf(store.range({ from: "a", to: "z", limit: 0 }))).toEqual([]);
    expect(keysOf(store.range({ from: "d", to: "b" }))).toEqual([]);
    expect([...store.range({ from: "c", to: "d" })][0]?.[1]).toEqual(utf8.encode("c"));
    await store.close();
  });

  test("a transaction sees its own writes, in get and in range", async () => {
    const store = await open();
    await store.transaction((t) => t.put("b", bytes(1)));
    await store.transaction((t) => {
      t.put("a", bytes(2));
      t.put("b", bytes(3));
      expect(t.get("b")).toEqual(bytes(3));
      t.delete("b");
      expect(t.get("b")).toBeUndefined();
      t.put("c", bytes(4));
      expect(keysOf(t.range({ from: "a", to: "z" }))).toEqual(["a", "c"]);
    });
    expect(keysOf(store.range({ from: "a", to: "z" }))).toEqual(["a", "c"]);
    await store.close();
  });

  test("a throw rolls everything back and reaches the caller", async () => {
    const store = await open();
    await store.transaction((t) => {
      t.put("kept", bytes(1));
      t.put("gone", bytes(2));
    });
    const failing = store.transaction((t) => {
      t.put("kept", bytes(9));
      t.delete("gone");
      t.put("new", bytes(3));
      throw new Error("changed my mind");
    });
    await expect(failing).rejects.toThrow("changed my mind");
    expect(store.get("kept")).toEqual(bytes(1));
    expect(store.get("gone")).toEqual(bytes(2));
    expect(store.get("new")).toBeUndefined();
    await store.transaction((t) => t.put("after", bytes(4)));
    expect(keysOf(store.range({ from: "a", to: "z" }))).toEqual(["after", "gone", "kept"]);
    await store.close();
  });

  test("entries of a range may be deleted while it is walked", async () => {
    const store = await open();
    await store.transaction((t) => {
      for (let number = 0; number < 50; number += 1) t.put(`k${number}`, bytes(number));
    });
    await store.transaction((t) => {
      for (const [key] of t.range({ from: "k", to: "l" })) t.delete(key);
    });
    expect(keysOf(store.range({ from: "k", to: "l" }))).toEqual([]);
    await store.close();
  });

  test("keeps values apart from the caller's arrays", async () => {
    const store = await open();
    const value = bytes(1, 2, 3);
    await store.transaction((t) => t.put("a", value));
    value[0] = 99;
    const read = store.get("a") as Uint8Array;
    read[1] = 99;
    expect(store.get("a")).toEqual(bytes(1, 2, 3));
    await store.close();
  });

  test("refuses empty keys and what comes after close", async () => {
    const store = await open();
    await expect(store.transaction((t) => t.put("", bytes(1)))).rejects.toThrow(RangeError);
    await store.flush();
    await store.close();
    await store.close();
    expect(() => store.get("a")).toThrow("closed");
    await expect(store.flush()).rejects.toThrow("closed");
  });

  test("does what a sorted list of pairs does, for any sequence of transactions", async () => {
    const key = fc.string({
      minLength: 1,
      maxLength: 3,
      unit: fc.constantFrom("a", "b", "/", "é", "\uFF5E", "\u{1F980}"),
    });
    const step = fc.oneof(
      fc.record({ kind: fc.constant("put" as const), key, value: fc.uint8Array({ maxLength: 4 }) }),
      fc.record({ kind: fc.constant("delete" as const), key }),
    );
    const transaction = fc.record({ steps: fc.array(step, { maxLength: 8 }), fails: fc.boolean() });
    const store = await open();
    await fc.assert(
      fc.asyncProperty(
        fc.array(transaction, { maxLength: 5 }),
        key,
        key,
        fc.boolean(),
        async (list, from, to, reverse) => {
          const model = new Map<string, Uint8Array>();
          await store.transaction((t) => {
            for (const [old] of t.range({ from: "\u0000", to: "\u{10FFFF}" })) t.delete(old);
          });
          for (const { steps, fails } of list) {
            await store
              .transaction((t) => {
                for (const one of steps) one.kind === "put" ? t.put(one.key, one.value) : t.delete(one.key);
                if (fails) throw new Error("rolled back");
              })
              .catch(() => undefined);
            if (fails) continue;
            for (const one of steps)
              one.kind === "put" ? model.set(one.key, one.value) : model.delete(one.key);
          }
          const expected = [...model]
            .filter(([each]) => byteOrder(each, from) >= 0 && byteOrder(each, to) < 0)
            .sort(([a], [b]) => byteOrder(a, b) * (reverse ? -1 : 1));
          expect([...store.range({ from, to, reverse })].map(([k, v]) => [k, Uint8Array.from(v)])).toEqual(
            expected,
          );
        },
      ),
      { numRuns: 200 },
    );
    await store.close();
  });
});

test("LMDB keeps what was flushed when it is opened again", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tardi-state-"));
  folders.push(folder);
  const store = await openLmdbState({ path: folder });
  await store.transaction((t) => t.put("a", bytes(5)));
  await store.flush();
  await store.close();
  const again = await openLmdbState({ path: folder });
  expect(again.get("a")).toEqual(bytes(5));
  await again.close();
});

test("an absent lmdb says what to install", async () => {
  const opening = openLmdbState({
    path: "unused",
    load: () => Promise.reject(new Error("Cannot find package")),
  });
  await expect(opening).rejects.toMatchObject({
    code: "DEPENDENCY_MISSING",
    message: expect.stringContaining("npm install lmdb"),
  });
});

test("a database that cannot be opened says what to do", async () => {
  const open = () => {
    throw new Error("MDB_INVALID");
  };
  const opening = openLmdbState({ path: "state", load: async () => ({ open }) });
  await expect(opening).rejects.toMatchObject({
    code: "STATE_CORRUPT",
    message: expect.stringContaining("remove that folder"),
  });
});

test("the memory store keeps its order over thousands of keys", async () => {
  const store = memoryState();
  const keys = Array.from({ length: 5000 }, (_, number) => String((number * 7919) % 5000).padStart(5, "0"));
  await store.transaction((t) => {
    for (const key of keys) t.put(key, bytes(1));
  });
  expect(keysOf(store.range({ from: "0", to: "9" }))).toEqual([...keys].sort());
  await store.transaction((t) => {
    for (const key of keys) if (Number(key) % 3 !== 0) t.delete(key);
  });
  const left = [...keys].sort().filter((key) => Number(key) % 3 === 0);
  expect(keysOf(store.range({ from: "0", to: "9", reverse: true }))).toEqual(left.reverse());
});
