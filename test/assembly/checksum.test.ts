import { crc32 as zlibCrc32 } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createBytesCodec } from "../../host/core/checksum.ts";
import { openTestCore } from "../support/core.ts";

const core = openTestCore();
const codec = createBytesCodec(core);
const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replaceAll(" ", ""), "hex"));

describe("CRC-32 ISO-HDLC", () => {
  test("gives the check value of the catalogue", () => {
    expect(codec.crc32(Buffer.from("123456789"))).toBe(0xcbf43926);
    expect(codec.crc32(new Uint8Array(0))).toBe(0);
  });

  test("agrees with zlib on any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => codec.crc32(bytes) === zlibCrc32(bytes)),
    );
  });

  test("goes on from the CRC of the first part", () => {
    const at = core.allocate(16);
    core.bytes().set(Buffer.from("123456789"), at);
    const first = core.raw.crc32(at, 4);
    expect(core.raw.crc32Update(first, at + 4, 5) >>> 0).toBe(0xcbf43926);
  });
});

describe("COBS", () => {
  // Cheshire and Baker, 1999, and the usual table of examples; without the delimiter.
  const run = (from: number, to: number): number[] =>
    Array.from({ length: to - from + 1 }, (_, n) => from + n);
  const vectors: readonly (readonly [string, Uint8Array, Uint8Array])[] = [
    ["nothing", hex(""), hex("01")],
    ["one zero", hex("00"), hex("01 01")],
    ["two zeros", hex("00 00"), hex("01 01 01")],
    ["a zero inside", hex("11 22 00 33"), hex("03 11 22 02 33")],
    ["zeros around", hex("00 11 00"), hex("01 02 11 01")],
    ["trailing zeros", hex("11 00 00 00"), hex("02 11 01 01 01")],
    ["254 bytes", Uint8Array.from(run(1, 254)), Uint8Array.from([255, ...run(1, 254)])],
    ["a zero and 254 bytes", Uint8Array.from(run(0, 254)), Uint8Array.from([1, 255, ...run(1, 254)])],
    ["255 bytes", Uint8Array.from(run(1, 255)), Uint8Array.from([255, ...run(1, 254), 2, 255])],
    [
      "254 bytes and a zero",
      Uint8Array.from([...run(2, 255), 0]),
      Uint8Array.from([255, ...run(2, 255), 1, 1]),
    ],
  ];
  test.each(vectors)("%s", (_, plain, encoded) => {
    expect(codec.cobsEncode(plain)).toEqual(encoded);
    expect(codec.cobsDecode(encoded)).toEqual(plain);
  });

  test("gives any bytes back, without a zero on the way, and adds a byte for each 254", () => {
    const blocks = fc
      .uint8Array({ maxLength: 1300 })
      .map((bytes) => bytes.map((byte) => (byte < 8 ? 0 : byte)));
    fc.assert(
      fc.property(fc.oneof(blocks, fc.uint8Array({ min: 1, maxLength: 1300 })), (bytes) => {
        const encoded = codec.cobsEncode(bytes) as Uint8Array;
        expect(encoded.includes(0)).toBe(false);
        expect(encoded.length).toBeLessThanOrEqual(bytes.length + Math.floor(bytes.length / 254) + 1);
        expect(codec.cobsDecode(encoded)).toEqual(bytes);
      }),
    );
  });

  test.each([
    ["no group", ""],
    ["a zero as code", "00"],
    ["a zero in a group", "03 11 00"],
    ["a group beyond the end", "05 11 22"],
  ])("refuses %s", (_, bytes) => {
    expect(codec.cobsDecode(hex(bytes))).toBe("FRAME_COBS");
  });

  test("decodes any bytes or refuses them, in place too", () => {
    const at = core.allocate(512);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        const apart = codec.cobsDecode(bytes);
        core.bytes().set(bytes, at);
        const length = core.raw.cobsDecode(at, bytes.length, at, 512);
        if (typeof apart === "string") expect(length).toBe(-101);
        else expect(core.bytes().slice(at, at + length)).toEqual(apart);
      }),
      { numRuns: 5_000 },
    );
  });

  test("nothing takes one byte", () => {
    const to = core.allocate(8);
    expect([0, 1].map((capacity) => core.raw.cobsEncode(to, 0, to, capacity))).toEqual([-123, 1]);
    expect(core.raw.cobsDecode(to, 1, to, 0)).toBe(0);
  });

  test("writes nothing beyond the room it has", () => {
    const from = core.allocate(600);
    const to = core.allocate(700);
    const cases = [
      Uint8Array.from(run(1, 255)),
      Uint8Array.from([...run(2, 255), 0]),
      hex("11 00 22 00 33"),
      new Uint8Array(3),
    ];
    for (const plain of cases) {
      const encoded = codec.cobsEncode(plain) as Uint8Array;
      for (let capacity = 0; capacity < encoded.length; capacity += 1) {
        core.bytes().set(plain, from);
        core.bytes().fill(0xee, to, to + 700);
        expect(core.raw.cobsEncode(from, plain.length, to, capacity)).toBe(-123);
        expect(
          core
            .bytes()
            .subarray(to + capacity, to + 700)
            .every((byte) => byte === 0xee),
        ).toBe(true);
      }
      for (let capacity = 0; capacity < plain.length; capacity += 1) {
        core.bytes().set(encoded, from);
        core.bytes().fill(0xee, to, to + 700);
        expect(core.raw.cobsDecode(from, encoded.length, to, capacity)).toBe(-123);
        expect(
          core
            .bytes()
            .subarray(to + capacity, to + 700)
            .every((byte) => byte === 0xee),
        ).toBe(true);
      }
    }
  });
});
