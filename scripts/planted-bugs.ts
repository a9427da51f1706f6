/**
 * Plants a bug at a time and shows what finds it: `npm run planted` in the lock-free structures, by the exhaustive search of interleavings;
 * `npm run planted -- raft` in Raft and what is around it, by simulated clusters. `--only TEXT`: bugs whose name has it, more than once if need be; `--seeds N`: at most so many each.
 */
import { parseArgs } from "node:util";
import { PLANTED_DRIVER } from "../test/host/world/planted-driver.ts";
import { huntInWorlds } from "../test/host/world/planted-hunt.ts";
import { PLANTED_RAFT } from "../test/host/world/planted-raft.ts";
import { hunt, PLANTED } from "../test/interleavings/planted.ts";
import { buildWasm } from "./build-wasm.ts";

const { values: options } = parseArgs({
  allowPositionals: true,
  options: {
    trace: { type: "boolean", default: false },
    only: { type: "string", multiple: true, default: [""] },
    seeds: { type: "string", default: "1000" },
  },
});

if (process.argv.includes("raft")) {
  await buildWasm();
  const bugs = [...PLANTED_RAFT, ...PLANTED_DRIVER].filter(({ name }) =>
    options.only.some((text) => name.includes(text)),
  );
  let found = 0;
  for (const bug of bugs) {
    const { report, seeds, seconds } = await huntInWorlds(bug, { seedsMax: Number(options.seeds) });
    const how = report === undefined ? `not in ${seeds} seeds` : `seed ${report.seed}`;
    console.log(
      `${report === undefined ? "MISSED" : "caught"}  ${bug.name}: ${how}, ${seconds.toFixed(1)} s`,
    );
    if (report === undefined) continue;
    found += 1;
    console.log(`        ${report.violation?.what.split("\n")[0]}`);
  }
  console.log(`${found} of ${bugs.length} planted bugs caught`);
  process.exit(found === bugs.length ? 0 : 1);
}

let missed = 0;
for (const bug of PLANTED) {
  const { case: name, states, violation } = await hunt(bug);
  if (violation === undefined) missed += 1;
  console.log(`${violation === undefined ? "MISSED" : "caught"}  ${bug.structure}: ${bug.name}`);
  if (violation === undefined) continue;
  console.log(`        ${name}, after ${states} states: ${violation.message.split("\n")[0]}`);
  if (options.trace) for (const line of violation.trace) console.log(`          ${line}`);
}
console.log(`${PLANTED.length - missed} of ${PLANTED.length} planted bugs caught`);
process.exitCode = missed === 0 ? 0 : 1;
