/**
 * Vector clock (Fidge, 1988; Mattern, 1989) in bounded memory: a counter for each node, which tells before, after and concurrent apart.
 *
 * Nodes come and go, and a vector that keeps them all grows for ever. So it has a capacity, and each entry the time it last grew: prune() drops
 * the oldest. What was dropped counts as 0, so two histories may then look concurrent that were ordered (a conflict
 * too many), and never the other way round as long as both sides prune only entries that all have seen.
 *
 *   +0 count u32   +4 capacity u32   +8 entry * capacity, by node, ascending
 *   entry  +0 node u64 (not 0)   +8 counter u64 (above 0)   +16 grownMs u64
 */
import { ARGUMENT, POOL_FULL } from "../errors/codes.generated";

const HEADER_BYTES: usize = 8;
const ENTRY_BYTES: usize = 24;
export const VECTOR_NODES_MAX: u32 = 4096;

export const EQUAL: i32 = 0;
export const BEFORE: i32 = 1;
export const AFTER: i32 = 2;
export const CONCURRENT: i32 = 3;

export function vectorBytes(capacity: u32): u32 {
  return capacity == 0 || capacity > VECTOR_NODES_MAX
    ? 0
    : <u32>(HEADER_BYTES + <usize>capacity * ENTRY_BYTES);
}

/** 0, or -ARGUMENT. */
export function vectorInit(at: usize, capacity: u32): i32 {
  if (vectorBytes(capacity) == 0) return -ARGUMENT;
  store<u32>(at, 0);
  store<u32>(at, capacity, 4);
  return 0;
}

export function vectorCount(at: usize): u32 {
  return load<u32>(at);
}

export function vectorNode(at: usize, index: u32): u64 {
  return load<u64>(entryAt(at, index));
}

/** The node's counter, 0 where it has none. */
export function vectorGet(at: usize, node: u64): u64 {
  const index = place(at, node);
  return isThere(at, index, node) ? load<u64>(entryAt(at, index), 8) : 0;
}

/** Raises the node's counter to `counter`; a lower one changes nothing. 0, or -POOL_FULL when there is no room for another node. */
export function vectorRaise(at: usize, node: u64, counter: u64, nowMs: u64): i32 {
  if (counter == 0) return 0;
  const index = place(at, node);
  if (!isThere(at, index, node)) {
    const count = load<u32>(at);
    if (count == load<u32>(at, 4)) return -POOL_FULL;
    for (let later = count; later > index; --later) copy(entryAt(at, later - 1), entryAt(at, later));
    store<u32>(at, count + 1);
    store<u64>(entryAt(at, index), node);
    store<u64>(entryAt(at, index), 0, 8);
  }
  const entry = entryAt(at, index);
  if (counter <= load<u64>(entry, 8)) return 0;
  store<u64>(entry, counter, 8);
  store<u64>(entry, nowMs, 16);
  return 0;
}

/** An event at the node. 0, or -POOL_FULL. */
export function vectorTick(at: usize, node: u64, nowMs: u64): i32 {
  return vectorRaise(at, node, vectorGet(at, node) + 1, nowMs);
}

/** Takes in another vector: the higher counter of each node. 0, or -POOL_FULL, and then nothing changes. */
export function vectorMerge(at: usize, other: usize, nowMs: u64): i32 {
  const count = load<u32>(other);
  let missing: u32 = 0;
  for (let index: u32 = 0; index < count; ++index)
    if (vectorGet(at, vectorNode(other, index)) == 0) ++missing;
  if (load<u32>(at) + missing > load<u32>(at, 4)) return -POOL_FULL;
  for (let index: u32 = 0; index < count; ++index) {
    vectorRaise(at, vectorNode(other, index), load<u64>(entryAt(other, index), 8), nowMs);
  }
  return 0;
}

/** Whether `at` has room for every node of `other`, and for `node` too where that is not 0. */
export function vectorHasRoom(at: usize, other: usize, node: u64): bool {
  const count = load<u32>(other);
  let missing: u32 = node != 0 && vectorGet(at, node) == 0 && vectorGet(other, node) == 0 ? 1 : 0;
  for (let index: u32 = 0; index < count; ++index) {
    if (vectorGet(at, vectorNode(other, index)) == 0) ++missing;
  }
  return load<u32>(at) + missing <= load<u32>(at, 4);
}

/** What `at` is beside `other`: EQUAL, BEFORE, AFTER or CONCURRENT. One pass over both. */
export function vectorCompare(at: usize, other: usize): i32 {
  const mine = load<u32>(at);
  const theirs = load<u32>(other);
  let left: u32 = 0;
  let right: u32 = 0;
  let isLess = false;
  let isMore = false;
  while (left < mine || right < theirs) {
    const hasLeft = left < mine;
    const hasRight = right < theirs;
    const takesLeft = hasLeft && (!hasRight || vectorNode(at, left) <= vectorNode(other, right));
    const takesRight = hasRight && (!hasLeft || vectorNode(other, right) <= vectorNode(at, left));
    const mineCounter: u64 = takesLeft ? load<u64>(entryAt(at, left), 8) : 0;
    const theirCounter: u64 = takesRight ? load<u64>(entryAt(other, right), 8) : 0;
    if (mineCounter < theirCounter) isLess = true;
    if (mineCounter > theirCounter) isMore = true;
    if (takesLeft) ++left;
    if (takesRight) ++right;
  }
  if (isLess && isMore) return CONCURRENT;
  if (isLess) return BEFORE;
  return isMore ? AFTER : EQUAL;
}

/** Drops entries that last grew before `beforeMs`, the oldest first, down to `keep`. How many. */
export function vectorPrune(at: usize, keep: u32, beforeMs: u64): i32 {
  let dropped: i32 = 0;
  while (load<u32>(at) > keep) {
    const count = load<u32>(at);
    let oldest: u32 = 0;
    for (let index: u32 = 1; index < count; ++index) {
      if (grownMs(at, index) < grownMs(at, oldest)) oldest = index;
    }
    if (grownMs(at, oldest) >= beforeMs) break;
    for (let index = oldest; index + 1 < count; ++index) copy(entryAt(at, index + 1), entryAt(at, index));
    store<u32>(at, count - 1);
    ++dropped;
  }
  return dropped;
}

function grownMs(at: usize, index: u32): u64 {
  return load<u64>(entryAt(at, index), 16);
}

function entryAt(at: usize, index: u32): usize {
  return at + HEADER_BYTES + <usize>index * ENTRY_BYTES;
}

function isThere(at: usize, index: u32, node: u64): bool {
  return index < load<u32>(at) && vectorNode(at, index) == node;
}

/** Where the node is or would be. */
function place(at: usize, node: u64): u32 {
  let low: u32 = 0;
  let high = load<u32>(at);
  while (low < high) {
    const middle = (low + high) >> 1;
    if (vectorNode(at, middle) < node) low = middle + 1;
    else high = middle;
  }
  return low;
}

function copy(from: usize, to: usize): void {
  store<u64>(to, load<u64>(from));
  store<u64>(to, load<u64>(from, 8), 8);
  store<u64>(to, load<u64>(from, 16), 16);
}
