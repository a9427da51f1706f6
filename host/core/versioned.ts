/**
 * A value that several nodes write without asking each other, as a dotted version vector keeps it (assembly/clock/dotted.ts): what a writer had seen
 * is replaced, what he had not stays beside it as a sibling, until somebody who has seen both decides.
 */
import type { Core } from "./core.ts";
import {
  checkNode,
  checkVector,
  fillVector,
  milliseconds,
  u64,
  type VectorEntry,
  vectorEntries,
  vectorStruct,
} from "./logical-clocks.ts";
import { argument, Struct } from "./struct.ts";

export const SIBLINGS_MAX = 1024;

export interface VersionedOptions {
  /** Values beside each other at most, 1 to 1,024. Default 16. */
  readonly siblings?: number;
  /** Nodes that may write, 1 to 4,096. Default 64. */
  readonly nodes?: number;
}

export interface Write {
  /** Where it is written, above 0; nodeId() makes one of a name. */
  readonly node: bigint;
  /** What the writer had seen: the context of his read. Default everything here, which then is replaced. */
  readonly context?: readonly VectorEntry[];
  /** For pruning. Default 0. */
  readonly nowMs?: number;
}

export interface Versioned<T> extends Disposable {
  /** What nothing has replaced; more than one where writers did not know of each other. */
  readonly values: readonly T[];
  /** What a reader of these values has seen, for his next write. */
  readonly context: readonly VectorEntry[];
  /** Throws POOL_FULL when there are too many siblings or nodes, and then nothing has changed; ARGUMENT. */
  write(value: T, write: Write): void;
  /** Takes in another replica. Throws POOL_FULL, and then nothing has changed. Both then show the same values once the other has done it too. */
  sync(other: Versioned<T>, nowMs?: number): void;
}

interface Parts {
  readonly core: Core;
  readonly dots: Struct;
  readonly seen: Struct;
  /** By dot. */
  readonly values: ReadonlyMap<string, unknown>;
}
const parts = new WeakMap<object, () => Parts>();

/** Throws ARGUMENT. Dispose of it, or its memory stays taken. */
export function createVersioned<T>(
  core: Core,
  { siblings = 16, nodes = 64 }: VersionedOptions = {},
): Versioned<T> {
  const { raw } = core;
  if (!Number.isInteger(siblings) || siblings < 1 || siblings > SIBLINGS_MAX) {
    throw argument("versioned", `A versioned value has room for 1 to ${SIBLINGS_MAX} siblings.`);
  }
  const seen = vectorStruct(core, nodes);
  const dots = new Struct(core, raw.dotsBytes(siblings), "versioned");
  raw.dotsInit(dots.at, siblings);
  let values: ReadonlyMap<string, T> = new Map();
  const contextOf = () => vectorEntries(core, seen.at);
  const keep = (find: (dot: string) => T) => {
    values = new Map(dotsOf(core, dots.at).map((dot) => [dot, find(dot)] as const));
  };
  const versioned: Versioned<T> = {
    get values() {
      return [...values.values()];
    },
    get context() {
      return contextOf();
    },
    write: (value, { node, context, nowMs = 0 }) => {
      const known = context ?? contextOf();
      using theirs = vectorStruct(core, Math.max(known.length, 1));
      fillVector(core, theirs, known);
      checkVector(raw.dotsWrite(dots.at, seen.at, theirs.at, checkNode(node), milliseconds(nowMs)));
      keep((dot) => (values.has(dot) ? (values.get(dot) as T) : value));
    },
    sync: (other, nowMs = 0) => {
      const theirs = parts.get(other)?.();
      if (theirs?.core !== core)
        throw argument("versioned", "The other is no versioned value of this entry point.");
      checkVector(raw.dotsSync(dots.at, seen.at, theirs.dots.at, theirs.seen.at, milliseconds(nowMs)));
      keep((dot) => (values.has(dot) ? values.get(dot) : theirs.values.get(dot)) as T);
    },
    [Symbol.dispose]: () => {
      dots[Symbol.dispose]();
      seen[Symbol.dispose]();
    },
  };
  parts.set(versioned, () => ({ core, dots, seen, values }));
  return versioned;
}

function dotsOf({ raw }: Core, at: number): readonly string[] {
  return Array.from(
    { length: raw.dotsCount(at) },
    (_, index) => `${u64(raw.dotNode(at, index))}.${u64(raw.dotCounter(at, index))}`,
  );
}
