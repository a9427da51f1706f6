/**
 * What a Raft node keeps in its segment log: one record a save. All numbers are little-endian.
 *
 *   record     +0 kind u8   +1 format u8   +2 zero u16   +4 vote u32   +8 term u64   +16 index u64   then by kind
 *   1 save     index of the run's first entry (0 without a run)   +24 run of entries (entry.ts)
 *   2 compact  index of the snapshot   +24 its term u64   +32 configuration bytes u32   +36 zero u32   +40 configuration
 *   3 reset    as 2
 *
 * Every record states term and vote as they are after it, so the newest record holds Raft's hard state, and removing old ones never
 * takes it away. A save overrides all entries from its first index on (a follower's conflicting suffix went), as in etcd's
 * write-ahead log. A compaction says that the state machine holds everything up to its index; the entries after it stay. A reset says
 * that a snapshot of the leader took the place of the whole log. The snapshots themselves are elsewhere.
 */
import { getU64, setU64, viewOf } from "./entry.ts";

export const RECORD_FORMAT = 1;
export const RECORD_HEADER_BYTES = 24;
export const SNAPSHOT_HEADER_BYTES = 40;
/** A configuration is some bytes a member. */
export const CONFIGURATION_BYTES_MAX = 64 * 1024;

const KIND = { save: 1, compact: 2, reset: 3 } as const;

export interface HardState {
  readonly term: number;
  /** Node that got this node's vote in `term`; 0 for none. */
  readonly vote: number;
}

/** The last entry that the state machine's snapshot holds, and the members as of then, whose encoding is Raft's. */
export interface SnapshotMark {
  readonly index: number;
  readonly term: number;
  readonly configuration: Uint8Array;
}

export type LogRecord =
  | {
      readonly kind: "save";
      readonly state: HardState;
      readonly firstIndex: number;
      readonly run: Uint8Array;
    }
  | { readonly kind: "compact" | "reset"; readonly state: HardState; readonly snapshot: SnapshotMark };

/** Writes a save's header; the run follows it. */
export function setSaveHeader(view: DataView, state: HardState, firstIndex: number): void {
  setHeader(view, KIND.save, state);
  setU64(view, 16, firstIndex);
}

export function encodeSnapshotRecord(
  kind: "compact" | "reset",
  state: HardState,
  snapshot: SnapshotMark,
): Uint8Array<ArrayBuffer> {
  const { configuration } = snapshot;
  const bytes = new Uint8Array(SNAPSHOT_HEADER_BYTES + configuration.length);
  const view = viewOf(bytes);
  setHeader(view, KIND[kind], state);
  setU64(view, 16, snapshot.index);
  setU64(view, 24, snapshot.term);
  view.setUint32(32, configuration.length, true);
  bytes.set(configuration, SNAPSHOT_HEADER_BYTES);
  return bytes;
}

/** What is wrong with the bytes, as a text, or the record; runs and configurations are views of the bytes. */
export function decodeRecord(bytes: Uint8Array): LogRecord | string {
  if (bytes.length < RECORD_HEADER_BYTES) return "it is too short for a record of Raft";
  const view = viewOf(bytes);
  const term = getU64(view, 8);
  const index = getU64(view, 16);
  if (term === undefined || index === undefined || view.getUint16(2, true) !== 0)
    return "it is no record of Raft";
  const state = { term, vote: view.getUint32(4, true) };
  const kind = bytes[0];
  if (kind === KIND.save)
    return { kind: "save", state, firstIndex: index, run: bytes.subarray(RECORD_HEADER_BYTES) };
  if (kind !== KIND.compact && kind !== KIND.reset) return `records of Raft have no kind ${kind}`;
  if (bytes.length < SNAPSHOT_HEADER_BYTES) return "it is too short for a snapshot's mark";
  const snapshotTerm = getU64(view, 24);
  if (snapshotTerm === undefined || view.getUint32(32, true) !== bytes.length - SNAPSHOT_HEADER_BYTES)
    return "its configuration has another length";
  const configuration = bytes.subarray(SNAPSHOT_HEADER_BYTES);
  return {
    kind: kind === KIND.compact ? "compact" : "reset",
    state,
    snapshot: { index, term: snapshotTerm, configuration },
  };
}

/** The format that a record states; read before anything else of it. */
export function formatOf(bytes: Uint8Array): number | undefined {
  return bytes[1];
}

function setHeader(view: DataView, kind: number, { term, vote }: HardState): void {
  view.setUint8(0, kind);
  view.setUint8(1, RECORD_FORMAT);
  view.setUint16(2, 0);
  view.setUint32(4, vote, true);
  setU64(view, 8, term);
}
