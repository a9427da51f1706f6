/**
 * Raft nodes of the core in one process, with a network that loses, doubles, delays and reorders messages, storage that becomes durable late and forgets what was not at a
 * crash, and checks of what Raft promises (thesis 3.2, figure 3.2) after each step. One seed replays it.
 */
import type { Core } from "../../../host/core/core.ts";
import { decodeMembers, Raft, type RaftMember, type RaftOptions } from "../../../host/core/raft.ts";
import { type SeededRandom, seededRandom } from "../../../host/world/random.ts";

export interface WorldOptions {
  readonly core: Core;
  readonly seed: number;
  readonly ids: readonly number[];
  readonly raft?: Partial<RaftOptions>;
  /** Shares of messages. */
  readonly loss?: number;
  readonly doubling?: number;
  readonly delayMsMax?: number;
  /** Until what was stored is durable, at most. */
  readonly syncMsMax?: number;
}

interface Durable {
  term: number;
  vote: number;
  snapshot: { index: number; term: number; members: readonly RaftMember[]; state: readonly string[] };
  /** From snapshot.index + 1 on, each a run of one entry. */
  entries: Uint8Array[];
}

interface Save {
  readonly dueMs: number;
  readonly term: number;
  readonly vote: number;
  readonly sequence: number;
  readonly first: number;
  readonly entries: readonly Uint8Array[];
}

export interface WorldNode {
  readonly id: number;
  raft: Raft | undefined;
  durable: Durable;
  saves: Save[];
  savedSequence: number;
  /** Commands applied, in order: what the state machine is. */
  applied: string[];
  incoming: Uint8Array[];
  /** Commit index up to which the entries were compared with the others'. */
  checked: number;
}

interface Flight {
  readonly dueMs: number;
  readonly to: number;
  readonly message: Uint8Array;
}

/** A driver compacts when three quarters of the log are full. */
const COMPACT_ENTRIES = 192;
const text = new TextDecoder();

export class RaftWorld {
  readonly random: SeededRandom;
  readonly nodes = new Map<number, WorldNode>();
  readonly #options: WorldOptions;
  #flights: Flight[] = [];
  nowMs = 0;
  /** Pairs "from to" that hear nothing. */
  readonly cut = new Set<string>();
  readonly leaders = new Map<number, number>();
  /** Entry that was committed at an index, as any node first said. */
  readonly committed = new Map<number, string>();

  constructor(options: WorldOptions) {
    this.#options = options;
    this.random = seededRandom(options.seed);
    const members = options.ids.map((id) => ({ id, role: "voter" }) as const);
    for (const id of options.ids) this.add(id, members);
  }

  /** A node that begins with `members` as its configuration: the cluster's first, or none for who joins later. */
  add(id: number, members: readonly RaftMember[]): WorldNode {
    const node: WorldNode = {
      id,
      raft: undefined,
      durable: { term: 0, vote: 0, snapshot: { index: 0, term: 0, members, state: [] }, entries: [] },
      saves: [],
      savedSequence: 0,
      applied: [],
      incoming: [],
      checked: 0,
    };
    this.nodes.set(id, node);
    this.start(id);
    return node;
  }

  node(id: number): WorldNode {
    return this.nodes.get(id) as WorldNode;
  }
  raft(id: number): Raft {
    return this.node(id).raft as Raft;
  }

  start(id: number): void {
    const node = this.node(id);
    const raft = new Raft(this.#options.core, {
      ...{ id, entries: 256, payloadBytes: 1 << 14, reads: 16, outboxBytes: 1 << 15, messageBytes: 1 << 12 },
      ...{ electionMs: 100, heartbeatMs: 20 },
      ...this.#options.raft,
    });
    const { term, vote, snapshot, entries } = node.durable;
    raft.restore({ term, vote, snapshot, members: snapshot.members });
    for (const entry of entries) raft.restoreEntries(entry);
    raft.begin(this.nowMs, this.random.u32());
    node.raft = raft;
    node.saves = [];
    node.savedSequence = raft.stateSequence;
    node.applied = [...snapshot.state];
    node.incoming = [];
    node.checked = snapshot.index;
  }

  /** The process dies; what was not durable is gone. */
  crash(id: number): void {
    const node = this.node(id);
    node.raft?.[Symbol.dispose]();
    node.raft = undefined;
  }

  get leader(): Raft | undefined {
    const leading = [...this.nodes.values()].filter(({ raft }) => raft?.status.role === "leader");
    leading.sort((a, b) => (b.raft as Raft).status.term - (a.raft as Raft).status.term);
    return leading[0]?.raft;
  }

  /** Lets time pass in steps of a millisecond. */
  run(ms: number): void {
    for (const untilMs = this.nowMs + ms; this.nowMs < untilMs; ) this.step();
  }

  /** Runs until the condition holds; throws when it does not within `limitMs`. */
  until(condition: () => boolean, limitMs = 20_000): void {
    for (const untilMs = this.nowMs + limitMs; !condition(); ) {
      if (this.nowMs >= untilMs) throw new Error(`seed ${this.#options.seed}: not within ${limitMs} ms`);
      this.step();
    }
  }

  step(): void {
    this.nowMs += 1;
    const due = this.#flights.filter(({ dueMs }) => dueMs <= this.nowMs);
    this.#flights = this.#flights.filter(({ dueMs }) => dueMs > this.nowMs);
    for (const { to, message } of due) this.#deliver(this.nodes.get(to), message);
    for (const node of this.nodes.values()) {
      node.raft?.tick(this.nowMs, this.random.u32());
      this.work(node);
    }
    this.check();
  }

  #deliver(node: WorldNode | undefined, message: Uint8Array): void {
    if (node?.raft === undefined) return;
    if (node.raft.step(message, this.nowMs) === "chunk") this.#takeChunk(node, message);
  }

  /** What a driver does in each round. */
  work(node: WorldNode): void {
    const { raft } = node;
    if (raft === undefined) return;
    this.#complete(node, raft);
    raft.flush();
    this.#sendSnapshots(node, raft);
    this.#save(node, raft);
    raft.takeMessages((_, message) => this.send(message.slice()));
    this.#apply(node, raft);
    this.#checkCommitted(node, raft);
    const { first, last } = raft.status;
    if (last - first > COMPACT_ENTRIES) this.compact(node.id);
  }

  send(message: Uint8Array): void {
    const view = new DataView(message.buffer, message.byteOffset);
    const [from, to] = [view.getUint32(8, true), view.getUint32(12, true)];
    const { loss = 0, doubling = 0, delayMsMax = 1 } = this.#options;
    const times = this.random.unit() < doubling ? 2 : 1;
    for (let time = 0; time < times; time += 1) {
      if (this.cut.has(`${from} ${to}`) || this.random.unit() < loss) continue;
      this.#flights.push({ dueMs: this.nowMs + 1 + this.random.below(delayMsMax), to, message });
    }
  }

  #save(node: WorldNode, raft: Raft): void {
    const unsaved = raft.takeUnsaved();
    const sequence = raft.stateSequence;
    if (unsaved === undefined && sequence === node.savedSequence) return;
    const { term, vote } = raft.status;
    const dueMs = this.nowMs + this.random.below((this.#options.syncMsMax ?? 1) + 1);
    const entries = unsaved === undefined ? [] : splitRun(unsaved.run);
    node.saves.push({ dueMs, term, vote, sequence, first: unsaved?.first ?? 0, entries });
    node.savedSequence = sequence;
  }

  /** Saves become durable in the order they were given. */
  #complete(node: WorldNode, raft: Raft): void {
    while (node.saves.length > 0 && (node.saves[0] as Save).dueMs <= this.nowMs) {
      const save = node.saves.shift() as Save;
      const { durable } = node;
      durable.term = save.term;
      durable.vote = save.vote;
      const kept = save.first - durable.snapshot.index - 1;
      if (save.entries.length > 0 && kept >= 0)
        durable.entries = [...durable.entries.slice(0, kept), ...save.entries];
      const last = save.entries.at(-1);
      // Without entries, only the change of term and vote is durable.
      const [index, term] =
        last === undefined ? [0, 0] : [save.first + save.entries.length - 1, termOf(last)];
      raft.saved(index, term, save.sequence);
    }
  }

  #apply(node: WorldNode, raft: Raft): void {
    for (let index = raft.status.applied + 1; index <= raft.applicable; index += 1) {
      const { run } = raft.entries(index, index);
      if (run[12] === 1) node.applied.push(payloadOf(run));
      raft.setApplied(index);
    }
  }

  /** Makes the node's state its snapshot, and forgets the entries before. */
  compact(id: number): void {
    const { raft, durable, applied } = this.node(id);
    if (raft === undefined) return;
    const index = raft.status.applied;
    const count = index - durable.snapshot.index;
    if (count <= 0 || count > durable.entries.length) return;
    const [term, members] = [raft.termAt(index), raft.membersAt(index)];
    durable.snapshot = { index, term, members, state: [...applied] };
    durable.entries = durable.entries.slice(count);
    raft.compact(index);
  }

  #sendSnapshots(node: WorldNode, raft: Raft): void {
    const peer = raft.snapshotDue;
    if (peer === 0) return;
    const { index, term, members, state } = node.durable.snapshot;
    const bytes = new TextEncoder().encode(JSON.stringify({ state }));
    const read = (offset: number, length: number) => bytes.subarray(offset, offset + Math.min(length, 512));
    raft.sendSnapshot(peer, { index, term, members, bytes: bytes.length, read });
  }

  #takeChunk(node: WorldNode, message: Uint8Array): void {
    const raft = node.raft as Raft;
    const view = new DataView(message.buffer, message.byteOffset, message.length);
    const [index, term] = [Number(view.getBigUint64(24, true)), Number(view.getBigUint64(32, true))];
    const [total, offset] = [Number(view.getBigUint64(40, true)), Number(view.getBigUint64(48, true))];
    const head = 8 + view.getUint32(64, true) * 8;
    if (offset === 0) node.incoming = [];
    node.incoming.push(message.slice(64 + head));
    const held = node.incoming.reduce((sum, { length }) => sum + length, 0);
    raft.snapshotTaken(index, held);
    if (held !== total) return;
    const { state } = JSON.parse(node.incoming.map((part) => text.decode(part)).join("")) as {
      state: string[];
    };
    const members = decodeMembers(message.slice(64, 64 + head));
    // Entries that are not of the snapshot's past go with it, as the core's do.
    const kept =
      raft.termAt(index) === term ? node.durable.entries.slice(index - node.durable.snapshot.index) : [];
    node.durable.snapshot = { index, term, members, state };
    node.durable.entries = kept;
    node.durable.term = raft.status.term;
    node.durable.vote = raft.status.vote;
    node.saves = node.saves.filter(({ entries }) => entries.length === 0);
    node.applied = [...state];
    raft.snapshotInstalled(index, term, members);
  }

  /** State machine safety, from the moment a node says that an entry is committed: before it is applied, and whatever of it is durable. */
  #checkCommitted(node: WorldNode, raft: Raft): void {
    const { commit, first } = raft.status;
    if (commit <= node.checked) return;
    const isWitness = raft.members.some(({ id, role }) => id === node.id && role === "witness");
    for (let index = Math.max(node.checked + 1, first); index <= commit; index += 1) {
      const entry = describeEntry(raft.entries(index, index).run);
      const known = this.committed.get(index);
      // A witness is sent no payloads; that it holds the same entries shows in their terms and kinds.
      const isSame = isWitness ? known?.startsWith(entry.trimEnd()) !== false : (known ?? entry) === entry;
      if (!isSame)
        throw this.violation(`state machine safety: ${index} is ${known}, and at ${node.id} ${entry}`);
      if (known === undefined && !isWitness) this.committed.set(index, entry);
    }
    node.checked = commit;
  }

  violation(what: string): Error {
    return new Error(`seed ${this.#options.seed} at ${this.nowMs} ms: ${what}`);
  }

  /** Election safety and leader completeness; state machine safety is checked where entries are committed. */
  check(): void {
    for (const { id, raft } of this.nodes.values()) {
      if (raft === undefined) continue;
      const { role, term, violations } = raft.status;
      if (violations > 0) throw this.violation(`node ${id} counts ${violations} violations`);
      if (role !== "leader") continue;
      const other = this.leaders.get(term);
      if (other !== undefined && other !== id)
        throw this.violation(`election safety: ${other} and ${id} lead in term ${term}`);
      if (other === undefined) this.#checkCompleteness(raft);
      this.leaders.set(term, id);
    }
  }

  /** Leader completeness: what is committed stands in the log of every later leader. */
  #checkCompleteness(raft: Raft): void {
    const { first, last, id } = { ...raft.status, id: raft.id };
    for (const [index, entry] of this.committed) {
      if (index < first) continue;
      const held = index > last ? "nothing" : describeEntry(raft.entries(index, index).run);
      if (held !== entry)
        throw this.violation(`leader completeness: ${id} has ${held} at ${index}, committed is ${entry}`);
    }
  }
}

export function splitRun(run: Uint8Array): Uint8Array[] {
  const view = new DataView(run.buffer, run.byteOffset, run.length);
  const entries: Uint8Array[] = [];
  for (let at = 0; at < run.length; ) {
    const bytes = 16 + ((view.getUint32(at + 8, true) + 7) & ~7);
    entries.push(run.slice(at, at + bytes));
    at += bytes;
  }
  return entries;
}

export function payloadOf(entry: Uint8Array): string {
  const length = new DataView(entry.buffer, entry.byteOffset).getUint32(8, true);
  return text.decode(entry.subarray(16, 16 + length));
}

function termOf(entry: Uint8Array): number {
  return Number(new DataView(entry.buffer, entry.byteOffset).getBigUint64(0, true));
}

function describeEntry(entry: Uint8Array): string {
  const kind = ["no-op", "command", "configuration"][entry[12] as number];
  return `${kind} of term ${termOf(entry)}${kind === "command" ? ` ${payloadOf(entry)}` : ""}`;
}
