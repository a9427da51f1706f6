/** Which node a key belongs to, by the bytes of the key. */
import { ARGUMENT } from "../errors/codes.generated";
import { jumpHash } from "../hash/jump";
import { maglevOwner } from "../hash/maglev";
import { rendezvousOwner, rendezvousRank } from "../hash/rendezvous";
import { ringOwner, ringOwners } from "../hash/ring";
import { xxh64 } from "../hash/xxh64";

/** Placements of the key whose bytes are at `key`: an index into the nodes, or -ARGUMENT. */
export function jumpOwnerOf(key: usize, length: i32, buckets: i32): i32 {
  return buckets > 0 ? jumpHash(xxh64(key, length, 0), buckets) : -ARGUMENT;
}
export function rendezvousOwnerOf(nodes: usize, count: u32, key: usize, length: i32): i32 {
  return rendezvousOwner(nodes, count, xxh64(key, length, 0));
}
export function rendezvousRankOf(
  nodes: usize,
  count: u32,
  key: usize,
  length: i32,
  wanted: u32,
  to: usize,
  scores: usize,
): i32 {
  return rendezvousRank(nodes, count, xxh64(key, length, 0), wanted, to, scores);
}
export function hashRingOwnerOf(ring: usize, key: usize, length: i32): i32 {
  return ringOwner(ring, xxh64(key, length, 0));
}
export function hashRingOwnersOf(ring: usize, key: usize, length: i32, wanted: u32, to: usize): i32 {
  return ringOwners(ring, xxh64(key, length, 0), wanted, to);
}
export function maglevOwnerOf(table: usize, key: usize, length: i32): i32 {
  return maglevOwner(table, xxh64(key, length, 0));
}
