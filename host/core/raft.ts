/**
 * One Raft node of the core, for a driver that has network, disk, time and dice: assembly/consensus/raft/node.ts says in what order it is called. Messages and runs of
 * entries are bytes in the layouts of assembly/consensus/raft (message.ts, log.ts).
 */
import { TardigradeError } from "../../protocols/error.ts";
import { type Core, codeOfStatus } from "./core.ts";
import { giveRegion, type Region, takeRegion } from "./regions.ts";

export type RaftRole = "follower" | "pre-candidate" | "candidate" | "leader";
const ROLES: readonly RaftRole[] = ["follower", "pre-candidate", "candidate", "leader"];

export interface RaftMember {
  /** 1 to 2^32 - 1. */
  readonly id: number;
  /** A witness votes and holds no data; a learner holds data and does not vote. */
  readonly role: "voter" | "learner" | "witness";
  /** In a joint configuration: votes in the one that is being left, too. */
  readonly outgoing?: boolean;
  /** In a joint configuration: votes in the one that is being left, and is no member of the next. */
  readonly leaving?: boolean;
}

export interface RaftOptions {
  readonly id: number;
  /** Entries held in memory, a power of two from 16 up; 4,096 by default. */
  readonly entries?: number;
  /** Bytes of their payloads, a power of two; 4 MiB by default. */
  readonly payloadBytes?: number;
  readonly reads?: number;
  readonly outboxBytes?: number;
  readonly messageBytes?: number;
  /** A follower campaigns one to two of these after it last heard a leader. */
  readonly electionMs?: number;
  readonly heartbeatMs?: number;
  /** Lease reads so long after a heartbeat: less than electionMs by what clocks may drift apart. 0, never, by default. */
  readonly leaseMs?: number;
}

export interface RaftStatus {
  readonly role: RaftRole;
  readonly term: number;
  readonly vote: number;
  /** 0: none known. */
  readonly leader: number;
  readonly commit: number;
  readonly applied: number;
  readonly first: number;
  readonly last: number;
  readonly saved: number;
  /** Messages left out because the outbox was full, messages that were none, and things that Raft rules out. */
  readonly dropped: number;
  readonly malformed: number;
  readonly violations: number;
}

const CONFIG_BYTES_MAX = 136;
const VOTER_IN = 1;
const VOTER_OUT = 2;
const LEARNER = 4;
const WITNESS = 8;

/** Offsets of assembly/consensus/raft/layout.ts. */
const TERM = 0;
const COMMIT = 8;
const APPLIED = 16;
const FIRST = 24;
const LAST = 32;
const SAVED = 40;
const VOTE = 196;
const LEADER = 200;
const OUTBOX_DROPPED = 264;
const ROLE = 284;
const MALFORMED = 288;
const VIOLATIONS = 292;
const READY_COUNT = 296;
const MESSAGE_LENGTH = 4;
const MESSAGE_TO = 12;
const MESSAGE_HEADER_BYTES = 64;
/** Of a run: term u64, length u32, kind u32, then the payload up to a multiple of 8. */
const ENTRY_HEADER_BYTES = 16;
const ENTRY_LENGTH = 8;

export class Raft implements Disposable {
  readonly id: number;
  readonly #core: Core;
  readonly #region: Region;
  readonly #scratch: Region;
  readonly #at: number;
  readonly #chunkBytesMax: number;
  #cached = new DataView(new ArrayBuffer(0));

  /** An empty node. restore() and restoreEntries() give it what was durable, begin() starts it. Throws ARGUMENT. */
  constructor(core: Core, options: RaftOptions) {
    const { id, entries = 4096, payloadBytes = 1 << 22, reads = 256, messageBytes = 1 << 18 } = options;
    const { outboxBytes = 1 << 21, electionMs = 1000, heartbeatMs = 100, leaseMs = 0 } = options;
    const { raw } = core;
    const bytes = raw.raftBytes(entries, payloadBytes, reads, outboxBytes, messageBytes);
    if (bytes === 0) throw new TardigradeError("ARGUMENT", "These sizes are none that a Raft node can have.");
    this.id = id;
    this.#core = core;
    this.#region = takeRegion(core, bytes);
    this.#scratch = takeRegion(core, messageBytes);
    this.#at = this.#region.at;
    this.#chunkBytesMax = messageBytes - MESSAGE_HEADER_BYTES - CONFIG_BYTES_MAX;
    this.#must(raw.raftInit(this.#at, id, entries, payloadBytes, reads, outboxBytes, messageBytes));
    const inFlight = [Math.max(entries / 4, 1), Math.max(payloadBytes / 4, 1)] as const;
    this.#must(raw.raftConfigure(this.#at, electionMs, heartbeatMs, leaseMs, ...inFlight));
  }

  [Symbol.dispose](): void {
    giveRegion(this.#core, this.#region);
    giveRegion(this.#core, this.#scratch);
  }

  /** What was durable; without a snapshot its index is 0, and the members are those that the cluster begins with. */
  restore(state: {
    readonly term: number;
    readonly vote: number;
    readonly snapshot: { readonly index: number; readonly term: number };
    readonly members: readonly RaftMember[];
  }): void {
    const bytes = this.#writeConfig(state.members);
    const { index, term } = state.snapshot;
    const { raw } = this.#core;
    this.#must(raw.raftRestore(this.#at, state.term, state.vote, index, term, this.#scratch.at, bytes));
  }

  /** A run of durable entries behind what is there. */
  restoreEntries(run: Uint8Array): void {
    const region = takeRegion(this.#core, run.length);
    this.#core.bytes().set(run, region.at);
    const status = this.#core.raw.raftRestoreEntries(this.#at, region.at, run.length);
    giveRegion(this.#core, region);
    this.#must(status);
  }

  restoreApplied(index: number): void {
    this.#must(this.#core.raw.raftRestoreApplied(this.#at, index));
  }

  begin(nowMs: number, dice: number): void {
    this.#core.raw.raftBegin(this.#at, nowMs, dice);
  }
  tick(nowMs: number, dice: number): void {
    this.#core.raw.raftTick(this.#at, nowMs, dice);
  }
  flush(): void {
    this.#core.raw.raftFlush(this.#at);
  }

  /** "chunk": the message brings a part of a snapshot, which is the caller's to keep. Throws RAFT_MESSAGE. */
  step(message: Uint8Array, nowMs: number): "done" | "chunk" {
    const { raw } = this.#core;
    if (message.length > this.#scratch.bytes)
      throw new TardigradeError("RAFT_MESSAGE", "The message is too long.");
    this.#core.bytes().set(message, this.#scratch.at);
    raw.raftNow(this.#at, nowMs);
    return this.#must(raw.raftStep(this.#at, this.#scratch.at, message.length)) === 1 ? "chunk" : "done";
  }

  /** "appended": the command is the log's last entry. "forwarded": to the leader, and whether it arrived shows when it is applied. */
  propose(command: Uint8Array): "appended" | "forwarded" {
    if (command.length > this.#scratch.bytes)
      throw new TardigradeError("ARGUMENT", "The command is too long.");
    this.#core.bytes().set(command, this.#scratch.at);
    const status = this.#core.raw.raftPropose(this.#at, this.#scratch.at, command.length);
    return this.#must(status) === 1 ? "forwarded" : "appended";
  }

  /** Asks for an index to read at, which takeReads() gives. `context` is a number never used before. */
  read(context: number, nowMs: number): void {
    this.#core.raw.raftNow(this.#at, nowMs);
    this.#must(this.#core.raw.raftRead(this.#at, context));
  }

  takeReads(): { readonly context: number; readonly index: number }[] {
    const count = this.#u32(READY_COUNT);
    if (count === 0) return [];
    const view = this.#view();
    const reads = Array.from({ length: count }, (_, index) => {
      const at = this.#core.raw.raftReadyAt(this.#at, index);
      return { context: Number(view.getBigUint64(at, true)), index: Number(view.getBigUint64(at + 8, true)) };
    });
    this.#core.raw.raftReadsDrop(this.#at, count);
    return reads;
  }

  /** Gives away the messages that may leave. Each is a view that is good during its call, in which this node must not be used. */
  takeMessages(send: (to: number, message: Uint8Array) => void): void {
    const { raw } = this.#core;
    for (let at = raw.raftMessage(this.#at); at !== 0; at = raw.raftMessage(this.#at)) {
      const view = this.#view();
      const length = view.getUint32(at + MESSAGE_LENGTH, true);
      send(view.getUint32(at + MESSAGE_TO, true), this.#core.bytes().subarray(at, at + length));
      raw.raftMessageDrop(this.#at);
    }
  }

  /** Entries that storage has not been given, as a run that is good until the next step, proposal or run, as many as a message takes; they count as given then. */
  takeUnsaved(): { readonly first: number; readonly last: number; readonly run: Uint8Array } | undefined {
    const first = this.#core.raw.raftUnsaved(this.#at);
    if (first === 0) return undefined;
    const { run, count } = this.#run(first, this.last);
    this.#core.raw.raftHanded(this.#at, first + count - 1);
    return { first, last: first + count - 1, run };
  }

  /** The first entry that storage has not been given; 0 for none. */
  get unsaved(): number {
    return this.#core.raw.raftUnsaved(this.#at);
  }

  /** Entries from `first` to `last`, which are held, as many as a message takes; the run is the caller's. */
  entries(first: number, last: number): { readonly run: Uint8Array; readonly count: number } {
    const { run, count } = this.#run(first, last);
    return { run: run.slice(), count };
  }

  #run(first: number, last: number): { readonly run: Uint8Array; readonly count: number } {
    const { at, bytes } = this.#scratch;
    const length = this.#core.raw.raftRun(this.#at, first, last, at, bytes);
    const run = this.#core.bytes().subarray(at, at + length);
    const words = this.#core.words();
    let count = 0;
    for (let offset = at; offset < at + length; count += 1)
      offset += ENTRY_HEADER_BYTES + (((words[(offset + ENTRY_LENGTH) >> 2] as number) + 7) & ~7);
    return { run, count };
  }

  /** Number of the newest change of term and vote. */
  get stateSequence(): number {
    return this.#core.raw.raftStateSequence(this.#at);
  }

  saved(index: number, term: number, stateSequence: number): void {
    this.#core.raw.raftSaved(this.#at, index, term, stateSequence);
  }
  get applicable(): number {
    return this.#core.raw.raftApplicable(this.#at);
  }
  setApplied(index: number): void {
    this.#core.raw.raftApplied(this.#at, index);
  }
  termAt(index: number): number {
    return this.#core.raw.raftTermAt(this.#at, index);
  }
  compact(index: number): void {
    this.#must(this.#core.raw.raftCompact(this.#at, index));
  }
  leaseHolds(nowMs: number): boolean {
    this.#core.raw.raftNow(this.#at, nowMs);
    return this.#core.raw.raftLeaseHolds(this.#at) !== 0;
  }
  transfer(id: number): void {
    this.#must(this.#core.raw.raftTransfer(this.#at, id));
  }
  /** Makes these the members; more than one voter other than now goes through a joint configuration. */
  change(members: readonly RaftMember[]): void {
    const bytes = this.#writeConfig(members);
    this.#must(this.#core.raw.raftChange(this.#at, this.#scratch.at, bytes));
  }

  /** The configuration at an index that is held. */
  membersAt(index: number): readonly RaftMember[] {
    return decodeMembers(this.#configAt(index));
  }
  get members(): readonly RaftMember[] {
    return this.membersAt(this.#u64(LAST));
  }

  /** A peer that waits for a chunk of the newest snapshot; 0 for none. */
  get snapshotDue(): number {
    return this.#core.raw.raftSnapshotDue(this.#at);
  }

  /** Sends a peer the chunk that it wants next, no more than a message takes. */
  sendSnapshot(
    peer: number,
    snapshot: {
      readonly index: number;
      readonly term: number;
      readonly members: readonly RaftMember[];
      /** Of all of it. */
      readonly bytes: number;
      /** At most `length` bytes from `offset` on, at least one where there is one. */
      read(offset: number, length: number): Uint8Array;
    },
  ): void {
    const { raw } = this.#core;
    const { index, term, bytes } = snapshot;
    const offset = Math.min(raw.raftSnapshotOffset(this.#at, peer, index), bytes);
    const chunk = snapshot.read(offset, Math.min(bytes - offset, this.#chunkBytesMax));
    this.#writeConfig(snapshot.members);
    const { at } = this.#scratch;
    this.#core.bytes().set(chunk, at + CONFIG_BYTES_MAX);
    const from = at + CONFIG_BYTES_MAX;
    this.#must(raw.raftSnapshotSend(this.#at, peer, index, term, at, bytes, from, chunk.length));
  }

  snapshotTaken(index: number, bytes: number): void {
    this.#core.raw.raftSnapshotTaken(this.#at, index, bytes);
  }
  snapshotRefused(): void {
    this.#core.raw.raftSnapshotRefused(this.#at);
  }
  snapshotInstalled(index: number, term: number, members: readonly RaftMember[]): void {
    const bytes = this.#writeConfig(members);
    this.#must(this.#core.raw.raftSnapshotInstalled(this.#at, index, term, this.#scratch.at, bytes));
  }

  get role(): RaftRole {
    return ROLES[this.#core.bytes()[this.#at + ROLE] ?? 0] ?? "follower";
  }
  get term(): number {
    return this.#u64(TERM);
  }
  get vote(): number {
    return this.#u32(VOTE);
  }
  /** 0: none known. */
  get leader(): number {
    return this.#u32(LEADER);
  }
  get commit(): number {
    return this.#u64(COMMIT);
  }
  get applied(): number {
    return this.#u64(APPLIED);
  }
  /** The oldest entry held; the one before it is the newest that was compacted. */
  get first(): number {
    return this.#u64(FIRST);
  }
  get last(): number {
    return this.#u64(LAST);
  }
  /** How full the log is, by entries or by bytes, whatever is nearer to its bound: 0 to 1. */
  get fill(): number {
    return this.#core.raw.raftFill(this.#at);
  }

  get status(): RaftStatus {
    return {
      role: this.role,
      term: this.term,
      vote: this.vote,
      leader: this.leader,
      commit: this.commit,
      applied: this.applied,
      first: this.first,
      last: this.last,
      saved: this.#u64(SAVED),
      dropped: this.#u32(OUTBOX_DROPPED),
      malformed: this.#u32(MALFORMED),
      violations: this.#u32(VIOLATIONS),
    };
  }

  #configAt(index: number): Uint8Array {
    const { at } = this.#scratch;
    const length = this.#core.raw.raftConfigAt(this.#at, index, at);
    return this.#core.bytes().slice(at, at + length);
  }

  #writeConfig(members: readonly RaftMember[]): number {
    const bytes = encodeMembers(members);
    this.#core.bytes().set(bytes, this.#scratch.at);
    return bytes.length;
  }

  /** Made anew when the memory has grown. */
  #view(): DataView {
    const { buffer } = this.#core.raw.memory;
    if (this.#cached.buffer !== buffer) this.#cached = new DataView(buffer);
    return this.#cached;
  }
  #u32(offset: number): number {
    return this.#view().getUint32(this.#at + offset, true);
  }
  /** Of a number below 2^53; a bigint would be an object. */
  #u64(offset: number): number {
    const view = this.#view();
    const at = this.#at + offset;
    return view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
  }
  #must(status: number): number {
    if (status >= 0) return status;
    const code = codeOfStatus(status);
    throw new TardigradeError(code, `Raft node ${this.id} cannot do that now.`);
  }
}

/** As a configuration stands in the log (assembly/consensus/raft/members.ts). Throws ARGUMENT above 16 members. */
export function encodeMembers(members: readonly RaftMember[]): Uint8Array<ArrayBuffer> {
  if (members.length > 16) throw new TardigradeError("ARGUMENT", "A cluster has at most 16 members.");
  const bytes = new Uint8Array(8 + members.length * 8);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, members.length, true);
  members.forEach(({ id, role, outgoing, leaving }, index) => {
    const own = leaving === true ? 0 : role === "learner" ? LEARNER : VOTER_IN;
    const left = leaving === true || outgoing === true ? VOTER_OUT : 0;
    view.setUint32(8 + index * 8, id, true);
    view.setUint32(12 + index * 8, own | left | (role === "witness" ? WITNESS : 0), true);
  });
  return bytes;
}

/** What encodeMembers() wrote, or what stands in a snapshot's chunk. */
export function decodeMembers(bytes: Uint8Array): RaftMember[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: view.getUint32(0, true) }, (_, index) => {
    const flags = view.getUint32(12 + index * 8, true);
    const role = flags & LEARNER ? "learner" : flags & WITNESS ? "witness" : "voter";
    const member: RaftMember = { id: view.getUint32(8 + index * 8, true), role };
    if ((flags & VOTER_OUT) === 0) return member;
    return flags & (VOTER_IN | LEARNER) ? { ...member, outgoing: true } : { ...member, leaving: true };
  });
}
