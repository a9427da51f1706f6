/** Clocks that order events of several machines. Stamps and counters are u64. */
import {
  dotCounter,
  dotNode,
  dotsBytes,
  dotsCount,
  dotsInit,
  dotsSync,
  dotsWrite,
} from "../../assembly/clock/dotted";
import {
  HLC_BYTES,
  hlcBoundSet,
  hlcInit,
  hlcLast,
  hlcReceive,
  hlcReserve,
  hlcTick,
} from "../../assembly/clock/hlc";
import {
  LAMPORT_BYTES,
  lamportInit,
  lamportLast,
  lamportReceive,
  lamportTick,
} from "../../assembly/clock/lamport";
import {
  vectorBytes,
  vectorCompare,
  vectorCount,
  vectorGet,
  vectorInit,
  vectorMerge,
  vectorPrune,
  vectorTick,
} from "../../assembly/clock/vector";

export { AFTER, BEFORE, CONCURRENT, EQUAL } from "../../assembly/clock/vector";

/** A counter above every stamp that was heard of: a cause has the smaller stamp. */
export class LamportClock {
  private readonly at: usize = heap.alloc(LAMPORT_BYTES);

  /** last: the stamp to begin after, as it was kept. */
  constructor(last: u64 = 0) {
    lamportInit(this.at, last);
  }
  tick(): u64 {
    return lamportTick(this.at);
  }
  /** Takes in a stamp that came with a message. 0, or -CLOCK_DRIFT for one 2^40 ahead. */
  receive(stamp: u64): i32 {
    return lamportReceive(this.at, stamp);
  }
  get last(): u64 {
    return lamportLast(this.at);
  }
}

/** Stamps near wall time that never go back: 48 bits of milliseconds, 16 logical. For a device whose wall clock is set. */
export class HybridClock {
  private readonly at: usize = heap.alloc(HLC_BYTES);

  /** driftMsMax: remote stamps further ahead are refused. floor: the bound that was kept, stamps begin above it. */
  constructor(driftMsMax: u32 = 60_000, floor: u64 = 0) {
    hlcInit(this.at, driftMsMax, floor);
  }
  /** A stamp above every one before, or 0 when the kept bound is reached. */
  tick(wallMs: u64): u64 {
    return hlcTick(this.at, wallMs);
  }
  /** 0, or -CLOCK_DRIFT, and then nothing changes. */
  receive(wallMs: u64, stamp: u64): i32 {
    return hlcReceive(this.at, wallMs, stamp);
  }
  /** A bound to be kept where it survives a restart; then tell boundKept. */
  reserve(wallMs: u64, aheadMs: u32): u64 {
    return hlcReserve(this.at, wallMs, aheadMs);
  }
  boundKept(bound: u64): void {
    hlcBoundSet(this.at, bound);
  }
  get last(): u64 {
    return hlcLast(this.at);
  }
}

/** Tells before, after and concurrent apart, for as many nodes as it has room for. */
export class VectorClock {
  /** For the clocks beside it; nothing to write to. */
  readonly at: usize;
  /** 0, or -ARGUMENT. */
  readonly status: i32;

  /** capacity: nodes, 1 to 4,096, 24 bytes each. */
  constructor(capacity: u32) {
    this.at = heap.alloc(<usize>max<u32>(vectorBytes(capacity), 8));
    this.status = vectorInit(this.at, capacity);
  }
  /** An event at `node` (not 0). 0, or -POOL_FULL. */
  tick(node: u64, nowMs: u64): i32 {
    return this.status == 0 ? vectorTick(this.at, node, nowMs) : this.status;
  }
  /** Takes in the other's history. 0, or -POOL_FULL, and then nothing changes. */
  merge(other: VectorClock, nowMs: u64): i32 {
    if (this.status != 0) return this.status;
    return other.status == 0 ? vectorMerge(this.at, other.at, nowMs) : other.status;
  }
  /** What this is beside the other: EQUAL, BEFORE, AFTER or CONCURRENT; or a negative code. */
  compare(other: VectorClock): i32 {
    if (this.status != 0) return this.status;
    return other.status == 0 ? vectorCompare(this.at, other.at) : other.status;
  }
  get(node: u64): u64 {
    return this.status == 0 ? vectorGet(this.at, node) : 0;
  }
  get count(): u32 {
    return this.status == 0 ? vectorCount(this.at) : 0;
  }
  /** Drops nodes that did nothing since `beforeMs`, the oldest first, down to `keep`. How many. */
  prune(keep: u32, beforeMs: u64): i32 {
    return this.status == 0 ? vectorPrune(this.at, keep, beforeMs) : this.status;
  }
}

/**
 * Which writes of one value still stand, by dotted version vectors: a write replaces what its writer had seen, and stands beside what it had not. The values
 * are the app's to keep, under the node and counter of their writes.
 */
export class Versions {
  private readonly at: usize;
  /** All that was ever seen here: the context of a write by who has read this. */
  readonly seen: VectorClock;
  /** 0, or -ARGUMENT. */
  readonly status: i32;

  /** siblings: writes that may stand at once, 1 to 1,024, 16 bytes each; nodes: as a VectorClock's. */
  constructor(siblings: u32, nodes: u32) {
    this.at = heap.alloc(<usize>max<u32>(dotsBytes(siblings), 8));
    this.seen = new VectorClock(nodes);
    const status = dotsInit(this.at, siblings);
    this.status = status != 0 ? status : this.seen.status;
  }
  /** A write through `node` (not 0) whose writer had seen `context`. 0, or -POOL_FULL, and then nothing changes. Its dot is the last. */
  write(context: VectorClock, node: u64, nowMs: u64): i32 {
    if (this.status != 0) return this.status;
    return context.status == 0 ? dotsWrite(this.at, this.seen.at, context.at, node, nowMs) : context.status;
  }
  /** Takes in another replica's. 0, or -POOL_FULL, and then nothing changes. */
  sync(other: Versions, nowMs: u64): i32 {
    if (this.status != 0) return this.status;
    return other.status == 0 ? dotsSync(this.at, this.seen.at, other.at, other.seen.at, nowMs) : other.status;
  }
  /** Writes that stand. */
  get count(): u32 {
    return this.status == 0 ? dotsCount(this.at) : 0;
  }
  /** Of a write, 0 to count - 1; 0 for none. */
  node(index: u32): u64 {
    return index < this.count ? dotNode(this.at, index) : 0;
  }
  counter(index: u32): u64 {
    return index < this.count ? dotCounter(this.at, index) : 0;
  }
}
