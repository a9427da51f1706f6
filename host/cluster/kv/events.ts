/**
 * What the commands of a batch changed, in the order of their revisions, and the last batches' changes for watchers that come late. A put's
 * record is built here and given to the store from here, so that it is made once; a batch's buffer is as large as its commands, which are
 * larger than the records that come from them.
 */
import { u53At } from "../bytes.ts";
import { RECORD_BYTES } from "./layout.ts";

/** A change of one key. Each has a revision of its own. */
export type KvEvent =
  | {
      readonly type: "put";
      readonly key: string;
      /** Shared by all watchers; not to be written to. */
      readonly value: Uint8Array;
      readonly createRevision: number;
      /** The modification revision. */
      readonly revision: number;
      readonly version: number;
      readonly lease: number;
    }
  | { readonly type: "delete"; readonly key: string; readonly revision: number };

const DELETED = -1;

export class BatchEvents {
  bytes: Uint8Array;
  readonly #keys: string[] = [];
  readonly #revisions: number[] = [];
  /** Where a put's record begins, or DELETED; it ends where #ends says. */
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];
  #used = 0;

  constructor(bytesMax: number) {
    this.bytes = new Uint8Array(bytesMax);
  }

  get count(): number {
    return this.#keys.length;
  }
  get lastRevision(): number {
    return this.#revisions.at(-1) ?? 0;
  }

  /** Room for a put's record in `bytes`; what it holds is written by the caller. */
  put(key: string, revision: number, recordBytes: number): number {
    const at = this.#used;
    this.#used += recordBytes;
    this.#push(key, revision);
    this.#starts.push(at);
    this.#ends.push(this.#used);
    return at;
  }
  delete(key: string, revision: number): void {
    this.#push(key, revision);
    this.#starts.push(DELETED);
    this.#ends.push(DELETED);
  }
  #push(key: string, revision: number): void {
    this.#keys.push(key);
    this.#revisions.push(revision);
  }

  key(index: number): string {
    return this.#keys[index] as string;
  }
  revision(index: number): number {
    return this.#revisions[index] as number;
  }
  event(index: number): KvEvent {
    const key = this.key(index);
    const revision = this.revision(index);
    const start = this.#starts[index] as number;
    if (start === DELETED) return { type: "delete", key, revision };
    const { bytes } = this;
    return {
      type: "put",
      key,
      // A copy, because a queue must not hold its batch's whole buffer.
      value: bytes.slice(start + RECORD_BYTES, this.#ends[index]),
      createRevision: u53At(bytes, start),
      revision,
      version: u53At(bytes, start + 16),
      lease: u53At(bytes, start + 24),
    };
  }

  /** Gives room back that was not needed, before the batch is kept. */
  trim(): void {
    if (this.#used * 2 < this.bytes.length) this.bytes = this.bytes.slice(0, this.#used);
  }
}

/** The last batches, whole; the oldest make room when there are more events or bytes than allowed. The newest always stays. */
export class EventHistory {
  readonly #eventsMax: number;
  readonly #bytesMax: number;
  #batches: BatchEvents[] = [];
  #first = 0;
  #events = 0;
  #bytes = 0;
  /** Every event from this revision on is here. */
  #oldestRevision: number;

  constructor(options: { readonly eventsMax: number; readonly bytesMax: number; readonly revision: number }) {
    this.#eventsMax = options.eventsMax;
    this.#bytesMax = options.bytesMax;
    this.#oldestRevision = options.revision + 1;
  }

  get oldestRevision(): number {
    return this.#oldestRevision;
  }

  push(batch: BatchEvents): void {
    batch.trim();
    this.#batches.push(batch);
    this.#events += batch.count;
    this.#bytes += batch.bytes.length;
    while (this.#first < this.#batches.length - 1 && this.#isFull()) this.#drop();
    // The array's dead front is cut now and then, so that dropping costs the same however many there are.
    if (this.#first * 2 > this.#batches.length) {
      this.#batches = this.#batches.slice(this.#first);
      this.#first = 0;
    }
  }

  /** The events of all batches that reach that revision, in order; the first ones may come before it. */
  *since(revision: number): Generator<readonly [batch: BatchEvents, index: number]> {
    for (let at = this.#first; at < this.#batches.length; at += 1) {
      const batch = this.#batches[at] as BatchEvents;
      if (batch.lastRevision < revision) continue;
      for (let index = 0; index < batch.count; index += 1) yield [batch, index];
    }
  }

  #isFull(): boolean {
    return this.#events > this.#eventsMax || this.#bytes > this.#bytesMax;
  }

  #drop(): void {
    const batch = this.#batches[this.#first] as BatchEvents;
    this.#first += 1;
    this.#events -= batch.count;
    this.#bytes -= batch.bytes.length;
    this.#oldestRevision = batch.lastRevision + 1;
  }
}
