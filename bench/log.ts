/**
 * The segment log's durable appends beside LMDB's durable puts, and beside the disk itself. The same records, the same number
 * in flight, counted when the caller may believe that a power cut takes nothing.
 */
import { mkdirSync } from "node:fs";
import { release } from "node:os";
import { join } from "node:path";
import { crc32 } from "node:zlib";
import { open } from "lmdb";
import { systemClock } from "../host/io/clock.ts";
import { nodeDisk } from "../host/io/disk.ts";
import { systemRandom } from "../host/io/random.ts";
import { openSegmentLog } from "../host/store/segment-log.ts";
import {
  interleave,
  median,
  type SuiteOptions,
  sameChecksum,
  scaled,
  short,
  spread,
  versionOf,
} from "./measure.ts";
import { rawSyncRate } from "./raw-sync.ts";
import { type BenchRow, benchRow } from "./rows.ts";

const RECORD_BYTES = 96;
const RECORDS = 100_000;
const IN_FLIGHT = 1024;
/** One at a time, which is what a caller that waits for each gets. */
const LONE_RECORDS = 400;
const RAW_SYNCS = 400;
const READ_BYTES = 4 * 1024 * 1024;

interface Run {
  /** Durable records a second. */
  readonly rate: number;
  /** Sum of the CRC-32 of what was read back. */
  readonly checksum: number;
}

interface Work {
  readonly folder: string;
  readonly records: readonly Uint8Array[];
  readonly inFlight: number;
}

export async function logSuite(options: SuiteOptions): Promise<BenchRow[]> {
  const { rounds, scale, folder, say } = options;
  const many = recordsOf(scaled(RECORDS, scale, 100));
  const few = many.slice(0, scaled(LONE_RECORDS, scale, 10));
  let runs = 0;
  const work = (records: readonly Uint8Array[], inFlight: number): Work => {
    runs += 1;
    const own = join(folder, `run-${runs}`);
    mkdirSync(own);
    return { folder: own, records, inFlight };
  };
  const results = await interleave<Run>(rounds, {
    ours: (round) => {
      say(`round ${round}/${rounds}`);
      return segmentLogRun(work(many, IN_FLIGHT));
    },
    lmdb: () => lmdbRun(work(many, IN_FLIGHT)),
    oursLone: () => segmentLogRun(work(few, 1)),
    lmdbLone: () => lmdbRun(work(few, 1)),
    disk: () => ({ rate: rawSyncRate(folder, scaled(RAW_SYNCS, scale, 5)), checksum: 0 }),
  });
  const rates = (side: string): number[] => (results.get(side) ?? []).map(({ rate }) => rate);
  const sum = (side: string): number => results.get(side)?.at(-1)?.checksum ?? Number.NaN;
  const lmdb = { name: "lmdb", version: versionOf("lmdb") };
  const disk = { name: "fdatasync", version: release(), value: median(rates("disk")) };
  const manySum = sameChecksum({ ours: sum("ours"), lmdb: sum("lmdb") });
  const fewSum = sameChecksum({ ours: sum("oursLone"), lmdb: sum("lmdbLone") });
  const setting = `${RECORD_BYTES} bytes a record, ${short(many.length)} records a round, read back and summed`;
  const told = (a: string, b: string): string => `rounds ours ${spread(rates(a))}, peer ${spread(rates(b))}`;
  const row = { unit: "1/s", better: "more" } as const;
  return [
    benchRow({
      ...row,
      claim: `durable appends, ${IN_FLIGHT} in flight / lmdb puts`,
      ours: median(rates("ours")),
      peer: { ...lmdb, value: median(rates("lmdb")) },
      checksum: manySum,
      note: `${setting}; lmdb counted at "flushed"; ${told("ours", "lmdb")}`,
    }),
    benchRow({
      ...row,
      claim: `durable appends, ${IN_FLIGHT} in flight / raw fdatasync`,
      ours: median(rates("ours")),
      peer: disk,
      checksum: manySum,
      note: `4 KiB in place, one sync each: what no grouping would give; ${told("ours", "disk")}`,
    }),
    benchRow({
      ...row,
      claim: "durable appends, one at a time / lmdb puts",
      ours: median(rates("oursLone")),
      peer: { ...lmdb, value: median(rates("lmdbLone")) },
      checksum: fewSum,
      note: told("oursLone", "lmdbLone"),
    }),
    benchRow({
      ...row,
      claim: "durable appends, one at a time / raw fdatasync",
      ours: median(rates("oursLone")),
      peer: disk,
      checksum: fewSum,
      note: `ours syncs in the thread pool, the raw loop blocks; ${told("oursLone", "disk")}`,
    }),
  ];
}

/** Alike in size, different in content. */
function recordsOf(count: number): Uint8Array[] {
  return Array.from({ length: count }, (_, index) => {
    const record = new Uint8Array(RECORD_BYTES);
    const view = new DataView(record.buffer);
    for (let at = 0; at < RECORD_BYTES; at += 4)
      view.setUint32(at, Math.imul(index + 1, 0x9e37_79b1) ^ at, true);
    return record;
  });
}

async function segmentLogRun({ folder, records, inFlight }: Work): Promise<Run> {
  const clock = systemClock();
  const log = await openSegmentLog({ disk: nodeDisk(folder), folder: "log", clock, random: systemRandom() });
  try {
    const startedMs = clock.monotonicMs();
    await new Promise<void>((resolve, reject) => {
      const offsets: number[] = [];
      let durable = 0;
      const pump = (): void => {
        while (offsets.length < records.length && offsets.length - durable < inFlight) {
          offsets.push(log.append(records[offsets.length] as Uint8Array));
        }
      };
      log.onFatal(reject);
      log.onDurable((syncedEnd) => {
        while (durable < offsets.length && (offsets[durable] as number) < syncedEnd) durable += 1;
        if (durable === records.length) resolve();
        else pump();
      });
      pump();
    });
    const elapsedMs = clock.monotonicMs() - startedMs;
    let checksum = 0;
    for (let at = log.start; at < log.syncedEnd; ) {
      const page = await log.read(at, READ_BYTES);
      for (const { payload } of page.records) checksum = (checksum + crc32(payload)) >>> 0;
      if (page.next <= at) break;
      at = page.next;
    }
    return { rate: (records.length / elapsedMs) * 1000, checksum };
  } finally {
    await log.close();
  }
}

async function lmdbRun({ folder, records, inFlight }: Work): Promise<Run> {
  const clock = systemClock();
  const database = open<Uint8Array, number>({ path: join(folder, "lmdb"), encoding: "binary" });
  try {
    const startedMs = clock.monotonicMs();
    for (let at = 0; at < records.length; at += inFlight) {
      for (const [index, record] of records.slice(at, at + inFlight).entries()) {
        void database.put(at + index, Buffer.from(record.buffer));
      }
      await database.flushed;
    }
    const elapsedMs = clock.monotonicMs() - startedMs;
    let checksum = 0;
    for (const { value } of database.getRange({})) checksum = (checksum + crc32(value)) >>> 0;
    return { rate: (records.length / elapsedMs) * 1000, checksum };
  } finally {
    await database.close();
  }
}
