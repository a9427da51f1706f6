/**
 * One command after the other, on a transaction of the store: what it does to keys, leases and sessions, and what it answers. All of it
 * follows from the state and the command, so replicas that apply the same log hold the same bytes. Nothing here throws for what a command
 * says; a throw is the store's, and then the whole batch is undone (machine.ts).
 *
 * Order of the checks of a put, which is part of what replicas agree on: session, condition, lease, the lease's keys, the store's bounds.
 */
import type { StateReader, StateTransaction } from "../../store/state-store.ts";
import { copyBytes, equalBytes, putU53, u53At } from "../bytes.ts";
import { CONDITION_NONE, CONDITION_REVISION } from "./command.ts";
import { CommandReader } from "./command-reader.ts";
import type { BatchEvents } from "./events.ts";
import {
  ATTACHED,
  corrupt,
  DATA,
  DATA_END,
  decodeMeta,
  encodeMeta,
  idText,
  type KvMeta,
  META,
  RECORD_BYTES,
} from "./layout.ts";
import { type Lease, Leases } from "./leases.ts";
import type { KvLimits } from "./limits.ts";
import { KV_CODES, KV_OPS, type KvResults, RESULT_BYTES } from "./result.ts";
import { REPEATED, Sessions } from "./sessions.ts";

/** Records of a range that are in memory at a time. */
const PAGE = 64;
const EMPTY = new Uint8Array(0);
const { OK, CONDITION, LEASE_NOT_FOUND, LEASES_FULL, LEASE_KEYS_FULL, STORE_FULL } = KV_CODES;

/** Where a batch's commands work. */
export interface KvWork {
  readonly transaction: StateTransaction;
  readonly events: BatchEvents;
  readonly results: KvResults;
}

export class KvState {
  readonly limits: KvLimits;
  readonly #sessions: Sessions;
  readonly #leases: Leases;
  readonly #command = new CommandReader();
  appliedIndex = 0;
  appliedTerm = 0;
  revision = 0;
  timeMs = 0;
  #keys = 0;
  #bytes = 0;
  #leasedKeys = 0;
  // The result of the command that is being applied.
  #count = 0;
  #value = 0;
  #more = false;

  constructor(limits: KvLimits) {
    this.limits = limits;
    this.#sessions = new Sessions(limits);
    this.#leases = new Leases();
  }

  get meta(): KvMeta {
    return {
      appliedIndex: this.appliedIndex,
      appliedTerm: this.appliedTerm,
      revision: this.revision,
      timeMs: this.timeMs,
      keys: this.#keys,
      bytes: this.#bytes,
      leasedKeys: this.#leasedKeys,
      leases: this.#leases.count,
      sessions: this.#sessions.count,
      limits: this.limits,
    };
  }

  /** Takes what is stored; nothing stored is the state before the log. Throws FORMAT_VERSION or STATE_CORRUPT. */
  load(reader: StateReader): void {
    const stored = reader.get(META);
    const meta = stored === undefined ? undefined : decodeMeta(stored);
    this.appliedIndex = meta?.appliedIndex ?? 0;
    this.appliedTerm = meta?.appliedTerm ?? 0;
    this.revision = meta?.revision ?? 0;
    this.timeMs = meta?.timeMs ?? 0;
    this.#keys = meta?.keys ?? 0;
    this.#bytes = meta?.bytes ?? 0;
    this.#leasedKeys = meta?.leasedKeys ?? 0;
    this.#leases.load(reader);
    this.#sessions.load(reader);
    if (this.#leases.count !== (meta?.leases ?? 0)) throw corrupt("it counts other leases than there are");
    if (this.#sessions.count !== (meta?.sessions ?? 0))
      throw corrupt("it counts other sessions than there are");
  }

  /** Writes what the commands since the last time changed in memory. */
  flush(transaction: StateTransaction): void {
    this.#leases.flush(transaction);
    this.#sessions.flush(transaction);
    transaction.put(META, encodeMeta(this.meta));
  }

  /** The result goes to `slot`. An entry without payload (Raft's own) changes nothing and is OK. */
  apply(
    entry: { readonly index: number; readonly term: number; readonly payload: Uint8Array },
    work: KvWork,
    slot: number,
  ): void {
    const { results } = work;
    const command = this.#command;
    this.appliedIndex = entry.index;
    this.appliedTerm = entry.term;
    this.#count = 0;
    this.#value = 0;
    this.#more = false;
    if (entry.payload.length === 0) {
      this.#answer(results, slot, OK, KV_OPS.none);
      return;
    }
    let code = command.read(entry.payload);
    const isClient = command.session !== 0 && command.op !== KV_OPS["session-close"];
    if (code === OK && isClient) {
      const admitted = this.#sessions.admit(command, entry.index);
      if (admitted === REPEATED) {
        this.#sessions.repeat(command.sequence, results.bytes, slot * RESULT_BYTES);
        return;
      }
      code = admitted;
    }
    const admitted = code === OK;
    if (admitted) code = this.#execute(command, entry.index, work);
    this.#answer(results, slot, code, command.op);
    if (admitted && isClient) this.#sessions.keep(command.sequence, results.bytes, slot * RESULT_BYTES);
  }

  #answer(results: KvResults, slot: number, code: number, op: number): void {
    results.set(slot, {
      code,
      op,
      revision: this.revision,
      value: this.#value,
      count: this.#count,
      more: this.#more,
    });
  }

  #execute(command: CommandReader, index: number, work: KvWork): number {
    switch (command.op) {
      case KV_OPS.put:
        return this.#put(command, work);
      case KV_OPS.delete:
        return this.#delete(command, work);
      case KV_OPS["delete-range"]:
        return this.#deleteRange(command, work);
      case KV_OPS["lease-grant"]:
        if (this.#leases.count >= this.limits.leases) return LEASES_FULL;
        this.revision += 1;
        this.#leases.grant(this.revision, command.number);
        this.#value = this.revision;
        return OK;
      case KV_OPS["lease-keep-alive"]: {
        const lease = this.#leases.live(command.lease, this.timeMs);
        if (lease === undefined) return LEASE_NOT_FOUND;
        this.#leases.renew(lease);
        return OK;
      }
      case KV_OPS["lease-revoke"]: {
        const lease = this.#leases.get(command.lease);
        if (lease === undefined) return LEASE_NOT_FOUND;
        this.#deleteKeysOf(lease, work);
        this.#leases.remove(lease);
        return OK;
      }
      case KV_OPS.tick:
        this.#tick(command.number, work);
        return OK;
      case KV_OPS["session-open"]:
        this.#value = this.#sessions.open(index);
        return OK;
      default:
        return this.#sessions.close(command.session) ? OK : KV_CODES.SESSION_EXPIRED;
    }
  }

  #put(command: CommandReader, { transaction, events }: KvWork): number {
    const { key, lease: leaseId, valueBytes } = command;
    const stored = DATA + key;
    const old = transaction.get(stored);
    if (!this.#holds(command, old)) return CONDITION;
    const oldLease = old === undefined ? 0 : u53At(old, 24);
    let lease: Lease | undefined;
    if (leaseId !== 0) {
      lease = this.#leases.live(leaseId, this.timeMs);
      if (lease === undefined) return LEASE_NOT_FOUND;
      if (oldLease !== leaseId && lease.keys >= this.limits.leaseKeys) return LEASE_KEYS_FULL;
    }
    const recordBytes = RECORD_BYTES + valueBytes;
    // A key counts by its UTF-16 units: as equal on all replicas as its bytes, and known already.
    const bytes = this.#bytes + recordBytes - (old === undefined ? -key.length : old.length);
    if (bytes > this.limits.bytes || (old === undefined && this.#keys >= this.limits.keys)) return STORE_FULL;
    if (oldLease !== leaseId) {
      this.#detach(oldLease, key, transaction);
      if (lease !== undefined) this.#attach(lease, key, transaction);
    }
    this.#bytes = bytes;
    if (old === undefined) this.#keys += 1;
    this.revision += 1;
    const { revision } = this;
    const at = events.put(key, revision, recordBytes);
    const record = events.bytes;
    putU53(record, at, old === undefined ? revision : u53At(old, 0));
    putU53(record, at + 8, revision);
    putU53(record, at + 16, old === undefined ? 1 : u53At(old, 16) + 1);
    putU53(record, at + 24, leaseId);
    copyBytes(command.bytes, { from: command.valueAt, length: valueBytes }, record, at + RECORD_BYTES);
    transaction.put(stored, record.subarray(at, at + recordBytes));
    return OK;
  }

  #delete(command: CommandReader, work: KvWork): number {
    const old = work.transaction.get(DATA + command.key);
    if (!this.#holds(command, old)) return CONDITION;
    if (old !== undefined) this.#remove(command.key, old, work);
    return OK;
  }

  #deleteRange(command: CommandReader, work: KvWork): number {
    const asked = command.number === 0 ? this.limits.deletes : command.number;
    const limit = Math.min(asked, this.limits.deletes);
    const range = { from: DATA + command.key, to: command.to === "" ? DATA_END : DATA + command.to };
    const { transaction } = work;
    for (;;) {
      const page = Math.min(PAGE, limit - this.#count);
      const found = [...transaction.range({ ...range, limit: page + 1 })];
      for (const [stored, record] of found.slice(0, page))
        this.#remove(stored.slice(DATA.length), record, work);
      if (found.length <= page) return OK;
      this.#more = this.#count >= limit;
      if (this.#more) return OK;
    }
  }

  #tick(timeMs: number, work: KvWork): void {
    // A leader's clock may be behind the one before; the log's time never goes back.
    if (timeMs > this.timeMs) this.timeMs = timeMs;
    this.#value = this.timeMs;
    this.#more = !this.#leases.tick(this.timeMs, (lease) => {
      if (this.#count > 0 && this.#count + lease.keys > this.limits.deletes) return false;
      this.#deleteKeysOf(lease, work);
      return true;
    });
    this.#value = this.timeMs;
  }

  /** Whether the command's condition holds; notes the key's modification revision for the answer. */
  #holds(command: CommandReader, old: Uint8Array | undefined): boolean {
    const revision = old === undefined ? 0 : u53At(old, 8);
    this.#value = revision;
    if (command.condition === CONDITION_NONE) return true;
    if (command.condition === CONDITION_REVISION) return revision === command.revision;
    if (old === undefined || old.length - RECORD_BYTES !== command.expectedBytes) return false;
    return equalBytes(command.bytes, command.expectedAt, old.subarray(RECORD_BYTES));
  }

  /** Deletes a key that is there. */
  #remove(key: string, record: Uint8Array, { transaction, events }: KvWork): void {
    this.#detach(u53At(record, 24), key, transaction);
    transaction.delete(DATA + key);
    this.#keys -= 1;
    this.#bytes -= record.length + key.length;
    this.#count += 1;
    this.revision += 1;
    events.delete(key, this.revision);
  }

  #deleteKeysOf(lease: Lease, work: KvWork): void {
    const from = `${ATTACHED}${idText(lease.id)}/`;
    const to = `${ATTACHED}${idText(lease.id)}0`;
    for (const [attached] of [...work.transaction.range({ from, to })]) {
      const key = attached.slice(from.length);
      const record = work.transaction.get(DATA + key);
      if (record === undefined) throw corrupt("a lease has a key that is not there");
      this.#remove(key, record, work);
    }
  }

  #attach(lease: Lease, key: string, transaction: StateTransaction): void {
    transaction.put(`${ATTACHED}${idText(lease.id)}/${key}`, EMPTY);
    lease.keys += 1;
    this.#leasedKeys += 1;
    this.#leases.touch(lease);
  }

  #detach(leaseId: number, key: string, transaction: StateTransaction): void {
    if (leaseId === 0) return;
    transaction.delete(`${ATTACHED}${idText(leaseId)}/${key}`);
    this.#leasedKeys -= 1;
    const lease = this.#leases.get(leaseId);
    if (lease === undefined) throw corrupt("a key has a lease that is not there");
    lease.keys -= 1;
    this.#leases.touch(lease);
  }
}
