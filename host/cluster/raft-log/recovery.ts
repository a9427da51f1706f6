/**
 * What a start makes of the records in a node's segment log: one pass from the oldest to the newest.
 *
 * Compaction removed segments from the front, so what is left may begin anywhere: entries of which the first are missing, marks of
 * compactions whose entries are gone. Until it is known that nothing is missing from some index on (`#connected`), a gap before
 * the first entry is left open; the newest mark decides at the end, since its compaction only removed what lies below it. Between
 * records that are both there, a gap is always damage.
 *
 * The segment log has checked every byte and cut the torn tail before. What is found here is damage of another kind: a folder put
 * together by hand, a segment of another node, a bug of ours. Nothing is repaired.
 */
import { TardigradeError } from "../../../protocols/error.ts";
import type { SegmentLog } from "../../store/segment-log.ts";
import { RunWalk, viewOf } from "./entry.ts";
import type { LiveSpans } from "./live-spans.ts";
import { decodeRecord, formatOf, type HardState, RECORD_FORMAT, type SnapshotMark } from "./record.ts";

const PAGE_BYTES = 1024 * 1024;

export interface RecoveredRaftLog extends HardState {
  /** Absent while the log was never compacted. */
  readonly snapshot?: SnapshotMark;
  /** Index of the first entry; one above the snapshot's when there are none. */
  readonly firstIndex: number;
  /** Index of the last entry; the snapshot's, or 0, when there are none. */
  readonly lastIndex: number;
  /** One run. */
  readonly entries: Uint8Array;
  /** Bytes at the end that were written and never synced; they were cut, and nobody was told that they are durable. */
  readonly tornBytes: number;
}

export interface Replayed {
  readonly recovered: RecoveredRaftLog;
  readonly lastTerm: number;
  /** Nothing below is needed; undefined without a mark. */
  readonly floor: number | undefined;
}

/** Entries of one record that still count. */
interface Piece {
  readonly first: number;
  readonly last: number;
  readonly lastTerm: number;
  readonly run: Uint8Array;
}

/** Rejects with LOG_CORRUPT or FORMAT_VERSION. Fills in `spans`. */
export async function replayRaftLog(log: SegmentLog, spans: LiveSpans): Promise<Replayed> {
  const replay = new Replay(spans, log.start === 0);
  for (let from = log.start; ; ) {
    const page = await log.read(from, PAGE_BYTES);
    for (const { offset, payload } of page.records) replay.take(offset, payload);
    if (page.records.length === 0) return replay.end(log);
    from = page.next;
  }
}

class Replay {
  readonly #spans: LiveSpans;
  readonly #walk = new RunWalk();
  /** Ascending, without gaps between them. */
  #pieces: Piece[] = [];
  #state: HardState = { term: 0, vote: 0 };
  #snapshot: SnapshotMark | undefined;
  #snapshotOffset = 0;
  /** Nothing is missing after the snapshot, or after 0. */
  #connected: boolean;

  constructor(spans: LiveSpans, fromTheStart: boolean) {
    this.#spans = spans;
    this.#connected = fromTheStart;
  }

  take(offset: number, bytes: Uint8Array): void {
    const format = formatOf(bytes);
    if (format !== undefined && format !== RECORD_FORMAT) throw otherFormat(offset, format);
    const record = decodeRecord(bytes);
    if (typeof record === "string") throw corrupt(offset, record);
    if (record.state.term < this.#state.term) throw corrupt(offset, "the term goes back");
    this.#state = record.state;
    if (record.kind === "save") this.#save(offset, record.firstIndex, record.run);
    else if (record.kind === "compact") this.#compact(offset, record.snapshot);
    else this.#reset(offset, record.snapshot);
  }

  end(log: SegmentLog): Replayed {
    const { term, vote } = this.#state;
    const snapshot = this.#snapshot;
    const pieces = this.#pieces;
    const base = snapshot?.index ?? 0;
    if (snapshot === undefined && log.start > 0)
      throw corrupt(log.start, "the records before are missing, and none says that they were compacted");
    const missing = (pieces[0]?.first ?? base + 1) - base - 1;
    if (missing > 0)
      throw corrupt(this.#snapshotOffset, `${missing} entries after index ${base} are missing`);
    const recovered = {
      ...{ term, vote, firstIndex: base + 1, lastIndex: pieces.at(-1)?.last ?? base },
      // A copy: the view would keep a page of the log alive.
      ...(snapshot === undefined
        ? {}
        : { snapshot: { ...snapshot, configuration: snapshot.configuration.slice() } }),
      entries: joined(pieces),
      tornBytes: log.openReport.tornBytes,
    };
    const floor =
      snapshot === undefined ? undefined : this.#spans.compact(snapshot.index, this.#snapshotOffset);
    return { recovered, lastTerm: pieces.at(-1)?.lastTerm ?? snapshot?.term ?? 0, floor };
  }

  #save(offset: number, first: number, run: Uint8Array): void {
    if (run.length === 0) return;
    if (first <= (this.#snapshot?.index ?? 0))
      throw corrupt(offset, `entry ${first} lies below the snapshot at ${this.#snapshot?.index ?? 0}`);
    const known = this.#knownLast();
    if (known !== undefined && first > known + 1)
      throw corrupt(offset, `entries ${known + 1} to ${first - 1} are missing`);
    this.#truncate(first);
    let term = this.#termBefore(first);
    let last = first - 1;
    const walk = this.#walk;
    walk.begin(viewOf(run), { from: 0, to: run.length });
    while (walk.next()) {
      last += 1;
      if (walk.term < term)
        throw corrupt(offset, `the term of entry ${last} is below that of the one before`);
      term = walk.term;
    }
    if (!walk.whole) throw corrupt(offset, `entry ${last + 1} is cut off`);
    if (term > this.#state.term) throw corrupt(offset, `entry ${last} has a term above the node's`);
    this.#pieces.push({ first, last, lastTerm: term, run });
    this.#spans.add(offset, first, last);
  }

  #compact(offset: number, snapshot: SnapshotMark): void {
    this.#mustNotGoBack(offset, snapshot);
    const { index } = snapshot;
    const known = this.#knownLast();
    if (known !== undefined && index > known)
      throw corrupt(offset, `a snapshot at ${index} lies beyond the last entry, ${known}`);
    const first = this.#pieces[0]?.first;
    if (first !== undefined && first <= index + 1) {
      this.#dropUpTo(offset, snapshot);
      this.#connected = true;
    }
    this.#snapshot = snapshot;
    this.#snapshotOffset = offset;
  }

  #reset(offset: number, snapshot: SnapshotMark): void {
    this.#mustNotGoBack(offset, snapshot);
    this.#pieces = [];
    this.#spans.clear();
    this.#snapshot = snapshot;
    this.#snapshotOffset = offset;
    this.#connected = true;
  }

  #mustNotGoBack(offset: number, { index, term }: SnapshotMark): void {
    const before = this.#snapshot;
    if (before !== undefined && (index < before.index || term < before.term))
      throw corrupt(offset, `a snapshot at ${index} follows one at ${before.index}`);
    if (term > this.#state.term) throw corrupt(offset, "a snapshot has a term above the node's");
  }

  /** Undefined where removed segments may have held more. */
  #knownLast(): number | undefined {
    return this.#pieces.at(-1)?.last ?? (this.#connected ? (this.#snapshot?.index ?? 0) : undefined);
  }

  #termBefore(index: number): number {
    const newest = this.#pieces.at(-1);
    if (newest !== undefined) return newest.lastTerm;
    return this.#snapshot?.index === index - 1 ? this.#snapshot.term : 0;
  }

  /** Takes away the entries from `index` on. */
  #truncate(index: number): void {
    const pieces = this.#pieces;
    while (pieces.length > 0 && (pieces.at(-1) as Piece).first >= index) pieces.pop();
    const newest = pieces.at(-1);
    if (newest === undefined || newest.last < index) return;
    const { at, term } = this.#find(newest, index - 1);
    pieces[pieces.length - 1] = {
      first: newest.first,
      last: index - 1,
      lastTerm: term,
      run: newest.run.subarray(0, at),
    };
  }

  /** Takes away the entries that the snapshot holds; the last of them must have its term. */
  #dropUpTo(offset: number, { index, term }: SnapshotMark): void {
    const pieces = this.#pieces;
    const piece = pieces.findIndex(({ last }) => last >= index);
    if (piece < 0) return;
    const holder = pieces[piece] as Piece;
    if (holder.first > index) return;
    const found = this.#find(holder, index);
    if (found.term !== term)
      throw corrupt(offset, `the snapshot has term ${term} at ${index}, the entry ${found.term}`);
    if (holder.last === index) pieces.splice(0, piece + 1);
    else pieces.splice(0, piece + 1, { ...holder, first: index + 1, run: holder.run.subarray(found.at) });
  }

  /** Term of an entry of the piece, and the position after it. */
  #find(piece: Piece, index: number): { readonly at: number; readonly term: number } {
    const walk = this.#walk;
    walk.begin(viewOf(piece.run), { from: 0, to: piece.run.length });
    for (let at = piece.first; at <= index; at += 1) walk.next();
    return { at: walk.at, term: walk.term };
  }
}

function joined(pieces: readonly Piece[]): Uint8Array {
  const all = new Uint8Array(pieces.reduce((sum, { run }) => sum + run.length, 0));
  let at = 0;
  for (const { run } of pieces) {
    all.set(run, at);
    at += run.length;
  }
  return all;
}

function corrupt(offset: number, what: string): TardigradeError {
  return new TardigradeError(
    "LOG_CORRUPT",
    `The Raft log is damaged at offset ${offset}: ${what}. Stop this node, remove it from the cluster, and add it again ` +
      "under a new id with an empty folder: it may have forgotten a vote, and must not come back under its old id.",
    { context: { component: "raft-log", operation: "recover", offset } },
  );
}

function otherFormat(offset: number, format: number): TardigradeError {
  return new TardigradeError(
    "FORMAT_VERSION",
    `The record at offset ${offset} has format ${format}, this version reads ${RECORD_FORMAT} of a Raft log; ` +
      "start the version that wrote it, and check that the folder is a Raft node's.",
    { context: { component: "raft-log", operation: "recover", offset, format } },
  );
}
