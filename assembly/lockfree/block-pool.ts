/**
 * Allocator of equal blocks in shared memory: a stack of free ones, and who has each of the others.
 *
 *   +0 ends u32 (unused)   +4 stride u32 (bytes a block, a multiple of 8)   +8 capacity u32   +12 offset u32 of the blocks
 *   +64 stack of free blocks (stack.ts); behind it owner u32 a block, 0 while it is free; then the blocks, from a multiple of 64 on
 *
 * Lock-free. A thread has a number of its own above 0 and gives it with each allocation; when it died, poolReclaim gives back what it had. A thread that dies within
 * poolAllocate or poolFree, between the stack and the owner's word, loses one block. Freeing twice is refused. Freeing hands a block's bytes on: the owner's word and the stack's head are exchanged
 * after the last writing (release) and before the next (acquire).
 */
import { ARGUMENT } from "../errors/codes.generated";
import { stackBytes, stackInit, stackPop, stackPush } from "./stack";

const STRIDE: usize = 4;
const CAPACITY: usize = 8;
const BLOCKS: usize = 12;
const FREE: usize = 64;
const STRIDE_MAX: u32 = 1 << 20;

/** Bytes for `capacity` blocks (1 to 2^26) of `stride` bytes (1 to 2^20, rounded up to 8); 0 when they are none, or above 2^31. */
export function poolBytes(capacity: u32, stride: u32): u32 {
  if (stackBytes(capacity) == 0 || stride == 0 || stride > STRIDE_MAX) return 0;
  const bytes = <u64>blocksOffset(capacity) + <u64>capacity * <u64>((stride + 7) & ~7);
  return bytes > 0x80000000 ? 0 : <u32>bytes;
}

/** In memory that is zero, before anybody else sees it. 0 or -ARGUMENT. */
export function poolInit(at: usize, capacity: u32, stride: u32): i32 {
  if (poolBytes(capacity, stride) == 0) return -ARGUMENT;
  store<u32>(at, (stride + 7) & ~7, STRIDE);
  store<u32>(at, capacity, CAPACITY);
  store<u32>(at, blocksOffset(capacity), BLOCKS);
  return stackInit(at + FREE, capacity, true);
}

/** A block's number, or -SHARED_EMPTY. Its bytes are what the last owner left. */
export function poolAllocate(at: usize, owner: u32): i32 {
  const block = stackPop(at + FREE);
  if (block >= 0) atomic.store<u32>(ownerOf(at, block), owner);
  return block;
}

/** 0, or -ARGUMENT when no such block is out. */
export function poolFree(at: usize, block: u32): i32 {
  if (block >= load<u32>(at, CAPACITY)) return -ARGUMENT;
  if (atomic.xchg<u32>(ownerOf(at, block), 0) == 0) return -ARGUMENT;
  return stackPush(at + FREE, block);
}

/** Gives back what a thread had that is no more. How many blocks. */
export function poolReclaim(at: usize, owner: u32): u32 {
  const capacity = load<u32>(at, CAPACITY);
  let count: u32 = 0;
  for (let block: u32 = 0; block < capacity; ++block) {
    if (atomic.cmpxchg<u32>(ownerOf(at, block), owner, 0) != owner) continue;
    stackPush(at + FREE, block);
    ++count;
  }
  return count;
}

export function poolBlockAt(at: usize, block: u32): usize {
  return at + <usize>load<u32>(at, BLOCKS) + <usize>block * <usize>load<u32>(at, STRIDE);
}

function ownerOf(at: usize, block: u32): usize {
  return at + FREE + <usize>stackBytes(load<u32>(at, CAPACITY)) + ((<usize>block) << 2);
}

function blocksOffset(capacity: u32): u32 {
  return (<u32>FREE + stackBytes(capacity) + (capacity << 2) + 63) & ~63;
}
