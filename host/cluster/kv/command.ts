/**
 * Commands of the replicated key-value machine, as they stand in the Raft log. Fixed layouts, little-endian; a u64 is a u53 (bytes.ts). One
 * command has one encoding: a field that is not used is 0, and nothing follows the last byte.
 *
 * ```
 *   head (20 bytes)
 *   byte  0         1    2..3        4..11     12..15     16..19
 *        +---------+----+-----------+---------+----------+--------------------+
 *        | version | op | condition | session | sequence | acknowledged below |
 *        | 1       |    | u16       | u64     | u32      | u32                |
 *        +---------+----+-----------+---------+----------+--------------------+
 *          condition: 0 none, 1 by revision, 2 by value; put and delete only
 *          session 0: no exactly-once; sequence and acknowledged below are 0
 *
 *   put               20 lease u64 | 28 revision u64 | 36 key bytes u16 | 38 expected bytes u32 | 42 value bytes u32 | 46 key, expected, value
 *   delete            20 revision u64 | 28 key bytes u16 | 30 expected bytes u32 | 34 key, expected
 *   delete-range      20 limit u32 | 24 from bytes u16 | 26 to bytes u16 | 28 from, to
 *   lease-grant       20 ttl ms u32
 *   lease-keep-alive, lease-revoke   20 lease u64
 *   tick              20 time ms u64
 *   session-open, session-close      nothing
 * ```
 * Everything that could differ between replicas is in the command: the machine has no clock, `tick` carries the leader's. A machine that
 * does not know an operation answers UNSUPPORTED, so a new one may be proposed only when every replica knows it.
 */
import { putU16, putU32, putU53 } from "../bytes.ts";
import { KEY_BYTES_MAX, LEASE_TTL_MS_MAX, TIME_MS_MAX, VALUE_BYTES_MAX } from "./limits.ts";
import { KV_OPS } from "./result.ts";

export const COMMAND_VERSION = 1;
export const HEAD_BYTES = 20;
export const PUT_BYTES = 46;
export const DELETE_BYTES = 34;
export const RANGE_BYTES = 28;
export const COMMAND_BYTES_MAX = PUT_BYTES + KEY_BYTES_MAX + 2 * VALUE_BYTES_MAX;
export const CONDITION_NONE = 0;
export const CONDITION_REVISION = 1;
export const CONDITION_VALUE = 2;

/**
 * What must hold for a put or delete to be done: the key's modification revision (0: there is no such key), or its value (a key without
 * value has none that is equal). The latter with a put is compare-and-set.
 */
export type KvCondition = { readonly revision: number } | { readonly value: Uint8Array };

export type KvCommand =
  | {
      readonly op: "put";
      readonly key: string;
      readonly value: Uint8Array;
      /** The key is deleted with the lease. Without one the key leaves the lease it had. */
      readonly lease?: number;
      readonly when?: KvCondition;
    }
  | { readonly op: "delete"; readonly key: string; readonly when?: KvCondition }
  /** Keys with from <= key < to in the order of their UTF-8; an empty `to` is the end. The first `limit`, or as many as the machine allows. */
  | { readonly op: "delete-range"; readonly from: string; readonly to: string; readonly limit?: number }
  | { readonly op: "lease-grant"; readonly ttlMs: number }
  | { readonly op: "lease-keep-alive"; readonly lease: number }
  | { readonly op: "lease-revoke"; readonly lease: number }
  /** The leader's time, which never runs backward in the log: an earlier one counts as the last. */
  | { readonly op: "tick"; readonly timeMs: number }
  | { readonly op: "session-open" }
  | { readonly op: "session-close" };

/** A client's name for a command: the same for its retries, which then are not applied again (Ongaro's thesis, 6.3). */
export interface KvSession {
  readonly id: number;
  /** From 1; each new command has a new one, retries have the first's. */
  readonly sequence: number;
  /** The client has the results of all sequences below it. At most `sequence`. */
  readonly acknowledgedBelow: number;
}

const utf8 = new TextEncoder();
const NOTHING = new Uint8Array(0);

/**
 * The command's bytes. `session-close` takes the session's id and needs no sequence; `session-open` and `tick` take none. Throws RangeError
 * for what is beyond its bounds: a programmer checks what users give.
 */
export function encodeCommand(command: KvCommand, session?: KvSession): Uint8Array<ArrayBuffer> {
  const bytes = encodeBody(command);
  bytes[0] = COMMAND_VERSION;
  bytes[1] = KV_OPS[command.op];
  if (command.op === "session-open" || command.op === "tick") {
    if (session !== undefined) throw new RangeError(`${command.op} takes no session`);
    return bytes;
  }
  if (session === undefined) {
    if (command.op === "session-close") throw new RangeError("session-close needs its session");
    return bytes;
  }
  putU53(bytes, 4, whole("session", session.id, 1));
  if (command.op === "session-close") return bytes;
  const { sequence, acknowledgedBelow } = session;
  putU32(bytes, 12, whole("sequence", sequence, 1, 0xffff_ffff));
  putU32(bytes, 16, whole("acknowledgedBelow", acknowledgedBelow, 0, sequence));
  return bytes;
}

function encodeBody(command: KvCommand): Uint8Array<ArrayBuffer> {
  switch (command.op) {
    case "put":
      return encodePut(command);
    case "delete":
      return encodeDelete(command);
    case "delete-range": {
      const from = text("from", command.from, 0);
      const to = text("to", command.to, 0);
      const bytes = new Uint8Array(RANGE_BYTES + from.length + to.length);
      putU32(bytes, 20, whole("limit", command.limit ?? 0, 0, 0xffff_ffff));
      putU16(bytes, 24, from.length);
      putU16(bytes, 26, to.length);
      bytes.set(from, RANGE_BYTES);
      bytes.set(to, RANGE_BYTES + from.length);
      return bytes;
    }
    case "lease-grant": {
      const bytes = new Uint8Array(HEAD_BYTES + 4);
      putU32(bytes, 20, whole("ttlMs", command.ttlMs, 1, LEASE_TTL_MS_MAX));
      return bytes;
    }
    case "lease-keep-alive":
    case "lease-revoke":
      return withU53(whole("lease", command.lease, 1));
    case "tick":
      return withU53(whole("timeMs", command.timeMs, 0, TIME_MS_MAX));
    case "session-open":
    case "session-close":
      return new Uint8Array(HEAD_BYTES);
  }
}

function encodePut({
  key,
  value,
  lease = 0,
  when,
}: Extract<KvCommand, { op: "put" }>): Uint8Array<ArrayBuffer> {
  const expected = expectedOf(when);
  const keyBytes = text("key", key, 1);
  if (value.length > VALUE_BYTES_MAX) throw new RangeError(`value: at most ${VALUE_BYTES_MAX} bytes`);
  const bytes = new Uint8Array(PUT_BYTES + keyBytes.length + expected.length + value.length);
  putU53(bytes, 20, whole("lease", lease, 0));
  condition(bytes, 28, when);
  putU16(bytes, 36, keyBytes.length);
  putU32(bytes, 38, expected.length);
  putU32(bytes, 42, value.length);
  bytes.set(keyBytes, PUT_BYTES);
  bytes.set(expected, PUT_BYTES + keyBytes.length);
  bytes.set(value, PUT_BYTES + keyBytes.length + expected.length);
  return bytes;
}

function encodeDelete({ key, when }: Extract<KvCommand, { op: "delete" }>): Uint8Array<ArrayBuffer> {
  const expected = expectedOf(when);
  const keyBytes = text("key", key, 1);
  const bytes = new Uint8Array(DELETE_BYTES + keyBytes.length + expected.length);
  condition(bytes, 20, when);
  putU16(bytes, 28, keyBytes.length);
  putU32(bytes, 30, expected.length);
  bytes.set(keyBytes, DELETE_BYTES);
  bytes.set(expected, DELETE_BYTES + keyBytes.length);
  return bytes;
}

function expectedOf(when: KvCondition | undefined): Uint8Array {
  if (when === undefined || !("value" in when)) return NOTHING;
  if (when.value.length > VALUE_BYTES_MAX) throw new RangeError(`when: at most ${VALUE_BYTES_MAX} bytes`);
  return when.value;
}

function condition(bytes: Uint8Array, revisionAt: number, when: KvCondition | undefined): void {
  if (when === undefined) return;
  if ("value" in when) putU16(bytes, 2, CONDITION_VALUE);
  else {
    putU16(bytes, 2, CONDITION_REVISION);
    putU53(bytes, revisionAt, whole("revision", when.revision, 0));
  }
}

function withU53(value: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEAD_BYTES + 8);
  putU53(bytes, HEAD_BYTES, value);
  return bytes;
}

function whole(name: string, value: number, min: number, max = Number.MAX_SAFE_INTEGER): number {
  if (!Number.isSafeInteger(value) || value < min || value > max)
    throw new RangeError(`${name}: a whole number from ${min} to ${max}`);
  return value;
}

function text(name: string, value: string, bytesMin: number): Uint8Array {
  // A lone surrogate would become U+FFFD, which is another key.
  if (!value.isWellFormed()) throw new RangeError(`${name}: not well-formed text`);
  const bytes = utf8.encode(value);
  if (bytes.length < bytesMin || bytes.length > KEY_BYTES_MAX)
    throw new RangeError(`${name}: ${bytesMin} to ${KEY_BYTES_MAX} bytes of UTF-8`);
  return bytes;
}
