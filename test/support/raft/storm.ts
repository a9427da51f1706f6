/** Ten seconds of faults over a world of Raft nodes, then quiet; at the end all must agree. Half of the seeds are hostile: leaders die young, and disks are slow. */
import { RaftWorld, type WorldOptions } from "./world.ts";

const TURNS = 2000;
const TURN_MS = 5;
const encoder = new TextEncoder();

interface Weather extends Pick<WorldOptions, "loss" | "doubling" | "delayMsMax" | "syncMsMax"> {
  /** Chances in a turn. */
  readonly crash: number;
  readonly leaderCrash: number;
  readonly start: number;
  readonly cut: number;
  readonly heal: number;
}

const CALM: Weather = {
  ...{ loss: 0.1, doubling: 0.1, delayMsMax: 15, syncMsMax: 10 },
  ...{ crash: 0.004, leaderCrash: 0, start: 0.01, cut: 0.01, heal: 0.02 },
};
const HOSTILE: Weather = {
  ...{ loss: 0.15, doubling: 0.1, delayMsMax: 20, syncMsMax: 40 },
  ...{ crash: 0.01, leaderCrash: 0.04, start: 0.06, cut: 0.1, heal: 0.03 },
};

/** Proposes through whoever leads; false when nobody takes it. */
function propose(world: RaftWorld, command: string): boolean {
  try {
    return world.leader?.propose(encoder.encode(command)) === "appended";
  } catch {
    return false;
  }
}

/** Runs a seed and gives each node's applied commands. Throws where a promise of Raft is broken, or the nodes do not agree in time. */
export function runStorm(core: WorldOptions["core"], seed: number): readonly (readonly string[])[] {
  const ids = seed % 2 === 0 ? [1, 2, 3] : [1, 2, 3, 4, 5];
  const weather = seed % 4 < 2 ? CALM : HOSTILE;
  const world = new RaftWorld({ core, seed, ids, ...weather });
  const { random } = world;
  const any = () => ids[random.below(ids.length)] as number;
  for (let turn = 0; turn < TURNS; turn += 1) {
    if (random.unit() < 0.3) propose(world, `${turn}`);
    if (random.unit() < weather.crash) world.crash(any());
    if (random.unit() < weather.leaderCrash) world.crash(world.leader?.id ?? any());
    const down = ids.filter((id) => world.node(id).raft === undefined);
    if (down.length > 0 && random.unit() < weather.start)
      world.start(down[random.below(down.length)] as number);
    if (random.unit() < weather.cut) world.cut.add(`${any()} ${any()}`);
    if (random.unit() < weather.heal) world.cut.clear();
    if (random.unit() < 0.01) world.compact(any());
    world.run(TURN_MS);
  }
  world.cut.clear();
  for (const id of ids) if (world.node(id).raft === undefined) world.start(id);
  world.until(() => propose(world, "last"));
  world.until(() => ids.every((id) => world.node(id).applied.at(-1) === "last"));
  const applied = ids.map((id) => world.node(id).applied);
  for (const id of ids) world.crash(id);
  return applied;
}
