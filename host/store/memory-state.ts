/** State in memory: for tests, simulated worlds, and gateways that rebuild it from the log at each start. */
import { OrderedMap } from "./ordered-map.ts";
import type { StateReader, StateStore, StateTransaction } from "./state-store.ts";

export function memoryState(): StateStore {
  return new MemoryState();
}

class MemoryState implements StateStore {
  readonly #map = new OrderedMap<Uint8Array>();
  #inTransaction = false;
  #closed = false;

  get(key: string): Uint8Array | undefined {
    this.#mustBeOpen();
    // Copies on both ways: nobody changes what is stored by changing what they gave or got.
    return this.#map.get(key)?.slice();
  }

  range(options: Parameters<StateReader["range"]>[0]): Iterable<readonly [string, Uint8Array]> {
    this.#mustBeOpen();
    const { from, to, limit = Number.POSITIVE_INFINITY, reverse = false } = options;
    return this.#map.range({ from, to, limit, reverse }).map(([key, value]) => [key, value.slice()] as const);
  }

  async transaction(work: (transaction: StateTransaction) => void): Promise<void> {
    this.#mustBeOpen();
    if (this.#inTransaction) throw new Error("a transaction runs already");
    /** What each changed key held before. */
    const before = new Map<string, Uint8Array | undefined>();
    const remember = (key: string): void => {
      if (key === "") throw new RangeError("a key must not be empty");
      if (!before.has(key)) before.set(key, this.#map.get(key));
    };
    this.#inTransaction = true;
    try {
      work({
        get: (key) => this.get(key),
        range: (options) => this.range(options),
        put: (key, value) => {
          remember(key);
          this.#map.set(key, value.slice());
        },
        delete: (key) => {
          remember(key);
          this.#map.delete(key);
        },
      });
    } catch (error) {
      for (const [key, value] of before) {
        if (value === undefined) this.#map.delete(key);
        else this.#map.set(key, value);
      }
      throw error;
    } finally {
      this.#inTransaction = false;
    }
  }

  async flush(): Promise<void> {
    this.#mustBeOpen();
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #mustBeOpen(): void {
    if (this.#closed) throw new Error("the state store is closed");
  }
}
