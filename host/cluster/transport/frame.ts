/**
 * What travels on a connection between two nodes. All numbers are little-endian.
 *
 *   frame    +0 body bytes u32   +4 CRC-32 of the body u32   +8 body
 *   hello    +0 magic u32   +4 version u16   +6 zero u16   +8 cluster id u64   +16 from u32   +20 to u32
 *   answer   +0 magic u32   +4 version u16   +6 code u16 (0 welcome, else the number of the error that refuses)   +8 node id u32
 *
 * The node that dialled sends a hello, gets an answer, and then sends messages; the other side sends nothing after its answer. Magic
 * and version stay where they are in all versions to come: another version is told by its number, and refused.
 *
 * A message is not numbered: TCP keeps their order, and a connection that breaks loses what was under way.
 */
import { crc32 } from "../../../protocols/crc.ts";
import type { ErrorCode } from "../../../protocols/table.ts";
import { putU32, u32At } from "../bytes.ts";

export const FRAME_HEADER_BYTES = 8;
export const PEER_PROTOCOL_VERSION = 1;
/** A hello or an answer of any version; those of this one are shorter. */
export const GREETING_BYTES_MAX = 256;

const HELLO_BYTES = 24;
const ANSWER_BYTES = 12;
/** Magic and version. */
const GREETING_BYTES_MIN = 6;
/** "TPR1" */
const MAGIC = 0x3152_5054;
/** Of a frame that is not whole yet; grows with what arrives, not with what a header claims. */
const HELD_BYTES_MIN = 1024;
/** Larger memory is given back when its frame is read. */
const HELD_BYTES_KEPT = 256 * 1024;

export interface Hello {
  readonly version: number;
  readonly clusterId: bigint;
  readonly from: number;
  readonly to: number;
}

export interface Answer {
  readonly version: number;
  /** Number of an error; 0 for a welcome. */
  readonly code: number;
  readonly nodeId: number;
}

/** Writes a frame, for which there must be room, and returns the position after it. */
export function putFrame(target: Uint8Array, at: number, body: Uint8Array): number {
  putU32(target, at, body.length);
  putU32(target, at + 4, crc32(body));
  target.set(body, at + FRAME_HEADER_BYTES);
  return at + FRAME_HEADER_BYTES + body.length;
}

/** A hello as a frame. */
export function encodeHello(hello: Omit<Hello, "version">): Uint8Array<ArrayBuffer> {
  const body = new Uint8Array(HELLO_BYTES);
  const view = viewOf(body);
  view.setUint32(0, MAGIC, true);
  view.setUint16(4, PEER_PROTOCOL_VERSION, true);
  view.setBigUint64(8, hello.clusterId, true);
  view.setUint32(16, hello.from, true);
  view.setUint32(20, hello.to, true);
  return framed(body);
}

/** Undefined where the body is none. Of another version nothing but the version is read. */
export function decodeHello(body: Uint8Array): Hello | undefined {
  const version = versionOf(body, HELLO_BYTES);
  if (version === undefined) return undefined;
  if (version !== PEER_PROTOCOL_VERSION) return { version, clusterId: 0n, from: 0, to: 0 };
  const view = viewOf(body);
  return {
    version,
    clusterId: view.getBigUint64(8, true),
    from: view.getUint32(16, true),
    to: view.getUint32(20, true),
  };
}

/** An answer as a frame. */
export function encodeAnswer(answer: Omit<Answer, "version">): Uint8Array<ArrayBuffer> {
  const body = new Uint8Array(ANSWER_BYTES);
  const view = viewOf(body);
  view.setUint32(0, MAGIC, true);
  view.setUint16(4, PEER_PROTOCOL_VERSION, true);
  view.setUint16(6, answer.code, true);
  view.setUint32(8, answer.nodeId, true);
  return framed(body);
}

export function decodeAnswer(body: Uint8Array): Answer | undefined {
  const version = versionOf(body, ANSWER_BYTES);
  if (version === undefined) return undefined;
  if (version !== PEER_PROTOCOL_VERSION) return { version, code: 0, nodeId: 0 };
  const view = viewOf(body);
  return { version, code: view.getUint16(6, true), nodeId: view.getUint32(8, true) };
}

/** Cuts a stream of bytes, in whatever chunks they come, into frames. */
export class FrameReader {
  /** Of the next frame; a peer that has not said hello is trusted with little. */
  bodyBytesMax: number;
  readonly #onFrame: (body: Uint8Array) => void;
  #held = new Uint8Array(0);
  #heldBytes = 0;
  #stopped = false;

  /** `onFrame` gets a view that is good during the call; it may stop the reader. */
  constructor(options: { readonly bodyBytesMax: number; readonly onFrame: (body: Uint8Array) => void }) {
    this.bodyBytesMax = options.bodyBytesMax;
    this.#onFrame = options.onFrame;
  }

  /** Returns what is wrong with the bytes; nothing is read after that. */
  push(chunk: Uint8Array): ErrorCode | undefined {
    let at = 0;
    while (!this.#stopped && at < chunk.length) {
      const code = this.#heldBytes === 0 ? this.#wholeFrame(chunk, at) : this.#complete(chunk, at);
      if (typeof code === "string") {
        this.stop();
        return code;
      }
      at = code;
    }
    return undefined;
  }

  /** Nothing is told any more, whatever is pushed. */
  stop(): void {
    this.#stopped = true;
    this.#held = new Uint8Array(0);
    this.#heldBytes = 0;
  }

  /** Takes a frame that lies whole in the chunk, without a copy, else keeps what there is; returns where to go on. */
  #wholeFrame(chunk: Uint8Array, at: number): number | ErrorCode {
    const rest = chunk.length - at;
    let frameBytes = FRAME_HEADER_BYTES;
    if (rest >= FRAME_HEADER_BYTES) {
      if (this.#isOversize(u32At(chunk, at))) return "FRAME_OVERSIZE";
      frameBytes += u32At(chunk, at);
      if (rest >= frameBytes)
        return this.#take(chunk.subarray(at, at + frameBytes)) ? at + frameBytes : "FRAME_CRC";
    }
    this.#hold(chunk.subarray(at), frameBytes);
    return chunk.length;
  }

  /** Goes on with the frame that is held; returns where the chunk goes on behind it. */
  #complete(chunk: Uint8Array, from: number): number | ErrorCode {
    let at = from;
    if (this.#heldBytes < FRAME_HEADER_BYTES) {
      at = this.#holdUpTo(FRAME_HEADER_BYTES, chunk, at);
      if (this.#heldBytes < FRAME_HEADER_BYTES) return at;
      if (this.#isOversize(u32At(this.#held, 0))) return "FRAME_OVERSIZE";
    }
    const frameBytes = FRAME_HEADER_BYTES + u32At(this.#held, 0);
    at = this.#holdUpTo(frameBytes, chunk, at);
    if (this.#heldBytes < frameBytes) return at;
    const frame = this.#held.subarray(0, frameBytes);
    this.#heldBytes = 0;
    if (this.#held.length > HELD_BYTES_KEPT) this.#held = new Uint8Array(0);
    return this.#take(frame) ? at : "FRAME_CRC";
  }

  #isOversize(bodyBytes: number): boolean {
    return bodyBytes === 0 || bodyBytes > this.bodyBytesMax;
  }

  #take(frame: Uint8Array): boolean {
    const body = frame.subarray(FRAME_HEADER_BYTES);
    if (crc32(body) !== u32At(frame, 4)) return false;
    this.#onFrame(body);
    return true;
  }

  #holdUpTo(bytes: number, chunk: Uint8Array, at: number): number {
    const end = Math.min(at + bytes - this.#heldBytes, chunk.length);
    this.#hold(chunk.subarray(at, end), bytes);
    return end;
  }

  #hold(bytes: Uint8Array, wanted: number): void {
    const needs = this.#heldBytes + bytes.length;
    if (needs > this.#held.length) {
      const room = Math.min(
        Math.max(this.#held.length * 2, HELD_BYTES_MIN),
        Math.max(wanted, HELD_BYTES_MIN),
      );
      const grown = new Uint8Array(Math.max(room, needs));
      grown.set(this.#held.subarray(0, this.#heldBytes));
      this.#held = grown;
    }
    this.#held.set(bytes, this.#heldBytes);
    this.#heldBytes = needs;
  }
}

function framed(body: Uint8Array): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(FRAME_HEADER_BYTES + body.length);
  putFrame(frame, 0, body);
  return frame;
}

/** Of a hello or an answer, which in this version has `bytes` bytes; undefined where it is none. */
function versionOf(body: Uint8Array, bytes: number): number | undefined {
  if (body.length < GREETING_BYTES_MIN || u32At(body, 0) !== MAGIC) return undefined;
  const version = viewOf(body).getUint16(4, true);
  return version === PEER_PROTOCOL_VERSION && body.length !== bytes ? undefined : version;
}

function viewOf(body: Uint8Array): DataView {
  return new DataView(body.buffer, body.byteOffset, body.length);
}
