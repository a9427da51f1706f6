/** Snapshots and reads, on both stores. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { afterEach, describe, expect, test } from "vitest";
import { encodeCommand } from "../../../../host/cluster/kv/command.ts";
import { KvMachine } from "../../../../host/cluster/kv/machine.ts";
import { prefixEnd, READ_BYTES_MAX, readRange } from "../../../../host/cluster/kv/read.ts";
import { restoreSnapshot } from "../../../../host/cluster/kv/snapshot.ts";
import { openLmdbState } from "../../../../host/store/lmdb-state.ts";
import { memoryState } from "../../../../host/store/memory-state.ts";
import type { StateStore } from "../../../../host/store/state-store.ts";
import { crc32 } from "../../../../protocols/crc.ts";
import { byBytes } from "./kv-model.ts";
import { FaultyStore, Rig, snapshotOf, text } from "./kv-rig.ts";

const folders: string[] = [];
const stores: StateStore[] = [];
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});
const STORES: Record<string, () => Promise<StateStore>> = {
  memory: async () => memoryState(),
  lmdb: async () => {
    const folder = mkdtempSync(join(tmpdir(), "tardi-kv-"));
    folders.push(folder);
    const store = await openLmdbState({ path: folder });
    stores.push(store);
    return store;
  },
};
const code = (value: string) => expect.objectContaining({ code: value });
const all = (store: StateStore) => [...store.range({ from: "\u0000", to: "\u{10FFFF}" })];

/** Something of everything. */
async function filled(store: StateStore = memoryState()): Promise<Rig> {
  const rig = new Rig({ store });
  const id = (await rig.run({ op: "session-open" })).value;
  const lease = (await rig.run({ op: "lease-grant", ttlMs: 50 })).value;
  await rig.run({ op: "tick", timeMs: 7 });
  await rig.run({ op: "lease-grant", ttlMs: 90 });
  await rig.put("leased/\u{1F980}", "1", { lease });
  for (let at = 0; at < 3; at += 1) {
    const session = { id, sequence: at + 1, acknowledgedBelow: 1 };
    await rig.run({ op: "put", key: `key/${at}`, value: text("v".repeat(at)) }, session);
  }
  return rig;
}

describe.each(Object.entries(STORES))("snapshots: %s", (_name, open) => {
  test("a machine that is restored goes on as the one it comes from, whatever the chunks", async () => {
    const rig = await filled(await open());
    const whole = snapshotOf(rig.machine);
    const tail = [
      rig.entry(
        encodeCommand(
          { op: "put", key: "key/2", value: text("again") },
          { id: 1, sequence: 3, acknowledgedBelow: 1 },
        ),
      ),
      rig.entry(encodeCommand({ op: "tick", timeMs: 57 })),
      rig.entry(encodeCommand({ op: "lease-grant", ttlMs: 1 })),
    ];
    await rig.machine.apply(tail);
    for (const chunkBytes of [1, 7, 64, 100_000]) {
      const store = await open();
      await store.transaction((t) => {
        t.put("kv/d/old", text("x".repeat(40)));
        t.put("kv/s/junk", text("x"));
        t.put("other", text("stays"));
      });
      const chunks: Uint8Array[] = [];
      for (let at = 0; at < whole.length; at += chunkBytes) chunks.push(whole.subarray(at, at + chunkBytes));
      const meta = await restoreSnapshot(store, chunks);
      expect(meta).toMatchObject({
        appliedIndex: 8,
        revision: 6,
        keys: 4,
        leases: 2,
        sessions: 1,
        leasedKeys: 1,
      });
      const other = KvMachine.open({ store });
      expect(snapshotOf(other, chunkBytes)).toEqual(whole);
      const results = await other.apply(tail);
      expect(results.at(0)).toMatchObject({ code: "OK", revision: 6 });
      expect(results.at(1)).toMatchObject({ count: 1 });
      expect(snapshotOf(other)).toEqual(snapshotOf(rig.machine));
      expect(store.get("other")).toEqual(text("stays"));
    }
  });

  test("a large state, in chunks of the size asked for", async () => {
    const rig = new Rig({ store: await open() });
    const put = (at: number) =>
      encodeCommand({ op: "put", key: `k/${at}`, value: new Uint8Array(at % 300).fill(at) });
    await rig.machine.apply(Array.from({ length: 1_000 }, (_, at) => rig.entry(put(at))));
    const many = ["session-open", "lease-grant"].flatMap((op) =>
      Array.from({ length: 50 }, (_, at) =>
        rig.entry(encodeCommand(op === "lease-grant" ? { op, ttlMs: at + 1 } : { op: "session-open" })),
      ),
    );
    await rig.machine.apply(many);
    const chunks = [...rig.machine.snapshot(10_000)];
    expect(new Set(chunks.slice(0, -1).map((chunk) => chunk.length))).toEqual(new Set([10_000]));
    const inMemory = new Rig();
    await inMemory.machine.apply(rig.log);
    expect(Buffer.concat(chunks).equals(snapshotOf(inMemory.machine))).toBe(true);
    const other = new Rig({ store: await open() });
    await other.machine.apply(Array.from({ length: 200 }, (_, at) => other.entry(put(1_000 + at))));
    await other.machine.restore(chunks);
    expect(other.machine.range({ from: "" })).toEqual(rig.machine.range({ from: "" }));
    expect(snapshotOf(other.machine)).toEqual(snapshotOf(rig.machine));
  });

  test("damaged or cut, it is refused and changes nothing", async () => {
    const whole = snapshotOf((await filled()).machine);
    const store = await open();
    const target = new Rig({ store });
    await target.put("mine", "1");
    const before = all(store);
    const refused = async (bytes: Uint8Array) => {
      const outcome = await target.machine.restore([bytes]).catch((error) => error);
      expect(outcome).toEqual(
        expect.objectContaining({ code: expect.stringMatching(/^KV_SNAPSHOT$|^FORMAT_VERSION$/) }),
      );
    };
    for (let at = 0; at < whole.length; at += 1) {
      await refused(whole.subarray(0, at));
      for (const xor of [1, 0x80, 0xff])
        await refused(whole.map((byte, index) => (index === at ? byte ^ xor : byte)));
    }
    await refused(Buffer.concat([whole, new Uint8Array(1)]));
    expect(all(store)).toEqual(before);
    await target.machine.restore([whole]);
    expect(target.keys()).toContain("key/0");
  });

  test("pages of a read are those of one list, forward and reversed", async () => {
    const rig = new Rig({ store: await open() });
    const names = Array.from({ length: 300 }, (_, at) => `k/${(at * 7) % 300}`).concat([
      "\uFF5E",
      "\u{1F980}",
      "k/1\u0000",
    ]);
    await rig.machine.apply(
      names.map((key) => rig.entry(encodeCommand({ op: "put", key, value: text(key) }))),
    );
    const sorted = [...new Set(names)].sort(byBytes);
    for (const reverse of [false, true]) {
      const ordered = reverse ? sorted.toReversed() : sorted;
      for (const limit of [1, 63, 64, 65, 128, 300, 303, 10_000]) {
        const { items, more, revision } = rig.machine.range({ from: "", limit, reverse });
        expect(items.map((item) => item.key)).toEqual(ordered.slice(0, limit));
        expect([more, revision]).toEqual([limit < 303, 303]);
      }
    }
    const inside = rig.machine.range({ from: "k/10", to: "k/20", limit: 200 });
    expect(inside.items.map((item) => item.key)).toEqual(
      sorted.filter((key) => key >= "k/10" && key < "k/20"),
    );
  });
});

describe("snapshots", () => {
  /** With its checksum made right again. */
  const forged = (whole: Uint8Array, change: (bytes: Uint8Array) => void): Uint8Array => {
    const bytes = whole.slice();
    change(bytes);
    new DataView(bytes.buffer).setUint32(bytes.length - 4, crc32(bytes.subarray(0, -4)), true);
    return bytes;
  };

  test("with a right checksum and wrong content it is refused too", async () => {
    const whole = snapshotOf((await filled()).machine);
    const store = memoryState();
    const latin = Buffer.from(whole).toString("latin1");
    const at = (needle: string) => latin.indexOf(needle);
    const changes: Record<string, (bytes: Uint8Array) => void> = {
      magic: (bytes) => bytes.set([0], 0),
      "index beyond 2^53": (bytes) => bytes.set([0xff], 4 + 15),
      "fewer keys": (bytes) => bytes.set([3], 4 + 40),
      "keys counted as sessions": (bytes) => {
        bytes.set([3], 4 + 40);
        bytes.set([2], 4 + 72);
      },
      "a limit of 0": (bytes) => bytes.fill(0, 4 + 80, 4 + 88),
      "a window that no store could hold": (bytes) => bytes.set([1], 4 + 92),
      "key that is no text": (bytes) => bytes.set([0xff], at("d/key/1") + 2),
      "keys out of order": (bytes) => bytes.set([0x7a], at("d/key/1") + 2),
      "unknown section": (bytes) => bytes.set([0x65], at("d/leased")),
      "no such lease id": (bytes) => bytes.set([0x67], at("l/0000") + 2),
      "lease without a life": (bytes) => bytes.fill(0, at("l/0000") + 16, at("l/0000") + 20),
      "session without a beginning": (bytes) => bytes.fill(0, at("s/0000") + 24, at("s/0000") + 28),
      "session with other results": (bytes) => bytes.set([9], at("s/0000") + 28),
      "record of a huge value": (bytes) => bytes.set([0xff], at("d/key/1") - 1),
    };
    for (const [name, change] of Object.entries(changes)) {
      const outcome = restoreSnapshot(store, [forged(whole, change)]);
      await expect(outcome, name).rejects.toThrow(code("KV_SNAPSHOT"));
    }
    await expect(restoreSnapshot(store, [forged(whole, (bytes) => bytes.set([9], 4))])).rejects.toThrow(
      code("FORMAT_VERSION"),
    );
    expect(all(store)).toEqual([]);
    await restoreSnapshot(store, [forged(whole, () => undefined)]);
  });

  test("any forged byte either restores a machine that opens, or is refused with a code", async () => {
    const whole = snapshotOf((await filled()).machine);
    await fc.assert(
      fc.asyncProperty(fc.nat(whole.length - 5), fc.integer({ min: 1, max: 255 }), async (at, xor) => {
        const store = memoryState();
        const bytes = forged(whole, (b) => b.set([(b[at] as number) ^ xor], at));
        const outcome = await restoreSnapshot(store, [bytes]).catch((error) => error.code);
        if (typeof outcome === "string") {
          expect(outcome).toMatch(/^KV_SNAPSHOT$|^FORMAT_VERSION$/);
          expect(all(store)).toEqual([]);
        } else KvMachine.open({ store, limits: outcome.limits });
      }),
      { numRuns: 1_500 },
    );
  });

  test("of other limits, or older than the state, it is refused", async () => {
    const rig = await filled();
    const chunks = [...rig.machine.snapshot(64)];
    await expect(new Rig({ limits: { keys: 9 } }).machine.restore(chunks)).rejects.toThrow(/other limits/);
    await rig.put("more");
    await expect(rig.machine.restore(chunks)).rejects.toThrow(/ends at 8, before 9/);
    expect(rig.keys()).toContain("more");
  });

  test("a restore that fails half way leaves the old state; what is written alongside goes with it", async () => {
    const rig = await filled();
    const chunks = [...rig.machine.snapshot(64)];
    const store = new FaultyStore();
    const target = new Rig({ store });
    await target.put("mine");
    const before = all(store);
    for (let write = 1; write <= 12; write += 1) {
      store.failAtWrite = write;
      await expect(target.machine.restore(chunks, (t) => t.put("raft/snapshot", text("8")))).rejects.toThrow(
        "full",
      );
      expect(all(store)).toEqual(before);
      expect(target.machine.appliedIndex).toBe(1);
    }
    await target.machine.restore(chunks, (t, meta) => t.put("raft/snapshot", text(`${meta.appliedIndex}`)));
    expect(store.writes).toBe(12);
    expect(store.get("raft/snapshot")).toEqual(text("8"));
    expect(target.machine.appliedIndex).toBe(8);
  });

  test("is one moment's: a batch in between ends it", async () => {
    const rig = await filled();
    const chunks = rig.machine.snapshot(8);
    chunks.next();
    await rig.put("more");
    expect(() => [...chunks]).toThrow("moved on");
    expect(() => [...new Rig().machine.snapshot(64)]).toThrow("no snapshot");
    expect(() => [...rig.machine.snapshot(0)]).toThrow(RangeError);
  });
});

describe("reads", () => {
  test("are bounded by bytes: the entry that reaches the bound is the last", async () => {
    const rig = new Rig();
    const value = new Uint8Array(65_536);
    for (let at = 0; at < 70; at += 1) {
      await rig.machine.apply([rig.entry(encodeCommand({ op: "put", key: `${at + 100}`, value }))]);
    }
    const { items, more } = rig.machine.range({ from: "" });
    expect([items.length, more]).toEqual([READ_BYTES_MAX / 65_536, true]);
    expect(rig.machine.range({ from: "164\u0000" }).items.map((item) => item.key)).toEqual([
      "165",
      "166",
      "167",
      "168",
      "169",
    ]);
    for (const limit of [0, 10_001, 1.5])
      expect(() => rig.machine.range({ from: "", limit })).toThrow(RangeError);
  });

  test("of a store without a machine are empty, at revision 0", () => {
    expect(readRange(memoryState(), { from: "" })).toEqual({ items: [], more: false, revision: 0 });
  });

  test("prefixEnd bounds exactly what begins with a prefix", () => {
    const unit = fc.constantFrom("a", "b", "\uD7FF", "\uE000", "\uFFFF", "\u{10000}", "\u{10FFFF}");
    const name = fc.string({ unit, maxLength: 4 });
    fc.assert(
      fc.property(name, name, (prefix, key) => {
        const end = prefixEnd(prefix);
        const inside = byBytes(prefix, key) <= 0 && (end === "" || byBytes(key, end) < 0);
        expect(inside).toBe(key.startsWith(prefix));
        expect(end.isWellFormed()).toBe(true);
      }),
      { numRuns: 3_000 },
    );
  });
});
