import fc from "fast-check";
import { expect, test } from "vitest";
import { xoshiro128 } from "../../../host/core/xoshiro.ts";

const WORD = 0xffff_ffffn;

/** xoshiro128** as the paper's C has it, in whole numbers. */
function* model(words: readonly number[]): Generator<number> {
  let [a, b, c, d] = words.map(BigInt) as [bigint, bigint, bigint, bigint];
  const rotated = (value: bigint, by: bigint): bigint => ((value << by) | (value >> (32n - by))) & WORD;
  for (;;) {
    yield Number((rotated((b * 5n) & WORD, 7n) * 9n) & WORD);
    const shifted = (b << 9n) & WORD;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = rotated(d, 11n);
  }
}

test("xoshiro128** gives what its authors' gives", () => {
  const draw = xoshiro128(Uint32Array.of(1, 2, 3, 4));
  expect(Array.from({ length: 4 }, draw)).toEqual([11_520, 0, 5_927_040, 70_819_200]);
  const word = fc.nat(0xffff_ffff);
  fc.assert(
    fc.property(fc.tuple(word, word, word, word), (state) => {
      const draws = xoshiro128(Uint32Array.from(state));
      const expected = model(state);
      for (let index = 0; index < 20; index += 1) expect(draws()).toBe(expected.next().value);
    }),
  );
});
