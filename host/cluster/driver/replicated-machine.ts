/**
 * What a Raft log is applied to. The driver gives it committed entries in order; the machine keeps its state and the index of the last
 * entry in one transaction, so that after a crash the log goes on exactly where the state stands (etcd had them apart once, etcd #13766).
 */
import type { SnapshotMark } from "../raft-log/raft-log.ts";

/** A committed entry. Without payload when it is Raft's own: no command, but its index counts. */
export interface MachineEntry {
  /** From 1, each one more than the one before. */
  readonly index: number;
  readonly term: number;
  /** Read only within apply(). */
  readonly payload: Uint8Array;
}

/** `Results`: what a batch answers, a slot for each of its entries. */
export interface ReplicatedMachine<Results> {
  /** The last entry that was applied, and its term; 0 before the first. After a restart, as far as it was durable. */
  readonly appliedIndex: number;
  readonly appliedTerm: number;
  /** Visible when it resolves, durable after flush(). Rejects when nothing of the batch was applied: it may be given again. One call at a time. */
  apply(entries: readonly MachineEntry[]): Promise<Results>;
  /** Resolves when everything that was applied before is durable. */
  flush(): Promise<void>;
  /** The state in chunks of so many bytes, the last one shorter. No batch is applied before the last is taken. */
  snapshot(chunkBytes: number): Iterable<Uint8Array>;
  /** Takes a snapshot's state over, and keeps `mark` beside it in the same transaction. Rejects with nothing changed. */
  restore(mark: SnapshotMark, chunks: Iterable<Uint8Array>): Promise<void>;
  /** What the newest restore() was given; undefined before the first. */
  restored(): SnapshotMark | undefined;
}
