/**
 * How the machine's state stands in the StateStore: everything below one prefix, so that other state can live beside it.
 *
 * ```
 *   kv/d/<key>             a key's record: create revision u64 | modification revision u64 | version u64 | lease u64 | value
 *   kv/k/<lease>/<key>     the key belongs to the lease; empty
 *   kv/l/<lease>           ttl ms u32 | keys u32 | expiry ms u64        (leases.ts)
 *   kv/m                   the machine itself, below
 *   kv/s/<session>         sessions.ts
 *
 *   kv/m   0 format u32 | 4 0 u32 | 8 applied index u64 | 16 its term u64 | 24 revision u64 | 32 log time ms u64 | 40 keys u64 |
 *          48 bytes u64 | 56 keys of leases u64 | 64 leases u64 | 72 sessions u64 | 80 limits, seven u64 in the order of LIMIT_NAMES
 * ```
 * Numbers are little-endian; <lease> and <session> are 14 hexadecimal digits. Versions count a key's puts since it was created.
 */
import { TardigradeError } from "../../../protocols/error.ts";
import { BEYOND_U53, putU32, putU53, u32At, u53At } from "../bytes.ts";
import { type KvLimits, LIMIT_NAMES } from "./limits.ts";

export const FORMAT = 1;
export const PREFIX = "kv/";
/** The first text behind all that begin with the prefix: `0` comes after `/`. */
export const PREFIX_END = "kv0";
export const DATA = "kv/d/";
export const DATA_END = "kv/d0";
export const ATTACHED = "kv/k/";
export const LEASES = "kv/l/";
export const LEASES_END = "kv/l0";
export const META = "kv/m";
export const SESSIONS = "kv/s/";
export const SESSIONS_END = "kv/s0";
export const RECORD_BYTES = 32;
const LIMITS_AT = 80;
export const META_BYTES = LIMITS_AT + LIMIT_NAMES.length * 8;
const ID_DIGITS = 14;

export interface KvMeta {
  readonly appliedIndex: number;
  readonly appliedTerm: number;
  readonly revision: number;
  readonly timeMs: number;
  readonly keys: number;
  /** Of keys and their records. */
  readonly bytes: number;
  readonly leasedKeys: number;
  readonly leases: number;
  readonly sessions: number;
  readonly limits: KvLimits;
}
const COUNTERS = [
  "appliedIndex",
  "appliedTerm",
  "revision",
  "timeMs",
  "keys",
  "bytes",
  "leasedKeys",
  "leases",
  "sessions",
] as const satisfies readonly (keyof KvMeta)[];

export function encodeMeta(meta: KvMeta): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(META_BYTES);
  putU32(bytes, 0, FORMAT);
  COUNTERS.forEach((name, index) => {
    putU53(bytes, 8 + index * 8, meta[name]);
  });
  LIMIT_NAMES.forEach((name, index) => {
    putU53(bytes, LIMITS_AT + index * 8, meta.limits[name]);
  });
  return bytes;
}

/** Throws FORMAT_VERSION, or STATE_CORRUPT. */
export function decodeMeta(bytes: Uint8Array): KvMeta {
  if (bytes.length >= 4 && u32At(bytes, 0) !== FORMAT) {
    throw new TardigradeError(
      "FORMAT_VERSION",
      `The key-value machine's state has format ${u32At(bytes, 0)}; this version reads ${FORMAT}.`,
      { context: { component: "kv", operation: "open" } },
    );
  }
  if (bytes.length !== META_BYTES) throw corrupt("its own record has a wrong length");
  const number = (at: number): number => {
    const value = u53At(bytes, at);
    if (value === BEYOND_U53) throw corrupt("its own record holds an impossible number");
    return value;
  };
  const read = <Name extends string>(names: readonly Name[], from: number) =>
    Object.fromEntries(names.map((name, index) => [name, number(from + index * 8)])) as Record<Name, number>;
  return { ...read(COUNTERS, 8), limits: read(LIMIT_NAMES, LIMITS_AT) };
}

export function idText(id: number): string {
  return id.toString(16).padStart(ID_DIGITS, "0");
}

/** The id that a key below a prefix ends with, or undefined. */
export function idAfter(prefix: string, key: string): number | undefined {
  const digits = key.slice(prefix.length);
  if (!/^[0-9a-f]{14}$/.test(digits)) return undefined;
  const id = Number.parseInt(digits, 16);
  return Number.isSafeInteger(id) ? id : undefined;
}

export function corrupt(what: string): TardigradeError {
  return new TardigradeError(
    "STATE_CORRUPT",
    `The key-value machine's state is damaged: ${what}. Remove it; it comes back from the log or from another replica.`,
    { context: { component: "kv", operation: "open" } },
  );
}
