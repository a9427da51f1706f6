/**
 * Strict deterministic CBOR (RFC 8949, section 4.2.1): reader and writer primitives over a pointer and a length.
 *
 * A general reader accepts several encodings of one value, so that two sides can disagree on what a signature or a
 * checksum covers. This one takes one encoding each: shortest heads, definite lengths, floats in the shorter of binary32
 * and binary64 that keeps the value, one NaN. It looks at every byte once and trusts no length before comparing it with
 * what is left, so hostile input costs at most its own size.
 *
 * One reader and one writer exist at a time (module variables, not objects): a device decodes one message after another.
 */
import {
  CBOR_DEPTH,
  CBOR_NONCANONICAL,
  CBOR_TRUNCATED,
  CBOR_TYPE,
  CBOR_UTF8,
  MESSAGE_SPACE,
} from "../errors/codes.generated";
import { CBOR_SKIP_DEPTH_MAX } from "./schema.generated";

export const MAJOR_UINT: i32 = 0;
export const MAJOR_NEGATIVE: i32 = 1;
export const MAJOR_BYTES: i32 = 2;
export const MAJOR_TEXT: i32 = 3;
export const MAJOR_LIST: i32 = 4;
export const MAJOR_MAP: i32 = 5;
export const MAJOR_TAG: i32 = 6;
export const MAJOR_SIMPLE: i32 = 7;

export const SIMPLE_FALSE: i32 = 20;
export const SIMPLE_TRUE: i32 = 21;
const SIMPLE_NULL: i32 = 22;
const FLOAT_16: i32 = 25;
const FLOAT_32: i32 = 26;
const FLOAT_64: i32 = 27;

/** 2^53 - 1: integers up to here are exact in the float64 of JavaScript. */
export const SAFE_INTEGER_MAX: u64 = 0x1f_ffff_ffff_ffff;
const SAFE_FLOAT_MAX: f64 = 9007199254740991.0;

const NAN_32: u32 = 0x7fc00000;
const NAN_64: u64 = 0x7ff8000000000000;

let cursor: usize = 0;
let limit: usize = 0;
let headInfo: i32 = 0;
let headArgument: u64 = 0;

/** Begins to read `length` bytes at `from`. */
export function readerStart(from: usize, length: i32): void {
  cursor = from;
  limit = from + <usize>length;
}

/** Bytes not read yet. */
export function readerLeft(): u32 {
  return <u32>(limit - cursor);
}

/** Additional information of the last head, 0 to 27. */
export function readInfo(): i32 {
  return headInfo;
}

/** Argument of the last head: the number, the length, or the bits of a float. */
export function readArgument(): u64 {
  return headArgument;
}

/** Reads one head. Its major type, or -CBOR_TRUNCATED or -CBOR_NONCANONICAL. */
export function readHead(): i32 {
  if (cursor >= limit) return -CBOR_TRUNCATED;
  const first = <i32>load<u8>(cursor++);
  const major = first >> 5;
  const info = first & 31;
  headInfo = info;
  if (info < 24) {
    headArgument = <u64>info;
    return major;
  }
  if (info > FLOAT_64) return -CBOR_NONCANONICAL; // Reserved, or an indefinite length.
  const bytes = 1 << (info - 24);
  if (readerLeft() < <u32>bytes) return -CBOR_TRUNCATED;
  let argument: u64 = 0;
  for (let index = 0; index < bytes; ++index) argument = (argument << 8) | <u64>load<u8>(cursor++);
  headArgument = argument;
  if (major != MAJOR_SIMPLE) {
    // Of n argument bytes the upper half must not be all zero, or half as many had done.
    const shortest = info == 24 ? argument > 23 : argument >> ((<u64>bytes) << 2) != 0;
    if (!shortest) return -CBOR_NONCANONICAL;
  }
  return major;
}

/** Steps over the `length` bytes that a text or byte string head announced. Their address, or 0 when input ends before. */
export function readSpan(length: u64): usize {
  if (length > <u64>readerLeft()) return 0;
  const at = cursor;
  cursor += <usize>length;
  return at;
}

/** Bits, as binary64, of the float whose head was read with status 0. */
export function readFloatBits(): u64 {
  if (headInfo == FLOAT_64) return headArgument;
  if (<u32>headArgument == NAN_32) return NAN_64; // Promotion may change a NaN's sign; ours has one pattern.
  return reinterpret<u64>(<f64>reinterpret<f32>(<u32>headArgument));
}

/**
 * Judges a head of major type 7 as a float: 0, or -CBOR_NONCANONICAL for binary16, a NaN with another pattern and a
 * binary64 that binary32 holds as well, or -CBOR_TYPE for what is no float.
 */
export function readFloatStatus(): i32 {
  if (headInfo == FLOAT_16) return -CBOR_NONCANONICAL;
  if (headInfo == FLOAT_32) {
    const bits = <u32>headArgument;
    return (bits & 0x7fffffff) > 0x7f800000 && bits != NAN_32 ? -CBOR_NONCANONICAL : 0;
  }
  if (headInfo != FLOAT_64) return -CBOR_TYPE;
  const value = reinterpret<f64>(headArgument);
  return isNotNumber(headArgument) || <f64>(<f32>value) == value ? -CBOR_NONCANONICAL : 0;
}

/** By its bits: without a floating-point unit, comparing integers is the cheaper way. */
function isNotNumber(bits: u64): bool {
  return bits << 1 > <u64>0xffe0_0000_0000_0000;
}

/** Steps over one well-formed item of any type but a tag, itself and what it holds at most CBOR_SKIP_DEPTH_MAX levels. */
export function skipItem(): i32 {
  return skipNested(1);
}

function skipNested(depth: i32): i32 {
  if (depth > CBOR_SKIP_DEPTH_MAX) return -CBOR_DEPTH;
  const major = readHead();
  if (major < 0) return major;
  if (major <= MAJOR_NEGATIVE) return 0;
  if (major <= MAJOR_TEXT) return readSpan(headArgument) == 0 ? -CBOR_TRUNCATED : 0;
  if (major == MAJOR_TAG) return -CBOR_TYPE;
  if (major == MAJOR_SIMPLE) {
    if (headInfo >= FLOAT_16 && headInfo <= FLOAT_64) return readFloatStatus();
    return headInfo >= SIMPLE_FALSE && headInfo <= SIMPLE_NULL ? 0 : -CBOR_TYPE;
  }
  // Every item takes at least a byte, so a count beyond what is left needs no loop to be refused.
  const pair: u32 = major == MAJOR_MAP ? 1 : 0;
  if (headArgument > <u64>(readerLeft() >> pair)) return -CBOR_TRUNCATED;
  const items = (<u32>headArgument) << pair;
  for (let item: u32 = 0; item < items; ++item) {
    const status = skipNested(depth + 1);
    if (status < 0) return status;
  }
  return 0;
}

/** 0 when the bytes are UTF-8 as Unicode's table 3-7 has it (no overlong form, no surrogate), else -CBOR_UTF8. */
export function utf8Status(from: usize, length: u32): i32 {
  let at = from;
  const end = from + <usize>length;
  while (at < end) {
    const lead = <u32>load<u8>(at++);
    if (lead < 0x80) continue;
    let more: i32 = 1;
    let low: u32 = 0x80; // Bounds of the second byte; the later ones always lie within 80..BF.
    let high: u32 = 0xbf;
    if (lead < 0xc2) return -CBOR_UTF8;
    if (lead >= 0xe0) {
      more = lead < 0xf0 ? 2 : 3;
      if (lead == 0xe0) low = 0xa0;
      else if (lead == 0xed) high = 0x9f;
      else if (lead == 0xf0) low = 0x90;
      else if (lead == 0xf4) high = 0x8f;
      else if (lead > 0xf4) return -CBOR_UTF8;
    }
    for (; more > 0; --more) {
      if (at >= end) return -CBOR_UTF8;
      const next = <u32>load<u8>(at++);
      if (next < low || next > high) return -CBOR_UTF8;
      low = 0x80;
      high = 0xbf;
    }
  }
  return 0;
}

/** True for floats that must travel as integers inside a `value` (numeric reduction, as in dCBOR); -0.0 is one of them. */
export function isReducible(value: f64): bool {
  return value >= -SAFE_FLOAT_MAX && value <= SAFE_FLOAT_MAX && trunc(value) == value;
}

let outputAt: usize = 0;
let outputLimit: usize = 0;

/** Begins to write at `to`, at most `capacity` bytes. */
export function writerStart(to: usize, capacity: i32): void {
  outputAt = to;
  outputLimit = to + <usize>capacity;
}

/** Where the next byte goes. */
export function writerAt(): usize {
  return outputAt;
}

/** Writes a head in its shortest form. 0 or -MESSAGE_SPACE. */
export function writeHead(major: i32, argument: u64): i32 {
  const top = (<u32>major) << 5;
  if (argument < 24) return writeBytes(top | <u32>argument, 0, 0);
  if (argument <= 0xff) return writeBytes(top | 24, argument, 1);
  if (argument <= 0xffff) return writeBytes(top | 25, argument, 2);
  if (argument <= 0xffffffff) return writeBytes(top | 26, argument, 4);
  return writeBytes(top | 27, argument, 8);
}

/** Writes a signed integer. */
export function writeInteger(value: i64): i32 {
  return value < 0 ? writeHead(MAJOR_NEGATIVE, <u64>~value) : writeHead(MAJOR_UINT, <u64>value);
}

/** Writes false or true. */
export function writeBool(value: bool): i32 {
  return writeHead(MAJOR_SIMPLE, <u64>(value ? SIMPLE_TRUE : SIMPLE_FALSE));
}

/** Writes binary32 when it keeps the value, else binary64; any NaN becomes 7FC00000. */
export function writeFloat(value: f64): i32 {
  const top = (<u32>MAJOR_SIMPLE) << 5;
  if (isNotNumber(reinterpret<u64>(value))) return writeBytes(top | FLOAT_32, <u64>NAN_32, 4);
  const short = <f32>value;
  if (<f64>short == value) return writeBytes(top | FLOAT_32, <u64>reinterpret<u32>(short), 4);
  return writeBytes(top | FLOAT_64, reinterpret<u64>(value), 8);
}

/** Writes a text or byte string: its head and `length` bytes at `from`. */
export function writeSpan(major: i32, from: usize, length: u32): i32 {
  const status = writeHead(major, <u64>length);
  if (status < 0) return status;
  if (<usize>length > outputLimit - outputAt) return -MESSAGE_SPACE;
  // Byte by byte: memory.copy is a bulk memory operation, which device builds go without.
  for (let index: u32 = 0; index < length; ++index) store<u8>(outputAt++, load<u8>(from + <usize>index));
  return 0;
}

function writeBytes(initial: u32, argument: u64, bytes: i32): i32 {
  if (<usize>(bytes + 1) > outputLimit - outputAt) return -MESSAGE_SPACE;
  store<u8>(outputAt++, <u8>initial);
  for (let shift = (bytes - 1) << 3; shift >= 0; shift -= 8)
    store<u8>(outputAt++, <u8>(argument >> <u64>shift));
  return 0;
}
