/**
 * A StateStore on a disk that forgets, with the promise that LMDB gives: after a crash there is an earlier whole state, at the newest flush or
 * any transaction after it. flush() takes its time, and may be told to fail.
 */
import { TardigradeError } from "../../protocols/error.ts";
import type { Clock } from "../io/seams.ts";
import { OrderedMap } from "../store/ordered-map.ts";
import type { StateReader, StateStore, StateTransaction } from "../store/state-store.ts";
import type { SeededRandom } from "./random.ts";

/** What a transaction changed: each key with what it held before. */
type Undo = readonly (readonly [key: string, before: Uint8Array | undefined])[];

export class SimulatedState {
  readonly #random: SeededRandom;
  readonly #clock: Clock;
  readonly #map = new OrderedMap<Uint8Array>();
  /** Of the transactions since the newest flush, oldest first. */
  #undo: Undo[] = [];
  /** Transactions that are durable, of all there were. */
  #flushed = 0;
  #generation = 0;
  flushMs: number;
  #failures = 0;

  constructor(options: { readonly random: SeededRandom; readonly clock: Clock; readonly flushMs?: number }) {
    this.#random = options.random;
    this.#clock = options.clock;
    this.flushMs = options.flushMs ?? 0;
  }

  /** The next transactions are refused, as by a full disk. */
  failTransactions(count = 1): void {
    this.#failures += count;
  }

  /** The process dies: what it still does through its store is refused. With `keeps`, a kill, nothing is forgotten. */
  crash(keeps: boolean): void {
    this.#generation += 1;
    if (!keeps) {
      const forgotten = this.#random.below(this.#undo.length + 1);
      for (let count = 0; count < forgotten; count += 1) {
        for (const [key, before] of [...(this.#undo.pop() as Undo)].reverse()) this.#write(key, before);
      }
    }
    this.#flushed += this.#undo.length;
    this.#undo = [];
  }

  /** The store as the process that runs now sees it. */
  mount(): StateStore {
    const generation = this.#generation;
    const live = (): void => {
      if (generation !== this.#generation) throw new Error("the process that opened this state is dead");
    };
    const reader: StateReader = {
      get: (key) => {
        live();
        return this.#map.get(key)?.slice();
      },
      range: ({ from, to, limit = Number.POSITIVE_INFINITY, reverse = false }) => {
        live();
        return this.#map
          .range({ from, to, limit, reverse })
          .map(([key, value]) => [key, value.slice()] as const);
      },
    };
    return {
      ...reader,
      transaction: async (work) => {
        live();
        this.#transact(work, reader);
      },
      flush: async () => {
        live();
        const until = this.#flushed + this.#undo.length;
        if (this.flushMs > 0) await new Promise<void>((resolve) => this.#clock.alarm(this.flushMs, resolve));
        live();
        if (until <= this.#flushed) return;
        this.#undo.splice(0, until - this.#flushed);
        this.#flushed = until;
      },
      close: async () => undefined,
    };
  }

  #transact(work: (transaction: StateTransaction) => void, reader: StateReader): void {
    const isFailing = this.#failures > 0;
    if (isFailing) this.#failures -= 1;
    const undo: [string, Uint8Array | undefined][] = [];
    const change = (key: string, value: Uint8Array | undefined): void => {
      undo.push([key, this.#map.get(key)]);
      this.#write(key, value);
    };
    try {
      work({
        ...reader,
        put: (key, value) => change(key, value.slice()),
        delete: (key) => change(key, undefined),
      });
      // When it commits: whoever works along has changed what it holds in memory.
      if (isFailing)
        throw new TardigradeError("DISK_FULL", "The state store has no room left; free space on its disk.");
    } catch (error) {
      for (const [key, before] of undo.reverse()) this.#write(key, before);
      throw error;
    }
    this.#undo.push(undo);
  }

  #write(key: string, value: Uint8Array | undefined): void {
    if (value === undefined) this.#map.delete(key);
    else this.#map.set(key, value);
  }
}
