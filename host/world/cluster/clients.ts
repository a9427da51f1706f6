/**
 * Clients of a store, simulated or real: each does one thing after the other through the shipped client, and notes what it asked and was told. Values are
 * unlike each other, so that a write that is lost or done twice shows. Of a key only so many operations are made; then comes another, because what
 * has to be searched to judge a key grows with what is uncertain of it.
 */

import type { OpenKvChannel } from "../../cluster/client/channel.ts";
import { KvClient, type WriteResult } from "../../cluster/client/kv-client.ts";
import type { KvEvent } from "../../cluster/kv/events.ts";
import type { Core } from "../../core/core.ts";
import { createBackoff } from "../../core/policy/backoff.ts";
import type { Clock } from "../../io/seams.ts";
import type { SeededRandom } from "../random.ts";
import type { History, KvInput, KvOutput } from "./history.ts";
import { numberOf } from "./judge.ts";
import { type Locks, LockUser } from "./locks.ts";

const KEYS = 5;
const TIMEOUT_MS = 4_000;
const SILENCE_MS = 700;
const utf8 = new TextEncoder();

export interface ClientsOptions {
  readonly core: Core;
  readonly clock: Clock;
  readonly random: SeededRandom;
  /** How the client of that number reaches nodes. */
  readonly connect: (client: number, random: SeededRandom) => OpenKvChannel;
  /** Grows as nodes are added. */
  readonly endpoints: readonly string[];
  readonly history: History;
  readonly locks: Locks;
  readonly count: number;
  /** Mean pause between a client's operations. */
  readonly thinkMs: number;
  readonly operationsAKey: number;
}

/** Shared by all clients of a world. */
class Workload {
  readonly #operationsAKey: number;
  #value = 0;
  #operations = 0;
  /** The newest value that somebody saw of a key, for compare-and-set. */
  readonly seen = new Map<string, number>();

  constructor(operationsAKey: number) {
    this.#operationsAKey = operationsAKey;
  }

  nextValue(): number {
    this.#value += 1;
    return this.#value;
  }
  key(random: SeededRandom): string {
    this.#operations += 1;
    const generation = Math.floor(this.#operations / (this.#operationsAKey * KEYS));
    return `k${String(generation).padStart(4, "0")}/${random.below(KEYS)}`;
  }
}

export class Clients {
  readonly #workload: Workload;
  readonly #clients: StoreClient[] = [];
  /** Beside the others, and never cut off. */
  readonly #prober: StoreClient;
  readonly counts = { ok: 0, uncertain: 0, refused: 0 };
  #running = false;

  constructor(options: ClientsOptions) {
    this.#workload = new Workload(options.operationsAKey);
    const client = (number: number) => new StoreClient(number, options, this.#workload, this.counts);
    for (let number = 0; number < options.count; number += 1) this.#clients.push(client(number));
    this.#prober = client(options.count);
  }

  start(): void {
    this.#running = true;
    for (const client of this.#clients) client.start(() => this.#running);
  }

  /** No new operations. */
  stop(): void {
    this.#running = false;
  }
  get isQuiet(): boolean {
    return this.#clients.every(({ isBusy }) => !isBusy);
  }
  /** Operations that are under way are noted as uncertain. */
  close(): void {
    for (const client of this.#clients) client.close();
    this.#prober.close();
  }
  /** A write that must succeed: the cluster goes on. */
  probe(): Promise<WriteResult> {
    return this.#prober.probe();
  }
}

class StoreClient {
  readonly #number: number;
  readonly #options: ClientsOptions;
  readonly #workload: Workload;
  readonly #counts: Clients["counts"];
  readonly #random: SeededRandom;
  readonly #client: KvClient;
  readonly #lockUser: LockUser;
  isBusy = false;

  constructor(number: number, options: ClientsOptions, workload: Workload, counts: Clients["counts"]) {
    const { core, clock, connect } = options;
    this.#number = number;
    this.#options = options;
    this.#workload = workload;
    this.#counts = counts;
    const random = options.random.fork(`client ${number}`);
    this.#random = random;
    this.#client = new KvClient({
      endpoints: options.endpoints,
      open: connect(number, random.fork("channels")),
      clock,
      backoff: createBackoff({ core, random: random.fork("backoff") }, { baseMs: 10, capMs: 300 }),
      ...{ timeoutMs: TIMEOUT_MS, silenceMs: SILENCE_MS },
    });
    this.#lockUser = new LockUser({ number, client: this.#client, clock, random, locks: options.locks });
  }

  start(goesOn: () => boolean): void {
    void this.#loop(goesOn);
    // A few watch, and a few compete for a lock.
    if (this.#number % 4 === 1) void this.#watch(goesOn);
    if (this.#number % 3 === 0) void this.#lockUser.run(goesOn);
  }

  close(): void {
    this.#client.close();
  }

  probe(): Promise<WriteResult> {
    return this.#client.put(`probe/${this.#workload.nextValue()}`, encode(this.#workload.nextValue()));
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => this.#options.clock.alarm(ms, resolve));
  }

  async #loop(goesOn: () => boolean): Promise<void> {
    const random = this.#random;
    while (goesOn()) {
      await this.#pause(-Math.log(1 - random.unit()) * this.#options.thinkMs);
      if (!goesOn()) break;
      this.isBusy = true;
      await this.#operate();
      this.isBusy = false;
    }
  }

  async #operate(): Promise<void> {
    const random = this.#random;
    const client = this.#client;
    const key = this.#workload.key(random);
    const die = random.unit();
    if (die < 0.4) {
      await this.#note({ kind: "get", key }, async () => {
        const item = await client.get(key);
        const value = item === undefined ? null : numberOf(item.value);
        if (value !== null) this.#workload.seen.set(key, value);
        return value;
      });
    } else if (die < 0.65) {
      const value = this.#workload.nextValue();
      await this.#note({ kind: "put", key, value }, () =>
        this.#write(key, value, client.put(key, encode(value))),
      );
    } else if (die < 0.85) {
      const from = this.#workload.seen.get(key) ?? 0;
      const to = this.#workload.nextValue();
      await this.#note({ kind: "compare-and-set", key, from, to }, () =>
        this.#write(key, to, client.compareAndSet(key, encode(from), encode(to))),
      );
    } else if (die < 0.95)
      await this.#note({ kind: "delete", key }, () => this.#write(key, null, client.delete(key)));
    else await this.#range(key.slice(0, 6));
  }

  async #write(key: string, value: number | null, writing: Promise<WriteResult>): Promise<boolean> {
    const { done, revision, previousRevision } = await writing;
    const returnedAt = this.#options.clock.monotonicMs();
    if (done && (value !== null || previousRevision > 0))
      this.#options.history.acknowledged.push({ key, value, revision, returnedAt });
    if (done && value !== null) this.#workload.seen.set(key, value);
    return value === null ? true : done;
  }

  async #note(input: KvInput, operation: () => Promise<KvOutput>): Promise<void> {
    const { clock, history } = this.#options;
    const calledAt = clock.monotonicMs();
    try {
      const output = await operation();
      history.operations.push({ input, output, calledAt, returnedAt: clock.monotonicMs(), by: this.#number });
      this.#counts.ok += 1;
    } catch {
      // Whether it was done is not known, and may show later. A read that failed says nothing.
      if (input.kind === "get") this.#counts.refused += 1;
      else {
        history.operations.push({
          ...{ input, output: undefined, calledAt },
          ...{ returnedAt: Number.POSITIVE_INFINITY, by: this.#number },
        });
        this.#counts.uncertain += 1;
      }
    }
  }

  async #range(prefix: string): Promise<void> {
    const { clock, history } = this.#options;
    const calledAt = clock.monotonicMs();
    const [from, to] = [prefix, `${prefix.slice(0, -1)}0`];
    try {
      const { items, revision } = await this.#client.range({ from, to });
      const found = items.map(({ key, value }) => ({ key, value: numberOf(value) }));
      history.ranges.push({
        ...{ from, to, revision, items: found, calledAt, by: this.#number },
      });
      this.#counts.ok += 1;
    } catch {
      this.#counts.refused += 1;
    }
  }

  /** Watches all keys, again behind what it has heard whenever the watch ends; where that is no longer kept, from now on. */
  async #watch(goesOn: () => boolean): Promise<void> {
    let fromRevision = 1;
    while (goesOn()) {
      const events: KvEvent[] = [];
      const began = fromRevision;
      let isCompacted = false;
      try {
        await this.#client.watch({
          keys: { from: "k", to: "l" },
          fromRevision: began,
          onEvents: (more) => events.push(...more),
        });
      } catch (error) {
        isCompacted = (error as { code?: string }).code === "KV_COMPACTED";
      }
      if (events.length > 0)
        this.#options.history.watches.push({
          from: "k",
          to: "l",
          fromRevision: began,
          events,
          by: this.#number,
        });
      fromRevision = (events.at(-1)?.revision ?? began - 1) + 1;
      await this.#pause(100);
      if (isCompacted && events.length === 0) fromRevision = await this.#revision(fromRevision);
    }
  }

  async #revision(otherwise: number): Promise<number> {
    try {
      return (await this.#client.range({ from: "k", to: "l", limit: 1 })).revision + 1;
    } catch {
      return otherwise;
    }
  }
}

function encode(value: number): Uint8Array {
  return utf8.encode(String(value));
}
