/**
 * Snapshots on their way from the leader to a node whose entries are compacted already: the machine's state as a whole in memory, on both
 * sides, in chunks of a message's size. A gateway's state is small; `bytesMax` bounds it where it is not. snapshot-exchange.ts uses them.
 */
import type { RaftMember } from "../../core/raft.ts";
import { decodeMembers } from "../../core/raft.ts";
import { u32At, u53At } from "../bytes.ts";
import type { SnapshotMark } from "../raft-log/raft-log.ts";

/** Chunks as they are made; messages cut them where they are shorter. */
export const CHUNK_BYTES = 65_536;

/** The newest snapshot of a leader's machine, for whoever needs one. */
export class OutgoingSnapshot {
  readonly index: number;
  readonly term: number;
  readonly members: readonly RaftMember[];
  readonly bytes: number;
  usedMs: number;
  readonly #chunks: readonly Uint8Array[];

  constructor(parts: {
    readonly index: number;
    readonly term: number;
    readonly members: readonly RaftMember[];
    /** Of CHUNK_BYTES, the last one shorter. */
    readonly chunks: readonly Uint8Array[];
    readonly nowMs: number;
  }) {
    this.index = parts.index;
    this.term = parts.term;
    this.members = parts.members;
    this.usedMs = parts.nowMs;
    this.#chunks = parts.chunks;
    this.bytes = parts.chunks.reduce((sum, { length }) => sum + length, 0);
  }

  read(offset: number, length: number): Uint8Array {
    const chunk = this.#chunks[Math.floor(offset / CHUNK_BYTES)];
    const from = offset % CHUNK_BYTES;
    return chunk === undefined ? new Uint8Array(0) : chunk.subarray(from, from + length);
  }
}

export interface WholeSnapshot {
  readonly mark: SnapshotMark;
  readonly members: readonly RaftMember[];
  readonly chunks: readonly Uint8Array[];
}

/** Fields of a chunk's message (assembly/consensus/raft/message.ts). */
const INDEX = 24;
const LOG_TERM = 32;
const TOTAL = 40;
const OFFSET = 48;
const BODY = 64;

/** What has come of a snapshot. Raft has checked that a chunk follows what came before. */
export class IncomingSnapshot {
  readonly #bytesMax: number;
  #index = 0;
  #term = 0;
  #total = 0;
  #held = 0;
  #configuration = new Uint8Array(0);
  #chunks: Uint8Array[] = [];

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax;
  }

  /** Copies the chunk; its snapshot's index and how much of it is here. Undefined when the snapshot is too large to be taken. */
  take(message: Uint8Array): { readonly index: number; readonly held: number } | undefined {
    const [index, term] = [u53At(message, INDEX), u53At(message, LOG_TERM)];
    const [total, offset] = [u53At(message, TOTAL), u53At(message, OFFSET)];
    const bodyAt = BODY + 8 + u32At(message, BODY) * 8;
    if (total > this.#bytesMax) return undefined;
    if (offset === 0 || index !== this.#index || term !== this.#term) {
      this.clear();
      this.#index = index;
      this.#term = term;
      this.#total = total;
      this.#configuration = message.slice(BODY, bodyAt);
    }
    if (offset === this.#held) {
      this.#chunks.push(message.slice(bodyAt));
      this.#held += message.length - bodyAt;
    }
    return { index, held: this.#held };
  }

  get isWhole(): boolean {
    return this.#index > 0 && this.#held === this.#total;
  }

  /** The whole snapshot; it is let go of here. */
  release(): WholeSnapshot {
    const mark = { index: this.#index, term: this.#term, configuration: this.#configuration };
    const whole = { mark, members: decodeMembers(this.#configuration), chunks: this.#chunks };
    this.clear();
    return whole;
  }

  clear(): void {
    this.#index = 0;
    this.#held = 0;
    this.#chunks = [];
  }
}
