/**
 * Jump consistent hash (Lamping, Veach, "A Fast, Minimal Memory, Consistent Hash Algorithm", 2014): a bucket of `buckets` in O(log n) steps
 * and no memory at all. One bucket more moves 1/n of the keys, all to the new one. Buckets have numbers and not names, so only the last can
 * leave: for shards, not for gateways that come and go.
 */

const MULTIPLIER: u64 = 2862933555777941757;
const SPAN: f64 = 2147483648.0;

/** 0 to buckets - 1; 0 when there is none. */
export function jumpHash(key: u64, buckets: i32): i32 {
  let state = key;
  let bucket: i64 = -1;
  let next: i64 = 0;
  while (next < <i64>buckets) {
    bucket = next;
    state = state * MULTIPLIER + 1;
    next = <i64>(<f64>(bucket + 1) * (SPAN / <f64>((state >> 33) + 1)));
  }
  return bucket < 0 ? 0 : <i32>bucket;
}
