/**
 * Which of several nodes a key belongs to, as tardigrade/hash says it on the host: a device finds its gateway, or a shard, by itself. Owners are indices in the
 * order in which the nodes were added.
 */
import { ARGUMENT, POOL_FULL } from "../../assembly/errors/codes.generated";
import { jumpHash } from "../../assembly/hash/jump";
import { maglevBuild, maglevBytes, maglevOwner } from "../../assembly/hash/maglev";
import { NODE_BYTES, NODES_MAX } from "../../assembly/hash/nodes";
import { rendezvousOwner, rendezvousRank } from "../../assembly/hash/rendezvous";
import { ringBuild, ringBytes, ringOwner, ringOwners } from "../../assembly/hash/ring";
import { xxh64 } from "../../assembly/hash/xxh64";
import { textAppend, textLength, textPtr, textStart } from "./text";

/** 64 bits of a text, of which the first 160 bytes of UTF-8 count: XXH64, as the host hashes ids and keys. */
export function hashOf(text: string): u64 {
  textStart();
  textAppend(text);
  return xxh64(textPtr(), textLength(), 0);
}

/** One of `buckets` (1 to 2^31 - 1) for a key, without a table; one bucket more moves 1/n of the keys, all to it. -ARGUMENT for none. */
export function jumpBucket(key: u64, buckets: i32): i32 {
  return buckets > 0 ? jumpHash(key, buckets) : -ARGUMENT;
}

/** What keys are placed on. The same ids and weights give the same owners on every machine. */
export class Nodes {
  readonly at: usize;
  private readonly capacity: u32;
  private last: string = "";
  count: u32 = 0;

  /** capacity: 1 to 4,096 nodes of 16 bytes. More or less have no room for any. */
  constructor(capacity: u32) {
    this.capacity = capacity > NODES_MAX ? 0 : capacity;
    this.at = heap.alloc(max<usize>(<usize>this.capacity * NODE_BYTES, NODE_BYTES));
  }
  /**
   * In setup(), and before a ring or table is made of them. Ids ascend, since Maglev's table depends on their order. weight: its share beside the others',
   * above 0, a million at most. The index, -POOL_FULL, or -ARGUMENT for an id that is empty or not above the one before, or another weight.
   */
  add(id: string, weight: f64 = 1): i32 {
    if (!(weight > 0) || weight > 1.0e6 || !(id > this.last)) return -ARGUMENT;
    if (this.count == this.capacity) return -POOL_FULL;
    const node = this.at + <usize>this.count * NODE_BYTES;
    store<u64>(node, hashOf(id));
    store<f64>(node, weight, 8);
    this.last = id;
    this.count += 1;
    return <i32>(this.count - 1);
  }
}

/** Every node scores every key: no table, so time for each node, and nodes may be added at any time. A node that comes takes its share and moves nothing else. */
export class Rendezvous {
  private readonly nodes: Nodes;
  private readonly most: u32;
  private readonly ranks: usize;
  private readonly scores: usize;

  /** deputies: how many may be asked for beside the owner, 255 at most. */
  constructor(nodes: Nodes, deputies: u32 = 0) {
    this.nodes = nodes;
    this.most = min<u32>(deputies, 255) + 1;
    this.ranks = heap.alloc((<usize>this.most) << 2);
    this.scores = heap.alloc((<usize>this.most) << 3);
  }
  /** The owner's index, or -ARGUMENT where there is no node. */
  owner(key: u64): i32 {
    return rendezvousOwner(this.nodes.at, this.nodes.count, key);
  }
  /** Finds the owner and its deputies: how many there are, or -ARGUMENT; then ask `ranked`. */
  rank(key: u64): i32 {
    return rendezvousRank(this.nodes.at, this.nodes.count, key, this.most, this.ranks, this.scores);
  }
  /** The index at a place of the last `rank`: 0 the owner, 1 its first deputy. */
  ranked(place: u32): i32 {
    return place < this.most ? <i32>load<u32>(this.ranks + ((<usize>place) << 2)) : -ARGUMENT;
  }
}

/** A circle of points, 16 bytes each: a node that leaves gives its keys to many. Shares spread by 1/sqrt(points). */
export class HashRing {
  private readonly at: usize;
  private readonly most: u32;
  private readonly owners: usize;
  /** 0, or -ARGUMENT. */
  readonly status: i32;

  /** points: of a node of weight 1, 1 to 65,536; the host takes 160 when it is not told. deputies: 255 at most. */
  constructor(nodes: Nodes, points: u32, deputies: u32 = 0) {
    const bytes = ringBytes(nodes.at, nodes.count, points);
    this.at = heap.alloc(max<usize>(<usize>bytes, 8));
    this.most = min<u32>(deputies, 255) + 1;
    this.owners = heap.alloc((<usize>this.most) << 2);
    this.status = ringBuild(this.at, bytes, nodes.at, nodes.count, points);
  }
  owner(key: u64): i32 {
    return this.status == 0 ? ringOwner(this.at, key) : this.status;
  }
  rank(key: u64): i32 {
    return this.status == 0 ? ringOwners(this.at, key, this.most, this.owners) : this.status;
  }
  ranked(place: u32): i32 {
    return place < this.most ? <i32>load<u32>(this.owners + ((<usize>place) << 2)) : -ARGUMENT;
  }
}

/** A table of 2 bytes a slot: a division and a read for each key, shares even to a slot. */
export class Maglev {
  private readonly at: usize;
  /** 0, or -ARGUMENT. */
  readonly status: i32;

  /** slots: a prime, not below the nodes; a hundred a node keep shares even (251, 1,021; the host takes 65,537 when it is not told). */
  constructor(nodes: Nodes, slots: u32) {
    const bytes = maglevBytes(slots, nodes.count);
    this.at = heap.alloc(max<usize>(<usize>bytes, 8));
    this.status = maglevBuild(this.at, bytes, slots, nodes.at, nodes.count);
  }
  owner(key: u64): i32 {
    return this.status == 0 ? maglevOwner(this.at, key) : this.status;
  }
}
