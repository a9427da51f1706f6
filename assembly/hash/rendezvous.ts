/**
 * Weighted rendezvous hashing (Thaler, Ravishankar, 1998; weights: Schindelhauer, Schomaker, "Weighted Distributed Hash Tables", 2005): each
 * node scores each key, the highest score owns it. A node's share is exactly its weight's; a node that leaves gives away its own keys and no
 * others, a node whose weight rises only gains. No table, so O(n) a look-up: for tens of nodes, and for ranking the owner's deputies.
 *
 * The score -weight / ln(u), u uniform in (0, 1) from the hash of key and node, is monotonic in weight, which is what makes a change
 * of weight disturb nobody else.
 */

import { ARGUMENT } from "../errors/codes.generated";
import { nodeHash, nodesAreValid, nodeWeight } from "./nodes";
import { mix64 } from "./xxh64";

/** 2^-53: the top 53 bits of a hash, and a half, never give 0 or 1. */
const UNIT: f64 = 1.1102230246251565e-16;

function scoreOf(key: u64, hash: u64, weight: f64): f64 {
  const uniform = (<f64>(mix64(key, hash) >> 11) + 0.5) * UNIT;
  return -weight / Math.log(uniform);
}

/** Index of the owner, or -ARGUMENT. */
export function rendezvousOwner(nodes: usize, count: u32, key: u64): i32 {
  if (!nodesAreValid(nodes, count)) return -ARGUMENT;
  let owner: i32 = 0;
  let highest: f64 = -1;
  for (let index: u32 = 0; index < count; ++index) {
    const score = scoreOf(key, nodeHash(nodes, index), nodeWeight(nodes, index));
    if (score <= highest) continue;
    highest = score;
    owner = <i32>index;
  }
  return owner;
}

/**
 * The owner and its deputies, best first, as u32 indices at `to`, `wanted` of them or as many as there are nodes. How many, or -ARGUMENT.
 * Room at `to` for `wanted` u32, at `scores` for `wanted` f64.
 */
export function rendezvousRank(
  nodes: usize,
  count: u32,
  key: u64,
  wanted: u32,
  to: usize,
  scores: usize,
): i32 {
  if (!nodesAreValid(nodes, count) || wanted == 0) return -ARGUMENT;
  let found: u32 = 0;
  for (let index: u32 = 0; index < count; ++index) {
    const score = scoreOf(key, nodeHash(nodes, index), nodeWeight(nodes, index));
    // Insertion into a short list that is sorted already.
    let place = found;
    while (place > 0 && load<f64>(scores + ((<usize>(place - 1)) << 3)) < score) place -= 1;
    if (place >= wanted) continue;
    if (found < wanted) found += 1;
    for (let at = found - 1; at > place; --at) {
      store<f64>(scores + ((<usize>at) << 3), load<f64>(scores + ((<usize>(at - 1)) << 3)));
      store<u32>(to + ((<usize>at) << 2), load<u32>(to + ((<usize>(at - 1)) << 2)));
    }
    store<f64>(scores + ((<usize>place) << 3), score);
    store<u32>(to + ((<usize>place) << 2), index);
  }
  return <i32>found;
}
