/** Records of fixed layout in shared memory, and views that read and write one where it lies. Little-endian, as WebAssembly is; fields are aligned to their size, in the order given. */
import { TardigradeError } from "../../protocols/error.ts";

const SIZES = { u8: 1, i8: 1, u16: 2, i16: 2, u32: 4, i32: 4, f32: 4, u64: 8, i64: 8, f64: 8 } as const;
type Scalar = keyof typeof SIZES;
/** A number's type, or so many bytes. */
export type Field = Scalar | { readonly bytes: number };
export type Schema = { readonly [name: string]: Field };

type ValueOf<F extends Field> = F extends "u64" | "i64"
  ? bigint
  : F extends Scalar
    ? number
    : Uint8Array<SharedArrayBuffer>;

/** A record where it lies. It moves on with the structure: what is kept must be taken out of it, field by field (`const { value } = record`) or by `toJSON()`. Bytes are a view too; assigning copies into them. */
export type View<S extends Schema> = { -readonly [Name in keyof S]: ValueOf<S[Name]> };
/** What a record is written from. */
export type RecordOf<S extends Schema> = {
  readonly [Name in keyof S]: S[Name] extends { readonly bytes: number } ? Uint8Array : ValueOf<S[Name]>;
};

/** Where a view's record lies. Symbols, so that every name is a field's. */
export const AT = Symbol("at");
const ARRAYS = Symbol("arrays");
const NAMES = Symbol("names");

/** A view that can be moved. */
export type Cursor<S extends Schema> = View<S> & { [AT]: number };

/** A record to copy, or what writes it in place. */
export type Write<S extends Schema> = RecordOf<S> | ((record: View<S>) => void);

export function write<S extends Schema>(view: Cursor<S>, record: Write<S>): void {
  if (typeof record === "function") {
    record(view);
    return;
  }
  // By the schema's names: another view has them on its prototype, and what else the object has is not the record's.
  const { [NAMES]: names } = view as unknown as RecordView;
  for (const name of names) (view as Record<string, unknown>)[name] = record[name];
}

const FIELDS_MAX = 64;
const BYTES_MAX = 1 << 20;
/** Taken by views themselves. */
const RESERVED = new Set(["constructor", "__proto__", "toJSON"]);
const ALIGN_MAX = 8;

export interface Layout<S extends Schema> {
  readonly schema: S;
  /** Bytes of a record, a multiple of 8. */
  readonly stride: number;
  /** A view of a memory; AT is set to where a record lies. */
  view(buffer: SharedArrayBuffer): Cursor<S>;
}

export function layoutOf<S extends Schema>(schema: S): Layout<S> {
  const names = Object.keys(schema);
  if (names.length === 0 || names.length > FIELDS_MAX) {
    throw argument(`A schema has 1 to ${FIELDS_MAX} fields, not ${names.length}.`);
  }
  let end = 0;
  const offsets = new Map<string, number>();
  for (const name of names) {
    if (RESERVED.has(name)) throw argument(`A field cannot be called "${name}".`);
    const field = schema[name] as Field;
    const { size, align } = measure(name, field);
    const offset = Math.ceil(end / align) * align;
    offsets.set(name, offset);
    end = offset + size;
  }
  const stride = Math.ceil(end / ALIGN_MAX) * ALIGN_MAX;
  if (stride > BYTES_MAX) throw argument(`A record has at most 2^20 bytes, not ${stride}.`);
  return { schema, stride, view: viewClass(schema, offsets) };
}

/** Views of one memory for whoever needs one: callbacks may use the structure again, and iterations last. */
export class Cursors<S extends Schema> {
  readonly #make: () => Cursor<S>;
  readonly #idle: Cursor<S>[] = [];
  constructor(layout: Layout<S>, buffer: SharedArrayBuffer) {
    this.#make = () => layout.view(buffer);
  }
  take(at: number): Cursor<S> {
    const cursor = this.#idle.pop() ?? this.#make();
    cursor[AT] = at;
    return cursor;
  }
  give(cursor: Cursor<S>): void {
    this.#idle.push(cursor);
  }
}

function measure(name: string, field: Field): { readonly size: number; readonly align: number } {
  if (typeof field === "string") {
    const size = SIZES[field];
    if (size === undefined)
      throw argument(
        `The field "${name}" has the type "${String(field)}"; there are ${Object.keys(SIZES).join(", ")} and { bytes }.`,
      );
    return { size, align: size };
  }
  const { bytes } = field;
  if (!(Number.isInteger(bytes) && bytes > 0 && bytes <= BYTES_MAX)) {
    throw argument(`The field "${name}" has 1 to 2^20 bytes, not ${bytes}.`);
  }
  return { size: bytes, align: 1 };
}

/** The typed arrays over one memory. */
class Arrays {
  readonly u8: Uint8Array<SharedArrayBuffer>;
  readonly i8: Int8Array;
  readonly u16: Uint16Array;
  readonly i16: Int16Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly f32: Float32Array;
  readonly u64: BigUint64Array;
  readonly i64: BigInt64Array;
  readonly f64: Float64Array;

  constructor(buffer: SharedArrayBuffer) {
    this.u8 = new Uint8Array(buffer);
    this.i8 = new Int8Array(buffer);
    this.u16 = new Uint16Array(buffer);
    this.i16 = new Int16Array(buffer);
    this.u32 = new Uint32Array(buffer);
    this.i32 = new Int32Array(buffer);
    this.f32 = new Float32Array(buffer);
    this.u64 = new BigUint64Array(buffer);
    this.i64 = new BigInt64Array(buffer);
    this.f64 = new Float64Array(buffer);
  }
}

class RecordView {
  [AT] = 0;
  readonly [ARRAYS]: Arrays;
  readonly [NAMES]: readonly string[];
  constructor(buffer: SharedArrayBuffer, names: readonly string[]) {
    this[ARRAYS] = new Arrays(buffer);
    this[NAMES] = names;
  }
}

/** A class for each schema, so that its accessors see one shape. */
function viewClass<S extends Schema>(
  schema: S,
  offsets: ReadonlyMap<string, number>,
): (buffer: SharedArrayBuffer) => Cursor<S> {
  const names = [...offsets.keys()];
  class View extends RecordView {
    toJSON(): object {
      const copied: Record<string, unknown> = {};
      for (const name of names) {
        const value = (this as unknown as Record<string, unknown>)[name];
        copied[name] = value instanceof Uint8Array ? [...value] : value;
      }
      return copied;
    }
  }
  for (const [name, offset] of offsets) {
    const field = schema[name] as Field;
    const own = typeof field === "string" ? ACCESSORS[field](offset) : bytesAccessor(offset, field.bytes);
    Object.defineProperty(View.prototype, name, { enumerable: true, ...own });
  }
  return (buffer) => new View(buffer, names) as unknown as Cursor<S>;
}

interface Accessor {
  get(this: RecordView): unknown;
  set(this: RecordView, value: never): void;
}

/** One for each type, written out: a type looked up at each access costs ten times the access. */
const ACCESSORS: Readonly<Record<Scalar, (offset: number) => Accessor>> = {
  u8: (offset) => ({
    get() {
      return this[ARRAYS].u8[this[AT] + offset];
    },
    set(value) {
      this[ARRAYS].u8[this[AT] + offset] = value;
    },
  }),
  i8: (offset) => ({
    get() {
      return this[ARRAYS].i8[this[AT] + offset];
    },
    set(value) {
      this[ARRAYS].i8[this[AT] + offset] = value;
    },
  }),
  u16: (offset) => ({
    get() {
      return this[ARRAYS].u16[(this[AT] + offset) >>> 1];
    },
    set(value) {
      this[ARRAYS].u16[(this[AT] + offset) >>> 1] = value;
    },
  }),
  i16: (offset) => ({
    get() {
      return this[ARRAYS].i16[(this[AT] + offset) >>> 1];
    },
    set(value) {
      this[ARRAYS].i16[(this[AT] + offset) >>> 1] = value;
    },
  }),
  u32: (offset) => ({
    get() {
      return this[ARRAYS].u32[(this[AT] + offset) >>> 2];
    },
    set(value) {
      this[ARRAYS].u32[(this[AT] + offset) >>> 2] = value;
    },
  }),
  i32: (offset) => ({
    get() {
      return this[ARRAYS].i32[(this[AT] + offset) >>> 2];
    },
    set(value) {
      this[ARRAYS].i32[(this[AT] + offset) >>> 2] = value;
    },
  }),
  f32: (offset) => ({
    get() {
      return this[ARRAYS].f32[(this[AT] + offset) >>> 2];
    },
    set(value) {
      this[ARRAYS].f32[(this[AT] + offset) >>> 2] = value;
    },
  }),
  u64: (offset) => ({
    get() {
      return this[ARRAYS].u64[(this[AT] + offset) >>> 3];
    },
    set(value) {
      this[ARRAYS].u64[(this[AT] + offset) >>> 3] = value;
    },
  }),
  i64: (offset) => ({
    get() {
      return this[ARRAYS].i64[(this[AT] + offset) >>> 3];
    },
    set(value) {
      this[ARRAYS].i64[(this[AT] + offset) >>> 3] = value;
    },
  }),
  f64: (offset) => ({
    get() {
      return this[ARRAYS].f64[(this[AT] + offset) >>> 3];
    },
    set(value) {
      this[ARRAYS].f64[(this[AT] + offset) >>> 3] = value;
    },
  }),
};

function bytesAccessor(offset: number, bytes: number): Accessor {
  return {
    get() {
      const from = this[AT] + offset;
      return this[ARRAYS].u8.subarray(from, from + bytes);
    },
    set(value: Uint8Array) {
      if (value.length > bytes) throw argument(`${value.length} bytes do not fit a field of ${bytes}.`);
      const from = this[AT] + offset;
      this[ARRAYS].u8.set(value, from);
      this[ARRAYS].u8.fill(0, from + value.length, from + bytes);
    },
  };
}

function argument(message: string): TardigradeError {
  return new TardigradeError("ARGUMENT", message, { context: { component: "lockfree" } });
}
