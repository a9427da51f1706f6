/**
 * Shows that the tests notice what they are there to notice. Two kinds of faults: those of test/mutants/table.ts, written by hand with the test that
 * must fail, and those that test/mutants/operators.ts makes by rule in the core. Exits 1 when a fault of the table is missed, or nothing could run.
 *
 *   --only TEXT     faults of the table whose names contain it, and no others
 *   --operators N   so many by rule (240), and no others
 *   --seed S        which ones (1)
 *   --file TEXT     in files whose paths contain it, and no others
 *   --json FILE     every result
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type CoreResult, runCore } from "./mutants-core.ts";
import { runTable, type TableResult } from "./mutants-table.ts";

const { values: options } = parseArgs({
  options: {
    only: { type: "string" },
    operators: { type: "string" },
    seed: { type: "string", default: "1" },
    file: { type: "string" },
    json: { type: "string" },
  },
});
const byRule = options.operators !== undefined || options.file !== undefined;
const folder = mkdtempSync(join(tmpdir(), "tardi-mutants-"));
try {
  const table = byRule ? [] : await runTable(options.only ?? "", folder);
  const core =
    options.only === undefined
      ? await runCore({
          count: Number(options.operators ?? 240),
          seed: Number(options.seed),
          file: options.file ?? "",
          folder,
        })
      : [];
  if (options.json !== undefined)
    writeFileSync(options.json, `${JSON.stringify({ table, core }, null, 2)}\n`);
  if (!byRule) printTable(table);
  if (options.only === undefined) printCore(core);
  const allNoticed = table.every(({ outcome }) => outcome === "noticed");
  process.exitCode = allNoticed && table.length + core.length > 0 ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function printTable(results: readonly TableResult[]): void {
  const noticed = results.filter(({ outcome }) => outcome === "noticed").length;
  console.log(`mutants of the table: ${noticed} of ${results.length} noticed`);
}

function printCore(results: readonly CoreResult[]): void {
  const survivors = results.filter(({ outcome }) => outcome !== "caught");
  for (const { place, change, text, outcome, note } of survivors)
    console.log(`${outcome}  ${place}  ${change}\n    ${text}${note === "" ? "" : `\n    ${note}`}`);
  const caught = results.length - survivors.length;
  const explained = survivors.filter(({ outcome }) => outcome === "explained").length;
  const counted = results.length - explained;
  const share = (of: number) => (of === 0 ? "-" : `${((100 * caught) / of).toFixed(1)} %`);
  console.log(
    `mutants by rule: ${caught} of ${results.length} caught, ${share(results.length)}; without the ${explained} that are explained, ` +
      `${caught} of ${counted}, ${share(counted)}`,
  );
}
