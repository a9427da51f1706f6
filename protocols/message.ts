/**
 * Messages to bytes and back, driven by the schema in table.ts.
 *
 * Decoding returns a result and never throws: whatever arrives is a message or a code. Encoding throws a TardigradeError,
 * since what it is given comes from this program: a wrong message is a bug or an unchecked input upstream.
 */
import { MAJOR, Reader, Writer } from "./cbor.ts";
import { TardigradeError } from "./error.ts";
import type { Message, Value } from "./messages.generated.ts";
import { type ErrorCode, type Field, LIMITS, MESSAGES, type MessageRow } from "./table.ts";

export type Decoded =
  | { readonly ok: true; readonly message: Message }
  | { readonly ok: false; readonly code: ErrorCode; readonly at: number };

type Fields = Record<string, unknown>;

interface Shape {
  readonly name: string;
  readonly kind: number;
  /** Fields by key: the schema's keys are dense and small. */
  readonly byKey: readonly (Field | undefined)[];
  readonly required: readonly string[];
}

const shapeOf = (name: string, kind: number, fields: readonly Field[]): Shape => {
  const byKey: (Field | undefined)[] = [];
  for (const field of fields) byKey[field.key] = field;
  return {
    name,
    kind,
    byKey,
    required: fields.filter((field) => !field.optional).map((field) => field.name),
  };
};

const rows: readonly MessageRow[] = MESSAGES;
const SHAPES = new Map(rows.map((row) => [row.kind, shapeOf(row.name, row.kind, row.fields)]));
const ROWS_BY_NAME = new Map(rows.map((row) => [row.name, row]));
const ELEMENT_SHAPES = new Map<readonly Field[], Shape>();
for (const field of rows.flatMap((row) => row.fields)) {
  if (field.of) ELEMENT_SHAPES.set(field.of, shapeOf(field.name, -1, field.of));
}

export function decodeMessage(bytes: Uint8Array): Decoded {
  if (bytes.length > LIMITS.MESSAGE_BYTES_MAX) return { ok: false, code: "MESSAGE_OVERSIZE", at: 0 };
  const reader = new Reader(bytes);
  const message = readMessage(reader);
  if (reader.ok && reader.remaining > 0) reader.fail("CBOR_TRAILING");
  return reader.error === undefined
    ? { ok: true, message: message as unknown as Message }
    : { ok: false, code: reader.error, at: reader.at };
}

function readMessage(reader: Reader): Fields {
  const pairs = reader.count(MAJOR.map, Number.POSITIVE_INFINITY);
  const key = reader.ok && pairs > 0 ? reader.key(-1) : -1;
  if (key !== 0) {
    reader.fail("MESSAGE_FIELD");
    return {};
  }
  const kind = reader.uint(Number.MAX_SAFE_INTEGER);
  const shape = SHAPES.get(kind);
  if (shape !== undefined && reader.ok) return readFields(reader, shape, pairs - 1, 0);
  reader.fail("MESSAGE_KIND");
  return {};
}

function readFields(reader: Reader, shape: Shape, pairs: number, firstKey: number): Fields {
  const fields: Fields = shape.kind < 0 ? {} : { kind: shape.name };
  let key = shape.kind < 0 ? -1 : firstKey;
  for (let pair = 0; pair < pairs && reader.ok; pair += 1) {
    key = reader.key(key);
    if (key < 0) break;
    const field = shape.byKey[key];
    if (field === undefined) reader.skip();
    else fields[field.name] = readField(reader, field);
  }
  for (const name of shape.required) {
    if (fields[name] === undefined) reader.fail("MESSAGE_FIELD");
  }
  return fields;
}

function readField(reader: Reader, field: Field): unknown {
  const max = field.max ?? Number.MAX_SAFE_INTEGER;
  switch (field.type) {
    case "uint":
      return reader.uint(max);
    case "int":
      return reader.int();
    case "u64":
      return reader.u64();
    case "float":
      return reader.float();
    case "bool":
      return reader.bool();
    case "text":
      return reader.text(max);
    case "bytes":
      return reader.byteString(max);
    case "value":
      return reader.value();
    case "list":
      return readList(reader, field, max);
  }
}

function readList(reader: Reader, field: Field, max: number): Fields[] {
  const count = reader.count(MAJOR.array, max);
  const shape = ELEMENT_SHAPES.get(field.of ?? []);
  const elements: Fields[] = [];
  for (let index = 0; index < count && reader.ok && shape; index += 1) {
    const pairs = reader.count(MAJOR.map, Number.POSITIVE_INFINITY);
    if (reader.ok) elements.push(readFields(reader, shape, pairs, -1));
  }
  return elements;
}

const writer = new Writer(LIMITS.MESSAGE_BYTES_MAX);

/** Throws CBOR_RANGE, CBOR_TYPE, CBOR_UTF8, MESSAGE_FIELD or MESSAGE_OVERSIZE. */
export function encodeMessage(message: Message): Uint8Array<ArrayBuffer> {
  const row = ROWS_BY_NAME.get(message.kind);
  if (row === undefined) throw new TardigradeError("MESSAGE_KIND", `No message is called "${message.kind}".`);
  writer.reset();
  const fields = message as unknown as Fields;
  writer.head(MAJOR.map, 1 + presentCount(fields, row.fields));
  writer.head(MAJOR.uint, 0);
  writer.head(MAJOR.uint, row.kind);
  writeFields(fields, row.fields, row.name);
  return writer.take();
}

function presentCount(fields: Fields, schema: readonly Field[]): number {
  let count = 0;
  for (const field of schema) if (fields[field.name] !== undefined) count += 1;
  return count;
}

function writeFields(fields: Fields, schema: readonly Field[], path: string): void {
  for (const field of schema) {
    const value = fields[field.name];
    if (value === undefined) {
      if (!field.optional) throw invalid("MESSAGE_FIELD", `${path}.${field.name}`, "is required");
      continue;
    }
    writer.head(MAJOR.uint, field.key);
    writeField(value, field, path);
  }
}

function invalid(code: ErrorCode, path: string, problem: string): TardigradeError {
  return new TardigradeError(code, `${path} ${problem}.`, { context: { component: "codec", field: path } });
}

function writeField(value: unknown, field: Field, parent: string): void {
  const path = `${parent}.${field.name}`;
  const max = field.max ?? Number.MAX_SAFE_INTEGER;
  switch (field.type) {
    case "uint":
      if (!Number.isSafeInteger(value)) throw invalid("CBOR_TYPE", path, "must be an integer");
      if ((value as number) < 0 || (value as number) > max)
        throw invalid("CBOR_RANGE", path, `must be 0 to ${max}`);
      return writer.head(MAJOR.uint, value as number);
    case "int":
      if (!Number.isSafeInteger(value))
        throw invalid("CBOR_TYPE", path, "must be an integer within 2^53 - 1");
      return writer.int(value as number);
    case "u64":
      if (typeof value !== "bigint") throw invalid("CBOR_TYPE", path, "must be a bigint");
      if (value < 0n || value >= 1n << 64n) throw invalid("CBOR_RANGE", path, "must be 0 to 2^64 - 1");
      return writer.u64(value);
    case "float":
      if (typeof value !== "number") throw invalid("CBOR_TYPE", path, "must be a number");
      return writer.float(value);
    case "bool":
      if (typeof value !== "boolean") throw invalid("CBOR_TYPE", path, "must be a boolean");
      return writer.bool(value);
    case "text":
      checkText(value, max, path);
      return writer.text(value as string);
    case "bytes":
      if (!(value instanceof Uint8Array)) throw invalid("CBOR_TYPE", path, "must be bytes");
      if (value.length > max) throw invalid("CBOR_RANGE", path, `must be at most ${max} bytes`);
      return writer.bytes(value);
    case "value":
      return writeValue(value, path);
    case "list":
      return writeList(value, field, path, max);
  }
}

function writeValue(value: unknown, path: string): void {
  if (typeof value === "string") checkText(value, LIMITS.TEXT_VALUE_BYTES_MAX, path);
  else if (typeof value !== "boolean" && typeof value !== "number") {
    throw invalid("CBOR_TYPE", path, "must be a boolean, a number or a text");
  }
  writer.value(value as Value);
}

function writeList(value: unknown, field: Field, path: string, max: number): void {
  if (!Array.isArray(value)) throw invalid("CBOR_TYPE", path, "must be a list");
  if (value.length > max) throw invalid("CBOR_RANGE", path, `must have at most ${max} elements`);
  const schema = field.of ?? [];
  writer.head(MAJOR.array, value.length);
  value.forEach((element: Fields, index) => {
    writer.head(MAJOR.map, presentCount(element, schema));
    writeFields(element, schema, `${path}[${index}]`);
  });
}

function checkText(value: unknown, max: number, path: string): void {
  if (typeof value !== "string") throw invalid("CBOR_TYPE", path, "must be a text");
  if (!value.isWellFormed()) throw invalid("CBOR_UTF8", path, "must be well-formed Unicode");
  if (utf8Length(value) > max) throw invalid("CBOR_RANGE", path, `must be at most ${max} bytes of UTF-8`);
}

function utf8Length(text: string): number {
  let length = 0;
  for (const character of text) {
    const point = character.codePointAt(0) ?? 0;
    length += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x1_0000 ? 3 : 4;
  }
  return length;
}
