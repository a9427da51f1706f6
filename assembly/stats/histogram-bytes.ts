/**
 * A histogram on its way to a gateway, in pieces that fit a message: the buckets in use, as host/core/histogram-bytes.ts draws them. Each piece is a
 * histogram by itself, with its own extremes and sum, and all pieces of one histogram merge into what it was.
 *
 *   histogramWrite(at, out, room)    the lowest buckets, as many as fit, as bytes; the histogram keeps them
 *   histogramForget(at)              takes what was written last out of the histogram: call it when the bytes are in safe hands
 *
 * Between the two the histogram must not change. One at a time: what was written last is this module's to know.
 *
 * The sum of a piece that is not the last is known to lie between what the least and the greatest values of its buckets give. It gets as much as leaves
 * the rest possible, so that sums add up exactly and no piece contradicts itself.
 */
import {
  countAt,
  histogramHighest,
  histogramLowest,
  histogramReset,
  histogramTotal,
  lowerOf,
  upperOf,
} from "./histogram";

const VERSION: u8 = 1;
export const HISTOGRAM_HEAD_BYTES: i32 = 18;
/** The longest gap takes three bytes, the largest count five. */
const PAIR_BYTES_MAX: i32 = 8;

/** Of the piece written last: the buckets below `takenEnd`, and their sum. */
let takenEnd: u32 = 0;
let takenSum: u64 = 0;

/** Bytes of all of it in one piece. */
export function histogramWholeBytes(at: usize): u32 {
  const buckets = load<u32>(at, 4);
  let bytes = <u32>HISTOGRAM_HEAD_BYTES;
  let gap: u32 = 0;
  for (let bucket: u32 = 0; bucket < buckets; ++bucket) {
    const count = load<u32>(countAt(at, bucket));
    if (count == 0) gap += 1;
    else {
      bytes += varintBytes(gap) + varintBytes(count);
      gap = 0;
    }
  }
  return bytes;
}

/** Writes a piece into at most `room` bytes, of which there must be 26. Its length; 0 when nothing is recorded. */
export function histogramWrite(at: usize, out: usize, room: i32): i32 {
  if (histogramTotal(at) == 0) return 0;
  const bits = load<u32>(at);
  const buckets = load<u32>(at, 4);
  const end = out + <usize>(room - PAIR_BYTES_MAX);
  let to = out + <usize>HISTOGRAM_HEAD_BYTES;
  let gap: u32 = 0;
  let last: u32 = 0;
  let most: u64 = 0;
  let bucket: u32 = 0;
  for (; bucket < buckets && to <= end; ++bucket) {
    const count = load<u32>(countAt(at, bucket));
    if (count == 0) {
      gap += 1;
      continue;
    }
    to = writeVarint(writeVarint(to, gap), count);
    gap = 0;
    last = bucket;
    most += <u64>count * <u64>upperOf(bits, bucket);
  }
  takenEnd = bucket;
  // What the rest has at the least.
  let least: u64 = 0;
  for (; bucket < buckets; ++bucket)
    least += <u64>load<u32>(countAt(at, bucket)) * <u64>lowerOf(bits, bucket);
  const sum = load<u64>(at, 16);
  takenSum = least == 0 ? sum : min<u64>(most, sum - least);
  store<u8>(out, VERSION);
  store<u8>(out, <u8>bits, 1);
  writeBytes(out + 2, histogramLowest(at), 4);
  writeBytes(out + 6, min<u32>(upperOf(bits, last), histogramHighest(at)), 4);
  writeBytes(out + 10, takenSum, 8);
  return <i32>(to - out);
}

/** Takes the piece that was written last out of the histogram. */
export function histogramForget(at: usize): void {
  const buckets = load<u32>(at, 4);
  let taken: u64 = 0;
  for (let bucket: u32 = 0; bucket < takenEnd; ++bucket) {
    taken += <u64>load<u32>(countAt(at, bucket));
    store<u32>(countAt(at, bucket), 0);
  }
  const left = histogramTotal(at) - taken;
  if (left == 0) return histogramReset(at);
  store<u64>(at, left, 8);
  store<u64>(at, load<u64>(at, 16) - takenSum, 16);
  let bucket = takenEnd;
  while (bucket + 1 < buckets && load<u32>(countAt(at, bucket)) == 0) ++bucket;
  store<u32>(at, lowerOf(load<u32>(at), bucket), 24);
}

/** Little-endian, byte by byte: `to` is not aligned. */
function writeBytes(to: usize, value: u64, bytes: usize): void {
  for (let index: usize = 0; index < bytes; ++index)
    store<u8>(to + index, <u8>(value >> ((<u64>index) << 3)));
}

/** Where the next byte goes. */
function writeVarint(to: usize, value: u32): usize {
  let at = to;
  let rest = value;
  for (; rest > 0x7f; rest >>= 7) store<u8>(at++, <u8>(rest | 0x80));
  store<u8>(at, <u8>rest);
  return at + 1;
}

function varintBytes(value: u32): u32 {
  return value == 0 ? 1 : (38 - clz<u32>(value)) / 7;
}
