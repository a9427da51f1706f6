/** Bugs as people make them in such code, one at a time in the shared build's sources; the case that names the structure must find each. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { CASES } from "./cases.ts";
import { compileShared } from "./compile.ts";
import { explore, type Found } from "./explore.ts";
import { HARNESS } from "./harness.ts";

const ROOT = join(import.meta.dirname, "../..");

export interface PlantedBug {
  readonly name: string;
  readonly structure: string;
  readonly file: string;
  readonly from: string;
  readonly to: string;
  /** A second place, and what stands there instead. */
  readonly also?: readonly [string, string];
}

export const PLANTED: readonly PlantedBug[] = [
  {
    name: "a missing fence: the tail is published by a plain store",
    structure: "spsc-ring",
    file: "spsc-ring",
    from: "atomic.store<u32>(at, load<u32>(at, TAIL) + count, TAIL);",
    to: "store<u32>(at, load<u32>(at, TAIL) + count, TAIL);",
  },
  {
    name: "an index swapped: the producer looks at its own tail for room",
    structure: "spsc-ring",
    file: "spsc-ring",
    from: "    const head = atomic.load<u32>(at, HEAD);",
    to: "    const head = atomic.load<u32>(at, TAIL);",
  },
  {
    name: "slots are given back before they are read",
    structure: "spsc-ring",
    file: "spsc-ring",
    from: "  spscRelease(at, ready);\n  return ready;",
    to: "  return ready;",
    also: [
      "  memory.copy(to, spscReadAt(at, 0), <usize>(first * stride));",
      "  const place = spscReadAt(at, 0);\n  spscRelease(at, ready);\n  memory.copy(to, place, <usize>(first * stride));",
    ],
  },
  {
    name: "no mark where a record did not fit before the end",
    structure: "record-ring",
    file: "record-ring",
    from: "    store<u32>(recordAt(at, pending), SKIP);\n",
    to: "",
  },
  {
    name: "a lost wake-up: the other side is looked for before the change",
    structure: "event",
    file: "spsc-ring",
    from: "  atomic.store<u32>(at, load<u32>(at, TAIL) + count, TAIL);\n  eventSignal(at + SPSC_ITEMS);",
    to: "  eventSignal(at + SPSC_ITEMS);\n  atomic.store<u32>(at, load<u32>(at, TAIL) + count, TAIL);",
  },
  {
    name: "a lost wake-up: waking does not move the count",
    structure: "event",
    file: "event",
    from: "  atomic.add<u32>(at, 1);\n  atomic.notify",
    to: "  atomic.notify",
  },
  {
    name: "the value is written after its slot was published",
    structure: "mpmc-queue",
    file: "mpmc-queue",
    from: "  store<u32>(<usize>slot, value, MPMC_VALUE);\n  mpmcPublish(at, <usize>slot);",
    to: "  mpmcPublish(at, <usize>slot);\n  store<u32>(<usize>slot, value, MPMC_VALUE);",
  },
  {
    name: "a position is taken by a load and a store",
    structure: "mpmc-queue",
    file: "mpmc-queue",
    from: "const found = atomic.cmpxchg<u32>(at, position, position + 1, HEAD);",
    to: "const found = atomic.load<u32>(at, HEAD);\n      if (found == position) atomic.store<u32>(at, position + 1, HEAD);",
  },
  {
    name: "a row is won without a look at any but its first slot",
    structure: "mpmc-queue",
    file: "mpmc-queue",
    from: "while (count < most && atomic.load<u32>(slotAt(at, position + count)) == position + count + turn) ++count;",
    to: "if (atomic.load<u32>(slotAt(at, position)) == position + turn) count = most;",
  },
  {
    name: "ABA: the stack's head has no tag",
    structure: "stack",
    file: "stack",
    from: "(((head >> 32) + 1) << 32)",
    to: "(head & 0xffffffff00000000)",
  },
  {
    name: "a block is free before its owner is taken off",
    structure: "block-pool",
    file: "block-pool",
    from: "  if (atomic.xchg<u32>(ownerOf(at, block), 0) == 0) return -ARGUMENT;\n  return stackPush(at + FREE, block);",
    to: "  const status = stackPush(at + FREE, block);\n  atomic.xchg<u32>(ownerOf(at, block), 0);\n  return status;",
  },
  {
    name: "a missing fence: the words of a value are read plainly",
    structure: "seqlock",
    file: "seqlock",
    from: "store<u64>(to + offset, atomic.load<u64>(copy + offset));",
    to: "store<u64>(to + offset, load<u64>(copy + offset));",
  },
  {
    name: "one copy: the writer writes where readers read",
    structure: "seqlock",
    file: "seqlock",
    from: "const copy = copyAt(at, words, next);",
    to: "const copy = copyAt(at, words, 0);",
  },
  {
    name: "a double take: the last number is not fought for",
    structure: "deque",
    file: "deque",
    from: "const isOurs = atomic.cmpxchg<u32>(at, top, top + 1, TOP) == top;",
    to: "const isOurs = true;\n  atomic.store<u32>(at, top + 1, TOP);",
  },
  {
    name: "a missing fence: the owner's bottom is stored plainly before it looks at top",
    structure: "deque",
    file: "deque",
    from: "atomic.store<u32>(at, bottom, BOTTOM);\n  const top",
    to: "store<u32>(at, bottom, BOTTOM);\n  const top",
  },
  {
    name: "growth drops a key: a frozen value is not copied",
    structure: "hash-map",
    file: "hash-map",
    from: "if (state == FROZEN) copy(at, table + 1, atomic.load<u64>(slot), valueIn(word));",
    to: "",
  },
  {
    name: "growth loses an update: a value is copied without freezing it",
    structure: "hash-map",
    file: "hash-map",
    from: "const to = state == LIVE ? packed(FROZEN, valueIn(word)) : packed(MOVED, 0);",
    to: "if (state == LIVE) copy(at, table + 1, atomic.load<u64>(slot), valueIn(word));\n    const to = packed(MOVED, 0);",
  },
  {
    name: "a delete that does not look whether the value is still there",
    structure: "hash-map",
    file: "hash-map",
    from: "if (atomic.cmpxchg<u64>(slot, word, packed(DELETED, 0), STATE) != word) continue;",
    to: "atomic.store<u64>(slot, packed(DELETED, 0), STATE);",
  },
];

/** The source with the bug in it. Throws when its place is not there just once. */
export function plantedSource({ file, from, to, name, also }: PlantedBug): ReadonlyMap<string, string> {
  const path = `assembly/lockfree/${file}.ts`;
  let source = readFileSync(join(ROOT, path), "utf8");
  for (const [place, instead] of [[from, to], also ?? []]) {
    if (place === undefined || instead === undefined) continue;
    const count = source.split(place).length - 1;
    if (count !== 1) throw new Error(`${name}: its place is in ${path} ${count} times`);
    source = source.replace(place, () => instead);
  }
  return new Map([[path, source]]);
}

export interface Hunt {
  readonly case: string;
  readonly states: number;
  readonly violation: Found["violation"];
}

/** Searches the structure's cases until one finds it. */
export async function hunt(bug: PlantedBug): Promise<Hunt> {
  const wasm = await compileShared(HARNESS, plantedSource(bug));
  let states = 0;
  for (const { name, structure, search } of CASES) {
    if (structure !== bug.structure) continue;
    const found = explore({ ...search, wasm });
    states += found.states;
    if (found.violation !== undefined) return { case: name, states, violation: found.violation };
  }
  return { case: "", states, violation: undefined };
}
