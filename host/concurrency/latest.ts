/**
 * The newest value of a record, written by one thread and read whole by any: the algorithm of assembly/lockfree/seqlock.ts, on its memory, in JavaScript. A thread puts its value together, and gets it, in memory of its
 * own, which WebAssembly could not reach.
 */
import { TardigradeError } from "../../protocols/error.ts";
import { Ends, type Side } from "./ends.ts";
import { type Cursor, layoutOf, type Schema, type View, type Write, write } from "./schema.ts";
import { type Handle, needed, Space } from "./space.ts";

const LINE = 64;
const SEQUENCE_WORDS = LINE / 4;
/** A reader goes round again only when a whole new value was written meanwhile; so often in a row means that the writer does nothing else. */
const ROUNDS = 1000;

export interface LatestOptions<S extends Schema> {
  readonly schema: S;
}

export class Latest<S extends Schema> {
  readonly handle: Handle<Latest<S>>;
  readonly #words: Int32Array<SharedArrayBuffer>;
  /** Of the sequence's word. */
  readonly #at: number;
  readonly #ends: Ends;
  /** Words of a value, and of a copy's room. */
  readonly #length: number;
  readonly #room: number;
  readonly #own: Int32Array;
  readonly #view: Cursor<S>;
  readonly #schema: S;

  private constructor(space: Space, at: number, { schema }: LatestOptions<S>) {
    const layout = layoutOf(schema);
    this.#schema = schema;
    this.#words = space.words;
    this.#at = at >>> 2;
    this.#length = layout.stride / 4;
    this.#room = (Math.ceil(layout.stride / LINE) * LINE) / 4;
    this.handle = space.handle("latest", at, { schema });
    this.#ends = new Ends(space, at + space.raw.seqlockBytes(layout.stride / 8), []);
    const own = new SharedArrayBuffer(layout.stride);
    this.#own = new Int32Array(own);
    this.#view = layout.view(own);
  }

  static bytes<S extends Schema>(space: Pick<Space, "raw">, { schema }: LatestOptions<S>): number {
    const { stride } = layoutOf(schema);
    return needed(space.raw.seqlockBytes(stride / 8), "A value has up to 2^20 bytes.") + LINE;
  }

  static create<S extends Schema>(space: Space, options: LatestOptions<S>): Latest<S> {
    const at = space.allocate(Latest.bytes(space, options));
    space.raw.seqlockInit(at, layoutOf(options.schema).stride / 8);
    return new Latest(space, at, options);
  }

  static open<S extends Schema>(handle: Handle<Latest<S>>): Latest<S> {
    return new Latest(Space.of(handle), handle.at, handle.detail as LatestOptions<S>);
  }

  /** This thread writes from now on. ARGUMENT when another does. */
  writer(): LatestWriter<S> {
    this.#ends.take("producer");
    const own = new SharedArrayBuffer(this.#length * 4);
    const view = layoutOf(this.#schema).view(own);
    const from = new Int32Array(own);
    return {
      write: (record) => {
        write(view, record);
        // 0 stands for never written.
        const next = (Atomics.load(this.#words, this.#at) + 1) | 0 || 2;
        const to = this.#copyAt(next);
        for (let word = 0; word < this.#length; word += 1)
          Atomics.store(this.#words, to + word, from[word] ?? 0);
        Atomics.store(this.#words, this.#at, next);
      },
    };
  }

  /** The value, whole, as a view of a copy that is good until the next read by this object; undefined before the first writing. */
  read(): View<S> | undefined {
    for (let round = 0; round < ROUNDS; round += 1) {
      const sequence = Atomics.load(this.#words, this.#at);
      if (sequence === 0) return undefined;
      const from = this.#copyAt(sequence);
      for (let word = 0; word < this.#length; word += 1)
        this.#own[word] = Atomics.load(this.#words, from + word);
      if (Atomics.load(this.#words, this.#at) === sequence) return this.#view;
    }
    throw new TardigradeError(
      "SHARED_STALLED",
      `The value was written anew ${ROUNDS} times while it was read; the writer should write less often.`,
      { context: { component: "lockfree", bytes: this.#length * 4 } },
    );
  }

  #copyAt(sequence: number): number {
    return this.#at + SEQUENCE_WORDS + (sequence & 1) * this.#room;
  }

  /** How often it was written; 32 bits. */
  get version(): number {
    return Atomics.load(this.#words, this.#at) >>> 0;
  }

  /** For whoever knows that the writer's thread is gone: another may write. The last whole value stays. */
  abandon(_side: Side): void {
    this.#ends.abandon("producer");
  }
}

/** Belongs to one thread. */
export interface LatestWriter<S extends Schema> {
  /** Wait-free. Fields that a function leaves alone keep what this writer wrote last. */
  write(record: Write<S>): void;
}
