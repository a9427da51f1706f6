/**
 * A value of several words that one thread writes and many read whole: a sequence lock in its latch form, with two copies (Linux, `seqcount_latch`; Lameter, "Effective Synchronization
 * on Linux/NUMA Systems", 2005; for the ordering Boehm, "Can Seqlocks Get Along With Programming Language Memory Models?", 2012).
 *
 *   +0 sequence u32   +4 words u32 (of 8 bytes)
 *   +64 copy 0, then copy 1, each rounded up to 64
 *
 * Readers use copy (sequence & 1); the writer fills the other one, then stores sequence + 1. The writer is wait-free, and where it dies in the middle the last whole value stays readable, which the
 * form with one copy cannot say. A reader goes round again only when a whole new value was written meanwhile.
 *
 * Ordering: with the number s read, a reader reads the words, then the number again. Words of a later writing were stored after sequence s + 1 was; who has read one of them then reads a number other
 * than s, and goes round. That holds only if a word is not read after the second number, so words are loaded and stored atomically: a plain load may move below an acquiring one.
 */
import { ARGUMENT, SHARED_STALLED } from "../errors/codes.generated";

const WORDS: usize = 4;
const COPIES: usize = 64;
const WORDS_MAX: u32 = 1 << 17;

/** Bytes for values of `words` words of 8 bytes, 1 to 2^17; 0 when they are none. */
export function seqlockBytes(words: u32): u32 {
  return words == 0 || words > WORDS_MAX ? 0 : <u32>COPIES + 2 * copyBytes(words);
}

/** In memory that is zero, before anybody else sees it. 0 or -ARGUMENT. */
export function seqlockInit(at: usize, words: u32): i32 {
  if (seqlockBytes(words) == 0) return -ARGUMENT;
  store<u32>(at, words, WORDS);
  return 0;
}

/** The one writer's: takes the value from memory of its own at `from`. */
export function seqlockWrite(at: usize, from: usize): void {
  const words = load<u32>(at, WORDS);
  let next = atomic.load<u32>(at) + 1;
  // 0 stands for never written.
  if (next == 0) next = 2;
  const copy = copyAt(at, words, next);
  for (let offset: usize = 0; offset < (<usize>words) << 3; offset += 8)
    atomic.store<u64>(copy + offset, load<u64>(from + offset));
  atomic.store<u32>(at, next);
}

/** Copies the value to memory of the reader's own at `to`. 0, or -SHARED_STALLED when it was written anew `rounds` times meanwhile. */
export function seqlockRead(at: usize, to: usize, rounds: u32): i32 {
  const words = load<u32>(at, WORDS);
  for (let round: u32 = 0; round < rounds; ++round) {
    const sequence = atomic.load<u32>(at);
    const copy = copyAt(at, words, sequence);
    for (let offset: usize = 0; offset < (<usize>words) << 3; offset += 8)
      store<u64>(to + offset, atomic.load<u64>(copy + offset));
    if (atomic.load<u32>(at) == sequence) return 0;
  }
  return -SHARED_STALLED;
}

/** How often it was written; wraps around at 2^32. */
export function seqlockCount(at: usize): u32 {
  return atomic.load<u32>(at);
}

function copyAt(at: usize, words: u32, sequence: u32): usize {
  return at + COPIES + <usize>((sequence & 1) * copyBytes(words));
}

function copyBytes(words: u32): u32 {
  return ((words << 3) + 63) & ~63;
}
