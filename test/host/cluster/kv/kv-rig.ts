/** What the tests of the key-value machine share: small limits, a log that grows, a store that fails. */
import { encodeCommand, type KvCommand, type KvSession } from "../../../../host/cluster/kv/command.ts";
import { type KvLimits, kvLimits } from "../../../../host/cluster/kv/limits.ts";
import { type KvEntry, KvMachine } from "../../../../host/cluster/kv/machine.ts";
import type { KvResult } from "../../../../host/cluster/kv/result.ts";
import type { WatchLimits } from "../../../../host/cluster/kv/watch.ts";
import { memoryState } from "../../../../host/store/memory-state.ts";
import type { StateStore, StateTransaction } from "../../../../host/store/state-store.ts";

export const text = (value: string) => new TextEncoder().encode(value);

/** A machine and the log that it has applied, a command an entry. */
export class Rig {
  readonly store: StateStore;
  readonly limits: KvLimits;
  readonly watch: Partial<WatchLimits>;
  readonly log: KvEntry[] = [];
  machine: KvMachine;

  constructor(
    options: { store?: StateStore; limits?: Partial<KvLimits>; watch?: Partial<WatchLimits> } = {},
  ) {
    this.store = options.store ?? memoryState();
    this.limits = kvLimits(options.limits);
    this.watch = options.watch ?? {};
    this.machine = this.open();
  }

  /** As after a crash: nothing in memory survives. */
  open(): KvMachine {
    this.machine = KvMachine.open({ store: this.store, limits: this.limits, watch: this.watch });
    return this.machine;
  }

  entry(payload: Uint8Array): KvEntry {
    const entry = { index: this.log.length + 1, term: 1, payload };
    this.log.push(entry);
    return entry;
  }

  /** A batch of one. */
  async run(command: KvCommand, session?: KvSession): Promise<KvResult> {
    return (await this.machine.apply([this.entry(encodeCommand(command, session))])).at(0);
  }
  async put(key: string, value = "", options: { lease?: number } = {}): Promise<KvResult> {
    return this.run({ op: "put", key, value: text(value), ...options });
  }

  keys(): string[] {
    return this.machine.range({ from: "" }).items.map((item) => item.key);
  }
}

export function snapshotOf(machine: KvMachine, chunkBytes = 4_096): Uint8Array {
  return new Uint8Array(Buffer.concat([...machine.snapshot(chunkBytes)]));
}

/** Throws at the n-th write of the next transaction, once; a store that is broken cannot be read either. */
export class FaultyStore implements StateStore {
  readonly #inner = memoryState();
  failAtWrite: number | undefined;
  isBroken = false;
  writes = 0;

  get: StateStore["get"] = (key) => {
    if (this.isBroken) throw new Error("broken");
    return this.#inner.get(key);
  };
  range: StateStore["range"] = (options) => this.#inner.range(options);
  flush = () => this.#inner.flush();
  close = () => this.#inner.close();

  transaction(work: (transaction: StateTransaction) => void): Promise<void> {
    this.writes = 0;
    const write = () => {
      this.writes += 1;
      if (this.writes !== this.failAtWrite) return;
      this.failAtWrite = undefined;
      throw new Error("the disk is full");
    };
    return this.#inner.transaction((transaction) =>
      work({
        get: transaction.get,
        range: transaction.range,
        put: (key, value) => {
          write();
          transaction.put(key, value);
        },
        delete: (key) => {
          write();
          transaction.delete(key);
        },
      }),
    );
  }
}
