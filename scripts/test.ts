/**
 * `npm test` (all), `npm run test:node` (what needs Node alone) and `npm run test:deep` (the long variants). The last line is
 * `N passed, N failed, N skipped`, whatever happened before it.
 */
import { check } from "./check.ts";
import { installDebianPackages } from "./debian.ts";
import { runStep } from "./run-steps.ts";

const VITEST = "node_modules/vitest/vitest.mjs";
/** Suites that talk to programs of Debian packages. */
const NEEDS_DEBIAN = [
  "test/peers/**",
  "test/boards/flashers/**",
  "test/boards/native/**",
  "test/boards/pico/**",
  "test/bench/native.test.ts",
  "test/conform/board.test.ts",
  "test/conform/serial.test.ts",
  "test/firmware/**",
  "test/host/gateway/brokers.test.ts",
  "test/host/gateway/forwarder-exactly-once.test.ts",
  "test/host/observe/promtool.test.ts",
];

/** Runs the core's tests on a core with counters; the core's modules must be covered above 80 % each. */
const ASSEMBLY_COVERAGE = { name: "coverage of AssemblyScript", args: ["scripts/coverage-assembly.ts"] };

const what = process.argv[2] ?? "all";
const filters = process.argv.slice(3);

function vitest(): boolean {
  const excluded = what === "node" ? NEEDS_DEBIAN.flatMap((glob) => ["--exclude", glob]) : [];
  const coverage = what === "all" && filters.length === 0 ? ["--coverage"] : [];
  return runStep({
    name: `tests (${what})`,
    args: [VITEST, "run", ...filters, ...excluded, ...coverage],
    ...(what === "deep" ? { env: { TARDIGRADE_DEEP: "1" } } : {}),
  });
}

function run(): boolean {
  if (what === "all" && filters.length === 0) {
    if (!installDebianPackages() || !check() || !runStep(ASSEMBLY_COVERAGE)) {
      console.log("0 passed, 1 failed, 0 skipped");
      return false;
    }
  }
  return vitest();
}

if (!run()) process.exitCode = 1;
