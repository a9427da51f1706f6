/**
 * What stands in the log's folder, read at the start.
 *
 * Every segment is read from its beginning, batch by batch. Where a whole batch is missing, three things can
 * have happened:
 *
 *   the log ends here     nothing but zeros follows
 *   a torn tail           the power went while batches were being written; sectors persist in any order, so
 *                         whole batches may follow a damaged one. None was acknowledged: the tail is cut
 *   corruption            what is damaged had been synced. A whole batch further on proves it, since it carries
 *                         the offset that was synced when it was written; so does a next segment
 *
 * A cut zeroes the tail and syncs the zeros before anything is appended: otherwise an old sector could come
 * to light behind a new batch that happens to end where the old one begins. The sync also covers batches that
 * were whole but perhaps only in the page cache of a process that was killed: nobody may read them before
 * they are on the disk.
 */
import type { Disk, DiskFile } from "../io/seams.ts";
import {
  BATCH_HEADER_BYTES,
  baseOfName,
  corrupt,
  decodeBatchHeader,
  decodeSegmentHeader,
  isBatchWhole,
  lastNonZero,
  looksLikeBatch,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  saltOf,
  segmentName,
} from "./segment.ts";
import { SegmentWindow } from "./segment-window.ts";

const WINDOW_BYTES = 1024 * 1024;
/** A batch's start is remembered once in so many bytes. */
export const INDEX_SPACING_BYTES = 64 * 1024;

/** One segment of an open log. */
export interface Segment extends SegmentHeader {
  readonly name: string;
  /** Starts of some of its batches, ascending. */
  readonly index: number[];
  /** Position after its last batch. */
  end: number;
}

export interface Recovered {
  readonly segments: Segment[];
  /** The last segment's file, synced. */
  readonly file: DiskFile;
  readonly records: number;
  readonly tornBytes: number;
  /** Whether the last batch is one without records, so that all others are proven. */
  readonly proven: boolean;
}

interface Scan {
  readonly end: number;
  readonly index: number[];
  readonly records: number;
  readonly firstProven: number | undefined;
  /** Position below which the last batch proves everything synced. */
  readonly lastProven: number;
  readonly lastIsProof: boolean;
}

/** Reads all segments in `names`, of which there is at least one, and makes the log appendable at its end. */
export async function recover(disk: Disk, folder: string, names: readonly string[]): Promise<Recovered> {
  const segments: Segment[] = [];
  let records = 0;
  for (const [number, name] of names.entries()) {
    const file = await disk.open(`${folder}/${name}`);
    let keep = false;
    try {
      const header = await readHeader(file, name);
      mustFollow(segments.at(-1), header);
      const scan = await scanSegment(file, header);
      mustReach(segments.at(-1), scan.firstProven, header.base);
      const rest = await lastWritten(file, header, scan.end);
      records += scan.records;
      segments.push({ ...header, name, index: scan.index, end: scan.end });
      if (number < names.length - 1) {
        if (rest > scan.end) throw corrupt(name, scan.end, "a later segment exists");
        continue;
      }
      if (rest > scan.end) await mustBeTorn(file, header, { from: scan.end, to: rest });
      await writeAgain(file, scan.lastProven, scan.end);
      await cut(file, scan.end, rest);
      keep = true;
      return {
        segments,
        file,
        records,
        tornBytes: rest - scan.end,
        proven: scan.lastIsProof || scan.end === SEGMENT_HEADER_BYTES,
      };
    } finally {
      if (!keep) await file.close();
    }
  }
  throw new Error("recover() needs at least one segment");
}

/** Segment files of a folder, oldest first. */
export function segmentNames(names: readonly string[]): string[] {
  return names.filter((name) => baseOfName(name) !== undefined).sort();
}

async function readHeader(file: DiskFile, name: string): Promise<SegmentHeader> {
  const header = decodeSegmentHeader(await file.read(0, SEGMENT_HEADER_BYTES), name);
  if (header.base !== baseOfName(name)) throw corrupt(name, 0, `it belongs at offset ${header.base}`);
  if (file.sizeBytes() !== header.bytes) {
    throw corrupt(name, Math.min(file.sizeBytes(), header.bytes), `it should have ${header.bytes} bytes`);
  }
  return header;
}

function mustFollow(before: Segment | undefined, header: SegmentHeader): void {
  if (before === undefined) return;
  const expected = before.base + before.bytes;
  if (header.base !== expected) throw corrupt(segmentName(expected), 0, "the file is missing");
  if (header.logId !== before.logId) throw corrupt(segmentName(header.base), 8, "it belongs to another log");
}

/** The first batch of a segment states how far the one before it reached. */
function mustReach(before: Segment | undefined, proven: number | undefined, base: number): void {
  if (before === undefined || proven === undefined) return;
  if (proven <= base && proven > before.base + before.end)
    throw corrupt(before.name, before.end, "batches are missing");
}

async function scanSegment(file: DiskFile, header: SegmentHeader): Promise<Scan> {
  const window = new SegmentWindow(file, { windowBytes: WINDOW_BYTES, limit: header.bytes });
  const index: number[] = [];
  let position = SEGMENT_HEADER_BYTES;
  let records = 0;
  let firstProven: number | undefined;
  let lastProven = SEGMENT_HEADER_BYTES;
  let lastIsProof = false;
  for (;;) {
    const batch = await wholeBatchAt(window, header, position);
    if (batch === undefined) return { end: position, index, records, firstProven, lastProven, lastIsProof };
    if (index.length === 0 || position - (index.at(-1) as number) >= INDEX_SPACING_BYTES)
      index.push(position);
    firstProven ??= batch.proven;
    lastProven = Math.max(lastProven, batch.proven - header.base);
    lastIsProof = batch.records === 0;
    records += batch.records;
    position += BATCH_HEADER_BYTES + batch.bodyBytes;
  }
}

async function wholeBatchAt(window: SegmentWindow, segment: SegmentHeader, position: number) {
  const room = segment.bytes - position;
  if (room < BATCH_HEADER_BYTES) return undefined;
  const batch = decodeBatchHeader(await window.at(position, BATCH_HEADER_BYTES), 0, room);
  if (batch === undefined) return undefined;
  const bytes = await window.at(position, BATCH_HEADER_BYTES + batch.bodyBytes);
  return isBatchWhole(bytes, 0, batch, saltOf(segment, position)) ? batch : undefined;
}

/** Position after the last byte that is not zero, at least `from`. */
async function lastWritten(file: DiskFile, header: SegmentHeader, from: number): Promise<number> {
  let found = from;
  for (let at = from; at < header.bytes; at += WINDOW_BYTES) {
    const bytes = await file.read(at, Math.min(WINDOW_BYTES, header.bytes - at));
    const last = lastNonZero(bytes);
    if (last >= 0) found = at + last + 1;
  }
  return found;
}

/** Throws when a whole batch beyond the damage proves that what is damaged was synced. */
async function mustBeTorn(
  file: DiskFile,
  segment: SegmentHeader,
  damage: { readonly from: number; readonly to: number },
): Promise<void> {
  const window = new SegmentWindow(file, { windowBytes: WINDOW_BYTES, limit: segment.bytes });
  for (let position = damage.from + 8; position < damage.to; position += 8) {
    const bytes = await window.at(position, BATCH_HEADER_BYTES);
    if (!looksLikeBatch(bytes, 0)) continue;
    const batch = await wholeBatchAt(window, segment, position);
    if (batch !== undefined && batch.proven > segment.base + damage.from) {
      throw corrupt(segmentName(segment.base), damage.from, `the batch at ${position} proves it`);
    }
  }
}

/**
 * The last batches may stand in the page cache alone. After a failed sync Linux takes their pages for clean, so that no later sync would
 * write them (LWN, "PostgreSQL's fsync() surprise", 2018), and a process that was started again would build on what a power cut takes away.
 */
async function writeAgain(file: DiskFile, from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += WINDOW_BYTES)
    file.write(at, await file.read(at, Math.min(WINDOW_BYTES, to - at)));
}

async function cut(file: DiskFile, from: number, to: number): Promise<void> {
  for (let at = from; at < to; at += WINDOW_BYTES)
    file.write(at, new Uint8Array(Math.min(WINDOW_BYTES, to - at)));
  await file.sync();
}
