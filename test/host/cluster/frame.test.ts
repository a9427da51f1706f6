import fc from "fast-check";
import { expect, test } from "vitest";
import {
  decodeAnswer,
  decodeHello,
  encodeAnswer,
  encodeHello,
  FRAME_HEADER_BYTES,
  FrameReader,
  putFrame,
} from "../../../host/cluster/transport/frame.ts";
import { SendQueue } from "../../../host/cluster/transport/send-queue.ts";
import { crc32 } from "../../../protocols/crc.ts";

const BODY_BYTES_MAX = 3000;

function framesOf(bodies: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(bodies.reduce((sum, body) => sum + FRAME_HEADER_BYTES + body.length, 0));
  let at = 0;
  for (const body of bodies) at = putFrame(bytes, at, body);
  return bytes;
}

/** Pushes the bytes in chunks of these sizes, again and again; what came, as hexadecimal, and what ended it. */
function read(bytes: Uint8Array, chunks: readonly number[]): { bodies: string[]; code: string | undefined } {
  const bodies: string[] = [];
  const reader = new FrameReader({
    bodyBytesMax: BODY_BYTES_MAX,
    onFrame: (body) => bodies.push(Buffer.from(body).toString("hex")),
  });
  let code: string | undefined;
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const length = chunks[turn % chunks.length] as number;
    // A copy that is overwritten afterwards: whatever was kept as a view shows.
    const chunk = bytes.slice(at, at + length);
    code ??= reader.push(chunk);
    chunk.fill(0xee);
    at += length;
  }
  return { bodies, code };
}

/** Whole, slow and obvious. */
function model(bytes: Uint8Array): { bodies: string[]; code: string | undefined } {
  const bodies: string[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = 0; ; ) {
    if (at + 8 > bytes.length) return { bodies, code: undefined };
    const length = view.getUint32(at, true);
    if (length === 0 || length > BODY_BYTES_MAX) return { bodies, code: "FRAME_OVERSIZE" };
    if (at + 8 + length > bytes.length) return { bodies, code: undefined };
    const body = bytes.subarray(at + 8, at + 8 + length);
    if (crc32(body) !== view.getUint32(at + 4, true)) return { bodies, code: "FRAME_CRC" };
    bodies.push(Buffer.from(body).toString("hex"));
    at += 8 + length;
  }
}

const chunking = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 8 });
const body = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 30 }),
  fc.integer({ min: 900, max: BODY_BYTES_MAX }).map((length) => new Uint8Array(length).fill(length)),
);

test("frames come out as they went in, whatever the chunks", () => {
  fc.assert(
    fc.property(fc.array(body, { maxLength: 12 }), chunking, fc.nat(3), (bodies, chunks, big) => {
      const bytes = framesOf(bodies);
      const sizes = big === 0 ? [bytes.length + 1] : chunks.map((size) => size * (big === 1 ? 1 : 50));
      expect(read(bytes, sizes)).toEqual({
        bodies: bodies.map((one) => Buffer.from(one).toString("hex")),
        code: undefined,
      });
    }),
    { numRuns: 1000 },
  );
});

test("any bytes in any chunks end as they do in one piece, and never throw", () => {
  const damaged = fc
    .tuple(fc.array(body, { minLength: 1, maxLength: 6 }), fc.nat(), fc.integer({ min: 1, max: 255 }))
    .map(([bodies, place, mask]) => {
      const bytes = framesOf(bodies);
      bytes[place % bytes.length] = (bytes[place % bytes.length] as number) ^ mask;
      return bytes;
    });
  const cut = fc.tuple(damaged, fc.nat()).map(([bytes, place]) => bytes.subarray(0, place % bytes.length));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 200 }), damaged, cut), chunking, (bytes, chunks) => {
      expect(read(bytes, chunks)).toEqual(model(bytes));
      expect(read(bytes, [bytes.length + 1])).toEqual(model(bytes));
    }),
    { numRuns: 3000 },
  );
});

test("a reader that its listener stops says nothing more", () => {
  const bytes = framesOf([new Uint8Array([1]), new Uint8Array([2]), new Uint8Array([3])]);
  for (const size of [1, 5, bytes.length]) {
    const got: number[] = [];
    const reader: FrameReader = new FrameReader({
      bodyBytesMax: 10,
      onFrame: (one) => {
        got.push(one[0] as number);
        if (got.length === 2) reader.stop();
      },
    });
    for (let at = 0; at < bytes.length; at += size)
      expect(reader.push(bytes.subarray(at, at + size))).toBe(undefined);
    expect(got).toEqual([1, 2]);
  }
});

test("hello and answer are what their drawing says, and any bytes are one or none", () => {
  const hello = encodeHello({ clusterId: 0x0807060504030201n, from: 0xa1, to: 0xb2 });
  expect(Buffer.from(hello.subarray(8)).toString("hex")).toBe(
    "54505231" + "0100" + "0000" + "0102030405060708" + "a1000000" + "b2000000",
  );
  expect(decodeHello(hello.subarray(8))).toEqual({
    ...{ version: 1, clusterId: 0x0807060504030201n, from: 0xa1, to: 0xb2 },
  });
  const answer = encodeAnswer({ code: 851, nodeId: 7 });
  expect(Buffer.from(answer.subarray(8)).toString("hex")).toBe("54505231" + "0100" + "5303" + "07000000");
  expect(decodeAnswer(answer.subarray(8))).toEqual({ version: 1, code: 851, nodeId: 7 });
  const any = fc.uint8Array({ maxLength: 40 });
  const magic = any.map((rest) => new Uint8Array([0x54, 0x50, 0x52, 0x31, ...rest]));
  const ours = any.map((rest) => new Uint8Array([0x54, 0x50, 0x52, 0x31, 1, 0, ...rest]));
  const bytes = fc.oneof(any, magic, ours);
  fc.assert(
    fc.property(bytes, (one) => {
      for (const decoded of [decodeHello(one), decodeAnswer(one)])
        expect(decoded === undefined || decoded.version >= 0).toBe(true);
    }),
  );
});

test("a queue takes what fits, in order, within both bounds", () => {
  const action = fc.oneof(
    { arbitrary: fc.integer({ min: 1, max: 9_000 }).map((length) => ({ length })), weight: 5 },
    { arbitrary: fc.constant("take" as const), weight: 1 },
    { arbitrary: fc.constant("clear" as const), weight: 1 },
  );
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const queue = new SendQueue({ bytesMax: 40_000, messagesMax: 10 });
      let waiting: Uint8Array[] = [];
      for (const [number, one] of actions.entries()) {
        if (one === "clear") {
          queue.clear();
          waiting = [];
        } else if (one === "take") {
          expect(queue.take()).toEqual(framesOf(waiting));
          waiting = [];
        } else {
          const message = new Uint8Array(one.length).fill(number + 1);
          const bytes = framesOf([...waiting, message]).length;
          const fits = bytes <= 40_000 && waiting.length < 10;
          expect(queue.put(message)).toBe(fits);
          if (fits) waiting.push(message);
        }
        expect(queue.messages).toBe(waiting.length);
      }
    }),
    { numRuns: 500 },
  );
});
