/**
 * What the core's decisions cost beside the peers that people use on Node: the same question asked of both, in turns, in one process.
 *
 * Shapes differ, and each row's note says how: cockatiel and opossum have asynchronous calls alone; where ours also decides synchronously, a row shows what
 * that difference is worth. What a reading of the clock costs is a row of its own, since it is more than most decisions.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Comparison, Side } from "./core-comparisons.ts";
import { comparisons, decisions, direct } from "./core-comparisons.ts";
import { interleave, median, type SuiteOptions, sameChecksum, scaled, short, spread } from "./measure.ts";
import { type BenchRow, benchRow } from "./rows.ts";

const NANOSECONDS_A_MS = 1e6;
const NS_PER_S = 1e9;
const ALLOCATION_CALLS = 400_000;
const ALLOCATION_ROUNDS = 9;

export async function coreSuite(options: SuiteOptions): Promise<BenchRow[]> {
  const rows: BenchRow[] = [];
  for (const comparison of comparisons()) {
    options.say(comparison.claim);
    rows.push(await compared(comparison, options));
  }
  options.say("floors and bytes of synchronous decisions");
  for (const { claim, decide, floorPerSecond } of decisions()) {
    const loop = direct(decide);
    const calls = scaled(1_000_000, options.scale, 32);
    const rates: number[] = [];
    for (let round = 0; round < options.rounds; round += 1) {
      const { nanoseconds } = await timed(loop, calls);
      rates.push(NS_PER_S / nanoseconds);
    }
    // Of what was decided: 1 is added, as most answers are 0.
    const checksum = sameChecksum({ once: direct((index) => decide(index) + 1)(32) });
    rows.push(
      benchRow({
        claim: `${claim}, decisions a second`,
        unit: "1/s",
        better: "more",
        ours: median(rates),
        peer: { name: "floor of the specification", version: "", value: floorPerSecond },
        goal: 1,
        checksum,
        note: `rounds ${spread(rates)}`,
      }),
    );
    rows.push(allocation(claim, loop, { checksum, calls: scaled(ALLOCATION_CALLS, options.scale, 32) }));
  }
  return rows;
}

async function compared(
  { claim, calls, ours, peer, theirs, note, goal }: Comparison,
  options: SuiteOptions,
): Promise<BenchRow> {
  const count = scaled(calls, options.scale, 32);
  const theirCount = scaled(peer.calls ?? calls, options.scale, 32);
  const results = await interleave(options.rounds, {
    ours: () => timed(ours, count),
    theirs: () => timed(theirs, theirCount),
  });
  const nanoseconds = (side: string): number[] => (results.get(side) ?? []).map((one) => one.nanoseconds);
  // Checked over the same calls, whatever the rounds were.
  const checksum = sameChecksum({
    ours: (await timed(ours, 32)).checksum,
    [peer.name]: (await timed(theirs, 32)).checksum,
  });
  return benchRow({
    claim,
    unit: "ns",
    better: "less",
    ours: median(nanoseconds("ours")),
    peer: { name: peer.name, version: peer.version, value: median(nanoseconds("theirs")) },
    ...(goal === undefined ? {} : { goal }),
    checksum,
    note: `${note}; ${short(count)} calls a round, rounds ours ${spread(nanoseconds("ours"))}, theirs ${spread(nanoseconds("theirs"))}`,
  });
}

async function timed(side: Side, calls: number): Promise<{ nanoseconds: number; checksum: number }> {
  const startedMs = performance.now();
  const checksum = await side(calls);
  const elapsedMs = performance.now() - startedMs;
  return { nanoseconds: (elapsedMs * NANOSECONDS_A_MS) / calls, checksum: checksum >>> 0 };
}

/** Bytes of heap that a decision leaves, collected or not: what was there after many, less what was there before, without a collection in between. */
function allocation(
  claim: string,
  loop: (calls: number) => number,
  { checksum, calls }: { readonly checksum: string; readonly calls: number },
): BenchRow {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  // Until the optimising compiler is done with it, which a busy machine delays: before, doubles are heap numbers.
  for (let round = 0; round < 4; round += 1) loop(calls);
  let least = Number.POSITIVE_INFINITY;
  // The heap is also touched by whatever else runs: the least of several says what the decisions do.
  for (let round = 0; round < ALLOCATION_ROUNDS; round += 1) {
    collect();
    const before = process.memoryUsage().heapUsed;
    loop(calls);
    least = Math.min(least, process.memoryUsage().heapUsed - before);
  }
  // Looking itself takes some hundred bytes.
  const bytes = Math.max(0, Math.round((least - 4096) / calls));
  return benchRow({
    claim: `${claim}, bytes allocated a decision`,
    unit: "B",
    better: "less",
    ours: bytes,
    peer: { name: "none", version: "", value: 0 },
    checksum,
    note: `heap after ${short(calls)} decisions less before, no collection between; the least of nine`,
  });
}
