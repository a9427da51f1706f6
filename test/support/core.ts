/**
 * Opens the core for tests; while scripts/mutants.ts runs them, the one with a fault in it. With TARDI_ASSEMBLY_COVERAGE set (scripts/coverage-assembly.ts does) it is the instrumented
 * build, and its counters are written down when the file's tests are done.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll } from "vitest";
import { type Core, openCore } from "../../host/core/core.ts";
import {
  COVERAGE_COMPONENT,
  COVERAGE_FOLDER,
  COVERAGE_WASM,
  type CoverageExports,
} from "./assembly-coverage.ts";
import { mutated } from "./mutated.ts";

const BUILD = join(import.meta.dirname, "../../build");

const measured = process.env.TARDI_ASSEMBLY_COVERAGE !== undefined;

export function openTestCore(): Core {
  const name = measured ? COVERAGE_WASM : "core.wasm";
  const core = openCore(new Uint8Array(readFileSync(mutated?.wasm ?? join(BUILD, name))));
  keepCoverage(core);
  return core;
}

/** Where the transpiled component is. */
export function componentFolder(): string {
  return join(BUILD, measured ? COVERAGE_COMPONENT : "core-component");
}

/** Writes the counters down after the file's tests. */
export function keepCoverage(core: Core): void {
  if (!measured) return;
  afterAll(() => {
    const { coverageHits, coverageCount } = core.raw as unknown as CoverageExports;
    const hits = new Uint32Array(core.bytes().buffer, coverageHits(), coverageCount());
    mkdirSync(join(BUILD, COVERAGE_FOLDER), { recursive: true });
    const name = `${process.pid}-${crypto.randomUUID()}.json`;
    writeFileSync(join(BUILD, COVERAGE_FOLDER, name), JSON.stringify([...hits]));
  });
}
