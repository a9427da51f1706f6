/**
 * Lock-free queues between two threads beside MessagePort, and moodycamel's queue in C++ as context. Where a peer copies and ours writes in place, both write and read the same bytes of each record.
 */
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { MessageChannel, Worker } from "node:worker_threads";
import { run } from "../boards/toolchain/native/tools.ts";
import { AT, layoutOf } from "../host/concurrency/schema.ts";
import { queue, ring, space } from "../host/exports/lockfree.ts";
import { compileAssembly, SHARED_FLAGS } from "../scripts/build-wasm.ts";
import { type Kind, Numbers, RECORD, sumRecord } from "./lockfree-sides.ts";
import {
  hex,
  interleave,
  median,
  type SuiteOptions,
  sameChecksum,
  scaled,
  short,
  spread,
} from "./measure.ts";
import { type BenchRow, benchRow } from "./rows.ts";

const CAPACITY = 4096;
const MOODYCAMEL = "/usr/include/concurrentqueue/concurrentqueue.h";

interface Timed {
  readonly nanoseconds: number;
  readonly checksum: number;
}

export async function lockfreeSuite(options: SuiteOptions): Promise<BenchRow[]> {
  const bench = await open();
  try {
    const rows: BenchRow[] = [];
    for (const one of bench.comparisons) {
      options.say(one.claim);
      rows.push(await compared(one, options));
    }
    options.say("moodycamel");
    const context = await moodycamel(options, bench);
    return context === undefined ? rows : [...rows, context];
  } finally {
    await bench.close();
  }
}

interface Side {
  readonly count: number;
  readonly run: (count: number) => number | Promise<number>;
}
interface Comparison {
  readonly claim: string;
  readonly ours: Side;
  readonly theirs: Side;
  readonly peer: string;
  readonly goal?: number;
  readonly note: string;
}
interface Bench {
  readonly comparisons: readonly Comparison[];
  readonly mpmc: Side;
  close(): Promise<unknown>;
}

async function open(): Promise<Bench> {
  const wasm = await compileAssembly(["bench/apps/lockfree/loops.ts"], SHARED_FLAGS);
  const loops = new WebAssembly.Module(wasm);
  const shared = space({ bytes: 8 << 20 });
  const [spsc, mpmc] = [
    ring({ schema: { n: "u32" }, capacity: CAPACITY }, shared),
    queue({ schema: { n: "u32" }, capacity: CAPACITY }, shared),
  ];
  const records = ring({ schema: RECORD, capacity: 1024 }, shared);
  const there = ring({ schema: { n: "u32" }, capacity: 16 }, shared);
  const back = ring({ schema: { n: "u32" }, capacity: 16 }, shared);
  const { port1: port, port2 } = new MessageChannel();
  const worker = new Worker(new URL("./lockfree-worker.ts", import.meta.url), {
    workerData: {
      loops,
      spsc: spsc.handle,
      mpmc: mpmc.handle,
      records: records.handle,
      there: there.handle,
      back: back.handle,
      capacity: CAPACITY,
      port: port2,
    },
    transferList: [port2],
  });
  await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
  const ask = (job: string, count: number) => worker.postMessage({ job, count });
  const numbers = {
    spsc: new Numbers(loops, spsc.handle, "spsc", CAPACITY),
    batch: new Numbers(loops, spsc.handle, "batch", CAPACITY),
    mpmc: new Numbers(loops, mpmc.handle, "mpmc", CAPACITY),
    rows: new Numbers(loops, mpmc.handle, "rows", CAPACITY),
  };
  const consumer = records.consumer();
  const [pings, pongs] = [there.producer(), back.consumer()];
  const layout = layoutOf(RECORD);

  /** Until so many things came by the port. */
  const posted = (count: number, take: (message: never) => number): Promise<void> =>
    new Promise((resolve) => {
      let left = count;
      const listener = (message: unknown) => {
        left -= take(message as never);
        if (left <= 0) {
          port.off("message", listener);
          resolve();
        }
      };
      port.on("message", listener);
    });
  const through = (kind: Kind) => (count: number) => {
    ask(kind, count);
    return numbers[kind].receive(count);
  };
  const postNumbers = async (count: number) => {
    ask("postNumbers", count);
    let sum = 0;
    await posted(count, (n: number) => {
      sum = (sum + n) >>> 0;
      return 1;
    });
    return sum;
  };
  const inPlace = (job: string) => (count: number) => {
    ask(job, count);
    let sum = 0;
    let got = 0;
    while (got < count) {
      got += consumer.shiftBatch(100, (record) => {
        sum = (sum + sumRecord(record)) >>> 0;
      });
      if (got < count) consumer.waitSync();
    }
    return sum;
  };
  const postRecords = (job: string) => async (count: number) => {
    ask(job, count);
    let sum = 0;
    await posted(count, (bytes: Uint8Array) => {
      const view = layout.view(bytes.buffer as never);
      for (let at = 0; at < bytes.length; at += layout.stride) {
        view[AT] = bytes.byteOffset + at;
        sum = (sum + sumRecord(view)) >>> 0;
      }
      return bytes.length / layout.stride;
    });
    return sum;
  };
  const pingPong = (count: number) => {
    ask("echo", count);
    let sum = 0;
    for (let n = 0; n < count; n += 1) {
      pings.pushSync({ n });
      pongs.shiftSync((record) => {
        sum = (sum + record.n) >>> 0;
      });
    }
    return sum;
  };
  const postPingPong = async (count: number) => {
    let sum = 0;
    for (let n = 0; n < count; n += 1) {
      const answer = posted(1, (got: number) => {
        sum = (sum + got) >>> 0;
        return 1;
      });
      port.postMessage(n);
      await answer;
    }
    return sum;
  };
  return {
    comparisons: [
      {
        claim: "numbers, SPSC ring, wasm loops",
        ours: { count: 5_000_000, run: through("batch") },
        theirs: { count: 100_000, run: postNumbers },
        peer: "postMessage of numbers",
        goal: 50,
        note: "in batches of up to 64, as many as there are, beside one message a number: the shapes differ, and the row below compares one with one",
      },
      {
        claim: "numbers, SPSC ring, wasm loops, published one by one",
        ours: { count: 5_000_000, run: through("spsc") },
        theirs: { count: 100_000, run: postNumbers },
        peer: "postMessage of numbers",
        note: "each is published, and its room given back, by itself",
      },
      {
        claim: "numbers, MPMC queue, wasm loops",
        ours: { count: 5_000_000, run: through("rows") },
        theirs: { count: 100_000, run: postNumbers },
        peer: "postMessage of numbers",
        goal: 30,
        note: "one producer, one consumer; up to 64 positions in a row are won at once",
      },
      {
        claim: "numbers, MPMC queue, wasm loops, one by one",
        ours: { count: 5_000_000, run: through("mpmc") },
        theirs: { count: 100_000, run: postNumbers },
        peer: "postMessage of numbers",
        note: "a position is won, published and released by itself",
      },
      {
        claim: "records of 100 bytes in place, one by one",
        ours: { count: 300_000, run: inPlace("records") },
        theirs: { count: 50_000, run: postRecords("postRecords") },
        peer: "postMessage of a Uint8Array",
        goal: 10,
        note: "each is written and published by itself",
      },
      {
        claim: "records of 100 bytes in place, in batches of 100",
        ours: { count: 300_000, run: inPlace("recordBatches") },
        theirs: { count: 300_000, run: postRecords("postBatches") },
        peer: "postMessage of 100 records, transferred",
        goal: 1,
        note: "both write and read each record through the same view",
      },
      {
        claim: "round trip",
        ours: { count: 5_000, run: pingPong },
        theirs: { count: 5_000, run: postPingPong },
        peer: "MessagePort",
        goal: 1,
        note: "both threads sleep when nothing comes",
      },
    ],
    mpmc: { count: 5_000_000, run: through("mpmc") },
    close: () => {
      port.close();
      return worker.terminate();
    },
  };
}

async function timed({ run: work }: Side, count: number): Promise<Timed> {
  const startedMs = performance.now();
  const checksum = await work(count);
  return { nanoseconds: ((performance.now() - startedMs) * 1e6) / count, checksum };
}

async function compared(
  { claim, ours, theirs, peer, goal, note }: Comparison,
  options: SuiteOptions,
): Promise<BenchRow> {
  const [count, theirCount] = [
    scaled(ours.count, options.scale, 100),
    scaled(theirs.count, options.scale, 100),
  ];
  const results = await interleave(options.rounds, {
    ours: () => timed(ours, count),
    theirs: () => timed(theirs, theirCount),
  });
  const nanoseconds = (side: string) => (results.get(side) ?? []).map((one) => one.nanoseconds);
  const checksum = sameChecksum({
    ours: (await timed(ours, 100)).checksum,
    theirs: (await timed(theirs, 100)).checksum,
  });
  return benchRow({
    claim,
    unit: "ns",
    better: "less",
    ours: median(nanoseconds("ours")),
    peer: { name: peer, version: `Node ${process.versions.node}`, value: median(nanoseconds("theirs")) },
    ...(goal === undefined ? {} : { goal }),
    checksum,
    note: `${note}; ${short(count)} a round, rounds ours ${spread(nanoseconds("ours"))}, theirs ${spread(nanoseconds("theirs"))}`,
  });
}

/** Undefined, said aloud, where the header or a compiler is missing. */
async function moodycamel(options: SuiteOptions, bench: Bench): Promise<BenchRow | undefined> {
  if (!existsSync(MOODYCAMEL)) {
    options.say("without moodycamel: apt-get install g++ libconcurrentqueue-dev");
    return undefined;
  }
  mkdirSync(options.folder, { recursive: true });
  const program = join(options.folder, "lockfree-peer");
  const source = join(import.meta.dirname, "lockfree-peer.cpp");
  await run("g++", ["-O2", "-std=c++17", "-pthread", source, "-o", program], options.folder);
  const count = scaled(bench.mpmc.count, options.scale, 100);
  const results = await interleave(options.rounds, {
    ours: () => timed(bench.mpmc, count),
    theirs: async () => {
      const { stdout } = await run(program, [String(count), "1"], options.folder);
      const [nanoseconds = 0, checksum = 0] = stdout.trim().split(" ").map(Number);
      return { nanoseconds, checksum };
    },
  });
  const of = (side: string) => results.get(side) ?? [];
  const checksum = sameChecksum({
    ours: of("ours")[0]?.checksum ?? 0,
    moodycamel: of("theirs")[0]?.checksum ?? 0,
  });
  const nanoseconds = (side: string) => of(side).map((one) => one.nanoseconds);
  return benchRow({
    claim: "numbers, MPMC queue, beside C++",
    unit: "ns",
    better: "less",
    ours: median(nanoseconds("ours")),
    peer: { name: "moodycamel::ConcurrentQueue", version: "Debian", value: median(nanoseconds("theirs")) },
    checksum: checksum || hex(0),
    note: `context; rounds ours ${spread(nanoseconds("ours"))}, theirs ${spread(nanoseconds("theirs"))}`,
  });
}
