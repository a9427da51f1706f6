/** Plants a bug at a time in the lock-free structures and shows what the exhaustive search of interleavings finds: `npm run planted`. */
import { hunt, PLANTED } from "../test/interleavings/planted.ts";

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
