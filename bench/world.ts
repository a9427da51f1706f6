/**
 * How fast simulated clusters break things: node-seconds with all faults armed that are simulated in a minute, checks included, in one thread and in as many as there are processors. A
 * world counts while its nodes send at least ten messages and commit at least one entry a node-second; the note says what they did.
 */
import { availableParallelism } from "node:os";
import { crc32 } from "node:zlib";
import type { ClusterJob } from "../host/cli/world-job.ts";
import { playSeeds } from "../host/cli/world-play.ts";
import { inThreads } from "../host/cli/world-threads.ts";
import { systemClock } from "../host/io/clock.ts";
import type { ClusterWorldReport } from "../host/world/world.ts";
import { interleave, median, type SuiteOptions, sameChecksum, scaled, short, spread } from "./measure.ts";
import { type BenchRow, benchRow } from "./rows.ts";

const SEEDS = 20;
const FOR_MS = 30_000;
const GOAL_A_MINUTE = 1_000_000;
const MINUTE_MS = 60_000;

export async function worldSuite({ rounds, scale, say }: SuiteOptions): Promise<BenchRow[]> {
  const job: ClusterJob = { kind: "cluster", options: { forMs: FOR_MS } };
  const width = availableParallelism();
  const runners = { "one thread": inThreads(job, 1), [`${width} threads`]: inThreads(job, width) };
  const seeds = scaled(SEEDS, scale);
  const clock = systemClock();
  try {
    const measured = await interleave<Round>(
      rounds,
      Object.fromEntries(
        Object.entries(runners).map(([name, runner]) => [
          name,
          async (round) => {
            const beganMs = clock.monotonicMs();
            const ran = await playSeeds(runner, { seed: 1, seeds }, () => undefined);
            const reports = ran.map(({ report }) => report);
            const violated = reports.find(({ violation }) => violation !== undefined);
            if (violated !== undefined)
              throw new Error(`Seed ${violated.seed} violates; run it with tardi world run.`);
            const rate = (total(reports, "faultSeconds") / (clock.monotonicMs() - beganMs)) * MINUTE_MS;
            say(`round ${round}/${rounds}, ${name}: ${short(rate)} fault-seconds a minute`);
            return { rate, reports, checksum: crc32(reports.map(({ digest }) => digest).join()) };
          },
        ]),
      ),
    );
    const all = [...measured.values()].flat();
    const checksum = sameChecksum(
      Object.fromEntries(all.map((round, at) => [`round ${at}`, round.checksum])),
    );
    const [{ reports }] = all as [Round];
    const each = (count: number): string => (count / total(reports, "faultSeconds")).toFixed(1);
    return [...measured].map(([name, of]) => {
      const rates = of.map(({ rate }) => rate);
      return benchRow({
        claim: `simulated node-seconds with all faults armed, checked, in ${name}`,
        unit: "1/min",
        better: "more",
        ours: median(rates),
        peer: { name: "bound", version: "", value: GOAL_A_MINUTE },
        goal: 1,
        checksum,
        note: `${seeds} seeds of three or five nodes and ten clients; ${each(total(reports, "messages"))} messages and ${each(total(reports, "commits"))} commits a node-second; rounds ${spread(rates)}`,
      });
    });
  } finally {
    await Promise.all(Object.values(runners).map((runner) => runner.close()));
  }
}

interface Round {
  readonly rate: number;
  readonly reports: readonly ClusterWorldReport[];
  readonly checksum: number;
}

function total(reports: readonly ClusterWorldReport[], of: "faultSeconds" | "messages" | "commits"): number {
  return reports.reduce((sum, report) => sum + report[of], 0);
}
