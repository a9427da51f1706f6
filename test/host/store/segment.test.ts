import { expect, test } from "vitest";
import {
  BATCH_HEADER_BYTES,
  baseOfName,
  decodeBatchHeader,
  decodeSegmentHeader,
  encodeSegmentHeader,
  isBatchWhole,
  lastNonZero,
  padded,
  saltOf,
  sealBatch,
  segmentName,
} from "../../../host/store/segment.ts";
import { crc32 } from "../../../protocols/crc.ts";

const HEADER = { logId: 0xfeed_beef, bytes: 4096, base: 2 ** 40 + 4096 };

function batch(place: { logId: number; base: number }, position: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(BATCH_HEADER_BYTES + 16);
  bytes[BATCH_HEADER_BYTES] = 9;
  sealBatch(bytes, { records: 1, proven: 2 ** 40 + 7, salt: saltOf(place, position) });
  return bytes;
}

test("a segment is named after its base offset", () => {
  expect(segmentName(16777216)).toBe("0000000016777216.segment");
  expect(baseOfName(segmentName(2 ** 52))).toBe(2 ** 52);
  expect(baseOfName("lock")).toBeUndefined();
  expect(baseOfName("0000000016777216.segment.bak")).toBeUndefined();
});

test("a header comes back as it was, with an offset beyond 32 bits", () => {
  expect(decodeSegmentHeader(encodeSegmentHeader(HEADER), "x")).toEqual(HEADER);
});

test("every flipped bit of a header is noticed", () => {
  for (let bit = 0; bit < 32 * 8; bit += 1) {
    const bytes = encodeSegmentHeader(HEADER);
    bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
    expect(() => decodeSegmentHeader(bytes, "x.segment")).toThrow(
      expect.objectContaining({ code: "LOG_CORRUPT" }),
    );
  }
  expect(() => decodeSegmentHeader(new Uint8Array(31), "x.segment")).toThrow("cut off");
});

test("a whole header of another format is another format, not damage", () => {
  const bytes = encodeSegmentHeader(HEADER);
  const view = new DataView(bytes.buffer);
  view.setUint32(4, 2, true);
  view.setUint32(28, crc32(bytes.subarray(0, 28)), true);
  expect(() => decodeSegmentHeader(bytes, "x")).toThrow(expect.objectContaining({ code: "FORMAT_VERSION" }));
});

test("a batch is whole at its own place only", () => {
  const place = { logId: 7, base: 8192 };
  const bytes = batch(place, 64);
  const header = decodeBatchHeader(bytes, 0, 1000);
  expect(header).toEqual({ bodyBytes: 16, records: 1, proven: 2 ** 40 + 7 });
  if (header === undefined) return;
  expect(isBatchWhole(bytes, 0, header, saltOf(place, 64))).toBe(true);
  expect(isBatchWhole(bytes, 0, header, saltOf(place, 72))).toBe(false);
  expect(isBatchWhole(bytes, 0, header, saltOf({ ...place, base: 0 }, 64))).toBe(false);
  expect(isBatchWhole(bytes, 0, header, saltOf({ ...place, logId: 8 }, 64))).toBe(false);
  expect(isBatchWhole(bytes.subarray(0, 30), 0, header, saltOf(place, 64))).toBe(false);
});

test("every flipped bit of a batch is noticed", () => {
  const place = { logId: 7, base: 8192 };
  const original = batch(place, 64);
  for (let bit = 0; bit < original.length * 8; bit += 1) {
    const bytes = original.slice();
    bytes[bit >> 3] = (bytes[bit >> 3] as number) ^ (1 << (bit & 7));
    const header = decodeBatchHeader(bytes, 0, bytes.length);
    expect(header !== undefined && isBatchWhole(bytes, 0, header, saltOf(place, 64))).toBe(false);
  }
});

test("an implausible batch header is none", () => {
  const bytes = batch({ logId: 0, base: 0 }, 32);
  expect(decodeBatchHeader(bytes, 0, BATCH_HEADER_BYTES + 15)).toBeUndefined();
  expect(decodeBatchHeader(bytes, 8, 1000)).toBeUndefined();
  expect(decodeBatchHeader(bytes.subarray(0, 20), 0, 1000)).toBeUndefined();
  new DataView(bytes.buffer).setUint32(12, 1000, true);
  expect(decodeBatchHeader(bytes, 0, 1000)).toBeUndefined();
});

test("small sums", () => {
  expect([0, 1, 8, 9].map(padded)).toEqual([0, 8, 8, 16]);
  expect(lastNonZero(new Uint8Array([0, 3, 0, 0]))).toBe(1);
  expect(lastNonZero(new Uint8Array(4))).toBe(-1);
});
