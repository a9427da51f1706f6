/**
 * A device's error monitor: how often each code happened in each component, how often lately, and the last of all with when and what. It is
 * meant for RAM that survives a warm reset, where it becomes the crash log of the next boot.
 *
 * After a power cut such RAM holds anything, and a crash may have written anywhere. So the head has a magic number, a CRC-32 and the
 * boot it belongs to, which decide about the whole; each row and each entry has 16 bits of CRC-32 of its own, so that one that was
 * damaged, or torn by a reset in the middle of writing, costs itself alone and is counted.
 *
 *   +0   head     magic u32, check u32 (CRC-32 of +8 to +24), boot u32, total u32, crashes u32, evicted u16, newest u8, pad u8
 *   +24  rows     ROWS of 36: check u16, code u16, severity u8, name bytes u8, in this window u16, in the one before u16,
 *                 window u16 (now / 2^26 us, some 67 s), count u32, last u32 (now / 2^10 us), name 16
 *   +240 entries  LAST of 20: check u16, code u16, severity u8, row u8 (NO_ROW: evicted), pad u16, uptime u32 (now / 2^10 us), detail i64
 *
 * A slot whose code is 0 is empty. When all rows are taken, the one that was quiet for longest makes room; `evicted` counts those, `total`
 * counts every error, so that nothing goes unsaid. Times are microseconds since boot; within the monitor they wrap after 50 days.
 */
import { crc32 } from "../codec/crc32";

export const MONITOR_ROWS: u32 = 6;
export const MONITOR_LAST: u32 = 6;
const HEAD_BYTES: usize = 24;
const ROW_BYTES: usize = 36;
const ENTRY_BYTES: usize = 20;
const ROWS: usize = HEAD_BYTES;
const ENTRIES: usize = HEAD_BYTES + 6 * ROW_BYTES;
export const MONITOR_BYTES: usize = ENTRIES + 6 * ENTRY_BYTES;
/** What is kept of a component's name. */
export const MONITOR_NAME_BYTES: i32 = 16;
export const NO_ROW: u32 = 255;

const MAGIC: u32 = 0x4d4f4e31;
const NAME: usize = 20;
const TICK_BITS: u64 = 10;
const WINDOW_BITS: u64 = 26;
/** The window as a fraction of 2^16, for the share of the one before. */
const SHARE_BITS: u64 = WINDOW_BITS - 16;

/** Empty, of that boot. */
export function monitorInit(at: usize, boot: u32): void {
  for (let word: usize = 0; word < MONITOR_BYTES; word += 4) store<u32>(at + word, 0);
  store<u32>(at, MAGIC);
  store<u32>(at, boot, 8);
  seal(at);
}

/**
 * Whether what lies there is the monitor of that boot: -1 when it is not, else how many rows and entries were damaged; those are emptied.
 */
export function monitorRecover(at: usize, boot: u32): i32 {
  if (load<u32>(at) != MAGIC || load<u32>(at, 8) != boot) return -1;
  if (load<u32>(at, 4) != crc32(at + 8, 16) || load<u8>(at, 22) >= MONITOR_LAST) return -1;
  let damaged = 0;
  for (let index: u32 = 0; index < MONITOR_ROWS; index += 1) {
    const row = monitorRow(at, index);
    if (monitorCode(row) == 0 || isWhole(row, ROW_BYTES)) continue;
    damaged += 1;
    forget(at, index);
  }
  for (let index: u32 = 0; index < MONITOR_LAST; index += 1) {
    const entry = at + ENTRIES + <usize>index * ENTRY_BYTES;
    if (monitorCode(entry) == 0 || isWhole(entry, ENTRY_BYTES)) continue;
    damaged += 1;
    store<u16>(entry, 0, 2);
  }
  return damaged;
}

/** Errors since the boot. */
export function monitorTotal(at: usize): u32 {
  return load<u32>(at, 12);
}
/** Errors whose row had to make room. */
export function monitorEvicted(at: usize): u32 {
  return load<u16>(at, 20);
}
/** A number for the supervisor, kept with the rest: how many boots in a row ended in a crash. */
export function monitorCrashes(at: usize): u32 {
  return load<u32>(at, 16);
}
export function monitorCrashesSet(at: usize, crashes: u32): void {
  store<u32>(at, crashes, 16);
  seal(at);
}

/** Counts an error and keeps it as the newest. Returns how often this code and component had one since the boot. */
export function monitorRecord(
  at: usize,
  code: u32,
  severity: u32,
  name: usize,
  length: i32,
  detail: i64,
  now: u64,
): u32 {
  const ticks = <u32>(now >> TICK_BITS);
  const index = rowFor(at, code, severity, name, length);
  const row = monitorRow(at, index);
  roll(row, <u16>(now >> WINDOW_BITS));
  if (load<u16>(row, 6) < u16.MAX_VALUE) store<u16>(row, load<u16>(row, 6) + 1, 6);
  const count = monitorRowCount(row) + 1;
  store<u32>(row, count, 12);
  store<u32>(row, ticks, 16);
  if (severity > load<u8>(row, 4)) store<u8>(row, <u8>severity, 4);
  mark(row, ROW_BYTES);

  const newest = (<u32>load<u8>(at, 22) + 1) % MONITOR_LAST;
  const entry = at + ENTRIES + <usize>newest * ENTRY_BYTES;
  store<u16>(entry, <u16>code, 2);
  store<u8>(entry, <u8>severity, 4);
  store<u8>(entry, <u8>index, 5);
  store<u16>(entry, 0, 6);
  store<u32>(entry, ticks, 8);
  store<i64>(entry, detail, 12);
  mark(entry, ENTRY_BYTES);

  store<u32>(at, monitorTotal(at) + 1, 12);
  store<u8>(at, <u8>newest, 22);
  seal(at);
  return count;
}

/** How often in the last window of 2^26 us: this window's, and the part of the one before that it still covers. */
export function monitorRate(at: usize, code: u32, name: usize, length: i32, now: u64): u32 {
  const index = find(at, code, name, cut(name, length));
  if (index == NO_ROW) return 0;
  const row = monitorRow(at, index);
  const past = <u32>(<u16>(now >> WINDOW_BITS) - load<u16>(row, 10)) & 0xffff;
  if (past > 1) return 0;
  const share = 0xffff - (<u32>(now >> SHARE_BITS) & 0xffff);
  const current = past == 0 ? <u32>load<u16>(row, 6) : 0;
  const before = past == 0 ? <u32>load<u16>(row, 8) : <u32>load<u16>(row, 6);
  return current + ((before * share) >> 16);
}

/** Rows, 0 to MONITOR_ROWS - 1, in no order; one whose code is 0 is empty. */
export function monitorRow(at: usize, index: u32): usize {
  return at + ROWS + <usize>index * ROW_BYTES;
}
export function monitorRowCount(row: usize): u32 {
  return load<u32>(row, 12);
}
export function monitorRowName(row: usize): usize {
  return row + NAME;
}
export function monitorRowNameLength(row: usize): i32 {
  return load<u8>(row, 5);
}
/** Code of a row or of an entry. */
export function monitorCode(slot: usize): u32 {
  return load<u16>(slot, 2);
}
/** Entries, 0 the newest, to MONITOR_LAST - 1; one whose code is 0 is empty. */
export function monitorEntry(at: usize, age: u32): usize {
  const newest = <u32>load<u8>(at, 22) + MONITOR_LAST;
  return at + ENTRIES + <usize>((newest - age) % MONITOR_LAST) * ENTRY_BYTES;
}
/** Its row, or NO_ROW. */
export function monitorEntryRow(entry: usize): u32 {
  return load<u8>(entry, 5);
}
/** In microseconds, to 1.024 ms. */
export function monitorEntryUptime(entry: usize): u64 {
  return (<u64>load<u32>(entry, 8)) << TICK_BITS;
}
export function monitorEntryDetail(entry: usize): i64 {
  return load<i64>(entry, 12);
}

function seal(at: usize): void {
  store<u32>(at, crc32(at + 8, 16), 4);
}
function check(slot: usize, bytes: usize): u16 {
  return <u16>crc32(slot + 2, <i32>bytes - 2);
}
function mark(slot: usize, bytes: usize): void {
  store<u16>(slot, check(slot, bytes));
}
function isWhole(slot: usize, bytes: usize): bool {
  return load<u16>(slot) == check(slot, bytes);
}
/** Bytes of a name that are kept: whole characters, since half of one is no UTF-8 and its message would be refused. */
function cut(name: usize, length: i32): i32 {
  if (length <= MONITOR_NAME_BYTES) return length;
  let kept = MONITOR_NAME_BYTES;
  while (kept > 0 && (load<u8>(name + <usize>kept) & 0xc0) == 0x80) kept -= 1;
  return kept;
}

function find(at: usize, code: u32, name: usize, kept: i32): u32 {
  for (let index: u32 = 0; index < MONITOR_ROWS; index += 1) {
    const row = monitorRow(at, index);
    if (monitorCode(row) != code || monitorRowNameLength(row) != kept) continue;
    if (memory.compare(row + NAME, name, kept) == 0) return index;
  }
  return NO_ROW;
}

/** The row of a pair: its own, an empty one, or the one that was quiet for longest. */
function rowFor(at: usize, code: u32, severity: u32, name: usize, length: i32): u32 {
  const kept = cut(name, length);
  let index = find(at, code, name, kept);
  if (index != NO_ROW) return index;
  index = 0;
  for (let other: u32 = 0; other < MONITOR_ROWS; other += 1) {
    const row = monitorRow(at, other);
    if (monitorCode(row) == 0) {
      index = other;
      break;
    }
    if (<i32>(load<u32>(row, 16) - load<u32>(monitorRow(at, index), 16)) < 0) index = other;
  }
  const row = monitorRow(at, index);
  if (monitorCode(row) != 0 && load<u16>(at, 20) < u16.MAX_VALUE) store<u16>(at, load<u16>(at, 20) + 1, 20);
  forget(at, index);
  store<u16>(row, <u16>code, 2);
  store<u8>(row, <u8>severity, 4);
  store<u8>(row, <u8>kept, 5);
  memory.copy(row + NAME, name, kept);
  return index;
}

/** Empties a row; the entries that were its stay, without a name. */
function forget(at: usize, index: u32): void {
  const row = monitorRow(at, index);
  for (let word: usize = 0; word < ROW_BYTES; word += 4) store<u32>(row + word, 0);
  for (let age: u32 = 0; age < MONITOR_LAST; age += 1) {
    const entry = at + ENTRIES + <usize>age * ENTRY_BYTES;
    if (monitorEntryRow(entry) != index || monitorCode(entry) == 0 || !isWhole(entry, ENTRY_BYTES)) continue;
    store<u8>(entry, <u8>NO_ROW, 5);
    mark(entry, ENTRY_BYTES);
  }
}

/** Moves a row's windows on to the one of now. */
function roll(row: usize, window: u16): void {
  const past = <u32>(window - load<u16>(row, 10)) & 0xffff;
  if (past == 0) return;
  store<u16>(row, past == 1 ? load<u16>(row, 6) : 0, 8);
  store<u16>(row, 0, 6);
  store<u16>(row, window, 10);
}
