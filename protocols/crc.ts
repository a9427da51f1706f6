/**
 * CRC-32/ISO-HDLC (zlib's, Ethernet's): polynomial 0x04C11DB7 reflected, initial value and final XOR all
 * ones. Frames, segments and the device's flash use the same one.
 *
 * One table look-up a byte costs a dependent load a byte. Slicing by four (Kounavis and Berry, "A Systematic
 * Approach to Building High Performance Software-based CRC Generators", 2005) folds four bytes in four
 * independent look-ups: TABLE[k * 256 + b] is the CRC of byte b followed by k zero bytes.
 */
const TABLE = buildTable();

/**
 * The CRC of `bytes`. `seed` is the CRC of what precedes them, so that crc32(b, crc32(a)) is the CRC of a
 * then b; it may also be any other u32, used as a salt.
 */
export function crc32(bytes: Uint8Array, seed = 0): number {
  const table = TABLE;
  const length = bytes.length;
  const sliced = length - (length & 3);
  let crc = ~seed;
  let at = 0;
  for (; at < sliced; at += 4) {
    crc ^=
      (bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24);
    crc =
      (table[768 + (crc & 0xff)] as number) ^
      (table[512 + ((crc >>> 8) & 0xff)] as number) ^
      (table[256 + ((crc >>> 16) & 0xff)] as number) ^
      (table[crc >>> 24] as number);
  }
  for (; at < length; at += 1) crc = (crc >>> 8) ^ (table[(crc ^ (bytes[at] as number)) & 0xff] as number);
  return ~crc >>> 0;
}

function buildTable(): Int32Array {
  const polynomialReflected = 0xedb88320;
  const table = new Int32Array(1024);
  for (let byte = 0; byte < 256; byte += 1) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ polynomialReflected : crc >>> 1;
    table[byte] = crc;
  }
  for (let at = 256; at < 1024; at += 1) {
    const before = table[at - 256] as number;
    table[at] = (before >>> 8) ^ (table[before & 0xff] as number);
  }
  return table;
}
