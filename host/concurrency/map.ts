/** Map from whole numbers to 32-bit values between many threads; assembly/lockfree/hash-map.ts has the algorithm and its bounds. */
import { TardigradeError } from "../../protocols/error.ts";
import { ERRORS } from "../../protocols/table.ts";
import { type Handle, needed, Space, whole } from "./space.ts";

const LOG2_MIN = 2;
const FULL = -ERRORS.SHARED_FULL.number;

export interface MapOptions {
  /** Different keys that it will ever see, deleted ones included: rounded up to a power of two, 4 to 2^24. Memory for twice as many slots of 16 bytes is taken at once. */
  readonly capacity: number;
  /** Slots to begin with, so that a small map stays in the cache. Default 64, at most the capacity. */
  readonly initial?: number;
}

export class SharedMap {
  readonly capacity: number;
  readonly handle: Handle<SharedMap>;
  readonly #raw: Space["raw"];
  readonly #at: number;

  private constructor(space: Space, at: number, options: MapOptions) {
    this.#raw = space.raw;
    this.#at = at;
    this.capacity = 2 ** log2(options.capacity);
    this.handle = space.handle("map", at, options);
  }

  static bytes(space: Pick<Space, "raw">, options: MapOptions): number {
    const [first, last] = tables(options);
    return needed(
      space.raw.mapBytes(first, last),
      `A map's capacity is 1 to 2^24 keys, and it begins with no more; not ${options.capacity} and ${options.initial ?? 64}.`,
    );
  }

  static create(space: Space, options: MapOptions): SharedMap {
    const at = space.allocate(SharedMap.bytes(space, options));
    const [first, last] = tables(options);
    space.raw.mapInit(at, first, last);
    return new SharedMap(space, at, options);
  }

  static open(handle: Handle<SharedMap>): SharedMap {
    return new SharedMap(Space.of(handle), handle.at, handle.detail as MapOptions);
  }

  /** Keys are whole numbers from 0 to 2^53 - 2, values from 0 to 2^32 - 1. */
  get(key: number): number | undefined {
    const value = this.#raw.mapGetNumber(this.#at, checked(key));
    return value < 0 ? undefined : value;
  }

  /** Throws SHARED_FULL when the map has seen as many keys as it holds. */
  set(key: number, value: number): void {
    this.#room(this.#raw.mapSetNumber(this.#at, checked(key), word(value)));
  }

  /** Sets a key that has no value; false when it has one. Throws SHARED_FULL. */
  add(key: number, value: number): boolean {
    return this.#room(this.#raw.mapAddNumber(this.#at, checked(key), word(value))) === 1;
  }

  /** Sets a key's value when it is `expected`; false when it is another, or there is none. */
  compareAndSet(key: number, expected: number, value: number): boolean {
    return this.#raw.mapCompareAndSetNumber(this.#at, checked(key), word(expected), word(value)) === 1;
  }

  /** The value that it had, or undefined. */
  delete(key: number): number | undefined {
    const value = this.#raw.mapDeleteNumber(this.#at, checked(key));
    return value < 0 ? undefined : value;
  }

  /** Keys that have a value. */
  get size(): number {
    return this.#raw.mapCount(this.#at) >>> 0;
  }

  /** Keys, in no order. One that is set or deleted meanwhile is met or not; one that was there all the time is met, once or, when the map grows meanwhile, more often. */
  *keys(): Generator<number, void, undefined> {
    const raw = this.#raw;
    let table = raw.mapTable(this.#at);
    for (let next = raw.mapNext(this.#at, table, 0); next !== 0; ) {
      if (next < 0) {
        table += 1;
        next = raw.mapNext(this.#at, table, 0);
        continue;
      }
      yield raw.mapKeyNumber(this.#at, table, next - 1);
      next = raw.mapNext(this.#at, table, next);
      if (next === 0 && raw.mapTable(this.#at) !== table) next = -1;
    }
  }

  #room(status: number): number {
    if (status !== FULL) return status;
    throw new TardigradeError(
      "SHARED_FULL",
      `The map has seen ${this.capacity} different keys, as many as it holds; make it larger.`,
      { context: { component: "lockfree", capacity: this.capacity } },
    );
  }
}

function log2(count: number): number {
  return Math.max(LOG2_MIN, Math.ceil(Math.log2(count)));
}

function tables({ capacity, initial }: MapOptions): readonly [number, number] {
  whole("A map's capacity", capacity, { min: 1, max: 2 ** 24 });
  if (initial !== undefined) whole("A map's initial size", initial, { min: 1, max: 2 ** 24 });
  const last = log2(capacity);
  return [initial === undefined ? Math.min(6, last) : log2(initial), last];
}

function word(value: number): number {
  return whole("A value", value, { min: 0, max: 2 ** 32 - 1 });
}

function checked(key: number): number {
  if (Number.isInteger(key) && key >= 0 && key < Number.MAX_SAFE_INTEGER) return key;
  throw new TardigradeError("ARGUMENT", `A key is a whole number from 0 to 2^53 - 2, not ${key}.`, {
    context: { component: "lockfree" },
  });
}
