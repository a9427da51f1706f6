/** Batches: atomic with the applied index, replayed without harm, bounded; sessions; what a machine opens on. */
import { describe, expect, test } from "vitest";
import { encodeCommand, type KvCommand, type KvSession } from "../../../../host/cluster/kv/command.ts";
import { BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, kvLimits } from "../../../../host/cluster/kv/limits.ts";
import { KvMachine } from "../../../../host/cluster/kv/machine.ts";
import { memoryState } from "../../../../host/store/memory-state.ts";
import { FaultyStore, Rig, snapshotOf, text } from "./kv-rig.ts";

const put = (key: string, value = "", lease = 0): KvCommand => ({
  op: "put",
  key,
  value: text(value),
  lease,
});
const everything = (store: FaultyStore) => [...store.range({ from: "\u0000", to: "\u{10FFFF}" })];

describe("applied index and data (etcd #13766: they were not atomic)", () => {
  test("etcd #13766: a batch whose transaction fails half way leaves neither its effects nor its index", async () => {
    const store = new FaultyStore();
    const rig = new Rig({ store });
    const session = (await rig.run({ op: "session-open" })).value;
    const lease = (await rig.run({ op: "lease-grant", ttlMs: 5 })).value;
    await rig.put("old", "1", { lease });
    const batch = [
      rig.entry(encodeCommand(put("a", "1"), { id: session, sequence: 1, acknowledgedBelow: 1 })),
      rig.entry(encodeCommand(put("b", "1", lease))),
      rig.entry(encodeCommand({ op: "tick", timeMs: 1 })),
      rig.entry(encodeCommand({ op: "tick", timeMs: 9 })),
      rig.entry(encodeCommand({ op: "session-open" })),
    ];
    const before = everything(store);
    const meta = rig.machine.meta;
    const watcher = rig.machine.watch({ prefix: "" });
    let failures = 0;
    for (; ; failures += 1) {
      store.failAtWrite = failures + 1;
      const outcome = await rig.machine.apply(batch).catch((error: Error) => error);
      if (!(outcome instanceof Error)) break;
      expect(outcome.message).toBe("the disk is full");
      expect(everything(store)).toEqual(before);
      expect(rig.machine.meta).toEqual(meta);
      expect(watcher.queued).toBe(0);
    }
    // Two puts, one with a lease; two deletes of leased keys; the lease; two sessions, the machine's record.
    expect(failures).toBe(11);
    expect(rig.machine.appliedIndex).toBe(rig.log.length);
    expect(watcher.take().map((event) => `${event.type} ${event.key}`)).toEqual([
      "put a",
      "put b",
      "delete b",
      "delete old",
    ]);
    const other = new Rig();
    await other.machine.apply(rig.log);
    expect(snapshotOf(rig.machine)).toEqual(snapshotOf(other.machine));
  });

  test("what is written alongside is in the same transaction, or nowhere", async () => {
    const store = new FaultyStore();
    const rig = new Rig({ store });
    await rig.machine.apply([rig.entry(encodeCommand(put("a")))], (t) =>
      t.put("raft/configuration", text("1")),
    );
    expect(store.get("raft/configuration")).toEqual(text("1"));
    const fails = rig.machine.apply([rig.entry(encodeCommand(put("b")))], () => {
      throw new Error("no");
    });
    await expect(fails).rejects.toThrow("no");
    expect([rig.machine.appliedIndex, rig.machine.revision, rig.machine.get("b")]).toEqual([1, 1, undefined]);
    await rig.machine.apply([], (t) => t.put("raft/configuration", text("2")));
    expect(store.get("raft/configuration")).toEqual(text("2"));
  });

  test("a store that cannot be read after a failure is read again before the next batch", async () => {
    const store = new FaultyStore();
    const rig = new Rig({ store });
    await rig.put("a");
    const entry = rig.entry(encodeCommand(put("b")));
    const fails = rig.machine.apply([entry], () => {
      store.isBroken = true;
      throw new Error("first");
    });
    await expect(fails).rejects.toThrow("first");
    await expect(rig.machine.apply([entry])).rejects.toThrow("broken");
    store.isBroken = false;
    await rig.machine.apply([entry]);
    expect([rig.keys(), rig.machine.revision]).toEqual([["a", "b"], 2]);
  });
});

describe("batches", () => {
  test("entries that were applied are skipped, also at the head of a batch, and after a crash", async () => {
    const rig = new Rig();
    for (let at = 0; at < 3; at += 1) await rig.put("a", `${at}`);
    rig.open();
    rig.entry(encodeCommand(put("a", "3")));
    const results = await rig.machine.apply(rig.log);
    expect([0, 1, 2, 3].map((at) => results.at(at).code)).toEqual(["SKIPPED", "SKIPPED", "SKIPPED", "OK"]);
    expect(rig.machine.get("a")).toMatchObject({ version: 4, modRevision: 4, createRevision: 1 });
    const again = await rig.machine.apply(rig.log.slice(0, 2));
    expect([again.at(0).code, again.at(1).code, rig.machine.revision]).toEqual(["SKIPPED", "SKIPPED", 4]);
    expect(rig.machine.appliedIndex).toBe(4);
  });

  test("an entry without payload moves the index and the term only", async () => {
    const rig = new Rig();
    await rig.put("a");
    const results = await rig.machine.apply([{ index: 2, term: 9, payload: new Uint8Array(0) }]);
    expect(results.at(0)).toMatchObject({ code: "OK", op: "none", revision: 1 });
    rig.open();
    expect([rig.machine.appliedIndex, rig.machine.appliedTerm, rig.machine.revision]).toEqual([2, 9, 1]);
  });

  test("gaps, batches beyond their bounds, and two batches at once are refused", async () => {
    const rig = new Rig();
    const payload = new Uint8Array(0);
    const entry = (index: number) => ({ index, term: 1, payload });
    await expect(rig.machine.apply([entry(2)])).rejects.toThrow("entry 1 is missing before entry 2");
    await expect(rig.machine.apply([entry(1), entry(3)])).rejects.toThrow("entry 2 is missing");
    const many = Array.from({ length: BATCH_ENTRIES_MAX + 1 }, (_, at) => entry(at + 1));
    await expect(rig.machine.apply(many)).rejects.toThrow(RangeError);
    const large = { index: 1, term: 1, payload: new Uint8Array(BATCH_BYTES_MAX + 1) };
    await expect(rig.machine.apply([large])).rejects.toThrow(RangeError);
    await rig.machine.apply([entry(1)]);
    // What was applied before does not count.
    const replayed = await rig.machine.apply([large, entry(2)]);
    expect(replayed.at(0).code).toBe("SKIPPED");
    const first = rig.machine.apply(many.slice(0, BATCH_ENTRIES_MAX));
    await expect(rig.machine.apply([])).rejects.toThrow("wait for it");
    await first;
    expect(rig.machine.appliedIndex).toBe(BATCH_ENTRIES_MAX);
  });

  test("a payload is read within apply only: its buffer may be used again", async () => {
    const rig = new Rig();
    const lease = (await rig.run({ op: "lease-grant", ttlMs: 5 })).value;
    const watcher = rig.machine.watch({ prefix: "" });
    const payload = encodeCommand(put("key", "value", lease));
    await rig.machine.apply([rig.entry(payload)]);
    payload.fill(0xff);
    expect(rig.machine.get("key")?.value).toEqual(text("value"));
    expect(watcher.take()).toMatchObject([{ key: "key", value: text("value") }]);
    // Records are built in one buffer: the next one must not reach into what a reader has.
    const seen = rig.machine.get("key");
    await rig.put("key", "other");
    expect(seen?.value).toEqual(text("value"));
  });

  test("a machine opens on the limits that its state was written under, and on no other format", async () => {
    const rig = new Rig({ limits: { sessions: 3 } });
    await rig.put("a");
    expect(() => KvMachine.open({ store: rig.store })).toThrow(
      expect.objectContaining({ code: "CONFIG_INVALID" }),
    );
    expect(() => kvLimits({ leases: 0 })).toThrow(RangeError);
    expect(() => kvLimits({ sessionWindow: 40_000 })).toThrow(RangeError);
    const stored = rig.store.get("kv/m") as Uint8Array;
    for (const [at, code] of [
      [0, "FORMAT_VERSION"],
      [15, "STATE_CORRUPT"],
      [64, "STATE_CORRUPT"],
      [72, "STATE_CORRUPT"],
    ] as const) {
      await rig.store.transaction((t) =>
        t.put(
          "kv/m",
          stored.map((byte, index) => (index === at ? 0xee : byte)),
        ),
      );
      expect(() => rig.open(), `byte ${at}`).toThrow(expect.objectContaining({ code }));
    }
    await rig.store.transaction((t) => t.put("kv/m", stored.subarray(0, 50)));
    expect(() => rig.open()).toThrow(expect.objectContaining({ code: "STATE_CORRUPT" }));
    await rig.store.transaction((t) => {
      t.put("kv/m", stored);
      t.put("kv/s/odd", text("x"));
    });
    expect(() => rig.open()).toThrow(expect.objectContaining({ code: "STATE_CORRUPT" }));
    await rig.store.transaction((t) => {
      t.delete("kv/s/odd");
      t.put("kv/l/00000000000001", text("x"));
    });
    expect(() => rig.open()).toThrow(expect.objectContaining({ code: "STATE_CORRUPT" }));
  });

  test("other state in the same store is left alone", async () => {
    const store = memoryState();
    await store.transaction((t) => {
      t.put("kv", text("1"));
      t.put("kv0", text("2"));
    });
    const rig = new Rig({ store });
    await rig.put("a");
    await rig.run({ op: "delete-range", from: "", to: "" });
    const taken = [...rig.machine.snapshot(4096)];
    await rig.machine.restore(taken);
    expect([store.get("kv"), store.get("kv0"), rig.keys()]).toEqual([text("1"), text("2"), []]);
  });
});

describe("conditions", () => {
  test("compare-and-set by value, and create or delete by revision", async () => {
    const rig = new Rig();
    const cas = (value: string, when: { revision: number } | { value: Uint8Array }) =>
      rig.run({ op: "put", key: "k", value: text(value), when });
    expect(await cas("1", { value: text("") })).toMatchObject({ code: "CONDITION", value: 0, revision: 0 });
    expect(await cas("1", { revision: 0 })).toMatchObject({ code: "OK", value: 0, revision: 1 });
    expect(await cas("2", { revision: 0 })).toMatchObject({ code: "CONDITION", value: 1, revision: 1 });
    expect(await cas("2", { value: text("2") })).toMatchObject({ code: "CONDITION", value: 1 });
    expect(await cas("2", { value: text("1") })).toMatchObject({ code: "OK", value: 1, revision: 2 });
    const remove = (revision: number) => rig.run({ op: "delete", key: "k", when: { revision } });
    expect(await remove(1)).toMatchObject({ code: "CONDITION", value: 2, count: 0 });
    expect(await remove(2)).toMatchObject({ code: "OK", value: 2, count: 1, revision: 3 });
    expect(await rig.run({ op: "delete", key: "k" })).toMatchObject({ code: "OK", count: 0, revision: 3 });
  });
});

describe("sessions (thesis 6.3: filtering duplicates)", () => {
  const by = (id: number, sequence: number, acknowledgedBelow = 1): KvSession => ({
    id,
    sequence,
    acknowledgedBelow,
  });

  test("exactly once: a retry is answered with the first result and not applied, in a batch, later, and after a crash", async () => {
    const rig = new Rig();
    const id = (await rig.run({ op: "session-open" })).value;
    const command: KvCommand = { op: "put", key: "k", value: text("1"), when: { revision: 0 } };
    const bytes = encodeCommand(command, by(id, 1));
    const both = await rig.machine.apply([rig.entry(bytes), rig.entry(bytes)]);
    expect(both.at(0)).toMatchObject({ code: "OK", revision: 1 });
    expect(both.at(1)).toEqual(both.at(0));
    await rig.put("k", "2");
    expect(await rig.run(command, by(id, 1))).toEqual(both.at(0));
    rig.open();
    expect(await rig.run(command, by(id, 1))).toEqual(both.at(0));
    expect(rig.machine.get("k")).toMatchObject({ value: text("2"), version: 2 });
    // Without a session it is a command of its own.
    expect(await rig.run(command)).toMatchObject({ code: "CONDITION" });
  });

  test("exactly once, whatever the order in which commands of one session come", async () => {
    const rig = new Rig();
    const id = (await rig.run({ op: "session-open" })).value;
    expect((await rig.run(put("b"), by(id, 2))).revision).toBe(1);
    expect((await rig.run(put("a"), by(id, 1))).revision).toBe(2);
    expect((await rig.run(put("b"), by(id, 2))).revision).toBe(1);
    expect((await rig.run(put("a"), by(id, 1))).revision).toBe(2);
    expect(rig.machine.revision).toBe(2);
  });

  test("results are dropped when they are acknowledged; what comes after that is stale", async () => {
    const rig = new Rig();
    const id = (await rig.run({ op: "session-open" })).value;
    for (let sequence = 1; sequence <= 20; sequence += 1) await rig.run(put("k"), by(id, sequence));
    const length = () => rig.store.get(`kv/s/${id.toString(16).padStart(14, "0")}`)?.length;
    expect(length()).toBe(16 + 20 * 28);
    await rig.run(put("k"), by(id, 21, 20));
    expect(length()).toBe(16 + 2 * 28);
    expect(await rig.run(put("k"), by(id, 19, 19))).toMatchObject({ code: "SESSION_STALE", revision: 21 });
    expect(await rig.run(put("k"), by(id, 20, 1))).toMatchObject({ code: "OK", revision: 20 });
  });

  test("as many commands are outstanding as the window allows, and no more are applied", async () => {
    const rig = new Rig({ limits: { sessionWindow: 5 } });
    const id = (await rig.run({ op: "session-open" })).value;
    for (let sequence = 1; sequence <= 5; sequence += 1)
      expect(await rig.run(put("k"), by(id, sequence, 0))).toMatchObject({ code: "OK" });
    expect(await rig.run(put("k"), by(id, 6))).toMatchObject({ code: "SESSION_WINDOW", revision: 5 });
    expect(await rig.run(put("k"), by(id, 6, 2))).toMatchObject({ code: "OK", revision: 6 });
    rig.open();
    expect(await rig.run(put("k"), by(id, 2))).toMatchObject({ code: "OK", revision: 2 });
    expect(await rig.run(put("k"), by(id, 0xffff_ffff, 2))).toMatchObject({ code: "SESSION_WINDOW" });
  });

  test("the session that was not used for longest makes room, and is told", async () => {
    const rig = new Rig({ limits: { sessions: 3 } });
    const ids: number[] = [];
    for (let at = 0; at < 3; at += 1) ids.push((await rig.run({ op: "session-open" })).value);
    expect(ids).toEqual([1, 2, 3]);
    await rig.run(put("a"), by(1, 1));
    rig.open();
    const fourth = (await rig.run({ op: "session-open" })).value;
    expect(rig.machine.meta.sessions).toBe(3);
    expect(await rig.run(put("b"), by(2, 1))).toMatchObject({ code: "SESSION_EXPIRED", revision: 1 });
    for (const id of [1, 3, fourth]) expect(await rig.run(put("c"), by(id, 9))).toMatchObject({ code: "OK" });
    expect(rig.keys()).toEqual(["a", "c"]);
    expect(await rig.run(put("b"), by(77, 1))).toMatchObject({ code: "SESSION_EXPIRED" });
  });

  test("a closed session is gone, and so is what it kept", async () => {
    const rig = new Rig();
    const id = (await rig.run({ op: "session-open" })).value;
    await rig.run(put("a"), by(id, 1));
    expect(await rig.run({ op: "session-close" }, by(id, 1))).toMatchObject({ code: "OK" });
    expect(await rig.run({ op: "session-close" }, by(id, 1))).toMatchObject({ code: "SESSION_EXPIRED" });
    expect(await rig.run(put("a"), by(id, 1))).toMatchObject({ code: "SESSION_EXPIRED" });
    expect([...rig.store.range({ from: "kv/s/", to: "kv/s0" })]).toEqual([]);
  });

  test("ten thousand sessions, the bound by default", async () => {
    const rig = new Rig();
    const open = encodeCommand({ op: "session-open" });
    await rig.machine.apply(Array.from({ length: 10_002 }, () => rig.entry(open)));
    expect(rig.machine.meta.sessions).toBe(10_000);
    expect(await rig.run(put("a"), by(2, 1))).toMatchObject({ code: "SESSION_EXPIRED" });
    expect(await rig.run(put("a"), by(3, 1))).toMatchObject({ code: "OK" });
  });
});
