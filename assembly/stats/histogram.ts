/**
 * A histogram of log-linear buckets, as HdrHistogram has them (Tene): every power of two is cut into 2^bits equal parts, so that a value is
 * known to within one part of 2^bits of itself, from 1 to 2^32 - 1, in fixed memory. It is integers throughout, records in constant time, and two of
 * the same bits add up bucket by bucket: a gateway merges its devices' histograms, where quantiles themselves cannot be merged.
 *
 *   value < 2^bits: bucket = value
 *   else            shift = position of the highest bit - bits;  bucket = (shift + 1) * 2^bits + (value >> shift) - 2^bits
 *
 *   +0 bits u32   +4 buckets u32   +8 total u64   +16 sum u64   +24 lowest u32   +28 highest u32   +32 count u32 * buckets
 */
import { ARGUMENT } from "../errors/codes.generated";

const HEADER_BYTES: usize = 32;
const BITS_MAX: u32 = 10;
const COUNT_MAX: u32 = u32.MAX_VALUE;

/** Bytes for 1 to 10 bits, 0 for others. 3 bits: 992 bytes, 12.5 %; 5 bits: 3,616 bytes, 3.1 %; 7 bits: 13,344 bytes, 0.8 %. */
export function histogramBytes(bits: u32): u32 {
  return bits == 0 || bits > BITS_MAX ? 0 : <u32>HEADER_BYTES + (bucketsOf(bits) << 2);
}

function bucketsOf(bits: u32): u32 {
  return (33 - bits) << bits;
}

/** 0, or -ARGUMENT. */
export function histogramInit(at: usize, bits: u32): i32 {
  if (histogramBytes(bits) == 0) return -ARGUMENT;
  store<u32>(at, bits);
  store<u32>(at, bucketsOf(bits), 4);
  histogramReset(at);
  return 0;
}

export function histogramReset(at: usize): void {
  store<u64>(at, 0, 8);
  store<u64>(at, 0, 16);
  store<u32>(at, u32.MAX_VALUE, 24);
  store<u32>(at, 0, 28);
  const buckets = load<u32>(at, 4);
  for (let bucket: u32 = 0; bucket < buckets; ++bucket) store<u32>(countAt(at, bucket), 0);
}

/** Records `value`, `times` over. A bucket that holds 2^32 - 1 takes no more: then neither total nor mean do. */
export function histogramRecord(at: usize, value: u32, times: u32): void {
  const added = add(countAt(at, bucketOf(load<u32>(at), value)), times);
  if (added == 0) return;
  store<u64>(at, load<u64>(at, 8) + added, 8);
  store<u64>(at, load<u64>(at, 16) + <u64>value * added, 16);
  if (value < load<u32>(at, 24)) store<u32>(at, value, 24);
  if (value > load<u32>(at, 28)) store<u32>(at, value, 28);
}

/** Adds what `other` has recorded. 0, or -ARGUMENT when its bits are others. */
export function histogramMerge(at: usize, other: usize): i32 {
  if (load<u32>(at) != load<u32>(other)) return -ARGUMENT;
  const buckets = load<u32>(at, 4);
  let added: u64 = 0;
  for (let bucket: u32 = 0; bucket < buckets; ++bucket) {
    added += add(countAt(at, bucket), load<u32>(countAt(other, bucket)));
  }
  store<u64>(at, load<u64>(at, 8) + added, 8);
  store<u64>(at, load<u64>(at, 16) + load<u64>(other, 16), 16);
  store<u32>(at, min<u32>(load<u32>(at, 24), load<u32>(other, 24)), 24);
  store<u32>(at, max<u32>(load<u32>(at, 28), load<u32>(other, 28)), 28);
  return 0;
}

export function histogramTotal(at: usize): u64 {
  return load<u64>(at, 8);
}
/** 0 when nothing was recorded. */
export function histogramMean(at: usize): f64 {
  const total = load<u64>(at, 8);
  return total == 0 ? 0 : <f64>load<u64>(at, 16) / <f64>total;
}
/** The smallest value, exactly; 2^32 - 1 when nothing was recorded. */
export function histogramLowest(at: usize): u32 {
  return load<u32>(at, 24);
}
/** The largest, exactly. */
export function histogramHighest(at: usize): u32 {
  return load<u32>(at, 28);
}

/**
 * The value that `thousandths` of a thousand do not exceed (500: median, 990: 99 %): the upper end of its bucket, so at most 1 / 2^bits too
 * high and never too low. 0 when nothing was recorded.
 */
export function histogramQuantile(at: usize, thousandths: u32): u32 {
  const total = load<u64>(at, 8);
  if (total == 0) return 0;
  const share = <u64>min<u32>(thousandths, 1000);
  // total / 1000 first: the product may not fit.
  const rank = max<u64>((total / 1000) * share + ((total % 1000) * share + 999) / 1000, 1);
  return histogramValueAt(at, rank);
}

/** The value of that rank, from 1; the same bound. 0 when nothing was recorded. */
export function histogramValueAt(at: usize, rank: u64): u32 {
  const buckets = load<u32>(at, 4);
  let seen: u64 = 0;
  for (let bucket: u32 = 0; bucket < buckets; ++bucket) {
    seen += <u64>load<u32>(countAt(at, bucket));
    if (seen >= rank && seen > 0) return min<u32>(upperOf(load<u32>(at), bucket), load<u32>(at, 28));
  }
  return load<u32>(at, 28);
}

export function bucketOf(bits: u32, value: u32): u32 {
  if (value < (<u32>1) << bits) return value;
  const shift = 31 - clz<u32>(value) - bits;
  return ((shift + 1) << bits) + (value >> shift) - ((<u32>1) << bits);
}

/** The smallest value of a bucket. */
export function lowerOf(bits: u32, bucket: u32): u32 {
  if (bucket < (<u32>1) << bits) return bucket;
  const shift = (bucket >> bits) - 1;
  return ((bucket & (((<u32>1) << bits) - 1)) + ((<u32>1) << bits)) << shift;
}

/** The largest value of a bucket. */
export function upperOf(bits: u32, bucket: u32): u32 {
  if (bucket < (<u32>1) << bits) return bucket;
  const shift = (bucket >> bits) - 1;
  const part = (bucket & (((<u32>1) << bits) - 1)) + ((<u32>1) << bits);
  return <u32>(((<u64>part + 1) << shift) - 1);
}

export function countAt(at: usize, bucket: u32): usize {
  return at + HEADER_BYTES + ((<usize>bucket) << 2);
}

/** How many were added. */
function add(at: usize, times: u32): u64 {
  const count = load<u32>(at);
  const added = min<u32>(times, COUNT_MAX - count);
  store<u32>(at, count + added);
  return <u64>added;
}
