/**
 * The machine's random numbers. Words come from the system's generator in blocks, because one call a word
 * costs a microsecond; bytes() goes to it directly, as keys and tokens come from there.
 */
import { randomBytes, randomFillSync } from "node:crypto";
import type { Random } from "./seams.ts";

const BLOCK_WORDS = 256;

export function systemRandom(): Random {
  const block = new Uint32Array(BLOCK_WORDS);
  let next = BLOCK_WORDS;
  const u32 = (): number => {
    if (next === BLOCK_WORDS) {
      randomFillSync(block);
      next = 0;
    }
    const word = block[next] as number;
    next += 1;
    return word;
  };
  return {
    u32,
    unit: () => (u32() * 2 ** 21 + (u32() >>> 11)) / 2 ** 53,
    bytes: (length) => new Uint8Array(randomBytes(length)),
  };
}
