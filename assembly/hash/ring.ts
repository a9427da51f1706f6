/**
 * Consistent hashing on a ring (Karger et al., "Consistent Hashing and Random Trees", 1997): each node has `points` places on a circle of
 * 2^64 for each unit of weight, a key belongs to the first place at or after its hash. A node that leaves gives its keys to the
 * next places, which are many other nodes'. The share of a node spreads by about 1/sqrt(points): 160 points, 8 %.
 *
 * A look-up is a binary search of the points, which are sorted once when the ring is made.
 *
 *   ring   +0 count u32 (points)   +4 nodes u32   +8 point* ...
 *   point  +0 place u64   +8 node u32   +12 unused u32
 */
import { ARGUMENT, POOL_FULL } from "../errors/codes.generated";
import { nodeHash, nodesAreValid, nodeWeight } from "./nodes";
import { mix64 } from "./xxh64";

const HEADER_BYTES: usize = 8;
const POINT_BYTES: usize = 16;
const POINTS_MAX: u32 = 1 << 20;

/** Points that a node of this weight gets, at least one. */
function pointsOf(weight: f64, points: u32): u32 {
  return <u32>max<f64>(1, Math.round(weight * <f64>points));
}

/** Bytes of a ring of these nodes, 0 where there can be none. */
export function ringBytes(nodes: usize, count: u32, points: u32): u32 {
  if (!nodesAreValid(nodes, count) || points == 0 || points > 65536) return 0;
  let total: u64 = 0;
  for (let index: u32 = 0; index < count; ++index) total += <u64>pointsOf(nodeWeight(nodes, index), points);
  return total > <u64>POINTS_MAX ? 0 : <u32>(HEADER_BYTES + <usize>total * POINT_BYTES);
}

/** Makes the ring at `at`. 0, -ARGUMENT, or -POOL_FULL when `capacity` bytes are not enough. */
export function ringBuild(at: usize, capacity: u32, nodes: usize, count: u32, points: u32): i32 {
  const bytes = ringBytes(nodes, count, points);
  if (bytes == 0) return -ARGUMENT;
  if (bytes > capacity) return -POOL_FULL;
  let total: u32 = 0;
  for (let index: u32 = 0; index < count; ++index) {
    const own = pointsOf(nodeWeight(nodes, index), points);
    for (let point: u32 = 0; point < own; ++point) {
      const entry = pointAt(at, total);
      store<u64>(entry, mix64(nodeHash(nodes, index), <u64>point));
      store<u64>(entry, <u64>index, 8);
      total += 1;
    }
  }
  store<u32>(at, total);
  store<u32>(at, count, 4);
  sort(at, total);
  return 0;
}

/** Index of the node that owns the key. */
export function ringOwner(at: usize, key: u64): i32 {
  return <i32>load<u32>(pointAt(at, first(at, key)), 8);
}

/** The owner and the next `wanted` - 1 other nodes around the ring, as u32 at `to`. How many there are. */
export function ringOwners(at: usize, key: u64, wanted: u32, to: usize): i32 {
  const count = load<u32>(at);
  const limit = min<u32>(wanted, load<u32>(at, 4));
  let found: u32 = 0;
  let point = first(at, key);
  for (let step: u32 = 0; step < count && found < limit; ++step) {
    const node = load<u32>(pointAt(at, point), 8);
    let known = false;
    for (let index: u32 = 0; index < found; ++index) {
      if (load<u32>(to + ((<usize>index) << 2)) == node) known = true;
    }
    if (!known) {
      store<u32>(to + ((<usize>found) << 2), node);
      found += 1;
    }
    point = point + 1 == count ? 0 : point + 1;
  }
  return <i32>found;
}

/** The first point at or after the key; beyond the last comes the first. */
function first(at: usize, key: u64): u32 {
  const count = load<u32>(at);
  let low: u32 = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (load<u64>(pointAt(at, middle)) < key) low = middle + 1;
    else high = middle;
  }
  return low == count ? 0 : low;
}

function pointAt(at: usize, index: u32): usize {
  return at + HEADER_BYTES + <usize>index * POINT_BYTES;
}

/** Heapsort by place, then by node: in place, and no input makes it slow. */
function sort(at: usize, count: u32): void {
  for (let start = count >> 1; start > 0; --start) sift(at, start - 1, count);
  for (let end = count; end > 1; --end) {
    swap(at, 0, end - 1);
    sift(at, 0, end - 1);
  }
}

function sift(at: usize, from: u32, count: u32): void {
  let root = from;
  while (true) {
    let child = root * 2 + 1;
    if (child >= count) return;
    if (child + 1 < count && isBefore(at, child, child + 1)) child += 1;
    if (!isBefore(at, root, child)) return;
    swap(at, root, child);
    root = child;
  }
}

function isBefore(at: usize, a: u32, b: u32): bool {
  const placeA = load<u64>(pointAt(at, a));
  const placeB = load<u64>(pointAt(at, b));
  if (placeA != placeB) return placeA < placeB;
  return load<u32>(pointAt(at, a), 8) < load<u32>(pointAt(at, b), 8);
}

function swap(at: usize, a: u32, b: u32): void {
  const one = pointAt(at, a);
  const other = pointAt(at, b);
  const place = load<u64>(one);
  const node = load<u64>(one, 8);
  store<u64>(one, load<u64>(other));
  store<u64>(one, load<u64>(other, 8), 8);
  store<u64>(other, place);
  store<u64>(other, node, 8);
}
