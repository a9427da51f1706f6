/**
 * What the gateway writes to its segment log: one fixed head, then a body that depends on the type. A device's message is
 * kept as the bytes that came, so nothing is lost in a translation and writing it costs a copy.
 *
 * ```
 *   byte 0    1     2        3     4..11    12..19    20..        then
 *       +----+-----+--------+-----+--------+---------+-----------+------ ... ---+
 *       | 1  |type |id bytes|  0  | stamp  | wallMs  | device id | body         |   little-endian
 *       +----+-----+--------+-----+--------+---------+-----------+------ ... ---+
 *   message, desired, command, commandEnd   body = CBOR message of protocols/
 *   hello   body = boot u32, seq u32 (the watermark after it), flags u8, gaps u8, gaps x gap, CBOR
 *   gap     body = boot, from, toBoot, to u32, reason u8
 *   alert   body = JSON
 * ```
 */
import { TardigradeError } from "../../protocols/error.ts";
import { decodeMessage, encodeMessage } from "../../protocols/message.ts";
import type { Command, CommandResult, Hello, Message, Shadow } from "../../protocols/messages.generated.ts";
import type { AlertView } from "./service.ts";

export const RECORD_VERSION = 1;

export const GAP_REASONS = ["power-cut", "missing", "adopted", "drop-overlap", "elsewhere"] as const;
export type GapReason = (typeof GAP_REASONS)[number];

/** Messages that this gateway never stored: from `from` of `boot` up to `to` of `toBoot`, all of the boots between included. */
export interface Gap {
  readonly boot: number;
  readonly from: number;
  readonly toBoot: number;
  readonly to: number;
  readonly reason: GapReason;
}

/** What a record says beside whom and when. */
export type RecordBody =
  | { readonly type: "message"; readonly message: Message }
  | {
      readonly type: "hello";
      readonly hello: Hello;
      /** The watermark from which the device goes on. */
      readonly boot: number;
      readonly seq: number;
      /** The device's boot counter went back: its journal was erased, so it counts as a new device under the old name. */
      readonly replaced: boolean;
      readonly gaps: readonly Gap[];
    }
  | { readonly type: "gap"; readonly gap: Gap }
  | { readonly type: "desired"; readonly shadow: Shadow }
  | { readonly type: "command"; readonly command: Command }
  | { readonly type: "commandEnd"; readonly result: CommandResult }
  | { readonly type: "alert"; readonly alert: AlertView };

export interface LogRecord {
  /** Empty for what concerns the gateway itself. */
  readonly device: string;
  /** Hybrid logical clock. */
  readonly stamp: bigint;
  /** When it was received, by the gateway's wall clock. */
  readonly wallMs: number;
  readonly body: RecordBody;
}

/** Whose hybrid logical clock says when something was, for people and programs: as decimal text, since JSON has no 64 bits. */
export interface ShownStamp {
  readonly hlc: string;
  readonly hlcFrom: "device" | "gateway";
}

/**
 * A device's own stamp where it counts, which orders what several devices did while they were cut off; else the one of the record. One that was refused as
 * too far ahead is above the record's, and only such a one is: the record's is given after the device's was taken in.
 */
export function shownStamp(own: bigint | undefined, ofRecord: bigint): ShownStamp {
  return own !== undefined && own < ofRecord
    ? { hlc: String(own), hlcFrom: "device" }
    : { hlc: String(ofRecord), hlcFrom: "gateway" };
}

const TYPES = ["", "message", "hello", "gap", "desired", "command", "commandEnd", "alert"] as const;
const HEAD_BYTES = 20;
const GAP_BYTES = 17;
const HELLO_BYTES = 10;
/** Gaps one hello can tell of: what a power cut took, and what is missing before the oldest message. */
export const HELLO_GAPS_MAX = 2;

const encoder = new TextEncoder();
const decoder = new TextDecoder("utf-8", { fatal: true });

/** `raw` is the message as it came, where there is one; else the body's message is encoded. */
export function encodeRecord(record: LogRecord, raw?: Uint8Array): Uint8Array<ArrayBuffer> {
  const { device, body } = record;
  const tail = raw ?? tailOf(body);
  const fixed = fixedBytes(body);
  const bytes = new Uint8Array(HEAD_BYTES + device.length + fixed + tail.length);
  const view = new DataView(bytes.buffer);
  bytes[0] = RECORD_VERSION;
  bytes[1] = TYPES.indexOf(body.type);
  bytes[2] = device.length;
  view.setBigUint64(4, record.stamp, true);
  view.setFloat64(12, record.wallMs, true);
  // A device id is ASCII by its pattern.
  for (let at = 0; at < device.length; at += 1) bytes[HEAD_BYTES + at] = device.charCodeAt(at);
  const at = HEAD_BYTES + device.length;
  if (body.type === "hello") writeHello(view, at, body);
  else if (body.type === "gap") writeGap(view, at, body.gap);
  bytes.set(tail, at + fixed);
  return bytes;
}

function fixedBytes(body: RecordBody): number {
  if (body.type === "hello") return HELLO_BYTES + body.gaps.length * GAP_BYTES;
  return body.type === "gap" ? GAP_BYTES : 0;
}

function tailOf(body: RecordBody): Uint8Array {
  switch (body.type) {
    case "message":
      return encodeMessage(body.message);
    case "hello":
      return encodeMessage(body.hello);
    case "gap":
      return new Uint8Array(0);
    case "desired":
      return encodeMessage(body.shadow);
    case "command":
      return encodeMessage(body.command);
    case "commandEnd":
      return encodeMessage(body.result);
    case "alert":
      return encoder.encode(JSON.stringify(body.alert));
  }
}

function writeHello(view: DataView, at: number, body: Extract<RecordBody, { type: "hello" }>): void {
  view.setUint32(at, body.boot, true);
  view.setUint32(at + 4, body.seq, true);
  view.setUint8(at + 8, body.replaced ? 1 : 0);
  view.setUint8(at + 9, body.gaps.length);
  body.gaps.forEach((gap, index) => {
    writeGap(view, at + HELLO_BYTES + index * GAP_BYTES, gap);
  });
}

function writeGap(view: DataView, at: number, gap: Gap): void {
  view.setUint32(at, gap.boot, true);
  view.setUint32(at + 4, gap.from, true);
  view.setUint32(at + 8, gap.toBoot, true);
  view.setUint32(at + 12, gap.to, true);
  view.setUint8(at + 16, GAP_REASONS.indexOf(gap.reason));
}

function readGap(view: DataView, at: number): Gap {
  return {
    boot: view.getUint32(at, true),
    from: view.getUint32(at + 4, true),
    toBoot: view.getUint32(at + 8, true),
    to: view.getUint32(at + 12, true),
    reason: GAP_REASONS[view.getUint8(at + 16)] ?? "missing",
  };
}

/** Throws FORMAT_VERSION for a record of another version, LOG_CORRUPT for one whose checksum held but whose content does not. */
export function decodeRecord(bytes: Uint8Array): LogRecord {
  if (bytes[0] !== RECORD_VERSION) {
    throw new TardigradeError(
      "FORMAT_VERSION",
      `A log record has version ${bytes[0]}, this program reads ${RECORD_VERSION}; start the version that wrote it.`,
    );
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  try {
    const idBytes = view.getUint8(2);
    const at = HEAD_BYTES + idBytes;
    return {
      device: decoder.decode(bytes.subarray(HEAD_BYTES, at)),
      stamp: view.getBigUint64(4, true),
      wallMs: view.getFloat64(12, true),
      body: readBody(bytes, view, at),
    };
  } catch (cause) {
    throw new TardigradeError(
      "LOG_CORRUPT",
      "A record of the log does not parse although its checksum holds; report it with the log.",
      { cause, context: { component: "record", type: bytes[1] } },
    );
  }
}

function readBody(bytes: Uint8Array, view: DataView, at: number): RecordBody {
  const type = TYPES[view.getUint8(1)];
  switch (type) {
    case "message":
      return { type, message: readMessage(bytes.subarray(at)) };
    case "hello": {
      const count = view.getUint8(at + 9);
      const gaps: Gap[] = [];
      for (let index = 0; index < count; index += 1)
        gaps.push(readGap(view, at + HELLO_BYTES + index * GAP_BYTES));
      return {
        type,
        boot: view.getUint32(at, true),
        seq: view.getUint32(at + 4, true),
        replaced: view.getUint8(at + 8) === 1,
        gaps,
        hello: only(readMessage(bytes.subarray(at + HELLO_BYTES + count * GAP_BYTES)), "hello"),
      };
    }
    case "gap":
      return { type, gap: readGap(view, at) };
    case "desired":
      return { type, shadow: only(readMessage(bytes.subarray(at)), "shadow") };
    case "command":
      return { type, command: only(readMessage(bytes.subarray(at)), "command") };
    case "commandEnd":
      return { type, result: only(readMessage(bytes.subarray(at)), "commandResult") };
    case "alert":
      return { type, alert: JSON.parse(decoder.decode(bytes.subarray(at))) as AlertView };
    default:
      throw new RangeError(`Record type ${bytes[1]}.`);
  }
}

function readMessage(bytes: Uint8Array): Message {
  const decoded = decodeMessage(bytes);
  if (!decoded.ok) throw new RangeError(`${decoded.code} at byte ${decoded.at}.`);
  return decoded.message;
}

function only<K extends Message["kind"]>(message: Message, kind: K): Extract<Message, { kind: K }> {
  if (message.kind !== kind) throw new RangeError(`A ${message.kind} where a ${kind} belongs.`);
  return message as Extract<Message, { kind: K }>;
}
