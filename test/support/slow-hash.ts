/** XXH64 (specification 0.1.1) once more, in whole numbers of any size, and what the core makes of it: for models of placements. */

const P1 = 0x9e3779b185ebca87n;
const P2 = 0xc2b2ae3d27d4eb4fn;
const P3 = 0x165667b19e3779f9n;
const P4 = 0x85ebca77c2b2ae63n;
const P5 = 0x27d4eb2f165667c5n;

const whole = (value: bigint): bigint => BigInt.asUintN(64, value);
const rotate = (value: bigint, by: bigint): bigint => whole((value << by) | (whole(value) >> (64n - by)));
const round = (lane: bigint, input: bigint): bigint => whole(rotate(whole(lane + input * P2), 31n) * P1);

function avalanche(hash: bigint): bigint {
  let mixed = whole((hash ^ (hash >> 33n)) * P2);
  mixed = whole((mixed ^ (mixed >> 29n)) * P3);
  return mixed ^ (mixed >> 32n);
}

export function slowHash(bytes: Uint8Array, seed = 0n): bigint {
  const read = (at: number, size: number): bigint => {
    let value = 0n;
    for (let index = size - 1; index >= 0; index -= 1) value = (value << 8n) | BigInt(bytes[at + index] ?? 0);
    return value;
  };
  let at = 0;
  let hash = whole(seed + P5);
  if (bytes.length >= 32) {
    const lanes = [seed + P1 + P2, seed + P2, seed, seed - P1].map(whole);
    for (; at + 32 <= bytes.length; at += 32)
      lanes.forEach((lane, index) => {
        lanes[index] = round(lane, read(at + 8 * index, 8));
      });
    hash = lanes.reduce((sum, lane, index) => whole(sum + rotate(lane, [1n, 7n, 12n, 18n][index] ?? 0n)), 0n);
    for (const lane of lanes) hash = whole((hash ^ round(0n, lane)) * P1 + P4);
  }
  hash = whole(hash + BigInt(bytes.length));
  for (; at + 8 <= bytes.length; at += 8) hash = whole(rotate(hash ^ round(0n, read(at, 8)), 27n) * P1 + P4);
  for (; at + 4 <= bytes.length; at += 4) hash = whole(rotate(hash ^ whole(read(at, 4) * P1), 23n) * P2 + P3);
  for (; at < bytes.length; at += 1) hash = whole(rotate(hash ^ whole(read(at, 1) * P5), 11n) * P1);
  return avalanche(hash);
}

/** A hash made of another and a number. */
export function slowMix(hash: bigint, salt: bigint): bigint {
  return avalanche(whole(round(hash, salt) + P5));
}
