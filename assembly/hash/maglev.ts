/**
 * Maglev hashing (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", 2016, section 3.4): a table of a prime
 * number of slots, filled by the nodes in turn, each by its own permutation of the slots. A look-up is one modulo and one read. Shares are
 * even to a slot; a node that leaves moves its own keys and a few others' (some 2 % at 100 slots a node).
 *
 * Weights: in each round every node gains credit, the heaviest a whole turn, the others their part of it, and takes a slot
 * for each whole credit. Which slots are whose depends on the order of the nodes: give them sorted.
 *
 *   maglev  +0 slots u32   +4 unused u32   +8 node u16 * slots      while it is built, beyond them: nextIndex u32, credit f64 a node
 */
import { ARGUMENT, POOL_FULL } from "../errors/codes.generated";
import { nodeHash, nodesAreValid, nodeWeight } from "./nodes";
import { mix64 } from "./xxh64";

const HEADER_BYTES: usize = 8;
const EMPTY: u16 = 0xffff;
const SLOTS_MAX: u32 = 1 << 24;
const WORK_BYTES: usize = 16;

/** The table, and room to build it in; 0 where the number of slots is not prime or less than the nodes. */
export function maglevBytes(slots: u32, count: u32): u32 {
  if (slots < count || slots > SLOTS_MAX || !isPrime(slots)) return 0;
  return <u32>(tableBytes(slots) + <usize>count * WORK_BYTES);
}

function tableBytes(slots: u32): usize {
  return (HEADER_BYTES + ((<usize>slots) << 1) + 7) & ~7;
}

/** 0, -ARGUMENT, or -POOL_FULL when `capacity` bytes are not enough. */
export function maglevBuild(at: usize, capacity: u32, slots: u32, nodes: usize, count: u32): i32 {
  const bytes = maglevBytes(slots, count);
  if (bytes == 0 || !nodesAreValid(nodes, count)) return -ARGUMENT;
  if (bytes > capacity) return -POOL_FULL;
  store<u32>(at, slots);
  for (let slot: u32 = 0; slot < slots; ++slot) store<u16>(slotAt(at, slot), EMPTY);
  const work = at + tableBytes(slots);
  let heaviest: f64 = 0;
  for (let index: u32 = 0; index < count; ++index) {
    store<u64>(workAt(work, index), 0);
    store<f64>(workAt(work, index), 0, 8);
    heaviest = max<f64>(heaviest, nodeWeight(nodes, index));
  }
  let filled: u32 = 0;
  while (true) {
    for (let index: u32 = 0; index < count; ++index) {
      const own = workAt(work, index);
      const credit = load<f64>(own, 8) + nodeWeight(nodes, index) / heaviest;
      if (credit < 1) {
        store<f64>(own, credit, 8);
        continue;
      }
      store<f64>(own, credit - 1, 8);
      takeSlot(at, own, nodeHash(nodes, index), <u16>index);
      filled += 1;
      if (filled == slots) return 0;
    }
  }
}

/** Index of the node that owns the key. */
export function maglevOwner(at: usize, key: u64): i32 {
  return <i32>load<u16>(slotAt(at, <u32>(key % <u64>load<u32>(at))));
}

/** The next free slot of the node's permutation: (offset + index * skip) mod slots. */
function takeSlot(at: usize, own: usize, hash: u64, node: u16): void {
  const slots = load<u32>(at);
  const offset = mix64(hash, 1) % <u64>slots;
  const skip = (mix64(hash, 2) % <u64>(slots - 1)) + 1;
  let index = load<u64>(own);
  let slot: usize;
  do {
    slot = slotAt(at, <u32>((offset + index * skip) % <u64>slots));
    index += 1;
  } while (load<u16>(slot) != EMPTY);
  store<u64>(own, index);
  store<u16>(slot, node);
}

function slotAt(at: usize, slot: u32): usize {
  return at + HEADER_BYTES + ((<usize>slot) << 1);
}

function workAt(work: usize, index: u32): usize {
  return work + <usize>index * WORK_BYTES;
}

function isPrime(number: u32): bool {
  if (number < 2) return false;
  if (number % 2 == 0) return number == 2;
  for (let divisor: u32 = 3; <u64>divisor * <u64>divisor <= <u64>number; divisor += 2) {
    if (number % divisor == 0) return false;
  }
  return true;
}
