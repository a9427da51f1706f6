import { describe, expect, test } from "vitest";
import { SimulatedClock } from "../../../host/world/clock.ts";
import { SimulatedCrash, SimulatedDisk } from "../../../host/world/disk.ts";
import { seededRandom } from "../../../host/world/random.ts";

const make = (
  seed: number,
  options: { clock?: SimulatedClock; syncMs?: number; capacityBytes?: number } = {},
) => new SimulatedDisk({ random: seededRandom(seed), ...options });
const SEEDS = Array.from({ length: 200 }, (_, seed) => seed);

/** A disk with a durable file of two sectors of ones. */
async function withFile(seed: number) {
  const disk = make(seed);
  const file = await disk.open("f", { create: true });
  file.write(0, new Uint8Array(1024).fill(1));
  await file.sync();
  await disk.syncFolder(".");
  return { disk, file };
}

describe("a power cut", () => {
  test("keeps what was synced", async () => {
    for (const seed of SEEDS) {
      const { disk } = await withFile(seed);
      disk.powerCut();
      expect(disk.peek("f")).toEqual(new Uint8Array(1024).fill(1));
    }
  });

  test("leaves every sector of an unsynced write whole, old or new, in any combination", async () => {
    const seen = new Set<string>();
    for (const seed of SEEDS) {
      const { disk, file } = await withFile(seed);
      file.write(100, new Uint8Array(900).fill(2));
      disk.powerCut();
      const bytes = disk.peek("f");
      const first = new Set(bytes.subarray(100, 512));
      const second = new Set(bytes.subarray(512, 1000));
      expect([first.size, second.size]).toEqual([1, 1]);
      expect([...bytes.subarray(0, 100), ...bytes.subarray(1000)].every((byte) => byte === 1)).toBe(true);
      seen.add(`${[...first]}${[...second]}`);
    }
    expect([...seen].sort()).toEqual(["11", "12", "21", "22"]);
  });

  test("may leave a sector at any version it went through, but never mixes a later write without the earlier", async () => {
    const seen = new Set<string>();
    for (const seed of SEEDS) {
      const { disk, file } = await withFile(seed);
      file.write(0, new Uint8Array([2, 2]));
      file.write(1, new Uint8Array([3, 3]));
      disk.powerCut();
      seen.add(disk.peek("f").subarray(0, 3).join(""));
    }
    expect([...seen].sort()).toEqual(["111", "221", "233"]);
  });

  test("loses names, renames and removals of a folder that was not synced, each on its own", async () => {
    const seen = new Set<string>();
    for (const seed of SEEDS) {
      const { disk } = await withFile(seed);
      await disk.open("g", { create: true });
      await disk.rename("f", "h");
      disk.powerCut();
      seen.add((await disk.list(".")).join(""));
    }
    expect([...seen].sort()).toEqual(["f", "fg", "gh", "h"]);
    for (const seed of SEEDS) {
      const { disk } = await withFile(seed);
      await disk.rename("f", "h");
      await disk.syncFolder(".");
      await disk.remove("h");
      await disk.syncFolder(".");
      disk.powerCut();
      expect(await disk.list(".")).toEqual([]);
    }
  });

  test("during a sync loses or keeps, and the caller never hears that it was done", async () => {
    const seen = new Set<number>();
    for (const seed of SEEDS) {
      const { disk, file } = await withFile(seed);
      file.write(0, new Uint8Array([2]));
      disk.crashAfter(1, "power");
      await expect(file.sync()).rejects.toThrow(SimulatedCrash);
      seen.add(disk.peek("f")[0] as number);
    }
    expect([...seen].sort()).toEqual([1, 2]);
  });
});

describe("a crash", () => {
  test("by kill keeps the page cache, and a sync of the next process covers it", async () => {
    for (const seed of SEEDS) {
      const clock = new SimulatedClock();
      const { disk } = await withFile(seed);
      const slow = disk.clone(seededRandom(seed));
      const file = await slow.open("f");
      file.write(0, new Uint8Array([2]));
      slow.kill();
      expect(slow.peek("f")[0]).toBe(2);
      await (await slow.open("f")).sync();
      slow.powerCut();
      expect(slow.peek("f")[0]).toBe(2);
      await clock.settle();
    }
  });

  test("a sync that a kill interrupted is covered by the next one", async () => {
    const clock = new SimulatedClock();
    const disk = make(1, { clock, syncMs: 10 });
    const file = await disk.open("f", { create: true });
    file.write(0, new Uint8Array([2]));
    const interrupted = expect(file.sync()).rejects.toThrow(SimulatedCrash);
    disk.kill();
    const next = (async () => {
      await (await disk.open("f")).sync();
      await disk.syncFolder(".");
    })();
    await clock.advance(50);
    await Promise.all([interrupted, next]);
    disk.powerCut();
    expect(disk.peek("f")).toEqual(new Uint8Array([2]));
  });

  test("ends everything that its process still does", async () => {
    const { disk, file } = await withFile(1);
    const mount = disk.mount();
    const lock = await mount.lock("lock");
    disk.kill();
    expect(() => file.write(0, new Uint8Array(1))).toThrow(SimulatedCrash);
    const late = [
      file.sync(),
      file.read(0, 1),
      mount.open("f"),
      mount.list("."),
      mount.remove("f"),
      mount.rename("f", "g"),
    ];
    for (const work of [...late, mount.syncFolder("."), mount.makeFolder("x"), mount.lock("l")]) {
      await expect(work).rejects.toThrow(SimulatedCrash);
    }
    await lock.release();
    expect(await disk.list(".")).toEqual(["f"]);
    await disk.lock("lock");
  });

  test("comes at the operation that was named", async () => {
    const { disk, file } = await withFile(1);
    disk.crashAfter(3, "kill");
    file.write(0, new Uint8Array([5]));
    await file.sync();
    expect(disk.crashArmed).toBe(true);
    expect(() => file.write(0, new Uint8Array([6]))).toThrow(SimulatedCrash);
    expect([disk.crashArmed, disk.peek("f")[0]]).toEqual([false, 6]);
    disk.crashAfter(1, "kill");
    disk.disarm();
    await disk.makeFolder("x");
  });
});

describe("faults on demand", () => {
  test("a full disk refuses to grow and takes what fits in place", async () => {
    const disk = make(1, { capacityBytes: 100 });
    const file = await disk.open("f", { create: true });
    file.write(0, new Uint8Array(100));
    expect(() => file.write(100, new Uint8Array(1))).toThrow(expect.objectContaining({ code: "DISK_FULL" }));
    file.write(50, new Uint8Array(50));
    expect(disk.usedBytes).toBe(100);
    await disk.remove("f");
    expect(disk.usedBytes).toBe(0);
  });

  test("replacing a file by rename gives its room back", async () => {
    const disk = make(1, { capacityBytes: 200 });
    (await disk.open("f", { create: true })).write(0, new Uint8Array(100));
    (await disk.open("g", { create: true })).write(0, new Uint8Array(60));
    await disk.rename("f", "g");
    expect(disk.usedBytes).toBe(100);
    disk.powerCut();
    expect(disk.usedBytes).toBeLessThanOrEqual(160);
  });

  test("a failed sync stays failed, and the bytes may be lost though readers saw them", async () => {
    const lost = new Set<number>();
    for (const seed of SEEDS) {
      const { disk, file } = await withFile(seed);
      file.write(0, new Uint8Array([2]));
      disk.failSyncs();
      await expect(file.sync()).rejects.toMatchObject({ code: "DISK_SYNC" });
      await expect(file.sync()).rejects.toMatchObject({ code: "DISK_SYNC" });
      expect((await file.read(0, 1))[0]).toBe(2);
      await (await disk.open("f")).sync();
      disk.powerCut();
      lost.add(disk.peek("f")[0] as number);
    }
    expect([...lost].sort()).toEqual([1, 2]);
  });

  test("a read fails once", async () => {
    const { disk, file } = await withFile(1);
    disk.failReads();
    await expect(file.read(0, 1)).rejects.toMatchObject({ code: "DISK_IO" });
    expect((await file.read(0, 1))[0]).toBe(1);
  });

  test("a slow sync takes the clock's time and covers what was written before it began", async () => {
    const clock = new SimulatedClock();
    const disk = make(3, { clock });
    const file = await disk.open("f", { create: true });
    await disk.syncFolder(".");
    disk.syncMs = 20;
    file.write(0, new Uint8Array([1]));
    let synced = false;
    void file.sync().then(() => {
      synced = true;
    });
    file.write(600, new Uint8Array([2]));
    await clock.advance(19);
    expect(synced).toBe(false);
    await clock.advance(1);
    expect(synced).toBe(true);
    expect(() => disk.corrupt("absent", 0)).toThrow(expect.objectContaining({ code: "NOT_FOUND" }));
    expect(disk.peek("f")[0]).toBe(1);
  });

  test("a file is no folder and a folder no file", async () => {
    const { disk } = await withFile(1);
    await disk.makeFolder("folder");
    await expect(disk.open("folder")).rejects.toMatchObject({ code: "DISK_IO" });
    await expect(disk.makeFolder("f/x")).rejects.toMatchObject({ code: "DISK_IO" });
    await expect(disk.syncFolder("f")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });
});
