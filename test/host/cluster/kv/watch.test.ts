/** Watchers: from which revision, which keys, what a slow one meets. */
import { describe, expect, test } from "vitest";
import { encodeCommand } from "../../../../host/cluster/kv/command.ts";
import type { KvKeys } from "../../../../host/cluster/kv/watch.ts";
import { FaultyStore, Rig, text } from "./kv-rig.ts";

const revisions = (events: readonly { readonly revision: number }[]) =>
  events.map(({ revision }) => revision);
const code = (value: string) => expect.objectContaining({ code: value });

/** `count` puts in one batch. */
async function puts(rig: Rig, count: number, value = ""): Promise<void> {
  const bytes = encodeCommand({ op: "put", key: "k", value: text(value) });
  await rig.machine.apply(Array.from({ length: count }, () => rig.entry(bytes)));
}

describe("watchers", () => {
  test("hear of their keys only: one key, a prefix, a range in the order of UTF-8", async () => {
    const rig = new Rig();
    const heard = (keys: KvKeys) => {
      const watcher = rig.machine.watch(keys);
      return () => watcher.take().map((event) => event.key);
    };
    const key = heard({ key: "a" });
    const prefix = heard({ prefix: "a" });
    const range = heard({ from: "a/", to: "b" });
    const rest = heard({ from: "\uFF5E", to: "" });
    for (const name of ["a", "a/1", "ab", "b", "\uFF5E", "\u{1F980}"]) await rig.put(name);
    expect(key()).toEqual(["a"]);
    expect(prefix()).toEqual(["a", "a/1", "ab"]);
    expect(range()).toEqual(["a/1", "ab"]);
    expect(rest()).toEqual(["\uFF5E", "\u{1F980}"]);
  });

  test("get what a put wrote and what a delete removed", async () => {
    const rig = new Rig();
    const lease = (await rig.run({ op: "lease-grant", ttlMs: 5 })).value;
    const watcher = rig.machine.watch({ key: "a" });
    await rig.put("a", "1");
    await rig.put("a", "2", { lease });
    await rig.run({ op: "lease-revoke", lease });
    const events = watcher.take();
    // A queue is bounded by its values, so it must not hold whole buffers of batches.
    for (const event of events) if (event.type === "put") expect(event.value.buffer.byteLength).toBe(1);
    expect(events).toEqual([
      { type: "put", key: "a", value: text("1"), createRevision: 2, revision: 2, version: 1, lease: 0 },
      { type: "put", key: "a", value: text("2"), createRevision: 2, revision: 3, version: 2, lease },
      { type: "delete", key: "a", revision: 4 },
    ]);
  });

  test("are told after the commit, once a batch, and a batch that fails is told to nobody", async () => {
    const store = new FaultyStore();
    const rig = new Rig({ store });
    const told: number[] = [];
    const watcher = rig.machine.watch({
      prefix: "",
      onReady: () => told.push(rig.machine.range({ from: "" }).revision),
    });
    await puts(rig, 3);
    expect(told).toEqual([3]);
    store.failAtWrite = 2;
    const batch = [4, 5].map(() => rig.entry(encodeCommand({ op: "put", key: "x", value: text("") })));
    await expect(rig.machine.apply(batch)).rejects.toThrow("full");
    expect([told, revisions(watcher.take())]).toEqual([[3], [1, 2, 3]]);
    await rig.machine.apply(batch);
    expect([told, revisions(watcher.take())]).toEqual([
      [3, 5],
      [4, 5],
    ]);
  });

  test("begin at an older revision that is kept, or hear of the oldest that is", async () => {
    const rig = new Rig({ watch: { historyEvents: 4 } });
    for (let at = 0; at < 6; at += 1) await puts(rig, 1);
    expect(rig.machine.oldestRevision).toBe(3);
    expect(() => rig.machine.watch({ prefix: "", fromRevision: 2 })).toThrow(/oldest is 3/);
    expect(() => rig.machine.watch({ prefix: "", fromRevision: 2 })).toThrow(code("KV_COMPACTED"));
    expect(rig.machine.watcherCount).toBe(0);
    const watcher = rig.machine.watch({ key: "k", fromRevision: 3 });
    const late = rig.machine.watch({ key: "k", fromRevision: 8 });
    await puts(rig, 3);
    expect(revisions(watcher.take())).toEqual([3, 4, 5, 6, 7, 8, 9]);
    expect(revisions(late.take())).toEqual([8, 9]);
    // The newest batch is kept whatever its size; after a start nothing is.
    await puts(rig, 20);
    expect(rig.machine.oldestRevision).toBe(10);
    rig.open();
    expect(rig.machine.oldestRevision).toBe(30);
  });

  test("the history is bounded by bytes too", async () => {
    const rig = new Rig({ watch: { historyBytes: 5_000 } });
    for (let at = 0; at < 20; at += 1) await puts(rig, 1, "x".repeat(1_000));
    expect(rig.machine.oldestRevision).toBe(20 - 3);
    expect(revisions(rig.machine.watch({ prefix: "", fromRevision: 17 }).take())).toEqual([17, 18, 19, 20]);
  });

  test("a slow one is ended, the others and the machine go on; it says where to begin again", async () => {
    const rig = new Rig({ watch: { queueEvents: 4 } });
    let ready = 0;
    const slow = rig.machine.watch({ prefix: "", onReady: () => (ready += 1) });
    const other = rig.machine.watch({ key: "other" });
    await puts(rig, 3);
    expect(revisions(slow.take(1))).toEqual([1]);
    // With room left it takes a batch whole.
    await puts(rig, 6);
    expect([slow.queued, slow.ended]).toEqual([8, undefined]);
    await puts(rig, 1);
    expect([slow.queued, slow.ended, slow.nextRevision, ready]).toEqual([0, "KV_WATCH_SLOW", 2, 3]);
    expect([rig.machine.watcherCount, rig.machine.revision, other.ended]).toEqual([1, 10, undefined]);
    const again = rig.machine.watch({ prefix: "", fromRevision: slow.nextRevision });
    expect(revisions(again.take())).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10]);
    await rig.put("other");
    expect(revisions(other.take())).toEqual([11]);
  });

  test("a queue is bounded by bytes too", async () => {
    const rig = new Rig({ watch: { queueBytes: 1_000 } });
    const watcher = rig.machine.watch({ prefix: "" });
    await puts(rig, 1, "x".repeat(998));
    await puts(rig, 1);
    expect(watcher.queued).toBe(2);
    watcher.take(1);
    await puts(rig, 1, "x".repeat(999));
    expect(watcher.queued).toBe(2);
    await puts(rig, 1);
    expect(watcher.ended).toBe("KV_WATCH_SLOW");
  });

  test("one that hears of nothing need not begin at the beginning", async () => {
    const rig = new Rig();
    const watcher = rig.machine.watch({ key: "other" });
    await puts(rig, 5);
    expect(watcher.nextRevision).toBe(6);
    expect(rig.machine.watch({ prefix: "", fromRevision: 50 }).nextRevision).toBe(50);
  });

  test("there are as many as allowed, and a closed one makes room", async () => {
    const rig = new Rig({ watch: { watchers: 2 } });
    const first = rig.machine.watch({ key: "a" });
    rig.machine.watch({ prefix: "" });
    expect(() => rig.machine.watch({ key: "a" })).toThrow(code("KV_WATCHERS_FULL"));
    first.close();
    first.close();
    await rig.put("a");
    expect([first.ended, first.take(), rig.machine.watcherCount]).toEqual(["closed", [], 1]);
    rig.machine.watch({ key: "a" });
  });

  test("whoever is told may watch, close and take", async () => {
    const rig = new Rig();
    const got: number[] = [];
    const second = rig.machine.watch({ prefix: "" });
    const first = rig.machine.watch({
      prefix: "",
      onReady: () => {
        first.close();
        second.close();
        got.push(...revisions(rig.machine.watch({ prefix: "", fromRevision: 1 }).take()));
      },
    });
    await puts(rig, 2);
    expect([got, rig.machine.watcherCount]).toEqual([[1, 2], 1]);
  });

  test("a restore ends them: what happened in between is unknown", async () => {
    const rig = new Rig();
    await puts(rig, 1);
    const behind = new Rig();
    await behind.machine.restore([...rig.machine.snapshot(64)]);
    const watchers = [behind.machine.watch({ prefix: "" }), behind.machine.watch({ key: "k" })];
    await puts(rig, 4);
    await behind.machine.restore([...rig.machine.snapshot(64)]);
    expect(watchers.map(({ ended, nextRevision }) => [ended, nextRevision])).toEqual([
      ["KV_COMPACTED", 2],
      ["KV_COMPACTED", 2],
    ]);
    expect(() => behind.machine.watch({ prefix: "", fromRevision: 2 })).toThrow(/oldest is 6/);
  });

  test("can be iterated, which ends with them", async () => {
    const rig = new Rig({ watch: { queueEvents: 3 } });
    const watcher = rig.machine.watch({ prefix: "" });
    const seen: number[] = [];
    const reading = (async () => {
      for await (const event of watcher) seen.push(event.revision);
    })();
    for (let at = 0; at < 5; at += 1) {
      await puts(rig, 2);
      await rig.machine.apply([]);
    }
    while (seen.length < 10) await Promise.resolve();
    watcher.close();
    await reading;
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    const slow = rig.machine.watch({ prefix: "" });
    await puts(rig, 3);
    await puts(rig, 1);
    await expect(slow[Symbol.asyncIterator]().next()).rejects.toThrow(code("KV_WATCH_SLOW"));
    const left = rig.machine.watch({ prefix: "", fromRevision: 1 });
    for await (const event of left) if (event.revision === 2) break;
    expect(left.ended).toBe("closed");
  });
});
