/**
 * Stack of block numbers: Treiber's ("Systems Programming: Coping with Parallelism", IBM, 1986). The links lie in an array beside it, so a block's bytes are never touched by somebody
 * who only meant to look.
 *
 *   +0 head u64: number + 1 of the first block (0: none), and above it a tag
 *   +8 capacity u32
 *   +64 links u32 a block: number + 1 of the next, 0 for none, TAKEN while it is on no stack
 *
 * ABA: a pop reads head and the link behind it, and exchanges head for that link. Were the block popped and pushed again in between, the link could be another. The tag in the same 64 bits grows
 * with every pop, so the exchange fails. It wraps around after 2^32 pops: a thread that sleeps in the middle of one for exactly so many is mistaken.
 *
 * Ordering: a push stores the link, then exchanges head (release); a pop loads head (acquire), then the link. What the pusher wrote into the block comes before its exchange, so whoever popped the
 * block sees it. Lock-free: a thread that stops in the middle holds nobody up. One that dies between popping a block and writing its number down loses that block, and nothing else.
 */
import { ARGUMENT, SHARED_EMPTY } from "../errors/codes.generated";

const CAPACITY: usize = 8;
const LINKS: usize = 64;
const TAKEN: u32 = 0xffffffff;
const CAPACITY_MAX: u32 = 1 << 26;

/** Bytes for a stack of up to `capacity` blocks (1 to 2^26), a multiple of 64; 0 when they are none. */
export function stackBytes(capacity: u32): u32 {
  if (capacity == 0 || capacity > CAPACITY_MAX) return 0;
  return (<u32>LINKS + (capacity << 2) + 63) & ~63;
}

/** In memory that is zero, before anybody else sees it: with all blocks on it (the lowest first), or with none. 0 or -ARGUMENT. */
export function stackInit(at: usize, capacity: u32, isFull: bool): i32 {
  if (stackBytes(capacity) == 0) return -ARGUMENT;
  store<u32>(at, capacity, CAPACITY);
  for (let block: u32 = 0; block < capacity; ++block) {
    const next = block + 2 > capacity ? 0 : block + 2;
    store<u32>(linkOf(at, block), isFull ? next : TAKEN);
  }
  store<u64>(at, isFull ? 1 : 0);
  return 0;
}

/** 0, or -ARGUMENT when there is no such block or it is on a stack already: nothing is pushed twice. */
export function stackPush(at: usize, block: u32): i32 {
  if (block >= load<u32>(at, CAPACITY)) return -ARGUMENT;
  const link = linkOf(at, block);
  let head = atomic.load<u64>(at);
  // Whoever takes the mark away pushes it; a second push of the same block finds no mark.
  if (atomic.cmpxchg<u32>(link, TAKEN, <u32>head) != TAKEN) return -ARGUMENT;
  while (true) {
    const found = atomic.cmpxchg<u64>(at, head, (head & 0xffffffff00000000) | <u64>(block + 1));
    if (found == head) return 0;
    head = found;
    atomic.store<u32>(link, <u32>head);
  }
}

/** The number of the block pushed last, or -SHARED_EMPTY. */
export function stackPop(at: usize): i32 {
  let head = atomic.load<u64>(at);
  while (true) {
    const first = <u32>head;
    if (first == 0) return -SHARED_EMPTY;
    const link = linkOf(at, first - 1);
    const next = atomic.load<u32>(link);
    // TAKEN: another has popped it meanwhile, and the exchange below fails.
    const found = atomic.cmpxchg<u64>(at, head, (((head >> 32) + 1) << 32) | <u64>next);
    if (found == head) {
      atomic.store<u32>(link, TAKEN);
      return <i32>(first - 1);
    }
    head = found;
  }
}

function linkOf(at: usize, block: u32): usize {
  return at + LINKS + ((<usize>block) << 2);
}
