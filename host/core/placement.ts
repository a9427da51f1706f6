/**
 * Which of several nodes a key belongs to, so that few keys move when nodes come and go. Four ways, of assembly/hash/:
 *
 *   ring        O(log n)   any node may leave; shares spread by some 8 % at 160 points; deputies in ring order
 *   maglev      O(1)       any node may leave; shares even to a slot; a few keys of others move too
 *   rendezvous  O(n)       any node may leave or change its weight, exactly its share moves; deputies by rank
 *   jump        O(log n)   no memory; nodes are numbered, only the last may leave; no weights
 *
 * The same members in any order give the same placement, on every machine.
 */
import { TardigradeError } from "../../protocols/error.ts";
import { type Core, codeOfStatus } from "./core.ts";
import { giveRegion, type Region, takeRegion } from "./regions.ts";

export const KEY_BYTES_MAX = 1024;
export const NODES_MAX = 4096;
/** A prime; more than a hundred slots for each of some hundred nodes, as the paper asks. */
export const MAGLEV_SLOTS = 65_537;
export const RING_POINTS = 160;
const NODE_BYTES = 16;

export interface Node {
  /** 1 to 1,024 bytes of UTF-8, unique. */
  readonly id: string;
  /** Its share beside the others'; above 0, 1,000,000 at most, 1 by default. Not for `jump`. */
  readonly weight?: number;
}

export type PlacementKind = "ring" | "maglev" | "rendezvous" | "jump";

export interface PlacementOptions {
  readonly kind: PlacementKind;
  /** 1 to 4,096. For `jump` in the order of their numbers. */
  readonly nodes: readonly Node[];
  /** Points a unit of weight, of a ring: 1 to 65,536, and 2^20 together. */
  readonly points?: number;
  /** Slots of a Maglev table: a prime, 16 million at most. */
  readonly slots?: number;
}

export interface Placement extends Disposable {
  readonly kind: PlacementKind;
  /** Ids, sorted (jump: as given). */
  readonly nodes: readonly string[];
  /** Id of the key's node. Throws ARGUMENT for a key above KEY_BYTES_MAX. */
  owner(key: string): string;
  /** The owner and its deputies, `count` different nodes or as many as there are. Of `ring` and `rendezvous`. */
  owners(key: string, count: number): readonly string[];
}

export interface Move {
  readonly key: string;
  readonly from: string;
  readonly to: string;
}

/** Throws ARGUMENT. Dispose of it, or its memory stays taken. */
export function createPlacement(core: Core, options: PlacementOptions): Placement {
  const { kind } = options;
  const nodes = kind === "jump" ? [...options.nodes] : [...options.nodes].sort(byId);
  check(options, nodes);
  const { raw } = core;
  const ids = nodes.map(({ id }) => id);
  const members = takeRegion(core, nodes.length * NODE_BYTES);
  const keyRegion = takeRegion(core, KEY_BYTES_MAX);
  const ranks = takeRegion(core, nodes.length * 12);
  const regions = [members, keyRegion, ranks];
  const writeKey = keyWriter(core, keyRegion.at);
  for (const [index, { id, weight = 1 }] of nodes.entries()) {
    const hash = raw.xxh64(keyRegion.at, writeKey(id), 0n);
    const view = new DataView(core.bytes().buffer);
    view.setBigUint64(members.at + index * NODE_BYTES, BigInt.asUintN(64, hash), true);
    view.setFloat64(members.at + index * NODE_BYTES + 8, weight, true);
  }
  const table = tableOf(core, options, { members, count: nodes.length });
  if (table !== undefined) regions.push(table);
  const at = table?.at ?? 0;
  const count = nodes.length;
  const find: Record<PlacementKind, (length: number) => number> = {
    ring: (length) => raw.hashRingOwnerOf(at, keyRegion.at, length),
    maglev: (length) => raw.maglevOwnerOf(at, keyRegion.at, length),
    rendezvous: (length) => raw.rendezvousOwnerOf(members.at, count, keyRegion.at, length),
    jump: (length) => raw.jumpOwnerOf(keyRegion.at, length, count),
  };
  const findOwner = find[kind];
  let open = true;
  return {
    kind,
    nodes: ids,
    owner: (key) => {
      if (!open) throw argument("This placement was disposed of.");
      return ids[findOwner(writeKey(key))] as string;
    },
    owners: (key, wanted) => {
      if (!open) throw argument("This placement was disposed of.");
      if (!Number.isInteger(wanted) || wanted < 1) throw argument("At least one owner is asked for.");
      const most = Math.min(wanted, count);
      const length = writeKey(key);
      const scores = ranks.at;
      const to = ranks.at + most * 8;
      if (kind !== "ring" && kind !== "rendezvous") throw argument(`A ${kind} placement has no deputies.`);
      const found =
        kind === "ring"
          ? raw.hashRingOwnersOf(at, keyRegion.at, length, most, to)
          : raw.rendezvousRankOf(members.at, count, keyRegion.at, length, most, to, scores);
      return Array.from(new Uint32Array(core.bytes().buffer, to, found), (index) => ids[index] as string);
    },
    [Symbol.dispose]: () => {
      if (!open) return;
      open = false;
      for (const region of regions) giveRegion(core, region);
    },
  };
}

/** Which keys change their owner from one membership to another, in the keys' order. */
export function migrationPlan(keys: Iterable<string>, before: Placement, after: Placement): readonly Move[] {
  const moves: Move[] = [];
  for (const key of keys) {
    const from = before.owner(key);
    const to = after.owner(key);
    if (from !== to) moves.push({ key, from, to });
  }
  return moves;
}

function check({ kind }: PlacementOptions, nodes: readonly Node[]): void {
  if (nodes.length === 0 || nodes.length > NODES_MAX)
    throw argument(`A placement has 1 to ${NODES_MAX} nodes.`);
  const seen = new Set<string>();
  for (const { id, weight } of nodes) {
    const bytes = new TextEncoder().encode(id).length;
    if (bytes === 0 || bytes > KEY_BYTES_MAX) throw argument(`A node's id has 1 to ${KEY_BYTES_MAX} bytes.`);
    if (seen.has(id)) throw argument(`The node "${id.slice(0, 40)}" stands twice.`);
    seen.add(id);
    if (weight === undefined) continue;
    if (kind === "jump") throw argument("Jump hashing has no weights.");
    if (!(weight > 0) || weight > 1e6) throw argument(`The weight of "${id.slice(0, 40)}" must be above 0.`);
  }
}

function tableOf(
  core: Core,
  { kind, points = RING_POINTS, slots = MAGLEV_SLOTS }: PlacementOptions,
  { members, count }: { readonly members: Region; readonly count: number },
): Region | undefined {
  const { raw } = core;
  if (kind !== "ring" && kind !== "maglev") return undefined;
  const isWhole = Number.isInteger(points) && points > 0 && Number.isInteger(slots) && slots > 0;
  const bytes = !isWhole
    ? 0
    : kind === "ring"
      ? raw.hashRingBytes(members.at, count, points)
      : raw.maglevBytes(Math.min(slots, 0xffff_ffff), count);
  if (bytes === 0) {
    throw argument(
      kind === "ring"
        ? "A ring has 1 to 65,536 points a unit of weight, and 2^20 together."
        : "The slots of a Maglev table are a prime, at least as many as the nodes, 2^24 at most.",
    );
  }
  const table = takeRegion(core, bytes);
  const status =
    kind === "ring"
      ? raw.hashRingBuild(table.at, table.bytes, members.at, count, points)
      : raw.maglevBuild(table.at, table.bytes, slots, members.at, count);
  if (status === 0) return table;
  giveRegion(core, table);
  throw new TardigradeError(codeOfStatus(status), "The placement could not be made.", {
    context: { component: "placement", kind },
  });
}

/** Writes a key's UTF-8 into the core and gives its length. ASCII, which ids are, is copied without an encoder. */
function keyWriter(core: Core, at: number): (key: string) => number {
  const encoder = new TextEncoder();
  let bytes = core.bytes();
  return (key) => {
    if (bytes.buffer !== core.raw.memory.buffer) bytes = core.bytes();
    if (key.length > KEY_BYTES_MAX) throw argument(`A key has at most ${KEY_BYTES_MAX} bytes.`);
    for (let index = 0; index < key.length; index += 1) {
      const unit = key.charCodeAt(index);
      if (unit < 0x80) bytes[at + index] = unit;
      else {
        const { read, written } = encoder.encodeInto(key, bytes.subarray(at, at + KEY_BYTES_MAX));
        if (read < key.length) throw argument(`A key has at most ${KEY_BYTES_MAX} bytes.`);
        return written;
      }
    }
    return key.length;
  };
}

function byId(a: Node, b: Node): number {
  return a.id < b.id ? -1 : 1;
}

function argument(message: string): TardigradeError {
  return new TardigradeError("ARGUMENT", message, { context: { component: "placement" } });
}
