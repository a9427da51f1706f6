import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { nodeDisk } from "../../../host/io/disk.ts";

let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "tardi-disk-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

// Linux's device that is always full (full(4)), and cannot be synced.
test.runIf(existsSync("/dev/full"))("no room is DISK_FULL, and a sync that fails stays failed", async () => {
  const file = await nodeDisk("/dev").open("full");
  expect(() => file.write(0, new Uint8Array(10))).toThrow(expect.objectContaining({ code: "DISK_FULL" }));
  const failed = await file.sync().catch((error: unknown) => error);
  expect(failed).toMatchObject({ code: "DISK_SYNC", message: expect.stringContaining("start again") });
  expect(await file.sync().catch((error: unknown) => error)).toBe(failed);
  await file.close();
});

test("a folder that cannot be synced or listed is an error with a code", async () => {
  const disk = nodeDisk(folder);
  await expect(disk.syncFolder("absent")).rejects.toMatchObject({ code: "DISK_SYNC" });
  await (await disk.open("file", { create: true })).close();
  await expect(disk.list("file")).rejects.toMatchObject({ code: "DISK_IO" });
  await expect(disk.open("file/below", { create: true })).rejects.toMatchObject({ code: "DISK_IO" });
});

// A file system that has nothing to sync refuses to (Linux's /proc).
test.runIf(existsSync("/proc/self"))("a folder's sync reaches the file system", async () => {
  await expect(nodeDisk("/proc").syncFolder("self/fd")).rejects.toMatchObject({ code: "DISK_SYNC" });
});

test("makes a root that is not there yet, and its lock", async () => {
  const disk = nodeDisk(join(folder, "new", "root"));
  await disk.makeFolder("log");
  await disk.syncFolder("log");
  await (await disk.lock("log/deeper/lock")).release();
  expect(await disk.list("log")).toEqual(["deeper"]);
});

test("a close waits for the calls under way", async () => {
  const file = await nodeDisk(folder).open("a", { create: true });
  file.write(0, new Uint8Array(100_000).fill(3));
  const reading = file.read(0, 100_000);
  const syncing = file.sync();
  await file.close();
  expect((await reading).at(-1)).toBe(3);
  await syncing;
});
