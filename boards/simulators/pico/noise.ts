/** Seeded noise: what RAM holds at power-on, which bits a torn flash operation changed, the ring oscillator's bit. */

/** Uniform in [0, 2^32). xorshift32 after mixing, so that neighbouring seeds differ from the first word on. */
export function noise(seed: number): () => number {
  let state = Math.imul(seed ^ 0x9e37_79b9, 0x85eb_ca6b) ^ (seed >>> 13) || 1;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return Math.imul(state, 0x9e37_79b1) >>> 0;
  };
}
