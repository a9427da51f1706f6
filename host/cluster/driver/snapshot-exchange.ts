/** Makes snapshots for peers that need one and takes over those of a leader, for a driver that lets nothing else touch the machine meanwhile. */
import type { Raft } from "../../core/raft.ts";
import type { LogFeeder } from "./log-feeder.ts";
import { DRIVER_DEFAULTS, type RaftDriverOptions } from "./options.ts";
import type { ReplicatedMachine } from "./replicated-machine.ts";
import { CHUNK_BYTES, IncomingSnapshot, OutgoingSnapshot } from "./snapshots.ts";

/** Chunks sent in a round. */
const CHUNKS_A_ROUND = 8;
/** A snapshot that was not used for so many election times is let go of. */
const KEPT_ELECTIONS = 10;
/** While a snapshot is made, other work goes on after so many bytes. */
const YIELD_BYTES = 1024 * 1024;

/** What the driver lends. */
export interface ExchangeParts {
  readonly raft: Raft;
  readonly machine: ReplicatedMachine<unknown>;
  readonly feeder: LogFeeder;
  readonly options: Pick<RaftDriverOptions<unknown>, "clock" | "logger" | "meter" | "snapshotBytesMax">;
  readonly electionMs: number;
  isStopped(): boolean;
  /** Tries until it succeeds; undefined when the node stopped. */
  retried<T>(what: string, work: () => Promise<T>): Promise<T | undefined>;
}

export class SnapshotExchange {
  readonly #parts: ExchangeParts;
  readonly #incoming: IncomingSnapshot;
  #outgoing: OutgoingSnapshot | undefined;
  #isWanted = false;

  constructor(parts: ExchangeParts) {
    this.#parts = parts;
    this.#incoming = new IncomingSnapshot(parts.options.snapshotBytesMax ?? DRIVER_DEFAULTS.snapshotBytesMax);
  }

  /** A peer waits for a snapshot that is not made yet. */
  get isWanted(): boolean {
    return this.#isWanted;
  }
  /** A leader's snapshot has come whole. */
  get hasCome(): boolean {
    return this.#incoming.isWhole;
  }
  /** The snapshot that peers are being sent; who gets it needs the entries after it. */
  get sendingIndex(): number | undefined {
    return this.#outgoing?.index;
  }

  /** Sends chunks to whom they are due. */
  send(nowMs: number): void {
    const { raft } = this.#parts;
    for (let sent = 0; sent < CHUNKS_A_ROUND; sent += 1) {
      const peer = raft.snapshotDue;
      if (peer === 0) return;
      const outgoing = this.#outgoing;
      if (outgoing === undefined || outgoing.index < raft.first - 1) {
        this.#isWanted = true;
        return;
      }
      outgoing.usedMs = nowMs;
      try {
        raft.sendSnapshot(peer, outgoing);
      } catch {
        // The outbox is full: in a later round.
        return;
      }
    }
  }

  /** Lets go of what nobody has asked for in a while. */
  expire(nowMs: number): void {
    const outgoing = this.#outgoing;
    if (outgoing !== undefined && nowMs - outgoing.usedMs > KEPT_ELECTIONS * this.#parts.electionMs)
      this.#outgoing = undefined;
  }

  async make(): Promise<void> {
    this.#isWanted = false;
    const { raft, machine, options, isStopped } = this.#parts;
    const { clock, meter } = options;
    const { appliedIndex: index, appliedTerm: term } = machine;
    if (index === 0) return;
    const members = raft.membersAt(index);
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for (const chunk of machine.snapshot(CHUNK_BYTES)) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes < YIELD_BYTES) continue;
      bytes = 0;
      await new Promise<void>((resolve) => clock.alarm(0, resolve));
      if (isStopped()) return;
    }
    this.#outgoing = new OutgoingSnapshot({ index, term, members, chunks, nowMs: clock.monotonicMs() });
    meter?.count("tardigrade_raft_snapshots_total", { direction: "made" });
  }

  /** A message that brings a chunk. */
  take(message: Uint8Array): void {
    const { raft, options } = this.#parts;
    const taken = this.#incoming.take(message);
    if (taken === undefined) {
      options.logger?.error("the leader's snapshot is larger than this node takes (snapshotBytesMax)");
      raft.snapshotRefused();
    } else raft.snapshotTaken(taken.index, taken.held);
  }

  /** Makes what has come the state of this node. True when its members may be others now. */
  async install(): Promise<boolean> {
    const { raft, machine, feeder, options, isStopped, retried } = this.#parts;
    const { mark, members, chunks } = this.#incoming.release();
    // The log may have come that far meanwhile.
    if (mark.index <= raft.commit || mark.index <= machine.appliedIndex) return false;
    try {
      await machine.restore(mark, chunks);
    } catch (error) {
      if (isStopped()) return false;
      options.logger?.error("a snapshot of the leader was not taken over; it is asked for again", { error });
      raft.snapshotRefused();
      return false;
    }
    await retried("flush", () => machine.flush());
    if (isStopped()) return false;
    // Committed from the log meanwhile: that log goes on, and the machine is where it comes to.
    if (raft.commit >= mark.index) raft.setApplied(mark.index);
    else {
      await retried("reset", async () => feeder.goOnFrom(mark));
      if (isStopped()) return false;
      raft.snapshotInstalled(mark.index, mark.term, members);
    }
    options.meter?.count("tardigrade_raft_snapshots_total", { direction: "installed" });
    return true;
  }
}
