/** `tardi world run`: simulated worlds from the command line, for a desk and for CI. */
import type { Fault } from "../world/world.ts";
import type { ClusterJob } from "./world-job.ts";
import { type PlayOptions, playWorlds, SECOND_MS } from "./world-play.ts";

export interface WorldCommandOptions extends PlayOptions {
  /** Drawn from the seed by default. */
  readonly nodes?: number;
  readonly clients: number;
  readonly faults: "all" | "none" | readonly Fault[];
}

/** A cluster of the replicated store with its clients. */
export async function worldCommand(options: WorldCommandOptions): Promise<number> {
  const { clients, faults, nodes: given } = options;
  const forMs = options.for * SECOND_MS;
  const job: ClusterJob = {
    kind: "cluster",
    options: { forMs, clients, faults, ...(given === undefined ? {} : { nodes: given }) },
  };
  return playWorlds(options, {
    job,
    rows: (sum) => [
      ["faults", sum((report) => report.faults)],
      ["crashes", sum(({ crashes }) => crashes)],
      ["elections", sum(({ elections }) => elections)],
      ["snapshots taken over", sum(({ snapshots }) => snapshots)],
      ["committed entries", sum(({ commits }) => commits)],
      ["messages", sum(({ messages }) => messages)],
      ["operations", sum(({ operations }) => operations.ok + operations.uncertain + operations.refused)],
      ["  of uncertain outcome", sum(({ operations }) => operations.uncertain)],
      ["times the lock was held", sum(({ locked }) => locked)],
    ],
    again: ({ nodes }) =>
      `--nodes ${nodes} --clients ${clients} --faults ${typeof faults === "string" ? faults : faults.join(",")}`,
  });
}
