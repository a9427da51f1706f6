/**
 * The gateway's side of the segment log: writes records, and hands them on when they are on disk, decoded as they were written,
 * so that nothing is read back or decoded twice in a running gateway.
 *
 * Memory is bounded by the log's own bound on unsynced bytes, by ENTRIES_MAX, and by `hold`: while a reader behind the log is
 * too far back, append() refuses with QUEUE_FULL and the device keeps its message.
 */
import { isTardigradeError, TardigradeError } from "../../protocols/error.ts";
import type { Clock, Dispose } from "../io/seams.ts";
import type { SegmentLog } from "../store/segment-log.ts";
import type { Stamps } from "./ports.ts";
import { encodeRecord, type LogRecord, type RecordBody } from "./record.ts";
import type { Session } from "./session.ts";

/** Records written and not yet on disk. */
export const ENTRIES_MAX = 50_000;

export interface Entry extends LogRecord {
  readonly offset: number;
  /** Of a sequenced message: whose watermark it moves. */
  readonly session: Session | undefined;
}

export class Ledger {
  readonly log: SegmentLog;
  readonly #stamps: Stamps;
  readonly #clock: Clock;
  #tail: Entry[] = [];
  readonly #listeners: ((entries: readonly Entry[]) => void)[] = [];
  readonly #stop: Dispose;
  readonly #waiting: { offset: number; resolve: () => void; reject: (error: Error) => void }[] = [];
  /** Set by a reader that is too far behind. */
  hold = false;
  /** The log refused; until its next sync it will again. */
  #refused = false;

  constructor(options: { readonly log: SegmentLog; readonly stamps: Stamps; readonly clock: Clock }) {
    this.log = options.log;
    this.#stamps = options.stamps;
    this.#clock = options.clock;
    this.#stop = this.log.onDurable((syncedOffset) => this.#durable(syncedOffset));
  }

  get pendingCount(): number {
    return this.#tail.length;
  }

  /** False while a record would be refused, or could not be acknowledged: who can stop its sender should. */
  get accepts(): boolean {
    return !this.hold && !this.#refused && this.#tail.length < ENTRIES_MAX && this.log.state === "ok";
  }

  /** The highest stamp given or taken in; after an append that of its record. */
  get lastStamp(): bigint {
    return this.#stamps.last();
  }

  /** Takes in a device's stamp, so that the record of its message is above it. False when it is too far ahead. */
  receiveStamp(stamp: bigint): boolean {
    return this.#stamps.receive(stamp);
  }

  /** Returns the offset. Throws QUEUE_FULL. `raw` is the body's message as it came. */
  append(
    body: RecordBody,
    options: { readonly device: string; readonly raw?: Uint8Array; readonly session?: Session },
  ): number {
    if (this.hold || this.#tail.length >= ENTRIES_MAX) {
      throw new TardigradeError("QUEUE_FULL", "The log's readers or its disk are behind; try again soon.");
    }
    const record: LogRecord = {
      device: options.device,
      stamp: this.#stamps.next(),
      wallMs: this.#clock.wallMs(),
      body,
    };
    const offset = this.#write(encodeRecord(record, options.raw));
    this.#tail.push({
      device: record.device,
      stamp: record.stamp,
      wallMs: record.wallMs,
      body,
      offset,
      session: options.session,
    });
    return offset;
  }

  /** Called with what a sync has covered, in the log's order. Listeners are called in the order of their coming. */
  onDurable(listener: (entries: readonly Entry[]) => void): void {
    this.#listeners.push(listener);
  }

  /** Resolves when the record at the offset is on disk and every listener has had it. */
  durable(offset: number): Promise<void> {
    if (offset < this.log.syncedEnd) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waiting.push({ offset, resolve, reject }));
  }

  close(): void {
    const closing = new TardigradeError("LINK_DOWN", "The gateway is closing.");
    for (const waiter of this.#waiting.splice(0)) waiter.reject(closing);
    this.#stop();
    this.#listeners.length = 0;
  }

  #write(payload: Uint8Array): number {
    try {
      return this.log.append(payload);
    } catch (error) {
      this.#refused = isTardigradeError(error) && error.code === "QUEUE_FULL";
      throw error;
    }
  }

  #durable(syncedOffset: number): void {
    this.#refused = false;
    const tail = this.#tail;
    let count = 0;
    while (count < tail.length && (tail[count] as Entry).offset < syncedOffset) count += 1;
    if (count === 0) return;
    const entries = count === tail.length ? tail : tail.slice(0, count);
    this.#tail = count === tail.length ? [] : tail.slice(count);
    for (const listener of this.#listeners) listener(entries);
    // In the order of their offsets, since appends are.
    while ((this.#waiting[0]?.offset ?? Number.POSITIVE_INFINITY) < syncedOffset)
      this.#waiting.shift()?.resolve();
  }
}
