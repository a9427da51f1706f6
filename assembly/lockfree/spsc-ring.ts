/**
 * Ring of equal slots between one producer and one consumer (Lamport, "Proving the Correctness of Multiprocess Programs", 1977), each with a copy of the other's index,
 * so that the other's cache line is read once a batch (Lee et al., "A Lock-free, Cache-efficient Shared Ring Buffer", 2010). With slots of one byte it is a stream.
 *
 *   +0    ends u32   +4 capacity u32 (slots, a power of two)   +8 stride u32 (bytes a slot)
 *   +64   producer's line: tail u32, headSeen u32
 *   +128  consumer's line: head u32, tailSeen u32
 *   +192  event of items: the consumer sleeps on it      +256 event of room: the producer does
 *   +320  slots
 *
 * tail and head count slots since init and wrap around at 2^32; tail - head slots are full. Ordering: a slot's bytes are written plainly, then tail is stored (release); the consumer loads
 * tail (acquire), then reads them. It has read them when it stores head (release), which the producer loads (acquire) before it writes there again. headSeen and tailSeen belong to one
 * thread and are plain. The atomics are sequentially consistent, since the instruction set has no weaker ones; the events need that.
 *
 * Wait-free: no operation waits for the other side. A producer that dies between reserving and publishing has published nothing; a consumer that dies before it
 * released what it read leaves it to be read again by whoever takes its end.
 */
import { ARGUMENT } from "../errors/codes.generated";
import { EVENT_BYTES, eventSignal } from "./event";

const CAPACITY: usize = 4;
const STRIDE: usize = 8;
const TAIL: usize = 64;
const HEAD_SEEN: usize = 68;
const HEAD: usize = 128;
const TAIL_SEEN: usize = 132;
export const SPSC_ITEMS: usize = 192;
export const SPSC_ROOM: usize = SPSC_ITEMS + EVENT_BYTES;
export const SPSC_SLOTS: usize = SPSC_ROOM + EVENT_BYTES;

const CAPACITY_MAX: u32 = 1 << 30;
const STRIDE_MAX: u32 = 1 << 20;

/** Bytes for `capacity` slots (a power of two up to 2^30) of `stride` bytes (1 to 2^20); 0 when they are none, or above 2^31. */
export function spscBytes(capacity: u32, stride: u32): u32 {
  if (popcnt<u32>(capacity) != 1 || capacity > CAPACITY_MAX || stride == 0 || stride > STRIDE_MAX) return 0;
  const bytes = <u64>SPSC_SLOTS + <u64>capacity * <u64>stride;
  return bytes > 0x80000000 ? 0 : <u32>bytes;
}

/** In memory that is zero, before anybody else sees it. 0 or -ARGUMENT. */
export function spscInit(at: usize, capacity: u32, stride: u32): i32 {
  if (spscBytes(capacity, stride) == 0) return -ARGUMENT;
  store<u32>(at, capacity, CAPACITY);
  store<u32>(at, stride, STRIDE);
  return 0;
}

/** The producer's: how many slots may be written, up to `want`; looks at the consumer only when it has to. */
export function spscReserve(at: usize, want: u32): u32 {
  const capacity = load<u32>(at, CAPACITY);
  const tail = load<u32>(at, TAIL);
  let room = capacity - (tail - load<u32>(at, HEAD_SEEN));
  if (room < want) {
    const head = atomic.load<u32>(at, HEAD);
    store<u32>(at, head, HEAD_SEEN);
    room = capacity - (tail - head);
  }
  return room < want ? room : want;
}

/** Address of the producer's slot `ahead` after the first reserved one. */
export function spscWriteAt(at: usize, ahead: u32): usize {
  return slotAt(at, load<u32>(at, TAIL) + ahead);
}

/** Gives `count` slots to the consumer: at most what was reserved. */
export function spscPublish(at: usize, count: u32): void {
  atomic.store<u32>(at, load<u32>(at, TAIL) + count, TAIL);
  eventSignal(at + SPSC_ITEMS);
}

/** The consumer's: how many slots may be read, up to `want`. */
export function spscReady(at: usize, want: u32): u32 {
  const head = load<u32>(at, HEAD);
  let ready = load<u32>(at, TAIL_SEEN) - head;
  if (ready < want) {
    const tail = atomic.load<u32>(at, TAIL);
    store<u32>(at, tail, TAIL_SEEN);
    ready = tail - head;
  }
  return ready < want ? ready : want;
}

/** Address of the consumer's slot `ahead` after the first that is ready. */
export function spscReadAt(at: usize, ahead: u32): usize {
  return slotAt(at, load<u32>(at, HEAD) + ahead);
}

/** Gives `count` slots back to the producer: at most what was ready. */
export function spscRelease(at: usize, count: u32): void {
  atomic.store<u32>(at, load<u32>(at, HEAD) + count, HEAD);
  eventSignal(at + SPSC_ROOM);
}

/** Copies up to `count` slots in. How many; 0 when the ring is full. */
export function spscWrite(at: usize, from: usize, count: u32): u32 {
  const room = spscReserve(at, count);
  if (room == 0) return 0;
  const stride = load<u32>(at, STRIDE);
  const first = untilEnd(at, load<u32>(at, TAIL), room);
  memory.copy(spscWriteAt(at, 0), from, <usize>(first * stride));
  if (room > first)
    memory.copy(at + SPSC_SLOTS, from + <usize>(first * stride), <usize>((room - first) * stride));
  spscPublish(at, room);
  return room;
}

/** Copies up to `count` slots out. How many; 0 when the ring is empty. */
export function spscRead(at: usize, to: usize, count: u32): u32 {
  const ready = spscReady(at, count);
  if (ready == 0) return 0;
  const stride = load<u32>(at, STRIDE);
  const first = untilEnd(at, load<u32>(at, HEAD), ready);
  memory.copy(to, spscReadAt(at, 0), <usize>(first * stride));
  if (ready > first)
    memory.copy(to + <usize>(first * stride), at + SPSC_SLOTS, <usize>((ready - first) * stride));
  spscRelease(at, ready);
  return ready;
}

/** Full slots as any thread sees them, at once out of date. */
export function spscCount(at: usize): u32 {
  // The head first: it never passes a tail that was read after it.
  const head = atomic.load<u32>(at, HEAD);
  return min<u32>(atomic.load<u32>(at, TAIL) - head, load<u32>(at, CAPACITY));
}

function slotAt(at: usize, index: u32): usize {
  const capacity = load<u32>(at, CAPACITY);
  return at + SPSC_SLOTS + <usize>(index & (capacity - 1)) * <usize>load<u32>(at, STRIDE);
}

/** Slots from `index` to the end of the memory, at most `count`. */
function untilEnd(at: usize, index: u32, count: u32): u32 {
  const capacity = load<u32>(at, CAPACITY);
  const left = capacity - (index & (capacity - 1));
  return left < count ? left : count;
}
