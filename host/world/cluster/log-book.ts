/**
 * What a node's log has said is durable, kept outside of the node: the world's own book, which no crash takes anything from. Against it is held what a
 * node tells others (testimony.ts), and what it finds after a crash.
 */
import { RunWalk, viewOf } from "../../cluster/raft-log/entry.ts";
import type { RaftLog, RaftSave, RecoveredRaftLog, SnapshotMark } from "../../cluster/raft-log/raft-log.ts";

const KIND_AT = 12;
const CONFIGURATION = 2;

/** Given to the log, and not yet called durable. */
interface Page {
  readonly token: number;
  readonly term: number;
  readonly vote: number;
  /** 0: no entries. */
  readonly firstIndex: number;
  readonly terms: readonly number[];
  /** The log begins anew behind it. */
  readonly resetTo?: SnapshotMark;
}

export interface BookReaders {
  /** Entries that change the members are given to the log at these indexes; before them there was one at `before`, or 0. */
  readonly onChanges: (indexes: readonly number[], before: number) => void;
  /** Another vote than before is given to the log in one term. */
  readonly onSecondVote: (what: string) => void;
}

export class LogBook {
  #term = 0;
  #vote = 0;
  /** Of the newest snapshot's last entry: a start takes it for the node's term when the log has a lower one. */
  #baseTerm = 0;
  /** Up to here a snapshot stands in for the entries. */
  base = 0;
  last = 0;
  /** By index, from above `base` on. */
  #terms = new Map<number, number>();
  #pages: Page[] = [];
  /** Indexes of entries that were given to the log and change the members. */
  #changes: number[] = [];
  /** Tells a log from that of a later start. */
  #era = 0;

  get term(): number {
    return Math.max(this.#term, this.#baseTerm);
  }
  /** Whom this node gave its vote in that term; 0. */
  get vote(): number {
    return this.#baseTerm > this.#term ? 0 : this.#vote;
  }

  /** Whether the entry is durable here, or in a snapshot. */
  holds(index: number, term: number): boolean {
    return index <= this.base || (index <= this.last && this.#terms.get(index) === term);
  }

  /** Keeps the book of a log. */
  watch(log: RaftLog, readers: BookReaders): RaftLog {
    const era = this.#era;
    log.onDurable((token) => {
      if (era === this.#era) this.#durable(token);
    });
    return {
      get recovered() {
        return log.recovered;
      },
      releaseRecovered: () => log.releaseRecovered(),
      save: (save) => {
        const token = log.save(save);
        this.#save(token, save, readers);
        return token;
      },
      get durableToken() {
        return log.durableToken;
      },
      onDurable: (listener) => log.onDurable(listener),
      compact: (mark) => {
        const token = log.compact(mark);
        this.#snapshot(mark);
        return token;
      },
      reset: (reset) => {
        const token = log.reset(reset);
        this.#snapshot(reset);
        this.#pages.push({ token, ...reset.state, firstIndex: 0, terms: [], resetTo: reset });
        return token;
      },
      get pendingBytes() {
        return log.pendingBytes;
      },
      get state() {
        return log.state;
      },
      onState: (listener) => log.onState(listener),
      onFatal: (listener) => log.onFatal(listener),
      close: () => log.close(),
    };
  }

  /** After a crash: a text when something is gone that was called durable; else the book goes on from what was found. */
  reopened(found: RecoveredRaftLog): string | undefined {
    const { term, vote, lastIndex } = found;
    const snapshot = found.snapshot?.index ?? 0;
    this.#changes = [];
    const terms = termsOf(found.entries, (at) => this.#changes.push(found.firstIndex + at));
    const lost = this.#lost(found, terms);
    this.#era += 1;
    this.#pages = [];
    this.#term = term;
    this.#vote = vote;
    this.base = Math.max(this.base, snapshot);
    this.last = lastIndex;
    this.#terms = new Map(terms.map((entry, at) => [found.firstIndex + at, entry]));
    return lost;
  }

  #lost(found: RecoveredRaftLog, terms: readonly number[]): string | undefined {
    // A state that came from a leader, and with it all that the log held, may stand in its place.
    if (this.#pages.some(({ resetTo }) => resetTo !== undefined)) return undefined;
    if (found.term < this.#term) return `term ${this.#term} is ${found.term} after a crash`;
    if (found.term === this.#term && this.#vote !== 0 && found.vote !== this.#vote)
      return `the vote for node ${this.#vote} in term ${this.#term} is gone after a crash`;
    // What was given to the log behind it, and may have survived, overrides.
    let upTo = this.last;
    for (const { firstIndex } of this.#pages) if (firstIndex > 0) upTo = Math.min(upTo, firstIndex - 1);
    for (let index = Math.max(this.base, found.firstIndex - 1) + 1; index <= upTo; index += 1) {
      const held = this.#terms.get(index);
      if (terms[index - found.firstIndex] !== held)
        return `entry ${index} of term ${held} is gone after a crash`;
    }
    return undefined;
  }

  #save(token: number, { state, entries }: RaftSave, { onChanges, onSecondVote }: BookReaders): void {
    const newest = this.#newest();
    const { term, vote } = state ?? newest;
    if (term === newest.term && newest.vote !== 0 && vote !== newest.vote)
      onSecondVote(`it votes for node ${vote} in term ${term}, and has voted for node ${newest.vote}`);
    const run = entries?.run ?? new Uint8Array(0);
    const firstIndex = run.length === 0 ? 0 : (entries?.firstIndex ?? 0);
    const changes: number[] = [];
    const terms = termsOf(run, (at) => changes.push(firstIndex + at));
    this.#pages.push({ token, term, vote, firstIndex, terms });
    if (firstIndex > 0) this.#changes = this.#changes.filter((index) => index < firstIndex);
    if (changes.length === 0) return;
    onChanges(changes, this.#changes.at(-1) ?? 0);
    this.#changes.push(...changes);
  }

  #newest(): { readonly term: number; readonly vote: number } {
    return this.#pages.at(-1) ?? this;
  }

  /** The state that takes the entries' place is durable already. */
  #snapshot({ index, term }: SnapshotMark): void {
    if (index <= this.base) return;
    for (let gone = this.base + 1; gone <= index; gone += 1) this.#terms.delete(gone);
    this.base = index;
    this.#baseTerm = term;
  }

  #durable(token: number): void {
    const pages = this.#pages;
    let done = 0;
    for (; done < pages.length && (pages[done] as Page).token <= token; done += 1) {
      const { term, vote, firstIndex, terms, resetTo } = pages[done] as Page;
      this.#term = term;
      this.#vote = vote;
      if (resetTo !== undefined) this.last = resetTo.index;
      if (firstIndex === 0) continue;
      for (const [at, entry] of terms.entries()) this.#terms.set(firstIndex + at, entry);
      this.last = firstIndex + terms.length - 1;
    }
    if (done > 0) this.#pages = pages.slice(done);
  }
}

function termsOf(run: Uint8Array, onConfiguration: (at: number) => void = () => undefined): number[] {
  const terms: number[] = [];
  if (run.length === 0) return terms;
  const walk = new RunWalk();
  walk.begin(viewOf(run), { from: 0, to: run.length });
  for (let at = 0; walk.next(); at = walk.at) {
    if (run[at + KIND_AT] === CONFIGURATION) onConfiguration(terms.length);
    terms.push(walk.term);
  }
  return terms;
}
