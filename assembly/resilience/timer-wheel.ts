/**
 * Hierarchical timer wheel (Varghese, Lauck, "Hashed and Hierarchical Timing Wheels", SOSP 1987, scheme 7): starting and stopping a timer costs
 * the same however many run, which is what timeouts want, since nearly all of them are stopped.
 *
 * Five levels of 32 slots, a slot of level n is 32^n ticks long, a tick 1,024 us (so that no time is divided). A timer lies on the level of the
 * highest base-32 digit in which its tick differs from the wheel's; when the wheel comes to a slot of an upper level, its timers move down. A bitmap a
 * level says which slots hold timers, so the wheel jumps from one to the next instead of ticking. Timers beyond the reach (9 hours) wait on the top level.
 * A timer is never early and at most a tick late; timers of one tick come in any order.
 *
 *   +0 capacity u32   +4 free u32 (index + 1, 0: none)   +8 tick u64 (all before it are done)   +16 used u32   +20 due u32 (list of timers that are due)
 *   +24 a bitmap u32 a level, 5   +44 unused   +48 first timer u32 (index + 1) of each slot, 160
 *   +688 a timer: +0 next u32   +4 previous u32 (index + 1, 0: first)   +8 tick u64   +16 tag u32   +20 slot u16 (160: due, 0xffff: free)   +22 generation u16
 *   handle: bits 0-19 index + 1, bits 20-30 generation
 */
import { ARGUMENT, POOL_FULL } from "../errors/codes.generated";

export const WHEEL_TIMERS_MAX: u32 = 0xf_fffe;

const LEVELS: u32 = 5;
const DIGIT_BITS: u32 = 5;
const SLOTS_A_LEVEL: u32 = 32;
const DIGIT_MASK: u64 = 31;
const TICK_BITS: u64 = 10;
const REACH_TICKS: u64 = (31 << 20) - 1;

const CAPACITY: usize = 0;
const FREE: usize = 4;
const TICK: usize = 8;
const USED: usize = 16;
const DUE: usize = 20;
const BITMAPS: usize = 24;
const HEADS: usize = 48;
const TIMERS: usize = 688;
const TIMER_BYTES: usize = 24;
const T_NEXT: usize = 0;
const T_PREVIOUS: usize = 4;
const T_TICK: usize = 8;
const T_TAG: usize = 16;
const T_SLOT: usize = 20;
const T_GENERATION: usize = 22;

const SLOT_DUE: u32 = 160;
const SLOT_FREE: u32 = 0xffff;
const INDEX_BITS: u32 = 20;
const INDEX_MASK: u32 = 0xf_ffff;
const GENERATION_MASK: u32 = 0x7ff;

export function wheelBytes(capacity: u32): usize {
  return TIMERS + <usize>capacity * TIMER_BYTES;
}

/** An empty wheel for `capacity` timers, 1 to 1,048,574. 0 or -ARGUMENT. */
export function wheelInit(at: usize, capacity: u32, nowUs: u64): i32 {
  if (capacity == 0 || capacity > WHEEL_TIMERS_MAX) return -ARGUMENT;
  for (let offset: usize = 0; offset < TIMERS; offset += 8) store<u64>(at + offset, 0);
  store<u64>(at, nowUs >> TICK_BITS, TICK);
  addFree(at, 0, capacity);
  return 0;
}

/** The wheel at `from`, moved to `at` with room for more timers; handles go on naming theirs. 0 or -ARGUMENT. */
export function wheelGrow(at: usize, from: usize, capacity: u32): i32 {
  const before = load<u32>(from, CAPACITY);
  if (capacity <= before || capacity > WHEEL_TIMERS_MAX) return -ARGUMENT;
  const bytes = wheelBytes(before);
  for (let offset: usize = 0; offset < bytes; offset += 8) store<u64>(at + offset, load<u64>(from + offset));
  addFree(at, before, capacity);
  return 0;
}

/** Starts a timer that is due at `deadlineUs`; `tag` comes back with it. A handle above 0, or -POOL_FULL. */
export function wheelAdd(at: usize, deadlineUs: u64, tag: u32): i32 {
  const link = load<u32>(at, FREE);
  if (link == 0) return -POOL_FULL;
  const timer = timerAt(at, link);
  store<u32>(at, load<u32>(timer, T_NEXT), FREE);
  store<u32>(at, load<u32>(at, USED) + 1, USED);
  // Rounded up: early is wrong, late is late.
  const tick = (deadlineUs >> TICK_BITS) + ((deadlineUs & 1023) != 0 ? 1 : 0);
  const generation = (<u32>load<u16>(timer, T_GENERATION) + 1) & GENERATION_MASK;
  store<u64>(timer, tick, T_TICK);
  store<u32>(timer, tag, T_TAG);
  store<u16>(timer, <u16>generation, T_GENERATION);
  place(at, link, tick);
  return <i32>((generation << INDEX_BITS) | link);
}

/** Stops a timer. 0, or -ARGUMENT when it is not running (any more). */
export function wheelCancel(at: usize, handle: u32): i32 {
  const link = handle & INDEX_MASK;
  if (link == 0 || link > load<u32>(at, CAPACITY)) return -ARGUMENT;
  const timer = timerAt(at, link);
  const isSame = <u32>load<u16>(timer, T_GENERATION) == handle >> INDEX_BITS;
  if (!isSame || load<u16>(timer, T_SLOT) == SLOT_FREE) return -ARGUMENT;
  unlink(at, timer);
  release(at, link, timer);
  return 0;
}

/** Takes a timer that is due by now, earliest tick first: its tag, or -1 when none is. */
export function wheelPop(at: usize, nowUs: u64): i64 {
  const nowTick = nowUs >> TICK_BITS;
  while (true) {
    const due = load<u32>(at, DUE);
    if (due != 0) {
      const timer = timerAt(at, due);
      const tag = load<u32>(timer, T_TAG);
      unlink(at, timer);
      release(at, due, timer);
      return <i64>tag;
    }
    const next = nextTick(at);
    if (next > nowTick) {
      // The wheel follows the time while nothing is in between, so that new timers lie on low levels.
      if (nowTick > load<u64>(at, TICK)) store<u64>(at, nowTick, TICK);
      return -1;
    }
    store<u64>(at, max<u64>(next, load<u64>(at, TICK)), TICK);
    turn(at);
  }
}

/** When the wheel next has something to do, if only to move timers down a level; u64.MAX_VALUE when it is empty. */
export function wheelNextUs(at: usize): u64 {
  if (load<u32>(at, DUE) != 0) return 0;
  const tick = nextTick(at);
  return tick == u64.MAX_VALUE ? tick : tick << TICK_BITS;
}

/** Timers that run. */
export function wheelUsed(at: usize): u32 {
  return load<u32>(at, USED);
}
export function wheelCapacity(at: usize): u32 {
  return load<u32>(at, CAPACITY);
}

function timerAt(at: usize, link: u32): usize {
  return at + TIMERS + <usize>(link - 1) * TIMER_BYTES;
}

function headOf(at: usize, slot: u32): usize {
  return slot == SLOT_DUE ? at + DUE : at + HEADS + ((<usize>slot) << 2);
}

function addFree(at: usize, from: u32, capacity: u32): void {
  store<u32>(at, capacity, CAPACITY);
  for (let link = capacity; link > from; --link) {
    const timer = timerAt(at, link);
    store<u16>(timer, 0, T_GENERATION);
    store<u16>(timer, <u16>SLOT_FREE, T_SLOT);
    store<u32>(timer, load<u32>(at, FREE), T_NEXT);
    store<u32>(at, link, FREE);
  }
}

function release(at: usize, link: u32, timer: usize): void {
  store<u16>(timer, <u16>SLOT_FREE, T_SLOT);
  store<u32>(timer, load<u32>(at, FREE), T_NEXT);
  store<u32>(at, link, FREE);
  store<u32>(at, load<u32>(at, USED) - 1, USED);
}

/** Puts a timer where it belongs as the wheel stands. */
function place(at: usize, link: u32, tick: u64): void {
  const wheel = load<u64>(at, TICK);
  if (tick <= wheel) {
    push(at, link, SLOT_DUE);
    return;
  }
  const within = min<u64>(tick, wheel + REACH_TICKS);
  const differs = within ^ wheel;
  let level: u32 = 0;
  while (level < LEVELS - 1 && differs >> <u64>((level + 1) * DIGIT_BITS) != 0) ++level;
  const digit = <u32>((within >> <u64>(level * DIGIT_BITS)) & DIGIT_MASK);
  push(at, link, level * SLOTS_A_LEVEL + digit);
  const bitmap = at + BITMAPS + ((<usize>level) << 2);
  store<u32>(bitmap, load<u32>(bitmap) | (1 << digit));
}

function push(at: usize, link: u32, slot: u32): void {
  const timer = timerAt(at, link);
  const head = headOf(at, slot);
  const next = load<u32>(head);
  store<u32>(timer, next, T_NEXT);
  store<u32>(timer, 0, T_PREVIOUS);
  store<u16>(timer, <u16>slot, T_SLOT);
  if (next != 0) store<u32>(timerAt(at, next), link, T_PREVIOUS);
  store<u32>(head, link);
}

function unlink(at: usize, timer: usize): void {
  const slot = <u32>load<u16>(timer, T_SLOT);
  const next = load<u32>(timer, T_NEXT);
  const previous = load<u32>(timer, T_PREVIOUS);
  if (next != 0) store<u32>(timerAt(at, next), previous, T_PREVIOUS);
  if (previous != 0) {
    store<u32>(timerAt(at, previous), next, T_NEXT);
    return;
  }
  store<u32>(headOf(at, slot), next);
  if (next == 0 && slot != SLOT_DUE) {
    const bitmap = at + BITMAPS + ((<usize>(slot >> DIGIT_BITS)) << 2);
    store<u32>(bitmap, load<u32>(bitmap) & ~(1 << (slot & 31)));
  }
}

/** The tick at which the first slot that holds timers begins. Lower levels come first: their slots lie within the current one of the next level. */
function nextTick(at: usize): u64 {
  const wheel = load<u64>(at, TICK);
  for (let level: u32 = 0; level < LEVELS; ++level) {
    const bitmap = load<u32>(at + BITMAPS + ((<usize>level) << 2));
    if (bitmap == 0) continue;
    const shift = <u64>(level * DIGIT_BITS);
    const digit = <u32>((wheel >> shift) & DIGIT_MASK);
    // Slots from the current one on; on the top level those before it belong to the next turn.
    const distance = <u64>ctz<u32>(rotr<u32>(bitmap, digit));
    return ((wheel >> shift) + distance) << shift;
  }
  return u64.MAX_VALUE;
}

/** The wheel stands at the beginning of a slot: what lies in it is due, or moves down. */
function turn(at: usize): void {
  const wheel = load<u64>(at, TICK);
  for (let level: u32 = LEVELS; level > 0; --level) {
    const shift = <u64>((level - 1) * DIGIT_BITS);
    const digit = <u32>((wheel >> shift) & DIGIT_MASK);
    const bitmap = at + BITMAPS + ((<usize>(level - 1)) << 2);
    const bit: u32 = 1 << digit;
    if ((load<u32>(bitmap) & bit) == 0) continue;
    store<u32>(bitmap, load<u32>(bitmap) & ~bit);
    const head = headOf(at, (level - 1) * SLOTS_A_LEVEL + digit);
    let link = load<u32>(head);
    store<u32>(head, 0);
    while (link != 0) {
      const timer = timerAt(at, link);
      const next = load<u32>(timer, T_NEXT);
      place(at, link, load<u64>(timer, T_TICK));
      link = next;
    }
  }
}
