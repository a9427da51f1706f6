/**
 * CRC-32 ISO-HDLC, zlib's: polynomial 0x04C11DB7 reflected, start and final XOR all ones, check value 0xCBF43926.
 *
 * A table of 256 words costs a Cortex-M0+ a kilobyte of flash; one of 16 words takes a byte in two steps, costs 64 bytes
 * and is about half as fast, which a serial line never notices.
 */

const NIBBLES: usize = memory.data<u32>([
  0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c, 0xedb88320,
  0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
]);

/** CRC of `length` bytes at `from`. */
export function crc32(from: usize, length: i32): u32 {
  return crc32Update(0, from, length);
}

/** Goes on from the CRC of the bytes before; 0 when there are none. */
export function crc32Update(crc: u32, from: usize, length: i32): u32 {
  let state = ~crc;
  for (let index = 0; index < length; ++index) {
    state ^= <u32>load<u8>(from + <usize>index);
    state = load<u32>(NIBBLES + <usize>((state & 15) << 2)) ^ (state >>> 4);
    state = load<u32>(NIBBLES + <usize>((state & 15) << 2)) ^ (state >>> 4);
  }
  return ~state;
}
