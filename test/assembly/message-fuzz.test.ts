import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createMessageCodec } from "../../host/core/message-codec.ts";
import { ERRORS } from "../../protocols/table.ts";
import { openTestCore } from "../support/core.ts";
import { messageArbitrary, mutated, mutationsArbitrary } from "../support/messages.ts";

const core = openTestCore();
const codec = createMessageCodec(core);

/** durableAck {1: boot 7, 2: seq 300}. */
const ACK = Uint8Array.from(Buffer.from("a3000d01070219012c", "hex"));

describe("any bytes", () => {
  /** Decoded bytes of known keys only are what encoding gives back: one message, one form. */
  const check = (bytes: Uint8Array): boolean => {
    const decoded = codec.decode(bytes);
    if (!decoded.ok) return false;
    const again = codec.encode(decoded.message);
    expect(again.ok).toBe(true);
    if (again.ok && Buffer.compare(again.bytes, bytes) !== 0) {
      // Only skipped keys may be lost, and what is left decodes to the same.
      expect(again.bytes.length).toBeLessThan(bytes.length);
      expect(codec.decode(again.bytes)).toEqual(decoded);
    }
    return true;
  };

  test("are a message or a status: 60,000 damaged messages", () => {
    let accepted = 0;
    const damaged = fc.tuple(messageArbitrary, mutationsArbitrary);
    fc.assert(
      fc.property(damaged, ([message, mutations]) => {
        const encoded = codec.encode(message);
        if (encoded.ok && check(mutated(encoded.bytes, mutations))) accepted += 1;
      }),
      { numRuns: 60_000 },
    );
    // Most changes are refused, but a good share must come through, or the test says little.
    expect(accepted).toBeGreaterThan(10_000);
  }, 60_000);

  test("are a message or a status: 40,000 random strings behind a valid head", () => {
    const random = fc.tuple(fc.nat(16), fc.nat(16), fc.uint8Array({ maxLength: 60 }));
    fc.assert(
      fc.property(random, ([pairs, kind, tail]) => {
        check(Uint8Array.from([0xa0 + pairs, 0, kind, ...tail]));
      }),
      { numRuns: 40_000 },
    );
  }, 60_000);

  test("are not read beyond their end", () => {
    const bytes = ACK;
    const input = core.allocate(64);
    const tokens = core.allocate(256);
    for (let length = 0; length < bytes.length; length += 1) {
      core.bytes().fill(0, input, input + 64);
      core.bytes().set(bytes, input); // What follows would complete the message.
      expect(core.raw.decodeMessage(input, length, tokens, 16)).toBe(-ERRORS.CBOR_TRUNCATED.number);
    }
  });
});
