import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { crc32 } from "../../protocols/crc.ts";
import {
  cobsDecode,
  cobsEncode,
  decodeFrame,
  encodeFrame,
  FrameReader,
  type FrameResult,
} from "../../protocols/frame.ts";
import { LIMITS } from "../../protocols/table.ts";
import { COBS, CRC32, FRAMES, fromHex, toHex } from "../support/vectors.ts";

const collect = (reader: FrameReader, bytes: Uint8Array): FrameResult[] => {
  const results: FrameResult[] = [];
  reader.push(bytes, (result) => results.push(result));
  return results;
};

describe("vectors", () => {
  test.each(CRC32)("CRC-32 of $hex", ({ hex, crc }) => expect(crc32(fromHex(hex))).toBe(crc));
  test.each(COBS)("COBS of $raw", ({ raw, encoded }) => {
    expect(toHex(cobsEncode(fromHex(raw)))).toBe(encoded);
    expect(toHex(cobsDecode(fromHex(encoded).subarray(0, -1)) ?? new Uint8Array(1))).toBe(raw);
  });
  test.each(FRAMES)("frame: $name", ({ frame, hex }) => {
    expect(toHex(encodeFrame(frame))).toBe(hex);
    const decoded = decodeFrame(fromHex(hex).subarray(0, -1));
    expect(decoded).toEqual({ ok: true, frame });
    const reader = new FrameReader();
    const seen = [...fromHex(hex)].flatMap((byte) => collect(reader, Uint8Array.of(byte)));
    expect(seen).toEqual([{ ok: true, frame }]);
  });
});

describe("bad input", () => {
  const wire = encodeFrame({ type: "data", session: 7, number: 1, payload: fromHex("0102030405") });
  test("every flipped bit is refused with a code", () => {
    for (let bit = 0; bit < (wire.length - 1) * 8; bit += 1) {
      const damaged = wire.slice(0, -1);
      damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
      const result = decodeFrame(damaged);
      expect(result.ok).toBe(false);
    }
  });
  test("short, oversize, foreign version", () => {
    expect(decodeFrame(cobsEncode(new Uint8Array(12)).subarray(0, -1))).toEqual({
      ok: false,
      code: "FRAME_SHORT",
    });
    expect(decodeFrame(new Uint8Array(1301).fill(1))).toEqual({ ok: false, code: "FRAME_OVERSIZE" });
    const raw = new Uint8Array(13);
    raw[0] = 0x20;
    new DataView(raw.buffer).setUint32(9, crc32(raw.subarray(0, 9)), true);
    expect(decodeFrame(cobsEncode(raw).subarray(0, -1))).toEqual({ ok: false, code: "FRAME_TYPE" });
    expect(() => encodeFrame({ type: "data", session: 1, number: 1, payload: new Uint8Array(1281) })).toThrow(
      /1280/,
    );
  });
  test("a reader that was flooded is in step again at the next zero, and says so once", () => {
    const reader = new FrameReader();
    const flood = new Uint8Array(LIMITS.FRAME_ENCODED_BYTES_MAX * 3).fill(0x55);
    expect(collect(reader, flood)).toEqual([]);
    expect(collect(reader, Uint8Array.of(0, 0, 0))).toEqual([{ ok: false, code: "FRAME_OVERSIZE" }]);
    expect(collect(reader, wire)).toMatchObject([{ ok: true }]);
  });
});

test("any bytes give frames or codes, and a good frame after them is found", () => {
  const good = encodeFrame({ type: "control", session: 1, number: 0, payload: fromHex("00ff00") });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (noise) => {
      const reader = new FrameReader();
      collect(reader, noise);
      collect(reader, Uint8Array.of(0));
      expect(collect(reader, good)).toMatchObject([{ ok: true, frame: { type: "control", session: 1 } }]);
    }),
    { numRuns: 100_000 },
  );
});

test("COBS: no zero inside, and back again", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (raw) => {
      const encoded = cobsEncode(raw);
      expect(encoded.subarray(0, -1).includes(0)).toBe(false);
      expect(cobsDecode(encoded.subarray(0, -1))).toEqual(raw);
    }),
    { numRuns: 2_000 },
  );
});
