/** One vector, four checks, in both languages: decode, encode, round trip, fed byte by byte through frames. */
import { Decoder, Encoder } from "cbor-x";
import fc from "fast-check";
import { beforeAll, describe, expect, test } from "vitest";
import { openCore } from "../../host/core/core.ts";
import { readCoreBytes } from "../../host/core/core-bytes.ts";
import { type CoreMessageCodec, createMessageCodec } from "../../host/core/message-codec.ts";
import { encodeFrame, FrameReader } from "../../protocols/frame.ts";
import { decodeMessage, encodeMessage } from "../../protocols/message.ts";
import type { Message } from "../../protocols/messages.generated.ts";
import { LIMITS, MESSAGES } from "../../protocols/table.ts";
import { fromHex, INVALID, SKIPPED, toHex, VALID } from "../support/vectors.ts";

const CASES = 100_000;
let core: CoreMessageCodec;

beforeAll(() => {
  core = createMessageCodec(openCore(readCoreBytes()));
});

/** What the four checks need of a language. */
const LANGUAGES = [
  {
    name: "TypeScript",
    decode: decodeMessage,
    encode: (message: Message) => encodeMessage(message),
  },
  {
    name: "AssemblyScript",
    decode: (bytes: Uint8Array) => core.decode(bytes),
    encode: (message: Message) => {
      const encoded = core.encode(message);
      if (!encoded.ok) throw new Error(encoded.code);
      return encoded.bytes;
    },
  },
] as const;

describe.each(LANGUAGES)("$name", ({ decode, encode }) => {
  test.each(VALID)("decodes: $name", ({ hex, message }) => {
    expect(decode(fromHex(hex))).toEqual({ ok: true, message });
  });
  test.each(VALID)("encodes: $name", ({ hex, message }) => {
    expect(toHex(encode(message))).toBe(hex);
  });
  test.each(VALID)("round trip: $name", ({ hex }) => {
    const decoded = decode(fromHex(hex));
    expect(decoded.ok && toHex(encode(decoded.message))).toBe(hex);
  });
  test.each(VALID)("byte by byte, every shorter input is refused: $name", ({ hex }) => {
    const bytes = fromHex(hex);
    for (let length = 0; length < bytes.length; length += 1) {
      expect(decode(bytes.subarray(0, length))).toMatchObject({ ok: false, code: "CBOR_TRUNCATED" });
    }
  });
  test.each(SKIPPED)("skips: $name", ({ hex, message }) => {
    expect(decode(fromHex(hex))).toEqual({ ok: true, message });
  });
  test.each(INVALID)("refuses: $name", ({ hex, code }) => {
    expect(decode(fromHex(hex))).toMatchObject({ ok: false, code });
  });
  test("every kind of the table has a vector", () => {
    expect(new Set(VALID.map(({ message }) => message.kind))).toEqual(
      new Set(MESSAGES.map((row) => row.name)),
    );
  });
});

describe("encoder refuses", () => {
  const log = { kind: "log", boot: 1, seq: 1, uptimeUs: 1, level: 1, text: "" } as const;
  test.each(
    [
      [{ ...log, text: "x".repeat(161) }, "CBOR_RANGE"],
      [{ ...log, text: "\ud800" }, "CBOR_UTF8"],
      [{ ...log, text: 1 }, "CBOR_TYPE"],
      [{ ...log, boot: -1 }, "CBOR_RANGE"],
      [{ ...log, boot: 1.5 }, "CBOR_TYPE"],
      [{ ...log, boot: 2 ** 32 }, "CBOR_RANGE"],
      [{ ...log, boot: undefined }, "MESSAGE_FIELD"],
      [{ kind: "nonsense" }, "MESSAGE_KIND"],
      [{ kind: "shadow", role: 0, version: 1, entries: [{ key: "a", value: null }] }, "CBOR_TYPE"],
      [{ kind: "shadow", role: 0, version: 1, entries: "none" }, "CBOR_TYPE"],
      [{ kind: "telemetry", boot: 1, seq: 1, uptimeUs: 1, readings: new Array(33).fill({}) }, "CBOR_RANGE"],
      [
        {
          kind: "error",
          boot: 1,
          seq: 1,
          uptimeUs: 1,
          code: 1,
          severity: 1,
          component: "x",
          count: 1,
          trace: new Uint8Array(17),
        },
        "CBOR_RANGE",
      ],
      [
        {
          kind: "error",
          boot: 1,
          seq: 1,
          uptimeUs: 1,
          code: 1,
          severity: 1,
          component: "x",
          count: 1,
          hlc: 1n << 64n,
        },
        "CBOR_RANGE",
      ],
    ].map(([message, code], index) => ({ index, message, code })),
  )("case $index: $code", ({ message, code }) => {
    expect(() => encodeMessage(message as unknown as Message)).toThrow(
      expect.objectContaining({ code: code as string }),
    );
  });
});

/** Bytes that look like messages: a vector with a few bytes changed, cut or inserted. */
const nearly = fc
  .tuple(
    fc.integer({ min: 0, max: VALID.length - 1 }),
    fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 2 })), {
      maxLength: 4,
    }),
  )
  .map(([index, edits]) => {
    const bytes = [...fromHex(VALID[index]?.hex ?? "")];
    for (const [position, byte, how] of edits) {
      const at = position % (bytes.length + 1);
      if (how === 0) bytes[at] = byte;
      else bytes.splice(at, how === 1 ? 1 : 0, ...(how === 1 ? [] : [byte]));
    }
    return Uint8Array.from(bytes);
  });
const hostile = fc.oneof(
  { weight: 3, arbitrary: nearly },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 80 }) },
);

describe("any byte string", () => {
  test("is a message or a code in TypeScript, and what is accepted re-encodes", () => {
    fc.assert(
      fc.property(hostile, (bytes) => {
        const decoded = decodeMessage(bytes);
        if (!decoded.ok) return decoded.code.startsWith("CBOR_") || decoded.code.startsWith("MESSAGE_");
        const again = encodeMessage(decoded.message);
        return decodeMessage(again).ok && again.length <= bytes.length;
      }),
      { numRuns: CASES },
    );
  });

  test("means the same in both languages, code included", () => {
    fc.assert(
      fc.property(hostile, (bytes) => {
        const here = decodeMessage(bytes);
        const there = core.decode(bytes);
        expect(there).toEqual(here.ok ? here : { ok: false, code: here.code });
      }),
      { numRuns: CASES },
    );
  });

  test("accepted by us means the same to cbor-x", () => {
    const peer = new Decoder({ mapsAsObjects: false, int64AsType: "bigint" } as never);
    for (const { hex, message } of VALID) {
      const map = peer.decode(fromHex(hex)) as Map<number, unknown>;
      const row = MESSAGES.find(({ name }) => name === message.kind);
      expect(map.get(0)).toBe(row?.kind);
      for (const field of row?.fields ?? []) {
        const ours = (message as unknown as Record<string, unknown>)[field.name];
        if (field.type === "list" || ours === undefined) continue;
        const theirs = map.get(field.key);
        if (typeof ours === "number" || typeof ours === "bigint") expect(Number(theirs)).toBe(Number(ours));
        else if (ours instanceof Uint8Array) expect(toHex(theirs as Uint8Array)).toBe(toHex(ours));
        else expect(theirs).toEqual(ours);
      }
    }
  });

  test("what cbor-x writes in its own way is accepted when canonical and refused when not", () => {
    const peer = new Encoder({ mapsAsObjects: false, useRecords: false, variableMapSize: true });
    const map = new Map([
      [0, 13],
      [1, 1],
      [2, 2],
    ]);
    expect(decodeMessage(peer.encode(map))).toMatchObject({ ok: true });
    expect(
      decodeMessage(
        peer.encode(
          new Map([
            [1, 1],
            [0, 13],
            [2, 2],
          ]),
        ),
      ),
    ).toMatchObject({ ok: false, code: "MESSAGE_FIELD" });
    expect(
      decodeMessage(
        peer.encode(
          new Map([
            [0, 13],
            [2, 2],
            [1, 1],
          ]),
        ),
      ),
    ).toMatchObject({ ok: false, code: "CBOR_KEY_ORDER" });
  });
});

test("messages through frames, fed byte by byte", () => {
  const reader = new FrameReader();
  const seen: string[] = [];
  for (const { hex } of VALID) {
    const wire = encodeFrame({ type: "data", session: 1, number: 1, payload: fromHex(hex) });
    for (const byte of wire) {
      reader.push(Uint8Array.of(byte), (result) => {
        if (result.ok) seen.push(toHex(result.frame.payload));
      });
    }
  }
  expect(seen).toEqual(VALID.map(({ hex }) => hex));
  expect(LIMITS.FRAME_BYTES_MAX).toBe(
    LIMITS.FRAME_HEADER_BYTES + LIMITS.MESSAGE_BYTES_MAX + LIMITS.FRAME_CRC_BYTES,
  );
});
