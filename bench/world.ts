/**
 * How fast a simulated cluster breaks things: node-seconds with all faults armed that one core simulates in a minute, checks included. A
 * world counts while its nodes send at least ten messages and commit at least one entry a node-second; the note says what they did.
 */
import { crc32 } from "node:zlib";
import { openCore } from "../host/core/core.ts";
import { readCoreBytes } from "../host/core/core-bytes.ts";
import { systemClock } from "../host/io/clock.ts";
import { type ClusterWorldReport, runWorld } from "../host/world/world.ts";
import { median, type SuiteOptions, sameChecksum, scaled, short, spread } from "./measure.ts";
import { type BenchRow, benchRow } from "./rows.ts";

const SEEDS = 20;
const FOR_MS = 30_000;
const GOAL_A_MINUTE = 1_000_000;
const MINUTE_MS = 60_000;

export async function worldSuite({ rounds, scale, say }: SuiteOptions): Promise<BenchRow[]> {
  const core = openCore(readCoreBytes());
  const clock = systemClock();
  const rates: number[] = [];
  const checksums: Record<string, number> = {};
  let reports: ClusterWorldReport[] = [];
  // The first warms up.
  for (let round = 0; round <= rounds; round += 1) {
    reports = [];
    const startedMs = clock.monotonicMs();
    for (let seed = 1; seed <= scaled(SEEDS, scale); seed += 1) {
      const report = await runWorld(core, { seed, forMs: FOR_MS });
      if (report.violation !== undefined)
        throw new Error(`Seed ${seed} violates; run it with tardi world run.`);
      reports.push(report);
    }
    const rate = (total(reports, "faultSeconds") / (clock.monotonicMs() - startedMs)) * MINUTE_MS;
    say(`round ${round}/${rounds}: ${short(rate)} fault-seconds a minute`);
    checksums[`round ${round}`] = crc32(reports.map(({ digest }) => digest).join());
    if (round > 0) rates.push(rate);
  }
  const each = (count: number): string => (count / total(reports, "faultSeconds")).toFixed(1);
  return [
    benchRow({
      claim: "simulated node-seconds with all faults armed, checked",
      unit: "1/min",
      better: "more",
      ours: median(rates),
      peer: { name: "bound", version: "", value: GOAL_A_MINUTE },
      goal: 1,
      checksum: sameChecksum(checksums),
      note: `${reports.length} seeds of five nodes and ten clients; ${each(total(reports, "messages"))} messages and ${each(total(reports, "commits"))} commits a node-second; rounds ${spread(rates)}`,
    }),
  ];
}

function total(reports: readonly ClusterWorldReport[], of: "faultSeconds" | "messages" | "commits"): number {
  return reports.reduce((sum, report) => sum + report[of], 0);
}
