/**
 * Ring of length-prefixed records in memory that the caller gives: what a device has sent or not, until it is acknowledged.
 *
 * The memory may be RAM that survives a warm reset, so a reset between any two stores must leave a ring that can be trusted.
 * The state (head, used, count) stands twice, each with a check word. A change writes its data into free room first, then
 * copy A, then copy B: whichever copy is whole describes records that are whole. A record carries 16 bits of its CRC,
 * because RAM that was without power for a moment comes back with some bits wrong: ringRecover keeps the records before
 * the first wrong one. One thread at a time; interrupts fill rings of their own (see design, firmware).
 *
 *   +0  magic u32     +4  capacity u32 (bytes of data)
 *   +8  copy A: head u32, used u32, count u32, check u32
 *   +24 copy B: the same
 *   +40 dropped u32 (records, since init)     +44 reserved
 *   +48 data, used as a circle: | length u16 | crc u16 | bytes | length ...
 *
 * Records wrap around the end, so that a record fits exactly when its bytes and 4 are free. They are read by copying.
 */
import { crc32, crc32Update } from "../codec/crc32";
import { ARGUMENT, MESSAGE_SPACE, RING_OVERFLOW } from "../errors/codes.generated";

export const RING_HEADER_BYTES: usize = 48;
export const RING_RECORD_HEADER_BYTES: u32 = 4;
export const RING_RECORD_BYTES_MAX: i32 = 0xffff;

const MAGIC: u32 = 0x474e4952;
const CHECK_SEED: u32 = 0x9e3779b9;
const COPY_A: usize = 8;
const COPY_B: usize = 24;
const HEAD: usize = 8;
const USED: usize = 12;
const COUNT: usize = 16;
const DROPPED: usize = 40;

/** An empty ring in `bytes` of memory at `at` (aligned to 4), header included. 0 or -ARGUMENT when it is too small. */
export function ringInit(at: usize, bytes: i32): i32 {
  const capacity = bytes - <i32>RING_HEADER_BYTES;
  if (capacity <= <i32>RING_RECORD_HEADER_BYTES) return -ARGUMENT;
  // The magic goes first and comes last: a reset inside leaves no ring rather than an old one with a new size.
  store<u32>(at, 0);
  store<u32>(at, <u32>capacity, 4);
  store<u32>(at, 0, DROPPED);
  commit(at, 0, 0, 0);
  store<u32>(at, MAGIC);
  return 0;
}

/**
 * Takes over a ring that a reset left in the same memory. Records that are whole, from the oldest on (those from the first
 * damaged one are dropped and counted), or -ARGUMENT when there is no trustworthy ring: call ringInit then.
 */
export function ringRecover(at: usize, bytes: i32): i32 {
  if (load<u32>(at) != MAGIC || <i32>load<u32>(at, 4) != bytes - <i32>RING_HEADER_BYTES) return -ARGUMENT;
  const copy = at + (copyValid(at, COPY_A) ? COPY_A : COPY_B);
  if (!copyValid(at, copy - at)) return -ARGUMENT;
  const head = load<u32>(copy);
  const used = load<u32>(copy, 4);
  const count = load<u32>(copy, 8);
  const capacity = load<u32>(at, 4);
  if (head >= capacity || used > capacity) return -ARGUMENT;
  let whole: u32 = 0;
  let wholeBytes: u32 = 0;
  while (whole < count) {
    const record = wrap(at, head + wholeBytes);
    const left = used - wholeBytes;
    if (left < RING_RECORD_HEADER_BYTES) break;
    const length = loadHalf(at, record);
    if (length > left - RING_RECORD_HEADER_BYTES) break;
    if (recordCrc(at, record, length) != loadHalf(at, wrap(at, record + 2))) break;
    wholeBytes += RING_RECORD_HEADER_BYTES + length;
    ++whole;
  }
  store<u32>(at, load<u32>(at, DROPPED) + (count - whole), DROPPED);
  commit(at, head, wholeBytes, whole);
  return <i32>whole;
}

/** Appends a record. 0, -RING_OVERFLOW when there is no room (nothing changes), or -ARGUMENT when there never is. */
export function ringPush(at: usize, from: usize, length: i32): i32 {
  const capacity = load<u32>(at, 4);
  if (length < 0 || length > RING_RECORD_BYTES_MAX) return -ARGUMENT;
  const needed = RING_RECORD_HEADER_BYTES + <u32>length;
  if (needed > capacity) return -ARGUMENT;
  const used = load<u32>(at, USED);
  if (needed > capacity - used) return -RING_OVERFLOW;
  const head = load<u32>(at, HEAD);
  const record = wrap(at, head + used);
  storeHalf(at, record, <u32>length);
  let position = wrap(at, record + RING_RECORD_HEADER_BYTES);
  for (let index = 0; index < length; ++index) {
    store<u8>(at + RING_HEADER_BYTES + <usize>position, load<u8>(from + <usize>index));
    if (++position == capacity) position = 0;
  }
  storeHalf(at, wrap(at, record + 2), crc32(from, length) & 0xffff);
  commit(at, head, used + needed, load<u32>(at, COUNT) + 1);
  return 0;
}

/** Appends, and drops as many of the oldest as that takes. Records dropped, or -ARGUMENT. */
export function ringPushDropping(at: usize, from: usize, length: i32): i32 {
  let dropped: i32 = 0;
  let status = ringPush(at, from, length);
  while (status == -RING_OVERFLOW) {
    ringDrop(at);
    ++dropped;
    status = ringPush(at, from, length);
  }
  return status < 0 ? status : dropped;
}

/** Copies the oldest record out and leaves it. Its bytes, or -ARGUMENT when the ring is empty, or -MESSAGE_SPACE. */
export function ringPeek(at: usize, to: usize, capacity: i32): i32 {
  return ringRead(at, 0, to, capacity);
}

/** Copies the oldest record out and removes it; on an error it stays. */
export function ringPop(at: usize, to: usize, capacity: i32): i32 {
  const length = ringRead(at, 0, to, capacity);
  if (length >= 0) remove(at);
  return length;
}

/** Removes the oldest record because there is no room, and counts it. Its bytes, or -ARGUMENT when the ring is empty. */
export function ringDrop(at: usize): i32 {
  const length = ringRelease(at);
  if (length >= 0) store<u32>(at, load<u32>(at, DROPPED) + 1, DROPPED);
  return length;
}

/** Removes the oldest record because it is acknowledged. Its bytes, or -ARGUMENT when the ring is empty. */
export function ringRelease(at: usize): i32 {
  return load<u32>(at, COUNT) == 0 ? -ARGUMENT : remove(at);
}

/** Where the record after the one at `cursor` begins; cursors count bytes from the oldest record, which is at 0, and stop at the end. */
export function ringNext(at: usize, cursor: u32): u32 {
  if (cursor >= load<u32>(at, USED)) return cursor;
  return cursor + RING_RECORD_HEADER_BYTES + loadHalf(at, wrap(at, load<u32>(at, HEAD) + cursor));
}

/** Copies the record at `cursor` out. Its bytes, -ARGUMENT at the end of the ring, or -MESSAGE_SPACE. */
export function ringRead(at: usize, cursor: u32, to: usize, capacity: i32): i32 {
  if (cursor >= load<u32>(at, USED)) return -ARGUMENT;
  const record = wrap(at, load<u32>(at, HEAD) + cursor);
  const length = <i32>loadHalf(at, record);
  if (length > capacity) return -MESSAGE_SPACE;
  let position = wrap(at, record + RING_RECORD_HEADER_BYTES);
  const end = load<u32>(at, 4);
  for (let index = 0; index < length; ++index) {
    store<u8>(to + <usize>index, load<u8>(at + RING_HEADER_BYTES + <usize>position));
    if (++position == end) position = 0;
  }
  return length;
}

export function ringCount(at: usize): u32 {
  return load<u32>(at, COUNT);
}

/** Bytes in use, record headers included. */
export function ringUsed(at: usize): u32 {
  return load<u32>(at, USED);
}

/** Bytes of records and their headers that fit in all. */
export function ringCapacity(at: usize): u32 {
  return load<u32>(at, 4);
}

/** Records dropped since init, by ringDrop, ringPushDropping and ringRecover. */
export function ringDropped(at: usize): u32 {
  return load<u32>(at, DROPPED);
}

function remove(at: usize): i32 {
  const head = load<u32>(at, HEAD);
  const length = loadHalf(at, head);
  const bytes = RING_RECORD_HEADER_BYTES + length;
  commit(at, wrap(at, head + bytes), load<u32>(at, USED) - bytes, load<u32>(at, COUNT) - 1);
  return <i32>length;
}

/** Offsets stay below twice the capacity, so one subtraction wraps them. */
function wrap(at: usize, offset: u32): u32 {
  const capacity = load<u32>(at, 4);
  return offset >= capacity ? offset - capacity : offset;
}

function loadHalf(at: usize, offset: u32): u32 {
  const data = at + RING_HEADER_BYTES;
  return <u32>load<u8>(data + <usize>offset) | ((<u32>load<u8>(data + <usize>wrap(at, offset + 1))) << 8);
}

function storeHalf(at: usize, offset: u32, value: u32): void {
  const data = at + RING_HEADER_BYTES;
  store<u8>(data + <usize>offset, <u8>value);
  store<u8>(data + <usize>wrap(at, offset + 1), <u8>(value >> 8));
}

function recordCrc(at: usize, record: u32, length: u32): u32 {
  const capacity = load<u32>(at, 4);
  const start = wrap(at, record + RING_RECORD_HEADER_BYTES);
  const data = at + RING_HEADER_BYTES;
  const first = min<u32>(length, capacity - start);
  return crc32Update(crc32(data + <usize>start, <i32>first), data, <i32>(length - first)) & 0xffff;
}

function commit(at: usize, head: u32, used: u32, count: u32): void {
  storeCopy(at, COPY_A, head, used, count);
  storeCopy(at, COPY_B, head, used, count);
}

function storeCopy(at: usize, copy: usize, head: u32, used: u32, count: u32): void {
  store<u32>(at + copy, head);
  store<u32>(at + copy, used, 4);
  store<u32>(at + copy, count, 8);
  store<u32>(at + copy, checkOf(load<u32>(at, 4), head, used, count), 12);
}

function copyValid(at: usize, copy: usize): bool {
  const from = at + copy;
  return (
    load<u32>(from, 12) == checkOf(load<u32>(at, 4), load<u32>(from), load<u32>(from, 4), load<u32>(from, 8))
  );
}

/** Mixes the words so that one torn store changes the check with near certainty. */
function checkOf(capacity: u32, head: u32, used: u32, count: u32): u32 {
  let mixed = CHECK_SEED ^ capacity;
  mixed = rotl<u32>(mixed, 5) ^ (head * 0x85ebca6b);
  mixed = rotl<u32>(mixed, 7) ^ (used * 0xc2b2ae35);
  return rotl<u32>(mixed, 11) ^ (count * 0x27d4eb2f);
}
