/** Leases in log time: what ends when, what it takes along, how many there may be. */
import { describe, expect, test } from "vitest";
import { encodeCommand } from "../../../../host/cluster/kv/command.ts";
import { Rig, text } from "./kv-rig.ts";

const grant = async (rig: Rig, ttlMs: number) => (await rig.run({ op: "lease-grant", ttlMs })).value;
const tick = (rig: Rig, timeMs: number) => rig.run({ op: "tick", timeMs });
const keepAlive = (rig: Rig, lease: number) => rig.run({ op: "lease-keep-alive", lease });

describe("leases", () => {
  test("end at the tick that comes ttl after the first tick behind their grant, with their keys", async () => {
    const rig = new Rig();
    await tick(rig, 1_000);
    const lease = await grant(rig, 50);
    await rig.put("b", "", { lease });
    await rig.put("a", "", { lease });
    await rig.put("c");
    const watcher = rig.machine.watch({ prefix: "" });
    // The grant may have been asked for at any time up to 1,040: until 1,090 its holder may count on it.
    await tick(rig, 1_040);
    expect(await tick(rig, 1_089)).toMatchObject({ count: 0, value: 1_089 });
    rig.open();
    const again = rig.machine.watch({ prefix: "" });
    expect(await tick(rig, 1_090)).toMatchObject({ count: 2, more: false });
    expect(rig.keys()).toEqual(["c"]);
    expect(watcher.take()).toEqual([]);
    expect(again.take()).toEqual([
      { type: "delete", key: "a", revision: 5 },
      { type: "delete", key: "b", revision: 6 },
    ]);
    expect(await keepAlive(rig, lease)).toMatchObject({ code: "LEASE_NOT_FOUND" });
    expect(rig.machine.meta).toMatchObject({ leases: 0, leasedKeys: 0 });
  });

  test("live on when they are kept alive, and not when that comes too late", async () => {
    const rig = new Rig();
    const lease = await grant(rig, 50);
    await rig.put("a", "", { lease });
    for (let timeMs = 0; timeMs <= 400; timeMs += 40) {
      await tick(rig, timeMs);
      expect(await keepAlive(rig, lease)).toMatchObject({ code: "OK" });
    }
    await tick(rig, 440);
    await tick(rig, 489);
    expect(rig.keys()).toEqual(["a"]);
    await tick(rig, 490);
    expect(rig.keys()).toEqual([]);
    expect(await keepAlive(rig, lease)).toMatchObject({ code: "LEASE_NOT_FOUND" });
  });

  test("time never runs backward: a tick of a slower clock counts as the last one", async () => {
    const rig = new Rig();
    const lease = await grant(rig, 50);
    await rig.put("a", "", { lease });
    await tick(rig, 1_000);
    expect(await tick(rig, 10)).toMatchObject({ code: "OK", value: 1_000 });
    expect(rig.machine.timeMs).toBe(1_000);
    await tick(rig, 1_049);
    expect(rig.keys()).toEqual(["a"]);
  });

  test("a lease's id is a fencing token: above every earlier one, and below the revisions of what it holds", async () => {
    const rig = new Rig();
    let last = 0;
    for (let at = 0; at < 20; at += 1) {
      const lease = await grant(rig, 5);
      expect(lease).toBeGreaterThan(last);
      last = lease;
      await rig.put("lock", "", { lease });
      expect(rig.machine.get("lock")).toMatchObject({ lease });
      expect(rig.machine.get("lock")?.modRevision).toBeGreaterThan(lease);
      if (at % 2 === 0) await rig.run({ op: "lease-revoke", lease });
      else await tick(rig, at * 100);
      if (at % 5 === 0) rig.open();
    }
  });

  test("a key leaves its lease by a put without it, and changes it by a put with another", async () => {
    const rig = new Rig();
    const [one, other] = [await grant(rig, 5), await grant(rig, 5)];
    for (const key of ["a", "b", "c"]) await rig.put(key, "", { lease: one });
    await rig.put("a");
    await rig.put("b", "", { lease: other });
    expect(await rig.run({ op: "lease-revoke", lease: one })).toMatchObject({ count: 1 });
    expect(rig.keys()).toEqual(["a", "b"]);
    await rig.run({ op: "delete", key: "b" });
    expect(await rig.run({ op: "lease-revoke", lease: other })).toMatchObject({ code: "OK", count: 0 });
    expect([...rig.store.range({ from: "kv/k/", to: "kv/l0" })]).toEqual([]);
  });

  test("a put with a lease that is not there, or is full, changes nothing", async () => {
    const rig = new Rig({ limits: { leaseKeys: 2 } });
    const lease = await grant(rig, 5);
    expect(await rig.put("a", "", { lease: lease + 1 })).toMatchObject({
      code: "LEASE_NOT_FOUND",
      revision: 1,
    });
    await rig.put("a", "", { lease });
    await rig.put("b", "", { lease });
    expect(await rig.put("c", "", { lease })).toMatchObject({ code: "LEASE_KEYS_FULL", revision: 3 });
    expect(await rig.put("b", "again", { lease })).toMatchObject({ code: "OK" });
    await rig.run({ op: "delete", key: "a" });
    expect(await rig.put("c", "", { lease })).toMatchObject({ code: "OK" });
  });

  test("there are as many as allowed", async () => {
    const rig = new Rig({ limits: { leases: 2 } });
    const first = await grant(rig, 5);
    await grant(rig, 5);
    expect(await rig.run({ op: "lease-grant", ttlMs: 5 })).toMatchObject({
      code: "LEASES_FULL",
      value: 0,
      revision: 2,
    });
    await rig.run({ op: "lease-revoke", lease: first });
    expect(await grant(rig, 5)).toBe(3);
  });

  test("one tick deletes a bounded number of keys; leases behind it are over all the same", async () => {
    const rig = new Rig({ limits: { deletes: 3, leaseKeys: 4 } });
    const leases: number[] = [];
    for (let at = 0; at < 3; at += 1) {
      const lease = await grant(rig, 5);
      leases.push(lease);
      for (let key = 0; key < 2; key += 1) await rig.put(`${at}/${key}`, "", { lease });
    }
    await tick(rig, 0);
    expect(await tick(rig, 5)).toMatchObject({ count: 2, more: true });
    expect(await keepAlive(rig, leases[1] as number)).toMatchObject({ code: "LEASE_NOT_FOUND" });
    expect(await rig.put("x", "", { lease: leases[2] as number })).toMatchObject({ code: "LEASE_NOT_FOUND" });
    rig.open();
    expect(await tick(rig, 5)).toMatchObject({ count: 2, more: true });
    expect(await tick(rig, 5)).toMatchObject({ count: 2, more: false });
    // One lease may have more keys than a tick deletes: it goes whole.
    const large = await grant(rig, 5);
    for (let key = 0; key < 4; key += 1) await rig.put(`l/${key}`, "", { lease: large });
    await tick(rig, 6);
    expect(await tick(rig, 11)).toMatchObject({ count: 4, more: false });
  });

  test("ten thousand leases, the bound by default, end in one pass", async () => {
    const rig = new Rig();
    const one = encodeCommand({ op: "lease-grant", ttlMs: 5 });
    const results = await rig.machine.apply(Array.from({ length: 10_001 }, () => rig.entry(one)));
    expect([results.at(9_999).code, results.at(10_000).code]).toEqual(["OK", "LEASES_FULL"]);
    await tick(rig, 0);
    await tick(rig, 5);
    expect(rig.machine.meta.leases).toBe(0);
  });
});

describe("bounds of the store", () => {
  test("keys and bytes; what is deleted makes room", async () => {
    const rig = new Rig({ limits: { keys: 2, bytes: 2 * 33 + 10 } });
    await rig.put("a", "12345");
    await rig.put("b", "12345");
    expect(await rig.put("c")).toMatchObject({ code: "STORE_FULL", revision: 2 });
    expect(await rig.put("a", "123456")).toMatchObject({ code: "STORE_FULL", value: 1 });
    expect(await rig.put("a", "54321")).toMatchObject({ code: "OK" });
    await rig.run({ op: "delete", key: "b" });
    expect(await rig.put("c", "12345")).toMatchObject({ code: "OK" });
    expect(rig.machine.meta).toMatchObject({ keys: 2, bytes: 76 });
  });

  test("a delete-range deletes the first of them and says that there are more", async () => {
    const rig = new Rig({ limits: { deletes: 100 } });
    for (let at = 0; at < 250; at += 1) await rig.put(`k/${at.toString().padStart(3, "0")}`);
    await rig.put("other");
    const range = { op: "delete-range", from: "k/", to: "k0" } as const;
    expect(await rig.run({ ...range, limit: 10 })).toMatchObject({ count: 10, more: true });
    expect(rig.keys()[0]).toBe("k/010");
    expect(await rig.run({ ...range, limit: 1_000 })).toMatchObject({ count: 100, more: true });
    expect(await rig.run(range)).toMatchObject({ count: 100, more: true });
    expect(await rig.run({ ...range, limit: 40 })).toMatchObject({ count: 40, more: false });
    expect(await rig.run(range)).toMatchObject({ code: "OK", count: 0, more: false });
    expect(rig.keys()).toEqual(["other"]);
    expect(rig.machine.get("other")?.value).toEqual(text(""));
  });
});
