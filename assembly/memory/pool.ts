/**
 * A pool of equal items named by handles, so that the host holds numbers, not addresses, and a handle that was given back
 * names nothing (its generation has passed) instead of somebody else's item.
 *
 * A pool grows when an item is taken out of an empty free list and `growable`; never in a decision. Growing moves the items,
 * so addresses are asked for anew each time. Old room is not reclaimed: doubling keeps it below what is in use.
 *
 *   pool    +0 items u32   +4 itemBytes u32   +8 capacity u32   +12 free u32 (index + 1, 0: none)   +16 used u32
 *   item    +0 handle u32 (0: free)   +4 generation u16 | unused   +8 next free u32   +12 unused   +16 the caller's struct
 *   handle  bits 0-19 index + 1, bits 20-30 generation
 */
import { POOL_FULL } from "../errors/codes.generated";

export const POOL_BYTES: i32 = 20;
const ITEM_HEADER_BYTES: usize = 16;
const INDEX_BITS: u32 = 20;
const INDEX_MASK: u32 = 0xf_ffff;
const GENERATION_MASK: u32 = 0x7ff;
const ITEMS_MAX: u32 = 0xf_fffe;

/** Makes an empty pool for structs of `structBytes` (a multiple of 8) in the header at `at`. */
export function poolInit(at: usize, structBytes: usize, capacity: u32): void {
  store<u32>(at, 0);
  store<u32>(at, <u32>(structBytes + ITEM_HEADER_BYTES), 4);
  store<u32>(at, 0, 8);
  store<u32>(at, 0, 12);
  store<u32>(at, 0, 16);
  grow(at, capacity);
}

/** A handle above 0, or -POOL_FULL. The struct's bytes are what was there before. */
export function poolTake(at: usize, growable: bool): i32 {
  let free = load<u32>(at, 12);
  if (free == 0) {
    const capacity = load<u32>(at, 8);
    if (!growable || capacity >= ITEMS_MAX) return -POOL_FULL;
    grow(at, min<u32>(capacity * 2, ITEMS_MAX));
    free = load<u32>(at, 12);
  }
  const item = itemAt(at, free - 1);
  store<u32>(at, load<u32>(item, 8), 12);
  store<u32>(at, load<u32>(at, 16) + 1, 16);
  const generation = (load<u32>(item, 4) + 1) & GENERATION_MASK;
  store<u32>(item, generation, 4);
  const handle = (generation << INDEX_BITS) | free;
  store<u32>(item, handle);
  return <i32>handle;
}

/** Address of the handle's struct, valid until the next poolTake; 0 for a handle that names nothing. */
export function poolAt(at: usize, handle: u32): usize {
  const index = (handle & INDEX_MASK) - 1;
  if (index >= load<u32>(at, 8)) return 0;
  const item = itemAt(at, index);
  return load<u32>(item) == handle ? item + ITEM_HEADER_BYTES : 0;
}

/** Gives an item back; false for a handle that names nothing. */
export function poolGive(at: usize, handle: u32): bool {
  const address = poolAt(at, handle);
  if (address == 0) return false;
  const item = address - ITEM_HEADER_BYTES;
  store<u32>(item, 0);
  store<u32>(item, load<u32>(at, 12), 8);
  store<u32>(at, handle & INDEX_MASK, 12);
  store<u32>(at, load<u32>(at, 16) - 1, 16);
  return true;
}

export function poolUsed(at: usize): u32 {
  return load<u32>(at, 16);
}

export function poolCapacity(at: usize): u32 {
  return load<u32>(at, 8);
}

function itemAt(at: usize, index: u32): usize {
  return <usize>load<u32>(at) + <usize>index * <usize>load<u32>(at, 4);
}

function grow(at: usize, capacity: u32): void {
  const before = load<u32>(at, 8);
  const itemBytes = <usize>load<u32>(at, 4);
  const old = <usize>load<u32>(at);
  const items = heap.alloc(<usize>capacity * itemBytes);
  const kept = <usize>before * itemBytes;
  for (let offset: usize = 0; offset < kept; offset += 8) store<u64>(items + offset, load<u64>(old + offset));
  store<u32>(at, <u32>items);
  store<u32>(at, capacity, 8);
  let free = load<u32>(at, 12);
  for (let index = capacity; index > before; --index) {
    const item = itemAt(at, index - 1);
    store<u64>(item, 0);
    store<u32>(item, free, 8);
    free = index;
  }
  store<u32>(at, free, 12);
}
