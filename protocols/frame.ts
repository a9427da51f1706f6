/**
 * Frames on a byte stream: COBS (Cheshire and Baker, "Consistent Overhead Byte Stuffing", 1999) around a header, a payload
 * and a CRC-32, ended by a zero byte, so a reader that joins in the middle is in step at the next zero.
 *
 * ```
 *   byte  0     1..4      5..8      9..           last 4
 *        +-----+---------+---------+---- ... ----+---------+
 *        |ver  | session | number  | payload     | CRC-32  |   little-endian, before COBS
 *        |type | u32     | u32     | 0..1280     | u32     |
 *        +-----+---------+---------+---- ... ----+---------+
 *         high nibble: version 1; low nibble: 0 data, 1 control
 * ```
 * Data frames are numbered from 1 in their session; control frames carry number 0 and are outside the window.
 */
import { crc32 } from "./crc.ts";
import { TardigradeError } from "./error.ts";
import { type ErrorCode, LIMITS } from "./table.ts";

export const FRAME_VERSION = 1;

export interface Frame {
  readonly type: "data" | "control";
  readonly session: number;
  readonly number: number;
  readonly payload: Uint8Array;
}

export type FrameResult =
  | { readonly ok: true; readonly frame: Frame }
  | { readonly ok: false; readonly code: ErrorCode };

const CRC_BYTES = LIMITS.FRAME_CRC_BYTES;
const HEADER_BYTES = LIMITS.FRAME_HEADER_BYTES;

/** Bytes for the wire, delimiter included. Throws MESSAGE_OVERSIZE for a payload above the limit. */
export function encodeFrame(frame: Frame): Uint8Array<ArrayBuffer> {
  if (frame.payload.length > LIMITS.MESSAGE_BYTES_MAX) {
    throw new TardigradeError(
      "MESSAGE_OVERSIZE",
      `A frame carries at most ${LIMITS.MESSAGE_BYTES_MAX} bytes.`,
    );
  }
  const raw = new Uint8Array(HEADER_BYTES + frame.payload.length + CRC_BYTES);
  const view = new DataView(raw.buffer);
  raw[0] = (FRAME_VERSION << 4) | (frame.type === "control" ? 1 : 0);
  view.setUint32(1, frame.session, true);
  view.setUint32(5, frame.number, true);
  raw.set(frame.payload, HEADER_BYTES);
  view.setUint32(raw.length - CRC_BYTES, crc32(raw.subarray(0, raw.length - CRC_BYTES)), true);
  return cobsEncode(raw);
}

/** Decodes what stood between two delimiters. */
export function decodeFrame(encoded: Uint8Array): FrameResult {
  if (encoded.length >= LIMITS.FRAME_ENCODED_BYTES_MAX) return { ok: false, code: "FRAME_OVERSIZE" };
  const raw = cobsDecode(encoded);
  if (raw === undefined) return { ok: false, code: "FRAME_COBS" };
  if (raw.length < HEADER_BYTES + CRC_BYTES) return { ok: false, code: "FRAME_SHORT" };
  if (raw.length > LIMITS.FRAME_BYTES_MAX) return { ok: false, code: "FRAME_OVERSIZE" };
  const view = new DataView(raw.buffer, raw.byteOffset, raw.length);
  const end = raw.length - CRC_BYTES;
  if (crc32(raw.subarray(0, end)) !== view.getUint32(end, true)) return { ok: false, code: "FRAME_CRC" };
  const head = raw[0] as number;
  if (head >> 4 !== FRAME_VERSION || (head & 15) > 1) return { ok: false, code: "FRAME_TYPE" };
  const frame: Frame = {
    type: (head & 15) === 1 ? "control" : "data",
    session: view.getUint32(1, true),
    number: view.getUint32(5, true),
    payload: raw.subarray(HEADER_BYTES, end),
  };
  return { ok: true, frame };
}

/** With the closing zero. */
export function cobsEncode(raw: Uint8Array): Uint8Array<ArrayBuffer> {
  const out = new Uint8Array(raw.length + Math.floor(raw.length / 254) + 2);
  let codeAt = 0;
  let at = 1;
  let code = 1;
  for (const byte of raw) {
    if (code === 0xff) {
      out[codeAt] = code;
      codeAt = at;
      at += 1;
      code = 1;
    }
    if (byte === 0) {
      out[codeAt] = code;
      codeAt = at;
      at += 1;
      code = 1;
    } else {
      out[at] = byte;
      at += 1;
      code += 1;
    }
  }
  out[codeAt] = code;
  out[at] = 0;
  return out.slice(0, at + 1);
}

/** Without the closing zero; undefined when it is not COBS. */
export function cobsDecode(encoded: Uint8Array): Uint8Array<ArrayBuffer> | undefined {
  const out = new Uint8Array(encoded.length);
  let length = 0;
  let at = 0;
  while (at < encoded.length) {
    const code = encoded[at] as number;
    const end = at + code;
    if (code === 0 || end > encoded.length) return undefined;
    for (at += 1; at < end; at += 1) {
      const byte = encoded[at] as number;
      if (byte === 0) return undefined;
      out[length] = byte;
      length += 1;
    }
    if (code < 0xff && at < encoded.length) {
      out[length] = 0;
      length += 1;
    }
  }
  return out.subarray(0, length);
}

/** Cuts a stream at its zeros. Holds at most one frame; what is longer is skipped up to the next zero and reported once. */
export class FrameReader {
  readonly #buffer = new Uint8Array(LIMITS.FRAME_ENCODED_BYTES_MAX);
  #length = 0;
  #skipping = false;

  /** Calls `onFrame` for each frame or error in the bytes. Empty frames (zeros in a row) are idle line, not errors. */
  push(bytes: Uint8Array, onFrame: (result: FrameResult) => void): void {
    for (const byte of bytes) {
      if (byte === 0) this.#end(onFrame);
      else if (this.#length < this.#buffer.length) {
        this.#buffer[this.#length] = byte;
        this.#length += 1;
      } else this.#skipping = true;
    }
  }

  #end(onFrame: (result: FrameResult) => void): void {
    const length = this.#length;
    const skipping = this.#skipping;
    this.#length = 0;
    this.#skipping = false;
    if (skipping) onFrame({ ok: false, code: "FRAME_OVERSIZE" });
    else if (length > 0) onFrame(decodeFrame(this.#buffer.subarray(0, length)));
  }
}
