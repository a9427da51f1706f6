/**
 * XXH64 (Collet, "xxHash fast digest algorithm", specification 0.1.1): 64 well mixed bits of any bytes, the same on every machine. Not for
 * secrets: who knows the seed can make collisions. Every placement in this room starts from it, so that device and host agree.
 */

const PRIME_1: u64 = 0x9e37_79b1_85eb_ca87;
const PRIME_2: u64 = 0xc2b2_ae3d_27d4_eb4f;
const PRIME_3: u64 = 0x1656_67b1_9e37_79f9;
const PRIME_4: u64 = 0x85eb_ca77_c2b2_ae63;
const PRIME_5: u64 = 0x27d4_eb2f_1656_67c5;
const STRIPE_BYTES: usize = 32;

/** Of `length` bytes at `from`, which need no alignment. */
export function xxh64(from: usize, length: i32, seed: u64): u64 {
  let at = from;
  const end = from + <usize>length;
  let hash: u64;
  if (<usize>length >= STRIPE_BYTES) {
    let a = seed + PRIME_1 + PRIME_2;
    let b = seed + PRIME_2;
    let c = seed;
    let d = seed - PRIME_1;
    while (at + STRIPE_BYTES <= end) {
      a = round(a, load<u64>(at));
      b = round(b, load<u64>(at, 8));
      c = round(c, load<u64>(at, 16));
      d = round(d, load<u64>(at, 24));
      at += STRIPE_BYTES;
    }
    hash = rotl<u64>(a, 1) + rotl<u64>(b, 7) + rotl<u64>(c, 12) + rotl<u64>(d, 18);
    hash = merge(merge(merge(merge(hash, a), b), c), d);
  } else hash = seed + PRIME_5;
  hash += <u64>length;
  while (at + 8 <= end) {
    hash = rotl<u64>(hash ^ round(0, load<u64>(at)), 27) * PRIME_1 + PRIME_4;
    at += 8;
  }
  if (at + 4 <= end) {
    hash = rotl<u64>(hash ^ (<u64>load<u32>(at) * PRIME_1), 23) * PRIME_2 + PRIME_3;
    at += 4;
  }
  while (at < end) {
    hash = rotl<u64>(hash ^ (<u64>load<u8>(at) * PRIME_5), 11) * PRIME_1;
    at += 1;
  }
  return avalanche(hash);
}

/** A hash made of another and a number: a node's n-th point, a key's score at a node. */
export function mix64(hash: u64, salt: u64): u64 {
  return avalanche(round(hash, salt) + PRIME_5);
}

function round(lane: u64, input: u64): u64 {
  return rotl<u64>(lane + input * PRIME_2, 31) * PRIME_1;
}

function merge(hash: u64, lane: u64): u64 {
  return (hash ^ round(0, lane)) * PRIME_1 + PRIME_4;
}

function avalanche(hash: u64): u64 {
  let mixed = (hash ^ (hash >> 33)) * PRIME_2;
  mixed = (mixed ^ (mixed >> 29)) * PRIME_3;
  return mixed ^ (mixed >> 32);
}
