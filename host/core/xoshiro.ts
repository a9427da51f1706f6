/**
 * xoshiro128** 1.1 (Blackman and Vigna, "Scrambled Linear Pseudorandom Number Generators", ACM Transactions on Mathematical Software 47, 2021): 32 random
 * bits in a few nanoseconds. Allocates nothing, while each call to the system's generator leaves an object. Good for jitter, for nothing secret.
 */

/** Draws from four words of state, which must not all be 0; a number below 2^32 each time. */
export function xoshiro128(state: Uint32Array<ArrayBuffer>): () => number {
  return () => {
    const s1 = state[1] as number;
    const result = Math.imul(rotate(Math.imul(s1, 5), 7), 9) >>> 0;
    const shifted = s1 << 9;
    state[2] = (state[2] as number) ^ (state[0] as number);
    state[3] = (state[3] as number) ^ s1;
    state[1] = s1 ^ (state[2] as number);
    state[0] = (state[0] as number) ^ (state[3] as number);
    state[2] = (state[2] as number) ^ shifted;
    state[3] = rotate(state[3] as number, 11);
    return result;
  };
}

function rotate(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}
