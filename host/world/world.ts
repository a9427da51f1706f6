/**
 * Simulated worlds as one thing to run: what `tardi world run` and `tardigrade/sim` offer. A world is a seed and a few sizes; its report says what
 * happened, and what was violated.
 */
import { TardigradeError } from "../../protocols/error.ts";
import type { Core } from "../core/core.ts";
import { type ClusterWorldReport, runClusterWorld } from "./cluster/cluster-world.ts";
import { FAULTS, type Fault } from "./cluster/faults.ts";
import type { WorldUser } from "./cluster/users.ts";

export type { ClusterWorldReport } from "./cluster/cluster-world.ts";
export { FAULTS, type Fault } from "./cluster/faults.ts";
export type { WorldUser, WorldUserContext } from "./cluster/users.ts";

export interface WorldOptions {
  /** A whole number from 0 to 2^32 - 1: the same one replays the same world. */
  readonly seed: number;
  /** Virtual milliseconds with faults; 60 s by default. */
  readonly forMs?: number;
  /** 1 to 9; three or five, as the seed has it, by default. */
  readonly nodes?: number;
  /** Built-in clients, 10 by default; 0 for users alone. */
  readonly clients?: number;
  /** "all" by default, "none", or the kinds that are armed. */
  readonly faults?: "all" | "none" | readonly Fault[];
  /** Mean pause between two operations of a built-in client; 500 ms by default. */
  readonly thinkMs?: number;
  /** Clients of your own. */
  readonly users?: readonly WorldUser[];
  /** Told of each fault and each election, in virtual time. */
  readonly onEvent?: (atMs: number, what: string) => void;
}

const NODES_MAX = 9;
const CLIENTS_MAX = 100;
const FOR_MS_MAX = 30 * 86_400_000;

/** Throws ARGUMENT for what no world can be; everything else is in the report. */
export async function runWorld(core: Core, options: WorldOptions): Promise<ClusterWorldReport> {
  const { seed, forMs = 60_000, nodes, clients = 10, faults = "all", thinkMs = 500 } = options;
  whole("seed", seed, 0, 0xffff_ffff);
  whole("forMs", forMs, 1, FOR_MS_MAX);
  if (nodes !== undefined) whole("nodes", nodes, 1, NODES_MAX);
  whole("clients", clients, 0, CLIENTS_MAX);
  whole("thinkMs", thinkMs, 1, FOR_MS_MAX);
  return runClusterWorld({
    ...{ core, seed, forMs, clients, thinkMs },
    ...(nodes === undefined ? {} : { nodes }),
    faults: faults === "all" ? FAULTS : faults === "none" ? [] : faults.map(known),
    ...(options.users === undefined ? {} : { users: options.users }),
    ...(options.onEvent === undefined ? {} : { onEvent: options.onEvent }),
  });
}

function known(fault: Fault): Fault {
  if (FAULTS.includes(fault)) return fault;
  throw new TardigradeError("ARGUMENT", `There is no fault "${fault}": ${FAULTS.join(", ")}.`);
}

function whole(name: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new TardigradeError("ARGUMENT", `${name} is a whole number from ${min} to ${max}.`);
}
