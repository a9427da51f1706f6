/**
 * tardigrade/sim: a whole cluster, its disks, its network and its faults in one process and in virtual time. The same seed is the same world:
 *
 *     const report = await world.run({ seed: 42, forMs: 60_000, nodes: 5, clients: 10 });
 *     expect(report.violation).toBeUndefined();
 */
import { type Core, openCore } from "../core/core.ts";
import { readCoreBytes } from "../core/core-bytes.ts";
import { type ClusterWorldReport, FAULTS, runWorld, type WorldOptions } from "../world/world.ts";

export { isTardigradeError, TardigradeError } from "../../protocols/error.ts";
export type { KvClient, WriteResult } from "../cluster/client/kv-client.ts";
export type {
  ClusterWorldReport,
  Fault,
  WorldOptions,
  WorldUser,
  WorldUserContext,
} from "../world/world.ts";

let core: Core | undefined;

export const world = {
  /** The kinds of faults. */
  faults: FAULTS,
  /** Runs a world to its end. One at a time in a process, for speed; several do not disturb each other. */
  run(options: WorldOptions): Promise<ClusterWorldReport> {
    core ??= openCore(readCoreBytes());
    return runWorld(core, options);
  },
} as const;
