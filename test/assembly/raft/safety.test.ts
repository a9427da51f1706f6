/** What Raft promises, under loss, doubling, reordering, partitions and crashes that forget what was not durable. */
import { describe, expect, test } from "vitest";
import { openTestCore } from "../../support/core.ts";
import { RaftWorld } from "../../support/raft/world.ts";

const core = openTestCore();
const encoder = new TextEncoder();
const SEEDS = 40;

/** Proposes through whoever leads; false when nobody takes it. */
function propose(world: RaftWorld, command: string): boolean {
  try {
    return world.leader?.propose(encoder.encode(command)) === "appended";
  } catch {
    return false;
  }
}

describe("seeds", () => {
  for (let seed = 1; seed <= SEEDS; seed += 1) {
    test(`seed ${seed}: ten seconds of faults, then all agree`, () => {
      const ids = seed % 2 === 0 ? [1, 2, 3] : [1, 2, 3, 4, 5];
      const world = new RaftWorld({
        core,
        seed,
        ids,
        loss: 0.1,
        doubling: 0.1,
        delayMsMax: 15,
        syncMsMax: 10,
      });
      const { random } = world;
      for (let turn = 0; turn < 2000; turn += 1) {
        if (random.unit() < 0.3) propose(world, `${turn}`);
        if (random.unit() < 0.004) world.crash(ids[random.below(ids.length)] as number);
        if (random.unit() < 0.01) {
          const down = ids.filter((id) => world.node(id).raft === undefined);
          if (down.length > 0) world.start(down[random.below(down.length)] as number);
        }
        if (random.unit() < 0.01)
          world.cut.add(`${ids[random.below(ids.length)]} ${ids[random.below(ids.length)]}`);
        if (random.unit() < 0.02) world.cut.clear();
        if (random.unit() < 0.01) world.compact(ids[random.below(ids.length)] as number);
        world.run(5);
      }
      world.cut.clear();
      for (const id of ids) if (world.node(id).raft === undefined) world.start(id);
      world.until(() => propose(world, "last"));
      world.until(() => ids.every((id) => world.node(id).applied.at(-1) === "last"));
      const [first, ...others] = ids.map((id) => world.node(id).applied);
      expect((first as string[]).length).toBeGreaterThan(20);
      for (const other of others) expect(other).toEqual(first);
      for (const id of ids) world.crash(id);
    });
  }
});
