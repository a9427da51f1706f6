/**
 * What nodes tell each other, held against what is so: every message is looked at when it leaves. A node can see only its own side; here all sides are seen.
 * Raft's promises rest on these (sections of Ongaro's thesis):
 *
 *   stable storage    3.8    a term, a vote or an acknowledgement leaves when it is durable, and not before
 *   commitment        3.6.2  what a leader calls committed is durable on a majority of each configuration in force, and is of its own term, unless
 *                            an earlier leader had committed it
 *   one change        4.1    a leader begins no change of the members before the one before is committed, nor before an entry of its own term is
 *   promised silence  6.4.1  no vote within an election time of a start, unless the leader itself asked for the election: leases rest on it
 */
import { u53At } from "../../cluster/bytes.ts";
import type { RaftMember } from "../../core/raft.ts";
import type { LogBook } from "./log-book.ts";

/** Of assembly/consensus/raft/message.ts. */
const KIND = {
  voteRequest: 1,
  voteAnswer: 2,
  append: 3,
  appendAnswer: 4,
  heartbeat: 5,
  heartbeatAnswer: 6,
} as const;
const [FLAGS_AT, TERM_AT, INDEX_AT, COMMIT_AT] = [1, 16, 24, 40] as const;
const [PRE, REFUSED, BY_LEADER] = [1, 2, 4] as const;

/** A node as it is now, and its book. */
export interface Witness {
  readonly id: number;
  readonly book: LogBook;
  /** Undefined while it is down. */
  readonly driver:
    | {
        readonly status: {
          readonly term: number;
          readonly role: string;
          readonly commit: number;
          readonly members: readonly RaftMember[];
        };
        termAt(index: number): number;
      }
    | undefined;
  /** Since its start, by its own clock. */
  readonly upMs: number;
}

interface Reign {
  readonly by: number;
  /** What the leader knew to be committed when it began. */
  readonly commit: number;
  /** In force when it last committed: a change may have come between that and the message that tells of it. */
  members: readonly RaftMember[];
  /** The newest entry that it was the first to call committed; 0 for none. */
  told: number;
}

export class Testimony {
  readonly #witness: (id: number) => Witness | undefined;
  readonly #electionMs: number;
  /** By term. */
  readonly #reigns = new Map<number, Reign>();
  /** "to from term" of elections that a leader asked for. */
  readonly #forced = new Set<string>();
  /** What was called committed, and the term of its last entry. */
  #committed = { index: 0, term: 0 };
  readonly #onCommit: (leader: number) => void;

  constructor(options: {
    readonly witness: (id: number) => Witness | undefined;
    readonly electionMs: number;
    /** A leader tells of something newly committed. */
    readonly onCommit: (leader: number) => void;
  }) {
    this.#witness = options.witness;
    this.#electionMs = options.electionMs;
    this.#onCommit = options.onCommit;
  }

  /** The newest entry that a leader called committed. */
  get committed(): { readonly index: number; readonly term: number } {
    return this.#committed;
  }

  /** The newest entry that leaders of earlier terms called committed. */
  committedBefore(term: number): number {
    return Math.max(0, ...[...this.#reigns].map(([of, { told }]) => (of < term ? told : 0)));
  }

  delivered(from: number, to: number, message: Uint8Array): void {
    if (message[0] === KIND.voteRequest && ((message[FLAGS_AT] as number) & BY_LEADER) !== 0)
      this.#forced.add(`${to} ${from} ${u53At(message, TERM_AT)}`);
  }

  /** A message leaves. A text where it says what is not so. */
  sent(from: number, to: number, message: Uint8Array): string | undefined {
    const witness = this.#witness(from);
    if (witness === undefined) return undefined;
    const kind = message[0] as number;
    const flags = message[FLAGS_AT] as number;
    const term = u53At(message, TERM_AT);
    const { book } = witness;
    const isPre = (flags & PRE) !== 0 && (flags & REFUSED) === 0;
    if (!isPre && term > book.term)
      return `stable storage: node ${from} tells of term ${term}, and has term ${book.term} on its disk`;
    switch (kind) {
      case KIND.voteRequest:
      case KIND.voteAnswer:
        return (flags & (PRE | REFUSED)) === 0 ? this.#voted(witness, to, kind, term) : undefined;
      case KIND.appendAnswer:
      case KIND.heartbeatAnswer: {
        const index = u53At(message, INDEX_AT);
        // Of an earlier term it waited for a term or a vote to be saved; it was so when it was made, and a later leader has cut it off since.
        const isOld = term < book.term;
        if ((flags & REFUSED) !== 0 || isOld || index <= Math.max(book.base, book.last)) return undefined;
        return `stable storage: node ${from} acknowledges entry ${index}, and has ${book.last} on its disk`;
      }
      case KIND.append:
      case KIND.heartbeat:
        return this.#leads(witness, term, u53At(message, COMMIT_AT));
      default:
        return undefined;
    }
  }

  #voted({ id, book, upMs }: Witness, to: number, kind: number, term: number): string | undefined {
    const isOwn = kind === KIND.voteRequest;
    const candidate = isOwn ? id : to;
    if (term === book.term && book.vote !== candidate)
      return `stable storage: node ${id} votes for node ${candidate} in term ${term}, and has a vote for ${book.vote} on its disk`;
    if (isOwn || upMs + 1 >= this.#electionMs || this.#forced.has(`${id} ${to} ${term}`)) return undefined;
    return `promised silence: node ${id} votes for node ${to} in term ${term}, ${Math.round(upMs)} ms after its start`;
  }

  #leads(witness: Witness, term: number, told: number): string | undefined {
    const { id, driver } = witness;
    let reign = this.#reigns.get(term);
    if (reign === undefined) {
      if (driver === undefined) return undefined;
      const { status } = driver;
      reign = { by: id, commit: status.commit, members: status.members, told: 0 };
      this.#reigns.set(term, reign);
    }
    if (reign.by !== id) return `election safety: nodes ${reign.by} and ${id} lead in term ${term}`;
    if (told <= this.#committed.index || driver === undefined) return undefined;
    const { members, ...now } = driver.status;
    // A heartbeat tells a peer of no more than it has.
    const commit = now.term === term ? now.commit : told;
    const before = reign.members;
    reign.members = members;
    const held = driver.termAt(commit);
    this.#committed = { index: commit, term: held };
    reign.told = commit;
    this.#onCommit(id);
    // A leader before may have committed it and told nobody.
    if (commit <= reign.commit) return undefined;
    if (held !== term && now.term === term)
      return `commitment: node ${id} leads in term ${term} and calls entry ${commit} of term ${held} committed`;
    if (this.#isHeld(commit, held, members) || this.#isHeld(commit, held, before)) return undefined;
    return `commitment: node ${id} calls entry ${commit} of term ${held} committed, which is not on the disks of a majority`;
  }

  #isHeld(index: number, term: number, members: readonly RaftMember[]): boolean {
    const isHeldBy = (voters: readonly RaftMember[]): boolean =>
      voters.filter(({ id }) => this.#witness(id)?.book.holds(index, term) === true).length * 2 >
      voters.length;
    const outgoing = members.filter((member) => member.outgoing === true || member.leaving === true);
    const incoming = members.filter(({ role, leaving }) => role !== "learner" && leaving !== true);
    return isHeldBy(incoming) && (outgoing.length === 0 || isHeldBy(outgoing));
  }

  /** A node gives its log entries at `indexes` that change the members; before them there was one at `before`, or 0. */
  changed({ id, driver }: Witness, indexes: readonly number[], before: number): string | undefined {
    if (driver === undefined) return undefined;
    const { role, term, commit } = driver.status;
    const own = indexes.filter((index) => driver.termAt(index) === term);
    if (role !== "leader" || own.length === 0) return undefined;
    if (own.length > 1 || before > commit)
      return `one change: node ${id} changes the members at entry ${own.at(-1)}, and the change before is not committed`;
    if (driver.termAt(commit) === term) return undefined;
    return `one change: node ${id} changes the members at entry ${own[0]} before it has committed anything in term ${term}`;
  }
}
