/** Worlds from one seed on, one after the other, and what a person or a program is told of them. */
import { execFileSync } from "node:child_process";
import { packageRoot } from "../../boards/toolchain/compile.ts";
import { systemClock } from "../io/clock.ts";
import { packageVersion } from "./gateway-run.ts";
import { bold, dim, green, print, printJson, progress, red } from "./output.ts";

export interface PlayOptions {
  readonly seed: number;
  /** Worlds of seed, seed + 1, … */
  readonly seeds: number;
  /** Virtual seconds with faults. */
  readonly for: number;
  readonly trace?: boolean;
  readonly json?: boolean;
}

export interface Played {
  readonly seed: number;
  readonly violation?: { readonly atMs: number; readonly what: string };
  readonly virtualMs: number;
  readonly digest: string;
}

type Rows = readonly (readonly [name: string, value: number])[];

/** Events before a violation that are shown. */
const LAST_EVENTS = 20;
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

/** Exit code 1 at the first violation. */
export async function playWorlds<Report extends Played>(
  options: PlayOptions,
  world: {
    run(seed: number, onEvent: (atMs: number, what: string) => void): Promise<Report>;
    /** What is counted in all of them together. */
    rows(sum: (of: (report: Report) => number) => number): Rows;
    /** Options that, with the seed and the time, make that world again. */
    again(report: Report): string;
  },
): Promise<number> {
  const commit = codeVersion();
  const line =
    options.json || options.trace
      ? undefined
      : progress(`Simulating ${options.seeds === 1 ? "a world" : `${options.seeds} worlds`}`);
  const reports: Report[] = [];
  const clock = systemClock();
  const beganMs = clock.monotonicMs();
  for (let seed = options.seed; seed < options.seed + options.seeds; seed += 1) {
    line?.update(`seed ${seed}, ${reports.length} done`);
    const events: string[] = [];
    const report = await world.run(seed, (atMs, what) => {
      const text = `${(atMs / SECOND_MS).toFixed(3).padStart(9)} s  ${what}`;
      if (options.trace) print(text);
      events.push(text);
      if (events.length > LAST_EVENTS) events.shift();
    });
    reports.push(report);
    if (report.violation === undefined) continue;
    line?.done(red(`seed ${seed} violates`));
    if (options.json) printJson({ commit, ...report });
    else {
      for (const event of events) print(dim(event));
      const { atMs, what } = report.violation;
      print(red(bold(`Seed ${seed}, ${(atMs / SECOND_MS).toFixed(3)} s: ${what}`)));
      print(`To see it again, at ${commit}:`);
      print(`  tardi world run --seed ${seed} --for ${options.for}s ${world.again(report)} --trace`);
    }
    return 1;
  }
  const seconds = (clock.monotonicMs() - beganMs) / SECOND_MS;
  if (options.json)
    printJson(options.seeds === 1 ? { commit, ...reports[0] } : { commit, seconds, worlds: reports });
  else {
    line?.done("no violation");
    const sum = (of: (report: Report) => number): number => reports.reduce((all, one) => all + of(one), 0);
    const virtual = `${Math.round(sum(({ virtualMs }) => virtualMs) / SECOND_MS)} s in ${seconds.toFixed(1)} s`;
    for (const [name, value] of [["virtual time", virtual] as const, ...world.rows(sum)])
      print(`${name.padEnd(26)}${String(value).padStart(12)}`);
    if (reports.length === 1)
      print(dim(`digest ${reports[0]?.digest}: the same seed and code give it again`));
    print(green("Nothing was violated."));
  }
  return 0;
}
