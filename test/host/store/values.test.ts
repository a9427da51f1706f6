import fc from "fast-check";
import { expect, test } from "vitest";
import { decodeValue, encodeValue } from "../../../host/store/values.ts";

test("plain data comes back as it was", () => {
  const value = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { depthSize: "small" },
      fc.constant(null),
      fc.boolean(),
      fc.maxSafeInteger(),
      // cbor-x writes -0 as the integer 0.
      fc.double({ noNaN: true }).map((number) => (number === 0 ? 0 : number)),
      fc.string({ unit: "binary" }),
      fc.array(tie("value"), { maxLength: 5 }),
      fc.dictionary(
        fc.string({ minLength: 1, maxLength: 8 }).filter((key) => key !== "__proto__"),
        tie("value"),
        {
          maxKeys: 5,
          noNullPrototype: true,
        },
      ),
    ),
  })).value;
  fc.assert(
    fc.property(value, (one) => {
      expect(decodeValue(encodeValue(one))).toEqual(one);
    }),
  );
});

test("bytes come back as bytes, and the encoded ones are the caller's", () => {
  const bytes = new Uint8Array([1, 2, 3]);
  expect(Uint8Array.from(decodeValue(encodeValue(bytes)) as Uint8Array)).toEqual(bytes);
  const first = encodeValue({ a: 1 });
  const copy = first.slice();
  for (let count = 0; count < 1000; count += 1) encodeValue({ b: "x".repeat(100) });
  expect(first).toEqual(copy);
});

test("what is no value says so", () => {
  expect(() => decodeValue(new Uint8Array([0xbf, 0x61]))).toThrow(
    expect.objectContaining({ code: "STATE_CORRUPT" }),
  );
  expect(() => decodeValue(new Uint8Array([0x9b, 0xff, 0xff]))).toThrow(
    expect.objectContaining({ code: "STATE_CORRUPT" }),
  );
});
