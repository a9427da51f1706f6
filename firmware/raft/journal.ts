/**
 * What Raft must not forget (term, vote, log, snapshot), in flash that the power may leave at any moment. Sectors are filled one after the other, round and
 * round, so that wear is spread; the one of the highest generation counts, as in ../port/common/journal.h.
 *
 *   sector    [ header ][ snapshot ][ state ][ record ][ record ] ...      cells of 16 bytes
 *   header    magic u32 | generation u32 | owner u32 | CRC-32 of these      written last; zeros once a newer sector counts
 *   record    CRC-32 of what follows | kind u8 | unused u8 | bytes u16, of all of it | body | zeros up to a multiple of 16
 *     state      term u64 | vote u32 | boots u32
 *     snapshot   index u64 | term u64 | configuration | state of the machine
 *     entry      index u64 | entry as in a run (assembly/consensus/raft/log.ts)       it and what follows replace what had that index and above
 *
 * A cut tears the record that is being written, and no other: the next start moves to a new sector, so that a damaged record with a whole one behind it never comes from
 * a cut. That, or a header that is damaged where one must be, is corruption: the board then has forgotten what it promised, and must not take part.
 * The first start makes two sectors before anything is promised in the second: whatever is damaged in the first was worth nothing.
 */
import { crc32 } from "../../assembly/codec/crc32";
import { FIRST, LAST, TERM, VOTE } from "../../assembly/consensus/raft/layout";
import { ENTRY_HEADER_BYTES, logRun } from "../../assembly/consensus/raft/log";
import { configBytes } from "../../assembly/consensus/raft/members";
import { raftRestore, raftRestoreEntries } from "../../assembly/consensus/raft/node";
import { reserve } from "../system/memory";
import { hal_flash_erase, hal_flash_program, hal_flash_read, hal_flash_sectors } from "./hal";
import { machineLoad, STATE_BYTES } from "./machine";

const MAGIC: u32 = 0x46524454; // "TDRF"
const CELL: u32 = 16;
const SECTOR_BYTES: u32 = 4096;
const HEAD_BYTES: u32 = 8;
const RECORD_BYTES_MAX: u32 = 256;
const ATTEMPTS: u32 = 3;
const FIRST_PROMISES: u32 = 2;

const STATE: u8 = 1;
const SNAPSHOT: u8 = 2;
const ENTRY: u8 = 3;

/** Nothing was ever promised here. */
export const NEW: i32 = 1;
export const FOUND: i32 = 2;
export const CORRUPT: i32 = 3;

/** Entries that a node holds, and so that stand above its snapshot. */
export const ENTRIES: u32 = 64;

const record: usize = reserve(RECORD_BYTES_MAX);
/** While the journal is read: where the record that counts for an index stands in its sector, u16 each. */
const places: usize = reserve(<usize>ENTRIES * 2);
const body: usize = record + HEAD_BYTES;
let sector: u32 = 0;
let generation: u32 = 0;
let owner: u32 = 0;
/** First byte of the sector that is still blank. */
let next: u32 = SECTOR_BYTES;
let isTorn: bool = false;
let boots: u32 = 0;

/** Counts this board's starts; the next record of term and vote makes it last. */
export function journalBoots(): u32 {
  return boots;
}
export function journalCountBoot(): void {
  ++boots;
}

/** Looks for the sector that counts. `mine`: whose journal it must be. */
export function journalOpen(mine: u32): i32 {
  owner = mine;
  const sectors = hal_flash_sectors();
  let isUsed = false;
  let isForeign = false;
  generation = 0;
  for (let at: u32 = 0; at < sectors; ++at) {
    hal_flash_read(at * SECTOR_BYTES, record, CELL);
    const magic = load<u32>(record);
    const own = load<u32>(record, 4);
    if (magic == MAGIC && load<u32>(record, 12) == crc32(record, 12)) {
      if (own <= generation) continue;
      generation = own;
      sector = at;
      isForeign = load<u32>(record, 8) != owner;
    } else if ((magic == MAGIC && own != 1) || (magic | own | load<u32>(record, 12)) == 0) isUsed = true;
  }
  if (generation == 0) return isUsed ? CORRUPT : NEW;
  return isForeign ? CORRUPT : FOUND;
}

/** Gives a node what stands in the journal, and the machine its state. FOUND, or CORRUPT. */
export function journalRestore(node: usize): i32 {
  const base = sector * SECTOR_BYTES;
  let snapshotAt: u32 = 0;
  let stateAt: u32 = 0;
  let last: u64 = 0;
  next = CELL;
  while (next < SECTOR_BYTES && readRecord(base + next, SECTOR_BYTES - next)) {
    const kind = load<u8>(record, 4);
    const index = load<u64>(body);
    if (kind == STATE) stateAt = next;
    else if (kind == SNAPSHOT) {
      snapshotAt = next;
      last = max<u64>(last, index);
    } else {
      if (index == 0 || index > last + 1) return CORRUPT;
      store<u16>(placeOf(index), <u16>next);
      last = index;
    }
    next += recordBytes();
  }
  if (snapshotAt == 0 || stateAt == 0 || !tailIsSound(base)) return CORRUPT;
  readRecord(base + stateAt, SECTOR_BYTES);
  const term = load<u64>(body);
  const vote = load<u32>(body, 8);
  boots = load<u32>(body, 12);
  readRecord(base + snapshotAt, SECTOR_BYTES);
  const snapshot = load<u64>(body);
  const config = body + 16;
  const bytes = configBytes(load<u32>(config));
  if (raftRestore(node, term, vote, snapshot, load<u64>(body, 8), config, bytes) != 0) return CORRUPT;
  machineLoad(config + <usize>bytes);
  for (let index = snapshot + 1; index <= last; ++index) {
    if (!readRecord(base + <u32>load<u16>(placeOf(index)), SECTOR_BYTES)) return CORRUPT;
    const entry = body + 8;
    const entryBytes = <u32>ENTRY_HEADER_BYTES + ((load<u32>(entry, 8) + 7) & ~7);
    if (load<u64>(body) != index || raftRestoreEntries(node, entry, entryBytes) != 0) return CORRUPT;
  }
  return FOUND;
}

function placeOf(index: u64): usize {
  return places + <usize>((<u32>index & (ENTRIES - 1)) << 1);
}

/** Term and vote of the node, and the boots. False when flash failed. */
export function journalState(node: usize): bool {
  return append(stateRecord(node));
}

/** One entry of the node's log. */
export function journalEntry(node: usize, index: u64): bool {
  return append(entryRecord(node, index));
}

/** A snapshot of the machine as it is after `index`; entries above it stay. */
export function journalSnapshot(index: u64, term: u64, config: usize, state: usize): bool {
  return append(snapshotRecord(index, term, config, state));
}

/** Whether so many bytes of records have room. */
export function journalHasRoom(bytes: u32): bool {
  return !isTorn && next + bytes <= SECTOR_BYTES;
}
export const ENTRY_RECORD_BYTES: u32 = 48;
export const STATE_RECORD_BYTES: u32 = 32;
export const SNAPSHOT_RECORD_BYTES: u32 = RECORD_BYTES_MAX;

/**
 * Goes on in a new sector: the snapshot of `index`, term and vote of the node, and its entries above that. Until the new header is whole the old sector counts.
 * False when flash failed.
 */
export function journalMove(node: usize, index: u64, term: u64, config: usize, state: usize): bool {
  const sectors = hal_flash_sectors();
  const old = sector;
  const isFirst = generation == 0;
  for (let tried: u32 = 0; tried < ATTEMPTS; ++tried) {
    const into = isFirst ? tried : (old + 1 + tried) % sectors;
    if (into == old && !isFirst) return false;
    hal_flash_erase(into * SECTOR_BYTES);
    sector = into;
    next = CELL;
    isTorn = false;
    if (!fill(node, index, term, config, state) || !writeHeader()) continue;
    if (!isFirst) retire(old);
    return true;
  }
  return false;
}

/** The first sectors of a new journal; boots are counted from `bootsFrom`. */
export function journalBegin(node: usize, config: usize, state: usize, bootsFrom: u32): bool {
  boots = bootsFrom;
  while (generation < FIRST_PROMISES) if (!journalMove(node, 0, 0, config, state)) return false;
  return true;
}

function fill(node: usize, index: u64, term: u64, config: usize, state: usize): bool {
  if (!journalSnapshot(index, term, config, state) || !append(stateRecord(node))) return false;
  const from = index + 1 > load<u64>(node, FIRST) ? index + 1 : load<u64>(node, FIRST);
  for (let at = from; at <= load<u64>(node, LAST); ++at) if (!journalEntry(node, at)) return false;
  return true;
}

function writeHeader(): bool {
  store<u32>(record, MAGIC);
  store<u32>(record, generation + 1, 4);
  store<u32>(record, owner, 8);
  store<u32>(record, crc32(record, 12), 12);
  if (hal_flash_program(sector * SECTOR_BYTES, record) == 0) return false;
  ++generation;
  return true;
}

/** So that it can never be taken for the newest again. */
function retire(old: u32): void {
  memory.fill(record, 0, CELL);
  hal_flash_program(old * SECTOR_BYTES, record);
}

function stateRecord(node: usize): u32 {
  store<u64>(body, load<u64>(node, TERM));
  store<u32>(body, load<u32>(node, VOTE), 8);
  store<u32>(body, boots, 12);
  return seal(STATE, 16);
}
function entryRecord(node: usize, index: u64): u32 {
  store<u64>(body, index);
  return seal(ENTRY, 8 + logRun(node, index, index, body + 8, RECORD_BYTES_MAX - HEAD_BYTES - 8, false));
}
function snapshotRecord(index: u64, term: u64, config: usize, state: usize): u32 {
  const bytes = configBytes(load<u32>(config));
  store<u64>(body, index);
  store<u64>(body, term, 8);
  memory.copy(body + 16, config, bytes);
  memory.copy(body + 16 + <usize>bytes, state, STATE_BYTES);
  return seal(SNAPSHOT, 16 + bytes + STATE_BYTES);
}

/** Head, padding and CRC around a body; the bytes of the record. */
function seal(kind: u8, bodyBytes: u32): u32 {
  const used = HEAD_BYTES + bodyBytes;
  const bytes = (used + CELL - 1) & ~(CELL - 1);
  memory.fill(record + <usize>used, 0, bytes - used);
  store<u32>(record, <u32>kind | (bytes << 16), 4);
  store<u32>(record, crc32(record + 4, <i32>bytes - 4));
  return bytes;
}

function append(bytes: u32): bool {
  if (next + bytes > SECTOR_BYTES) return false;
  const at = sector * SECTOR_BYTES + next;
  next += bytes;
  for (let cell: u32 = 0; cell < bytes; cell += CELL) {
    if (hal_flash_program(at + cell, record + <usize>cell) != 0) continue;
    // Nothing may stand behind a damaged record.
    isTorn = true;
    return false;
  }
  return true;
}

function recordBytes(): u32 {
  return <u32>load<u16>(record, 6);
}

/** Reads the record at an offset of the area; whether it is one, and whole. */
function readRecord(offset: u32, room: u32): bool {
  hal_flash_read(offset, record, CELL);
  const kind = load<u8>(record, 4);
  const bytes = recordBytes();
  if (kind < STATE || kind > ENTRY || bytes < CELL || bytes > RECORD_BYTES_MAX || bytes > room) return false;
  hal_flash_read(offset, record, bytes);
  return (bytes & (CELL - 1)) == 0 && load<u32>(record) == crc32(record + 4, <i32>bytes - 4);
}

/** Behind the last whole record: blank, or what a cut tore, with no whole record behind it. */
function tailIsSound(offset: u32): bool {
  isTorn = false;
  for (let at = next; at < SECTOR_BYTES; at += CELL) {
    if (readRecord(offset + at, SECTOR_BYTES - at)) return false;
    hal_flash_read(offset + at, record, CELL);
    if ((load<u64>(record) & load<u64>(record, 8)) != u64.MAX_VALUE) isTorn = true;
  }
  return true;
}
