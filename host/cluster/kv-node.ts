/**
 * One node of the replicated key-value store: the machine, run by a Raft driver, with what the machine leaves to its host. While it leads
 * it gives the log its time, by which leases end; and it knows where the other nodes are, which stands in the store itself, under keys
 * that begin with `$` and that clients may read and not write.
 *
 * ```
 *   $peers/<id>     host:port of a node's transport between nodes
 *   $clients/<id>   host:port at which it serves clients
 * ```
 */
import { TardigradeError } from "../../protocols/error.ts";
import type { Clock, Dispose } from "../io/seams.ts";
import type { StateStore } from "../store/state-store.ts";
import { writeBehind } from "../store/write-behind.ts";
import { parseAddress } from "./address.ts";
import { kvReplica } from "./driver/kv-replica.ts";
import type { DriverStatus, RaftDriverOptions } from "./driver/options.ts";
import type { ProposalListener } from "./driver/proposals.ts";
import { RaftDriver } from "./driver/raft-driver.ts";
import { encodeCommand } from "./kv/command.ts";
import { KvMachine, type KvMachineOptions } from "./kv/machine.ts";
import type { KvItem, KvRange, KvRangeOptions } from "./kv/read.ts";
import type { KvResult, KvResults } from "./kv/result.ts";
import type { Watcher, WatchOptions } from "./kv/watch.ts";

export const RESERVED = "$";
/** The first text behind all reserved keys. */
export const RESERVED_END = "%";
const PEERS = "$peers/";
const PEERS_END = "$peers0";
const CLIENTS = "$clients/";
const LEASE_TICK_MS = 500;

export interface KvNodeOptions
  extends Omit<RaftDriverOptions<KvResults>, "machine">,
    Pick<KvMachineOptions, "limits" | "watch"> {
  /** Durable after flush(). It is written behind the log: what it lacks after a crash comes from there. */
  readonly store: StateStore;
  /** Where nodes are, before the store says so; a leader writes there what it does not say yet. */
  readonly nodes?: ReadonlyMap<number, NodeAddresses>;
  /** How often a leader gives the log its time, while there are leases. */
  readonly leaseTickMs?: number;
}

/** Raft has witnesses, too; a node of this store holds its data, or its reads would say that there is none. */
export type NodeRole = "voter" | "learner";

/** host:port each. */
export interface NodeAddresses {
  readonly peer: string;
  readonly client: string;
}

export interface KvNodeStatus extends DriverStatus {
  readonly revision: number;
  readonly keys: number;
  readonly leases: number;
  readonly sessions: number;
}

const utf8 = new TextEncoder();
const text = new TextDecoder();

export class KvNode {
  readonly id: number;
  readonly #machine: KvMachine;
  readonly #driver: RaftDriver<KvResults>;
  readonly #clock: Clock;
  readonly #store: StateStore;
  readonly #nodes: ReadonlyMap<number, NodeAddresses>;
  readonly #leaseTickMs: number;
  #peerWatcher: Watcher;
  readonly #disposers: Dispose[];
  #tickAlarm: Dispose = () => undefined;
  /** The log's time, and this clock's, at this leader's first tick. */
  #base: { readonly logMs: number; readonly clockMs: number } | undefined;
  #isTicking = false;

  /** Throws what KvMachine.open() and the driver throw. */
  constructor(options: KvNodeOptions) {
    const { limits, watch, clock, nodes = new Map(), leaseTickMs = LEASE_TICK_MS } = options;
    const store = writeBehind({ store: options.store, clock });
    this.id = options.id;
    this.#clock = clock;
    this.#store = store;
    this.#nodes = nodes;
    this.#leaseTickMs = leaseTickMs;
    this.#machine = KvMachine.open({
      store,
      ...(limits === undefined ? {} : { limits }),
      ...(watch === undefined ? {} : { watch }),
    });
    this.#driver = new RaftDriver({ ...options, machine: kvReplica(this.#machine, store) });
    this.#peerWatcher = this.#watchPeers();
    this.#applyPeers();
    this.#disposers = [
      this.#driver.onLeading((leading) => this.#leading(leading)),
      () => this.#tickAlarm(),
      () => this.#peerWatcher.close(),
    ];
  }

  get isLeader(): boolean {
    return this.#driver.isLeader;
  }
  get leader(): number {
    return this.#driver.leader;
  }
  get isStopped(): boolean {
    return this.#driver.isStopped;
  }
  get status(): KvNodeStatus {
    const { revision, keys, leases, sessions } = this.#machine.meta;
    return { ...this.#driver.status, revision, keys, leases, sessions };
  }
  get machine(): KvMachine {
    return this.#machine;
  }
  get driver(): RaftDriver<KvResults> {
    return this.#driver;
  }

  /** A command of kv/command.ts. Throws as RaftDriver.propose(). */
  propose(command: Uint8Array, listener: ProposalListener<KvResults>): void {
    this.#driver.propose(command, listener);
  }

  /** Proposes and waits. Rejects as propose() throws, or as its listener is told. */
  execute(command: Uint8Array): Promise<KvResult> {
    return new Promise((resolve, reject) => {
      this.#driver.propose(command, {
        applied: (results, slot) => resolve(results.at(slot)),
        failed: reject,
      });
    });
  }

  /** Linearizable, at any node. Rejects as RaftDriver.read(). */
  async get(key: string): Promise<KvItem | undefined> {
    await this.#driver.read();
    return this.#machine.get(key);
  }
  async range(options: KvRangeOptions): Promise<KvRange> {
    await this.#driver.read();
    return this.#machine.range(options);
  }
  watch(options: WatchOptions): Watcher {
    return this.#machine.watch(options);
  }

  /** Of a node's clients; undefined where the store does not say. */
  clientAddress(id: number): string | undefined {
    const item = this.#machine.get(`${CLIENTS}${id}`);
    return item === undefined ? this.#nodes.get(id)?.client : text.decode(item.value);
  }

  /** Writes where a node is. Rejects as execute(). */
  async announce(id: number, { peer, client }: NodeAddresses): Promise<void> {
    parseAddress(peer);
    parseAddress(client);
    await this.#put(`${PEERS}${id}`, peer);
    await this.#put(`${CLIENTS}${id}`, client);
  }

  /**
   * Adds a node, which has been started to join: first as a learner, so that it catches up without a vote. Promote it by the same call with another
   * role. Rejects with RAFT_NOT_LEADER, RAFT_CHANGE_PENDING, RAFT_NOT_READY, ARGUMENT.
   */
  add(id: number, role: NodeRole): void {
    const { members } = this.#driver.status;
    this.#driver.change([...members.filter((member) => member.id !== id), { id, role }]);
  }

  /** Throws as add(). */
  remove(id: number): void {
    const { members } = this.#driver.status;
    if (!members.some((member) => member.id === id))
      throw new TardigradeError("ARGUMENT", `Node ${id} is no member; \`tardi cluster status\` names them.`);
    this.#driver.change(members.filter((member) => member.id !== id));
  }

  async stop(): Promise<void> {
    for (const dispose of this.#disposers) dispose();
    await this.#driver.stop();
    // What is lost here comes from the log.
    await this.#store.close().catch(() => undefined);
  }

  #put(key: string, value: string): Promise<KvResult> {
    return this.execute(encodeCommand({ op: "put", key, value: utf8.encode(value) }));
  }

  // ---- where the others are

  #watchPeers(): Watcher {
    return this.#machine.watch({
      prefix: PEERS,
      onReady: () => {
        this.#peerWatcher.take();
        // A snapshot took the place of the state.
        if (this.#peerWatcher.ended === "KV_COMPACTED") this.#peerWatcher = this.#watchPeers();
        this.#applyPeers();
      },
    });
  }

  #applyPeers(): void {
    const peers = new Map([...this.#nodes].map(([id, { peer }]) => [id, parseAddress(peer)]));
    for (const { key, value } of this.#machine.range({ from: PEERS, to: PEERS_END }).items) {
      const id = Number(key.slice(PEERS.length));
      if (Number.isInteger(id) && id > 0) peers.set(id, parseAddress(text.decode(value)));
    }
    this.#driver.setPeers(peers);
  }

  // ---- the log's time

  #leading(leading: boolean): void {
    this.#tickAlarm();
    this.#base = undefined;
    if (!leading) return;
    this.#armTick();
    for (const [id, addresses] of this.#nodes) {
      if (this.#machine.get(`${CLIENTS}${id}`) !== undefined) continue;
      // Another leader will, when this one's time is over before it is done.
      this.announce(id, addresses).catch(() => undefined);
    }
  }

  #armTick(): void {
    this.#tickAlarm = this.#clock.alarm(
      this.#leaseTickMs,
      () => {
        this.#armTick();
        this.#tick();
      },
      { background: true },
    );
  }

  #tick(): void {
    if (this.#isTicking || this.#machine.meta.leases === 0 || !this.isLeader) return;
    // The time that the leaders before have given goes on; it may stand a little, and never jumps ahead.
    this.#base ??= { logMs: this.#machine.timeMs, clockMs: this.#clock.monotonicMs() };
    const base = this.#base;
    const timeMs = Math.floor(base.logMs + this.#clock.monotonicMs() - base.clockMs);
    this.#isTicking = true;
    this.execute(encodeCommand({ op: "tick", timeMs })).then(
      (result) => {
        this.#isTicking = false;
        if (result.code === "OK" && result.more) this.#tick();
      },
      () => {
        this.#isTicking = false;
      },
    );
  }
}

/** Whether a command's keys are the cluster's own. */
export function isReserved(key: string): boolean {
  return key.startsWith(RESERVED);
}
