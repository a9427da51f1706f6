/**
 * What the core's decisions cost beside the peers that people use on Node: the same question asked of both, in turns, in one process.
 *
 * Shapes differ, and each row's note says how: cockatiel and opossum have asynchronous calls alone; where ours also decides synchronously, a row shows what
 * that difference is worth. What a reading of the clock costs is a row of its own, since it is more than most decisions.
 */
import { setImmediate as turn } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Comparison, Side } from "./core-comparisons.ts";
import { comparisons, decisions, direct } from "./core-comparisons.ts";
import { interleave, median, type SuiteOptions, sameChecksum, scaled, short, spread } from "./measure.ts";
import { type BenchRow, benchRow } from "./rows.ts";

const NANOSECONDS_A_MS = 1e6;
const NS_PER_S = 1e9;
/** So few that 16 bytes each stay far below what makes V8 collect. */
const ALLOCATION_CALLS = 10_000;
const ALLOCATION_WARM_UPS = 400;
const ALLOCATION_ROUNDS = 15;

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

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
    rows.push(
      await allocation(claim, decide, { checksum, batches: scaled(ALLOCATION_WARM_UPS, options.scale, 1) }),
    );
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

/**
 * Bytes of heap that a decision leaves, collected or not: what was there after a batch, less what was there before, without a collection in between, and
 * less the same of a decision that does nothing. The loop is called often and runs shortly, since a loop that runs long is replaced while it runs each time
 * it is called, and keeps doubles as heap numbers until then: that was measured, not the decision.
 */
async function allocation(
  claim: string,
  decide: (index: number) => number,
  { checksum, batches }: { readonly checksum: string; readonly batches: number },
): Promise<BenchRow> {
  const empty = await bytesLeft(
    direct((index) => index & 1),
    batches,
  );
  const decided = await bytesLeft(direct(decide), batches);
  const bytes = Math.max(0, Math.round((10 * (median(decided) - median(empty))) / ALLOCATION_CALLS) / 10);
  return benchRow({
    claim: `${claim}, bytes allocated a decision`,
    unit: "B",
    better: "less",
    ours: bytes,
    peer: { name: "none", version: "", value: 0 },
    checksum,
    note: `heap after ${short(ALLOCATION_CALLS)} decisions less before, no collection between; median of ${ALLOCATION_ROUNDS} after ${batches} to warm up`,
  });
}

/** Of the heap, after each of some batches: so much more than before it. */
async function bytesLeft(loop: (calls: number) => number, warmUps: number): Promise<readonly number[]> {
  for (let batch = 0; batch < warmUps; batch += 1) {
    loop(ALLOCATION_CALLS);
    // The compiler works beside this thread, and hands over what it made between two turns at the latest.
    await turn();
  }
  const left: number[] = [];
  for (let round = 0; round < ALLOCATION_ROUNDS; round += 1) {
    await turn();
    // The first decision of a turn reads the clock, which leaves a timer behind.
    loop(1);
    collect();
    const before = process.memoryUsage().heapUsed;
    loop(ALLOCATION_CALLS);
    left.push(process.memoryUsage().heapUsed - before);
  }
  return left;
}
