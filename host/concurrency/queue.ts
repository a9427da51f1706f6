/** Bounded queue of records between many threads; assembly/lockfree/mpmc-queue.ts has the algorithm, and what a thread that dies inside it holds up. */
import { TardigradeError } from "../../protocols/error.ts";
import { ERRORS } from "../../protocols/table.ts";
import { Ends, type Side } from "./ends.ts";
import { SharedEvent } from "./event.ts";
import { AT, Cursors, layoutOf, type Schema, type View, type Write, write } from "./schema.ts";
import { ITEMS_EVENT, ROOM_EVENT } from "./shared-exports.ts";
import { countOf, type Handle, needed, Space, whole } from "./space.ts";

const VALUE = 8;
const ROW = 2 ** 32;
const STALLED_MS = 100;
const STALLED = -ERRORS.SHARED_STALLED.number;

export interface QueueOptions<S extends Schema> {
  readonly schema: S;
  /** Records: a power of two, 2 to 2^26. */
  readonly capacity: number;
}

export class Queue<S extends Schema> implements AsyncIterable<View<S>> {
  readonly capacity: number;
  readonly handle: Handle<Queue<S>>;
  readonly #raw: Space["raw"];
  readonly #at: number;
  readonly #cursors: Cursors<S>;
  readonly #ends: Ends;
  readonly #items: SharedEvent;
  readonly #room: SharedEvent;
  #isStalled = false;

  private constructor(space: Space, at: number, options: QueueOptions<S>) {
    this.#raw = space.raw;
    this.#at = at;
    this.capacity = options.capacity;
    this.handle = space.handle("queue", at, options);
    this.#cursors = new Cursors(layoutOf(options.schema), space.words.buffer);
    this.#items = new SharedEvent(space, at + ITEMS_EVENT);
    this.#room = new SharedEvent(space, at + ROOM_EVENT);
    this.#ends = new Ends(space, at, [this.#items, this.#room]);
  }

  static bytes<S extends Schema>(space: Pick<Space, "raw">, { schema, capacity }: QueueOptions<S>): number {
    whole("A queue's capacity", capacity, { min: 2, max: 2 ** 26 });
    return needed(
      space.raw.mpmcBytes(capacity, layoutOf(schema).stride),
      `A queue's capacity is a power of two, 2 to 2^26, within 2^31 bytes, not ${capacity}.`,
    );
  }

  static create<S extends Schema>(space: Space, { schema, capacity }: QueueOptions<S>): Queue<S> {
    const at = space.allocate(Queue.bytes(space, { schema, capacity }));
    space.raw.mpmcInit(at, capacity, layoutOf(schema).stride);
    return new Queue(space, at, { schema, capacity });
  }

  static open<S extends Schema>(handle: Handle<Queue<S>>): Queue<S> {
    return new Queue(Space.of(handle), handle.at, handle.detail as QueueOptions<S>);
  }

  /** False when the queue is full, or was closed, or a consumer is in the middle of the slot that is next. */
  tryPush(record: Write<S>): boolean {
    if (this.#ends.isAway("producer")) return false;
    const slot = this.#raw.mpmcClaim(this.#at);
    this.#isStalled = slot === STALLED;
    if (slot < 0) return false;
    const view = this.#cursors.take(slot + VALUE);
    try {
      write(view, record);
    } finally {
      this.#cursors.give(view);
      // Whatever was written: a slot that is claimed and not published would hold up everybody.
      this.#raw.mpmcPublish(this.#at, slot);
    }
    return true;
  }

  /** One record where it lies; false when there is none now, or a producer is in the middle of the one that is next. */
  tryShift(read: (record: View<S>) => void): boolean {
    const slot = this.#raw.mpmcTake(this.#at);
    this.#isStalled = slot === STALLED;
    if (slot < 0) return false;
    const view = this.#cursors.take(slot + VALUE);
    try {
      read(view);
    } finally {
      this.#cursors.give(view);
      this.#raw.mpmcRelease(this.#at, slot);
    }
    return true;
  }

  /**
   * Writes up to `count` records, which are then together in the queue's order. How many: 0 when it is full, or a consumer is in the middle. A record whose `fill` threw is published as far as it was
   * written, and those after it as they are.
   */
  pushBatch(count: number, fill: (record: View<S>, index: number) => void): number {
    if (this.#ends.isAway("producer")) return 0;
    const [position, won] = row(this.#raw.mpmcClaimRowNumber(this.#at, countOf(count)));
    if (won === 0) return 0;
    const view = this.#cursors.take(0);
    try {
      for (let index = 0; index < won; index += 1) {
        view[AT] = this.#raw.mpmcSlotAt(this.#at, position + index) + VALUE;
        fill(view, index);
      }
    } finally {
      this.#cursors.give(view);
      this.#raw.mpmcPublishRow(this.#at, position, won);
    }
    return won;
  }

  /** Reads up to `count` records where they lie. How many. Those after one whose `read` threw are lost, as that one is. */
  shiftBatch(count: number, read: (record: View<S>, index: number) => void): number {
    const [position, won] = row(this.#raw.mpmcTakeRowNumber(this.#at, countOf(count)));
    if (won === 0) return 0;
    const view = this.#cursors.take(0);
    try {
      for (let index = 0; index < won; index += 1) {
        view[AT] = this.#raw.mpmcSlotAt(this.#at, position + index) + VALUE;
        read(view, index);
      }
    } finally {
      this.#cursors.give(view);
      this.#raw.mpmcReleaseRow(this.#at, position, won);
    }
    return won;
  }

  /** Whether the last try of this thread failed because another thread is in the middle of an operation. If that lasts, look whether it still runs. */
  get isStalled(): boolean {
    return this.#isStalled;
  }

  /** Waits for room. Rejects with SHARED_CLOSED when the queue was closed. */
  async push(record: Write<S>): Promise<void> {
    while (true) {
      if (this.#ends.isAway("producer")) throw this.#ends.error("producer");
      if (this.tryPush(record)) return;
      await this.#room.wait(() => this.#raw.mpmcCanClaim(this.#at) !== 0 || this.#ends.isAway("producer"));
    }
  }

  /** Waits for a record. False when the queue was closed and is empty; rejects with SHARED_STALLED when it was closed and what is left cannot be reached. */
  async shift(read: (record: View<S>) => void): Promise<boolean> {
    while (!this.tryShift(read)) {
      if (this.#isOver()) return false;
      if (!(await this.#items.wait(this.#news(), this.#patienceMs()))) throw stalled();
    }
    return true;
  }

  /** Blocks the thread until there is a record. False when there is none within `timeoutMs`, or the queue was closed and is empty; throws SHARED_STALLED as `shift` rejects. */
  shiftSync(read: (record: View<S>) => void, timeoutMs = Number.POSITIVE_INFINITY): boolean {
    while (!this.tryShift(read)) {
      if (this.#isOver()) return false;
      const patienceMs = this.#patienceMs() ?? Number.POSITIVE_INFINITY;
      if (this.#items.waitSync(this.#news(), Math.min(patienceMs, timeoutMs))) continue;
      if (patienceMs <= timeoutMs) throw stalled();
      return false;
    }
    return true;
  }

  /** Each record as a view that is good until the next; the slot is given back then. Ends when the queue was closed and is empty; throws SHARED_STALLED as `shift` rejects. */
  async *[Symbol.asyncIterator](): AsyncGenerator<View<S>, void, undefined> {
    while (true) {
      const slot = this.#raw.mpmcTake(this.#at);
      if (slot >= 0) {
        const view = this.#cursors.take(slot + VALUE);
        try {
          yield view;
        } finally {
          this.#cursors.give(view);
          this.#raw.mpmcRelease(this.#at, slot);
        }
      } else if (this.#isOver()) return;
      else if (!(await this.#items.wait(this.#news(), this.#patienceMs()))) throw stalled();
    }
  }

  /** When to look again: also when the queue is closed meanwhile. */
  #news(): () => boolean {
    const wasClosed = this.#ends.isAway("producer");
    return () =>
      this.#raw.mpmcCanTake(this.#at) !== 0 ||
      (this.#ends.isAway("producer") && (!wasClosed || this.count === 0));
  }

  #isOver(): boolean {
    return this.#ends.isAway("producer") && this.count === 0;
  }

  /** Of a queue that was closed, what is left comes within moments, or never: its producer died in the middle. */
  #patienceMs(): number | undefined {
    return this.#ends.isAway("producer") ? STALLED_MS : undefined;
  }

  /** Records in it, those being written or read included; at once out of date. */
  get count(): number {
    return this.#raw.mpmcCount(this.#at) >>> 0;
  }

  /** For all threads: nothing more is pushed; what there is can be shifted. A push that is under way meanwhile may come after the last look of those who read: let producers end first. */
  close(): void {
    this.#ends.close("producer");
  }
  /** As close; of a queue it makes no difference which thread is gone. */
  abandon(_side: Side): void {
    this.close();
  }
  [Symbol.dispose](): void {
    this.close();
  }
}

function stalled(): TardigradeError {
  return new TardigradeError(
    "SHARED_STALLED",
    "The queue was closed while a thread was in the middle of its next record, and that thread does not go on; what is behind it is lost.",
    { context: { component: "lockfree" } },
  );
}

/** A position, and how many from there. */
function row(won: number): readonly [number, number] {
  return [won % ROW, Math.floor(won / ROW)];
}
