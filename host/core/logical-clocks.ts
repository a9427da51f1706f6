/** Lamport and vector clocks over the core's: assembly/clock/lamport.ts and vector.ts. Stamps, counters and node numbers are u64, BigInts here. */
import { TardigradeError } from "../../protocols/error.ts";
import { type Core, codeOfStatus } from "./core.ts";
import { argument, Struct } from "./struct.ts";

const LAMPORT_BYTES = 8;
const U64_MAX = 2n ** 64n - 1n;
export const VECTOR_NODES_MAX = 4096;
const NODES_DEFAULT = 64;

export interface LamportClock extends Disposable {
  /** The stamp of an event here. Throws CLOCK_DRIFT when there is none left, after 2^64. */
  tick(): bigint;
  /** Takes in a stamp that came with a message, so that the next tick is above it. Throws CLOCK_DRIFT for one that lies 2^40 ahead. */
  receive(stamp: bigint): void;
  /** To be kept over a restart. */
  last(): bigint;
}

/** last: the stamp to begin after, as it was kept. Throws ARGUMENT. */
export function createLamportClock(core: Core, { last = 0n }: { readonly last?: bigint } = {}): LamportClock {
  const { raw } = core;
  if (!isU64(last)) throw argument("lamport-clock", "A stamp is from 0 to 2^64 - 1.");
  const struct = new Struct(core, LAMPORT_BYTES, "lamport-clock");
  raw.lamportInit(struct.at, last);
  return {
    tick: () => {
      const stamp = u64(raw.lamportTick(struct.at));
      if (stamp !== 0n) return stamp;
      throw drift("A Lamport clock has given its last stamp, 2^64 - 1.");
    },
    receive: (stamp) => {
      if (!isU64(stamp)) throw argument("lamport-clock", "A stamp is from 0 to 2^64 - 1.");
      if (raw.lamportReceive(struct.at, stamp) === 0) return;
      throw drift("A stamp lies 2^40 ahead of all that were heard of; it is a mistake or an attack.");
    },
    last: () => u64(raw.lamportLast(struct.at)),
    [Symbol.dispose]: () => struct[Symbol.dispose](),
  };
}

/** How one history stands to another. */
export type Order = "equal" | "before" | "after" | "concurrent";
const ORDERS: readonly Order[] = ["equal", "before", "after", "concurrent"];

/** Node and counter, both above 0: what a vector clock is made of when it travels. */
export type VectorEntry = readonly [node: bigint, counter: bigint];

export interface VectorClockOptions {
  /** Nodes it has room for, 1 to 4,096, 24 bytes each. Default 64. */
  readonly capacity?: number;
  /** What it knows already. */
  readonly entries?: readonly VectorEntry[];
}

export interface VectorClock extends Disposable {
  /** An event at the node. nowMs: when, for prune. Throws POOL_FULL when there is no room for another node. */
  tick(node: bigint, nowMs?: number): void;
  /** The node's counter, 0n where it has none. */
  get(node: bigint): bigint;
  /** Takes in another's history. Throws POOL_FULL, and then nothing has changed. */
  merge(other: VectorClock, nowMs?: number): void;
  /** What this is beside the other. */
  compare(other: VectorClock): Order;
  /** By node, ascending. */
  entries(): readonly VectorEntry[];
  /** Drops nodes whose counter last grew before `beforeMs`, the oldest first, until `keep` are left. Returns how many. */
  prune(options: { readonly keep: number; readonly beforeMs: number }): number;
}

const vectors = new WeakMap<VectorClock, Struct>();

/** Throws ARGUMENT, and POOL_FULL for more entries than its capacity. */
export function createVectorClock(core: Core, options: VectorClockOptions = {}): VectorClock {
  const { capacity = NODES_DEFAULT, entries = [] } = options;
  const { raw } = core;
  const struct = vectorStruct(core, capacity);
  const theirs = (other: VectorClock): number => {
    const found = vectors.get(other);
    if (found?.core !== core)
      throw argument("vector-clock", "The other is no vector clock of this entry point; take its entries.");
    return found.at;
  };
  const vector: VectorClock = {
    tick: (node, nowMs = 0) => checkVector(raw.vectorTick(struct.at, checkNode(node), milliseconds(nowMs))),
    get: (node) => u64(raw.vectorGet(struct.at, checkNode(node))),
    merge: (other, nowMs = 0) => checkVector(raw.vectorMerge(struct.at, theirs(other), milliseconds(nowMs))),
    compare: (other) => ORDERS[raw.vectorCompare(struct.at, theirs(other))] as Order,
    entries: () => vectorEntries(core, struct.at),
    prune: ({ keep, beforeMs }) => {
      if (!Number.isInteger(keep) || keep < 0)
        throw argument("vector-clock", "As many nodes as are kept: 0 or more.");
      return raw.vectorPrune(struct.at, keep, milliseconds(beforeMs));
    },
    [Symbol.dispose]: () => struct[Symbol.dispose](),
  };
  vectors.set(vector, struct);
  fillVector(core, struct, entries);
  return vector;
}

/** Throws ARGUMENT. */
export function vectorStruct(core: Core, capacity: number): Struct {
  if (!Number.isInteger(capacity) || capacity < 1 || capacity > VECTOR_NODES_MAX) {
    throw argument("vector-clock", `A vector clock has room for 1 to ${VECTOR_NODES_MAX} nodes.`);
  }
  const struct = new Struct(core, core.raw.vectorBytes(capacity), "vector-clock");
  core.raw.vectorInit(struct.at, capacity);
  return struct;
}

/** Gives the struct back when it throws ARGUMENT or POOL_FULL. */
export function fillVector(core: Core, struct: Struct, entries: readonly VectorEntry[]): void {
  try {
    for (const [node, counter] of entries) {
      if (!isU64(counter)) throw argument("vector-clock", "A counter is from 0 to 2^64 - 1.");
      checkVector(core.raw.vectorRaise(struct.at, checkNode(node), counter, 0n));
    }
  } catch (error) {
    struct[Symbol.dispose]();
    throw error;
  }
}

export function vectorEntries({ raw }: Core, at: number): readonly VectorEntry[] {
  return Array.from({ length: raw.vectorCount(at) }, (_, index) => {
    const node = u64(raw.vectorNode(at, index));
    return [node, u64(raw.vectorGet(at, node))] as const;
  });
}

/** Throws ARGUMENT. */
export function checkNode(node: bigint): bigint {
  if (node > 0n && node <= U64_MAX) return node;
  throw argument("vector-clock", "A node's number is from 1 to 2^64 - 1; nodeId() makes one of a name.");
}

export function checkVector(status: number): void {
  if (status === 0) return;
  throw new TardigradeError(
    codeOfStatus(status),
    "There is no room for another node or sibling; take a larger capacity, or prune.",
    { context: { component: "vector-clock" } },
  );
}

/** Throws ARGUMENT. */
export function milliseconds(ms: number): bigint {
  if (ms >= 0 && ms <= Number.MAX_SAFE_INTEGER) return BigInt(Math.floor(ms));
  throw argument("vector-clock", "A time is in milliseconds, 0 or more.");
}

export function u64(value: bigint): bigint {
  return BigInt.asUintN(64, value);
}

function isU64(value: bigint): boolean {
  return value >= 0n && value <= U64_MAX;
}

function drift(message: string): TardigradeError {
  return new TardigradeError("CLOCK_DRIFT", message, { context: { component: "lamport-clock" } });
}

const NAME_BYTES_MAX = 1024;

/** A node's number out of its name: its XXH64. Two of a thousand names are the same once in 10^13 times. Throws ARGUMENT. */
export function nodeIdOf(core: Core, name: string): bigint {
  const bytes = new TextEncoder().encode(name);
  if (bytes.length === 0 || bytes.length > NAME_BYTES_MAX) {
    throw argument("vector-clock", `A node's name has 1 to ${NAME_BYTES_MAX} bytes.`);
  }
  using struct = new Struct(core, bytes.length, "name");
  core.bytes().set(bytes, struct.at);
  const hash = u64(core.raw.xxh64(struct.at, bytes.length, 0n));
  return hash === 0n ? 1n : hash;
}
