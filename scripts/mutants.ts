/**
 * Shows that the tests notice what they are there to notice: puts every fault of test/mutants/table.ts, one
 * at a time, into a copy of the repository, runs the test that must fail, and fails itself when that one
 * passes. Each of those tests first has to pass without the fault. Options: --only TEXT (names that contain
 * it), --json FILE.
 */
import { spawn } from "node:child_process";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { MUTANTS, type Mutant } from "../test/mutants/table.ts";

const ROOT = join(import.meta.dirname, "..");
const NOT_COPIED = new Set(["node_modules", ".git", "dist", "coverage"]);
/** A test that hangs on a fault has noticed it too. */
const RUN_MS_MAX = 180_000;

type Outcome = "noticed" | "missed" | "broken";

interface Result {
  readonly name: string;
  readonly test: string;
  readonly outcome: Outcome;
  readonly seconds: number;
  readonly note: string;
}

const { values: options } = parseArgs({ options: { only: { type: "string" }, json: { type: "string" } } });
const chosen = MUTANTS.filter((mutant) => mutant.name.includes(options.only ?? ""));
const folder = mkdtempSync(join(tmpdir(), "tardi-mutants-"));
try {
  const results = await runAll(chosen);
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(results, null, 2)}\n`);
  const noticed = results.filter((result) => result.outcome === "noticed").length;
  console.log(`mutants: ${noticed} of ${results.length} noticed`);
  process.exitCode = noticed === results.length && results.length > 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function runAll(mutants: readonly Mutant[]): Promise<Result[]> {
  const tests = [...new Set(mutants.map((mutant) => mutant.test))];
  const queue = [...mutants];
  const results: Result[] = [];
  const lanes = Array.from({ length: Math.min(availableParallelism(), 4) }, (_, number) =>
    copyOf(`lane-${number}`),
  );
  const broken = new Set<string>();
  await inLanes(lanes, tests, async (lane, test) => {
    const run = await runTest(lane, test);
    if (run.failed === 0) return;
    broken.add(test);
    console.error(`${test} fails without any fault:\n${run.output}`);
  });
  await inLanes(lanes, queue, async (lane, mutant) => {
    const result = broken.has(mutant.test)
      ? resultOf(mutant, "broken", 0, "its test fails without the fault")
      : await tryMutant(lane, mutant);
    results.push(result);
    console.log(
      `${result.outcome.padEnd(8)} ${result.seconds.toFixed(1).padStart(6)} s  ${result.name} ${result.note}`,
    );
  });
  return results;
}

async function inLanes<T>(
  lanes: readonly string[],
  list: readonly T[],
  work: (lane: string, item: T) => Promise<void>,
): Promise<void> {
  const left = [...list];
  await Promise.all(
    lanes.map(async (lane) => {
      for (let item = left.shift(); item !== undefined; item = left.shift()) await work(lane, item);
    }),
  );
}

async function tryMutant(lane: string, mutant: Mutant): Promise<Result> {
  const path = join(lane, mutant.file);
  const original = readFileSync(path, "utf8");
  const count = original.split(mutant.find).length - 1;
  if (count !== 1)
    return resultOf(mutant, "broken", 0, `: its text stands ${count} times in ${mutant.file}, not once`);
  writeFileSync(
    path,
    original.replace(mutant.find, () => mutant.replace),
  );
  const beganMs = performance.now();
  try {
    const run = await runTest(lane, mutant.test);
    const seconds = (performance.now() - beganMs) / 1000;
    if (run.failed > 0) return resultOf(mutant, "noticed", seconds, "");
    // A fault that no longer parses shows nothing.
    return run.failed === 0
      ? resultOf(mutant, "missed", seconds, "")
      : resultOf(mutant, "broken", seconds, run.output);
  } finally {
    writeFileSync(path, original);
  }
}

function resultOf(mutant: Mutant, outcome: Outcome, seconds: number, note: string): Result {
  return { name: mutant.name, test: mutant.test, outcome, seconds, note };
}

function copyOf(name: string): string {
  const copy = join(folder, name);
  mkdirSync(copy);
  for (const entry of readdirSync(ROOT)) {
    if (!NOT_COPIED.has(basename(entry))) cpSync(join(ROOT, entry), join(copy, entry), { recursive: true });
  }
  symlinkSync(realpathSync(join(ROOT, "node_modules")), join(copy, "node_modules"));
  return copy;
}

/** How many tests failed; -1 when none could run. */
async function runTest(
  lane: string,
  test: string,
): Promise<{ readonly failed: number; readonly output: string }> {
  const report = join(lane, "mutant-report.json");
  rmSync(report, { force: true });
  const vitest = join(lane, "node_modules/vitest/vitest.mjs");
  const args = [vitest, "run", test, "--bail=1", "--reporter=json", `--outputFile=${report}`];
  const child = spawn(process.execPath, args, { cwd: lane, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk: Buffer) => (output += chunk.toString()));
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill("SIGKILL");
  }, RUN_MS_MAX);
  await new Promise((resolve) => child.once("close", resolve));
  clearTimeout(timer);
  if (timedOut) return { failed: 1, output: "it hung" };
  try {
    const { numFailedTests, numTotalTests } = JSON.parse(readFileSync(report, "utf8")) as {
      numFailedTests: number;
      numTotalTests: number;
    };
    if (numTotalTests === 0) return { failed: -1, output };
    return { failed: numFailedTests, output };
  } catch {
    return { failed: -1, output };
  }
}
