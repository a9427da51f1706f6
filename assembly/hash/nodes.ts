/**
 * The members that keys are placed on, as every placement of this room takes them: an array in the caller's memory. The order is the
 * caller's matter; who gives it sorted by hash gets the same placement whatever order the members joined in.
 *
 *   node  +0 hash u64 (xxh64 of its name)   +8 weight f64 (above 0; 1 is usual)
 */

export const NODE_BYTES: usize = 16;
export const NODES_MAX: u32 = 4096;

export function nodeHash(nodes: usize, index: u32): u64 {
  return load<u64>(nodes + <usize>index * NODE_BYTES);
}

export function nodeWeight(nodes: usize, index: u32): f64 {
  return load<f64>(nodes + <usize>index * NODE_BYTES, 8);
}

/** Some nodes, not too many, each of a weight that can be divided by. */
export function nodesAreValid(nodes: usize, count: u32): bool {
  if (count == 0 || count > NODES_MAX) return false;
  for (let index: u32 = 0; index < count; ++index) {
    const weight = nodeWeight(nodes, index);
    if (!(weight > 0) || weight > 1.0e6) return false;
  }
  return true;
}
