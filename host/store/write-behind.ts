/**
 * A state store whose transactions are kept in memory and written to the store below it many at a time, in one transaction there. For state
 * that a durable log can rebuild: after a crash the store below holds an earlier whole state, as before, only a little earlier. A commit of
 * LMDB costs some 200 us and its sync competes with the log's for the disk; a key that changes in each transaction is written once.
 *
 * ```
 *   get, range ─► changes in memory ─► store below          transaction ─► changes in memory
 *                                                              bound reached, time over, flush() ─► one transaction below
 * ```
 * Bounds: so many changed keys or bytes; the transaction that goes beyond waits for the write. When that fails, the transaction is refused
 * and nothing of it is kept; what was taken before stays in memory, visible, and is written the next time.
 */
import type { Clock, Dispose } from "../io/seams.ts";
import { compareKeys, OrderedMap } from "./ordered-map.ts";
import type { StateReader, StateStore, StateTransaction } from "./state-store.ts";

export interface WriteBehindOptions {
  /** Not closed by this one. */
  readonly store: StateStore;
  readonly clock: Clock;
  /** Changed keys kept in memory; 4,096 by default. */
  readonly keysMax?: number;
  /** Bytes of keys and values kept in memory; 1 MiB by default. One transaction may bring more. */
  readonly bytesMax?: number;
  /** Nothing is kept in memory alone for longer; 1 s by default. */
  readonly delayMs?: number;
}

/** What is kept for a key that was deleted: known by identity. */
const DELETED = new Uint8Array(0);

export function writeBehind(options: WriteBehindOptions): StateStore {
  return new WriteBehind(options);
}

class WriteBehind implements StateStore {
  readonly #below: StateStore;
  readonly #clock: Clock;
  readonly #keysMax: number;
  readonly #bytesMax: number;
  readonly #delayMs: number;
  #changes = new OrderedMap<Uint8Array>();
  #bytes = 0;
  #writing: Promise<void> | undefined;
  #alarm: Dispose | undefined;
  #inTransaction = false;
  #closed = false;

  constructor({ store, clock, keysMax = 4096, bytesMax = 1024 * 1024, delayMs = 1000 }: WriteBehindOptions) {
    this.#below = store;
    this.#clock = clock;
    this.#keysMax = keysMax;
    this.#bytesMax = bytesMax;
    this.#delayMs = delayMs;
  }

  get(key: string): Uint8Array | undefined {
    this.#mustBeOpen();
    const change = this.#changes.get(key);
    if (change === undefined) return this.#below.get(key);
    return change === DELETED ? undefined : change.slice();
  }

  range(options: Parameters<StateReader["range"]>[0]): Iterable<Row> {
    this.#mustBeOpen();
    if (this.#changes.size === 0) return this.#below.range(options);
    const { limit = Number.POSITIVE_INFINITY, reverse = false } = options;
    const entries: Row[] = [];
    let { from, to } = options;
    while (entries.length < limit && compareKeys(from, to) < 0) {
      const span = { from, to, limit: limit - entries.length, reverse };
      const below = [...this.#below.range(span)];
      const changes = this.#changes.range(span);
      // What comes behind the last of a list that was cut is not known yet.
      const ends = [below, changes].flatMap((list) =>
        list.length < span.limit ? [] : (list.at(-1)?.[0] ?? []),
      );
      merge({ below, changes, reverse, ends }, (entry) => {
        if (entries.length < limit) entries.push(entry);
      });
      if (ends.length === 0) break;
      const end = ends.reduce((one, other) => (compareKeys(one, other) > 0 === reverse ? one : other));
      if (reverse) to = end;
      else from = `${end}\0`;
    }
    return entries;
  }

  async transaction(
    work: (transaction: StateTransaction) => void,
    options?: { readonly isLarge?: boolean },
  ): Promise<void> {
    this.#mustBeOpen();
    if (options?.isLarge === true) {
      while (this.#changes.size > 0) await this.#write();
      return this.#below.transaction(work, options);
    }
    while (this.#writing !== undefined) await this.#writing;
    if (this.#changes.size >= this.#keysMax || this.#bytes >= this.#bytesMax) await this.#write();
    this.#mustBeOpen();
    this.#transact(work);
    if (this.#changes.size > 0) this.#arm();
  }

  async flush(): Promise<void> {
    this.#mustBeOpen();
    await this.#write();
    await this.#below.flush();
  }

  /** What is in memory goes to the store below, which stays open. */
  async close(): Promise<void> {
    if (this.#closed) return;
    try {
      await this.#write();
    } finally {
      this.#closed = true;
      this.#alarm?.();
    }
  }

  #transact(work: (transaction: StateTransaction) => void): void {
    if (this.#inTransaction) throw new Error("a transaction runs already");
    const undo: [key: string, before: Uint8Array | undefined][] = [];
    const bytes = this.#bytes;
    const change = (key: string, value: Uint8Array): void => {
      if (key === "") throw new RangeError("a key must not be empty");
      const before = this.#changes.get(key);
      undo.push([key, before]);
      this.#bytes += value.length + (before === undefined ? key.length : -before.length);
      this.#changes.set(key, value);
    };
    this.#inTransaction = true;
    try {
      work({
        get: (key) => this.get(key),
        range: (options) => this.range(options),
        put: (key, value) => change(key, value.slice()),
        delete: (key) => change(key, DELETED),
      });
    } catch (error) {
      for (const [key, before] of undo.reverse()) {
        if (before === undefined) this.#changes.delete(key);
        else this.#changes.set(key, before);
      }
      this.#bytes = bytes;
      throw error;
    } finally {
      this.#inTransaction = false;
    }
  }

  async #write(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
    const changes = this.#changes;
    this.#alarm?.();
    this.#alarm = undefined;
    if (changes.size === 0) return;
    const written = this.#below.transaction((transaction) => {
      changes.forEach((key, value) => {
        if (value === DELETED) transaction.delete(key);
        else transaction.put(key, value);
      });
    });
    const done = written.then(() => {
      this.#changes = new OrderedMap();
      this.#bytes = 0;
    });
    // Who waits for its end hears of a failure by his own write.
    this.#writing = done
      .catch(() => undefined)
      .then(() => {
        this.#writing = undefined;
      });
    await Promise.all([done, this.#writing]);
  }

  #arm(): void {
    this.#alarm ??= this.#clock.alarm(
      this.#delayMs,
      () => {
        this.#alarm = undefined;
        if (this.#closed) return;
        // A store that cannot be written is told of where a bound is reached.
        this.#write().catch(() => this.#arm());
      },
      { background: true },
    );
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new Error("the state store is closed");
  }
}

type Row = readonly [key: string, value: Uint8Array];

/** Two ordered lists as one up to the first of `ends`; a change goes before what is below under the same key. */
function merge(
  lists: {
    readonly below: readonly Row[];
    readonly changes: readonly Row[];
    readonly reverse: boolean;
    readonly ends: readonly string[];
  },
  visit: (entry: Row) => void,
): void {
  const { below, changes, reverse, ends } = lists;
  const order = (a: string, b: string): number => (reverse ? compareKeys(b, a) : compareKeys(a, b));
  let [at, changeAt] = [0, 0];
  for (;;) {
    const [entry, change] = [below[at], changes[changeAt]];
    if (entry === undefined && change === undefined) return;
    const which = entry === undefined ? 1 : change === undefined ? -1 : order(entry[0], change[0]);
    if (which <= 0) at += 1;
    if (which >= 0) changeAt += 1;
    const next = (which < 0 ? entry : change) as Row;
    if (ends.some((end) => order(next[0], end) > 0)) return;
    if (which < 0) visit(next);
    else if (next[1] !== DELETED) visit([next[0], next[1].slice()]);
  }
}
