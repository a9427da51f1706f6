/** Arbitrary messages of the schema, for property tests of both codecs. */
import fc from "fast-check";
import type { Message } from "../../protocols/messages.generated.ts";
import { type Field, LIMITS, MESSAGES, type MessageRow } from "../../protocols/table.ts";

export const MESSAGE_ROWS: readonly MessageRow[] = MESSAGES;

/** Text of at most `bytes` bytes of UTF-8, whatever its characters. */
function text(bytes: number): fc.Arbitrary<string> {
  const unit = fc.constantFrom("grapheme", "binary", "grapheme-ascii") as fc.Arbitrary<"grapheme">;
  return unit
    .chain((chosen) => fc.string({ unit: chosen, maxLength: bytes }))
    .map((value) => {
      let fitting = "";
      for (const character of value) {
        if (Buffer.byteLength(fitting + character) > bytes) break;
        fitting += character;
      }
      return fitting;
    });
}

const float = fc.oneof(
  fc.float(),
  fc.double(),
  fc.constantFrom(0, -0, 1, -1, NaN, Infinity, -Infinity, 2 ** 53, -(2 ** 53), 1e300, 5e-324, 1.5),
);
const safeInteger = fc.oneof(
  fc.integer(),
  fc.maxSafeInteger(),
  fc.constantFrom(0, -1, 23, 24, -24, -25, 255, 256),
);

function uint(max: number): fc.Arbitrary<number> {
  const edges = [0, 23, 24, 255, 256, 65535, 65536, 2 ** 32 - 1, 2 ** 32, max].filter((edge) => edge <= max);
  return fc.oneof(
    fc.constantFrom(...edges),
    fc.maxSafeNat().map((value) => value % (max + 1)),
  );
}

function fieldArbitrary(field: Field): fc.Arbitrary<unknown> {
  const max = field.max ?? 0;
  switch (field.type) {
    case "uint":
      return uint(max);
    case "int":
      return safeInteger;
    case "u64":
      return fc.oneof(
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        fc.constantFrom(0n, 23n, 24n, 2n ** 53n, 2n ** 64n - 1n),
      );
    case "float":
      return float;
    case "bool":
      return fc.boolean();
    case "text":
      return text(max);
    case "bytes":
      return fc.uint8Array({ maxLength: max });
    case "value":
      return fc.oneof(fc.boolean(), safeInteger, float, text(LIMITS.TEXT_VALUE_BYTES_MAX));
    case "list":
      return fc.array(record(field.of ?? []), { maxLength: Math.min(max, 6) });
  }
}

function record(fields: readonly Field[]): fc.Arbitrary<Record<string, unknown>> {
  const required = fields.filter((field) => !field.optional).map((field) => field.name);
  const arbitraries = Object.fromEntries(fields.map((field) => [field.name, fieldArbitrary(field)]));
  return fc.record(arbitraries, { requiredKeys: required, noNullPrototype: true }) as fc.Arbitrary<
    Record<string, unknown>
  >;
}

/** Any message, which may be a little longer than MESSAGE_BYTES_MAX. */
export const messageArbitrary: fc.Arbitrary<Message> = fc.oneof(
  ...MESSAGE_ROWS.map((row) =>
    record(row.fields).map((fields) => ({ kind: row.name, ...fields }) as unknown as Message),
  ),
);

/** What a message is after travelling: -0 in a `value` is 0, as integers have no sign of zero. */
export function travelled(message: Message): Message {
  const row = MESSAGE_ROWS.find((candidate) => candidate.name === message.kind);
  const reduce = (fields: Record<string, unknown>, schema: readonly Field[]): Record<string, unknown> => {
    const result: Record<string, unknown> = { ...fields };
    for (const field of schema) {
      const value = fields[field.name];
      if (field.type === "value" && value === 0) result[field.name] = 0;
      if (Array.isArray(value)) result[field.name] = value.map((element) => reduce(element, field.of ?? []));
    }
    return result;
  };
  return reduce(message as unknown as Record<string, unknown>, row?.fields ?? []) as unknown as Message;
}

/** One change to bytes: a byte set, dropped, inserted, doubled, or the end cut. */
export interface Mutation {
  readonly how: "set" | "drop" | "insert" | "cut" | "add";
  readonly at: number;
  readonly byte: number;
}

/** Bytes that mean something to CBOR come up more often than chance has them. */
const byte = fc.oneof(
  fc.nat(255),
  fc.constantFrom(
    0x00,
    0x18,
    0x19,
    0x1a,
    0x1b,
    0x1f,
    0x38,
    0x60,
    0x78,
    0x80,
    0x9f,
    0xa0,
    0xbf,
    0xc0,
    0xf4,
    0xf6,
    0xf9,
    0xfa,
    0xfb,
    0xff,
  ),
);

export const mutationsArbitrary: fc.Arbitrary<readonly Mutation[]> = fc.array(
  fc.record({
    how: fc.constantFrom<Mutation["how"][]>("set", "drop", "insert", "cut", "add"),
    at: fc.nat(),
    byte,
  }),
  { maxLength: 3 },
);

export function mutated(bytes: Uint8Array, mutations: readonly Mutation[]): Uint8Array {
  const result = [...bytes];
  for (const { how, at, byte: value } of mutations) {
    // Mostly near the beginning, where the structure is.
    const place = result.length === 0 ? 0 : at % result.length;
    if (how === "set") result[place] = value;
    else if (how === "drop") result.splice(place, 1);
    else if (how === "insert") result.splice(place, 0, value);
    else if (how === "add") result.push(value);
    else result.length = place;
  }
  return Uint8Array.from(result);
}
