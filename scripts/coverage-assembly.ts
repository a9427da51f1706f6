/**
 * Statement coverage of assembly/, module by module: compiles the core with counters, runs the tests that load it, adds up.
 * Exits 1 when a test fails or a module is below the least share.
 */
import { spawnSync } from "node:child_process";
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  COVERAGE_COMPONENT,
  COVERAGE_FOLDER,
  COVERAGE_WASM,
  instrumentAssembly,
} from "../test/support/assembly-coverage.ts";
import { CORE_ENTRIES, compileAssembly, transpileCore } from "./build-wasm.ts";

const ROOT = join(import.meta.dirname, "..");
const BUILD = join(ROOT, "build");
const SHARE_MIN = 0.8;

const instrumented = instrumentAssembly(ROOT);
mkdirSync(BUILD, { recursive: true });
const flags = ["-O1", "--noAssert", "--runtime", "stub", "--use", "abort=", "--initialMemory", "4"];
const entries = [...CORE_ENTRIES, instrumented.entry];
const module = await compileAssembly(entries, flags, instrumented.sources);
writeFileSync(join(BUILD, COVERAGE_WASM), module);
await transpileCore(module, join(BUILD, COVERAGE_COMPONENT));
rmSync(join(BUILD, COVERAGE_FOLDER), { recursive: true, force: true });

const vitest = join(ROOT, "node_modules/vitest/vitest.mjs");
const run = spawnSync(process.execPath, [vitest, "run", "test/assembly", "test/host/core"], {
  cwd: ROOT,
  stdio: "inherit",
  env: { ...process.env, TARDI_ASSEMBLY_COVERAGE: "1" },
});

const modules = new Map<string, { total: number; hit: number; missed: Set<number> }>();
const files = globSync("*.json", { cwd: join(BUILD, COVERAGE_FOLDER) });
const runs = files.map(
  (file) => JSON.parse(readFileSync(join(BUILD, COVERAGE_FOLDER, file), "utf8")) as number[],
);
instrumented.counters.forEach(({ path, line }, id) => {
  const module = modules.get(path) ?? { total: 0, hit: 0, missed: new Set() };
  modules.set(path, module);
  module.total += 1;
  if (runs.some((hits) => (hits[id] ?? 0) > 0)) module.hit += 1;
  else module.missed.add(line);
});

let below = 0;
for (const [path, { total, hit, missed }] of modules) {
  const share = hit / total;
  if (share < SHARE_MIN) below += 1;
  const lines = missed.size > 0 ? `  missed lines ${[...missed].join(", ")}` : "";
  console.log(`${(share * 100).toFixed(1).padStart(6)} %  ${path} (${hit} of ${total} statements)${lines}`);
}
if (below > 0) console.error(`coverage-assembly: ${below} modules below ${SHARE_MIN * 100} %`);
process.exitCode = run.status !== 0 || below > 0 || modules.size === 0 ? 1 : 0;
