/**
 * Ring of records of any length between one producer and one consumer, written and read where they lie (the "bip buffer" of Cooke, with lengths). Indices, caches and ordering are
 * the SPSC ring's.
 *
 *   +0    ends u32   +4 capacity u32 (bytes, a power of two)
 *   +64   producer's line: tail u32, headSeen u32, pending u32 (tail of what is reserved and not yet published)
 *   +128  consumer's line: head u32, tailSeen u32, cursor u32 (head of what was read and not yet released)
 *   +192  event of items      +256 event of room
 *   +320  records, each at a multiple of 8: length u32, unused u32, bytes
 *
 * A record lies in one piece. One that does not fit before the end leaves a mark there and starts at the beginning, so a record of at most half the capacity
 * fits into an empty ring wherever its end is. Several may be reserved and published at once, several read and released at once.
 */
import { ARGUMENT, SHARED_EMPTY, SHARED_FULL } from "../errors/codes.generated";
import { EVENT_BYTES, eventSignal } from "./event";

const CAPACITY: usize = 4;
const TAIL: usize = 64;
const HEAD_SEEN: usize = 68;
const PENDING: usize = 72;
const HEAD: usize = 128;
const TAIL_SEEN: usize = 132;
const CURSOR: usize = 136;
export const RECORDS_ITEMS: usize = 192;
export const RECORDS_ROOM: usize = RECORDS_ITEMS + EVENT_BYTES;
const RECORDS: usize = RECORDS_ROOM + EVENT_BYTES;

export const RECORD_HEADER_BYTES: u32 = 8;
const CAPACITY_MIN: u32 = 64;
const CAPACITY_MAX: u32 = 1 << 30;
/** The rest up to the end is no record. */
const SKIP: u32 = 0xffffffff;

/** Bytes for a ring of `capacity` bytes (a power of two, 64 to 2^30); 0 when it is none. */
export function recordsBytes(capacity: u32): u32 {
  if (popcnt<u32>(capacity) != 1 || capacity < CAPACITY_MIN || capacity > CAPACITY_MAX) return 0;
  return <u32>RECORDS + capacity;
}

/** In memory that is zero, before anybody else sees it. 0 or -ARGUMENT. */
export function recordsInit(at: usize, capacity: u32): i32 {
  if (recordsBytes(capacity) == 0) return -ARGUMENT;
  store<u32>(at, capacity, CAPACITY);
  return 0;
}

/** The producer's: address for a record of `length` bytes, -SHARED_FULL, or -ARGUMENT when it is longer than half the capacity. */
export function recordsReserve(at: usize, length: u32): i32 {
  const capacity = load<u32>(at, CAPACITY);
  if (length > (capacity >> 1) - RECORD_HEADER_BYTES) return -ARGUMENT;
  if (!recordsFits(at, length)) return -SHARED_FULL;
  const bytes = recordBytes(length);
  let pending = load<u32>(at, PENDING);
  const left = capacity - (pending & (capacity - 1));
  if (left < bytes) {
    store<u32>(recordAt(at, pending), SKIP);
    pending += left;
  }
  const record = recordAt(at, pending);
  store<u32>(record, length);
  store<u32>(at, pending + bytes, PENDING);
  return <i32>(record + <usize>RECORD_HEADER_BYTES);
}

/** The producer's: whether a record of `length` bytes could be reserved now. */
export function recordsFits(at: usize, length: u32): bool {
  const capacity = load<u32>(at, CAPACITY);
  const bytes = recordBytes(length);
  const pending = load<u32>(at, PENDING);
  const left = capacity - (pending & (capacity - 1));
  const needed = left < bytes ? left + bytes : bytes;
  if (capacity - (pending - load<u32>(at, HEAD_SEEN)) >= needed) return true;
  const head = atomic.load<u32>(at, HEAD);
  store<u32>(at, head, HEAD_SEEN);
  return capacity - (pending - head) >= needed;
}

/** Gives all that was reserved to the consumer. */
export function recordsPublish(at: usize): void {
  atomic.store<u32>(at, load<u32>(at, PENDING), TAIL);
  eventSignal(at + RECORDS_ITEMS);
}

/** Forgets what was reserved since the last publishing. */
export function recordsCancel(at: usize): void {
  store<u32>(at, load<u32>(at, TAIL), PENDING);
}

/** The consumer's: address of the next record (its length stands 8 bytes before), or -SHARED_EMPTY. */
export function recordsNext(at: usize): i32 {
  if (!recordsReady(at)) return -SHARED_EMPTY;
  const capacity = load<u32>(at, CAPACITY);
  let cursor = load<u32>(at, CURSOR);
  // A mark is published together with the record after it.
  if (load<u32>(recordAt(at, cursor)) == SKIP) cursor += capacity - (cursor & (capacity - 1));
  const record = recordAt(at, cursor);
  store<u32>(at, cursor + recordBytes(load<u32>(record)), CURSOR);
  return <i32>(record + <usize>RECORD_HEADER_BYTES);
}

/** The consumer's: whether there is a record that was not read yet. */
export function recordsReady(at: usize): bool {
  const cursor = load<u32>(at, CURSOR);
  if (cursor != load<u32>(at, TAIL_SEEN)) return true;
  const tail = atomic.load<u32>(at, TAIL);
  store<u32>(at, tail, TAIL_SEEN);
  return cursor != tail;
}

/** Gives all that was read back to the producer. */
export function recordsRelease(at: usize): void {
  atomic.store<u32>(at, load<u32>(at, CURSOR), HEAD);
  eventSignal(at + RECORDS_ROOM);
}

/** Whoever takes over the consumer's end reads again what the last one had not released. */
export function recordsRewind(at: usize): void {
  store<u32>(at, load<u32>(at, HEAD), CURSOR);
}

/** Bytes in use as any thread sees them, at once out of date. */
export function recordsUsed(at: usize): u32 {
  // The head first: it never passes a tail that was read after it.
  const head = atomic.load<u32>(at, HEAD);
  return min<u32>(atomic.load<u32>(at, TAIL) - head, load<u32>(at, CAPACITY));
}

function recordAt(at: usize, index: u32): usize {
  return at + RECORDS + <usize>(index & (load<u32>(at, CAPACITY) - 1));
}

function recordBytes(length: u32): u32 {
  return RECORD_HEADER_BYTES + ((length + 7) & ~7);
}
