/**
 * `npm test` (all), `npm run test:node` (what needs Node alone) and `npm run test:deep` (the long variants). The last line is
 * `N passed, N failed, N skipped`, whatever happened before it.
 */
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { check } from "./check.ts";
import { installDebianPackages } from "./debian.ts";
import { ROOT, runStep } from "./run-steps.ts";

const VITEST = "node_modules/vitest/vitest.mjs";
/** Suites that talk to programs of Debian packages. */
const NEEDS_DEBIAN = [
  "test/peers/**",
  "test/boards/flashers/**",
  "test/boards/native/**",
  "test/boards/pico/**",
  "test/bench/device.test.ts",
  "test/bench/native.test.ts",
  "test/conform/board.test.ts",
  "test/conform/serial.test.ts",
  "test/firmware/**",
  "test/host/gateway/access.test.ts",
  "test/host/gateway/brokers.test.ts",
  "test/host/gateway/tls.test.ts",
  "test/page/page.test.ts",
  "test/host/gateway/forwarder-exactly-once.test.ts",
  "test/host/observe/promtool.test.ts",
];

/** Suites whose time is an emulated processor's, or a search's: counters of coverage slow these three to ten times, so they run apart, without. */
const UNCOUNTED = [
  "test/interleavings/**",
  "test/bench/device.test.ts",
  "test/bench/native.test.ts",
  "test/boards/native/journal.test.ts",
  "test/boards/native/oracle.test.ts",
  "test/boards/native/raft-ring.test.ts",
  "test/boards/native/restart.test.ts",
  "test/boards/native/soak.test.ts",
  "test/boards/uno/**",
  "test/conform/board.test.ts",
  "test/peers/pico-pty.test.ts",
];

/** Runs the core's tests on a core with counters; the core's modules must be covered above 80 % each. */
const ASSEMBLY_COVERAGE = { name: "coverage of AssemblyScript", args: ["scripts/coverage-assembly.ts"] };

/** A line of counts for each run of Vitest (test/support/closing-line.ts). */
const COUNTS = join(ROOT, "build/test-counts.jsonl");

const what = process.argv[2] ?? "all";
const filters = process.argv.slice(3);

function vitest(name: string, args: readonly string[]): boolean {
  const env = { TARDIGRADE_COUNTS: COUNTS, ...(what === "deep" ? { TARDIGRADE_DEEP: "1" } : {}) };
  return runStep({ name, args: [VITEST, "run", ...args], env });
}

const without = (globs: readonly string[]) => globs.flatMap((glob) => ["--exclude", glob]);

/** A filter is a part of a path; a glob, or a file that is gone, would match nothing, in silence. */
function pathOf(glob: string): string {
  const path = glob.replace("/**", "");
  if (!existsSync(join(ROOT, path))) throw new Error(`scripts/test.ts names ${path}, which is not there.`);
  return path;
}

/** The runs of Vitest that make up `what`: whether each passed. */
function suites(): readonly boolean[] {
  if (what === "node") return [vitest("tests (node)", [...filters, ...without(NEEDS_DEBIAN)])];
  if (what === "deep" || filters.length > 0) return [vitest(`tests (${what})`, filters)];
  return [
    vitest("tests", ["--coverage", ...without(UNCOUNTED)]),
    vitest("tests without counters", UNCOUNTED.map(pathOf)),
  ];
}

function run(): boolean {
  if (what === "all" && filters.length === 0)
    if (!installDebianPackages() || !check() || !runStep(ASSEMBLY_COVERAGE)) {
      console.log("0 passed, 1 failed, 0 skipped");
      return false;
    }
  mkdirSync(dirname(COUNTS), { recursive: true });
  rmSync(COUNTS, { force: true });
  const results = suites();
  console.log(closingLine(results.length));
  return results.every(Boolean);
}

/** The sum over `runs` runs; one that ended without its counts is a failure. */
function closingLine(runs: number): string {
  const lines = existsSync(COUNTS) ? readFileSync(COUNTS, "utf8").trim().split("\n") : [];
  const total = { passed: 0, failed: runs - lines.length, skipped: 0 };
  for (const line of lines) {
    const { passed, failed, skipped } = JSON.parse(line) as typeof total;
    total.passed += passed;
    total.failed += failed;
    total.skipped += skipped;
  }
  return `${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`;
}

if (!run()) process.exitCode = 1;
