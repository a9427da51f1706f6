/**
 * Strict deterministic CBOR (RFC 8949 section 4.2.1) for the fixed schema of table.ts: a reader that never throws and a
 * writer into one fixed buffer.
 *
 * Why our own: general decoders accept duplicate keys, tags, indefinite lengths and long forms, and turn large integers into
 * floats. Here every byte string has one meaning or one error code. Two rules narrow the RFC further:
 *   - a `float` field is binary32 where that keeps the value, else binary64, never binary16: a Cortex-M0+ would pay for
 *     binary16 in code and gain nothing. NaN is always 7fc00000.
 *   - a `value` that is an integer is encoded as one (numeric reduction as in draft-mcnally-deterministic-cbor), so a
 *     number has one form whichever language produced it.
 */
import { TardigradeError } from "./error.ts";
import { type ErrorCode, LIMITS } from "./table.ts";

export const MAJOR = { uint: 0, nint: 1, bytes: 2, text: 3, array: 4, map: 5, tag: 6, simple: 7 } as const;

const SIMPLE_FALSE = 20;
const SIMPLE_TRUE = 21;
const SIMPLE_NULL = 22;
const INFO_BINARY16 = 25;
const INFO_BINARY32 = 26;
const INFO_BINARY64 = 27;
const NAN_BINARY32 = 0x7fc00000;

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

/**
 * Reads one input. The first error sticks in `error` and every later read returns a harmless value, so callers check once
 * per item. Bounds are checked before anything is allocated.
 */
export class Reader {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  at = 0;
  error: ErrorCode | undefined;
  /** The head read last. */
  major = 0;
  info = 0;
  high = 0;
  low = 0;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  get ok(): boolean {
    return this.error === undefined;
  }

  fail(code: ErrorCode): void {
    this.error ??= code;
  }

  get remaining(): number {
    return this.bytes.length - this.at;
  }

  /** Reads a head; its argument must be in the shortest form, floats excepted (their width is a type). */
  head(): boolean {
    if (this.error !== undefined) return false;
    const first = this.bytes[this.at];
    if (first === undefined) return this.#refuse("CBOR_TRUNCATED");
    this.major = first >> 5;
    this.info = first & 31;
    this.high = 0;
    this.low = this.info;
    if (this.info < 24) {
      this.at += 1;
      return true;
    }
    if (this.info > INFO_BINARY64) return this.#refuse("CBOR_NONCANONICAL");
    const width = 1 << (this.info - 24);
    if (this.remaining < 1 + width) return this.#refuse("CBOR_TRUNCATED");
    const at = this.at + 1;
    if (width === 1) this.low = this.#view.getUint8(at);
    else if (width === 2) this.low = this.#view.getUint16(at);
    else if (width === 4) this.low = this.#view.getUint32(at);
    else {
      this.high = this.#view.getUint32(at);
      this.low = this.#view.getUint32(at + 4);
    }
    if (this.major !== MAJOR.simple && !this.#shortest(width)) return this.#refuse("CBOR_NONCANONICAL");
    this.at = at + width;
    return true;
  }

  #shortest(width: number): boolean {
    if (width === 1) return this.low >= 24;
    if (width === 2) return this.low > 0xff;
    if (width === 4) return this.low > 0xffff;
    return this.high > 0;
  }

  #refuse(code: ErrorCode): false {
    this.fail(code);
    return false;
  }

  /** Argument of the last head as a number, or undefined above 2^53 - 1. */
  get argument(): number | undefined {
    return this.high > 0x1fffff ? undefined : this.high * 2 ** 32 + this.low;
  }

  uint(max: number): number {
    if (!this.head()) return 0;
    if (this.major !== MAJOR.uint) this.fail("CBOR_TYPE");
    const value = this.argument;
    if (value !== undefined && value <= max) return value;
    this.fail("CBOR_RANGE");
    return 0;
  }

  u64(): bigint {
    if (!this.head()) return 0n;
    if (this.major !== MAJOR.uint) this.fail("CBOR_TYPE");
    return (BigInt(this.high) << 32n) | BigInt(this.low);
  }

  int(): number {
    if (!this.head()) return 0;
    return this.#integer();
  }

  #integer(): number {
    if (this.major > MAJOR.nint) this.fail("CBOR_TYPE");
    const argument = this.argument;
    if (argument === undefined) this.fail("CBOR_RANGE");
    else if (this.major === MAJOR.uint) return argument;
    else if (argument < Number.MAX_SAFE_INTEGER) return -1 - argument;
    else this.fail("CBOR_RANGE");
    return 0;
  }

  bool(): boolean {
    if (!this.head()) return false;
    const yes = this.info === SIMPLE_TRUE;
    if (this.major !== MAJOR.simple || (!yes && this.info !== SIMPLE_FALSE)) this.fail("CBOR_TYPE");
    return yes;
  }

  float(): number {
    if (!this.head()) return 0;
    if (this.major !== MAJOR.simple) this.fail("CBOR_TYPE");
    return this.ok ? this.#float() : 0;
  }

  #float(): number {
    if (this.info === INFO_BINARY32) {
      const value = this.#view.getFloat32(this.at - 4);
      if (Number.isNaN(value) && this.low !== NAN_BINARY32) this.fail("CBOR_NONCANONICAL");
      return value;
    }
    if (this.info === INFO_BINARY64) {
      const value = this.#view.getFloat64(this.at - 8);
      if (Number.isNaN(value) || Math.fround(value) === value) this.fail("CBOR_NONCANONICAL");
      return value;
    }
    this.fail(this.info === INFO_BINARY16 ? "CBOR_NONCANONICAL" : "CBOR_TYPE");
    return 0;
  }

  text(max: number): string {
    const bytes = this.#string(MAJOR.text, max);
    if (bytes === undefined) return "";
    let text = "";
    for (const byte of bytes) {
      if (byte >= 0x80) return this.#unicode(bytes);
      text += String.fromCharCode(byte);
    }
    return text;
  }

  #unicode(bytes: Uint8Array): string {
    try {
      return decoder.decode(bytes);
    } catch {
      this.fail("CBOR_UTF8");
      return "";
    }
  }

  /** A copy: the input buffer belongs to the caller. */
  byteString(max: number): Uint8Array {
    return this.#string(MAJOR.bytes, max)?.slice() ?? new Uint8Array(0);
  }

  #string(major: number, max: number): Uint8Array | undefined {
    if (!this.head()) return undefined;
    if (this.major !== major) this.fail("CBOR_TYPE");
    const length = this.argument ?? Number.POSITIVE_INFINITY;
    if (length > this.remaining) this.fail("CBOR_TRUNCATED");
    else if (length > max) this.fail("CBOR_RANGE");
    if (!this.ok) return undefined;
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  value(): boolean | number | string {
    const first = this.bytes[this.at];
    if (first === undefined) {
      this.fail("CBOR_TRUNCATED");
      return false;
    }
    const major = first >> 5;
    if (major === MAJOR.text) return this.text(LIMITS.TEXT_VALUE_BYTES_MAX);
    if (major !== MAJOR.simple) return this.int();
    const info = first & 31;
    if (info === SIMPLE_FALSE || info === SIMPLE_TRUE) return this.bool();
    const value = this.float();
    if (Number.isSafeInteger(value)) this.fail("CBOR_NONCANONICAL");
    return value;
  }

  /** Elements of an array or pairs of a map; more than could fit in the input is refused before anyone loops on it. */
  count(major: number, max: number): number {
    if (!this.head()) return 0;
    if (this.major !== major) this.fail("CBOR_TYPE");
    const count = this.argument ?? Number.POSITIVE_INFINITY;
    const bytesEach = major === MAJOR.map ? 2 : 1;
    if (count * bytesEach > this.remaining) this.fail("CBOR_TRUNCATED");
    else if (count > max) this.fail("CBOR_RANGE");
    return this.ok ? count : 0;
  }

  /** Next key of a map; -1 on error. `previous` is the key before it, -1 at first. */
  key(previous: number): number {
    if (!this.head()) return -1;
    if (this.major !== MAJOR.uint) this.fail("CBOR_TYPE");
    else if (this.high > 0 || this.low > 255) this.fail("CBOR_RANGE");
    else if (this.low <= previous) this.fail("CBOR_KEY_ORDER");
    return this.ok ? this.low : -1;
  }

  /** Skips the value of an unknown key: any well-formed item without tags, nested no deeper than the limit. */
  skip(depth = 1): void {
    if (depth > LIMITS.CBOR_SKIP_DEPTH_MAX) return this.fail("CBOR_DEPTH");
    if (!this.head()) return;
    const count = this.argument ?? Number.POSITIVE_INFINITY;
    if (this.major === MAJOR.bytes || this.major === MAJOR.text) {
      if (count > this.remaining) this.fail("CBOR_TRUNCATED");
      else this.at += count;
    } else if (this.major === MAJOR.array || this.major === MAJOR.map) {
      const items = this.major === MAJOR.map ? count * 2 : count;
      if (items > this.remaining) return this.fail("CBOR_TRUNCATED");
      for (let index = 0; index < items && this.ok; index += 1) this.skip(depth + 1);
    } else if (this.major === MAJOR.tag) this.fail("CBOR_TYPE");
    else if (this.major === MAJOR.simple) this.#skipSimple();
  }

  #skipSimple(): void {
    if (this.info === INFO_BINARY32 || this.info === INFO_BINARY64) this.#float();
    else if (this.info === INFO_BINARY16) this.fail("CBOR_NONCANONICAL");
    else if (this.info < SIMPLE_FALSE || this.info > SIMPLE_NULL) this.fail("CBOR_TYPE");
  }
}

/** Writes into a buffer of fixed size; beyond it `MESSAGE_OVERSIZE` is thrown. */
export class Writer {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #view: DataView;
  at = 0;

  constructor(capacity: number) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  reset(): void {
    this.at = 0;
  }

  /** A copy of what was written. */
  take(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.at);
  }

  #room(length: number): number {
    const at = this.at;
    if (at + length > this.#bytes.length) {
      throw new TardigradeError(
        "MESSAGE_OVERSIZE",
        `The message is longer than ${this.#bytes.length} bytes; send less in it.`,
      );
    }
    this.at = at + length;
    return at;
  }

  head(major: number, argument: number): void {
    const top = major << 5;
    if (argument < 24) this.#view.setUint8(this.#room(1), top | argument);
    else if (argument <= 0xff) this.#view.setUint16(this.#room(2), ((top | 24) << 8) | argument);
    else if (argument <= 0xffff) {
      const at = this.#room(3);
      this.#view.setUint8(at, top | 25);
      this.#view.setUint16(at + 1, argument);
    } else if (argument <= 0xffff_ffff) {
      const at = this.#room(5);
      this.#view.setUint8(at, top | 26);
      this.#view.setUint32(at + 1, argument);
    } else {
      const at = this.#room(9);
      this.#view.setUint8(at, top | 27);
      this.#view.setUint32(at + 1, Math.floor(argument / 2 ** 32));
      this.#view.setUint32(at + 5, argument >>> 0);
    }
  }

  u64(value: bigint): void {
    if (value <= 0xffff_ffffn) return this.head(MAJOR.uint, Number(value));
    const at = this.#room(9);
    this.#view.setUint8(at, (MAJOR.uint << 5) | 27);
    this.#view.setBigUint64(at + 1, value);
  }

  int(value: number): void {
    if (value < 0) this.head(MAJOR.nint, -1 - value);
    else this.head(MAJOR.uint, value);
  }

  bool(value: boolean): void {
    this.head(MAJOR.simple, value ? SIMPLE_TRUE : SIMPLE_FALSE);
  }

  float(value: number): void {
    const binary32 = Math.fround(value) === value || Number.isNaN(value);
    const at = this.#room(binary32 ? 5 : 9);
    this.#view.setUint8(at, (MAJOR.simple << 5) | (binary32 ? INFO_BINARY32 : INFO_BINARY64));
    if (Number.isNaN(value)) this.#view.setUint32(at + 1, NAN_BINARY32);
    else if (binary32) this.#view.setFloat32(at + 1, value);
    else this.#view.setFloat64(at + 1, value);
  }

  bytes(value: Uint8Array): void {
    this.head(MAJOR.bytes, value.length);
    this.#bytes.set(value, this.#room(value.length));
  }

  text(value: string): void {
    const utf8 = encoder.encode(value);
    this.head(MAJOR.text, utf8.length);
    this.#bytes.set(utf8, this.#room(utf8.length));
  }

  value(value: boolean | number | string): void {
    if (typeof value === "boolean") this.bool(value);
    else if (typeof value === "string") this.text(value);
    else if (Number.isSafeInteger(value)) this.int(value === 0 ? 0 : value);
    else this.float(value);
  }
}
