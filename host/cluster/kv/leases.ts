/**
 * Leases: keys that live as long as their holder renews them (Gray and Cheriton, "Leases: An Efficient Fault-Tolerant Mechanism for
 * Distributed File Cache Consistency", 1989). Time is the log's, which only `tick` moves, so all replicas expire the same leases at the
 * same entry. A lease's id is the revision of its grant: a later lease has a higher id, which makes it a fencing token.
 *
 * A grant or renewal stands in the log between two ticks, and the earlier tick's time is too early to count from: a holder that counts
 * from when it sent the request would believe in its lease for longer than the machine. So a lease waits for the next tick, and its life
 * counts from there. It may last up to a tick longer than asked for, never shorter.
 *
 * ```
 *   kv/l/<lease>   0 ttl ms u32 | 4 keys u32 | 8 expiry ms u64, or all ones while it waits for a tick
 * ```
 */
import type { StateReader, StateTransaction } from "../../store/state-store.ts";
import { BEYOND_U53, putU32, putU53, u32At, u53At } from "../bytes.ts";
import { corrupt, idAfter, idText, LEASES, LEASES_END } from "./layout.ts";
import { LEASE_TTL_MS_MAX } from "./limits.ts";

const LEASE_BYTES = 16;
const WAITING = -1;

export class Lease {
  readonly id: number;
  readonly ttlMs: number;
  expiryMs = WAITING;
  keys = 0;
  changed = false;
  gone = false;

  constructor(id: number, ttlMs: number) {
    this.id = id;
    this.ttlMs = ttlMs;
  }
}

export class Leases {
  /** In the order of their ids, which rise. */
  readonly #leases = new Map<number, Lease>();
  #waiting: Lease[] = [];
  #changed: Lease[] = [];
  /** No lease ends before it. */
  #nextExpiryMs = Number.POSITIVE_INFINITY;
  readonly #scratch = new Uint8Array(LEASE_BYTES);

  get count(): number {
    return this.#leases.size;
  }

  grant(id: number, ttlMs: number): void {
    const lease = new Lease(id, ttlMs);
    this.#leases.set(id, lease);
    this.#waiting.push(lease);
    this.touch(lease);
  }

  get(id: number): Lease | undefined {
    return this.#leases.get(id);
  }

  /** The lease, unless its time is over though a tick's bound has left it standing. */
  live(id: number, timeMs: number): Lease | undefined {
    const lease = this.#leases.get(id);
    return lease === undefined || isOver(lease, timeMs) ? undefined : lease;
  }

  renew(lease: Lease): void {
    if (lease.expiryMs === WAITING) return;
    lease.expiryMs = WAITING;
    this.#waiting.push(lease);
    this.touch(lease);
  }

  /** Its keys are the caller's to delete. */
  remove(lease: Lease): void {
    lease.gone = true;
    this.#leases.delete(lease.id);
    this.touch(lease);
  }

  touch(lease: Lease): void {
    if (lease.changed) return;
    lease.changed = true;
    this.#changed.push(lease);
  }

  /**
   * Calls `end` for each lease whose time is over, in the order of their ids, until it returns false: then that one and those behind it
   * stay for the next time. Then lets those that waited count from `timeMs`. False when some stayed.
   */
  tick(timeMs: number, end: (lease: Lease) => boolean): boolean {
    const all = this.#nextExpiryMs > timeMs || this.#expire(timeMs, end);
    for (const lease of this.#waiting) {
      if (lease.gone) continue;
      lease.expiryMs = timeMs + lease.ttlMs;
      if (lease.expiryMs < this.#nextExpiryMs) this.#nextExpiryMs = lease.expiryMs;
      this.touch(lease);
    }
    this.#waiting = [];
    return all;
  }

  #expire(timeMs: number, end: (lease: Lease) => boolean): boolean {
    let nextMs = Number.POSITIVE_INFINITY;
    for (const lease of this.#leases.values()) {
      if (isOver(lease, timeMs)) {
        // #nextExpiryMs stays in the past, so that the next tick looks again.
        if (!end(lease)) return false;
        this.remove(lease);
      } else if (lease.expiryMs !== WAITING && lease.expiryMs < nextMs) nextMs = lease.expiryMs;
    }
    this.#nextExpiryMs = nextMs;
    return true;
  }

  /** Writes what has changed since the last time. */
  flush(transaction: StateTransaction): void {
    for (const lease of this.#changed) {
      lease.changed = false;
      if (lease.gone) transaction.delete(LEASES + idText(lease.id));
      else transaction.put(LEASES + idText(lease.id), this.#encode(lease));
    }
    this.#changed = [];
  }

  /** Forgets everything, then reads what is stored. */
  load(reader: StateReader): void {
    this.#leases.clear();
    this.#waiting = [];
    this.#changed = [];
    this.#nextExpiryMs = Number.POSITIVE_INFINITY;
    for (const [key, bytes] of reader.range({ from: LEASES, to: LEASES_END })) {
      const id = idAfter(LEASES, key);
      const lease = id === undefined ? undefined : decode(id, bytes);
      if (lease === undefined) throw corrupt("a lease's record is no lease");
      this.#leases.set(lease.id, lease);
      if (lease.expiryMs === WAITING) this.#waiting.push(lease);
      else if (lease.expiryMs < this.#nextExpiryMs) this.#nextExpiryMs = lease.expiryMs;
    }
  }

  /** Bytes that hold until the next call; a store copies them. */
  #encode(lease: Lease): Uint8Array {
    const bytes = this.#scratch;
    putU32(bytes, 0, lease.ttlMs);
    putU32(bytes, 4, lease.keys);
    if (lease.expiryMs === WAITING) bytes.fill(0xff, 8);
    else putU53(bytes, 8, lease.expiryMs);
    return bytes;
  }
}

/** Whether the bytes are a lease's record. */
export function isLease(bytes: Uint8Array): boolean {
  return decode(1, bytes) !== undefined;
}

function isOver(lease: Lease, timeMs: number): boolean {
  return lease.expiryMs !== WAITING && lease.expiryMs <= timeMs;
}

function decode(id: number, bytes: Uint8Array): Lease | undefined {
  if (bytes.length !== LEASE_BYTES) return undefined;
  const ttlMs = u32At(bytes, 0);
  const expiryMs = u53At(bytes, 8);
  if (ttlMs < 1 || ttlMs > LEASE_TTL_MS_MAX) return undefined;
  const waits = bytes.subarray(8).every((byte) => byte === 0xff);
  if (expiryMs === BEYOND_U53 && !waits) return undefined;
  const lease = new Lease(id, ttlMs);
  lease.keys = u32At(bytes, 4);
  lease.expiryMs = expiryMs === BEYOND_U53 ? WAITING : expiryMs;
  return lease;
}
