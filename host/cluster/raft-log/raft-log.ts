/**
 * The durable side of a Raft node: term, vote and entries, on the segment log (host/store/segment-log.ts).
 *
 * Raft answers nothing, and votes for nobody, before what the answer rests on is on the disk (Ongaro, "Consensus: Bridging Theory
 * and Practice", 2014, section 3.8). save() copies and returns a token at once; the segment log groups what comes meanwhile into one
 * sync; onDurable() says up to which token all is durable. So a leader sends its entries while they are being synced (section
 * 10.2.1). record.ts draws the records, recovery.ts says what a start makes of them.
 *
 * Compaction removes whole segments. compact() first appends a mark that says from where on the log goes on, with term and vote;
 * when the mark is durable, the segments go in which no entry lived when the mark was appended (live-spans.ts). What a later save
 * overrides does not count as dead here: that save may be lost in a crash that the mark survives.
 *
 * Memory: nothing of an entry is kept once it is written. `recovered.entries` is let go of by releaseRecovered().
 */
import { TardigradeError } from "../../../protocols/error.ts";
import type { Dispose, Logger } from "../../io/seams.ts";
import {
  type LogState,
  openSegmentLog,
  type SegmentLog,
  type SegmentLogOptions,
} from "../../store/segment-log.ts";
import { LOG_DEFAULTS } from "../../store/segment-log-types.ts";
import { RunWalk, viewOf } from "./entry.ts";
import { LiveSpans } from "./live-spans.ts";
import {
  CONFIGURATION_BYTES_MAX,
  encodeSnapshotRecord,
  type HardState,
  RECORD_HEADER_BYTES,
  type SnapshotMark,
  setSaveHeader,
} from "./record.ts";
import { type RecoveredRaftLog, type Replayed, replayRaftLog } from "./recovery.ts";

export type { HardState, SnapshotMark } from "./record.ts";
export type { RecoveredRaftLog } from "./recovery.ts";

/** A longer run becomes several records, cut between entries; a single longer entry has a record of its own. */
export const RECORD_RUN_BYTES_MAX = 128 * 1024;
const SEGMENT_LOG_HEADER_BYTES = 4;
const SPANS_A_SEGMENT = 8;

export type RaftLogOptions = Omit<SegmentLogOptions, "recordBytesMax">;

export interface RaftSave {
  readonly state?: HardState;
  /** Takes the place of all entries from `firstIndex` on. */
  readonly entries?: { readonly firstIndex: number; readonly run: Uint8Array };
}

export interface RaftLog {
  /** What the start found. */
  readonly recovered: RecoveredRaftLog;
  /** Lets go of recovered.entries, when Raft has taken them. */
  releaseRecovered(): void;
  /**
   * Copies, and returns at once with a token; all of it is durable when durableToken has reached that. Within one save term and
   * vote become durable with its first entry or before, entries in their order. Throws, with nothing saved: ARGUMENT (a hole, a
   * term that goes back or above the node's, a damaged run), RECORD_OVERSIZE (an entry above what a segment takes, or more than
   * may wait), QUEUE_FULL (too much waits for the disk), or the error that ended the log.
   */
  save(save: RaftSave): number;
  /** All that was saved under this token, and under lower ones, is durable. */
  readonly durableToken: number;
  onDurable(listener: (token: number) => void): Dispose;
  /**
   * The state machine's snapshot up to `index` is durable elsewhere: entries up to there are not needed any more. Segments are removed
   * in the background, once the mark is durable. An index at or below the last snapshot's changes nothing. Throws as save().
   */
  compact(snapshot: SnapshotMark): number;
  /**
   * A snapshot of the leader, durable elsewhere, takes the place of the whole log; the next entry is index + 1. Throws as save().
   */
  reset(reset: SnapshotMark & { readonly state: HardState }): number;
  /** Copied and not yet durable. */
  readonly pendingBytes: number;
  /** `full`: nothing becomes durable until the disk has room. */
  readonly state: LogState;
  onState(listener: (state: LogState) => void): Dispose;
  /** The log ended by an error; the process should end, and a restart finds what is on the disk. */
  onFatal(listener: (error: Error) => void): Dispose;
  /** Makes durable what is pending, and lets the folder go. */
  close(): Promise<void>;
}

/** Opens the log in a folder, made when absent. Rejects with LOG_LOCKED, LOG_CORRUPT, FORMAT_VERSION or a disk error. */
export async function openRaftLog(options: RaftLogOptions): Promise<RaftLog> {
  const log = await openSegmentLog(options);
  try {
    const segmentBytes = options.segmentBytes ?? LOG_DEFAULTS.segmentBytes;
    const spans = new LiveSpans(segmentBytes / SPANS_A_SEGMENT);
    const replayed = await replayRaftLog(log, spans);
    return new SegmentRaftLog({ log, spans, replayed, segmentBytes, logger: options.logger });
  } catch (error) {
    await log.close();
    throw error;
  }
}

/** How long a run may be in one record, in segments of this size. */
export function recordRunBytesMax(segmentBytes: number): number {
  return Math.min(RECORD_RUN_BYTES_MAX, Math.floor(segmentBytes / 4));
}

class SegmentRaftLog implements RaftLog {
  readonly #log: SegmentLog;
  readonly #spans: LiveSpans;
  readonly #logger: Logger | undefined;
  readonly #walk = new RunWalk();
  readonly #runBytesMax: number;
  /** One record being put together. */
  readonly #scratch: Uint8Array<ArrayBuffer>;
  readonly #scratchView: DataView;
  /** Of the run being saved: for each record, where its entries end and the index after them. */
  readonly #cuts: { end: number; nextIndex: number }[] = [];
  #recovered: RecoveredRaftLog;
  #state: HardState;
  #snapshotIndex: number;
  #snapshotTerm: number;
  #lastIndex: number;
  #lastTerm: number;
  #token: number;
  #closed = false;

  constructor(parts: {
    readonly log: SegmentLog;
    readonly spans: LiveSpans;
    readonly replayed: Replayed;
    readonly segmentBytes: number;
    readonly logger: Logger | undefined;
  }) {
    const { recovered, lastTerm, floor } = parts.replayed;
    this.#log = parts.log;
    this.#spans = parts.spans;
    this.#logger = parts.logger;
    this.#runBytesMax = recordRunBytesMax(parts.segmentBytes);
    this.#scratch = new Uint8Array(RECORD_HEADER_BYTES + this.#runBytesMax);
    this.#scratchView = viewOf(this.#scratch);
    this.#recovered = recovered;
    this.#state = { term: recovered.term, vote: recovered.vote };
    this.#snapshotIndex = recovered.snapshot?.index ?? 0;
    this.#snapshotTerm = recovered.snapshot?.term ?? 0;
    this.#lastIndex = recovered.lastIndex;
    this.#lastTerm = lastTerm;
    this.#token = parts.log.syncedEnd;
    // A crash may have come between a mark and the removal that it was for.
    if (floor !== undefined) void this.#remove(floor);
  }

  get recovered(): RecoveredRaftLog {
    return this.#recovered;
  }
  get durableToken(): number {
    return this.#log.syncedEnd;
  }
  get pendingBytes(): number {
    return this.#log.pendingBytes;
  }
  get state(): LogState {
    return this.#log.state;
  }

  releaseRecovered(): void {
    this.#recovered = { ...this.#recovered, entries: new Uint8Array(0) };
  }

  save({ state = this.#state, entries }: RaftSave): number {
    this.#checkState(state);
    if (entries === undefined || entries.run.length === 0) {
      if (state.term === this.#state.term && state.vote === this.#state.vote) return this.#token;
      setSaveHeader(this.#scratchView, state, 0);
      this.#token = this.#log.append(this.#scratch.subarray(0, RECORD_HEADER_BYTES)) + 1;
      this.#state = { term: state.term, vote: state.vote };
      return this.#token;
    }
    const { firstIndex, run } = entries;
    const lastTerm = this.#checkRun(state, firstIndex, run);
    this.#checkRoom(run.length);
    let from = 0;
    let index = firstIndex;
    for (const { end, nextIndex } of this.#cuts) {
      const offset = this.#appendRun(state, index, run.subarray(from, end));
      this.#spans.add(offset, index, nextIndex - 1);
      this.#token = offset + 1;
      from = end;
      index = nextIndex;
    }
    if (state !== this.#state) this.#state = { term: state.term, vote: state.vote };
    this.#lastIndex = index - 1;
    this.#lastTerm = lastTerm;
    return this.#token;
  }

  compact(snapshot: SnapshotMark): number {
    const { index, term } = snapshot;
    if (index <= this.#snapshotIndex) return this.#token;
    if (!(index <= this.#lastIndex))
      throw argument("compact", `index ${index} is above the last entry's, ${this.#lastIndex}`);
    if (!(term >= this.#snapshotTerm && term <= this.#lastTerm))
      throw argument("compact", `term ${term} cannot be that of entry ${index}`);
    const offset = this.#appendSnapshot("compact", this.#state, snapshot);
    // Now and not when the mark is durable: what is saved meanwhile may override entries, and then be lost.
    const floor = this.#spans.compact(index, offset);
    this.#removeWhenDurable(offset, floor);
    return this.#token;
  }

  reset({ state, ...snapshot }: SnapshotMark & { readonly state: HardState }): number {
    const { index, term } = snapshot;
    this.#checkState(state);
    if (!(Number.isSafeInteger(index) && index >= this.#snapshotIndex))
      throw argument("reset", `index ${index} is below the snapshot at ${this.#snapshotIndex}`);
    if (!(Number.isSafeInteger(term) && term >= this.#snapshotTerm && term <= state.term))
      throw argument("reset", `term ${term} is above the node's, or below the last snapshot's`);
    const offset = this.#appendSnapshot("reset", state, snapshot);
    this.#state = { term: state.term, vote: state.vote };
    this.#lastIndex = index;
    this.#lastTerm = term;
    this.#spans.clear();
    this.#removeWhenDurable(offset, offset);
    return this.#token;
  }

  onDurable(listener: (token: number) => void): Dispose {
    return this.#log.onDurable(listener);
  }
  onState(listener: (state: LogState) => void): Dispose {
    return this.#log.onState(listener);
  }
  onFatal(listener: (error: Error) => void): Dispose {
    return this.#log.onFatal(listener);
  }

  close(): Promise<void> {
    this.#closed = true;
    return this.#log.close();
  }

  #checkState({ term, vote }: HardState): void {
    if (!(Number.isSafeInteger(term) && term >= this.#state.term))
      throw argument("save", `the term goes from ${this.#state.term} to ${term}`);
    if (vote !== vote >>> 0) throw argument("save", `vote ${vote} is no node id`);
  }

  /** Fills in #cuts; returns the last entry's term. */
  #checkRun(state: HardState, firstIndex: number, run: Uint8Array): number {
    if (!(firstIndex > this.#snapshotIndex && firstIndex <= this.#lastIndex + 1)) {
      throw argument(
        "save",
        `entries from ${firstIndex} on do not follow ${this.#snapshotIndex} to ${this.#lastIndex}`,
      );
    }
    const cuts = this.#cuts;
    cuts.length = 0;
    const walk = this.#walk;
    walk.begin(viewOf(run), { from: 0, to: run.length });
    // Of an overridden suffix only Raft knows the term before.
    let term = firstIndex === this.#lastIndex + 1 ? this.#lastTerm : this.#snapshotTerm;
    let recordFrom = 0;
    let entryFrom = 0;
    let index = firstIndex;
    while (walk.next()) {
      if (walk.term < term) throw argument("save", `the term of entry ${index} goes back`);
      term = walk.term;
      if (walk.at - recordFrom > this.#runBytesMax && entryFrom > recordFrom) {
        cuts.push({ end: entryFrom, nextIndex: index });
        recordFrom = entryFrom;
      }
      if (walk.at - entryFrom + RECORD_HEADER_BYTES > this.#log.recordBytesMax)
        throw oversize(
          `Entry ${index} of ${walk.payloadBytes} bytes is more than a segment takes; split it.`,
        );
      entryFrom = walk.at;
      index += 1;
    }
    if (!walk.whole) throw argument("save", `entry ${index} is cut off or damaged`);
    if (term > state.term) throw argument("save", `entry ${index - 1} has a term above the node's`);
    cuts.push({ end: run.length, nextIndex: index });
    return term;
  }

  /** So that a save goes in as a whole or not at all. */
  #checkRoom(runBytes: number): void {
    const takes = runBytes + this.#cuts.length * (RECORD_HEADER_BYTES + SEGMENT_LOG_HEADER_BYTES);
    const max = this.#log.pendingBytesMax;
    if (takes > max)
      throw oversize(`A save of ${takes} bytes is above the ${max} that may wait; save less at once.`);
    if (this.#log.pendingBytes + takes > max) {
      throw new TardigradeError(
        "QUEUE_FULL",
        "The Raft log has too much waiting for the disk; try again when some of it is durable.",
        { context: { component: "raft-log", operation: "save" } },
      );
    }
  }

  #appendRun(state: HardState, firstIndex: number, run: Uint8Array): number {
    if (run.length <= this.#runBytesMax) {
      setSaveHeader(this.#scratchView, state, firstIndex);
      this.#scratch.set(run, RECORD_HEADER_BYTES);
      return this.#log.append(this.#scratch.subarray(0, RECORD_HEADER_BYTES + run.length));
    }
    const record = new Uint8Array(RECORD_HEADER_BYTES + run.length);
    setSaveHeader(viewOf(record), state, firstIndex);
    record.set(run, RECORD_HEADER_BYTES);
    return this.#log.append(record);
  }

  #appendSnapshot(kind: "compact" | "reset", state: HardState, snapshot: SnapshotMark): number {
    const bytes = snapshot.configuration.length;
    if (bytes > CONFIGURATION_BYTES_MAX)
      throw argument(kind, `a configuration of ${bytes} bytes is above ${CONFIGURATION_BYTES_MAX}`);
    const offset = this.#log.append(encodeSnapshotRecord(kind, state, snapshot));
    this.#token = offset + 1;
    this.#snapshotIndex = snapshot.index;
    this.#snapshotTerm = snapshot.term;
    return offset;
  }

  #removeWhenDurable(mark: number, floor: number): void {
    // Where the mark never becomes durable the log has ended, which its listeners heard.
    this.#log.durable(mark).then(
      () => this.#remove(floor),
      () => undefined,
    );
  }

  /** What cannot be removed now goes with the next compaction, or after the next start. */
  async #remove(floor: number): Promise<void> {
    if (this.#closed) return;
    try {
      await this.#log.removeBefore(floor);
    } catch (error) {
      this.#logger?.warn("segments of the Raft log could not be removed; it is tried again later", {
        error: error instanceof Error ? error.message : String(error),
      });
    }
  }
}

function argument(operation: string, what: string): TardigradeError {
  return new TardigradeError("ARGUMENT", `The Raft log cannot ${operation}: ${what}.`, {
    context: { component: "raft-log", operation },
  });
}

function oversize(message: string): TardigradeError {
  return new TardigradeError("RECORD_OVERSIZE", message, {
    context: { component: "raft-log", operation: "save" },
  });
}
