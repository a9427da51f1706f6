/**
 * A histogram on its way to another machine: the buckets in use, as gaps and counts. What comes in is checked throughout, so that no histogram exists
 * whose total, extremes and buckets disagree.
 *
 *   version u8 (1)   bits u8   lowest u32   highest u32   sum u64   then for each bucket in use: gap varint, count varint
 *   little-endian; varints of 7 bits a byte, the lowest first; gap: empty buckets since the last one in use
 */
import { argument } from "./struct.ts";

const VERSION = 1;
const HEADER_BYTES = 18;
const STRUCT_HEADER_BYTES = 32;
const BITS_MAX = 10;
const U32_MAX = 0xffff_ffff;
const VARINT_BYTES_MAX = 5;

/** Of the struct that assembly/stats/histogram.ts draws. */
export function encodeHistogram(struct: Uint8Array): Uint8Array<ArrayBuffer> {
  const view = new DataView(struct.buffer, struct.byteOffset, struct.byteLength);
  const buckets = view.getUint32(4, true);
  const bytes: number[] = [];
  let gap = 0;
  for (let bucket = 0; bucket < buckets; bucket += 1) {
    const count = view.getUint32(STRUCT_HEADER_BYTES + bucket * 4, true);
    if (count === 0) gap += 1;
    else {
      pushVarint(bytes, gap);
      pushVarint(bytes, count);
      gap = 0;
    }
  }
  const out = new Uint8Array(HEADER_BYTES + bytes.length);
  const head = new DataView(out.buffer);
  head.setUint8(0, VERSION);
  head.setUint8(1, view.getUint32(0, true));
  head.setUint32(2, view.getUint32(24, true), true);
  head.setUint32(6, view.getUint32(28, true), true);
  head.setBigUint64(10, view.getBigUint64(16, true), true);
  out.set(bytes, HEADER_BYTES);
  return out;
}

export interface DecodedHistogram {
  readonly bits: number;
  readonly struct: Uint8Array<ArrayBuffer>;
}

/** Throws ARGUMENT. */
export function decodeHistogram(bytes: Uint8Array): DecodedHistogram {
  const { bits, lowest, highest, sum, count, buckets, counts } = readHistogram(bytes);
  const bucketCount = (33 - bits) << bits;
  const struct = new Uint8Array(STRUCT_HEADER_BYTES + bucketCount * 4);
  const view = new DataView(struct.buffer);
  view.setUint32(0, bits, true);
  view.setUint32(4, bucketCount, true);
  view.setBigUint64(8, BigInt(count), true);
  view.setBigUint64(16, sum, true);
  view.setUint32(24, lowest, true);
  view.setUint32(28, highest, true);
  for (const [index, bucket] of buckets.entries()) {
    view.setUint32(STRUCT_HEADER_BYTES + bucket * 4, counts[index] as number, true);
  }
  return { bits, struct };
}

/** What the bytes say: the buckets in use, ascending, and how many values each has. */
export interface HistogramParts {
  readonly bits: number;
  /** 2^32 - 1 when there is no value. */
  readonly lowest: number;
  readonly highest: number;
  readonly sum: bigint;
  readonly count: number;
  readonly buckets: readonly number[];
  readonly counts: readonly number[];
}

/** Throws ARGUMENT for bytes that no histogram gives. */
export function readHistogram(bytes: Uint8Array): HistogramParts {
  if (bytes.length < HEADER_BYTES) throw wrong("they end before its header");
  const head = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (head.getUint8(0) !== VERSION) throw wrong("they are of another version");
  const bits = head.getUint8(1);
  if (bits === 0 || bits > BITS_MAX) throw wrong("its precision is not 1 to 10 bits");
  const [lowest, highest] = [head.getUint32(2, true), head.getUint32(6, true)];
  const sum = head.getBigUint64(10, true);
  const bucketCount = (33 - bits) << bits;
  const buckets: number[] = [];
  const counts: number[] = [];
  let [total, least, most] = [0, 0n, 0n];
  let [first, last] = [-1, -1];
  const reader = { bytes, offset: HEADER_BYTES };
  while (reader.offset < bytes.length) {
    const bucket = last + 1 + readVarint(reader);
    const count = readVarint(reader);
    if (bucket >= bucketCount || count === 0) throw wrong("a bucket is beyond its last, or empty");
    buckets.push(bucket);
    counts.push(count);
    const [low, high] = rangeOf(bits, bucket);
    total += count;
    least += BigInt(count) * BigInt(low);
    most += BigInt(count) * BigInt(high);
    if (first === -1) first = bucket;
    last = bucket;
  }
  const agrees =
    first === -1
      ? lowest === U32_MAX && highest === 0 && sum === 0n
      : holds(bits, first, lowest) &&
        holds(bits, last, highest) &&
        lowest <= highest &&
        sum >= least &&
        sum <= most;
  if (!agrees) throw wrong("extremes or sum are not those of its buckets");
  return { bits, lowest, highest, sum, count: total, buckets, counts };
}

function holds(bits: number, bucket: number, value: number): boolean {
  const [low, high] = rangeOf(bits, bucket);
  return value >= low && value <= high;
}

/** The smallest and the largest value of a bucket. */
export function rangeOf(bits: number, bucket: number): readonly [low: number, high: number] {
  const parts = 2 ** bits;
  if (bucket < parts) return [bucket, bucket];
  const size = 2 ** (Math.floor(bucket / parts) - 1);
  const low = ((bucket % parts) + parts) * size;
  return [low, low + size - 1];
}

function pushVarint(bytes: number[], value: number): void {
  let rest = value;
  while (rest > 0x7f) {
    bytes.push((rest % 0x80) | 0x80);
    rest = Math.floor(rest / 0x80);
  }
  bytes.push(rest);
}

function readVarint(reader: { readonly bytes: Uint8Array; offset: number }): number {
  let value = 0;
  for (let index = 0; index < VARINT_BYTES_MAX; index += 1) {
    const byte = reader.bytes[reader.offset];
    if (byte === undefined) throw wrong("they end in a number");
    reader.offset += 1;
    value += (byte & 0x7f) * 2 ** (7 * index);
    if (byte > 0x7f) continue;
    if (value > U32_MAX || (byte === 0 && index > 0)) break;
    return value;
  }
  throw wrong("a number is beyond 32 bits, or not in its shortest form");
}

function wrong(what: string): Error {
  return argument("histogram", `These bytes are no histogram: ${what}.`);
}
