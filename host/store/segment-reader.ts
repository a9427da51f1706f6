/**
 * Reads records back, by offset, up to where the log is synced.
 *
 * An offset names a place in a file, but a checksum belongs to a batch: reading begins at the batch that
 * holds the offset. A reader that follows the log asks for the `next` of its last answer, and where that lies
 * is remembered; any other offset is found from the nearest start in the segment's sparse index.
 */
import { isTardigradeError, TardigradeError } from "../../protocols/error.ts";
import type { Disk, DiskFile } from "../io/seams.ts";
import { INDEX_SPACING_BYTES, type Segment } from "./recovery.ts";
import {
  BATCH_HEADER_BYTES,
  type BatchHeader,
  decodeBatchHeader,
  isBatchWhole,
  RECORD_HEADER_BYTES,
  SEGMENT_HEADER_BYTES,
  saltOf,
} from "./segment.ts";
import { SegmentWindow } from "./segment-window.ts";

/** Files of older segments kept open between reads. */
const FILES_MAX = 4;
/** Followers whose place is remembered. */
const PLACES_MAX = 64;
/** Read beyond the caller's limit, so that the batch that crosses it mostly comes along. */
const READ_AHEAD_BYTES = 4 * 1024;

export interface LogRecord {
  readonly offset: number;
  /** A view into memory that only this read's records share. */
  readonly payload: Uint8Array;
}

export interface LogPage {
  readonly records: LogRecord[];
  /** Where the next read goes on. */
  readonly next: number;
}

interface OpenFile {
  readonly file: Promise<DiskFile>;
  users: number;
  dropped: boolean;
}

interface Span {
  /** Position of a batch's start. */
  readonly batch: number;
  readonly from: number;
  /** Position behind the last synced batch. */
  readonly end: number;
}

export class SegmentReader {
  readonly #disk: Disk;
  readonly #folder: string;
  readonly #segments: readonly Segment[];
  readonly #files = new Map<number, OpenFile>();
  /** Next offset of a follower -> offset of the batch that holds it. */
  readonly #places = new Map<number, number>();

  /** `segments` is the log's own list, which it changes. */
  constructor(options: {
    readonly disk: Disk;
    readonly folder: string;
    readonly segments: readonly Segment[];
  }) {
    this.#disk = options.disk;
    this.#folder = options.folder;
    this.#segments = options.segments;
  }

  async read(from: number, limits: { readonly bytes: number; readonly syncedEnd: number }): Promise<LogPage> {
    let at = from;
    for (;;) {
      at = Math.max(at, (this.#segments[0] as Segment).base);
      const number = this.#find(at);
      const segment = this.#segments[number] as Segment;
      // The end of a full segment is also the start of the next one's header.
      at = Math.max(at, segment.base + SEGMENT_HEADER_BYTES);
      if (at >= limits.syncedEnd) return { records: [], next: at };
      const end = Math.min(segment.end, limits.syncedEnd - segment.base);
      const page =
        at - segment.base < end ? await this.#readSegment(segment, { at, end }, limits.bytes) : undefined;
      if (page !== undefined && page.records.length > 0) return page;
      if (page === undefined && segment.base < (this.#segments[0] as Segment).base) continue;
      const next = this.#segments[number + 1];
      // A segment that was left behind while we read it may hold more by now: only what was synced before
      // counts.
      if (next === undefined || limits.syncedEnd <= next.base) return { records: [], next: page?.next ?? at };
      at = Math.max(at, next.base);
    }
  }

  /** Forgets a segment that is about to be removed. Reads under way finish. */
  drop(base: number): void {
    const open = this.#files.get(base);
    if (open === undefined) return;
    this.#files.delete(base);
    open.dropped = true;
    if (open.users === 0) void this.#closeFile(open);
  }

  async close(): Promise<void> {
    for (const base of [...this.#files.keys()]) this.drop(base);
  }

  /** Number of the last segment that begins at or before the offset. */
  #find(offset: number): number {
    let low = 0;
    let high = this.#segments.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((this.#segments[middle] as Segment).base <= offset) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Undefined when the segment was removed meanwhile. */
  async #readSegment(
    segment: Segment,
    place: { readonly at: number; readonly end: number },
    limitBytes: number,
  ): Promise<LogPage | undefined> {
    const batch = this.#batchOf(segment, place.at);
    const open = this.#acquire(segment);
    try {
      const file = await open.file;
      return await this.#walk(
        file,
        segment,
        { batch, from: place.at - segment.base, end: place.end },
        limitBytes,
      );
    } catch (error) {
      const removed = isTardigradeError(error) && error.code === "NOT_FOUND";
      if (removed && segment.base < (this.#segments[0] as Segment).base) return undefined;
      throw error;
    } finally {
      open.users -= 1;
      if (open.dropped && open.users === 0) void this.#closeFile(open);
    }
  }

  async #walk(file: DiskFile, segment: Segment, span: Span, limitBytes: number): Promise<LogPage> {
    const windowBytes = limitBytes + READ_AHEAD_BYTES;
    const window = new SegmentWindow(file, { windowBytes, limit: span.end });
    const records: LogRecord[] = [];
    let taken = 0;
    let position = span.batch;
    while (position < span.end) {
      const { bytes, header } = await readBatch(window, segment, position, span.end);
      let at = BATCH_HEADER_BYTES;
      for (let number = 0; number < header.records; number += 1) {
        const length = lengthAt(bytes, at);
        const offset = segment.base + position + at;
        if (position + at >= span.from) {
          if (taken > 0 && taken + length > limitBytes) {
            this.#remember(offset, segment.base + position);
            return { records, next: offset };
          }
          records.push({
            offset,
            payload: bytes.subarray(at + RECORD_HEADER_BYTES, at + RECORD_HEADER_BYTES + length),
          });
          taken += length + RECORD_HEADER_BYTES;
        }
        at += RECORD_HEADER_BYTES + length;
      }
      position += BATCH_HEADER_BYTES + header.bodyBytes;
      if (taken >= limitBytes) break;
    }
    const next = segment.base + position;
    this.#remember(next, next);
    return { records, next };
  }

  #batchOf(segment: Segment, offset: number): number {
    const known = this.#places.get(offset);
    if (known !== undefined && known >= segment.base) {
      this.#places.delete(offset);
      return known - segment.base;
    }
    const position = offset - segment.base;
    let low = 0;
    let high = segment.index.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if ((segment.index[middle] as number) <= position) low = middle;
      else high = middle - 1;
    }
    return segment.index[low] ?? SEGMENT_HEADER_BYTES;
  }

  #remember(next: number, batch: number): void {
    if (this.#places.size >= PLACES_MAX) {
      for (const oldest of this.#places.keys()) {
        this.#places.delete(oldest);
        break;
      }
    }
    this.#places.set(next, batch);
  }

  #acquire(segment: Segment): OpenFile {
    let open = this.#files.get(segment.base);
    if (open === undefined) {
      open = { file: this.#disk.open(`${this.#folder}/${segment.name}`), users: 0, dropped: false };
      open.file.catch(() => this.#files.delete(segment.base));
      for (const [base, other] of this.#files) {
        if (this.#files.size < FILES_MAX) break;
        if (other.users === 0) this.drop(base);
      }
    } else {
      this.#files.delete(segment.base);
    }
    this.#files.set(segment.base, open);
    open.users += 1;
    return open;
  }

  async #closeFile(open: OpenFile): Promise<void> {
    const file = await open.file.catch(() => undefined);
    await file?.close();
  }
}

/** Notes a batch's start in the sparse index, when it is far enough from the last one. */
export function noteBatch(segment: Segment, position: number): void {
  const last = segment.index.at(-1);
  if (last === undefined || position - last >= INDEX_SPACING_BYTES) segment.index.push(position);
}

async function readBatch(
  window: SegmentWindow,
  segment: Segment,
  position: number,
  end: number,
): Promise<{ bytes: Uint8Array; header: BatchHeader }> {
  const header = decodeBatchHeader(await window.at(position, BATCH_HEADER_BYTES), 0, end - position);
  if (header !== undefined) {
    const bytes = await window.at(position, BATCH_HEADER_BYTES + header.bodyBytes);
    if (isBatchWhole(bytes, 0, header, saltOf(segment, position))) return { bytes, header };
  }
  throw new TardigradeError(
    "LOG_CORRUPT",
    `Segment ${segment.name} cannot be read at offset ${position}: the batch there is damaged since the start. ` +
      "Stop the gateway, check the disk, and restore the data folder from a backup.",
    { context: { component: "log", operation: "read", segment: segment.name, offset: position } },
  );
}

function lengthAt(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)) >>>
    0
  );
}
