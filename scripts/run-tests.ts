/** Runs test files in a process of its own and tells how many failed, for scripts that look for tests that fail. */
import { spawn } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";

export interface TestRun {
  /** How many tests failed; a file that fails while it is loaded counts as one. -1 when nothing could run. */
  readonly failed: number;
  /** Tests that ran. */
  readonly total: number;
  /** The file that failed; one that hung counts, without a name. */
  readonly file: string | undefined;
  /** Seconds by test file. */
  readonly seconds: ReadonlyMap<string, number>;
  readonly output: string;
}

export interface TestRunOptions {
  /** Repository, or a copy of it. */
  readonly folder: string;
  readonly tests: readonly string[];
  /** A test that hangs on a fault has noticed it too. */
  readonly msMax: number;
  /** Where its report goes; overwritten. */
  readonly report: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
}

interface Report {
  readonly numFailedTests: number;
  readonly numTotalTests: number;
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly startTime: number;
    readonly endTime: number;
  }[];
}

export async function runTests(options: TestRunOptions): Promise<TestRun> {
  const { folder, tests, msMax, report, env = {}, args = [] } = options;
  rmSync(report, { force: true });
  const vitest = join(folder, "node_modules/vitest/vitest.mjs");
  const child = spawn(
    process.execPath,
    [vitest, "run", ...tests, "--bail=1", "--reporter=json", `--outputFile=${report}`, ...args],
    // A group of its own, since a worker in an endless loop outlives its parent otherwise.
    { cwd: folder, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"], detached: true },
  );
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
  }, msMax);
  await new Promise((resolve) => child.once("close", resolve));
  clearTimeout(timer);
  if (timedOut)
    return { failed: 1, total: 1, file: "a test that hung", seconds: new Map(), output: "it hung" };
  try {
    const told = JSON.parse(readFileSync(report, "utf8")) as Report;
    const relative = (path: string) => path.slice(folder.length + 1);
    const seconds = told.testResults.map(
      ({ name, startTime, endTime }) => [relative(name), (endTime - startTime) / 1000] as const,
    );
    const first = told.testResults.find(({ status }) => status === "failed");
    const file = first === undefined ? undefined : relative(first.name);
    const failed = Math.max(told.numFailedTests, first === undefined ? 0 : 1);
    const total = told.numTotalTests;
    return {
      failed: total === 0 && failed === 0 ? -1 : failed,
      total,
      file,
      seconds: new Map(seconds),
      output,
    };
  } catch {
    return { failed: -1, total: 0, file: undefined, seconds: new Map(), output };
  }
}

/** Works through a list in lanes, each with one item at a time. */
export async function inLanes<L, T>(
  lanes: readonly L[],
  list: readonly T[],
  work: (lane: L, item: T) => Promise<void>,
): Promise<void> {
  const left = [...list];
  await Promise.all(
    lanes.map(async (lane) => {
      for (let item = left.shift(); item !== undefined; item = left.shift()) await work(lane, item);
    }),
  );
}
