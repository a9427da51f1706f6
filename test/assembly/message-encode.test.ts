import { Encoder } from "cbor-x";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createMessageCodec } from "../../host/core/message-codec.ts";
import { ERRORS, type ErrorCode, type Field, LIMITS } from "../../protocols/table.ts";
import { openTestCore } from "../support/core.ts";
import { MESSAGE_ROWS, messageArbitrary, travelled } from "../support/messages.ts";

const core = openTestCore();
const codec = createMessageCodec(core);
/** Of assembly/codec/token.ts. */
const [TYPE_LIST, TYPE_ELEMENT] = [9, 10];

describe("encoding", () => {
  test("gives every message back", () => {
    fc.assert(
      fc.property(messageArbitrary, (message) => {
        const encoded = codec.encode(message);
        if (!encoded.ok) expect(encoded.code).toBe("MESSAGE_OVERSIZE");
        else expect(codec.decode(encoded.bytes)).toEqual({ ok: true, message: travelled(message) });
      }),
      { numRuns: 5_000 },
    );
  });

  test("a decoded list and its elements have a length and no value", () => {
    const [input, tokens] = [core.allocate(LIMITS.MESSAGE_BYTES_MAX), core.allocate(132 * 16)];
    let lists = 0;
    fc.assert(
      fc.property(messageArbitrary, (message) => {
        const encoded = codec.encode(message);
        if (!encoded.ok) return;
        core.bytes().set(encoded.bytes, input);
        const count = core.raw.decodeMessage(input, encoded.bytes.length, tokens, 132);
        const view = new DataView(core.bytes().buffer, tokens);
        for (let token = 0; token < count; token += 1) {
          if (![TYPE_LIST, TYPE_ELEMENT].includes(view.getUint8(token * 16))) continue;
          lists += 1;
          expect(view.getBigUint64(token * 16 + 8, true)).toBe(0n);
        }
      }),
    );
    expect(lists).toBeGreaterThan(10);
  });

  test("agrees with cbor-x where the rules do: no floats, integers below 2^32, lengths as they are", () => {
    const peer = new Encoder({
      useRecords: false,
      mapsAsObjects: false,
      variableMapSize: true,
      tagUint8Array: false,
    });
    const asMap = (fields: Record<string, unknown>, schema: readonly Field[]): Map<number, unknown> =>
      new Map(
        schema
          .filter((field) => fields[field.name] !== undefined)
          .map((field) => {
            const of = field.of;
            const value = fields[field.name];
            return [
              field.key,
              of ? (value as Record<string, unknown>[]).map((element) => asMap(element, of)) : value,
            ];
          }),
      );
    const plain = (value: unknown): boolean =>
      typeof value === "number"
        ? Number.isInteger(value) && Math.abs(value) < 2 ** 31 && !Object.is(value, -0)
        : typeof value === "bigint"
          ? false
          : Array.isArray(value)
            ? value.every(plain)
            : typeof value === "object" && value !== null && !(value instanceof Uint8Array)
              ? Object.values(value).every(plain)
              : true;
    let compared = 0;
    fc.assert(
      fc.property(messageArbitrary, (message) => {
        const row = MESSAGE_ROWS.find((candidate) => candidate.name === message.kind);
        const encoded = codec.encode(message);
        if (row === undefined || !encoded.ok || message.kind === "telemetry" || !plain(message)) return;
        const fields = asMap(message as unknown as Record<string, unknown>, row.fields);
        expect(Buffer.from(encoded.bytes)).toEqual(
          Buffer.from(peer.encode(new Map([[0, row.kind], ...fields]))),
        );
        compared += 1;
      }),
      { numRuns: 5_000 },
    );
    expect(compared).toBeGreaterThan(300);
  });

  interface Token {
    readonly type: number;
    readonly key: number;
    readonly length?: number;
    readonly value?: bigint;
  }
  const encodeTokens = (
    kind: number,
    tokens: readonly Token[],
    capacity: number = LIMITS.MESSAGE_BYTES_MAX,
  ): number => {
    const view = new DataView(core.bytes().buffer);
    tokens.forEach(({ type, key, length = 0, value = 0n }, index) => {
      const at = room.tokens + index * 16;
      view.setUint32(at, type | (key << 8), true);
      view.setUint32(at + 4, length, true);
      view.setBigUint64(at + 8, BigInt.asUintN(64, value), true);
    });
    core.bytes().fill(0xee, room.output, room.output + 2048);
    const status = core.raw.encodeMessage(kind, room.tokens, tokens.length, room.output, capacity);
    const end = room.output + Math.max(0, Math.min(capacity, LIMITS.MESSAGE_BYTES_MAX));
    expect(
      core
        .bytes()
        .subarray(end, room.output + 2048)
        .every((byte) => byte === 0xee),
    ).toBe(true);
    return status;
  };
  const room = { tokens: core.allocate(4096), output: core.allocate(2048), text: core.allocate(2048) };
  const uint = (key: number, value: bigint): Token => ({ type: 1, key, value });
  const text = (key: number, length: number): Token => ({ type: 6, key, length, value: BigInt(room.text) });
  const failed = (code: ErrorCode): number => -ERRORS[code].number;
  const event = (name: Token, value: Token): Token[] => [
    uint(1, 1n),
    uint(2, 1n),
    uint(3, 1n),
    name,
    uint(5, 0n),
    value,
  ];
  const failure = (value: Token): Token[] => [...event(uint(4, 0n), text(6, 1)), value];

  test("refuses tokens that are no message of the kind", () => {
    core.bytes().fill(0x61, room.text, room.text + 2048);
    expect(encodeTokens(13, [uint(1, 7n), uint(2, 300n)])).toBe(9);
    expect(encodeTokens(99, [])).toBe(failed("MESSAGE_KIND"));
    expect(encodeTokens(13, [uint(1, 7n)])).toBe(failed("MESSAGE_FIELD"));
    expect(encodeTokens(13, [])).toBe(failed("MESSAGE_FIELD"));
    expect(encodeTokens(13, [uint(1, 7n), uint(1, 7n), uint(2, 7n)])).toBe(failed("CBOR_KEY_ORDER"));
    expect(encodeTokens(13, [uint(1, 7n), uint(2, 7n), uint(9, 7n)])).toBe(failed("MESSAGE_FIELD"));
    expect(encodeTokens(13, [uint(1, 7n), uint(2, 1n << 32n)])).toBe(failed("CBOR_RANGE"));
    expect(encodeTokens(13, [uint(1, 7n), { type: 2, key: 2, value: 1n }])).toBe(failed("CBOR_TYPE"));
    expect(encodeTokens(13, [uint(1, 7n), uint(2, 7n), { type: 5, key: 3, value: 2n }])).toBe(
      failed("CBOR_RANGE"),
    );
    const name = text(4, 3);
    for (const sign of [1n, -1n]) {
      const int = (value: bigint): Token => ({ type: 2, key: 6, value: sign * value });
      expect(encodeTokens(5, event(name, int(2n ** 53n - 1n)))).toBeGreaterThan(0);
      expect(encodeTokens(5, event(name, int(2n ** 53n)))).toBe(failed("CBOR_RANGE"));
    }
    expect(encodeTokens(5, event(name, text(6, 48)))).toBeGreaterThan(0);
    expect(encodeTokens(5, event(name, text(6, 49)))).toBe(failed("CBOR_RANGE"));
    expect(encodeTokens(5, event(text(4, 25), text(6, 1)))).toBe(failed("CBOR_RANGE"));
    expect(encodeTokens(5, event(name, uint(6, 1n)))).toBe(failed("CBOR_TYPE"));
    expect(encodeTokens(5, event(name, { type: 2, key: 6, value: -(2n ** 53n) }))).toBe(failed("CBOR_RANGE"));
    core.bytes()[room.text + 2] = 0xff;
    expect(encodeTokens(5, event(text(4, 2), text(6, 2)))).toBeGreaterThan(0);
    expect(encodeTokens(5, event(text(4, 2), text(6, 3)))).toBe(failed("CBOR_UTF8"));
    const bytes: Token = { type: 7, key: 10, length: 16, value: BigInt(room.text) };
    expect(encodeTokens(7, [...failure(uint(9, 1n)), bytes])).toBeGreaterThan(0);
    expect(encodeTokens(7, [...failure(uint(9, 1n)), { ...bytes, length: 17 }])).toBe(failed("CBOR_RANGE"));
  });

  test("refuses lists that are not what they say", () => {
    const pins = [uint(1, 1n), uint(3, 1n)];
    const element: Token = { type: 10, key: 4 };
    const pin = [element, uint(0, 1n), uint(1, 1n), uint(2, 1n)];
    expect(encodeTokens(9, [...pins, { type: 9, key: 4, length: 2 }, ...pin, ...pin])).toBeGreaterThan(0);
    expect(encodeTokens(9, [...pins, { type: 9, key: 4, length: 33 }])).toBe(failed("CBOR_RANGE"));
    expect(encodeTokens(9, [...pins, { type: 9, key: 4, length: 2 }, ...pin])).toBe(failed("MESSAGE_FIELD"));
    expect(encodeTokens(9, [...pins, { type: 9, key: 4, length: 1 }, ...pin, ...pin])).toBe(
      failed("MESSAGE_FIELD"),
    );
    expect(encodeTokens(9, [...pins, { type: 9, key: 4, length: 1 }, element])).toBe(failed("MESSAGE_FIELD"));
    expect(encodeTokens(9, [...pins, element])).toBe(failed("MESSAGE_FIELD"));
  });

  test("writes nothing beyond its room, and says whether the room or the message is at fault", () => {
    const tokens = [uint(1, 7n), uint(2, 300n)];
    core.bytes().fill(0x61, room.text, room.text + 64);
    for (let capacity = 0; capacity < 9; capacity += 1) {
      expect(encodeTokens(13, tokens, capacity)).toBe(failed("MESSAGE_SPACE"));
    }
    expect(encodeTokens(13, tokens, 9)).toBe(9);
    expect(encodeTokens(13, tokens, -1)).toBe(failed("MESSAGE_SPACE"));
    const named = event(text(4, 24), text(6, 48));
    const whole = encodeTokens(5, named);
    for (let capacity = 0; capacity < whole; capacity += 1) {
      expect(encodeTokens(5, named, capacity)).toBe(failed("MESSAGE_SPACE"));
    }
    const entry: Token[] = [{ type: 10, key: 3 }, text(0, 24), { ...text(1, 48), type: 6 }];
    const entries = Array.from({ length: 16 }, () => entry).flat();
    core.bytes().fill(0x61, room.text, room.text + 64);
    expect(
      encodeTokens(10, [uint(1, 0n), uint(2, 0n), { type: 9, key: 3, length: 16 }, ...entries], 2048),
    ).toBeGreaterThan(1200);
    const metrics = Array.from({ length: 32 }, () => [
      { type: 10, key: 4 },
      uint(0, 15n),
      uint(1, 0xffff_ffffn),
      { type: 4, key: 2, value: 0x3fb999999999999an },
    ]).flat();
    const batch = [
      uint(1, 1n),
      uint(2, 1n),
      uint(3, BigInt(Number.MAX_SAFE_INTEGER)),
      { type: 9, key: 4, length: 32 },
      ...metrics,
    ];
    expect(encodeTokens(4, batch, 2048)).toBeGreaterThan(600);
  });
});
