/**
 * The writing side of the segment log. A record is durable when onDurable() has
 * said so, and nothing is acknowledged to a device before.
 *
 * append() copies a record into the batch that is being filled and returns its offset. One commit runs at a
 * time: it writes what is filled, syncs, and tells; records that come meanwhile fill the next batch. So the
 * disk's latency sets the size of a batch and not the rate of records (group commit; DeWitt et al.,
 * "Implementation Techniques for Main Memory Database Systems", 1984). segment.ts draws the files,
 * recovery.ts says what a start makes of them.
 *
 * Where it ends: a full disk stops commits, and with them acknowledgements, until there is room; a failed
 * sync is fatal, because nobody can know what of the file is on the disk. Reading goes on in both.
 */
import { isTardigradeError, TardigradeError } from "../../protocols/error.ts";
import type { DiskFile, Dispose } from "../io/seams.ts";
import { Batch, BatchBuffers, type BatchPlace } from "./batch.ts";
import { Listeners, OffsetWaiters } from "./log-listeners.ts";
import type { Recovered, Segment } from "./recovery.ts";
import { RoomWaiter } from "./room-waiter.ts";
import {
  BATCH_HEADER_BYTES,
  padded,
  RECORD_HEADER_BYTES,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  saltOf,
  sealBatch,
  segmentName,
} from "./segment.ts";
import {
  LOG_DEFAULTS,
  type LogState,
  type OpenReport,
  type SegmentLog,
  type SegmentLogOptions,
} from "./segment-log-types.ts";
import { type LogPage, noteBatch, SegmentReader } from "./segment-reader.ts";
import { SpareSegment } from "./spare-segment.ts";

export class LogWriter implements SegmentLog {
  readonly openReport: OpenReport;
  readonly #options: SegmentLogOptions;
  readonly #lock: { release(): Promise<void> };
  readonly #segments: Segment[];
  readonly #reader: SegmentReader;
  readonly #spare: SpareSegment;
  readonly #room: RoomWaiter;
  readonly #buffers: BatchBuffers;
  readonly #segmentBytes: number;
  readonly #recordBytesMax: number;
  readonly #pendingBytesMax: number;
  readonly #durable = new Listeners<number>();
  readonly #states = new Listeners<LogState>();
  readonly #fatal = new Listeners<Error>();
  readonly #waiters = new OffsetWaiters();

  /** The current segment's file, which the last one of #segments describes. */
  #file: DiskFile;
  #syncedEnd: number;
  /** Where the next batch begins: base and size of its segment, position in it. */
  #tail: { base: number; bytes: number; position: number };
  /** Filled batches, oldest first, and the one being filled. */
  #filled: Batch[] = [];
  #open: Batch | undefined;
  #pendingBytes = 0;
  #state: LogState = "ok";
  #needsSpare = false;
  /** Whether all batches are proven by a later one. */
  #proven: boolean;
  #proofWanted = false;
  #proofAlarm: Dispose = () => undefined;
  #committing: Promise<void> | undefined;
  #removing: Promise<void> = Promise.resolve();
  #failure: Error | undefined;
  #closing: Promise<void> | undefined;

  constructor(options: SegmentLogOptions, recovered: Recovered, lock: { release(): Promise<void> }) {
    const { disk, folder, clock } = options;
    const last = recovered.segments.at(-1) as Segment;
    this.#options = options;
    this.#lock = lock;
    this.#segments = recovered.segments;
    this.#file = recovered.file;
    this.#proven = recovered.proven;
    this.#segmentBytes = options.segmentBytes ?? LOG_DEFAULTS.segmentBytes;
    this.#recordBytesMax = Math.min(
      options.recordBytesMax ?? Number.POSITIVE_INFINITY,
      recordRoom(this.#segmentBytes),
    );
    this.#pendingBytesMax = options.pendingBytesMax ?? LOG_DEFAULTS.pendingBytesMax;
    this.#tail = { base: last.base, bytes: last.bytes, position: last.end };
    this.#syncedEnd = last.base + last.end;
    this.#buffers = new BatchBuffers(
      Math.min(options.batchBytesMax ?? LOG_DEFAULTS.batchBytesMax, this.#segmentBytes),
    );
    this.#reader = new SegmentReader({ disk, folder, segments: this.#segments });
    const retryMs = options.fullRetryMs ?? LOG_DEFAULTS.fullRetryMs;
    this.#room = new RoomWaiter({ clock, retryMs, onChange: () => this.#updateState() });
    this.#spare = new SpareSegment({
      disk,
      folder,
      room: this.#room,
      onFailure: (error) => this.#onSpareFailure(error),
    });
    this.openReport = {
      segments: recovered.segments.length,
      records: recovered.records,
      tornBytes: recovered.tornBytes,
    };
    this.#armProof();
  }

  get start(): number {
    return (this.#segments[0] as Segment).base;
  }
  get syncedEnd(): number {
    return this.#syncedEnd;
  }
  get end(): number {
    return this.#open?.next ?? this.#tail.base + this.#tail.position;
  }
  get state(): LogState {
    return this.#state;
  }
  get pendingBytes(): number {
    return this.#pendingBytes;
  }
  get recordBytesMax(): number {
    return this.#recordBytesMax;
  }
  get pendingBytesMax(): number {
    return this.#pendingBytesMax;
  }

  append(payload: Uint8Array): number {
    const bytes = payload.length;
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closing !== undefined)
      throw new TardigradeError("DISK_IO", "The log is closed; open it again to append.");
    if (bytes > this.#recordBytesMax) {
      throw new TardigradeError(
        "RECORD_OVERSIZE",
        `A record of ${bytes} bytes is above the log's ${this.#recordBytesMax}; split it.`,
      );
    }
    const takes = bytes + RECORD_HEADER_BYTES;
    if (this.#pendingBytes + takes > this.#pendingBytesMax) {
      throw new TardigradeError(
        "QUEUE_FULL",
        "The log has too much waiting for the disk; try again when some of it is synced.",
      );
    }
    let batch = this.#open;
    if (batch === undefined || !batch.fits(bytes)) batch = this.#begin(bytes);
    const offset = batch.append(payload);
    this.#pendingBytes += takes;
    if (this.#committing === undefined) this.#startCommit();
    return offset;
  }

  onDurable(listener: (syncedEnd: number) => void): Dispose {
    return this.#durable.add(listener);
  }
  onState(listener: (state: LogState) => void): Dispose {
    return this.#states.add(listener);
  }
  onFatal(listener: (error: Error) => void): Dispose {
    return this.#fatal.add(listener);
  }

  async durable(offset: number): Promise<void> {
    if (offset < this.#syncedEnd) return;
    if (this.#failure !== undefined) throw this.#failure;
    if (offset >= this.end) throw new RangeError(`no record has offset ${offset}`);
    await this.#waiters.wait(offset);
  }

  read(from: number, limitBytes: number): Promise<LogPage> {
    return this.#reader.read(from, { bytes: limitBytes, syncedEnd: this.#syncedEnd });
  }

  removeBefore(offset: number): Promise<void> {
    const work = this.#removing.then(() => this.#remove(offset));
    this.#removing = work.catch(() => undefined);
    return work;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  /** Closes the batch being filled and begins one with room for a record of `bytes`. */
  #begin(bytes: number): Batch {
    this.#closeBatch();
    const batchBytes = BATCH_HEADER_BYTES + padded(RECORD_HEADER_BYTES + bytes);
    let roomBytes = batchRoom(this.#tail);
    if (batchBytes > roomBytes) {
      this.#tail = {
        base: this.#tail.base + this.#tail.bytes,
        bytes: this.#segmentBytes,
        position: SEGMENT_HEADER_BYTES,
      };
      roomBytes = batchRoom(this.#tail);
    }
    const place: BatchPlace = { base: this.#tail.base, position: this.#tail.position, roomBytes };
    const batch = new Batch(place, this.#buffers.take(batchBytes));
    this.#open = batch;
    return batch;
  }

  #closeBatch(): void {
    const batch = this.#open;
    if (batch === undefined) return;
    this.#open = undefined;
    this.#filled.push(batch);
    this.#tail = { ...this.#tail, position: batch.position + batch.sizeBytes };
  }

  #startCommit(): void {
    this.#proofAlarm();
    // A microtask later, so that what one turn of the event loop appends goes into one batch.
    this.#committing = Promise.resolve()
      .then(() => this.#commit())
      .catch((error: unknown) => this.#fail(error))
      .then(() => {
        this.#committing = undefined;
        // An append may have come after the loop's last look and before this.
        if (this.#open !== undefined && this.#failure === undefined) this.#startCommit();
        else this.#armProof();
      });
  }

  async #commit(): Promise<void> {
    while (this.#failure === undefined) {
      this.#closeBatch();
      if (this.#filled.length > 0) await this.#commitFilled();
      else if (this.#proofWanted && !this.#proven) await this.#commitProof();
      else return;
    }
  }

  /** Writes the filled batches that belong to one segment, syncs once and tells. */
  async #commitFilled(): Promise<void> {
    const first = this.#filled[0] as Batch;
    if (first.base !== this.#current.base) await this.#rotate();
    const segment = this.#current;
    let count = 0;
    let bodyBytes = 0;
    let records = 0;
    for (const batch of this.#filled) {
      if (batch.base !== segment.base) break;
      await this.#write(batch.position, batch.seal(segment, this.#syncedEnd));
      count += 1;
      bodyBytes += batch.bodyBytes;
      records += batch.records;
    }
    await this.#sync();
    const done = this.#filled.splice(0, count);
    for (const batch of done) {
      noteBatch(segment, batch.position);
      segment.end = batch.position + batch.sizeBytes;
      this.#buffers.give(batch.buffer);
    }
    this.#pendingBytes -= bodyBytes;
    this.#proven = false;
    this.#options.meter?.count("log_batches", {}, count);
    this.#options.meter?.count("log_records", {}, records);
    this.#options.meter?.count("log_bytes", {}, bodyBytes);
    this.#advance(segment.base + segment.end);
    if (segment.end > segment.bytes / 2) this.#spare.prepare(this.#nextHeader());
  }

  /** An empty batch, for which every segment keeps room at its end. */
  async #commitProof(): Promise<void> {
    this.#proofWanted = false;
    const segment = this.#current;
    const position = segment.end;
    if (this.#tail.base !== segment.base || position + BATCH_HEADER_BYTES > segment.bytes) return;
    this.#tail = { ...this.#tail, position: position + BATCH_HEADER_BYTES };
    const bytes = new Uint8Array(BATCH_HEADER_BYTES);
    sealBatch(bytes, { records: 0, proven: this.#syncedEnd, salt: saltOf(segment, position) });
    await this.#write(position, bytes);
    await this.#sync();
    segment.end = position + BATCH_HEADER_BYTES;
    this.#proven = true;
    this.#advance(segment.base + segment.end);
  }

  async #rotate(): Promise<void> {
    const header = this.#nextHeader();
    this.#needsSpare = true;
    this.#updateState();
    const file = await this.#spare.take(header);
    this.#needsSpare = false;
    this.#updateState();
    const { disk, folder } = this.#options;
    const name = segmentName(header.base);
    await disk.rename(this.#spare.path, `${folder}/${name}`);
    await disk.syncFolder(folder);
    await this.#file.close();
    this.#file = file;
    this.#segments.push({ ...header, name, index: [], end: SEGMENT_HEADER_BYTES });
  }

  async #write(position: number, bytes: Uint8Array): Promise<void> {
    for (;;) {
      try {
        this.#file.write(position, bytes);
        this.#room.done("commit");
        return;
      } catch (error) {
        if (!isDiskFull(error)) throw error;
        await this.#room.wait("commit", error);
      }
    }
  }

  async #sync(): Promise<void> {
    const { clock, meter } = this.#options;
    const beganMs = meter === undefined ? 0 : clock.monotonicMs();
    await this.#file.sync();
    meter?.duration("log_sync", clock.monotonicMs() - beganMs);
  }

  #advance(syncedEnd: number): void {
    this.#syncedEnd = syncedEnd;
    this.#waiters.reached(syncedEnd);
    this.#durable.tell(syncedEnd);
  }

  async #remove(offset: number): Promise<void> {
    const { disk, folder } = this.#options;
    for (;;) {
      const oldest = this.#segments[0] as Segment;
      if (this.#segments.length < 2 || oldest.base + oldest.bytes > Math.min(offset, this.#syncedEnd)) return;
      this.#segments.shift();
      this.#reader.drop(oldest.base);
      try {
        await disk.remove(`${folder}/${oldest.name}`);
        // One by one: were two removals to persist out of order, the log would have a hole.
        await disk.syncFolder(folder);
      } catch (error) {
        if (isTardigradeError(error) && error.code !== "DISK_SYNC") this.#segments.unshift(oldest);
        else this.#fail(error);
        throw error;
      }
    }
  }

  async #close(): Promise<void> {
    this.#proofAlarm();
    this.#room.close();
    while (this.#committing !== undefined) await this.#committing;
    if (this.#failure === undefined && !this.#proven) {
      this.#proofWanted = true;
      this.#startCommit();
      await this.#committing;
    }
    this.#proofAlarm();
    this.#waiters.rejectAll(
      new TardigradeError("DISK_IO", "The log was closed before the record was durable."),
    );
    await this.#removing;
    await this.#spare.close();
    await this.#reader.close();
    await this.#file.close();
    await this.#lock.release();
  }

  /** A full disk at closing time ends the commits but is no failure of the log. */
  #fail(cause: unknown): void {
    if (this.#failure !== undefined) return;
    const error = cause instanceof Error ? cause : new Error(String(cause));
    this.#failure = error;
    this.#waiters.rejectAll(error);
    if (isDiskFull(error)) return;
    this.#options.logger?.error("the log ended; restart the process", { error: error.message });
    this.#fatal.tell(error);
  }

  #onSpareFailure(error: unknown): void {
    if (!isDiskFull(error) && this.#closing === undefined) this.#fail(error);
  }

  #armProof(): void {
    if (this.#proven || this.#failure !== undefined || this.#closing !== undefined) return;
    const idleMs = this.#options.proofIdleMs ?? LOG_DEFAULTS.proofIdleMs;
    const prove = (): void => {
      this.#proofWanted = true;
      if (this.#committing === undefined) this.#startCommit();
    };
    this.#proofAlarm = this.#options.clock.alarm(idleMs, prove, { background: true });
  }

  #updateState(): void {
    const full = this.#room.isWaiting("commit") || (this.#needsSpare && this.#room.isWaiting("spare"));
    const state: LogState = full ? "full" : "ok";
    if (state === this.#state) return;
    this.#state = state;
    this.#options.meter?.gauge("log_full", full ? 1 : 0);
    if (full) this.#options.logger?.error("the disk is full: nothing is acknowledged until there is room");
    this.#states.tell(state);
  }

  get #current(): Segment {
    return this.#segments.at(-1) as Segment;
  }

  #nextHeader(): SegmentHeader {
    const { base, bytes, logId } = this.#current;
    return { base: base + bytes, bytes: this.#segmentBytes, logId };
  }
}

/** What a batch may take: the end of a segment is kept for a proof. */
function batchRoom(tail: { readonly bytes: number; readonly position: number }): number {
  return tail.bytes - BATCH_HEADER_BYTES - tail.position;
}

function recordRoom(segmentBytes: number): number {
  return segmentBytes - SEGMENT_HEADER_BYTES - 2 * BATCH_HEADER_BYTES - RECORD_HEADER_BYTES - 8;
}

function isDiskFull(error: unknown): boolean {
  return isTardigradeError(error) && error.code === "DISK_FULL";
}
