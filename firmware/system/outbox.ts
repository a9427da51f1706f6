/**
 * The outbox: every sequenced message until its durable acknowledgement, in RAM that survives a warm reset.
 *
 * Problem: a device that is cut off for hours produces more than it can keep, must say what it lost, and must not count a
 * message as lost that the gateway may hold already. So the ring drops its oldest, and each dropped message turns into a
 * drop record, which takes the number of the last message it covers; the gateway then sees one order without a hole.
 * A message that was never sent joins the newest drop record when that one was not sent either; a message that was sent
 * (it may be stored) gets a record of its own, so a record never covers stored and lost messages together. Sent but
 * unacknowledged messages are at most a window, so the records are at most a window and one for each boot of the outage.
 * Past that the oldest record is forgotten; hello then begins later than the gateway expects, and it records the gap.
 *
 *   RETAINED_BASE          header, copy 0   (the copy with the higher generation and a right CRC counts)
 *   RETAINED_BASE + 840    header, copy 1
 *   RETAINED_BASE + 1680   the batch that is still open, BATCH_BYTES (telemetry.ts)
 *   RETAINED_BASE + 2224   the error monitor, MONITOR_ROOM (crash-log.ts)
 *   RETAINED_BASE + 2592   ring
 *
 *   header  +0 magic  +4 generation  +8 CRC-32 of the rest  +12 head  +16 tail  +20 records
 *           +24 boot  +28 next sequence  +32 readings dropped  +36 drops  +40 drop records, 20 bytes each:
 *           +0 boot  +4 from  +8 to  +12 readings  +16 sent
 *   record  +0 length u16  +2 readings u8  +3 sent u8  +4 boot u32  +8 sequence u32  +12 bytes, padded to 4
 *           length 0xffff: the rest of the ring is unused, the next record is at 0
 */
import { crc32 } from "../../assembly/codec/crc32";
import { MESSAGE_WINDOW_MAX } from "../../assembly/codec/schema.generated";
import { RETAINED_BASE, retainedBytes } from "./memory";

const MAGIC: u32 = 0x54415245;
const HEADER_BYTES: usize = 840;
const DROP_BYTES: usize = 20;
/** A window of sent ones, and one for each boot that a long outage may span. */
const DROPS_MAX: u32 = MESSAGE_WINDOW_MAX + 8;
const HEADER_HEAD: usize = 40;
/** A batch's 32 readings and its head. */
const BATCH_BYTES: usize = 544;
export const BATCH: usize = RETAINED_BASE + HEADER_BYTES * 2;
const MONITOR_ROOM: usize = 368;
export const MONITOR: usize = BATCH + BATCH_BYTES;
const RING: usize = MONITOR + MONITOR_ROOM;
const RING_BYTES: u32 = retainedBytes() - <u32>(RING - RETAINED_BASE);
const RECORD_HEAD: u32 = 12;
const WRAP: u16 = 0xffff;

let current: usize = RETAINED_BASE;
/** Send cursor: drop records sent, then ring offset and number of ring records sent in this session. */
let dropsSent: u32 = 0;
let cursor: u32 = 0;
let ringSent: u32 = 0;

function field(offset: usize): u32 {
  return load<u32>(current + offset);
}
function setField(offset: usize, value: u32): void {
  store<u32>(current + offset, value);
}
function drop(index: u32): usize {
  return current + HEADER_HEAD + <usize>index * DROP_BYTES;
}
function headerBytes(at: usize): u32 {
  return <u32>HEADER_HEAD + load<u32>(at, 36) * <u32>DROP_BYTES;
}

/** Works on the other copy and makes it the valid one, so a reset in between leaves the old state whole. */
function begin(): void {
  const other = current == RETAINED_BASE ? RETAINED_BASE + HEADER_BYTES : RETAINED_BASE;
  memory.copy(other, current, headerBytes(current));
  store<u32>(other, 0, 8);
  current = other;
}
function commit(): void {
  setField(4, field(4) + 1);
  store<u32>(current, crc32(current + 12, <i32>(headerBytes(current) - 12)), 8);
}

function valid(at: usize): bool {
  if (load<u32>(at) != MAGIC || load<u32>(at, 36) > DROPS_MAX) return false;
  if (load<u32>(at, 12) > RING_BYTES || load<u32>(at, 16) > RING_BYTES) return false;
  return load<u32>(at, 8) == crc32(at + 12, <i32>(headerBytes(at) - 12));
}

/** Takes over what a warm reset left; false when there is nothing to take over. */
export function outboxRecover(): bool {
  const first = valid(RETAINED_BASE);
  const second = valid(RETAINED_BASE + HEADER_BYTES);
  if (!first && !second) return false;
  const newer = <i32>(load<u32>(RETAINED_BASE + HEADER_BYTES, 4) - load<u32>(RETAINED_BASE, 4)) > 0;
  current = second && (!first || newer) ? RETAINED_BASE + HEADER_BYTES : RETAINED_BASE;
  outboxRewind();
  return true;
}

export function outboxClear(): void {
  current = RETAINED_BASE;
  memory.fill(RETAINED_BASE, 0, MONITOR - RETAINED_BASE);
  setField(0, MAGIC);
  commit();
  outboxRewind();
}

/** Starts a boot's numbering. */
export function outboxOpenBoot(boot: u32): void {
  begin();
  setField(24, boot);
  setField(28, 1);
  setField(32, 0);
  commit();
}

export function outboxBoot(): u32 {
  return field(24);
}
/** Sequence number that the next message takes. */
export function outboxNextSequence(): u32 {
  return field(28);
}
/** Readings dropped in this boot. */
export function outboxDropped(): u32 {
  return field(32);
}
export function outboxCount(): u32 {
  return field(20) + field(36);
}
export function outboxRingBytes(): u32 {
  return RING_BYTES;
}

function recordBytes(length: u32): u32 {
  return RECORD_HEAD + ((length + 3) & ~3);
}
function skipWrap(at: u32): u32 {
  return at + RECORD_HEAD > RING_BYTES || load<u16>(RING + at) == WRAP ? 0 : at;
}

/** Room between head and tail for a record, without the tail being reached; ring empty means all of it. */
function placeFor(bytes: u32): i32 {
  const head = field(12);
  const tail = field(16);
  if (field(20) == 0) return 0;
  if (head > tail) {
    if (head + bytes <= RING_BYTES) return <i32>head;
    return bytes < tail ? 0 : -1;
  }
  return head + bytes < tail ? <i32>head : -1;
}

/** Drops the oldest message of the ring into the drop records. */
function dropOldest(): void {
  const tail = skipWrap(field(16));
  const at = RING + tail;
  const boot = load<u32>(at, 4);
  const sequence = load<u32>(at, 8);
  const readings = <u32>load<u8>(at, 2);
  const sent = load<u8>(at, 3) != 0;
  let count = field(36);
  const last = count > 0 ? drop(count - 1) : 0;
  const follows = last != 0 && load<u32>(last) == boot && load<u32>(last, 8) + 1 == sequence;
  if (follows && !sent && load<u32>(last, 16) == 0) {
    store<u32>(last, sequence, 8);
    store<u32>(last, load<u32>(last, 12) + readings, 12);
  } else {
    if (count == DROPS_MAX) {
      memory.copy(drop(0), drop(1), <usize>(count - 1) * DROP_BYTES);
      count -= 1;
      if (dropsSent > 0) dropsSent -= 1;
    }
    const next = drop(count);
    store<u32>(next, boot);
    store<u32>(next, sequence, 4);
    store<u32>(next, sequence, 8);
    store<u32>(next, readings, 12);
    store<u32>(next, sent ? 1 : 0, 16);
    setField(36, count + 1);
    if (ringSent > 0) dropsSent += 1;
  }
  if (ringSent > 0) ringSent -= 1;
  const after = tail + recordBytes(load<u16>(at));
  if (cursor == field(16) || cursor == tail) cursor = after;
  setField(16, after);
  setField(20, field(20) - 1);
  setField(32, field(32) + readings);
}

/**
 * Stores a message under the sequence number that it was encoded with, dropping the oldest as needed. `readings` are in it.
 * Returns the number of messages dropped for it.
 */
export function outboxPush(ptr: usize, length: u32, readings: u32): i32 {
  const bytes = recordBytes(length);
  begin();
  let dropped = 0;
  let place = placeFor(bytes);
  while (place < 0) {
    dropOldest();
    dropped += 1;
    place = placeFor(bytes);
  }
  // The dropped records' bytes are written over next: the header that no longer names them must be the valid one by then.
  if (dropped > 0) {
    commit();
    begin();
  }
  const head = field(12);
  if (field(20) == 0) {
    setField(16, 0);
    cursor = 0;
  } else if (<u32>place != head && head + RECORD_HEAD <= RING_BYTES) store<u16>(RING + head, WRAP);
  const at = RING + <usize>place;
  store<u16>(at, <u16>length);
  store<u8>(at, <u8>readings, 2);
  store<u8>(at, 0, 3);
  store<u32>(at, field(24), 4);
  store<u32>(at, field(28), 8);
  memory.copy(at + RECORD_HEAD, ptr, length);
  setField(12, <u32>place + bytes);
  setField(20, field(20) + 1);
  setField(28, field(28) + 1);
  commit();
  return dropped;
}

/** Sends from the oldest again: a new session, or a resend. */
export function outboxRewind(): void {
  dropsSent = 0;
  ringSent = 0;
  cursor = field(16);
}
export function outboxInFlight(): u32 {
  return dropsSent + ringSent;
}
export function outboxUnsent(): u32 {
  return outboxCount() - outboxInFlight();
}

/** Whether the next one to send is a drop record; its fields follow below. Only when outboxUnsent() > 0. */
export function outboxNextIsDrop(): bool {
  return dropsSent < field(36);
}
export function outboxDropBoot(): u32 {
  return load<u32>(drop(dropsSent));
}
export function outboxDropFrom(): u32 {
  return load<u32>(drop(dropsSent), 4);
}
export function outboxDropTo(): u32 {
  return load<u32>(drop(dropsSent), 8);
}
export function outboxDropReadings(): u32 {
  return load<u32>(drop(dropsSent), 12);
}
export function outboxNextPtr(): usize {
  cursor = skipWrap(cursor);
  return RING + <usize>cursor + RECORD_HEAD;
}
export function outboxNextLength(): u32 {
  return load<u16>(RING + <usize>skipWrap(cursor));
}

/** Moves the cursor past what was just sent and marks it, so that dropping it later is stated apart. */
export function outboxSent(): void {
  if (outboxNextIsDrop()) {
    begin();
    store<u32>(drop(dropsSent), 1, 16);
    commit();
    dropsSent += 1;
    return;
  }
  cursor = skipWrap(cursor);
  const at = RING + <usize>cursor;
  store<u8>(at, 1, 3);
  cursor += recordBytes(load<u16>(at));
  ringSent += 1;
}

/** Boot of the oldest message held, else of the next one. */
export function outboxOldestBoot(): u32 {
  if (field(36) > 0) return load<u32>(drop(0));
  if (field(20) > 0) return load<u32>(RING + <usize>skipWrap(field(16)), 4);
  return field(24);
}
/** Lowest sequence number that the oldest message held stands for, else the next one. */
export function outboxOldestSequence(): u32 {
  if (field(36) > 0) return load<u32>(drop(0), 4);
  if (field(20) > 0) return load<u32>(RING + <usize>skipWrap(field(16)), 8);
  return field(28);
}

function covered(boot: u32, sequence: u32, ackBoot: u32, ackSequence: u32): bool {
  return boot < ackBoot || (boot == ackBoot && sequence <= ackSequence);
}

/** Forgets what is durable. Returns the number of messages forgotten. */
export function outboxAcknowledge(boot: u32, sequence: u32): u32 {
  let forgotten: u32 = 0;
  begin();
  let drops = field(36);
  let gone: u32 = 0;
  while (gone < drops && covered(load<u32>(drop(gone)), load<u32>(drop(gone), 8), boot, sequence)) gone += 1;
  if (gone > 0) {
    memory.copy(drop(0), drop(gone), <usize>(drops - gone) * DROP_BYTES);
    setField(36, drops - gone);
    dropsSent = dropsSent > gone ? dropsSent - gone : 0;
    forgotten += gone;
  }
  while (field(36) == 0 && field(20) > 0) {
    const tail = skipWrap(field(16));
    const at = RING + tail;
    if (!covered(load<u32>(at, 4), load<u32>(at, 8), boot, sequence)) break;
    const after = tail + recordBytes(load<u16>(at));
    if (ringSent > 0) ringSent -= 1;
    else cursor = after;
    setField(16, after);
    setField(20, field(20) - 1);
    forgotten += 1;
  }
  if (field(20) == 0) {
    setField(12, 0);
    setField(16, 0);
    cursor = 0;
  }
  commit();
  return forgotten;
}
