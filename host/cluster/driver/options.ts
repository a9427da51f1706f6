/** What a Raft driver is given and says of itself. */
import type { Core } from "../../core/core.ts";
import type { RaftMember, RaftOptions, RaftStatus } from "../../core/raft.ts";
import type { Clock, Logger, Meter, Random } from "../../io/seams.ts";
import type { RaftLog } from "../raft-log/raft-log.ts";
import type { PeerTransport } from "../transport/peer-transport.ts";
import type { MachineEntry, ReplicatedMachine } from "./replicated-machine.ts";

export const DRIVER_DEFAULTS = {
  electionMs: 1000,
  heartbeatMs: 100,
  snapshotBytesMax: 256 * 1024 * 1024,
  retryMs: 1000,
} as const;

export interface RaftDriverOptions<Results> {
  readonly id: number;
  readonly core: Core;
  /** Opened; the caller closes it after stop(). */
  readonly log: RaftLog;
  readonly machine: ReplicatedMachine<Results>;
  readonly transport: PeerTransport;
  readonly clock: Clock;
  readonly random: Random;
  /** Of a cluster that has not begun; none for a node that joins one. What the log holds goes before. */
  readonly members: readonly RaftMember[];
  readonly raft?: Omit<RaftOptions, "id">;
  /** How often Raft is told the time; a third of the heartbeat by default. */
  readonly tickMs?: number;
  /** Largest snapshot that is taken over from a leader; 256 MiB by default. */
  readonly snapshotBytesMax?: number;
  /** Wait before the state store is tried again after it failed; 1 s by default. */
  readonly retryMs?: number;
  /** Told of each batch when the machine has it, in order; after a restart some come again. It must not throw. */
  readonly onApplied?: (entries: readonly MachineEntry[]) => void;
  readonly meter?: Meter;
  readonly logger?: Logger;
}

export interface DriverStatus extends RaftStatus {
  readonly id: number;
  readonly members: readonly RaftMember[];
  /** Proposals whose results are waited for. */
  readonly pending: number;
}
