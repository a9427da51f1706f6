import { describe, expect, test } from "vitest";
import { createMessageCodec } from "../../host/core/message-codec.ts";
import type { Message } from "../../protocols/messages.generated.ts";
import { ERRORS, type ErrorCode, type Field, LIMITS } from "../../protocols/table.ts";
import { openTestCore } from "../support/core.ts";
import { MESSAGE_ROWS } from "../support/messages.ts";

const core = openTestCore();
const codec = createMessageCodec(core);
const hex = (text: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));
const decodeHex = (text: string): Message | ErrorCode => {
  const decoded = codec.decode(hex(text));
  return decoded.ok ? decoded.message : decoded.code;
};

/** durableAck {1: boot 7, 2: seq 300}, the smallest message with an optional field; event and error for other types. */
const ACK = "a3 00 0d 01 07 02 19012c";
const EVENT_HEAD = "00 05 01 01 02 02 03 03 04 61 61 05 00";
const ERROR_HEAD = "00 07 01 01 02 02 03 03 04 00 05 00 06 60";

describe("the schema", () => {
  const levels = (fields: readonly Field[]): readonly (readonly Field[])[] => [
    fields,
    ...fields.flatMap((field) => (field.of ? levels(field.of) : [])),
  ];
  test("keeps what the codec stands on: ascending keys, short maps, no optional field in an element", () => {
    for (const row of MESSAGE_ROWS) {
      for (const fields of levels(row.fields)) {
        const keys = fields.map((field) => field.key);
        expect(keys).toEqual([...new Set(keys)].sort((a, b) => a - b));
        expect(fields.length).toBeLessThanOrEqual(22);
        if (fields !== row.fields) expect(fields.filter((field) => field.optional)).toEqual([]);
      }
      expect(row.fields.filter((field) => field.key === 0)).toEqual([]);
      const tokens = row.fields.reduce(
        (sum, field) => sum + 1 + (field.max ?? 0) * (field.of ? 1 + field.of.length : 0),
        0,
      );
      expect(tokens).toBeLessThanOrEqual(135); // TOKENS_MAX
    }
  });
});

describe("decoding", () => {
  test("reads a message", () => {
    expect(decodeHex(ACK)).toEqual({ kind: "durableAck", boot: 7, seq: 300 });
    expect(decodeHex("a4 00 0d 01 07 02 19012c 03 f5")).toEqual({
      kind: "durableAck",
      boot: 7,
      seq: 300,
      resend: true,
    });
  });

  const refused: readonly (readonly [string, string, ErrorCode])[] = [
    ["no bytes", "", "CBOR_TRUNCATED"],
    ["a list", "80", "CBOR_TYPE"],
    ["an empty map", "a0", "MESSAGE_FIELD"],
    ["another key first", "a1 01 07", "MESSAGE_FIELD"],
    ["a text as key", "a1 60 07", "CBOR_TYPE"],
    ["a negative key", "a1 20 07", "CBOR_TYPE"],
    ["a key above 255", "a1 190100 07", "CBOR_RANGE"],
    ["a text as kind", "a1 00 60", "CBOR_TYPE"],
    ["an unknown kind", "a1 00 1863", "MESSAGE_KIND"],
    ["a kind above 2^53", "a1 00 1b0020000000000000", "CBOR_RANGE"],
    ["a missing field", "a2 00 0d 01 07", "MESSAGE_FIELD"],
    ["a missing field in the middle", "a2 00 0d 02 07", "MESSAGE_FIELD"],
    ["keys out of order", "a3 00 0d 02 07 01 07", "CBOR_KEY_ORDER"],
    ["a key twice", "a4 00 0d 01 07 01 07 02 07", "CBOR_KEY_ORDER"],
    ["the kind twice", "a4 00 0d 00 0d 01 07 02 07", "CBOR_KEY_ORDER"],
    ["an end inside a head", "a3 00 0d 01 07 02 19 01", "CBOR_TRUNCATED"],
    ["a pair less than said", "a4 00 0d 01 07 02 19012c", "CBOR_TRUNCATED"],
    ["more pairs than bytes", "bb ffffffffffffffff 00 0d", "CBOR_TRUNCATED"],
    ["a byte too many", `${ACK} 00`, "CBOR_TRAILING"],
    ["23 in two bytes", "a3 00 0d 01 1817 02 07", "CBOR_NONCANONICAL"],
    ["255 in three bytes", "a3 00 0d 01 1900ff 02 07", "CBOR_NONCANONICAL"],
    ["65535 in five bytes", "a3 00 0d 01 1a0000ffff 02 07", "CBOR_NONCANONICAL"],
    ["2^32 - 1 in nine bytes", "a3 00 0d 01 1b00000000ffffffff 02 07", "CBOR_NONCANONICAL"],
    ["a map length in two bytes", "b803 00 0d 01 07 02 07", "CBOR_NONCANONICAL"],
    ["an indefinite map", "bf 00 0d 01 07 02 07 ff", "CBOR_NONCANONICAL"],
    ["reserved additional information", "a3 00 0d 01 1c 02 07", "CBOR_NONCANONICAL"],
    ["a negative number for a uint", "a3 00 0d 01 20 02 07", "CBOR_TYPE"],
    ["a uint above its bound", "a3 00 0d 01 1b0000000100000000 02 07", "CBOR_RANGE"],
    ["null for a bool", "a4 00 0d 01 07 02 07 03 f6", "CBOR_TYPE"],
    ["a number for a bool", "a4 00 0d 01 07 02 07 03 01", "CBOR_TYPE"],
    ["a tag", "a3 00 0d 01 c1 07 02 07", "CBOR_TYPE"],
    ["bytes for a text", "a6 00 06 01 01 02 02 03 03 04 00 05 41 61", "CBOR_TYPE"],
    ["a text that ends too soon", "a6 00 06 01 01 02 02 03 03 04 00 05 62 61", "CBOR_TRUNCATED"],
    [
      "a text length of 2^64 - 1",
      "a6 00 06 01 01 02 02 03 03 04 00 05 7b ffffffffffffffff",
      "CBOR_TRUNCATED",
    ],
    ["a text that is too long", `a6 00 06 01 01 02 02 03 03 04 00 05 78a1 ${"61".repeat(161)}`, "CBOR_RANGE"],
    ["a list longer than the input", "a5 00 04 01 01 02 02 03 03 04 9affffffff", "CBOR_TRUNCATED"],
    ["a list longer than the field's", `a5 00 04 01 01 02 02 03 03 04 9821 ${"a0".repeat(33)}`, "CBOR_RANGE"],
    ["an element that is no map", "a5 00 04 01 01 02 02 03 03 04 81 00", "CBOR_TYPE"],
    ["an element without its fields", "a5 00 04 01 01 02 02 03 03 04 81 a0", "MESSAGE_FIELD"],
    ["a map for a list", "a5 00 04 01 01 02 02 03 03 04 a0", "CBOR_TYPE"],
    ["a list of indefinite length", "a5 00 04 01 01 02 02 03 03 04 9f ff", "CBOR_NONCANONICAL"],
    ["a text for bytes", `a9 ${ERROR_HEAD} 09 00 0a 60`, "CBOR_TYPE"],
    ["too many bytes", `a9 ${ERROR_HEAD} 09 00 0a 51 ${"00".repeat(17)}`, "CBOR_RANGE"],
    ["a negative u64", `a9 ${ERROR_HEAD} 09 00 0b 20`, "CBOR_TYPE"],
    ["an int above 2^53 - 1", `a9 ${ERROR_HEAD} 08 1b0020000000000000 09 00`, "CBOR_RANGE"],
    ["an int below -(2^53 - 1)", `a9 ${ERROR_HEAD} 08 3b001fffffffffffff 09 00`, "CBOR_RANGE"],
    ["a text for an int", `a9 ${ERROR_HEAD} 08 60 09 00`, "CBOR_TYPE"],
  ];
  test.each(refused)("refuses %s", (_, bytes, code) => {
    expect(decodeHex(bytes)).toBe(code);
  });

  const UTF8: readonly (readonly [string, string, boolean])[] = [
    ["the last of one byte", "7f", true],
    ["two bytes", "c3a9", true],
    ["three bytes", "e282ac", true],
    ["the first of three bytes", "e0a080", true],
    ["before the surrogates", "ed9fbf", true],
    ["after the surrogates", "ee8080", true],
    ["four bytes", "f09f8cb1", true],
    ["the first of four bytes", "f0908080", true],
    ["the last code point", "f48fbfbf", true],
    ["a byte order mark", "efbbbf", true],
    ["a continuation byte alone", "80", false],
    ["overlong in two bytes", "c1bf", false],
    ["overlong in three bytes", "e09fbf", false],
    ["overlong in four bytes", "f08fbfbf", false],
    ["a surrogate", "eda080", false],
    ["beyond the last code point", "f4908080", false],
    ["a lead byte that does not exist", "f5808080", false],
    ["an end inside a character", "e282", false],
    ["a lead byte inside a character", "e2c3a9", false],
  ];
  test.each(UTF8)("text: %s", (_, bytes, valid) => {
    const length = (0x60 + bytes.length / 2).toString(16);
    const decoded = decodeHex(`a6 00 06 01 01 02 02 03 03 04 00 05 ${length} ${bytes}`);
    if (valid) expect(decoded).toMatchObject({ text: Buffer.from(bytes, "hex").toString() });
    else expect(decoded).toBe("CBOR_UTF8");
  });

  const reading = (bytes: string): Message | ErrorCode =>
    decodeHex(`a5 00 04 01 01 02 02 03 03 04 81 a3 00 00 01 00 02 ${bytes}`);
  test.each([
    ["binary32", "fa 3fc00000", 1.5],
    ["binary32, integral", "fa 3f800000", 1],
    ["minus zero", "fa 80000000", -0],
    ["NaN", "fa 7fc00000", Number.NaN],
    ["infinity", "fa 7f800000", Number.POSITIVE_INFINITY],
    ["binary64", "fb 3fb999999999999a", 0.1],
  ])("float: %s", (_, bytes, value) => {
    expect(reading(bytes)).toMatchObject({ readings: [{ metric: 0, offsetUs: 0, value }] });
  });
  test.each<readonly [string, string, ErrorCode]>([
    ["binary16", "f9 3e00", "CBOR_NONCANONICAL"],
    ["binary64 that binary32 holds", "fb 3ff8000000000000", "CBOR_NONCANONICAL"],
    ["another NaN", "fa 7fc00001", "CBOR_NONCANONICAL"],
    ["a NaN with a sign", "fa ffc00000", "CBOR_NONCANONICAL"],
    ["a NaN in binary64", "fb 7ff8000000000000", "CBOR_NONCANONICAL"],
    ["infinity in binary64", "fb 7ff0000000000000", "CBOR_NONCANONICAL"],
    ["an integer", "01", "CBOR_TYPE"],
    ["a bool", "f5", "CBOR_TYPE"],
  ])("float: refuses %s", (_, bytes, code) => {
    expect(reading(bytes)).toBe(code);
  });

  const value = (bytes: string): Message | ErrorCode => decodeHex(`a7 ${EVENT_HEAD} 06 ${bytes}`);
  test.each<readonly [string, string, unknown]>([
    ["true", "f5", true],
    ["an integer", "1a00010000", 65536],
    ["the least integer", "3b001ffffffffffffe", -Number.MAX_SAFE_INTEGER],
    ["a fraction", "fa 3fc00000", 1.5],
    ["a float beyond the integers", "fa 5a000000", 2 ** 53],
    ["a float below the integers", "fa da000000", -(2 ** 53)],
    ["a text", "63 616263", "abc"],
  ])("value: %s", (_, bytes, expected) => {
    expect(value(bytes)).toMatchObject({ value: expected });
  });
  test.each<readonly [string, string, ErrorCode]>([
    ["an integral float", "fa 3f800000", "CBOR_NONCANONICAL"],
    ["minus zero", "fa 80000000", "CBOR_NONCANONICAL"],
    ["2^53 - 1 as a float", "fb 433fffffffffffff", "CBOR_NONCANONICAL"],
    ["1 - 2^53 as a float", "fb c33fffffffffffff", "CBOR_NONCANONICAL"],
    ["an integer beyond 2^53 - 1", "1b0020000000000000", "CBOR_RANGE"],
    ["null", "f6", "CBOR_TYPE"],
    ["undefined", "f7", "CBOR_TYPE"],
    ["a simple value", "f8ff", "CBOR_TYPE"],
    ["binary16", "f93e00", "CBOR_NONCANONICAL"],
    ["bytes", "40", "CBOR_TYPE"],
    ["a list", "80", "CBOR_TYPE"],
    ["a text that is too long", `7831 ${"61".repeat(49)}`, "CBOR_RANGE"],
  ])("value: refuses %s", (_, bytes, code) => {
    expect(value(bytes)).toBe(code);
  });

  const unknown = (bytes: string): Message | ErrorCode => decodeHex(`a4 00 0d 01 07 02 19012c 18c8 ${bytes}`);
  test.each([
    ["a number", "1863"],
    ["a negative number", "20"],
    ["negative numbers with longer heads", "82 3863 3a00010000"],
    ["bytes", "43 000102"],
    ["text that is not UTF-8", "61 ff"],
    ["null", "f6"],
    ["a float", "fb 3fb999999999999a"],
    ["lists and maps", "82 a1 61 61 a0 82 f4 fa 3fc00000"],
    ["seven lists and a number", "81818181818181 00"],
  ])("skips the unknown: %s", (_, bytes) => {
    expect(unknown(bytes)).toEqual({ kind: "durableAck", boot: 7, seq: 300 });
  });
  test.each<readonly [string, string, ErrorCode]>([
    ["a tag", "c1 00", "CBOR_TYPE"],
    ["undefined", "f7", "CBOR_TYPE"],
    ["a simple value", "e0", "CBOR_TYPE"],
    ["a long head", "1800", "CBOR_NONCANONICAL"],
    ["a list of indefinite length", "9f ff", "CBOR_NONCANONICAL"],
    ["binary16", "f9 3e00", "CBOR_NONCANONICAL"],
    ["eight lists and a number", "8181818181818181 00", "CBOR_DEPTH"],
    ["bytes that end too soon", "44 00", "CBOR_TRUNCATED"],
    ["a list longer than the input", "9affffffff", "CBOR_TRUNCATED"],
    ["a map longer than the input", "a2 00 00 00", "CBOR_TRUNCATED"],
    ["a list that ends too soon", "82 00", "CBOR_TRUNCATED"],
    ["a damaged map", "a1 00 1800", "CBOR_NONCANONICAL"],
  ])("does not skip the unknown: %s", (_, bytes, code) => {
    expect(unknown(bytes)).toBe(code);
  });

  test("refuses a message above the bound before it looks inside", () => {
    expect(codec.decode(new Uint8Array(LIMITS.MESSAGE_BYTES_MAX + 1))).toEqual({
      ok: false,
      code: "MESSAGE_OVERSIZE",
    });
    expect(codec.decode(new Uint8Array(LIMITS.MESSAGE_BYTES_MAX))).toEqual({ ok: false, code: "CBOR_TYPE" });
  });

  test("stops where its token room ends", () => {
    const input = core.allocate(64);
    const tokens = core.allocate(64);
    core.bytes().set(hex(ACK), input);
    core.bytes().fill(0xee, tokens, tokens + 64);
    expect(core.raw.decodeMessage(input, 9, tokens, 1)).toBe(-ERRORS.CBOR_TOKENS.number);
    expect(
      core
        .bytes()
        .subarray(tokens + 16, tokens + 64)
        .every((byte) => byte === 0xee),
    ).toBe(true);
    expect(core.raw.decodeMessage(input, -1, tokens, 1)).toBe(-ERRORS.CBOR_TRUNCATED.number);
  });
});
