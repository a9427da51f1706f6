/** Raft logs on a simulated disk, and entries whose bytes name them, for the tests of the Raft log. */
import { decodeRun, encodeRun } from "../../../host/cluster/raft-log/entry.ts";
import {
  openRaftLog,
  type RaftLog,
  type RaftLogOptions,
  type RecoveredRaftLog,
} from "../../../host/cluster/raft-log/raft-log.ts";
import { SimulatedClock } from "../../../host/world/clock.ts";
import { SimulatedDisk } from "../../../host/world/disk.ts";
import { seededRandom } from "../../../host/world/random.ts";

export interface RaftLogWorld {
  readonly clock: SimulatedClock;
  readonly disk: SimulatedDisk;
  open(options?: Partial<RaftLogOptions>): Promise<RaftLog>;
}

export function raftLogWorld(seed = 1, capacityBytes = Number.POSITIVE_INFINITY): RaftLogWorld {
  const clock = new SimulatedClock();
  const disk = new SimulatedDisk({ random: seededRandom(seed), clock, capacityBytes });
  return {
    clock,
    disk,
    open: (options = {}) =>
      openRaftLog({
        disk: disk.mount(),
        folder: "raft",
        clock,
        random: seededRandom(9),
        segmentBytes: 4096,
        ...options,
      }),
  };
}

/** An entry as the model keeps it: its payload is `length` bytes of `fill`. */
export interface ModelEntry {
  readonly term: number;
  readonly length: number;
  readonly fill: number;
}

export function runOf(entries: readonly ModelEntry[]): Uint8Array<ArrayBuffer> {
  return encodeRun(
    entries.map(({ term, length, fill }) => ({
      term,
      kind: 1,
      flags: term & 1,
      payload: new Uint8Array(length).fill(fill),
    })),
  );
}

export function run(count: number, term: number, length = 8): Uint8Array<ArrayBuffer> {
  return runOf(Array.from({ length: count }, (_, at) => ({ term, length, fill: at + 1 })));
}

/** What was recovered, as text that is easy to compare; throws where a payload is not as its entry says. */
export function textOf(recovered: RecoveredRaftLog): string {
  const entries = decodeRun(recovered.entries).map(({ term, flags, payload }) => {
    const fill = payload[0] ?? 0;
    if (payload.some((byte) => byte !== fill) || flags !== (term & 1)) throw new Error("bytes were mixed up");
    return { term, length: payload.length, fill };
  });
  if (recovered.lastIndex !== recovered.firstIndex + entries.length - 1)
    throw new Error(
      `${entries.length} entries do not reach from ${recovered.firstIndex} to ${recovered.lastIndex}`,
    );
  return modelText({ ...recovered, entries });
}

export function modelText(model: {
  readonly term: number;
  readonly vote: number;
  readonly snapshot?: { readonly index: number; readonly term: number; readonly configuration: Uint8Array };
  readonly firstIndex: number;
  readonly entries: readonly ModelEntry[];
}): string {
  const { term, vote, snapshot, firstIndex, entries } = model;
  const mark =
    snapshot === undefined
      ? "no snapshot"
      : `snapshot ${snapshot.index}/${snapshot.term} [${snapshot.configuration}]`;
  const list = entries.map((entry) => `${entry.term}:${entry.length}x${entry.fill}`).join(" ");
  return `term ${term} vote ${vote}, ${mark}, from ${firstIndex}: ${list}`;
}
