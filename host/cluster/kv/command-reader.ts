/**
 * Reads commands (drawn in command.ts) without making an object for each: one reader holds the fields of the last command that it read.
 * Bytes come from other machines and are checked here; what is wrong with them is a code, because all replicas have to agree on it.
 */
import { BEYOND_U53, u16At, u32At, u53At } from "../bytes.ts";
import {
  COMMAND_VERSION,
  CONDITION_NONE,
  CONDITION_REVISION,
  CONDITION_VALUE,
  DELETE_BYTES,
  HEAD_BYTES,
  type KvCommand,
  type KvCondition,
  type KvSession,
  PUT_BYTES,
  RANGE_BYTES,
} from "./command.ts";
import { KEY_BYTES_MAX, LEASE_TTL_MS_MAX, TIME_MS_MAX, VALUE_BYTES_MAX } from "./limits.ts";
import { KV_CODES, KV_OPS, type KvCode, OP_MAX } from "./result.ts";

const { OK, MALFORMED, UNSUPPORTED, KEY_INVALID, VALUE_OVERSIZE } = KV_CODES;
/** A byte order mark is a character of a key like any other. */
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
/** Shorter keys of ASCII are read by hand, which is quicker than a call into the engine. */
const BY_HAND_BYTES_MAX = 48;

export class CommandReader {
  op = 0;
  session = 0;
  sequence = 0;
  acknowledgedBelow = 0;
  condition = CONDITION_NONE;
  /** Revision of a condition. */
  revision = 0;
  /** Key, or the beginning of a range. */
  key = "";
  /** End of a range. */
  to = "";
  lease = 0;
  /** Limit of a range, ms of a lease's life or of a tick. */
  number = 0;
  /** The command's bytes, in which value and expected value stand. */
  bytes: Uint8Array = new Uint8Array(0);
  valueAt = 0;
  valueBytes = 0;
  expectedAt = 0;
  expectedBytes = 0;

  /** The number of a code; the fields hold only after OK. `op` is what the bytes say, or 0. */
  read(bytes: Uint8Array): number {
    this.bytes = bytes;
    this.op = 0;
    if (bytes.length < HEAD_BYTES) return MALFORMED;
    if (bytes[0] !== COMMAND_VERSION) return UNSUPPORTED;
    const op = bytes[1] as number;
    if (op === KV_OPS.none || op > OP_MAX) return UNSUPPORTED;
    this.op = op;
    this.condition = u16At(bytes, 2);
    if (this.condition > (op <= KV_OPS.delete ? CONDITION_VALUE : CONDITION_NONE)) return MALFORMED;
    if (!this.#session(bytes, op)) return MALFORMED;
    switch (op) {
      case KV_OPS.put:
        return this.#put(bytes);
      case KV_OPS.delete:
        return this.#delete(bytes);
      case KV_OPS["delete-range"]:
        return this.#range(bytes);
      case KV_OPS["lease-grant"]:
        if (bytes.length !== HEAD_BYTES + 4) return MALFORMED;
        this.number = u32At(bytes, HEAD_BYTES);
        return this.number >= 1 && this.number <= LEASE_TTL_MS_MAX ? OK : MALFORMED;
      case KV_OPS["lease-keep-alive"]:
      case KV_OPS["lease-revoke"]:
        if (bytes.length !== HEAD_BYTES + 8) return MALFORMED;
        this.lease = u53At(bytes, HEAD_BYTES);
        return this.lease >= 1 ? OK : MALFORMED;
      case KV_OPS.tick:
        if (bytes.length !== HEAD_BYTES + 8) return MALFORMED;
        this.number = u53At(bytes, HEAD_BYTES);
        return this.number === BEYOND_U53 || this.number > TIME_MS_MAX ? MALFORMED : OK;
      default:
        return bytes.length === HEAD_BYTES ? OK : MALFORMED;
    }
  }

  #session(bytes: Uint8Array, op: number): boolean {
    const session = u53At(bytes, 4);
    const sequence = u32At(bytes, 12);
    const acknowledgedBelow = u32At(bytes, 16);
    this.session = session;
    this.sequence = sequence;
    this.acknowledgedBelow = acknowledgedBelow;
    if (session === BEYOND_U53) return false;
    const close = op === KV_OPS["session-close"];
    if (session === 0 || close) return close === session > 0 && sequence === 0 && acknowledgedBelow === 0;
    if (op === KV_OPS["session-open"] || op === KV_OPS.tick) return false;
    return sequence >= 1 && acknowledgedBelow <= sequence;
  }

  #put(bytes: Uint8Array): number {
    if (bytes.length < PUT_BYTES) return MALFORMED;
    this.lease = u53At(bytes, 20);
    const keyBytes = u16At(bytes, 36);
    this.valueBytes = u32At(bytes, 42);
    if (this.lease === BEYOND_U53 || !this.#condition(bytes, { revisionAt: 28, expectedBytesAt: 38 }))
      return MALFORMED;
    this.expectedAt = PUT_BYTES + keyBytes;
    this.valueAt = this.expectedAt + this.expectedBytes;
    if (bytes.length !== this.valueAt + this.valueBytes) return MALFORMED;
    if (this.valueBytes > VALUE_BYTES_MAX || this.expectedBytes > VALUE_BYTES_MAX) return VALUE_OVERSIZE;
    return this.#key(bytes, PUT_BYTES, keyBytes);
  }

  #delete(bytes: Uint8Array): number {
    if (bytes.length < DELETE_BYTES) return MALFORMED;
    const keyBytes = u16At(bytes, 28);
    if (!this.#condition(bytes, { revisionAt: 20, expectedBytesAt: 30 })) return MALFORMED;
    this.expectedAt = DELETE_BYTES + keyBytes;
    if (bytes.length !== this.expectedAt + this.expectedBytes) return MALFORMED;
    if (this.expectedBytes > VALUE_BYTES_MAX) return VALUE_OVERSIZE;
    return this.#key(bytes, DELETE_BYTES, keyBytes);
  }

  #condition(
    bytes: Uint8Array,
    place: { readonly revisionAt: number; readonly expectedBytesAt: number },
  ): boolean {
    this.revision = u53At(bytes, place.revisionAt);
    this.expectedBytes = u32At(bytes, place.expectedBytesAt);
    if (this.condition !== CONDITION_REVISION && this.revision !== 0) return false;
    if (this.condition !== CONDITION_VALUE && this.expectedBytes !== 0) return false;
    return this.revision !== BEYOND_U53;
  }

  #key(bytes: Uint8Array, at: number, keyBytes: number): number {
    if (keyBytes === 0 || keyBytes > KEY_BYTES_MAX) return KEY_INVALID;
    const key = textAt(bytes, at, keyBytes);
    if (key === undefined) return KEY_INVALID;
    this.key = key;
    return OK;
  }

  #range(bytes: Uint8Array): number {
    if (bytes.length < RANGE_BYTES) return MALFORMED;
    this.number = u32At(bytes, 20);
    const fromBytes = u16At(bytes, 24);
    const toBytes = u16At(bytes, 26);
    if (bytes.length !== RANGE_BYTES + fromBytes + toBytes) return MALFORMED;
    if (fromBytes > KEY_BYTES_MAX || toBytes > KEY_BYTES_MAX) return KEY_INVALID;
    const from = textAt(bytes, RANGE_BYTES, fromBytes);
    const to = textAt(bytes, RANGE_BYTES + fromBytes, toBytes);
    if (from === undefined || to === undefined) return KEY_INVALID;
    this.key = from;
    this.to = to;
    return OK;
  }
}

/** Undefined when it is not UTF-8. */
function textAt(bytes: Uint8Array, at: number, length: number): string | undefined {
  if (length <= BY_HAND_BYTES_MAX) {
    let text = "";
    let index = at;
    const end = at + length;
    for (; index < end; index += 1) {
      const byte = bytes[index] as number;
      if (byte >= 0x80) break;
      text += String.fromCharCode(byte);
    }
    if (index === end) return text;
  }
  try {
    return utf8.decode(bytes.subarray(at, at + length));
  } catch {
    return undefined;
  }
}

export type DecodedCommand =
  | { readonly ok: true; readonly command: KvCommand; readonly session: KvSession | undefined }
  | { readonly ok: false; readonly code: KvCode };

/** A command as an object, for people and tools; what encodeCommand() takes. */
export function decodeCommand(bytes: Uint8Array): DecodedCommand {
  const reader = new CommandReader();
  const code = reader.read(bytes);
  if (code !== OK) {
    const name = Object.entries(KV_CODES).find(([, number]) => number === code)?.[0] as KvCode;
    return { ok: false, code: name };
  }
  const { session: id, sequence, acknowledgedBelow } = reader;
  return {
    ok: true,
    command: commandOf(reader),
    session: id === 0 ? undefined : { id, sequence, acknowledgedBelow },
  };
}

function commandOf(reader: CommandReader): KvCommand {
  const { key, to, lease, number } = reader;
  switch (reader.op) {
    case KV_OPS.put: {
      const value = reader.bytes.slice(reader.valueAt, reader.valueAt + reader.valueBytes);
      return { op: "put", key, value, ...(lease === 0 ? {} : { lease }), ...conditionOf(reader) };
    }
    case KV_OPS.delete:
      return { op: "delete", key, ...conditionOf(reader) };
    case KV_OPS["delete-range"]:
      return { op: "delete-range", from: key, to, ...(number === 0 ? {} : { limit: number }) };
    case KV_OPS["lease-grant"]:
      return { op: "lease-grant", ttlMs: number };
    case KV_OPS["lease-keep-alive"]:
      return { op: "lease-keep-alive", lease };
    case KV_OPS["lease-revoke"]:
      return { op: "lease-revoke", lease };
    case KV_OPS.tick:
      return { op: "tick", timeMs: number };
    case KV_OPS["session-open"]:
      return { op: "session-open" };
    default:
      return { op: "session-close" };
  }
}

function conditionOf(reader: CommandReader): { readonly when?: KvCondition } {
  if (reader.condition === CONDITION_NONE) return {};
  if (reader.condition === CONDITION_REVISION) return { when: { revision: reader.revision } };
  const { expectedAt, expectedBytes } = reader;
  return { when: { value: reader.bytes.slice(expectedAt, expectedAt + expectedBytes) } };
}
