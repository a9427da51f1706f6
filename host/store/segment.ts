/**
 * The bytes of a segment file.
 *
 *   0        32                                                             segmentBytes
 *   | header | batch | batch | ... | zeros                                  |
 *
 * All numbers are little-endian.
 *
 *   header   0 magic u32    4 format u32   8 log id u32       12 segment bytes u32   16 base offset u64
 *            24 zero u32    28 crc u32
 *   batch    0 magic u32    4 crc u32      8 body bytes u32   12 records u32   16 proven offset u64   24 body
 *   body     for each record: length u32, payload; then zeros up to a multiple of eight
 *
 * A record's offset is the segment's base offset plus its position in the file, and the next segment's base
 * follows this one's last byte. So an offset names a file and a place in it, and needs no index to be found.
 *
 * A batch's checksum begins at a salt made of log id, base and position: a batch that stands in another
 * place, or belongs to another log, is not a batch. The proven offset is how far the log was known synced
 * when the batch was written, so a whole batch proves that everything below once was on the disk. A batch
 * without records carries nothing but that proof.
 */
import { crc32 } from "../../protocols/crc.ts";
import { TardigradeError } from "../../protocols/error.ts";

export const SEGMENT_FORMAT = 1;
export const SEGMENT_HEADER_BYTES = 32;
export const BATCH_HEADER_BYTES = 24;
export const RECORD_HEADER_BYTES = 4;
export const SEGMENT_BYTES_MIN = 512;
export const SEGMENT_BYTES_MAX = 1024 * 1024 * 1024;

const SEGMENT_MAGIC = 0x4745_5354;
const BATCH_MAGIC = 0x5442_5354;
const NAME = /^(\d{16})\.segment$/;

export interface SegmentHeader {
  readonly logId: number;
  readonly bytes: number;
  /** Offset of the file's first byte. */
  readonly base: number;
}

export interface BatchHeader {
  /** With padding, without the header. */
  readonly bodyBytes: number;
  readonly records: number;
  readonly proven: number;
}

export function segmentName(base: number): string {
  return `${String(base).padStart(16, "0")}.segment`;
}

/** The base offset in a segment's name; undefined for another file. */
export function baseOfName(name: string): number | undefined {
  const match = NAME.exec(name);
  return match === null ? undefined : Number(match[1]);
}

export function encodeSegmentHeader(header: SegmentHeader): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, SEGMENT_MAGIC, true);
  view.setUint32(4, SEGMENT_FORMAT, true);
  view.setUint32(8, header.logId, true);
  view.setUint32(12, header.bytes, true);
  setOffset(view, 16, header.base);
  view.setUint32(28, crc32(bytes.subarray(0, 28)), true);
  return bytes;
}

/** Reads a header; throws LOG_CORRUPT, or FORMAT_VERSION for a whole header of another format. */
export function decodeSegmentHeader(bytes: Uint8Array, name: string): SegmentHeader {
  if (bytes.length < SEGMENT_HEADER_BYTES) throw corrupt(name, 0, "its header is cut off");
  const view = viewOf(bytes);
  if (view.getUint32(0, true) !== SEGMENT_MAGIC) throw corrupt(name, 0, "it does not begin like a segment");
  if (view.getUint32(28, true) !== crc32(bytes.subarray(0, 28)))
    throw corrupt(name, 0, "its header is damaged");
  const format = view.getUint32(4, true);
  if (format !== SEGMENT_FORMAT) {
    throw new TardigradeError(
      "FORMAT_VERSION",
      `Segment ${name} has format ${format}, this version reads ${SEGMENT_FORMAT}; ` +
        "start the version that wrote it, or restore a backup.",
      { context: { component: "log", segment: name, format } },
    );
  }
  return { logId: view.getUint32(8, true), bytes: view.getUint32(12, true), base: getOffset(view, 16) };
}

/** Fills in the header of a batch whose body is in place. `bytes` is the whole batch, padding zeroed. */
export function sealBatch(
  bytes: Uint8Array,
  batch: { readonly records: number; readonly proven: number; readonly salt: number },
): void {
  const view = viewOf(bytes);
  view.setUint32(0, BATCH_MAGIC, true);
  view.setUint32(8, bytes.length - BATCH_HEADER_BYTES, true);
  view.setUint32(12, batch.records, true);
  setOffset(view, 16, batch.proven);
  view.setUint32(4, crc32(bytes.subarray(8), batch.salt), true);
}

/** True where a batch may begin. Cheap, for searching; says nothing about the checksum. */
export function looksLikeBatch(bytes: Uint8Array, at: number): boolean {
  return (
    bytes[at] === (BATCH_MAGIC & 0xff) &&
    bytes[at + 1] === ((BATCH_MAGIC >>> 8) & 0xff) &&
    bytes[at + 2] === ((BATCH_MAGIC >>> 16) & 0xff) &&
    bytes[at + 3] === BATCH_MAGIC >>> 24
  );
}

/**
 * The header at `at`, when it is plausible for a batch of at most `roomBytes`. The checksum is not looked at.
 */
export function decodeBatchHeader(bytes: Uint8Array, at: number, roomBytes: number): BatchHeader | undefined {
  if (at + BATCH_HEADER_BYTES > bytes.length || !looksLikeBatch(bytes, at)) return undefined;
  const view = viewOf(bytes);
  const bodyBytes = view.getUint32(at + 8, true);
  const records = view.getUint32(at + 12, true);
  if (bodyBytes % 8 !== 0 || bodyBytes + BATCH_HEADER_BYTES > roomBytes) return undefined;
  if (records * RECORD_HEADER_BYTES > bodyBytes || (records === 0) !== (bodyBytes === 0)) return undefined;
  return { bodyBytes, records, proven: getOffset(view, at + 16) };
}

/** Whether the whole batch at `at` has the checksum that it states. */
export function isBatchWhole(bytes: Uint8Array, at: number, header: BatchHeader, salt: number): boolean {
  const end = at + BATCH_HEADER_BYTES + header.bodyBytes;
  if (end > bytes.length) return false;
  return viewOf(bytes).getUint32(at + 4, true) === crc32(bytes.subarray(at + 8, end), salt);
}

const saltBytes = new Uint8Array(16);
const saltView = new DataView(saltBytes.buffer);

/** What a batch's checksum begins with, at this place of this log. */
export function saltOf(segment: { readonly logId: number; readonly base: number }, position: number): number {
  saltView.setUint32(0, segment.logId, true);
  setOffset(saltView, 4, segment.base);
  saltView.setUint32(12, position, true);
  return crc32(saltBytes);
}

export function padded(bytes: number): number {
  return (bytes + 7) & ~7;
}

/** Position of the last byte that is not zero, or -1. */
export function lastNonZero(bytes: Uint8Array): number {
  let at = bytes.length - 1;
  while (at >= 0 && bytes[at] === 0) at -= 1;
  return at;
}

export function corrupt(segment: string, position: number, what: string): TardigradeError {
  return new TardigradeError(
    "LOG_CORRUPT",
    `Segment ${segment} is damaged at offset ${position}, below what was synced: ${what}. ` +
      "Stop the gateway, check the disk, and restore the data folder from a backup.",
    { context: { component: "log", segment, offset: position } },
  );
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Offsets stay below 2^53, so two words hold them without a bigint. */
function setOffset(view: DataView, at: number, offset: number): void {
  view.setUint32(at, offset % 2 ** 32, true);
  view.setUint32(at + 4, Math.floor(offset / 2 ** 32), true);
}

function getOffset(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true);
}
