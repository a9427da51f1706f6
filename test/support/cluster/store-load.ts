/** Clients of a real store at work, and the verdict on what they were told: the workload and the judges of the simulated world, on the real clock. */
import type { OpenKvChannel } from "../../../host/cluster/client/channel.ts";
import { KvClient } from "../../../host/cluster/client/kv-client.ts";
import type { KvEvent } from "../../../host/cluster/kv/events.ts";
import { openCore } from "../../../host/core/core.ts";
import { readCoreBytes } from "../../../host/core/core-bytes.ts";
import { createBackoff } from "../../../host/core/policy/backoff.ts";
import { systemClock } from "../../../host/io/clock.ts";
import { Clients } from "../../../host/world/cluster/clients.ts";
import { History } from "../../../host/world/cluster/history.ts";
import { judgeAnswers } from "../../../host/world/cluster/judge.ts";
import { Locks } from "../../../host/world/cluster/locks.ts";
import { seededRandom } from "../../../host/world/random.ts";

const OPERATIONS_A_KEY = 60;
const STEPS_MAX = 10_000_000;
const QUIET_MS = 15_000;
/** All clocks are one here; as much as a holder must allow for. */
const CLOCK_DRIFT = 0.01;

export interface StoreLoadOptions {
  readonly endpoints: readonly string[];
  readonly open: OpenKvChannel;
  readonly clients: number;
  readonly thinkMs: number;
  readonly seed: number;
}

export class StoreLoad {
  readonly #core = openCore(readCoreBytes());
  readonly #clock = systemClock();
  readonly #options: StoreLoadOptions;
  readonly #history = new History();
  readonly #locks = new Locks(CLOCK_DRIFT);
  readonly #clients: Clients;
  /** All changes of the clients' keys, as one who watches from the first on is told. */
  readonly #changes: KvEvent[] = [];
  #watcher: KvClient | undefined;
  #isOver = false;

  constructor(options: StoreLoadOptions) {
    this.#options = options;
    const { endpoints, open, clients, thinkMs, seed } = options;
    this.#clients = new Clients({
      ...{ core: this.#core, clock: this.#clock, random: seededRandom(seed), endpoints, thinkMs },
      ...{ history: this.#history, locks: this.#locks, connect: () => open },
      ...{ count: clients, operationsAKey: OPERATIONS_A_KEY },
    });
  }

  newClient(timeoutMs: number, endpoints = this.#options.endpoints): KvClient {
    const random = seededRandom(this.#options.seed + 1);
    return new KvClient({
      ...{ endpoints, open: this.#options.open, clock: this.#clock, timeoutMs, silenceMs: 1_000 },
      backoff: createBackoff({ core: this.#core, random }, { baseMs: 10, capMs: 200 }),
    });
  }

  start(): void {
    this.#clients.start();
    void this.#watch();
  }

  get counts(): Clients["counts"] {
    return this.#clients.counts;
  }
  get acknowledged(): number {
    return this.#history.acknowledged.length;
  }
  /** Of reads and writes. */
  get answered(): number {
    return this.#clients.counts.ok;
  }

  async pause(ms: number): Promise<void> {
    await new Promise<void>((resolve) => this.#clock.alarm(ms, resolve));
  }

  /** Resolves with the milliseconds until so many more writes were acknowledged. */
  async moreAcknowledged(count: number, limitMs: number): Promise<number> {
    const [began, from] = [this.#clock.monotonicMs(), this.acknowledged];
    while (this.acknowledged < from + count) {
      if (this.#clock.monotonicMs() - began > limitMs)
        throw new Error(`Only ${this.acknowledged - from} writes of ${count} in ${limitMs} ms.`);
      await this.pause(2);
    }
    return this.#clock.monotonicMs() - began;
  }

  /** At one node after the other: one that was sent a snapshot no longer knows what happened before it. */
  async #watch(): Promise<void> {
    const { endpoints } = this.#options;
    for (let turn = 0; !this.#isOver; turn += 1) {
      const at = turn % endpoints.length;
      this.#watcher = this.newClient(10_000, [...endpoints.slice(at), ...endpoints.slice(0, at)]);
      await this.#watcher
        .watch({
          keys: { from: "k", to: "l" },
          fromRevision: (this.#changes.at(-1)?.revision ?? 0) + 1,
          onEvents: (events) => this.#changes.push(...events),
        })
        .catch(() => undefined);
      this.#watcher.close();
      await this.pause(20);
    }
  }

  /** Lets all clients come to their end and judges. Undefined when every answer was right. */
  async judge(): Promise<string | undefined> {
    this.#clients.stop();
    const endMs = this.#clock.monotonicMs() + QUIET_MS;
    while (!this.#clients.isQuiet && this.#clock.monotonicMs() < endMs) await this.pause(10);
    // A change behind all others shows that the watch has told them all.
    const last = this.newClient(10_000);
    const { revision } = await last.put("k~end", new TextEncoder().encode("0"));
    last.close();
    while ((this.#changes.at(-1)?.revision ?? 0) < revision) {
      if (this.#clock.monotonicMs() > endMs) return `the watch stands at ${this.#changes.at(-1)?.revision}`;
      await this.pause(10);
    }
    this.close();
    return (
      judgeAnswers(this.#history, this.#changes) ?? this.#locks.judge() ?? this.#history.judge(STEPS_MAX)
    );
  }

  close(): void {
    this.#isOver = true;
    this.#clients.stop();
    this.#clients.close();
    this.#watcher?.close();
  }
}
