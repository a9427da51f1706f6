/** What Raft promises, under loss, doubling, reordering, partitions and crashes that forget what was not durable. */
import { expect, test } from "vitest";
import { openTestCore } from "../../support/core.ts";
import { runStorm } from "../../support/raft/storm.ts";

const core = openTestCore();
const SEEDS = 40;

for (let seed = 1; seed <= SEEDS; seed += 1) {
  test(`seed ${seed}: ten seconds of faults, then all agree`, () => {
    const [first, ...others] = runStorm(core, seed);
    expect(first?.length).toBeGreaterThan(10);
    for (const other of others) expect(other).toEqual(first);
  });
}
