/**
 * Bounded queue between many producers and many consumers: Vyukov's, each slot with a sequence number that says whose turn it is
 * (1024cores.net, "Bounded MPMC queue").
 *
 *   +0    ends u32   +4 capacity u32 (slots, a power of two, 2 at least)   +8 stride u32 (bytes of a value)
 *   +64   tail u32 (producers)      +128 head u32 (consumers)
 *   +192  event of items            +256 event of room
 *   +320  slots: sequence u32, unused u32, value (stride, rounded up to 8)
 *
 *   slot i:   sequence = i             free for the producer at position i
 *             sequence = i + 1         full for the consumer at position i
 *             sequence = i + capacity  free again, for the next round
 *
 * Ordering: a position is won by compare-and-exchange; then the slot is the winner's alone, and its value is written or read plainly. The sequence is stored after that (release) and loaded
 * before the position is tried for (acquire), which hands the value on. Positions wrap around at 2^32: a thread that sleeps between its two reads for exactly so many operations is mistaken.
 *
 * Not lock-free in full: who won a position and stopped (or died) before it stored the sequence holds up the others once they come round to that slot. They learn of it: -SHARED_STALLED
 * instead of -SHARED_EMPTY or -SHARED_FULL. It never gives a value that is not whole, and never the same one twice.
 */
import { ARGUMENT, SHARED_EMPTY, SHARED_FULL, SHARED_STALLED } from "../errors/codes.generated";
import { EVENT_BYTES, eventSignal } from "./event";

const CAPACITY: usize = 4;
const STRIDE: usize = 8;
const TAIL: usize = 64;
const HEAD: usize = 128;
export const MPMC_ITEMS: usize = 192;
export const MPMC_ROOM: usize = MPMC_ITEMS + EVENT_BYTES;
const SLOTS: usize = MPMC_ROOM + EVENT_BYTES;
/** From a slot to its value. */
export const MPMC_VALUE: usize = 8;

const CAPACITY_MAX: u32 = 1 << 26;
/** With its position it crosses to JavaScript as a binary64. */
const ROW_MAX: u32 = 1 << 20;
const STRIDE_MAX: u32 = 1 << 20;

/** Bytes for `capacity` slots (a power of two, 2 to 2^26) of values of `stride` bytes (1 to 2^20); 0 when they are none, or above 2^31. */
export function mpmcBytes(capacity: u32, stride: u32): u32 {
  if (popcnt<u32>(capacity) != 1 || capacity < 2 || capacity > CAPACITY_MAX) return 0;
  if (stride == 0 || stride > STRIDE_MAX) return 0;
  const bytes = <u64>SLOTS + <u64>capacity * <u64>slotBytes(stride);
  return bytes > 0x80000000 ? 0 : <u32>bytes;
}

/** In memory that is zero, before anybody else sees it. 0 or -ARGUMENT. */
export function mpmcInit(at: usize, capacity: u32, stride: u32): i32 {
  if (mpmcBytes(capacity, stride) == 0) return -ARGUMENT;
  store<u32>(at, capacity, CAPACITY);
  store<u32>(at, stride, STRIDE);
  for (let index: u32 = 0; index < capacity; ++index) store<u32>(slotAt(at, index), index);
  return 0;
}

/** Address of a slot that is the caller's to fill (its value is MPMC_VALUE bytes on), -SHARED_FULL or -SHARED_STALLED. */
export function mpmcClaim(at: usize): i32 {
  let position = atomic.load<u32>(at, TAIL);
  while (true) {
    const slot = slotAt(at, position);
    const turn = <i32>(atomic.load<u32>(slot) - position);
    if (turn == 0) {
      const found = atomic.cmpxchg<u32>(at, position, position + 1, TAIL);
      if (found == position) return <i32>slot;
      position = found;
    } else if (turn < 0) {
      const now = atomic.load<u32>(at, TAIL);
      if (now == position) {
        const used = position - atomic.load<u32>(at, HEAD);
        return used >= load<u32>(at, CAPACITY) ? -SHARED_FULL : -SHARED_STALLED;
      }
      position = now;
    } else position = atomic.load<u32>(at, TAIL);
  }
}

/** Gives a claimed slot to the consumers. */
export function mpmcPublish(at: usize, slot: usize): void {
  atomic.store<u32>(slot, load<u32>(slot) + 1);
  eventSignal(at + MPMC_ITEMS);
}

/** Address of a slot whose value is the caller's to read, -SHARED_EMPTY or -SHARED_STALLED. */
export function mpmcTake(at: usize): i32 {
  let position = atomic.load<u32>(at, HEAD);
  while (true) {
    const slot = slotAt(at, position);
    const turn = <i32>(atomic.load<u32>(slot) - (position + 1));
    if (turn == 0) {
      const found = atomic.cmpxchg<u32>(at, position, position + 1, HEAD);
      if (found == position) return <i32>slot;
      position = found;
    } else if (turn < 0) {
      const now = atomic.load<u32>(at, HEAD);
      if (now == position) return atomic.load<u32>(at, TAIL) == position ? -SHARED_EMPTY : -SHARED_STALLED;
      position = now;
    } else position = atomic.load<u32>(at, HEAD);
  }
}

/** Gives a taken slot back to the producers. */
export function mpmcRelease(at: usize, slot: usize): void {
  atomic.store<u32>(slot, load<u32>(slot) + load<u32>(at, CAPACITY) - 1);
  eventSignal(at + MPMC_ROOM);
}

/**
 * Claims up to `want` slots (2^20 at most) in a row at once. How many, above the position of the first: count << 32 | position; the count is 0 when the queue is full or stalled. A slot at such a position that is
 * free stays so until the position is won, so one exchange wins them all.
 */
export function mpmcClaimRow(at: usize, want: u32): u64 {
  return winRow(at, want, TAIL, 0);
}

/** Gives a row of claimed slots to the consumers, the first of them first. */
export function mpmcPublishRow(at: usize, position: u32, count: u32): void {
  for (let index: u32 = 0; index < count; ++index)
    atomic.store<u32>(slotAt(at, position + index), position + index + 1);
  eventSignal(at + MPMC_ITEMS);
}

/** Takes up to `want` values in a row at once, as mpmcClaimRow does. */
export function mpmcTakeRow(at: usize, want: u32): u64 {
  return winRow(at, want, HEAD, 1);
}

/** Gives a row of taken slots back to the producers. */
export function mpmcReleaseRow(at: usize, position: u32, count: u32): void {
  const capacity = load<u32>(at, CAPACITY);
  for (let index: u32 = 0; index < count; ++index)
    atomic.store<u32>(slotAt(at, position + index), position + index + capacity);
  eventSignal(at + MPMC_ROOM);
}

/** Address of the slot at a position that the caller has won. */
export function mpmcSlotAt(at: usize, position: u32): usize {
  return slotAt(at, position);
}

/** Positions in a row whose turn it is (sequence = position + turn), by moving the index on over all of them. */
function winRow(at: usize, want: u32, index: usize, turn: u32): u64 {
  const most = want < ROW_MAX ? want : ROW_MAX;
  let position = atomic.load<u32>(at + index);
  while (true) {
    let count: u32 = 0;
    while (count < most && atomic.load<u32>(slotAt(at, position + count)) == position + count + turn) ++count;
    const found =
      count == 0 ? atomic.load<u32>(at + index) : atomic.cmpxchg<u32>(at + index, position, position + count);
    if (found == position) return ((<u64>count) << 32) | <u64>position;
    position = found;
  }
}

/** A value of 32 bits, in one go. 0, -SHARED_FULL or -SHARED_STALLED. */
export function mpmcPush(at: usize, value: u32): i32 {
  const slot = mpmcClaim(at);
  if (slot < 0) return slot;
  store<u32>(<usize>slot, value, MPMC_VALUE);
  mpmcPublish(at, <usize>slot);
  return 0;
}

/** The next value of 32 bits, -SHARED_EMPTY or -SHARED_STALLED: below 0 as an i64, so that every value fits. */
export function mpmcShift(at: usize): i64 {
  const slot = mpmcTake(at);
  if (slot < 0) return <i64>slot;
  const value = load<u32>(<usize>slot, MPMC_VALUE);
  mpmcRelease(at, <usize>slot);
  return <i64>value;
}

/** Whether a slot could be claimed now: not while the queue is full, or stalled. */
export function mpmcCanClaim(at: usize): bool {
  return isTurn(at, atomic.load<u32>(at, TAIL), 0);
}

/** Whether a value could be taken now. */
export function mpmcCanTake(at: usize): bool {
  return isTurn(at, atomic.load<u32>(at, HEAD), 1);
}

/** True also when the position was won meanwhile: who asks tries, and asks again. */
function isTurn(at: usize, position: u32, turn: u32): bool {
  return <i32>(atomic.load<u32>(slotAt(at, position)) - (position + turn)) >= 0;
}

/** Values, and those being written or read, as any thread sees them, at once out of date. */
export function mpmcCount(at: usize): u32 {
  const count = <i32>(atomic.load<u32>(at, TAIL) - atomic.load<u32>(at, HEAD));
  return count < 0 ? 0 : <u32>count;
}

function slotAt(at: usize, position: u32): usize {
  const index = position & (load<u32>(at, CAPACITY) - 1);
  return at + SLOTS + <usize>index * <usize>slotBytes(load<u32>(at, STRIDE));
}

function slotBytes(stride: u32): u32 {
  return <u32>MPMC_VALUE + ((stride + 7) & ~7);
}
