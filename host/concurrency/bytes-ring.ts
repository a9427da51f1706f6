/** Ring of messages of any length between one producer and one consumer, read and written where they lie; assembly/lockfree/record-ring.ts has the algorithm. */
import { TardigradeError } from "../../protocols/error.ts";
import { ERRORS } from "../../protocols/table.ts";
import { Ends, type Side } from "./ends.ts";
import { SharedEvent } from "./event.ts";
import { ITEMS_EVENT, ROOM_EVENT } from "./shared-exports.ts";
import { type Handle, needed, Space, whole } from "./space.ts";

const HEADER_BYTES = 8;
const TOO_LONG = -ERRORS.ARGUMENT.number;

export interface BytesRingOptions {
  /** Bytes, a power of two, 64 to 2^30; a message has at most half of them, less 8. */
  readonly capacityBytes: number;
}

type Bytes = Uint8Array<SharedArrayBuffer>;

export class BytesRing {
  readonly capacityBytes: number;
  readonly handle: Handle<BytesRing>;
  readonly #space: Space;
  readonly #at: number;
  readonly #ends: Ends;

  private constructor(space: Space, at: number, options: BytesRingOptions) {
    this.#space = space;
    this.#at = at;
    this.capacityBytes = options.capacityBytes;
    this.handle = space.handle("bytes-ring", at, options);
    this.#ends = new Ends(space, at, [
      new SharedEvent(space, at + ITEMS_EVENT),
      new SharedEvent(space, at + ROOM_EVENT),
    ]);
  }

  static bytes(space: Pick<Space, "raw">, { capacityBytes }: BytesRingOptions): number {
    whole("A ring's capacityBytes", capacityBytes, { min: 64, max: 2 ** 30 });
    return needed(
      space.raw.recordsBytes(capacityBytes),
      `A ring's capacityBytes are a power of two from 64 to 2^30, not ${capacityBytes}.`,
    );
  }

  static create(space: Space, { capacityBytes }: BytesRingOptions): BytesRing {
    const at = space.allocate(BytesRing.bytes(space, { capacityBytes }));
    space.raw.recordsInit(at, capacityBytes);
    return new BytesRing(space, at, { capacityBytes });
  }

  static open(handle: Handle<BytesRing>): BytesRing {
    return new BytesRing(Space.of(handle), handle.at, handle.detail as BytesRingOptions);
  }

  /** This thread writes from now on. ARGUMENT when another does. */
  producer(): BytesProducer {
    this.#ends.take("producer");
    return new BytesProducer(this.#space, this.#at, this.#ends);
  }

  /** This thread reads from now on. ARGUMENT when another does. */
  consumer(): BytesConsumer {
    this.#ends.take("consumer");
    return new BytesConsumer(this.#space, this.#at, this.#ends);
  }

  /** Bytes in use, headers included, at once out of date. */
  get usedBytes(): number {
    return this.#space.raw.recordsUsed(this.#at) >>> 0;
  }

  /** For whoever knows that an end's thread is gone: the other end learns of it, and the end can be taken anew. */
  abandon(side: Side): void {
    this.#ends.abandon(side);
  }
}

/** Belongs to one thread. */
export class BytesProducer {
  readonly #space: Space;
  readonly #at: number;
  readonly #ends: Ends;
  readonly #room: SharedEvent;

  constructor(space: Space, at: number, ends: Ends) {
    this.#space = space;
    this.#at = at;
    this.#ends = ends;
    this.#room = new SharedEvent(space, at + ROOM_EVENT);
    // What the last producer reserved and did not publish.
    space.raw.recordsCancel(at);
  }

  /** Room for a message, to be written and then published; undefined when the ring is full. Several may be reserved and published at once. Throws ARGUMENT when it can never fit. */
  reserve(length: number): Bytes | undefined {
    whole("A message's length", length, { min: 0, max: 2 ** 30 });
    const record = this.#space.raw.recordsReserve(this.#at, length);
    if (record > 0) return this.#space.bytes.subarray(record, record + length);
    if (record !== TOO_LONG) return undefined;
    throw new TardigradeError("ARGUMENT", `A message of ${length} bytes is longer than half of the ring.`, {
      context: { component: "lockfree", length },
    });
  }

  /** Gives the consumer what was reserved. */
  publish(): void {
    this.#space.raw.recordsPublish(this.#at);
  }

  /** Copies a message in. False when the ring is full. */
  tryPush(message: Uint8Array): boolean {
    const room = this.reserve(message.length);
    if (room === undefined) return false;
    room.set(message);
    this.publish();
    return true;
  }

  /** Waits for room. Rejects with SHARED_CLOSED or SHARED_PEER_GONE when nobody reads any more. */
  async push(message: Uint8Array): Promise<void> {
    const { raw } = this.#space;
    while (true) {
      if (this.#ends.isAway("consumer")) throw this.#ends.error("consumer");
      if (this.tryPush(message)) return;
      await this.#room.wait(
        () => raw.recordsFits(this.#at, message.length) !== 0 || this.#ends.isAway("consumer"),
      );
    }
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
export class BytesConsumer implements AsyncIterable<Bytes> {
  readonly #space: Space;
  readonly #at: number;
  readonly #ends: Ends;
  readonly #items: SharedEvent;

  constructor(space: Space, at: number, ends: Ends) {
    this.#space = space;
    this.#at = at;
    this.#ends = ends;
    this.#items = new SharedEvent(space, at + ITEMS_EVENT);
    // What the last consumer read and did not release comes once more.
    space.raw.recordsRewind(at);
  }

  /** The next message where it lies, or undefined; good until `release`. Several may be read and released at once. */
  next(): Bytes | undefined {
    const record = this.#space.raw.recordsNext(this.#at);
    if (record < 0) return undefined;
    const length = Atomics.load(this.#space.words, (record - HEADER_BYTES) >>> 2);
    return this.#space.bytes.subarray(record, record + length);
  }

  /** Gives the room of what was read back. */
  release(): void {
    this.#space.raw.recordsRelease(this.#at);
  }

  /** Waits until there is a message that was not read yet. False when the producer closed; rejects with SHARED_PEER_GONE. */
  async ready(): Promise<boolean> {
    while (!this.#hasItem()) {
      if (this.#ends.isAway("producer") && !this.#hasItem()) {
        if (this.#ends.isGone("producer")) throw this.#ends.error("producer");
        return false;
      }
      await this.#items.wait(() => this.#hasItem() || this.#ends.isAway("producer"));
    }
    return true;
  }

  #hasItem(): boolean {
    return this.#space.raw.recordsReady(this.#at) !== 0;
  }

  /** Each message where it lies, good until the next; ends when the producer closed, throws SHARED_PEER_GONE when it is gone. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Bytes, void, undefined> {
    while (await this.ready()) {
      const message = this.next();
      if (message === undefined) continue;
      try {
        yield message;
      } finally {
        this.release();
      }
    }
  }

  /** Reads nothing more: the producer learns of it. */
  close(): void {
    this.#ends.close("consumer");
  }
  [Symbol.dispose](): void {
    this.close();
  }
}
