/**
 * Plants a bug at a time and shows what finds it: `npm run planted` in the lock-free structures, by the exhaustive search of interleavings;
 * `npm run planted -- raft` in Raft, by simulated clusters.
 */
import { huntRaft, PLANTED_RAFT } from "../test/host/world/planted-raft.ts";
import { hunt, PLANTED } from "../test/interleavings/planted.ts";

const SEEDS_MAX = 1_000;

if (process.argv.includes("raft")) {
  let found = 0;
  for (const bug of PLANTED_RAFT) {
    const { report, seeds, seconds } = await huntRaft(bug, SEEDS_MAX);
    const how = report === undefined ? `not in ${seeds} seeds` : `seed ${report.seed}`;
    console.log(
      `${report === undefined ? "MISSED" : "caught"}  ${bug.name}: ${how}, ${seconds.toFixed(1)} s`,
    );
    if (report === undefined) continue;
    found += 1;
    console.log(`        ${report.violation?.what.split("\n")[0]}`);
  }
  console.log(`${found} of ${PLANTED_RAFT.length} planted bugs caught`);
  process.exit(found === PLANTED_RAFT.length ? 0 : 1);
}

let missed = 0;
for (const bug of PLANTED) {
  const { case: name, states, violation } = await hunt(bug);
  if (violation === undefined) missed += 1;
  console.log(`${violation === undefined ? "MISSED" : "caught"}  ${bug.structure}: ${bug.name}`);
  if (violation === undefined) continue;
  console.log(`        ${name}, after ${states} states: ${violation.message.split("\n")[0]}`);
  if (process.argv.includes("--trace")) for (const line of violation.trace) console.log(`          ${line}`);
}
console.log(`${PLANTED.length - missed} of ${PLANTED.length} planted bugs caught`);
process.exitCode = missed === 0 ? 0 : 1;
