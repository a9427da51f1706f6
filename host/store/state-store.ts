/**
 * Where projections of the segment log live. Two implementations, memory and LMDB, pass one conformance suite. Keys are text,
 * ordered by their UTF-8 bytes; values are bytes. A transaction is atomic: all of it is there after a crash, or none, and
 * the projections write the log offset they have applied in the same transaction as its effects.
 */
export interface StateReader {
  get(key: string): Uint8Array | undefined;
  /** Entries with from <= key < to, in order (or reversed), at most `limit`. */
  range(options: {
    readonly from: string;
    readonly to: string;
    readonly limit?: number;
    readonly reverse?: boolean;
  }): Iterable<readonly [key: string, value: Uint8Array]>;
}

export interface StateTransaction extends StateReader {
  put(key: string, value: Uint8Array): void;
  delete(key: string): void;
}

export interface StateStore extends StateReader {
  /**
   * Runs `work` synchronously; a throw rolls back. Resolves when committed (visible), not necessarily synced. One that is large changes more
   * than a store should keep in memory.
   */
  transaction(
    work: (transaction: StateTransaction) => void,
    options?: { readonly isLarge?: boolean },
  ): Promise<void>;
  /** Resolves when everything committed before is durable. */
  flush(): Promise<void>;
  close(): Promise<void>;
}
