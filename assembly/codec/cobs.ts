/**
 * Consistent Overhead Byte Stuffing (Cheshire and Baker, 1999): removes every zero from a block, so that a zero byte can end
 * a frame on a serial line and a receiver that joined in the middle finds the next one.
 *
 * Each group begins with a code byte n: n - 1 bytes that are not zero follow, and after them stands a zero that was taken
 * out, unless n is 255 or the block ends. The delimiter itself is the caller's.
 */
import { FRAME_COBS, MESSAGE_SPACE } from "../errors/codes.generated";

const GROUP_BYTES_MAX: u32 = 255;

/** Encodes without a delimiter; `to` must not overlap. Bytes written (at most length + length / 254 + 1) or -MESSAGE_SPACE. */
export function cobsEncode(from: usize, length: i32, to: usize, capacity: i32): i32 {
  if (capacity < 1) return -MESSAGE_SPACE;
  const end = to + <usize>capacity;
  let codeAt = to;
  let at = to + 1;
  let code: u32 = 1;
  for (let index = 0; index < length; ++index) {
    // A full group is closed only when more follows: 254 bytes need no code byte after them.
    if (code == GROUP_BYTES_MAX) {
      store<u8>(codeAt, <u8>code);
      if (at >= end) return -MESSAGE_SPACE;
      codeAt = at++;
      code = 1;
    }
    const byte = load<u8>(from + <usize>index);
    if (byte != 0) {
      if (at >= end) return -MESSAGE_SPACE;
      store<u8>(at++, byte);
      ++code;
    } else {
      store<u8>(codeAt, <u8>code);
      if (at >= end) return -MESSAGE_SPACE;
      codeAt = at++;
      code = 1;
    }
  }
  store<u8>(codeAt, <u8>code);
  return <i32>(at - to);
}

/**
 * Decodes a block without its delimiter; `to` may equal `from`, because output never overtakes input. Bytes written,
 * -FRAME_COBS for a zero inside, a group beyond the end or no group at all, or -MESSAGE_SPACE.
 */
export function cobsDecode(from: usize, length: i32, to: usize, capacity: i32): i32 {
  if (length < 1) return -FRAME_COBS;
  const end = from + <usize>length;
  const limit = to + <usize>capacity;
  let input = from;
  let output = to;
  while (input < end) {
    const code = <u32>load<u8>(input++);
    if (code == 0) return -FRAME_COBS;
    const next = input + <usize>(code - 1);
    if (next > end) return -FRAME_COBS;
    while (input < next) {
      const byte = load<u8>(input++);
      if (byte == 0) return -FRAME_COBS;
      if (output >= limit) return -MESSAGE_SPACE;
      store<u8>(output++, byte);
    }
    if (code != GROUP_BYTES_MAX && input < end) {
      if (output >= limit) return -MESSAGE_SPACE;
      store<u8>(output++, 0);
    }
  }
  return <i32>(output - to);
}
