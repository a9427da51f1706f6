/**
 * Raft nodes of the core that a transcript directs: nothing happens but what a command says, so that a reader sees each message. Time is each node's own and
 * passes by `tick` and `time`; a node of number n waits (1 + (n - 1) / nodes) election times, so that the first campaigns first. Disks are done
 * at once unless they are stalled.
 */
import type { Core } from "../../../host/core/core.ts";
import { decodeMembers, Raft, type RaftMember, type RaftRole } from "../../../host/core/raft.ts";
import { envelopeOf, membersText, messageText, runText } from "./message-text.ts";
import { payloadOf, splitRun } from "./world.ts";

export const ELECTION_MS = 100;
const HEARTBEAT_MS = 20;
const DELIVERIES_MAX = 500;
/** Of an entry in a run. */
const KIND_AT = 12;
const COMMAND = 1;
const utf8 = new TextEncoder();
const text = new TextDecoder();

interface Save {
  readonly term: number;
  readonly vote: number;
  readonly sequence: number;
  readonly first: number;
  readonly entries: readonly Uint8Array[];
}

interface Actor {
  readonly id: number;
  raft: Raft | undefined;
  nowMs: number;
  stalled: boolean;
  saves: Save[];
  savedSequence: number;
  role: RaftRole;
  leader: number;
  commit: number;
  applied: string[];
  durable: {
    term: number;
    vote: number;
    snapshot: { index: number; term: number; members: readonly RaftMember[]; state: readonly string[] };
    entries: Uint8Array[];
  };
}

export class Stage {
  readonly #core: Core;
  readonly #leaseMs: number;
  readonly #actors = new Map<number, Actor>();
  readonly #cut = new Set<string>();
  #wire: Uint8Array[] = [];
  readonly #count: number;
  readonly #say: (line: string) => void;

  constructor(
    core: Core,
    options: {
      readonly nodes: number;
      readonly leaseMs: number;
      readonly say: (line: string) => void;
    },
  ) {
    this.#core = core;
    this.#leaseMs = options.leaseMs;
    this.#count = options.nodes;
    this.#say = options.say;
    const ids = Array.from({ length: options.nodes }, (_, at) => at + 1);
    for (const id of ids)
      this.add(
        id,
        ids.map((member) => ({ id: member, role: "voter" })),
      );
  }

  [Symbol.dispose](): void {
    for (const { raft } of this.#actors.values()) raft?.[Symbol.dispose]();
  }

  /** Without members it is one that joins. */
  add(id: number, members: readonly RaftMember[]): void {
    const actor: Actor = {
      ...{ id, raft: undefined, nowMs: 0, stalled: false, saves: [], savedSequence: 0 },
      ...{ role: "follower", leader: 0, commit: 0, applied: [] },
      durable: { term: 0, vote: 0, snapshot: { index: 0, term: 0, members, state: [] }, entries: [] },
    };
    this.#actors.set(id, actor);
    this.start(id);
  }

  start(id: number): void {
    const actor = this.#actor(id);
    const { term, vote, snapshot, entries } = actor.durable;
    const raft = new Raft(this.#core, {
      ...{ id, entries: 16, payloadBytes: 1024, reads: 4, outboxBytes: 4096, messageBytes: 512 },
      ...{ electionMs: ELECTION_MS, heartbeatMs: HEARTBEAT_MS, leaseMs: this.#leaseMs },
    });
    raft.restore({ term, vote, snapshot, members: snapshot.members });
    for (const entry of entries) raft.restoreEntries(entry);
    raft.begin(actor.nowMs, this.#dice(id));
    actor.raft = raft;
    actor.saves = [];
    actor.savedSequence = raft.stateSequence;
    actor.applied = [...snapshot.state];
    actor.commit = raft.commit;
    actor.role = "follower";
    actor.leader = 0;
  }

  crash(id: number): void {
    const actor = this.#actor(id);
    actor.raft?.[Symbol.dispose]();
    actor.raft = undefined;
  }

  /** Time passes at one node, or at all in the order of their numbers. */
  tick(ms: number, id?: number): void {
    for (const actor of this.#actors.values()) {
      if (id !== undefined && actor.id !== id) continue;
      actor.nowMs += ms;
      actor.raft?.tick(actor.nowMs, this.#dice(actor.id));
      this.#work(actor);
    }
  }

  propose(id: number, command: string): void {
    const how = this.raft(id).propose(utf8.encode(command));
    if (how === "forwarded") this.#say(`${id} forwards it`);
    this.#work(this.#actor(id));
  }
  change(id: number, members: readonly RaftMember[]): void {
    this.raft(id).change(members);
    this.#work(this.#actor(id));
  }
  transfer(id: number, to: number): void {
    this.raft(id).transfer(to);
    this.#work(this.#actor(id));
  }
  read(id: number, context: number): void {
    this.raft(id).read(context, this.#actor(id).nowMs);
    this.#work(this.#actor(id));
  }

  stall(id: number): void {
    this.#actor(id).stalled = true;
  }
  sync(id: number): void {
    this.#actor(id).stalled = false;
    this.#work(this.#actor(id));
  }

  cut(from: number, to: number): void {
    this.#cut.add(`${from} ${to}`);
  }
  part(id: number): void {
    for (const other of this.#actors.keys()) {
      this.cut(id, other);
      this.cut(other, id);
    }
  }
  heal(): void {
    this.#cut.clear();
  }

  /** Delivers what is under way, and what that leads to, until nothing is: in order, one at a time. */
  settle(): void {
    for (let count = 0; this.#wire.length > 0; count += 1) {
      if (count > DELIVERIES_MAX) throw new Error("it does not come to rest");
      const message = this.#wire.shift() as Uint8Array;
      const { from, to } = envelopeOf(message);
      const actor = this.#actors.get(to);
      const raft = this.#cut.has(`${from} ${to}`) ? undefined : actor?.raft;
      this.#say(`${messageText(message)}${raft === undefined ? " (lost)" : ""}`);
      if (actor === undefined || raft === undefined) continue;
      if (raft.step(message, actor.nowMs) === "chunk") this.#takeChunk(actor, message);
      this.#work(actor);
    }
  }

  /** Makes what is applied the snapshot, and forgets the entries. */
  compact(id: number): void {
    const { durable, applied } = this.#actor(id);
    const raft = this.raft(id);
    const index = raft.applied;
    const members = raft.membersAt(index);
    durable.entries = durable.entries.slice(index - durable.snapshot.index);
    durable.snapshot = { index, term: raft.termAt(index), members, state: [...applied] };
    raft.compact(index);
  }

  status(): void {
    for (const { id, raft } of this.#actors.values()) {
      if (raft === undefined) this.#say(`${id} down`);
      else {
        const { role, term, leader, commit, first, last } = raft.status;
        this.#say(
          `${id} ${role}, term ${term}, leader ${leader || "none"}, entries ${first} to ${last}, commit ${commit}`,
        );
      }
    }
  }

  /** Entries held, the members, and what was applied. */
  log(id: number): void {
    const raft = this.raft(id);
    const { first, last } = raft.status;
    const held = first > last ? " no entry" : runText(raft.entries(first, last).run, first);
    this.#say(`${id} holds${held}`);
    this.#say(
      `${id} has applied ${this.#actor(id).applied.join(" ") || "nothing"}, ${membersText(raft.members)}`,
    );
  }

  raft(id: number): Raft {
    const { raft } = this.#actor(id);
    if (raft === undefined) throw new Error(`node ${id} is down`);
    return raft;
  }

  #actor(id: number): Actor {
    const actor = this.#actors.get(id);
    if (actor === undefined) throw new Error(`there is no node ${id}`);
    return actor;
  }

  #dice(id: number): number {
    return Math.floor((((id - 1) % this.#count) / this.#count) * 2 ** 32);
  }

  /** What a driver does in a round. */
  #work(actor: Actor): void {
    const { raft } = actor;
    if (raft === undefined) return;
    raft.flush();
    this.#sendSnapshot(actor, raft);
    this.#save(actor, raft);
    raft.takeMessages((_, message) => this.#wire.push(message.slice()));
    this.#tell(actor, raft);
    for (let index = raft.applied + 1; index <= raft.applicable; index += 1) {
      const { run } = raft.entries(index, index);
      this.#say(`  ${actor.id} applies${runText(run, index)}`);
      if (run[KIND_AT] === COMMAND) actor.applied.push(payloadOf(run));
      raft.setApplied(index);
    }
    for (const { context, index } of raft.takeReads())
      this.#say(`  ${actor.id} may read ${context} at ${index}`);
    // To apply may end a change of members, and that is an entry of its own.
    if (raft.unsaved !== 0) this.#work(actor);
  }

  #tell(actor: Actor, raft: Raft): void {
    const { role, term, leader } = raft.status;
    if (role === actor.role && leader === actor.leader) return;
    const follows = leader !== 0 && leader !== actor.id ? `, follows ${leader}` : "";
    this.#say(`  ${actor.id} is ${role}${follows}, term ${term}`);
    actor.role = role;
    actor.leader = leader;
  }

  #save(actor: Actor, raft: Raft): void {
    for (;;) {
      const unsaved = raft.takeUnsaved();
      const entries = unsaved === undefined ? [] : splitRun(unsaved.run);
      const sequence = raft.stateSequence;
      if (entries.length === 0 && sequence === actor.savedSequence) break;
      const { term, vote } = raft.status;
      actor.saves.push({ term, vote, sequence, first: unsaved?.first ?? 0, entries });
      actor.savedSequence = sequence;
    }
    if (actor.stalled) return;
    const { durable } = actor;
    for (const save of actor.saves.splice(0)) {
      durable.term = save.term;
      durable.vote = save.vote;
      const kept = save.first - durable.snapshot.index - 1;
      if (save.entries.length > 0 && kept >= 0)
        durable.entries = [...durable.entries.slice(0, kept), ...save.entries];
      const last = save.first + save.entries.length - 1;
      const isState = save.entries.length === 0;
      raft.saved(isState ? 0 : last, isState ? 0 : raft.termAt(last), save.sequence);
    }
    raft.flush();
  }

  #sendSnapshot({ durable }: Actor, raft: Raft): void {
    const peer = raft.snapshotDue;
    if (peer === 0) return;
    const { index, term, members, state } = durable.snapshot;
    const bytes = utf8.encode(state.join(" "));
    const read = (offset: number, length: number) => bytes.subarray(offset, offset + length);
    raft.sendSnapshot(peer, { index, term, members, bytes: bytes.length, read });
  }

  /** They are small here: one chunk is all. */
  #takeChunk(actor: Actor, message: Uint8Array): void {
    const raft = actor.raft as Raft;
    const view = new DataView(message.buffer, message.byteOffset, message.length);
    const [index, term] = [Number(view.getBigUint64(24, true)), Number(view.getBigUint64(32, true))];
    const head = 64 + 8 + view.getUint32(64, true) * 8;
    const members = decodeMembers(message.slice(64, head));
    const chunk = message.subarray(head);
    const state = text.decode(chunk).split(" ");
    actor.durable.snapshot = { index, term, members, state };
    actor.durable.entries = [];
    actor.durable.term = raft.term;
    actor.durable.vote = raft.vote;
    actor.applied = [...state];
    raft.snapshotTaken(index, chunk.length);
    raft.snapshotInstalled(index, term, members);
    this.#say(`  ${actor.id} holds the snapshot to ${index}: ${state.join(" ")}`);
  }
}
