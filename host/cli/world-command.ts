/** `tardi world run`: simulated worlds from the command line, for a desk and for CI. */
import { execFileSync } from "node:child_process";
import { packageRoot } from "../../boards/toolchain/compile.ts";
import { openCore } from "../core/core.ts";
import { readCoreBytes } from "../core/core-bytes.ts";
import { systemClock } from "../io/clock.ts";
import { type ClusterWorldReport, type Fault, runWorld } from "../world/world.ts";
import { packageVersion } from "./gateway-run.ts";
import { bold, dim, green, print, printJson, progress, red } from "./output.ts";

export interface WorldCommandOptions {
  readonly seed: number;
  /** Worlds of seed, seed + 1, … */
  readonly seeds: number;
  readonly for: number;
  /** Drawn from the seed by default. */
  readonly nodes?: number;
  readonly clients: number;
  readonly faults: "all" | "none" | readonly Fault[];
  readonly trace?: boolean;
  readonly json?: boolean;
}

/** Events before a violation that are shown. */
const LAST_EVENTS = 20;
const SECOND_MS = 1000;

/** What would have to be checked out to run the same again. */
export function codeVersion(): string {
  try {
    const commit = execFileSync("git", ["rev-parse", "HEAD"], {
      cwd: packageRoot(),
      stdio: ["ignore", "pipe", "ignore"],
    });
    return commit.toString().trim();
  } catch {
    return packageVersion();
  }
}

/** Exit code 1 at the first violation. */
export async function worldCommand(options: WorldCommandOptions): Promise<number> {
  const core = openCore(readCoreBytes());
  const commit = codeVersion();
  const line =
    options.json || options.trace
      ? undefined
      : progress(`Simulating ${options.seeds === 1 ? "a world" : `${options.seeds} worlds`}`);
  const reports: ClusterWorldReport[] = [];
  const clock = systemClock();
  const beganMs = clock.monotonicMs();
  for (let seed = options.seed; seed < options.seed + options.seeds; seed += 1) {
    line?.update(`seed ${seed}, ${reports.length} done`);
    const events: string[] = [];
    const report = await runWorld(core, {
      ...{ seed, forMs: options.for * SECOND_MS },
      ...(options.nodes === undefined ? {} : { nodes: options.nodes }),
      ...{ clients: options.clients, faults: options.faults },
      onEvent: (atMs, what) => {
        const text = `${(atMs / SECOND_MS).toFixed(3).padStart(9)} s  ${what}`;
        if (options.trace) print(text);
        events.push(text);
        if (events.length > LAST_EVENTS) events.shift();
      },
    });
    reports.push(report);
    if (report.violation === undefined) continue;
    line?.done(red(`seed ${seed} violates`));
    if (options.json) printJson({ commit, ...report });
    else tellViolation(report, { commit, events, options });
    return 1;
  }
  const seconds = (clock.monotonicMs() - beganMs) / SECOND_MS;
  if (options.json)
    printJson(options.seeds === 1 ? { commit, ...reports[0] } : { commit, seconds, worlds: reports });
  else {
    line?.done("no violation");
    tell(reports, seconds);
  }
  return 0;
}

function tell(reports: readonly ClusterWorldReport[], seconds: number): void {
  const sum = (of: (report: ClusterWorldReport) => number): number =>
    reports.reduce((all, one) => all + of(one), 0);
  const rows: readonly (readonly [string, number | string])[] = [
    [
      "virtual time",
      `${Math.round(sum(({ virtualMs }) => virtualMs) / SECOND_MS)} s in ${seconds.toFixed(1)} s`,
    ],
    ["faults", sum(({ faults }) => faults)],
    ["crashes", sum(({ crashes }) => crashes)],
    ["elections", sum(({ elections }) => elections)],
    ["snapshots taken over", sum(({ snapshots }) => snapshots)],
    ["committed entries", sum(({ commits }) => commits)],
    ["messages", sum(({ messages }) => messages)],
    ["operations", sum(({ operations }) => operations.ok + operations.uncertain + operations.refused)],
    ["  of uncertain outcome", sum(({ operations }) => operations.uncertain)],
    ["times the lock was held", sum(({ locked }) => locked)],
  ];
  for (const [name, value] of rows) print(`${name.padEnd(26)}${String(value).padStart(12)}`);
  if (reports.length === 1) print(dim(`digest ${reports[0]?.digest}: the same seed and code give it again`));
  print(green("Nothing was violated."));
}

function tellViolation(
  { seed, nodes, violation }: ClusterWorldReport,
  { commit, events, options }: { commit: string; events: readonly string[]; options: WorldCommandOptions },
): void {
  for (const event of events) print(dim(event));
  print(red(bold(`Seed ${seed}, ${((violation?.atMs ?? 0) / SECOND_MS).toFixed(3)} s: ${violation?.what}`)));
  const faults = typeof options.faults === "string" ? options.faults : options.faults.join(",");
  print(`To see it again, at ${commit}:`);
  print(
    `  tardi world run --seed ${seed} --for ${options.for}s --nodes ${nodes} --clients ${options.clients} --faults ${faults} --trace`,
  );
}
