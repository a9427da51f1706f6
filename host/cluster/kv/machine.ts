/**
 * The replicated key-value machine: what a Raft log is applied to. Bytes in, bytes out; no clock, dice or IO inside. The driver gives it
 * committed entries in batches; a batch is one transaction of the store, and the index of its last entry is written in that transaction, so
 * that after a crash the log goes on exactly where the state stands (etcd had them apart once, etcd #13766). Entries that were applied
 * before are skipped, so the driver may replay from any earlier index.
 *
 * ```
 *   entries ─► KvState.apply ×n ─► flush sessions, leases, kv/m ─► commit ─► results, and events to watchers
 *                                                          throws ─► rolled back; memory is read again from the store
 * ```
 * Sessions and leases stand in memory too and are written once a batch. Parts: command.ts and result.ts (what travels), state.ts (what a
 * command does), sessions.ts, leases.ts, read.ts, watch.ts, snapshot.ts, layout.ts (what is stored), limits.ts.
 */
import { TardigradeError } from "../../../protocols/error.ts";
import type { StateStore, StateTransaction } from "../../store/state-store.ts";
import { BatchEvents } from "./events.ts";
import type { KvMeta } from "./layout.ts";
import { decodeMeta, META } from "./layout.ts";
import { BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, type KvLimits, kvLimits, LIMIT_NAMES } from "./limits.ts";
import { type KvItem, type KvRange, type KvRangeOptions, readKey, readRange } from "./read.ts";
import { KV_CODES, KvResults } from "./result.ts";
import { restoreSnapshot, snapshotChunks } from "./snapshot.ts";
import { KvState } from "./state.ts";
import { WATCH_LIMITS, type Watcher, Watchers, type WatchLimits, type WatchOptions } from "./watch.ts";

/** A committed entry. Without payload when it is Raft's own: no command, but its index counts. */
export interface KvEntry {
  /** From 1, each one more than the one before. */
  readonly index: number;
  readonly term: number;
  /** A command (command.ts); read only within apply(). */
  readonly payload: Uint8Array;
}

export interface KvMachineOptions {
  /** The machine's keys in it begin with `kv/`. It copies what is put. */
  readonly store: StateStore;
  /** The same on every replica, for good. */
  readonly limits?: Partial<KvLimits>;
  readonly watch?: Partial<WatchLimits>;
}

export class KvMachine {
  readonly #store: StateStore;
  readonly #state: KvState;
  readonly #watchers: Watchers;
  #isBusy = false;
  /** The memory is not what the store holds, because it could not be read after a failure. */
  #isStale = false;

  private constructor(store: StateStore, state: KvState, watchers: Watchers) {
    this.#store = store;
    this.#state = state;
    this.#watchers = watchers;
  }

  /** Reads what the store holds. Throws FORMAT_VERSION, STATE_CORRUPT, or CONFIG_INVALID when it was written under other limits. */
  static open(options: KvMachineOptions): KvMachine {
    const { store } = options;
    const limits = kvLimits(options.limits);
    const stored = store.get(META);
    const other =
      stored === undefined ? undefined : LIMIT_NAMES.find((n) => decodeMeta(stored).limits[n] !== limits[n]);
    if (other !== undefined) {
      throw new TardigradeError(
        "CONFIG_INVALID",
        `The key-value machine's state was written under another limit of ${other}; replicas must agree on it.`,
        { context: { component: "kv", operation: "open" } },
      );
    }
    const state = new KvState(limits);
    state.load(store);
    return new KvMachine(store, state, new Watchers({ ...WATCH_LIMITS, ...options.watch }, state.revision));
  }

  /** The last entry that was applied; 0 before the first. */
  get appliedIndex(): number {
    return this.#state.appliedIndex;
  }
  get appliedTerm(): number {
    return this.#state.appliedTerm;
  }
  get revision(): number {
    return this.#state.revision;
  }
  /** The log's time: the last tick's. A leader's ticks go on from it. */
  get timeMs(): number {
    return this.#state.timeMs;
  }
  /** Counts and limits, for a status. */
  get meta(): KvMeta {
    return this.#state.meta;
  }
  get watcherCount(): number {
    return this.#watchers.count;
  }
  /** Watching can begin here, or at any later revision. */
  get oldestRevision(): number {
    return this.#watchers.oldestRevision;
  }

  /**
   * Applies committed entries in one transaction, with what `alongside` writes. Results stand in the order of the entries; those at or below
   * the applied index answer SKIPPED. Resolves when committed; the store's flush() makes it durable. When the store fails, nothing of the
   * batch was applied and it may be given again. Throws RangeError for a gap in the indexes or a batch beyond BATCH_ENTRIES_MAX or
   * BATCH_BYTES_MAX. One call at a time.
   */
  async apply(
    entries: readonly KvEntry[],
    alongside?: (transaction: StateTransaction) => void,
  ): Promise<KvResults> {
    return this.#alone(async () => {
      const state = this.#state;
      const bytes = this.#check(entries);
      const results = new KvResults(entries.length);
      const events = new BatchEvents(bytes);
      const before = state.appliedIndex;
      const last = entries.at(-1)?.index ?? 0;
      if (last <= before && alongside === undefined) {
        skip(results, entries.length);
        return results;
      }
      try {
        await this.#store.transaction((transaction) => {
          const work = { transaction, events, results };
          const first = entries.findIndex((entry) => entry.index > before);
          const skipped = first < 0 ? entries.length : first;
          skip(results, skipped);
          for (let slot = skipped; slot < entries.length; slot += 1)
            state.apply(entries[slot] as KvEntry, work, slot);
          if (last > before) state.flush(transaction);
          alongside?.(transaction);
        });
      } catch (error) {
        this.#reload();
        throw error;
      }
      this.#watchers.publish(events);
      return results;
    });
  }

  get(key: string): KvItem | undefined {
    return readKey(this.#store, key);
  }
  range(options: KvRangeOptions): KvRange {
    return readRange(this.#store, options);
  }

  /** Throws KV_COMPACTED when changes from that revision on are no longer kept, or KV_WATCHERS_FULL. */
  watch(options: WatchOptions): Watcher {
    return this.#watchers.subscribe(options, this.#state.revision);
  }

  /** See snapshotChunks(): to be iterated to its end before the next apply(). */
  snapshot(chunkBytes: number): Generator<Uint8Array<ArrayBuffer>, void> {
    return snapshotChunks(this.#store, chunkBytes);
  }

  /** Replaces the state, and ends the watchers with KV_COMPACTED. Throws KV_SNAPSHOT, also for one that is older than the state. */
  async restore(
    chunks: Iterable<Uint8Array>,
    alongside?: (transaction: StateTransaction, meta: KvMeta) => void,
  ): Promise<void> {
    await this.#alone(async () => {
      await restoreSnapshot(this.#store, chunks, {
        limits: this.#state.limits,
        minIndex: this.#state.appliedIndex,
        ...(alongside === undefined ? {} : { alongside }),
      });
      this.#reload();
      if (this.#isStale) this.#refresh();
      this.#watchers.reset(this.#state.revision);
    });
  }

  async #alone<T>(work: () => Promise<T>): Promise<T> {
    if (this.#isBusy) throw new Error("a batch is being applied; wait for it");
    this.#isBusy = true;
    try {
      if (this.#isStale) this.#refresh();
      return await work();
    } finally {
      this.#isBusy = false;
    }
  }

  /** After a failure, of which the caller hears: a second one must not hide it, and is met again at the next call. */
  #reload(): void {
    this.#isStale = true;
    try {
      this.#refresh();
    } catch {
      // Stale, as marked.
    }
  }
  #refresh(): void {
    this.#state.load(this.#store);
    this.#isStale = false;
  }

  /** Bytes of the payloads that are new. */
  #check(entries: readonly KvEntry[]): number {
    if (entries.length > BATCH_ENTRIES_MAX)
      throw new RangeError(`a batch has at most ${BATCH_ENTRIES_MAX} entries`);
    const applied = this.#state.appliedIndex;
    let expected = entries[0]?.index ?? 0;
    if (expected > applied + 1)
      throw new RangeError(`entry ${applied + 1} is missing before entry ${expected}`);
    let bytes = 0;
    for (const { index, payload } of entries) {
      if (index !== expected) throw new RangeError(`entry ${expected} is missing before entry ${index}`);
      expected += 1;
      if (index > applied) bytes += payload.length;
    }
    if (bytes > BATCH_BYTES_MAX) throw new RangeError(`a batch has at most ${BATCH_BYTES_MAX} bytes`);
    return bytes;
  }
}

function skip(results: KvResults, count: number): void {
  for (let slot = 0; slot < count; slot += 1)
    results.set(slot, { code: KV_CODES.SKIPPED, op: 0, revision: 0, value: 0, count: 0, more: false });
}
