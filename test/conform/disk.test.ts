/** One suite for every Disk: what a process sees that is neither killed nor cut off. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { nodeDisk } from "../../host/io/disk.ts";
import type { Disk } from "../../host/io/seams.ts";
import { SimulatedDisk } from "../../host/world/disk.ts";
import { seededRandom } from "../../host/world/random.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

const DISKS: Record<string, () => Disk> = {
  node: () => {
    const folder = mkdtempSync(join(tmpdir(), "tardi-disk-"));
    folders.push(folder);
    return nodeDisk(folder);
  },
  simulated: () => new SimulatedDisk({ random: seededRandom(5) }),
};

const bytes = (...values: number[]) => new Uint8Array(values);

describe.each(Object.entries(DISKS))("Disk: %s", (_name, make) => {
  test("writes at any place and reads it back, zeros in the gaps", async () => {
    const disk = make();
    const file = await disk.open("a", { create: true });
    expect(file.sizeBytes()).toBe(0);
    file.write(4, bytes(1, 2));
    file.write(1, bytes(9));
    expect(file.sizeBytes()).toBe(6);
    expect(await file.read(0, 6)).toEqual(bytes(0, 9, 0, 0, 1, 2));
    await file.sync();
    file.write(5, bytes(7, 8));
    expect(await file.read(4, 100)).toEqual(bytes(1, 7, 8));
    await file.close();
  });

  test("reads less than asked at the end, and nothing beyond", async () => {
    const file = await make().open("a", { create: true });
    file.write(0, bytes(1, 2, 3));
    expect(await file.read(2, 10)).toEqual(bytes(3));
    expect(await file.read(3, 10)).toEqual(bytes());
    expect(await file.read(30, 10)).toEqual(bytes());
    await file.close();
  });

  test("a write keeps nothing of the caller's array, a read nothing of the file", async () => {
    const file = await make().open("a", { create: true });
    const mine = bytes(1, 2, 3);
    file.write(0, mine);
    mine[0] = 9;
    const read = await file.read(0, 3);
    read[1] = 9;
    expect(await file.read(0, 3)).toEqual(bytes(1, 2, 3));
    await file.close();
  });

  test("opens what is there again, and only creates when asked to", async () => {
    const disk = make();
    await expect(disk.open("absent")).rejects.toMatchObject({ code: "NOT_FOUND" });
    const file = await disk.open("a", { create: true });
    file.write(0, bytes(5));
    await file.close();
    await file.close();
    const again = await disk.open("a", { create: true });
    expect(await again.read(0, 1)).toEqual(bytes(5));
    await again.close();
    await expect(again.read(0, 1)).rejects.toMatchObject({ code: "DISK_IO" });
    expect(() => again.write(0, bytes(1))).toThrow(expect.objectContaining({ code: "DISK_IO" }));
    await expect(again.sync()).rejects.toMatchObject({ code: "DISK_IO" });
  });

  test("two handles see the same bytes", async () => {
    const disk = make();
    const writer = await disk.open("a", { create: true });
    const reader = await disk.open("a");
    writer.write(0, bytes(1, 2, 3));
    expect(reader.sizeBytes()).toBe(3);
    expect(await reader.read(0, 3)).toEqual(bytes(1, 2, 3));
    await Promise.all([writer.close(), reader.close()]);
  });

  test("makes folders on the way and lists names in order", async () => {
    const disk = make();
    await disk.makeFolder("x/y");
    await disk.makeFolder("x/y");
    for (const name of ["c", "a", "b"]) await (await disk.open(`x/y/${name}`, { create: true })).close();
    expect(await disk.list("x/y")).toEqual(["a", "b", "c"]);
    expect(await disk.list("x")).toEqual(["y"]);
    expect(await disk.list("nowhere")).toEqual([]);
    await disk.syncFolder("x/y");
    await disk.syncFolder(".");
    await expect(disk.open("no/folder", { create: true })).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("renames over what is there, keeping open handles, and removes", async () => {
    const disk = make();
    const file = await disk.open("a", { create: true });
    file.write(0, bytes(1));
    await (await disk.open("b", { create: true })).close();
    await disk.rename("a", "b");
    expect(await disk.list(".")).toEqual(["b"]);
    file.write(1, bytes(2));
    const renamed = await disk.open("b");
    expect(await renamed.read(0, 2)).toEqual(bytes(1, 2));
    await disk.makeFolder("deep");
    await disk.rename("b", "deep/c");
    expect(await disk.list(".")).toEqual(["deep"]);
    await disk.remove("deep/c");
    expect(await disk.list("deep")).toEqual([]);
    expect(await file.read(0, 2)).toEqual(bytes(1, 2));
    await Promise.all([file.close(), renamed.close()]);
    await expect(disk.remove("deep/c")).rejects.toMatchObject({ code: "NOT_FOUND" });
    await expect(disk.rename("gone", "b")).rejects.toMatchObject({ code: "NOT_FOUND" });
  });

  test("refuses paths that leave it", async () => {
    const disk = make();
    await expect(async () => disk.open("../secret")).rejects.toMatchObject({ code: "DISK_IO" });
    await expect(async () => disk.list("x/../../y")).rejects.toMatchObject({ code: "DISK_IO" });
  });

  test("gives a lock to one at a time", async () => {
    const disk = make();
    await disk.makeFolder("data");
    const lock = await disk.lock("data/lock");
    await expect(disk.lock("data/lock")).rejects.toMatchObject({ code: "LOG_LOCKED" });
    await (await disk.lock("data/other")).release();
    await lock.release();
    await lock.release();
    await (await disk.lock("data/lock")).release();
  });
});
