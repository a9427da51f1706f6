/** What goes from Raft to its durable log, and what comes back: which of it is on the disk. */
import type { Raft } from "../../core/raft.ts";
import type { RaftLog, SnapshotMark } from "../raft-log/raft-log.ts";
import { refusal } from "./proposals.ts";

/** No more is given to the log while so much waits for the disk. */
const PENDING_BYTES_MAX = 8 * 1024 * 1024;

interface Save {
  readonly token: number;
  /** Of the last entry; 0 when term and vote alone were saved. */
  readonly index: number;
  readonly term: number;
  readonly sequence: number;
}

export class LogFeeder {
  readonly #raft: Raft;
  readonly #log: RaftLog;
  /** Given to the log and not durable yet, oldest first. */
  #saves: Save[] = [];
  #handedSequence: number;

  /** What Raft has now is what the log has. */
  constructor(raft: Raft, log: RaftLog) {
    this.#raft = raft;
    this.#log = log;
    this.#handedSequence = raft.stateSequence;
  }

  /** Nothing waits for the disk. */
  get isIdle(): boolean {
    return this.#saves.length === 0;
  }

  /** Gives the log what it has not been given. */
  feed(): void {
    const raft = this.#raft;
    while (this.#log.pendingBytes < PENDING_BYTES_MAX) {
      const unsaved = raft.takeUnsaved();
      const sequence = raft.stateSequence;
      if (unsaved === undefined && sequence === this.#handedSequence) return;
      const state = { term: raft.term, vote: raft.vote };
      if (unsaved === undefined) this.#add(this.#log.save({ state }), sequence);
      else {
        const { first, last, run } = unsaved;
        const token = this.#log.save({ state, entries: { firstIndex: first, run } });
        this.#add(token, sequence, { index: last, term: raft.termAt(last) });
      }
    }
  }

  /** The log says that all up to this token is durable. */
  durable(token: number): void {
    const saves = this.#saves;
    let done = 0;
    while (done < saves.length && (saves[done] as Save).token <= token) {
      const { index, term, sequence } = saves[done] as Save;
      this.#raft.saved(index, term, sequence);
      done += 1;
    }
    if (done > 0) this.#saves = saves.slice(done);
  }

  /**
   * The log goes on from a snapshot: behind it where Raft's log goes through its last entry, else empty. Throws QUEUE_FULL, or what the log
   * throws, with nothing done.
   */
  goOnFrom(mark: SnapshotMark): void {
    const raft = this.#raft;
    if (raft.termAt(mark.index) === mark.term) {
      this.feed();
      if (raft.unsaved !== 0 && raft.unsaved <= mark.index) throw refusal("QUEUE_FULL");
      this.#log.compact(mark);
      return;
    }
    const sequence = raft.stateSequence;
    this.#add(this.#log.reset({ ...mark, state: { term: raft.term, vote: raft.vote } }), sequence);
  }

  #add(token: number, sequence: number, last = { index: 0, term: 0 }): void {
    this.#saves.push({ token, ...last, sequence });
    this.#handedSequence = sequence;
  }
}
