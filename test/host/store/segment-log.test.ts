import { describe, expect, test } from "vitest";
import type { Meter } from "../../../host/io/seams.ts";
import { bytesOf, contents, FIRST, world } from "./log-world.ts";

describe("appending", () => {
  test("gives rising offsets, and reads back what is durable", async () => {
    const { open } = world();
    const log = await open();
    const offsets = [1, 2, 3].map((fill) => log.append(bytesOf(5, fill)));
    expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
    expect((await log.read(0, 1000)).records).toEqual([]);
    await log.durable(offsets[2] as number);
    const page = await log.read(offsets[1] as number, 1000);
    expect(page.records).toEqual([
      { offset: offsets[1], payload: bytesOf(5, 2) },
      { offset: offsets[2], payload: bytesOf(5, 3) },
    ]);
    expect(page.next).toBe(log.syncedEnd);
    await log.close();
  });

  test("commits what one turn appends with one sync, and overlaps the next appends with it", async () => {
    const { open, clock, disk } = world();
    const log = await open();
    disk.syncMs = 10;
    const before = disk.operations;
    for (let count = 0; count < 20; count += 1) log.append(bytesOf(8));
    await clock.settle();
    expect(disk.operations - before).toBe(2);
    const late = log.append(bytesOf(8));
    await clock.advance(10);
    expect(log.syncedEnd).toBeLessThanOrEqual(late);
    await clock.advance(10);
    expect(log.syncedEnd).toBeGreaterThan(late);
    disk.syncMs = 0;
    await log.close();
  });

  test("tells nothing before the sync is through", async () => {
    const { open, clock, disk } = world();
    const log = await open();
    disk.syncMs = 10;
    const told: number[] = [];
    log.onDurable((end) => told.push(end));
    const offset = log.append(bytesOf(8));
    let durable = false;
    void log.durable(offset).then(() => {
      durable = true;
    });
    await clock.advance(9);
    expect([told.length, durable, log.pendingBytes]).toEqual([0, false, 12]);
    await clock.advance(1);
    expect([told, durable, log.pendingBytes]).toEqual([[log.syncedEnd], true, 0]);
    disk.syncMs = 0;
    await log.close();
  });

  test("resolves durable() in order, whatever order it was asked in", async () => {
    const { open } = world();
    const log = await open();
    const offsets = [1, 2, 3].map(() => log.append(bytesOf(4)));
    const order: number[] = [];
    await Promise.all(
      [...offsets].reverse().map((offset) => log.durable(offset).then(() => order.push(offset))),
    );
    expect(order).toEqual(offsets);
    await log.durable(offsets[0] as number);
    await expect(log.durable(log.end)).rejects.toThrow(RangeError);
    await log.close();
  });

  test("refuses what is too long, too much or too late", async () => {
    const { open } = world();
    const log = await open({ pendingBytesMax: 100, recordBytesMax: 50 });
    expect(() => log.append(bytesOf(51))).toThrow(expect.objectContaining({ code: "RECORD_OVERSIZE" }));
    log.append(bytesOf(50));
    log.append(bytesOf(40));
    expect(() => log.append(bytesOf(1))).toThrow(expect.objectContaining({ code: "QUEUE_FULL" }));
    await log.close();
    expect(() => log.append(bytesOf(1))).toThrow("closed");
    expect((await (await open()).read(0, 1000)).records.length).toBe(2);
  });

  test("takes records of every length up to the bound, over many segments", async () => {
    const { open } = world();
    const log = await open({ batchBytesMax: 256 });
    const lengths = Array.from({ length: 120 }, (_, number) => (number * 197) % 3900);
    for (const length of [...lengths, 0, 4096 - 92]) log.append(bytesOf(length, length & 0xff));
    await log.close();
    const again = await open();
    const found = await contents(again);
    expect(found.map((record) => record.payload.length)).toEqual([...lengths, 0, 4096 - 92]);
    expect(again.openReport.segments).toBeGreaterThan(50);
    expect(() => again.append(bytesOf(4096 - 91))).toThrow(
      expect.objectContaining({ code: "RECORD_OVERSIZE" }),
    );
    await again.close();
  });

  test("counts what it does", async () => {
    const { open } = world();
    const counts: Record<string, number> = {};
    const add = (name: string, by: number) => {
      counts[name] = (counts[name] ?? 0) + by;
    };
    const meter: Meter = {
      count: (name, _labels, by = 1) => add(name, by),
      gauge: (name, value) => add(name, value),
      duration: (name) => add(name, 1),
    };
    const log = await open({ meter });
    for (let count = 0; count < 10; count += 1) log.append(bytesOf(6));
    await log.close();
    expect(counts).toEqual({ log_batches: 1, log_records: 10, log_bytes: 100, log_sync: 2 });
  });

  test("refuses a segment size that is no multiple of a sector", async () => {
    await expect(world().open({ segmentBytes: 1000 })).rejects.toThrow(RangeError);
  });
});

describe("reading", () => {
  test("stops at its limit, but gives at least one record", async () => {
    const { open } = world();
    const log = await open();
    for (let fill = 0; fill < 10; fill += 1) log.append(bytesOf(100, fill));
    await log.durable(log.end - 1);
    const one = await log.read(0, 1);
    expect(one.records.length).toBe(1);
    const three = await log.read(one.next, 350);
    expect(three.records.map((record) => record.payload[0])).toEqual([1, 2, 3]);
    expect((await contents(log, 1)).length).toBe(10);
    await log.close();
  });

  test("several followers and leaps agree with one reading from the start", async () => {
    const { open } = world();
    const log = await open({ batchBytesMax: 300 });
    for (let number = 0; number < 300; number += 1) {
      const offset = log.append(bytesOf(number % 90, number));
      if (number % 7 === 0) await log.durable(offset);
    }
    await log.durable(log.end - 1);
    const all = await contents(log, 100_000);
    expect(all.length).toBe(300);
    await Promise.all(
      [1, 50, 333, 5000].map(async (limit) => expect(await contents(log, limit)).toEqual(all)),
    );
    for (const at of [299, 3, 150, 77]) {
      const record = all[at];
      expect((await log.read(record?.offset as number, 1)).records[0]).toEqual(record);
    }
    await log.close();
  });

  test("a read that fails says so, and the next one works", async () => {
    const { open, disk } = world();
    const log = await open();
    await log.durable(log.append(bytesOf(8)));
    disk.failReads();
    await expect(log.read(0, 100)).rejects.toMatchObject({ code: "DISK_IO" });
    expect((await log.read(0, 100)).records.length).toBe(1);
    await log.close();
  });

  test("damage that came after the start is named", async () => {
    const { open, disk } = world();
    const log = await open();
    const offset = log.append(bytesOf(8));
    await log.durable(offset);
    disk.corrupt(FIRST, offset + 5);
    await expect(log.read(0, 100)).rejects.toMatchObject({
      code: "LOG_CORRUPT",
      context: { segment: "0000000000000000.segment", offset: 32 },
    });
    await log.close();
  });
});

describe("removing", () => {
  test("takes whole segments below the offset, never the newest", async () => {
    const { open } = world();
    const log = await open();
    for (let number = 0; number < 10; number += 1) await log.durable(log.append(bytesOf(3000, number)));
    const all = await contents(log);
    await log.removeBefore(all[4]?.offset as number);
    expect(log.start).toBe(4 * 4096);
    const fromZero = await log.read(0, 10);
    expect(fromZero.records[0]?.payload[0]).toBe(4);
    await log.removeBefore(Number.MAX_SAFE_INTEGER);
    expect((await contents(log)).map((record) => record.payload[0])).toEqual([9]);
    await log.close();
  });

  test("a reader in the middle of what is removed goes on behind it", async () => {
    const { open } = world();
    const log = await open();
    for (let number = 0; number < 10; number += 1) await log.durable(log.append(bytesOf(3000, number)));
    const reading = log.read(0, 10);
    const removing = log.removeBefore(5 * 4096);
    const record = (await reading).records[0];
    expect([0, 5]).toContain(record?.payload[0]);
    await removing;
    expect((await log.read(4096, 10)).records[0]?.payload[0]).toBe(5);
    await log.close();
  });
});

test("a listener can be taken away, and one that is called twice is two", async () => {
  const { open } = world();
  const log = await open();
  let calls = 0;
  const listener = () => {
    calls += 1;
  };
  const dispose = log.onDurable(listener);
  log.onDurable(listener);
  await log.durable(log.append(bytesOf(1)));
  dispose();
  dispose();
  await log.durable(log.append(bytesOf(1)));
  expect(calls).toBe(3);
  await log.close();
  await log.close();
});
