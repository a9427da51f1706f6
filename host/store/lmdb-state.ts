/**
 * State in LMDB: a memory-mapped copy-on-write B+ tree. A transaction is visible when it returns and durable
 * after flush(): LMDB overlaps its sync with the transactions that follow, and a power cut gives back an
 * earlier whole state, with the log offset that belongs to it.
 *
 * The package is native and optional, so it is loaded when a store is opened. This is the one file of the
 * store that touches it.
 */
import type { RootDatabase } from "lmdb";
import { TardigradeError } from "../../protocols/error.ts";
import type { StateReader, StateStore, StateTransaction } from "./state-store.ts";

/** LMDB's own bound, minus what the key's encoding adds. */
export const LMDB_KEY_BYTES_MAX = 1900;

export interface LmdbStateOptions {
  /** Folder of the database, which is made when absent. */
  readonly path: string;
  /** Loads the package; the one that is installed by default. */
  readonly load?: () => Promise<Pick<typeof import("lmdb"), "open">>;
}

type Database = RootDatabase<Uint8Array, Uint8Array>;

export async function openLmdbState(options: LmdbStateOptions): Promise<StateStore> {
  const lmdb = await load(options.load ?? (() => import("lmdb")));
  try {
    const database: Database = lmdb.open({
      path: options.path,
      encoding: "binary",
      keyEncoding: "binary",
      // One reader, the event loop: the cache of decoded values would hold a second copy of everything.
      cache: false,
      maxReaders: 16,
      noSubdir: false,
    });
    return new LmdbState(database);
  } catch (cause) {
    throw new TardigradeError(
      "STATE_CORRUPT",
      `The state database in ${options.path} cannot be opened; remove that folder, and it is rebuilt from the log.`,
      { cause, context: { component: "state", operation: "open", path: options.path } },
    );
  }
}

async function load<T>(loader: () => Promise<T>): Promise<T> {
  try {
    return await loader();
  } catch (cause) {
    throw new TardigradeError(
      "DEPENDENCY_MISSING",
      "The package `lmdb` could not be loaded; run `npm install lmdb`, or keep the state in memory (store.state: memory).",
      { cause, context: { component: "state", operation: "load" } },
    );
  }
}

class LmdbState implements StateStore {
  readonly #database: Database;
  readonly #encoder = new TextEncoder();
  readonly #decoder = new TextDecoder();
  #inTransaction = false;
  #closed = false;

  constructor(database: Database) {
    this.#database = database;
  }

  get(key: string): Uint8Array | undefined {
    this.#mustBeOpen();
    const found = this.#database.getBinary(this.#keyOf(key));
    return found === undefined ? undefined : new Uint8Array(found.buffer, found.byteOffset, found.byteLength);
  }

  range(options: Parameters<StateReader["range"]>[0]): Iterable<readonly [string, Uint8Array]> {
    this.#mustBeOpen();
    const from = this.#encoder.encode(options.from);
    const to = this.#encoder.encode(options.to);
    if (compareBytes(from, to) >= 0) return [];
    // LMDB's reversed range excludes its end and includes its start: it begins below `to` and is cut at
    // `from` here.
    const reverse = options.reverse === true;
    const entries: (readonly [string, Uint8Array])[] = [];
    const range = this.#database.getRange({
      start: reverse ? to : from,
      ...(reverse ? {} : { end: to }),
      reverse,
    });
    const limit = options.limit ?? Number.POSITIVE_INFINITY;
    if (limit <= 0) return entries;
    for (const { key, value } of range) {
      const order = reverse ? compareBytes(key, from) : compareBytes(to, key);
      if (order < 0 || (!reverse && order === 0)) break;
      if (reverse && compareBytes(key, to) >= 0) continue;
      entries.push([this.#decoder.decode(key), new Uint8Array(value)]);
      if (entries.length >= limit) break;
    }
    return entries;
  }

  async transaction(work: (transaction: StateTransaction) => void): Promise<void> {
    this.#mustBeOpen();
    if (this.#inTransaction) throw new Error("a transaction runs already");
    this.#inTransaction = true;
    try {
      this.#database.transactionSync(() =>
        work({
          get: (key) => this.get(key),
          range: (options) => this.range(options),
          put: (key, value) => this.#database.putSync(this.#keyOf(key), value),
          delete: (key) => {
            this.#database.removeSync(this.#keyOf(key));
          },
        }),
      );
    } finally {
      this.#inTransaction = false;
    }
  }

  async flush(): Promise<void> {
    this.#mustBeOpen();
    await this.#database.flushed;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#database.flushed;
    await this.#database.close();
  }

  #keyOf(key: string): Uint8Array {
    const bytes = this.#encoder.encode(key);
    if (bytes.length === 0 || bytes.length > LMDB_KEY_BYTES_MAX) {
      throw new RangeError(`a key must have 1 to ${LMDB_KEY_BYTES_MAX} bytes, this one has ${bytes.length}`);
    }
    return bytes;
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new Error("the state store is closed");
  }
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at += 1) {
    const difference = (a[at] as number) - (b[at] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
