/**
 * What the machine answers a command: 24 bytes, of one size, so that a session can keep them for its retries and a batch's stand in one
 * buffer.
 *
 * ```
 *   byte  0      1    2..3    4..7    8..15      16..23       little-endian
 *        +------+----+-------+-------+----------+----------+
 *        | code | op | flags | count | revision | value    |
 *        +------+----+-------+-------+----------+----------+
 *          flags: bit 0, there is more to delete
 *          count: keys that were deleted
 *          revision: of the store after the command
 *          value: put, delete: modification revision of the key before (0: there was none), also when the condition did not hold;
 *                 lease-grant: the lease; session-open: the session; tick: the log's time in ms; otherwise 0
 * ```
 */
import { BEYOND_U53, putU16, putU32, putU53, u16At, u32At, u53At } from "../bytes.ts";

export const RESULT_BYTES = 24;
export const RESULT_MORE = 1;

/** Numbers are stored and travel: never renumber. */
export const KV_CODES = {
  OK: 0,
  /** The bytes are no command: lengths, flags or reserved fields are wrong. */
  MALFORMED: 1,
  /** Another version or operation than this machine knows. */
  UNSUPPORTED: 2,
  /** A key is not 1 to KEY_BYTES_MAX bytes of UTF-8. */
  KEY_INVALID: 3,
  VALUE_OVERSIZE: 4,
  /** The condition did not hold; `value` is the key's modification revision. */
  CONDITION: 5,
  LEASE_NOT_FOUND: 6,
  LEASES_FULL: 7,
  LEASE_KEYS_FULL: 8,
  STORE_FULL: 9,
  /** The session was evicted, closed or never opened: whether earlier commands were applied cannot be told by it. */
  SESSION_EXPIRED: 10,
  /** The client has said that it has this command's result. */
  SESSION_STALE: 11,
  /** More commands outstanding than a session may have; acknowledge results. */
  SESSION_WINDOW: 12,
  /** The entry had been applied before; its result is no longer known here. */
  SKIPPED: 255,
} as const;
export type KvCode = keyof typeof KV_CODES;
const CODE_NAMES = new Map(Object.entries(KV_CODES).map(([name, code]) => [code as number, name as KvCode]));

/** Operations of commands; 0 is an entry without one. Numbers are stored and travel. */
export const KV_OPS = {
  none: 0,
  put: 1,
  delete: 2,
  "delete-range": 3,
  "lease-grant": 4,
  "lease-keep-alive": 5,
  "lease-revoke": 6,
  tick: 7,
  "session-open": 8,
  "session-close": 9,
} as const;
export type KvOp = keyof typeof KV_OPS;
const OP_NAMES = new Map(Object.entries(KV_OPS).map(([name, op]) => [op as number, name as KvOp]));
export const OP_MAX = 9;

export interface KvResult {
  readonly code: KvCode;
  readonly op: KvOp;
  readonly more: boolean;
  readonly count: number;
  readonly revision: number;
  readonly value: number;
}

/** Undefined when the bytes are no result. */
export function decodeResult(bytes: Uint8Array, at = 0): KvResult | undefined {
  if (bytes.length < at + RESULT_BYTES) return undefined;
  const code = CODE_NAMES.get(bytes[at] as number);
  const op = OP_NAMES.get(bytes[at + 1] as number);
  const flags = u16At(bytes, at + 2);
  const revision = u53At(bytes, at + 8);
  const value = u53At(bytes, at + 16);
  if (code === undefined || op === undefined || flags > RESULT_MORE) return undefined;
  if (revision === BEYOND_U53 || value === BEYOND_U53) return undefined;
  return { code, op, more: flags === RESULT_MORE, count: u32At(bytes, at + 4), revision, value };
}

/** The results of a batch, in the order of its entries. */
export class KvResults {
  readonly length: number;
  /** `length` results, one behind the other. */
  readonly bytes: Uint8Array<ArrayBuffer>;

  constructor(length: number) {
    this.length = length;
    this.bytes = new Uint8Array(length * RESULT_BYTES);
  }

  /** The number of the code, without making an object. */
  code(index: number): number {
    return this.bytes[index * RESULT_BYTES] as number;
  }
  at(index: number): KvResult {
    return decodeResult(this.#whole(index)) as KvResult;
  }
  /** A copy, for whoever asked. */
  encoded(index: number): Uint8Array<ArrayBuffer> {
    return this.#whole(index).slice();
  }

  set(
    index: number,
    result: {
      readonly code: number;
      readonly op: number;
      readonly revision: number;
      readonly value: number;
      readonly count: number;
      readonly more: boolean;
    },
  ): void {
    const { bytes } = this;
    const at = index * RESULT_BYTES;
    bytes[at] = result.code;
    bytes[at + 1] = result.op;
    putU16(bytes, at + 2, result.more ? RESULT_MORE : 0);
    putU32(bytes, at + 4, result.count);
    putU53(bytes, at + 8, result.revision);
    putU53(bytes, at + 16, result.value);
  }

  #whole(index: number): Uint8Array<ArrayBuffer> {
    if (!Number.isInteger(index) || index < 0 || index >= this.length)
      throw new RangeError(`a batch of ${this.length} has no result ${index}`);
    return this.bytes.subarray(index * RESULT_BYTES, (index + 1) * RESULT_BYTES);
  }
}
