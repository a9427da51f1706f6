/** The newest value of a record, written by one thread and read whole by any; assembly/lockfree/seqlock.ts has the algorithm. */
import { TardigradeError } from "../../protocols/error.ts";
import { Ends, type Side } from "./ends.ts";
import { type Cursor, layoutOf, type Schema, type View, type Write, write } from "./schema.ts";
import { type Handle, needed, Space } from "./space.ts";

/** A reader goes round again only when a whole new value was written meanwhile; so often in a row means that the writer does nothing else. */
const ROUNDS = 1000;

const THREADS = 16;
const LINE = 64;

export interface LatestOptions<S extends Schema> {
  readonly schema: S;
  /** Threads that open it, each with room for a value of its own. Default 16. */
  readonly threads?: number;
}

export class Latest<S extends Schema> {
  readonly handle: Handle<Latest<S>>;
  readonly #space: Space;
  readonly #at: number;
  readonly #ends: Ends;
  readonly #stride: number;
  readonly #view: Cursor<S>;
  readonly #scratch: number;

  private constructor(space: Space, at: number, options: LatestOptions<S>) {
    const layout = layoutOf(options.schema);
    this.#space = space;
    this.#at = at;
    this.#stride = layout.stride;
    this.handle = space.handle("latest", at, options);
    this.#ends = new Ends(space, at + space.raw.seqlockBytes(layout.stride / 8), []);
    this.#view = layout.view(space.words.buffer);
    // Of this thread alone: a value is put together here, or copied out to here.
    this.#scratch = space.allocate(layout.stride);
    this.#view.at = this.#scratch;
  }

  static bytes<S extends Schema>(
    space: Pick<Space, "raw">,
    { schema, threads = THREADS }: LatestOptions<S>,
  ): number {
    const { stride } = layoutOf(schema);
    const bytes = needed(space.raw.seqlockBytes(stride / 8), "A value has up to 2^20 bytes.");
    return bytes + LINE + threads * Math.ceil(stride / LINE) * LINE;
  }

  static create<S extends Schema>(space: Space, options: LatestOptions<S>): Latest<S> {
    const words = layoutOf(options.schema).stride / 8;
    const at = space.allocate(space.raw.seqlockBytes(words) + LINE);
    space.raw.seqlockInit(at, words);
    return new Latest(space, at, options);
  }

  static open<S extends Schema>(handle: Handle<Latest<S>>): Latest<S> {
    return new Latest(Space.of(handle), handle.at, handle.detail as LatestOptions<S>);
  }

  /** This thread writes from now on. ARGUMENT when another does. */
  writer(): LatestWriter<S> {
    this.#ends.take("producer");
    const { raw } = this.#space;
    return {
      write: (record) => {
        write(this.#view, record);
        raw.seqlockWrite(this.#at, this.#scratch);
      },
    };
  }

  /** The value, whole, as a view of a copy that is good until the next read of this thread; undefined before the first writing. */
  read(): View<S> | undefined {
    const { raw } = this.#space;
    if (raw.seqlockCount(this.#at) === 0) return undefined;
    if (raw.seqlockRead(this.#at, this.#scratch, ROUNDS) === 0) return this.#view;
    throw new TardigradeError(
      "SHARED_STALLED",
      `The value was written anew ${ROUNDS} times while it was read; the writer should write less often.`,
      { context: { component: "lockfree", bytes: this.#stride } },
    );
  }

  /** How often it was written; 32 bits. */
  get version(): number {
    return this.#space.raw.seqlockCount(this.#at) >>> 0;
  }

  /** For whoever knows that the writer's thread is gone: another may write. The last whole value stays. */
  abandon(_side: Side): void {
    this.#ends.abandon("producer");
  }
}

export interface LatestWriter<S extends Schema> {
  /** Wait-free. Fields that a function leaves alone keep what this thread wrote last. */
  write(record: Write<S>): void;
}
