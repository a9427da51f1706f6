/** The key-value machine as a Raft driver runs it: with its store, in which the mark of the newest snapshot stands beside the state. */
import { TardigradeError } from "../../../protocols/error.ts";
import type { StateStore } from "../../store/state-store.ts";
import type { KvMachine } from "../kv/machine.ts";
import type { KvResults } from "../kv/result.ts";
import { getU64, setU64, viewOf } from "../raft-log/entry.ts";
import type { SnapshotMark } from "../raft-log/raft-log.ts";
import type { ReplicatedMachine } from "./replicated-machine.ts";

/** index u64 | term u64 | configuration */
const MARK = "raft/snapshot";
const MARK_HEADER_BYTES = 16;

export function kvReplica(machine: KvMachine, store: StateStore): ReplicatedMachine<KvResults> {
  return {
    get appliedIndex() {
      return machine.appliedIndex;
    },
    get appliedTerm() {
      return machine.appliedTerm;
    },
    apply: (entries) => machine.apply(entries),
    flush: () => store.flush(),
    snapshot: (chunkBytes) => machine.snapshot(chunkBytes),
    restore: (mark, chunks) =>
      machine.restore(chunks, (transaction, { appliedIndex, appliedTerm }) => {
        if (appliedIndex !== mark.index || appliedTerm !== mark.term)
          throw otherSnapshot(mark.index, appliedIndex);
        transaction.put(MARK, encodeMark(mark));
      }),
    restored: () => {
      const stored = store.get(MARK);
      return stored === undefined ? undefined : decodeMark(stored);
    },
  };
}

function encodeMark({ index, term, configuration }: SnapshotMark): Uint8Array {
  const bytes = new Uint8Array(MARK_HEADER_BYTES + configuration.length);
  const view = viewOf(bytes);
  setU64(view, 0, index);
  setU64(view, 8, term);
  bytes.set(configuration, MARK_HEADER_BYTES);
  return bytes;
}

function decodeMark(bytes: Uint8Array): SnapshotMark {
  const view = viewOf(bytes);
  const [index, term] = [getU64(view, 0), getU64(view, 8)];
  if (index === undefined || term === undefined) {
    throw new TardigradeError(
      "STATE_CORRUPT",
      "The mark of the newest snapshot is damaged; remove this node from the cluster, and add it again with an empty folder.",
      { context: { component: "raft", operation: "start" } },
    );
  }
  return { index, term, configuration: bytes.slice(MARK_HEADER_BYTES) };
}

function otherSnapshot(index: number, held: number): TardigradeError {
  return new TardigradeError(
    "KV_SNAPSHOT",
    `The snapshot of entry ${index} holds the state of entry ${held}.`,
    {
      context: { component: "raft", operation: "restore" },
    },
  );
}
