/**
 * Map from 64-bit keys to 32-bit values that all threads read and write: open addressing, linear probing, and growth by a migration in which everybody helps (Click, "A Lock-Free Wait-Free
 * Hash Table", 2007; Maier, Sanders and Dementiev, "Concurrent Hash Tables: Fast and General?", 2016).
 *
 *   +0   ends u32 (unused)   +4 firstLog2 u32   +8 tables u32   +12 unused
 *   +64  current u32 (the table to begin with)     +128 count u32 (keys that have a value)
 *   +192 a table's head, 64 bytes each: used u32 (slots with a key), next u32 (slot to migrate next)
 *   then the tables, of 2^firstLog2 slots, twice as many, ...: key u64 (0: none), state u32 and value u32 in one u64
 *
 *   a slot's state    EMPTY -> LIVE <-> DELETED        while its table is in use
 *                     EMPTY, DELETED -> MOVED          once it migrates: nobody writes here again
 *                     LIVE -> FROZEN -> MOVED          frozen with its value, which is copied, then moved
 *
 * A slot's key is set once and for ever. Each table is used once: so there is no ABA and nothing to reclaim. The largest table is the stated capacity: the keys that it has ever seen must fit into it, and a
 * deleted key keeps its slot until the next growth.
 *
 * Migration: whoever finds more than three quarters of the slots with keys, or a slot of a table that is migrating, helps first: it takes slots in turn, and when all are taken it goes over all of them again,
 * so that nobody waits for a helper that sleeps or died. Only when every slot is MOVED the next table becomes the current one and takes writes. So a value that is FROZEN is still the newest,
 * and a copy, which only fills a slot that is EMPTY, can be made twice or too late without harm.
 *
 * Lock-free: someone always gets on. Gets are linearized where they load the state, sets and deletes where they exchange it. The count is exact when all threads are between operations, and off by one for each
 * that died inside one.
 */
import { ARGUMENT, SHARED_FULL, SHARED_KEY_ABSENT } from "../errors/codes.generated";

const FIRST_LOG2: usize = 4;
const TABLES: usize = 8;
const CURRENT: usize = 64;
const COUNT: usize = 128;
const HEADS: usize = 192;
const HEAD_BYTES: usize = 64;
const USED: usize = 0;
const NEXT: usize = 4;
const SLOT_BYTES: usize = 16;
const STATE: usize = 8;

const LOG2_MIN: u32 = 2;
const LOG2_MAX: u32 = 24;

const EMPTY: u32 = 0;
const LIVE: u32 = 1;
const DELETED: u32 = 2;
const FROZEN: u32 = 3;
const MOVED: u32 = 4;

/** Bytes for tables of 2^firstLog2 to 2^lastLog2 slots (2 to 24); 0 when they are none, or above 2^31. */
export function mapBytes(firstLog2: u32, lastLog2: u32): u32 {
  if (firstLog2 < LOG2_MIN || lastLog2 > LOG2_MAX || lastLog2 < firstLog2) return 0;
  const slots = ((<u64>1) << (<u64>lastLog2 + 1)) - ((<u64>1) << (<u64>firstLog2));
  return <u32>(<u64>tablesAt(lastLog2 - firstLog2 + 1) + slots * <u64>SLOT_BYTES);
}

/** In memory that is zero, before anybody else sees it. 0 or -ARGUMENT. */
export function mapInit(at: usize, firstLog2: u32, lastLog2: u32): i32 {
  if (mapBytes(firstLog2, lastLog2) == 0) return -ARGUMENT;
  store<u32>(at, firstLog2, FIRST_LOG2);
  store<u32>(at, lastLog2 - firstLog2 + 1, TABLES);
  return 0;
}

/** The value of a key above 0, or -SHARED_KEY_ABSENT: below 0 as an i64. */
export function mapGet(at: usize, key: u64): i64 {
  const tables = load<u32>(at, TABLES);
  for (let table = atomic.load<u32>(at, CURRENT); table < tables; ++table) {
    const index = find(at, table, key);
    if (index < 0) break;
    const word = wordAt(at, table, index);
    const state = stateIn(word);
    if (state == LIVE || state == FROZEN) return <i64>valueIn(word);
    if (state != MOVED) break;
  }
  return -(<i64>SHARED_KEY_ABSENT);
}

/** Sets a key's value. 0, or -SHARED_FULL; -ARGUMENT for key 0. */
export function mapSet(at: usize, key: u64, value: u32): i32 {
  const was = exchange(at, key, true, false, 0, value);
  return was < 0 && was != -(<i64>SHARED_KEY_ABSENT) ? <i32>was : 0;
}

/** Sets a key that has no value. 1, 0 when it has one, or -SHARED_FULL. */
export function mapAdd(at: usize, key: u64, value: u32): i32 {
  const was = exchange(at, key, false, true, 0, value);
  return was >= 0 ? 0 : was == -(<i64>SHARED_KEY_ABSENT) ? 1 : <i32>was;
}

/** Sets a key's value when it is `expected`. 1, 0 when it is another, or -SHARED_KEY_ABSENT. */
export function mapCompareAndSet(at: usize, key: u64, expected: u32, value: u32): i32 {
  const was = exchange(at, key, false, false, expected, value);
  return was < 0 ? <i32>was : <u32>was == expected ? 1 : 0;
}

/** Deletes a key. The value that it had, or -SHARED_KEY_ABSENT, below 0 as an i64. */
export function mapDelete(at: usize, key: u64): i64 {
  const tables = load<u32>(at, TABLES);
  for (let table = atomic.load<u32>(at, CURRENT); table < tables; ) {
    const index = find(at, table, key);
    if (index < 0) break;
    const slot = slotAt(at, table, index);
    const word = atomic.load<u64>(slot, STATE);
    const state = stateIn(word);
    if (state == EMPTY || state == DELETED) break;
    if (state == LIVE) {
      if (atomic.cmpxchg<u64>(slot, word, packed(DELETED, 0), STATE) != word) continue;
      atomic.sub<u32>(at, 1, COUNT);
      return <i64>valueIn(word);
    }
    migrate(at, table);
    ++table;
  }
  return -(<i64>SHARED_KEY_ABSENT);
}

/** Keys that have a value; about, while threads are in the middle of operations. */
export function mapCount(at: usize): u32 {
  const count = <i32>atomic.load<u32>(at, COUNT);
  return count < 0 ? 0 : <u32>count;
}

/** The table in use. */
export function mapTable(at: usize): u32 {
  return atomic.load<u32>(at, CURRENT);
}

/**
 * Walks over a table's keys, in no order: 1 above the index of the next one that has a value, from index `from` on; 0 at the end; -1 when the table migrates: then it has done so when this comes back, and the walk
 * begins anew in the next one.
 */
export function mapNext(at: usize, table: u32, from: u32): i32 {
  for (let index = from; index < slotsOf(at, table); ++index) {
    const state = stateIn(wordAt(at, table, index));
    if (state == FROZEN || state == MOVED) {
      migrate(at, table);
      return -1;
    }
    if (state == LIVE) return <i32>(index + 1);
  }
  return 0;
}

/** The key at an index where mapNext found one. */
export function mapKeyAt(at: usize, table: u32, index: u32): u64 {
  return atomic.load<u64>(slotAt(at, table, index));
}

/** What the key had, or -SHARED_KEY_ABSENT; then it was set if `always`, or if it was absent and `absent`, or if it had `expected`. */
function exchange(at: usize, key: u64, always: bool, absent: bool, expected: u32, value: u32): i64 {
  if (key == 0) return -(<i64>ARGUMENT);
  const mayClaim = always || absent;
  let table = atomic.load<u32>(at, CURRENT);
  while (true) {
    const index = mayClaim ? claim(at, table, key) : find(at, table, key);
    if (index < 0) {
      if (!mayClaim) return -(<i64>SHARED_KEY_ABSENT);
      if (table + 1 >= load<u32>(at, TABLES)) return -(<i64>SHARED_FULL);
      migrate(at, table);
      ++table;
      continue;
    }
    const slot = slotAt(at, table, index);
    const word = atomic.load<u64>(slot, STATE);
    const state = stateIn(word);
    if (state == FROZEN || state == MOVED) {
      migrate(at, table);
      ++table;
      continue;
    }
    const isLive = state == LIVE;
    const isWanted = always || (isLive ? !absent && valueIn(word) == expected : absent);
    if (isWanted) {
      if (atomic.cmpxchg<u64>(slot, word, packed(LIVE, value), STATE) != word) continue;
      if (!isLive) atomic.add<u32>(at, 1, COUNT);
    }
    return isLive ? <i64>valueIn(word) : -(<i64>SHARED_KEY_ABSENT);
  }
}

/** Index of the key's slot, of the empty slot where the search for it ended when that was moved, or -1. */
function find(at: usize, table: u32, key: u64): i32 {
  const mask = slotsOf(at, table) - 1;
  let index = hash(key) & mask;
  for (let probe: u32 = 0; probe <= mask; ++probe) {
    const slot = slotAt(at, table, index);
    const there = atomic.load<u64>(slot);
    if (there == key) return <i32>index;
    if (there == 0) return stateIn(atomic.load<u64>(slot, STATE)) == MOVED ? <i32>index : -1;
    index = (index + 1) & mask;
  }
  return -1;
}

/** Index of the slot that has the key or now got it, or -1 when the table is too full (the last: full). */
function claim(at: usize, table: u32, key: u64): i32 {
  const slots = slotsOf(at, table);
  const mask = slots - 1;
  const isLast = table + 1 >= load<u32>(at, TABLES);
  const usedMax = isLast ? slots : slots - (slots >> 2);
  let index = hash(key) & mask;
  for (let probe: u32 = 0; probe <= mask; ++probe) {
    const slot = slotAt(at, table, index);
    let there = atomic.load<u64>(slot);
    if (there == 0) {
      // Sealed by a migration: the caller sees it by the state.
      if (stateIn(atomic.load<u64>(slot, STATE)) == MOVED) return <i32>index;
      if (atomic.load<u32>(headAt(at, table), USED) >= usedMax) return -1;
      there = atomic.cmpxchg<u64>(slot, 0, key);
      if (there == 0) {
        atomic.add<u32>(headAt(at, table), 1, USED);
        return <i32>index;
      }
    }
    if (there == key) return <i32>index;
    index = (index + 1) & mask;
  }
  return -1;
}

/** Comes back when the table's keys are in the next one, whoever copied them. */
function migrate(at: usize, table: u32): void {
  const head = headAt(at, table);
  const slots = slotsOf(at, table);
  while (true) {
    const index = atomic.add<u32>(head, 1, NEXT);
    if (index >= slots) break;
    move(at, table, index);
  }
  // Keeps the counter from ever coming round to 0 again.
  atomic.store<u32>(head, slots, NEXT);
  for (let index: u32 = 0; index < slots; ++index) move(at, table, index);
  atomic.cmpxchg<u32>(at, table, table + 1, CURRENT);
}

function move(at: usize, table: u32, index: u32): void {
  const slot = slotAt(at, table, index);
  let word = atomic.load<u64>(slot, STATE);
  while (true) {
    const state = stateIn(word);
    if (state == MOVED) return;
    if (state == FROZEN) copy(at, table + 1, atomic.load<u64>(slot), valueIn(word));
    const to = state == LIVE ? packed(FROZEN, valueIn(word)) : packed(MOVED, 0);
    const found = atomic.cmpxchg<u64>(slot, word, to, STATE);
    word = found == word ? to : found;
  }
}

/** Sets a key's value unless it has, or had, one there. */
function copy(at: usize, table: u32, key: u64, value: u32): void {
  const index = claim(at, table, key);
  if (index >= 0) atomic.cmpxchg<u64>(slotAt(at, table, index), packed(EMPTY, 0), packed(LIVE, value), STATE);
}

function wordAt(at: usize, table: u32, index: u32): u64 {
  return atomic.load<u64>(slotAt(at, table, index), STATE);
}
function stateIn(word: u64): u32 {
  return <u32>(word >> 32);
}
function valueIn(word: u64): u32 {
  return <u32>word;
}
function packed(state: u32, value: u32): u64 {
  return ((<u64>state) << 32) | <u64>value;
}

function headAt(at: usize, table: u32): usize {
  return at + HEADS + <usize>table * HEAD_BYTES;
}
function tablesAt(tables: u32): usize {
  return HEADS + <usize>tables * HEAD_BYTES;
}
function slotsOf(at: usize, table: u32): u32 {
  const log2 = load<u32>(at, FIRST_LOG2) + table;
  return 1 << log2;
}
function slotAt(at: usize, table: u32, index: u32): usize {
  const before = slotsOf(at, table) - slotsOf(at, 0);
  return at + tablesAt(load<u32>(at, TABLES)) + <usize>(before + index) * SLOT_BYTES;
}

/** The finalizer of MurmurHash3 (Appleby), folded: keys that differ in any bit differ in half of these. */
function hash(key: u64): u32 {
  let mixed = key;
  mixed = (mixed ^ (mixed >> 33)) * 0xff51afd7ed558ccd;
  mixed = (mixed ^ (mixed >> 33)) * 0xc4ceb9fe1a85ec53;
  return <u32>(mixed ^ (mixed >> 33));
}
