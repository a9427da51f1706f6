/** The codec of commands and results: one encoding each, bounds, and a code for whatever is none. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  COMMAND_BYTES_MAX,
  encodeCommand,
  type KvCommand,
  type KvSession,
} from "../../../../host/cluster/kv/command.ts";
import { decodeCommand } from "../../../../host/cluster/kv/command-reader.ts";
import { KEY_BYTES_MAX, TIME_MS_MAX, VALUE_BYTES_MAX } from "../../../../host/cluster/kv/limits.ts";
import { decodeResult, KV_CODES, KV_OPS, KvResults } from "../../../../host/cluster/kv/result.ts";
import { text } from "./kv-rig.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const u53 = fc.oneof(
  fc.nat(300),
  fc.maxSafeNat(),
  fc.constantFrom(2 ** 32 - 1, 2 ** 32, Number.MAX_SAFE_INTEGER),
);
const u53From1 = u53.map((value) => Math.max(1, value));
const key = fc
  .oneof(
    fc.string({ unit: "binary", minLength: 1, maxLength: 60 }),
    fc.constantFrom("\uFEFF", "\u0000", "a".repeat(512)),
  )
  .filter((value) => value.isWellFormed() && text(value).length <= KEY_BYTES_MAX);
const bound = fc.oneof(fc.constant(""), key);
const value = fc.uint8Array({ maxLength: 200 });
const when = fc.oneof(
  u53.map((revision) => ({ revision })),
  value.map((expected) => ({ value: expected })),
);
const command: fc.Arbitrary<KvCommand> = fc.oneof(
  fc.record(
    { op: fc.constant("put" as const), key, value, lease: u53From1, when },
    { requiredKeys: ["op", "key", "value"] },
  ),
  fc.record({ op: fc.constant("delete" as const), key, when }, { requiredKeys: ["op", "key"] }),
  fc.record(
    { op: fc.constant("delete-range" as const), from: bound, to: bound, limit: fc.integer({ min: 1 }) },
    { requiredKeys: ["op", "from", "to"] },
  ),
  fc.record({ op: fc.constant("lease-grant" as const), ttlMs: fc.integer({ min: 1, max: 2_592_000_000 }) }),
  fc.record({ op: fc.constant("lease-keep-alive" as const), lease: u53From1 }),
  fc.record({ op: fc.constant("lease-revoke" as const), lease: u53From1 }),
);
const session: fc.Arbitrary<KvSession> = fc
  .record({ id: u53From1, sequence: fc.integer({ min: 1, max: 0xffff_ffff }), back: fc.nat(0xffff_ffff) })
  .map(({ id, sequence, back }) => ({ id, sequence, acknowledgedBelow: Math.max(0, sequence - back) }));

describe("commands", () => {
  test("have the layouts that are drawn", () => {
    const put = encodeCommand(
      { op: "put", key: "k", value: text("v"), lease: 5, when: { value: text("e") } },
      { id: 2 ** 32 + 1, sequence: 3, acknowledgedBelow: 2 },
    );
    const head = "01 01 0200 0100000001000000 03000000 02000000";
    const body = "0500000000000000 0000000000000000 0100 01000000 01000000 6b 65 76";
    expect(hex(put)).toBe(`${head}${body}`.replaceAll(" ", ""));
    expect(hex(encodeCommand({ op: "tick", timeMs: 0x0102 }))).toBe(
      `0107${"00".repeat(18)}0201${"00".repeat(6)}`,
    );
    expect(encodeCommand({ op: "session-open" }).length).toBe(20);
  });

  test("come back as they went, with a session or without", () => {
    fc.assert(
      fc.property(command, fc.option(session, { nil: undefined }), (given, by) => {
        expect(decodeCommand(encodeCommand(given, by))).toEqual({ ok: true, command: given, session: by });
      }),
      { numRuns: 2_000 },
    );
    const by = { id: 7, sequence: 0, acknowledgedBelow: 0 };
    expect(decodeCommand(encodeCommand({ op: "session-close" }, by))).toEqual({
      ok: true,
      command: { op: "session-close" },
      session: by,
    });
    for (const given of [{ op: "session-open" }, { op: "tick", timeMs: TIME_MS_MAX }] as const)
      expect(decodeCommand(encodeCommand(given))).toEqual({ ok: true, command: given, session: undefined });
  });

  test("cut anywhere, or with a byte more, are malformed", () => {
    fc.assert(
      fc.property(command, (given) => {
        const bytes = encodeCommand(given);
        for (let length = 0; length < bytes.length; length += 1)
          expect(decodeCommand(bytes.subarray(0, length))).toEqual({ ok: false, code: "MALFORMED" });
        expect(decodeCommand(new Uint8Array([...bytes, 0])).ok).toBe(false);
      }),
      { numRuns: 200 },
    );
  });

  test("one encoding each: what is read after any change of a byte is written as it was", () => {
    const read = new Set<string>();
    fc.assert(
      fc.property(command, session, fc.nat(), fc.integer({ min: 1, max: 255 }), (given, by, at, xor) => {
        const bytes = encodeCommand(given, by);
        const place = at % Math.min(bytes.length, 80);
        bytes[place] = (bytes[place] as number) ^ xor;
        const decoded = decodeCommand(bytes);
        read.add(decoded.ok ? "OK" : decoded.code);
        if (decoded.ok) expect(hex(encodeCommand(decoded.command, decoded.session))).toBe(hex(bytes));
      }),
      { numRuns: 10_000 },
    );
    expect([...read].sort()).toEqual(["KEY_INVALID", "MALFORMED", "OK", "UNSUPPORTED"]);
  });

  test("any bytes at all are read without a throw", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 120 }), fc.nat(10), (bytes, op) => {
        if (bytes.length > 1) bytes.set([1, op]);
        expect(() => decodeCommand(bytes)).not.toThrow();
      }),
      { numRuns: 5_000 },
    );
  });

  test("keys and values have bounds on both sides of the wire", () => {
    const put = (key: string, size: number) =>
      encodeCommand({ op: "put", key, value: new Uint8Array(size), when: { value: new Uint8Array(size) } });
    expect(put("k".repeat(KEY_BYTES_MAX), VALUE_BYTES_MAX).length).toBe(COMMAND_BYTES_MAX);
    expect(() => put("", 0)).toThrow(RangeError);
    expect(() => put("é".repeat(257), 0)).toThrow(RangeError);
    expect(() => put("\ud800", 0)).toThrow(RangeError);
    expect(() => put("k", VALUE_BYTES_MAX + 1)).toThrow(RangeError);
    // As another implementation might send them.
    const long = new Uint8Array(46 + 513);
    long.set(encodeCommand({ op: "put", key: "k", value: text("") }));
    new DataView(long.buffer).setUint16(36, 513, true);
    expect(decodeCommand(long)).toEqual({ ok: false, code: "KEY_INVALID" });
    const large = new Uint8Array(47 + VALUE_BYTES_MAX + 1);
    large.set(encodeCommand({ op: "put", key: "k", value: text("") }));
    new DataView(large.buffer).setUint32(42, VALUE_BYTES_MAX + 1, true);
    expect(decodeCommand(large)).toEqual({ ok: false, code: "VALUE_OVERSIZE" });
    for (const when of [{ value: text("old") }, { revision: 4 }]) {
      const unconditional = encodeCommand({ op: "delete", key: "k", when });
      unconditional[2] = 0;
      expect(decodeCommand(unconditional)).toEqual({ ok: false, code: "MALFORMED" });
    }
    const overlong = encodeCommand({ op: "delete", key: "ab" });
    overlong.set([0xc0, 0x80], 34);
    expect(decodeCommand(overlong)).toEqual({ ok: false, code: "KEY_INVALID" });
  });

  test("sessions stand where they belong", () => {
    const by = { id: 1, sequence: 1, acknowledgedBelow: 1 };
    expect(() => encodeCommand({ op: "session-open" }, by)).toThrow(RangeError);
    expect(() => encodeCommand({ op: "tick", timeMs: 1 }, by)).toThrow(RangeError);
    expect(() => encodeCommand({ op: "session-close" })).toThrow(RangeError);
    expect(() => encodeCommand({ op: "delete", key: "k" }, { ...by, acknowledgedBelow: 2 })).toThrow(
      RangeError,
    );
    expect(() => encodeCommand({ op: "delete", key: "k" }, { ...by, sequence: 0 })).toThrow(RangeError);
    const tick = encodeCommand({ op: "tick", timeMs: 1 });
    tick[4] = 1;
    tick[12] = 1;
    expect(decodeCommand(tick)).toEqual({ ok: false, code: "MALFORMED" });
    const late = encodeCommand({ op: "tick", timeMs: TIME_MS_MAX });
    late[20] = 1;
    expect(decodeCommand(late)).toEqual({ ok: false, code: "MALFORMED" });
    const grant = encodeCommand({ op: "lease-grant", ttlMs: 1 });
    grant[20] = 0;
    expect(decodeCommand(grant)).toEqual({ ok: false, code: "MALFORMED" });
  });
});

describe("results", () => {
  test("come back as they went, and anything else does not", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.entries(KV_CODES)),
        fc.constantFrom(...Object.entries(KV_OPS)),
        fc.tuple(u53, u53, fc.integer({ min: 0, max: 0xffff_ffff }), fc.boolean()),
        ([code, codeNumber], [op, opNumber], [revision, value, count, more]) => {
          const results = new KvResults(2);
          results.set(1, { code: codeNumber, op: opNumber, revision, value, count, more });
          expect(results.at(1)).toEqual({ code, op, revision, value, count, more });
          expect(results.code(1)).toBe(codeNumber);
          expect(decodeResult(results.encoded(1))).toEqual(results.at(1));
          expect(decodeResult(results.encoded(1).subarray(1))).toBeUndefined();
        },
      ),
      { numRuns: 1_000 },
    );
    const bytes = new KvResults(1).encoded(0);
    const places = [0, 1, 2, 3, 14, 22];
    for (const at of places)
      expect(decodeResult(bytes.map((byte, index) => (index === at ? 0xee : byte)))).toBeUndefined();
    expect(() => new KvResults(1).at(1)).toThrow(RangeError);
  });
});
