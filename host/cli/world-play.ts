/** Worlds from one seed on, so many at a time, and what a person or a program is told of them. */
import { execFileSync } from "node:child_process";
import { availableParallelism } from "node:os";
import { packageRoot } from "../../boards/toolchain/compile.ts";
import { systemClock } from "../io/clock.ts";
import { packageVersion } from "./gateway-run.ts";
import { bold, dim, green, print, printJson, progress, red } from "./output.ts";
import type { ReportOf, WorldJob } from "./world-job.ts";
import { inThisThread, inThreads, type RanWorld, type WorldRunner } from "./world-threads.ts";

export interface PlayOptions {
  readonly seed: number;
  /** Worlds of seed, seed + 1, … */
  readonly seeds: number;
  /** Worlds at a time; as many as there are processors by default. */
  readonly jobs?: number;
  /** Virtual seconds with faults. */
  readonly for: number;
  readonly trace?: boolean;
  readonly json?: boolean;
}

interface Played {
  readonly seed: number;
  readonly violation?: { readonly atMs: number; readonly what: string };
  readonly virtualMs: number;
  readonly digest: string;
}

type Rows = readonly (readonly [name: string, value: number])[];

export const SECOND_MS = 1000;

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

/** Exit code 1 when one is violated: of several the one of the lowest seed is shown, and no more are begun. */
export async function playWorlds<Job extends WorldJob>(
  options: PlayOptions,
  world: {
    readonly job: Job;
    /** What is counted in all of them together. */
    rows(sum: (of: (report: ReportOf<Job>) => number) => number): Rows;
    /** Options that, with the seed and the time, make that world again. */
    again(report: ReportOf<Job>): string;
  },
): Promise<number> {
  const { seeds, json, trace } = options;
  const commit = codeVersion();
  const line =
    json || trace ? undefined : progress(`Simulating ${seeds === 1 ? "a world" : `${seeds} worlds`}`);
  const clock = systemClock();
  const beganMs = clock.monotonicMs();
  const width = trace ? 1 : Math.min(options.jobs ?? availableParallelism(), seeds);
  const runner =
    width === 1
      ? inThisThread(world.job, (event) => (trace ? print(event) : undefined))
      : inThreads(world.job, width);
  const ran = await playSeeds(runner, options, (done) => line?.update(`${done} done`))
    .catch((error: unknown) => {
      line?.done(red("it could not be run"));
      throw error;
    })
    .finally(() => runner.close());
  const violated = ran.find(({ report }) => (report as Played).violation !== undefined);
  if (violated !== undefined) {
    const report = violated.report as ReportOf<Job> & Played;
    line?.done(red(`seed ${report.seed} violates`));
    if (json) printJson({ commit, ...report });
    else
      showViolation(violated.events, report, `at ${commit}`, `--for ${options.for}s ${world.again(report)}`);
    return 1;
  }
  line?.done("no violation");
  const reports = ran.map(({ report }) => report as ReportOf<Job> & Played);
  const seconds = (clock.monotonicMs() - beganMs) / SECOND_MS;
  if (json) {
    printJson(seeds === 1 ? { commit, ...reports[0] } : { commit, seconds, worlds: reports });
    return 0;
  }
  const sum = (of: (report: ReportOf<Job>) => number): number =>
    reports.reduce((total, report) => total + of(report), 0);
  const virtualMs = reports.reduce((total, report) => total + report.virtualMs, 0);
  const virtual = `${Math.round(virtualMs / SECOND_MS)} s in ${seconds.toFixed(1)} s`;
  for (const [name, value] of [["virtual time", virtual] as const, ...world.rows(sum)])
    print(`${name.padEnd(26)}${String(value).padStart(12)}`);
  if (reports.length === 1) print(dim(`digest ${reports[0]?.digest}: the same seed and code give it again`));
  print(green("Nothing was violated."));
  return 0;
}

/** In the order of the seeds; after a violation no more are begun, and those before it are there. */
export async function playSeeds<Report>(
  runner: WorldRunner<Report>,
  { seed: first, seeds }: Pick<PlayOptions, "seed" | "seeds">,
  onDone: (done: number) => void,
): Promise<RanWorld<Report>[]> {
  const ran: RanWorld<Report>[] = [];
  let [next, done] = [0, 0];
  let isOver = false;
  const lane = async (): Promise<void> => {
    while (!isOver && next < seeds) {
      const at = next;
      next += 1;
      const one = await runner.run(first + at);
      ran[at] = one;
      done += 1;
      onDone(done);
      isOver ||= (one.report as Played).violation !== undefined;
    }
  };
  await Promise.all(Array.from({ length: runner.width }, lane));
  return ran;
}

function showViolation(
  events: readonly string[],
  { seed, violation }: Played,
  where: string,
  again: string,
): void {
  for (const event of events) print(dim(event));
  const seconds = ((violation?.atMs ?? 0) / SECOND_MS).toFixed(3);
  print(red(bold(`Seed ${seed}, ${seconds} s: ${violation?.what}`)));
  print(`To see it again, ${where}:`);
  print(`  tardi world run --seed ${seed} ${again} --trace`);
}
