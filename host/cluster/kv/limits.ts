/**
 * The machine's bounds. They decide what a command does, so every replica must have the same ones: they stand in the machine's state and in
 * its snapshots, and a machine that was given others refuses to open or to restore.
 */
export const KEY_BYTES_MAX = 512;
export const VALUE_BYTES_MAX = 65_536;
/** 30 days. */
export const LEASE_TTL_MS_MAX = 2_592_000_000;
/** A tick's latest time: a lease's end stays a whole number beyond it. */
export const TIME_MS_MAX = 2 ** 52;
/** Of one transaction: apply() refuses more. */
export const BATCH_ENTRIES_MAX = 65_536;
export const BATCH_BYTES_MAX = 67_108_864;
/** A session's stored results must fit one value of the state store. */
const SESSION_WINDOW_MAX = 32_768;

export interface KvLimits {
  /** A session opened beyond it evicts the one that was not used for longest. */
  readonly sessions: number;
  /** Commands of a session that may be outstanding; beyond it a command is refused with SESSION_WINDOW. At most 32,768. */
  readonly sessionWindow: number;
  /** Beyond it a grant is refused with LEASES_FULL. */
  readonly leases: number;
  /** Keys of one lease; beyond it a put with it is refused with LEASE_KEYS_FULL. */
  readonly leaseKeys: number;
  /** Keys that one delete-range, or one tick's expiries, may delete; the result says that there is more. */
  readonly deletes: number;
  /** Keys, and bytes of keys with their records, in the store; beyond either a put is refused with STORE_FULL. */
  readonly keys: number;
  readonly bytes: number;
}

export const KV_LIMITS: KvLimits = {
  sessions: 10_000,
  sessionWindow: 1_024,
  leases: 10_000,
  leaseKeys: 1_024,
  deletes: 4_096,
  keys: 1_000_000,
  bytes: 1_073_741_824,
};

export const LIMIT_NAMES = [
  "sessions",
  "sessionWindow",
  "leases",
  "leaseKeys",
  "deletes",
  "keys",
  "bytes",
] as const satisfies readonly (keyof KvLimits)[];

/** The defaults with those given; throws RangeError. */
export function kvLimits(given: Partial<KvLimits> = {}): KvLimits {
  const limits = { ...KV_LIMITS, ...given };
  for (const name of LIMIT_NAMES) {
    const value = limits[name];
    if (!Number.isSafeInteger(value) || value < 1) throw new RangeError(`${name}: a whole number from 1`);
  }
  if (limits.sessionWindow > SESSION_WINDOW_MAX)
    throw new RangeError(`sessionWindow: at most ${SESSION_WINDOW_MAX}`);
  return limits;
}
