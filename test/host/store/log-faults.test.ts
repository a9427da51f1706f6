/** The log on a disk that is full, or that fails to sync. */
import { describe, expect, test } from "vitest";
import { type LogState, openSegmentLog } from "../../../host/store/segment-log.ts";
import { TardigradeError } from "../../../protocols/error.ts";
import { bytesOf, contents, world } from "./log-world.ts";

describe("a full disk", () => {
  test("stops acknowledgements, leaves reading, and goes on when there is room", async () => {
    const { disk, open, clock } = world(1, 3 * 4096);
    const log = await open();
    const states: LogState[] = [];
    log.onState((state) => states.push(state));
    for (let number = 0; number < 3; number += 1) await log.durable(log.append(bytesOf(3000, number)));
    const waiting = log.append(bytesOf(3000, 3));
    await clock.advance(3000);
    expect([log.state, states, log.syncedEnd > waiting]).toEqual(["full", ["full"], false]);
    expect(log.append(bytesOf(10, 4))).toBeGreaterThan(waiting);
    expect((await contents(log)).length).toBe(3);
    disk.capacityBytes = 10 * 4096;
    await clock.advance(1000);
    expect([log.state, states, log.syncedEnd > waiting]).toEqual(["ok", ["full", "ok"], true]);
    expect((await contents(log)).map((record) => record.payload[0])).toEqual([0, 1, 2, 3, 4]);
    await log.close();
  });

  test("goes on when old segments are removed", async () => {
    const { open, clock } = world(1, 3 * 4096);
    const log = await open();
    for (let number = 0; number < 3; number += 1) await log.durable(log.append(bytesOf(3000, number)));
    log.append(bytesOf(3000, 3));
    await clock.advance(2000);
    expect(log.state).toBe("full");
    await log.removeBefore(4096);
    await clock.advance(1000);
    expect(log.state).toBe("ok");
    expect((await contents(log)).map((record) => record.payload[0])).toEqual([1, 2, 3]);
    await log.close();
  });

  test("a close does not wait for room, and says that the rest is not durable", async () => {
    const { open, clock } = world(1, 4096);
    const log = await open();
    await log.durable(log.append(bytesOf(3000, 1)));
    const durable = log.durable(log.append(bytesOf(3000, 2)));
    const failed = expect(durable).rejects.toMatchObject({ code: "DISK_FULL" });
    const fatal: Error[] = [];
    log.onFatal((error) => fatal.push(error));
    await clock.advance(5000);
    await log.close();
    await failed;
    expect(fatal).toEqual([]);
    expect((await contents(await open())).length).toBe(1);
  });

  test("too full for the first segment rejects the start", async () => {
    await expect(world(1, 1000).open()).rejects.toMatchObject({ code: "DISK_FULL" });
  });

  test("a write that finds no room is tried again", async () => {
    const { disk, clock } = world();
    let full = true;
    const view = disk.mount();
    // A file system that copies on write may lack room even for bytes that are allocated.
    const cow: typeof view = {
      ...view,
      open: async (path, options) => {
        const file = await view.open(path, options);
        const write = (offset: number, bytes: Uint8Array) => {
          if (full && offset >= 32) throw new TardigradeError("DISK_FULL", "no room");
          file.write(offset, bytes);
        };
        return { ...file, write };
      },
    };
    const log = await openSegmentLog({ disk: cow, folder: "log", clock, segmentBytes: 4096 });
    const offset = log.append(bytesOf(8));
    await clock.advance(500);
    expect(log.state).toBe("full");
    full = false;
    await clock.advance(1000);
    expect([log.state, log.syncedEnd > offset]).toEqual(["ok", true]);
    await log.close();
  });
});

describe("a failed sync", () => {
  test("is fatal: nothing later is acknowledged", async () => {
    const { disk, open, clock } = world();
    const log = await open();
    await log.durable(log.append(bytesOf(8, 1)));
    const end = log.syncedEnd;
    const fatal: Error[] = [];
    log.onFatal((error) => fatal.push(error));
    disk.failSyncs();
    const durable = log.durable(log.append(bytesOf(8, 2)));
    await expect(durable).rejects.toMatchObject({ code: "DISK_SYNC" });
    expect(fatal).toEqual([expect.objectContaining({ code: "DISK_SYNC" })]);
    expect(() => log.append(bytesOf(8, 3))).toThrow(expect.objectContaining({ code: "DISK_SYNC" }));
    await expect(log.durable(end)).rejects.toMatchObject({ code: "DISK_SYNC" });
    await clock.advance(60_000);
    expect(log.syncedEnd).toBe(end);
    expect((await contents(log)).length).toBe(1);
    await log.close();
  });

  test("of a segment that is being prepared is fatal too", async () => {
    const { disk, open, clock } = world();
    const log = await open();
    const fatal: Error[] = [];
    log.onFatal((error) => fatal.push(error));
    log.onDurable(() => disk.failSyncs());
    log.append(bytesOf(3000));
    await clock.settle();
    expect(fatal).toEqual([expect.objectContaining({ code: "DISK_SYNC" })]);
    await log.close();
  });

  test("of the folder ends a removal", async () => {
    const { disk, open } = world();
    const log = await open();
    for (let number = 0; number < 3; number += 1) await log.durable(log.append(bytesOf(3000)));
    disk.failSyncs();
    await expect(log.removeBefore(8192)).rejects.toMatchObject({ code: "DISK_SYNC" });
    expect(() => log.append(bytesOf(1))).toThrow(expect.objectContaining({ code: "DISK_SYNC" }));
    await log.close();
  });
});
