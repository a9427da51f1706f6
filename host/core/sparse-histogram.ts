/**
 * Histograms of which a gateway keeps thousands: their buckets in use only, as histogram-bytes.ts reads them, added up without the core's memory.
 *
 * Two of unlike precision add up too: each bucket of the finer one lies within one of the coarser, so the result has the coarser one's bound and no other
 * error. A gateway keeps at most KEPT_BITS, whatever a device chose, so that one histogram has at most 896 buckets.
 */
import { type HistogramParts, rangeOf } from "./histogram-bytes.ts";

/** 3.1 %. */
export const KEPT_BITS = 5;

/** Adds up. Neither is changed. */
export function mergeHistograms(a: HistogramParts, b: HistogramParts): HistogramParts {
  const bits = Math.min(a.bits, b.bits);
  const [one, other] = [coarsened(a, bits), coarsened(b, bits)];
  const buckets: number[] = [];
  const counts: number[] = [];
  let [i, j] = [0, 0];
  while (i < one.buckets.length || j < other.buckets.length) {
    const left = one.buckets[i] ?? Number.POSITIVE_INFINITY;
    const right = other.buckets[j] ?? Number.POSITIVE_INFINITY;
    let count = 0;
    if (left <= right) count += one.counts[i++] as number;
    if (right <= left) count += other.counts[j++] as number;
    buckets.push(Math.min(left, right));
    counts.push(count);
  }
  return {
    ...{ bits, buckets, counts, count: a.count + b.count, sum: a.sum + b.sum },
    lowest: Math.min(a.lowest, b.lowest),
    highest: Math.max(a.highest, b.highest),
  };
}

/** The same values at a precision of at most so many bits. */
export function coarsened(histogram: HistogramParts, bits: number): HistogramParts {
  if (histogram.bits <= bits) return histogram;
  const buckets: number[] = [];
  const counts: number[] = [];
  for (const [index, bucket] of histogram.buckets.entries()) {
    const coarse = bucketOf(bits, rangeOf(histogram.bits, bucket)[0]);
    const count = histogram.counts[index] as number;
    if (coarse === buckets.at(-1)) counts[counts.length - 1] = (counts.at(-1) as number) + count;
    else {
      buckets.push(coarse);
      counts.push(count);
    }
  }
  return { ...histogram, bits, buckets, counts };
}

/** The value that a share of all, 0 to 1, does not exceed: at most one part of 2^bits too high, never too low. 0 when there is none. */
export function quantileOf({ bits, count, highest, buckets, counts }: HistogramParts, share: number): number {
  // As in histogram.ts: 0.07 * 100 is a little above 7 in doubles.
  const rank = Math.max(Math.ceil(share * count * (1 - 4 * Number.EPSILON)), 1);
  let seen = 0;
  for (const [index, bucket] of buckets.entries()) {
    seen += counts[index] as number;
    if (seen >= rank) return Math.min(rangeOf(bits, bucket)[1], highest);
  }
  return highest;
}

export function meanOf({ sum, count }: HistogramParts): number {
  return count === 0 ? 0 : Number(sum) / count;
}

function bucketOf(bits: number, value: number): number {
  if (value < 2 ** bits) return value;
  const shift = 31 - Math.clz32(value) - bits;
  return (shift + 1) * 2 ** bits + (value >>> shift) - 2 ** bits;
}
