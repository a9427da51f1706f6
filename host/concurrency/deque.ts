/** Work-stealing deque of numbers; assembly/lockfree/deque.ts has the algorithm. */
import { TardigradeError } from "../../protocols/error.ts";
import { Ends, type Side } from "./ends.ts";
import { SharedEvent } from "./event.ts";
import { ITEMS_EVENT } from "./shared-exports.ts";
import { type Handle, needed, Space, whole } from "./space.ts";

export interface DequeOptions {
  /** Numbers: a power of two, up to 2^26. */
  readonly capacity: number;
}

export class Deque {
  readonly capacity: number;
  readonly handle: Handle<Deque>;
  readonly #raw: Space["raw"];
  readonly #at: number;
  readonly #ends: Ends;
  readonly #items: SharedEvent;

  private constructor(space: Space, at: number, options: DequeOptions) {
    this.#raw = space.raw;
    this.#at = at;
    this.capacity = options.capacity;
    this.handle = space.handle("deque", at, options);
    this.#items = new SharedEvent(space, at + ITEMS_EVENT);
    this.#ends = new Ends(space, at, [this.#items]);
  }

  static bytes(space: Pick<Space, "raw">, { capacity }: DequeOptions): number {
    whole("A deque's capacity", capacity, { min: 1, max: 2 ** 26 });
    return needed(
      space.raw.dequeBytes(capacity),
      `A deque's capacity is a power of two up to 2^26, not ${capacity}.`,
    );
  }

  static create(space: Space, { capacity }: DequeOptions): Deque {
    const at = space.allocate(Deque.bytes(space, { capacity }));
    space.raw.dequeInit(at, capacity);
    return new Deque(space, at, { capacity });
  }

  static open(handle: Handle<Deque>): Deque {
    return new Deque(Space.of(handle), handle.at, handle.detail as DequeOptions);
  }

  /** This thread pushes and takes from now on. ARGUMENT when another does. */
  owner(): DequeOwner {
    this.#ends.take("producer");
    this.#raw.dequeRecover(this.#at);
    return {
      tryPush: (value) => this.#raw.dequePush(this.#at, word(value)) === 0,
      take: () => numberOf(this.#raw.dequeTakeNumber(this.#at)),
      close: () => this.#ends.close("producer"),
    };
  }

  /** The oldest number, or undefined. Any thread may. */
  steal(): number | undefined {
    return numberOf(this.#raw.dequeStealNumber(this.#at));
  }

  /** Blocks a thief until there is a number to steal; undefined when there is none within `timeoutMs`, or the owner closed or is gone. */
  stealSync(timeoutMs?: number): number | undefined {
    while (true) {
      const value = this.steal();
      if (value !== undefined || this.#ends.isAway("producer")) return value;
      if (!this.#items.waitSync(() => this.count > 0 || this.#ends.isAway("producer"), timeoutMs))
        return undefined;
    }
  }

  /** Numbers in it, at once out of date. */
  get count(): number {
    return this.#raw.dequeCount(this.#at) >>> 0;
  }

  /** For whoever knows that the owner's thread is gone: thieves take what is left, and another may own it. */
  abandon(_side: Side): void {
    this.#ends.abandon("producer");
  }
}

/** Belongs to one thread. Numbers are whole, 0 to 2^32 - 1. */
export interface DequeOwner {
  /** False when it is full. */
  tryPush(value: number): boolean;
  /** What was pushed last, or undefined. */
  take(): number | undefined;
  close(): void;
}

function numberOf(value: number): number | undefined {
  return value < 0 ? undefined : value;
}

function word(value: number): number {
  if (value >>> 0 === value) return value;
  throw new TardigradeError("ARGUMENT", `A deque holds whole numbers from 0 to 2^32 - 1, not ${value}.`, {
    context: { component: "lockfree" },
  });
}
