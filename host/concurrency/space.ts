/**
 * Memory that threads share, and this thread's instance of the shared build over it. Structures are laid into it one after the other and never taken out; a space ends with the last
 * thread that knows it.
 *
 *   +0 unused (so that no structure is at 0)   +64 next u32: where the next structure goes
 */
import { TardigradeError } from "../../protocols/error.ts";
import type { SharedExports } from "./shared-exports.ts";

const LINE = 64;
const NEXT_WORD = 16;
const BEGIN = 128;
const PAGE = 65_536;
const BYTES_MAX = 2 ** 31;

/** What a structure's handle says; structured clone carries it to another thread, and `attach` opens it there. */
export interface Handle<Of = unknown> {
  readonly tardigrade: "lockfree";
  readonly kind: string;
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly at: number;
  /** What a kind needs besides: a schema, a capacity. Plain data. */
  readonly detail: unknown;
  /** For the type only. */
  readonly of?: Of;
}

export class Space {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly raw: SharedExports;
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  readonly words: Int32Array<SharedArrayBuffer>;

  private constructor(module: WebAssembly.Module, memory: WebAssembly.Memory) {
    this.module = module;
    this.memory = memory;
    this.raw = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as SharedExports;
    const buffer = memory.buffer as unknown as SharedArrayBuffer;
    this.bytes = new Uint8Array(buffer);
    this.words = new Int32Array(buffer);
  }

  /** A new one with room for structures of `bytes` in all. */
  static create(module: WebAssembly.Module, bytes: number): Space {
    const wanted = whole("A shared space's bytes", bytes, { min: 1, max: BYTES_MAX - BEGIN }) + BEGIN;
    const pages = Math.ceil(wanted / PAGE);
    const space = new Space(module, new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }));
    Atomics.store(space.words, NEXT_WORD, BEGIN);
    SPACES.set(space.memory, new WeakRef(space));
    return space;
  }

  /** This thread's view of the memory of a handle. */
  static of({ module, memory }: Handle): Space {
    const known = SPACES.get(memory)?.deref();
    if (known !== undefined) return known;
    const space = new Space(module, memory);
    SPACES.set(memory, new WeakRef(space));
    return space;
  }

  /** Takes memory that is zero, at a multiple of 64. Any thread may. */
  allocate(bytes: number): number {
    whole("A structure's size", bytes, { min: 1, max: BYTES_MAX });
    const rounded = Math.ceil(bytes / LINE) * LINE;
    let at = Atomics.load(this.words, NEXT_WORD) >>> 0;
    while (at + rounded <= this.bytes.length) {
      const found = Atomics.compareExchange(this.words, NEXT_WORD, at | 0, (at + rounded) | 0) >>> 0;
      if (found === at) return at;
      at = found;
    }
    throw new TardigradeError(
      "SHARED_FULL",
      `The shared space has ${this.bytes.length} bytes, of which ${at} are taken; a structure of ${bytes} does not fit. Make the space larger.`,
      { context: { component: "lockfree" } },
    );
  }

  handle<Of>(kind: string, at: number, detail: unknown): Handle<Of> {
    return { tardigrade: "lockfree", kind, module: this.module, memory: this.memory, at, detail };
  }
}

/** Memory objects are one per clone: a thread that gets two handles of one space has two views of it, which work on the same bytes. */
const SPACES = new WeakMap<WebAssembly.Memory, WeakRef<Space>>();

/** Bytes that a structure needs, or ARGUMENT with what is allowed. */
export function needed(bytes: number, allowed: string): number {
  if (bytes !== 0) return bytes >>> 0;
  throw new TardigradeError("ARGUMENT", allowed, { context: { component: "lockfree" } });
}

/** A whole number within bounds, or ARGUMENT. */
export function whole(
  what: string,
  value: number,
  { min, max }: { readonly min: number; readonly max: number },
): number {
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new TardigradeError("ARGUMENT", `${what} is a whole number from ${min} to ${max}, not ${value}.`, {
    context: { component: "lockfree" },
  });
}

/** "Up to so many" as a word; Infinity is as many as there are. */
export function countOf(count: number): number {
  return count >= 2 ** 30 ? 2 ** 30 : whole("A count", count, { min: 0, max: 2 ** 30 });
}
