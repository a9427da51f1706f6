/**
 * Runs one Raft node: the core's machine (host/core/raft.ts), its durable log, the transport to its peers and the machine that the log is
 * applied to. Nothing here decides; it carries:
 *
 *   messages ──► step ─┐                      ┌─► log.save ── synced ──► saved
 *   proposals ─────────┼─► Raft ─► a round ───┼─► transport.send
 *   time ──► tick ─────┘                      └─► machine.apply ──► results, reads
 *
 * A round comes once a turn of the event loop, after all that came in it, so that what came together is saved by one sync and sent in
 * one message (group commit). While the disk works, a leader holds the entries that come for a millisecond at most, so that its peers get fewer
 * messages and sync them together; what is committed is told with them. Saving, sending and applying overlap: Raft holds back the messages that say what is not durable yet. Entries
 * are applied when they are committed and durable here, so that the state is never ahead of the log.
 *
 * Entries are kept until half of the log is used; then the state is made durable, and the older three quarters of what is applied go. A
 * peer that needs them is sent a snapshot.
 */
import { encodeMembers, Raft, type RaftMember } from "../../core/raft.ts";
import type { Clock, Dispose } from "../../io/seams.ts";
import type { RaftLog } from "../raft-log/raft-log.ts";
import type { PeerAddress } from "../transport/peer-transport.ts";
import { decodeBatch } from "./batch.ts";
import { LogFeeder } from "./log-feeder.ts";
import { DRIVER_DEFAULTS, type DriverStatus, type RaftDriverOptions } from "./options.ts";
import { type ProposalListener, Proposals, refusal } from "./proposals.ts";
import { ReadQueue } from "./reads.ts";
import type { ReplicatedMachine } from "./replicated-machine.ts";
import { SnapshotExchange } from "./snapshot-exchange.ts";
import { startOf } from "./start.ts";

const COMPACT_FILL = 0.5;
/** Above it the log is compacted even if a peer that is being sent a snapshot must begin anew. */
const COMPACT_ANYWAY_FILL = 0.85;
/** Of the entries that are held, the share that stays for peers that are a little behind. */
const KEEP_SHARE = 0.25;
/** That entries are committed is told to the peers with the next entries, or after so long. */
const NEWS_MS = 1;
/** A message's first byte: an answer to entries (assembly/consensus/raft/message.ts). */
const APPEND_ANSWER = 4;

export class RaftDriver<Results> {
  readonly id: number;
  readonly #raft: Raft;
  readonly #options: RaftDriverOptions<Results>;
  readonly #log: RaftLog;
  readonly #machine: ReplicatedMachine<Results>;
  readonly #clock: Clock;
  readonly #electionMs: number;
  readonly #tickMs: number;
  readonly #proposals = new Proposals<Results>();
  readonly #reads: ReadQueue;
  readonly #feeder: LogFeeder;
  readonly #snapshots: SnapshotExchange;
  readonly #leaderListeners = new Set<(leading: boolean, term: number) => void>();
  readonly #memberListeners = new Set<(members: readonly RaftMember[]) => void>();
  readonly #fatalListeners = new Set<(error: Error) => void>();
  readonly #disposers: Dispose[] = [];
  #tickAlarm: Dispose = () => undefined;
  #awake = false;
  /** Something came for which messages may be due at once. */
  #flushDue = true;
  /** Proposals are not sent yet. */
  #areHeld = false;
  /** A leader's peers could be told of commits, or sent what is held. */
  #newsDue = false;
  #newsAlarm: Dispose | undefined;
  #applying: Promise<void> | undefined;
  #compacting = false;
  #stopped = false;
  /** Term in which this node leads, as far as it was told; 0. */
  #leads = 0;

  /** Throws RAFT_STATE_LOST, or ARGUMENT for sizes and times that Raft does not take. */
  constructor(options: RaftDriverOptions<Results>) {
    const { id, core, log, machine, clock, random, transport } = options;
    const { electionMs = DRIVER_DEFAULTS.electionMs, heartbeatMs = DRIVER_DEFAULTS.heartbeatMs } =
      options.raft ?? {};
    this.id = id;
    this.#options = options;
    this.#log = log;
    this.#machine = machine;
    this.#clock = clock;
    this.#electionMs = electionMs;
    this.#tickMs = options.tickMs ?? heartbeatMs / 3;
    this.#reads = new ReadQueue(random);
    const start = startOf(log, machine, options.members);
    this.#raft = new Raft(core, { ...options.raft, id, electionMs, heartbeatMs });
    this.#raft.restore(start);
    if (start.entries.length > 0) this.#raft.restoreEntries(start.entries);
    if (start.applied > start.snapshot.index) this.#raft.restoreApplied(start.applied);
    log.releaseRecovered();
    this.#feeder = new LogFeeder(this.#raft, log);
    this.#snapshots = new SnapshotExchange({
      ...{ raft: this.#raft, machine, feeder: this.#feeder, options, electionMs },
      isStopped: () => this.#stopped,
      retried: (what, work) => this.#retried(what, work),
    });
    this.#raft.begin(clock.monotonicMs(), random.u32());
    this.#disposers.push(
      transport.onMessage((from, message) => this.#receive(from, message)),
      log.onDurable((token) => this.#durable(token)),
      log.onFatal((error) => this.#fail(error)),
    );
    this.#armTick();
    this.#wake();
  }

  /**
   * Takes a command, and tells the listener how it ended. Throws, with nothing taken: RAFT_NOT_LEADER (`context.leader`: who leads, 0 when nobody is
   * known), RAFT_LOG_FULL, RAFT_TRANSFERRING, RAFT_STOPPED, ARGUMENT for one that is longer than a message.
   */
  propose(command: Uint8Array, listener: ProposalListener<Results>): void {
    this.#mustRun();
    const raft = this.#raft;
    if (raft.role !== "leader") throw refusal("RAFT_NOT_LEADER", { leader: raft.leader });
    raft.propose(command);
    this.#proposals.add(raft.last, raft.term, listener);
    // While the disk works on those before, more may come: they are sent together when it is done.
    if (this.#feeder.isIdle) this.#wakeToSend();
    else {
      this.#areHeld = true;
      this.#wake();
    }
  }

  /**
   * Resolves when the machine's state may be read: it has everything that was acknowledged before the call, by whomever. Rejects with RAFT_NO_LEADER
   * when nobody answered for an election time, or RAFT_STOPPED: ask again.
   */
  read(): Promise<void> {
    this.#mustRun();
    const waiting = this.#reads.add(this.#clock.monotonicMs());
    this.#wakeToSend();
    return waiting;
  }

  /** Makes these the members; resolves when the change has been proposed. Throws RAFT_NOT_LEADER, RAFT_CHANGE_PENDING, RAFT_NOT_READY, RAFT_LOG_FULL, ARGUMENT. */
  change(members: readonly RaftMember[]): void {
    this.#mustRun();
    if (this.#raft.role !== "leader") throw refusal("RAFT_NOT_LEADER", { leader: this.#raft.leader });
    this.#raft.change(members);
    this.#wakeToSend();
  }

  /** Hands leadership to a voter. Throws RAFT_NOT_LEADER, RAFT_TRANSFERRING, ARGUMENT. */
  transfer(to: number): void {
    this.#mustRun();
    if (this.#raft.role !== "leader") throw refusal("RAFT_NOT_LEADER", { leader: this.#raft.leader });
    this.#raft.transfer(to);
    this.#wakeToSend();
  }

  setPeers(peers: ReadonlyMap<number, PeerAddress>): void {
    this.#options.transport.setPeers(peers);
  }

  get machine(): ReplicatedMachine<Results> {
    return this.#machine;
  }
  get status(): DriverStatus {
    const { members } = this.#raft;
    return { ...this.#raft.status, id: this.id, members, pending: this.#proposals.count };
  }
  get isLeader(): boolean {
    return !this.#stopped && this.#raft.role === "leader";
  }
  get leader(): number {
    return this.#raft.leader;
  }
  /** Term of an entry that is held, or of the one before the first; 0 for others. */
  termAt(index: number): number {
    return this.#raft.termAt(index);
  }
  get isStopped(): boolean {
    return this.#stopped;
  }

  /** This node begins to lead (in which term), or ceases to. */
  onLeading(listener: (leading: boolean, term: number) => void): Dispose {
    this.#leaderListeners.add(listener);
    return () => this.#leaderListeners.delete(listener);
  }
  /** A change of the members was applied here. */
  onMembers(listener: (members: readonly RaftMember[]) => void): Dispose {
    this.#memberListeners.add(listener);
    return () => this.#memberListeners.delete(listener);
  }
  /** The node has stopped by an error; the process should end. */
  onFatal(listener: (error: Error) => void): Dispose {
    this.#fatalListeners.add(listener);
    return () => this.#fatalListeners.delete(listener);
  }

  /** Stops taking part; resolves when nothing runs any more. Transport, log and machine are the caller's to close. */
  async stop(): Promise<void> {
    this.#end();
    await this.#applying;
    this.#raft[Symbol.dispose]();
  }

  // ---- inputs

  #receive(from: number, message: Uint8Array): void {
    if (this.#stopped) return;
    try {
      if (this.#raft.step(message, this.#clock.monotonicMs()) === "chunk") this.#snapshots.take(message);
    } catch (error) {
      // Counted by Raft; what one peer sends must not stop what the others do.
      this.#options.logger?.debug("a message of a peer was none of Raft's", { peer: from, error });
    }
    if (message[0] === APPEND_ANSWER) this.#wake();
    else this.#wakeToSend();
  }

  #armTick(): void {
    this.#tickAlarm = this.#clock.alarm(this.#tickMs, () => this.#tick());
  }

  #tick(): void {
    if (this.#stopped) return;
    const nowMs = this.#clock.monotonicMs();
    this.#raft.tick(nowMs, this.#options.random.u32());
    this.#reads.expire(nowMs - this.#electionMs, nowMs - this.#electionMs / 4);
    this.#snapshots.expire(nowMs);
    this.#armTick();
    this.#wakeToSend();
  }

  #durable(token: number): void {
    if (this.#stopped) return;
    this.#feeder.durable(token);
    if (this.#areHeld) this.#wakeToSend();
    else this.#wake();
  }

  // ---- the round

  #wakeToSend(): void {
    this.#flushDue = true;
    this.#wake();
  }

  #wake(): void {
    if (this.#awake || this.#stopped) return;
    this.#awake = true;
    queueMicrotask(() => {
      this.#awake = false;
      if (this.#stopped) return;
      try {
        this.#round();
      } catch (error) {
        this.#fail(error as Error);
      }
    });
  }

  #round(): void {
    const raft = this.#raft;
    const nowMs = this.#clock.monotonicMs();
    // Nobody else can be asked.
    if (raft.leader !== 0) this.#reads.ask(nowMs, (context) => raft.read(context, nowMs));
    if (this.#flushDue || raft.role !== "leader") this.#flush();
    else this.#flushLater();
    this.#snapshots.send(nowMs);
    this.#feeder.feed();
    raft.takeMessages(this.#send);
    for (const { context, index } of raft.takeReads()) this.#reads.answered(context, index);
    this.#reads.applied(this.#machine.appliedIndex);
    this.#watchLeadership();
    this.#applyMore();
  }

  #flush(): void {
    this.#flushDue = false;
    this.#newsDue = false;
    this.#areHeld = false;
    this.#raft.flush();
  }

  /** Each message costs a system call on either side and an answer; proposals that come meanwhile carry the news. */
  #flushLater(): void {
    this.#newsDue = true;
    this.#newsAlarm ??= this.#clock.alarm(NEWS_MS, () => {
      this.#newsAlarm = undefined;
      if (this.#newsDue) this.#wakeToSend();
    });
  }

  readonly #send = (to: number, message: Uint8Array): void => {
    this.#options.transport.send(to, message);
  };

  #watchLeadership(): void {
    const leads = this.#raft.role === "leader" ? this.#raft.term : 0;
    if (leads === this.#leads) return;
    const before = this.#leads;
    this.#leads = leads;
    if (before !== 0) {
      // Another leader may have committed them, or may yet.
      this.#proposals.failAll("RAFT_OUTCOME_UNKNOWN");
      for (const listener of this.#leaderListeners) listener(false, before);
    }
    if (leads === 0) return;
    this.#options.meter?.count("tardigrade_raft_elections_won_total");
    this.#options.logger?.info("this node leads the cluster", { node: this.id, term: leads });
    for (const listener of this.#leaderListeners) listener(true, leads);
  }

  // ---- the machine

  #applyMore(): void {
    if (this.#applying !== undefined || !this.#hasWork()) return;
    this.#applying = this.#work()
      .catch((error: unknown) => this.#fail(error as Error))
      .then(() => {
        this.#applying = undefined;
        // Work that came between the last look and now.
        if (!this.#stopped && this.#hasWork()) this.#wake();
      });
  }

  #hasWork(): boolean {
    const { hasCome, isWanted } = this.#snapshots;
    return hasCome || isWanted || this.#raft.applicable > this.#machine.appliedIndex;
  }

  /** One thing after the other: nothing else touches the machine. */
  async #work(): Promise<void> {
    while (!this.#stopped && this.#hasWork()) {
      if (this.#snapshots.hasCome) {
        if (await this.#snapshots.install()) this.#tellMembers();
      } else if (this.#snapshots.isWanted) await this.#snapshots.make();
      else await this.#applyBatch();
      this.#wake();
    }
  }

  async #applyBatch(): Promise<void> {
    const raft = this.#raft;
    const from = this.#machine.appliedIndex + 1;
    const { run } = raft.entries(from, raft.applicable);
    const { entries, hasConfiguration } = decodeBatch(run, from);
    const results = await this.#retried("apply", () => this.#machine.apply(entries));
    if (results === undefined) return;
    this.#options.onApplied?.(entries);
    if (this.#stopped) return;
    raft.setApplied(from + entries.length - 1);
    this.#proposals.applied(entries, results);
    this.#reads.applied(this.#machine.appliedIndex);
    if (hasConfiguration) this.#tellMembers();
    this.#compactWhenFull();
  }

  #tellMembers(): void {
    for (const listener of this.#memberListeners) listener(this.#raft.members);
  }

  /** Undefined when the node stopped meanwhile. */
  async #retried<T>(what: string, work: () => Promise<T>): Promise<T | undefined> {
    for (;;) {
      if (this.#stopped) return undefined;
      try {
        return await work();
      } catch (error) {
        if (this.#stopped) return undefined;
        this.#options.meter?.count("tardigrade_raft_state_failures_total", { operation: what });
        this.#options.logger?.error("the state store failed; it is tried again", { operation: what, error });
        await this.#delay(this.#options.retryMs ?? DRIVER_DEFAULTS.retryMs);
      }
    }
  }

  #delay(ms: number): Promise<void> {
    return new Promise((resolve) => this.#clock.alarm(ms, resolve, { background: true }));
  }

  // ---- compaction and snapshots

  #compactWhenFull(): void {
    if (this.#compacting || this.#raft.fill < COMPACT_FILL) return;
    this.#compacting = true;
    this.#compact()
      .catch((error: unknown) => {
        if (!this.#stopped)
          this.#options.logger?.warn("the log was not compacted; it is tried again", { error });
      })
      .finally(() => {
        this.#compacting = false;
      });
  }

  async #compact(): Promise<void> {
    const raft = this.#raft;
    const { applied } = raft;
    // Until it is done: in a log that is full nothing is applied any more that would try it again.
    await this.#retried("flush", () => this.#machine.flush());
    if (this.#stopped) return;
    const held = raft.last - raft.first + 1;
    let upTo = Math.min(applied, raft.last - Math.floor(held * KEEP_SHARE));
    const sending = this.#snapshots.sendingIndex;
    if (sending !== undefined && raft.fill < COMPACT_ANYWAY_FILL) upTo = Math.min(upTo, sending);
    if (upTo < raft.first) return;
    this.#log.compact(this.#markAt(upTo));
    raft.compact(upTo);
  }

  #markAt(index: number) {
    const configuration = encodeMembers(this.#raft.membersAt(index));
    return { index, term: this.#raft.termAt(index), configuration };
  }

  // ---- the end

  #mustRun(): void {
    if (this.#stopped) throw refusal("RAFT_STOPPED");
  }

  #fail(error: Error): void {
    if (this.#stopped) return;
    this.#options.logger?.error("the Raft node stops", { node: this.id, error });
    this.#end();
    for (const listener of this.#fatalListeners) listener(error);
  }

  #end(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#tickAlarm();
    this.#newsAlarm?.();
    for (const dispose of this.#disposers) dispose();
    this.#proposals.failAll("RAFT_STOPPED");
    this.#reads.stop();
  }
}
