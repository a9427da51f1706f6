/**
 * Seeded random numbers: xoshiro128**, its state filled from the seed by splitmix32. One seed replays a world; fork() gives an
 * independent stream, so that one part drawing more numbers does not change what another part draws.
 */
import { xoshiro128 } from "../core/xoshiro.ts";
import type { Random } from "../io/seams.ts";

export interface SeededRandom extends Random {
  /** A stream of its own for the part called `label`; the same seed and label give the same stream. */
  fork(label: string): SeededRandom;
  /** Uniform in [0, bound). */
  below(bound: number): number;
  /** True with this probability. */
  chance(probability: number): boolean;
}

export function seededRandom(seed: number): SeededRandom {
  const state = new Uint32Array(4);
  let mix = seed >>> 0;
  for (let index = 0; index < 4; index += 1) {
    mix = (mix + 0x9e3779b9) >>> 0;
    state[index] = splitmix(mix);
  }
  const u32 = xoshiro128(state);
  const unit = (): number => u32() / 2 ** 32;
  return {
    u32,
    unit,
    bytes: (length) => {
      const bytes = new Uint8Array(length);
      for (let at = 0; at < length; at += 1) bytes[at] = u32() >>> 24;
      return bytes;
    },
    fork: (label) => seededRandom(hashLabel(label, seed >>> 0)),
    below: (bound) => Math.floor(unit() * bound),
    chance: (probability) => unit() < probability,
  };
}

function splitmix(value: number): number {
  let mixed = value ^ (value >>> 16);
  mixed = Math.imul(mixed, 0x21f0aaad);
  mixed ^= mixed >>> 15;
  mixed = Math.imul(mixed, 0x735a2d97);
  return (mixed ^ (mixed >>> 15)) >>> 0;
}

/** FNV-1a over the label, begun at the seed. */
function hashLabel(label: string, seed: number): number {
  let hash = 0x811c9dc5 ^ splitmix(seed);
  for (let at = 0; at < label.length; at += 1) hash = Math.imul(hash ^ label.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}
