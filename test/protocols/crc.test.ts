import { crc32 as zlibCrc32 } from "node:zlib";
import fc from "fast-check";
import { expect, test } from "vitest";
import { crc32 } from "../../protocols/crc.ts";

test("has the check value of CRC-32/ISO-HDLC", () => {
  expect(crc32(new TextEncoder().encode("123456789"))).toBe(0xcbf43926);
  expect(crc32(new Uint8Array(0))).toBe(0);
});

test("agrees with zlib, for any bytes, seed and alignment", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(7), fc.nat(0xffff_ffff), (bytes, skip, seed) => {
      const view = bytes.subarray(Math.min(skip, bytes.length));
      expect(crc32(view, seed)).toBe(zlibCrc32(view, seed));
    }),
  );
});

test("goes on from the checksum of what precedes", () => {
  const bytes = new Uint8Array(100).map((_, at) => at * 7);
  expect(crc32(bytes.subarray(33), crc32(bytes.subarray(0, 33)))).toBe(crc32(bytes));
});
