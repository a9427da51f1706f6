/** Blocks of shared memory: an allocator, and a stack of records; assembly/lockfree/block-pool.ts and stack.ts have the algorithms. */
import { TardigradeError } from "../../protocols/error.ts";
import { AT, type Cursor, Cursors, layoutOf, type Schema, type View, type Write, write } from "./schema.ts";
import { type Handle, needed, Space, whole } from "./space.ts";

export interface BlocksOptions<S extends Schema> {
  readonly schema: S;
  /** Blocks, 1 to 2^26. */
  readonly capacity: number;
}

/** Allocator of records: a block's number can be handed from thread to thread. */
export class Pool<S extends Schema> {
  readonly capacity: number;
  readonly handle: Handle<Pool<S>>;
  readonly #raw: Space["raw"];
  readonly #at: number;
  readonly #view: Cursor<S>;

  private constructor(space: Space, at: number, options: BlocksOptions<S>) {
    this.#raw = space.raw;
    this.#at = at;
    this.capacity = options.capacity;
    this.handle = space.handle("pool", at, options);
    this.#view = layoutOf(options.schema).view(space.words.buffer);
  }

  static bytes<S extends Schema>(space: Pick<Space, "raw">, { schema, capacity }: BlocksOptions<S>): number {
    whole("A pool's capacity", capacity, { min: 1, max: 2 ** 26 });
    return needed(
      space.raw.poolBytes(capacity, layoutOf(schema).stride),
      `A pool has 1 to 2^26 blocks, within 2^31 bytes, not ${capacity}.`,
    );
  }

  static create<S extends Schema>(space: Space, { schema, capacity }: BlocksOptions<S>): Pool<S> {
    const at = space.allocate(Pool.bytes(space, { schema, capacity }));
    space.raw.poolInit(at, capacity, layoutOf(schema).stride);
    return new Pool(space, at, { schema, capacity });
  }

  static open<S extends Schema>(handle: Handle<Pool<S>>): Pool<S> {
    return new Pool(Space.of(handle), handle.at, handle.detail as BlocksOptions<S>);
  }

  /** A block's number, or undefined when all are out. `owner`: a number above 0 that the thread has for itself (`threadId + 1`), for `reclaim`. */
  allocate(owner: number): number | undefined {
    const block = this.#raw.poolAllocate(this.#at, ownerOf(owner));
    return block < 0 ? undefined : block;
  }

  /** The block where it lies: one view a thread, moved by the next call. */
  view(block: number): View<S> {
    this.#check(block);
    this.#view[AT] = this.#raw.poolBlockAt(this.#at, block);
    return this.#view;
  }

  /** Any thread may. Throws ARGUMENT when the block is not out: it was freed before. */
  free(block: number): void {
    this.#check(block);
    if (this.#raw.poolFree(this.#at, block) === 0) return;
    throw argument(`Block ${block} is not allocated; it was freed before, or there is no such block.`);
  }

  /** Takes back what the thread had that owner stands for, when it is gone. How many. */
  reclaim(owner: number): number {
    return this.#raw.poolReclaim(this.#at, ownerOf(owner));
  }

  #check(block: number): void {
    if (Number.isInteger(block) && block >= 0 && block < this.capacity) return;
    throw argument(`There is no block ${block}; there are ${this.capacity}.`);
  }
}

/** Stack of records that any thread pushes and pops. */
export class Stack<S extends Schema> {
  readonly capacity: number;
  readonly handle: Handle<Stack<S>>;
  readonly #raw: Space["raw"];
  readonly #stride: number;
  readonly #cursors: Cursors<S>;
  /** Numbers of blocks without a record, and with one; a block is on one of them, or in the hands of a thread. */
  readonly #free: number;
  readonly #full: number;
  readonly #blocks: number;

  private constructor(space: Space, at: number, options: BlocksOptions<S>) {
    const layout = layoutOf(options.schema);
    const bytes = space.raw.stackBytes(options.capacity);
    this.#raw = space.raw;
    this.capacity = options.capacity;
    this.handle = space.handle("stack", at, options);
    this.#stride = layout.stride;
    this.#cursors = new Cursors(layout, space.words.buffer);
    this.#free = at;
    this.#full = at + bytes;
    this.#blocks = at + 2 * bytes;
  }

  static bytes<S extends Schema>(space: Pick<Space, "raw">, { schema, capacity }: BlocksOptions<S>): number {
    whole("A stack's capacity", capacity, { min: 1, max: 2 ** 26 });
    const links = needed(space.raw.stackBytes(capacity), `A stack has 1 to 2^26 blocks, not ${capacity}.`);
    return 2 * links + capacity * layoutOf(schema).stride;
  }

  static create<S extends Schema>(space: Space, { schema, capacity }: BlocksOptions<S>): Stack<S> {
    const at = space.allocate(Stack.bytes(space, { schema, capacity }));
    const stack = new Stack(space, at, { schema, capacity });
    space.raw.stackInit(stack.#free, capacity, 1);
    space.raw.stackInit(stack.#full, capacity, 0);
    return stack;
  }

  static open<S extends Schema>(handle: Handle<Stack<S>>): Stack<S> {
    return new Stack(Space.of(handle), handle.at, handle.detail as BlocksOptions<S>);
  }

  /** False when no block is free: of those that another thread is pushing or popping just now, none is. */
  tryPush(record: Write<S>): boolean {
    const block = this.#raw.stackPop(this.#free);
    if (block < 0) return false;
    const view = this.#cursors.take(this.#blocks + block * this.#stride);
    let to = this.#free;
    try {
      write(view, record);
      to = this.#full;
    } finally {
      this.#cursors.give(view);
      this.#raw.stackPush(to, block);
    }
    return true;
  }

  /** The record pushed last, where it lies; false when there is none. */
  tryPop(read: (record: View<S>) => void): boolean {
    const block = this.#raw.stackPop(this.#full);
    if (block < 0) return false;
    const view = this.#cursors.take(this.#blocks + block * this.#stride);
    try {
      read(view);
    } finally {
      this.#cursors.give(view);
      this.#raw.stackPush(this.#free, block);
    }
    return true;
  }
}

function ownerOf(owner: number): number {
  return whole("An owner", owner, { min: 1, max: 2 ** 32 - 1 });
}

function argument(message: string): TardigradeError {
  return new TardigradeError("ARGUMENT", message, { context: { component: "lockfree" } });
}
