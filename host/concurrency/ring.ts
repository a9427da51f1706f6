/** Ring of records between one producer and one consumer; assembly/lockfree/spsc-ring.ts has the algorithm. */
import { Ends, type Side } from "./ends.ts";
import { SharedEvent } from "./event.ts";
import {
  AT,
  type Cursor,
  type Layout,
  layoutOf,
  type Schema,
  type View,
  type Write,
  write,
} from "./schema.ts";
import { ITEMS_EVENT, ROOM_EVENT } from "./shared-exports.ts";
import { countOf, type Handle, needed, Space, whole } from "./space.ts";

export interface RingOptions<S extends Schema> {
  readonly schema: S;
  /** Records: a power of two, up to 2^30. */
  readonly capacity: number;
}

/** What each thread opens; then one takes the producer's end and one the consumer's. */
export class Ring<S extends Schema> {
  readonly capacity: number;
  readonly handle: Handle<Ring<S>>;
  readonly #space: Space;
  readonly #at: number;
  readonly #layout: Layout<S>;
  readonly #ends: Ends;

  private constructor(space: Space, at: number, detail: RingOptions<S>) {
    this.#space = space;
    this.#at = at;
    this.capacity = detail.capacity;
    this.#layout = layoutOf(detail.schema);
    this.handle = space.handle("ring", at, detail);
    this.#ends = new Ends(space, at, [
      new SharedEvent(space, at + ITEMS_EVENT),
      new SharedEvent(space, at + ROOM_EVENT),
    ]);
  }

  static bytes<S extends Schema>(module: Pick<Space, "raw">, { schema, capacity }: RingOptions<S>): number {
    const { stride } = layoutOf(schema);
    whole("A ring's capacity", capacity, { min: 1, max: 2 ** 30 });
    return needed(
      module.raw.spscBytes(capacity, stride),
      `A ring's capacity is a power of two up to 2^30, within 2^31 bytes, not ${capacity}.`,
    );
  }

  static create<S extends Schema>(space: Space, { schema, capacity }: RingOptions<S>): Ring<S> {
    const at = space.allocate(Ring.bytes(space, { schema, capacity }));
    space.raw.spscInit(at, capacity, layoutOf(schema).stride);
    return new Ring(space, at, { schema, capacity });
  }

  static open<S extends Schema>(handle: Handle<Ring<S>>): Ring<S> {
    return new Ring(Space.of(handle), handle.at, handle.detail as RingOptions<S>);
  }

  /** This thread writes from now on. ARGUMENT when another does. */
  producer(): RingProducer<S> {
    this.#ends.take("producer");
    return new RingProducer(this.#space, this.#at, this.#layout, this.#ends);
  }

  /** This thread reads from now on. ARGUMENT when another does. */
  consumer(): RingConsumer<S> {
    this.#ends.take("consumer");
    return new RingConsumer(this.#space, this.#at, this.#layout, this.#ends);
  }

  /** Records in it, at once out of date. */
  get count(): number {
    return this.#space.raw.spscCount(this.#at) >>> 0;
  }

  /** For whoever knows that an end's thread is gone: the other end learns of it, and the end can be taken anew. */
  abandon(side: Side): void {
    this.#ends.abandon(side);
  }
}

/** Belongs to one thread. */
export class RingProducer<S extends Schema> {
  readonly #raw: Space["raw"];
  readonly #at: number;
  readonly #view: Cursor<S>;
  readonly #ends: Ends;
  readonly #room: SharedEvent;
  readonly #hasRoom: () => boolean;

  constructor(space: Space, at: number, layout: Layout<S>, ends: Ends) {
    this.#raw = space.raw;
    this.#at = at;
    this.#view = layout.view(space.words.buffer);
    this.#ends = ends;
    this.#room = new SharedEvent(space, at + ROOM_EVENT);
    this.#hasRoom = () => this.#raw.spscReserve(at, 1) !== 0 || ends.isAway("consumer");
  }

  /** Writes a record where it will lie: a function gets the view, an object is copied into it. False when the ring is full; whether anybody reads any more, `push` tells. */
  tryPush(record: Write<S>): boolean {
    if (this.#raw.spscReserve(this.#at, 1) === 0) return false;
    this.#view[AT] = this.#raw.spscWriteAt(this.#at, 0);
    write(this.#view, record);
    this.#raw.spscPublish(this.#at, 1);
    return true;
  }

  /** Waits for room. Rejects with SHARED_CLOSED or SHARED_PEER_GONE when nobody reads any more. */
  async push(record: Write<S>): Promise<void> {
    while (true) {
      if (this.#ends.isAway("consumer")) throw this.#ends.error("consumer");
      if (this.tryPush(record)) return;
      await this.#room.wait(this.#hasRoom);
    }
  }

  /** Blocks the thread until there is room; false when that took longer than `timeoutMs`. Throws as `push` rejects. */
  pushSync(record: Write<S>, timeoutMs?: number): boolean {
    while (true) {
      if (this.#ends.isAway("consumer")) throw this.#ends.error("consumer");
      if (this.tryPush(record)) return true;
      if (!this.#room.waitSync(this.#hasRoom, timeoutMs)) return false;
    }
  }

  /** Blocks the thread until there is room, or nobody reads any more; false when that took longer than `timeoutMs`. */
  waitSync(timeoutMs?: number): boolean {
    return this.#room.waitSync(this.#hasRoom, timeoutMs);
  }

  /** Writes as many as there is room for, one view after the other, and publishes them at once. How many. */
  pushBatch(count: number, fill: (record: View<S>, index: number) => void): number {
    const room = this.#raw.spscReserve(this.#at, countOf(count)) >>> 0;
    for (let index = 0; index < room; index += 1) {
      this.#view[AT] = this.#raw.spscWriteAt(this.#at, index);
      fill(this.#view, index);
    }
    if (room > 0) this.#raw.spscPublish(this.#at, room);
    return room;
  }

  /** Nothing more comes: the consumer reads what there is, and ends. */
  close(): void {
    this.#ends.close("producer");
  }
  [Symbol.dispose](): void {
    this.close();
  }
}

/** Belongs to one thread. */
export class RingConsumer<S extends Schema> implements AsyncIterable<View<S>> {
  readonly #raw: Space["raw"];
  readonly #at: number;
  readonly #view: Cursor<S>;
  readonly #ends: Ends;
  readonly #items: SharedEvent;
  readonly #hasItems: () => boolean;

  constructor(space: Space, at: number, layout: Layout<S>, ends: Ends) {
    this.#raw = space.raw;
    this.#at = at;
    this.#view = layout.view(space.words.buffer);
    this.#ends = ends;
    this.#items = new SharedEvent(space, at + ITEMS_EVENT);
    this.#hasItems = () => this.#raw.spscReady(at, 1) !== 0 || ends.isAway("producer");
  }

  /** Reads up to `count` records where they lie, then gives their room back. How many. A view is only good inside `read`. */
  shiftBatch(count: number, read: (record: View<S>, index: number) => void): number {
    const ready = this.#raw.spscReady(this.#at, countOf(count)) >>> 0;
    for (let index = 0; index < ready; index += 1) {
      this.#view[AT] = this.#raw.spscReadAt(this.#at, index);
      read(this.#view, index);
    }
    if (ready > 0) this.#raw.spscRelease(this.#at, ready);
    return ready;
  }

  /** One record; false when there is none now. */
  tryShift(read: (record: View<S>) => void): boolean {
    if (this.#raw.spscReady(this.#at, 1) === 0) return false;
    this.#view[AT] = this.#raw.spscReadAt(this.#at, 0);
    read(this.#view);
    this.#raw.spscRelease(this.#at, 1);
    return true;
  }

  /** Blocks the thread until there is a record. False when there is none within `timeoutMs`, or the producer closed; throws SHARED_PEER_GONE. */
  shiftSync(read: (record: View<S>) => void, timeoutMs?: number): boolean {
    while (!this.tryShift(read)) {
      if (this.#isOver()) return false;
      if (!this.#items.waitSync(this.#hasItems, timeoutMs)) return false;
    }
    return true;
  }

  /** Blocks the thread until there is a record, or nobody writes any more; false when that took longer than `timeoutMs`. */
  waitSync(timeoutMs?: number): boolean {
    return this.#items.waitSync(this.#hasItems, timeoutMs);
  }

  /** Waits until there is a record. False when the producer closed; rejects with SHARED_PEER_GONE. */
  async ready(): Promise<boolean> {
    while (this.#raw.spscReady(this.#at, 1) === 0) {
      if (this.#isOver()) return false;
      await this.#items.wait(this.#hasItems);
    }
    return true;
  }

  /** Each record as a view that is good until the next; ends when the producer closed, throws SHARED_PEER_GONE when it is gone. */
  async *[Symbol.asyncIterator](): AsyncGenerator<View<S>, void, undefined> {
    while (await this.ready()) {
      this.#view[AT] = this.#raw.spscReadAt(this.#at, 0);
      try {
        yield this.#view;
      } finally {
        this.#raw.spscRelease(this.#at, 1);
      }
    }
  }

  /** True when the producer is away and all it published was read. */
  #isOver(): boolean {
    if (!this.#ends.isAway("producer")) return false;
    // It may have published between the look at the ring and the look at its flag.
    if (this.#raw.spscReady(this.#at, 1) !== 0) return false;
    if (this.#ends.isGone("producer")) throw this.#ends.error("producer");
    return true;
  }

  /** Reads nothing more: the producer learns of it. */
  close(): void {
    this.#ends.close("consumer");
  }
  [Symbol.dispose](): void {
    this.close();
  }
}
