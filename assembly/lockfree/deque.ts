/**
 * Work-stealing deque of 32-bit numbers: its owner pushes and takes at the bottom, thieves steal at the top (Chase and Lev, "Dynamic Circular Work-Stealing Deque", 2005; the ordering is that
 * of Lê, Pop, Cohen and Zappa Nardelli, "Correct and Efficient Work-Stealing for Weak Memory Models", 2013). Its size is fixed: a full one refuses.
 *
 *   +0   ends u32   +4 capacity u32 (a power of two)
 *   +64  bottom u32 (the owner's)      +128 top u32
 *   +192 event of items: thieves sleep on it
 *   +256 numbers u32
 *
 * Ordering, in the names of Lê et al.: push stores the number, then bottom (release). take stores bottom, then loads top: a store and then a load, kept in order by sequential consistency (their fence);
 * steal loads top, then bottom, kept in order likewise. With one number left both sides try to move top by compare-and-exchange, and one wins it. A number is read before top is moved, so a
 * slot is overwritten only when top was moved past it, and then the thief's exchange fails.
 *
 * Lock-free: an owner or thief that stops in the middle holds nobody up. One that dies after it won a number, before it did anything with it, loses that number.
 */
import { ARGUMENT, SHARED_EMPTY, SHARED_FULL } from "../errors/codes.generated";
import { EVENT_BYTES, eventSignal } from "./event";

const CAPACITY: usize = 4;
const BOTTOM: usize = 64;
const TOP: usize = 128;
export const DEQUE_ITEMS: usize = 192;
const NUMBERS: usize = DEQUE_ITEMS + EVENT_BYTES;
const CAPACITY_MAX: u32 = 1 << 26;

/** Bytes for `capacity` numbers (a power of two, up to 2^26); 0 when they are none. */
export function dequeBytes(capacity: u32): u32 {
  if (popcnt<u32>(capacity) != 1 || capacity > CAPACITY_MAX) return 0;
  return <u32>NUMBERS + (capacity << 2);
}

/** In memory that is zero, before anybody else sees it. 0 or -ARGUMENT. */
export function dequeInit(at: usize, capacity: u32): i32 {
  if (dequeBytes(capacity) == 0) return -ARGUMENT;
  store<u32>(at, capacity, CAPACITY);
  return 0;
}

/** A new owner's, first of all: puts right what one left behind that died while it took. */
export function dequeRecover(at: usize): void {
  const top = atomic.load<u32>(at, TOP);
  if (<i32>(load<u32>(at, BOTTOM) - top) < 0) atomic.store<u32>(at, top, BOTTOM);
}

/** The owner's. 0 or -SHARED_FULL. */
export function dequePush(at: usize, value: u32): i32 {
  const bottom = load<u32>(at, BOTTOM);
  if (bottom - atomic.load<u32>(at, TOP) >= load<u32>(at, CAPACITY)) return -SHARED_FULL;
  atomic.store<u32>(numberAt(at, bottom), value);
  atomic.store<u32>(at, bottom + 1, BOTTOM);
  eventSignal(at + DEQUE_ITEMS);
  return 0;
}

/** The owner's: what it pushed last, or -SHARED_EMPTY, below 0 as an i64. */
export function dequeTake(at: usize): i64 {
  const bottom = load<u32>(at, BOTTOM) - 1;
  atomic.store<u32>(at, bottom, BOTTOM);
  const top = atomic.load<u32>(at, TOP);
  const left = <i32>(bottom - top);
  if (left < 0) {
    atomic.store<u32>(at, bottom + 1, BOTTOM);
    return -(<i64>SHARED_EMPTY);
  }
  const value = atomic.load<u32>(numberAt(at, bottom));
  if (left > 0) return <i64>value;
  const isOurs = atomic.cmpxchg<u32>(at, top, top + 1, TOP) == top;
  atomic.store<u32>(at, bottom + 1, BOTTOM);
  return isOurs ? <i64>value : -(<i64>SHARED_EMPTY);
}

/** Anybody's: the oldest, or -SHARED_EMPTY, below 0 as an i64. */
export function dequeSteal(at: usize): i64 {
  while (true) {
    const top = atomic.load<u32>(at, TOP);
    if (<i32>(atomic.load<u32>(at, BOTTOM) - top) <= 0) return -(<i64>SHARED_EMPTY);
    const value = atomic.load<u32>(numberAt(at, top));
    if (atomic.cmpxchg<u32>(at, top, top + 1, TOP) == top) return <i64>value;
  }
}

/** Numbers as any thread sees them, at once out of date. */
export function dequeCount(at: usize): u32 {
  const count = <i32>(atomic.load<u32>(at, BOTTOM) - atomic.load<u32>(at, TOP));
  return count < 0 ? 0 : <u32>count;
}

function numberAt(at: usize, index: u32): usize {
  return at + NUMBERS + ((<usize>(index & (load<u32>(at, CAPACITY) - 1))) << 2);
}
