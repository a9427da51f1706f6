/**
 * Dotted version vectors (Preguiça, Baquero, Almeida, Fonte, Gonçalves, "Dotted Version Vectors: Logical Clocks for Optimistic Replication",
 * 2010; as sets: Almeida et al., "Scalable and Accurate Causality Tracking for Eventually Consistent Stores", 2014).
 *
 * A plain vector of servers says of two writes through one server that the later follows the earlier, even when its writer had not seen it. A
 * dot names the one write; the vector beside it is what its writer had seen. A write is before another exactly when the other's
 * vector holds its dot.
 *
 *   dots   +0 count u32   +4 capacity u32   +8 dot * capacity     dot  +0 node u64   +8 counter u64
 *
 * Beside them stands one vector (vector.ts): all that was ever seen here, of which the dots are what nothing has replaced yet.
 */
import { ARGUMENT, POOL_FULL } from "../errors/codes.generated";
import { vectorGet, vectorHasRoom, vectorMerge, vectorTick } from "./vector";

const HEADER_BYTES: usize = 8;
const DOT_BYTES: usize = 16;
export const DOTS_MAX: u32 = 1024;

export function dotsBytes(capacity: u32): u32 {
  return capacity == 0 || capacity > DOTS_MAX ? 0 : <u32>(HEADER_BYTES + <usize>capacity * DOT_BYTES);
}

/** 0, or -ARGUMENT. */
export function dotsInit(at: usize, capacity: u32): i32 {
  if (dotsBytes(capacity) == 0) return -ARGUMENT;
  store<u32>(at, 0);
  store<u32>(at, capacity, 4);
  return 0;
}

export function dotsCount(at: usize): u32 {
  return load<u32>(at);
}
export function dotNode(at: usize, index: u32): u64 {
  return load<u64>(dotAt(at, index));
}
export function dotCounter(at: usize, index: u32): u64 {
  return load<u64>(dotAt(at, index), 8);
}

/**
 * A write through `node` whose writer had seen `context`: what that holds is replaced, the rest stays beside it as siblings. The new dot is
 * the last. 0, or -POOL_FULL (too many siblings, or nodes in `seen`), and then nothing changes.
 */
export function dotsWrite(at: usize, seen: usize, context: usize, node: u64, nowMs: u64): i32 {
  let staying: u32 = 0;
  const count = load<u32>(at);
  for (let index: u32 = 0; index < count; ++index) if (!holds(context, at, index)) ++staying;
  if (staying == load<u32>(at, 4)) return -POOL_FULL;
  // Asked first: a failure half-way would have seen what it does not show.
  if (!vectorHasRoom(seen, context, node)) return -POOL_FULL;
  vectorMerge(seen, context, nowMs);
  vectorTick(seen, node, nowMs);
  dropHeld(at, context);
  append(at, node, vectorGet(seen, node));
  return 0;
}

/**
 * Takes in another replica's dots and what it has seen. What either has seen and does not show any more was replaced. 0, or -POOL_FULL, and
 * then nothing changes.
 */
export function dotsSync(at: usize, seen: usize, other: usize, otherSeen: usize, nowMs: u64): i32 {
  const count = load<u32>(at);
  const theirs = load<u32>(other);
  let total: u32 = 0;
  for (let index: u32 = 0; index < count; ++index) if (stays(at, index, other, otherSeen)) ++total;
  for (let index: u32 = 0; index < theirs; ++index) if (!holds(seen, other, index)) ++total;
  if (total > load<u32>(at, 4) || !vectorHasRoom(seen, otherSeen, 0)) return -POOL_FULL;
  let kept: u32 = 0;
  for (let index: u32 = 0; index < count; ++index) {
    if (!stays(at, index, other, otherSeen)) continue;
    move(at, index, kept);
    ++kept;
  }
  store<u32>(at, kept);
  for (let index: u32 = 0; index < theirs; ++index) {
    if (!holds(seen, other, index)) append(at, dotNode(other, index), dotCounter(other, index));
  }
  return vectorMerge(seen, otherSeen, nowMs);
}

/** Whether the vector has seen the dot. */
function holds(vector: usize, dots: usize, index: u32): bool {
  return vectorGet(vector, dotNode(dots, index)) >= dotCounter(dots, index);
}

/** The other shows it too, or has not seen it. */
function stays(at: usize, index: u32, other: usize, otherSeen: usize): bool {
  if (!holds(otherSeen, at, index)) return true;
  const theirs = load<u32>(other);
  for (let one: u32 = 0; one < theirs; ++one) {
    if (dotNode(other, one) == dotNode(at, index) && dotCounter(other, one) == dotCounter(at, index))
      return true;
  }
  return false;
}

function dropHeld(at: usize, context: usize): void {
  const count = load<u32>(at);
  let kept: u32 = 0;
  for (let index: u32 = 0; index < count; ++index) {
    if (holds(context, at, index)) continue;
    move(at, index, kept);
    ++kept;
  }
  store<u32>(at, kept);
}

function append(at: usize, node: u64, counter: u64): void {
  const count = load<u32>(at);
  store<u64>(dotAt(at, count), node);
  store<u64>(dotAt(at, count), counter, 8);
  store<u32>(at, count + 1);
}

function move(at: usize, from: u32, to: u32): void {
  store<u64>(dotAt(at, to), dotNode(at, from));
  store<u64>(dotAt(at, to), dotCounter(at, from), 8);
}

function dotAt(at: usize, index: u32): usize {
  return at + HEADER_BYTES + <usize>index * DOT_BYTES;
}
