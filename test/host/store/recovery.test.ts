/** What a start makes of a folder: damage named, tails cut. */
import { describe, expect, test } from "vitest";
import { openSegmentLog } from "../../../host/store/segment-log.ts";
import { SimulatedClock } from "../../../host/world/clock.ts";
import { seededRandom } from "../../../host/world/random.ts";
import { bytesOf, contents, FIRST, type World, world } from "./log-world.ts";

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
