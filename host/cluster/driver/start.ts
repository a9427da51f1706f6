/**
 * What a node begins with, from its log and its machine. Both are durable, each by itself, so a crash can leave one ahead of the other:
 *
 *   the machine ahead of the log's mark        usual: entries up to there are applied already
 *   the machine holds a snapshot that the log  the crash came after the snapshot was taken over and before the log's reset:
 *   has no entry for, or another one           the reset is done now
 *   the machine behind the log's mark          its state is lost: entries that it needs were compacted away
 */
import { TardigradeError } from "../../../protocols/error.ts";
import { decodeMembers, type RaftMember } from "../../core/raft.ts";
import { RunWalk, viewOf } from "../raft-log/entry.ts";
import type { RaftLog, RecoveredRaftLog, SnapshotMark } from "../raft-log/raft-log.ts";
import type { ReplicatedMachine } from "./replicated-machine.ts";

export interface Start {
  readonly term: number;
  readonly vote: number;
  readonly snapshot: { readonly index: number; readonly term: number };
  readonly members: readonly RaftMember[];
  /** Entries after the snapshot, as one run. */
  readonly entries: Uint8Array;
  readonly applied: number;
}

/** Throws RAFT_STATE_LOST. `firstMembers`: the members of a cluster that has not begun; none for a node that joins one. */
export function startOf(
  log: RaftLog,
  machine: Pick<ReplicatedMachine<unknown>, "appliedIndex" | "appliedTerm" | "restored">,
  firstMembers: readonly RaftMember[],
): Start {
  const { recovered } = log;
  const restored = machine.restored();
  if (
    restored !== undefined &&
    restored.index > (recovered.snapshot?.index ?? 0) &&
    !holds(recovered, restored)
  )
    return afterReset(log, restored);
  const { appliedIndex, appliedTerm } = machine;
  const index = recovered.snapshot?.index ?? 0;
  if (appliedIndex < index)
    throw stateLost(`the state stands at entry ${appliedIndex}, the log was compacted to ${index}`);
  if (appliedIndex > 0 && termAt(recovered, appliedIndex) !== appliedTerm)
    throw stateLost(
      `the state stands at entry ${appliedIndex} of term ${appliedTerm}, which the log does not hold`,
    );
  const members =
    recovered.snapshot === undefined ? firstMembers : decodeMembers(recovered.snapshot.configuration);
  const { term, vote, entries } = recovered;
  return {
    ...{ term, vote, members, entries, applied: appliedIndex },
    snapshot: { index, term: recovered.snapshot?.term ?? 0 },
  };
}

function afterReset(log: RaftLog, mark: SnapshotMark): Start {
  const { term, vote } = log.recovered;
  // The snapshot came from a leader of its term or a later one, and no vote that was told is newer than what the log holds.
  const state = mark.term > term ? { term: mark.term, vote: 0 } : { term, vote };
  log.reset({ ...mark, state });
  return {
    ...state,
    snapshot: { index: mark.index, term: mark.term },
    members: decodeMembers(mark.configuration),
    entries: new Uint8Array(0),
    applied: mark.index,
  };
}

/** Whether the log goes through the snapshot's last entry: then it holds all before it, and its suffix counts. */
function holds(recovered: RecoveredRaftLog, { index, term }: SnapshotMark): boolean {
  return termAt(recovered, index) === term;
}

/** Of an entry, or of the snapshot's last; 0 for what is not there. */
function termAt({ snapshot, firstIndex, lastIndex, entries }: RecoveredRaftLog, index: number): number {
  if (index === (snapshot?.index ?? 0)) return snapshot?.term ?? 0;
  if (index < firstIndex || index > lastIndex) return 0;
  const walk = new RunWalk();
  walk.begin(viewOf(entries), { from: 0, to: entries.length });
  for (let at = firstIndex; at <= index; at += 1) walk.next();
  return walk.term;
}

function stateLost(why: string): TardigradeError {
  return new TardigradeError(
    "RAFT_STATE_LOST",
    `The folders of log and state do not belong together: ${why}. Remove this node from the cluster, and add it again under a new id with an empty folder.`,
    { context: { component: "raft", operation: "start" } },
  );
}
