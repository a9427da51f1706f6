/**
 * Faults written by hand: puts every one of test/mutants/table.ts, one at a time, into a copy of the repository and runs the test that must fail.
 * Each of those tests first has to pass without the fault.
 */
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import { MUTANTS, type Mutant } from "../test/mutants/table.ts";
import { inLanes, runTests } from "./run-tests.ts";

const ROOT = join(import.meta.dirname, "..");
const NOT_COPIED = new Set(["node_modules", ".git", "dist", "coverage"]);
const RUN_MS_MAX = 180_000;

type Outcome = "noticed" | "missed" | "broken";

export interface TableResult {
  readonly name: string;
  readonly test: string;
  readonly outcome: Outcome;
  readonly seconds: number;
  readonly note: string;
}

/** Those whose names contain `only`; `folder` takes the copies. */
export async function runTable(only: string, folder: string): Promise<readonly TableResult[]> {
  const mutants = MUTANTS.filter((mutant) => mutant.name.includes(only));
  const tests = [...new Set(mutants.map((mutant) => mutant.test))];
  const queue = [...mutants];
  const results: TableResult[] = [];
  const lanes = Array.from({ length: Math.min(availableParallelism(), 4) }, (_, number) =>
    copyOf(join(folder, `lane-${number}`)),
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

async function tryMutant(lane: string, mutant: Mutant): Promise<TableResult> {
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
    if (run.failed > 0 && run.total > 0) return resultOf(mutant, "noticed", seconds, "");
    // A fault that no longer parses shows nothing.
    return run.failed === 0
      ? resultOf(mutant, "missed", seconds, "")
      : resultOf(mutant, "broken", seconds, run.output);
  } finally {
    writeFileSync(path, original);
  }
}

function resultOf(mutant: Mutant, outcome: Outcome, seconds: number, note: string): TableResult {
  return { name: mutant.name, test: mutant.test, outcome, seconds, note };
}

function copyOf(copy: string): string {
  mkdirSync(copy);
  for (const entry of readdirSync(ROOT)) {
    if (!NOT_COPIED.has(basename(entry))) cpSync(join(ROOT, entry), join(copy, entry), { recursive: true });
  }
  symlinkSync(realpathSync(join(ROOT, "node_modules")), join(copy, "node_modules"));
  return copy;
}

function runTest(lane: string, test: string) {
  return runTests({
    folder: lane,
    tests: [test],
    msMax: RUN_MS_MAX,
    report: join(lane, "mutant-report.json"),
  });
}
