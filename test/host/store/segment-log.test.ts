import { describe, expect, test } from "vitest";
import type { Meter } from "../../../host/io/seams.ts";
import {
  type LogState,
  openSegmentLog,
  type SegmentLog,
  type SegmentLogOptions,
} from "../../../host/store/segment-log.ts";
import { SimulatedClock } from "../../../host/world/clock.ts";
import { SimulatedDisk } from "../../../host/world/disk.ts";
import { seededRandom } from "../../../host/world/random.ts";
import { TardigradeError } from "../../../protocols/error.ts";

interface World {
  readonly clock: SimulatedClock;
  readonly disk: SimulatedDisk;
  open(options?: Partial<SegmentLogOptions>): Promise<SegmentLog>;
}

function world(seed = 1, capacityBytes = Number.POSITIVE_INFINITY): World {
  const clock = new SimulatedClock();
  const disk = new SimulatedDisk({ random: seededRandom(seed), clock, capacityBytes });
  const open = (options: Partial<SegmentLogOptions> = {}) =>
    openSegmentLog({ disk, folder: "log", clock, random: seededRandom(9), segmentBytes: 4096, ...options });
  return { clock, disk, open };
}

const bytesOf = (length: number, fill = 1) => new Uint8Array(length).fill(fill);
const FIRST = "log/0000000000000000.segment";

async function contents(
  log: SegmentLog,
  limitBytes = 1000,
): Promise<{ offset: number; payload: Uint8Array }[]> {
  const all: { offset: number; payload: Uint8Array }[] = [];
  for (let from = 0; ; ) {
    const page = await log.read(from, limitBytes);
    if (page.records.length === 0) return all;
    all.push(...page.records);
    from = page.next;
  }
}

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

describe("starting", () => {
  test("two at once in a folder are refused", async () => {
    const { open } = world();
    const log = await open();
    await expect(open()).rejects.toMatchObject({ code: "LOG_LOCKED" });
    await log.close();
    await (await open()).close();
  });

  test("a start that fails lets the folder go", async () => {
    const { open, disk } = world();
    await (await open()).close();
    disk.corrupt(FIRST, 3);
    await expect(open()).rejects.toMatchObject({ code: "LOG_CORRUPT" });
    disk.corrupt(FIRST, 3);
    await (await open()).close();
  });

  test("segments of another size go on with the new one", async () => {
    const { open } = world();
    const first = await open();
    first.append(bytesOf(3000, 1));
    await first.close();
    const second = await open({ segmentBytes: 8192 });
    for (let number = 0; number < 5; number += 1) second.append(bytesOf(3000, 2));
    await second.close();
    const third = await open({ segmentBytes: 1024 });
    third.append(bytesOf(900, 3));
    await third.close();
    expect((await contents(await open())).map((record) => record.payload[0])).toEqual([1, 2, 2, 2, 2, 2, 3]);
  });

  test("a missing segment, one of another log and one of a wrong length are named", async () => {
    const build = async () => {
      const made = world();
      const log = await made.open();
      for (let number = 0; number < 4; number += 1) await log.durable(log.append(bytesOf(3000)));
      await log.close();
      return made;
    };
    const missing = await build();
    await missing.disk.remove("log/0000000000004096.segment");
    await expect(missing.open()).rejects.toThrow("0000000000004096.segment is damaged at offset 0");

    const short = await build();
    (await short.disk.open("log/0000000000008192.segment")).write(4096, bytesOf(1));
    await expect(short.open()).rejects.toThrow("0000000000008192.segment is damaged at offset 4096");

    const foreign = await build();
    const other = world(2);
    const log = await openSegmentLog({
      disk: other.disk,
      folder: "log",
      clock: other.clock,
      segmentBytes: 4096,
    });
    for (let number = 0; number < 4; number += 1) await log.durable(log.append(bytesOf(3000)));
    await log.close();
    const file = await foreign.disk.open("log/0000000000008192.segment");
    file.write(0, other.disk.peek("log/0000000000008192.segment"));
    await expect(foreign.open()).rejects.toThrow("0000000000008192.segment is damaged at offset 8");
  });

  test("a segment whose last batches vanished is named by what the next one states", async () => {
    const { open, disk } = world();
    const log = await open();
    for (const length of [2000, 1000, 3000]) await log.durable(log.append(bytesOf(length)));
    await log.close();
    const file = await disk.open(FIRST);
    file.write(2064, new Uint8Array(4096 - 2064));
    await expect(open()).rejects.toThrow("0000000000000000.segment is damaged at offset 2064");
  });
});

describe("a byte flipped", () => {
  const isBatchStart = (offset: number) => (offset - 32) % 56 === 0;

  /** Two full segments and some batches in a third, each batch 56 bytes; the log was closed. */
  async function closedLog(): Promise<World> {
    const made = world();
    const log = await made.open({ segmentBytes: 1024 });
    for (let number = 0; number < 40; number += 1) await log.durable(log.append(bytesOf(28, number + 1)));
    await log.close();
    return made;
  }

  test("anywhere below the proven offset stops the start, naming segment and offset", async () => {
    const { disk, open } = await closedLog();
    const names = await disk.list("log");
    const segments = names.filter((name) => name.endsWith(".segment"));
    expect(segments.length).toBe(3);
    const last = segments.at(-1) as string;
    // The proof is the last batch: 24 bytes without a record.
    const used = disk.peek(`log/${last}`).findLastIndex((byte) => byte !== 0) + 1;
    const proven = used - (used % 8 === 0 ? 24 : 24 - (8 - (used % 8)));
    let flips = 0;
    for (const name of segments) {
      const end = name === last ? proven : 1024;
      for (let offset = 0; offset < end; offset += name === last ? 1 : 3) {
        disk.corrupt(`log/${name}`, offset, 1 << (offset % 8));
        const failure = await open({ segmentBytes: 1024 }).then(
          () => undefined,
          (error: unknown) =>
            error as { code: string; message: string; context: { segment: string; offset: number } },
        );
        expect(failure?.code, `${name} at ${offset}`).toBe("LOG_CORRUPT");
        expect(failure?.message).toContain("restore the data folder from a backup");
        expect(failure?.context.segment).toBe(name);
        const named = failure?.context.offset as number;
        expect(named).toBeLessThanOrEqual(offset);
        expect(named === 0 || isBatchStart(named)).toBe(true);
        disk.corrupt(`log/${name}`, offset, 1 << (offset % 8));
        flips += 1;
      }
    }
    expect(flips).toBeGreaterThan(900);
    await open({ segmentBytes: 1024 });
  });

  test("beyond it the tail is cut and counted, and nothing acknowledged is lost", async () => {
    const { disk } = await closedLog();
    const names = await disk.list("log");
    const last = `log/${names.filter((name) => name.endsWith(".segment")).at(-1)}`;
    const used = disk.peek(last).findLastIndex((byte) => byte !== 0) + 1;
    const proof = Math.ceil(used / 8) * 8 - 24;
    for (let offset = proof; offset < 1024; offset += 5) {
      const copy = disk.clone(seededRandom(offset));
      copy.corrupt(last, offset, 0x40);
      const clock = new SimulatedClock();
      const log = await openSegmentLog({ disk: copy, folder: "log", clock, segmentBytes: 1024 });
      expect(log.openReport.tornBytes).toBeGreaterThan(0);
      expect(log.openReport.records).toBe(40);
      expect((await contents(log)).length).toBe(40);
      await log.close();
    }
  });

  test("in the last batch is noticed after idle time, without a close", async () => {
    const { disk, open, clock } = world();
    const log = await open({ proofIdleMs: 1000 });
    const offset = log.append(bytesOf(28));
    await log.durable(offset);
    await clock.advance(1000);
    const copy = disk.clone(seededRandom(3));
    copy.corrupt(FIRST, offset + 6);
    const opening = openSegmentLog({ disk: copy, folder: "log", clock, segmentBytes: 4096 });
    await expect(opening).rejects.toMatchObject({ code: "LOG_CORRUPT", context: { offset: 32 } });
  });

  test("one proof is enough: an idle log and a reopened one write no more", async () => {
    const { disk, open, clock } = world();
    const log = await open({ proofIdleMs: 1000 });
    await log.durable(log.append(bytesOf(28)));
    await clock.advance(1000);
    const end = log.end;
    const operations = disk.operations;
    await clock.advance(100_000);
    expect([log.end, disk.operations]).toEqual([end, operations]);
    await log.close();
    const again = await open();
    await again.close();
    expect((await open()).end).toBe(end);
  });
});

describe("a torn tail", () => {
  test("is cut, counted and told, and gives way to new records", async () => {
    const { disk, open } = world();
    const log = await open();
    const offset = log.append(bytesOf(28));
    await log.durable(offset);
    disk.kill();
    const file = await disk.open(FIRST);
    file.write(log.syncedEnd, bytesOf(50, 7));
    const warnings: unknown[] = [];
    const silent = () => undefined;
    const logger = {
      debug: silent,
      info: silent,
      error: silent,
      warn: (_: string, fields?: unknown) => warnings.push(fields),
    };
    const again = await open({ logger });
    expect(again.openReport.tornBytes).toBe(50);
    expect(warnings).toEqual([expect.objectContaining({ code: "LOG_TORN_TAIL", bytes: 50 })]);
    expect(again.append(bytesOf(28))).toBe(log.syncedEnd + 24);
    await again.close();
    expect((await contents(await open())).length).toBe(2);
  });
});

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
