/**
 * One node of a simulated cluster as a process on a machine: the shipped node on a disk, a state store and a clock that outlive it. It is
 * started, killed, paused, and its power is cut.
 */

import type { MachineEntry } from "../../cluster/driver/replicated-machine.ts";
import type { KvLimits } from "../../cluster/kv/limits.ts";
import { KvNode } from "../../cluster/kv-node.ts";
import { openRaftLog, type RaftLog } from "../../cluster/raft-log/raft-log.ts";
import type { PeerTransport } from "../../cluster/transport/peer-transport.ts";
import type { Core } from "../../core/core.ts";
import type { RaftMember, RaftOptions } from "../../core/raft.ts";
import type { Clock } from "../../io/seams.ts";
import type { SimulatedClock } from "../clock.ts";
import { SimulatedDisk } from "../disk.ts";
import type { PeerNetwork } from "../peer-network.ts";
import type { SeededRandom } from "../random.ts";
import { SkewedClock } from "../skewed-clock.ts";
import { SimulatedState } from "../state.ts";
import { LogBook } from "./log-book.ts";

/** Off the top of each number, where dice fall low. */
const LOW_DICE_BITS = 5;

export interface SimulatedNodeOptions {
  readonly id: number;
  readonly core: Core;
  readonly clock: SimulatedClock;
  readonly random: SeededRandom;
  readonly network: PeerNetwork;
  readonly members: readonly RaftMember[];
  readonly raft: Omit<RaftOptions, "id">;
  readonly limits: Partial<KvLimits>;
  readonly tickMs: number;
  readonly segmentBytes: number;
  /** How far its clock is from true time: that share fast, or slow. */
  readonly drift: number;
  /** As far as it may be. */
  readonly driftMax: number;
  /** The node stopped by itself: its log or its machine failed, or its disk's crash came. */
  readonly onFatal: (member: SimulatedNode, error: Error) => void;
  readonly onApplied?: (member: SimulatedNode, entries: readonly MachineEntry[]) => void;
  /** It took a leader's snapshot over. */
  readonly onSnapshot?: () => void;
  readonly onLeading?: (member: SimulatedNode, term: number) => void;
  /** It gives its log entries that change the members, at these indexes; before them there was one at `before`, or 0. */
  readonly onChanges?: (member: SimulatedNode, indexes: readonly number[], before: number) => void;
  /** After a crash something was gone that its log had called durable, or a second vote was saved in a term. */
  readonly onBroken?: (member: SimulatedNode, what: string) => void;
}

interface Running {
  readonly node: KvNode;
  readonly log: RaftLog;
  readonly transport: PeerTransport;
  readonly clock: SkewedClock;
  readonly sinceMs: number;
}

export class SimulatedNode {
  readonly id: number;
  readonly disk: SimulatedDisk;
  readonly state: SimulatedState;
  readonly book = new LogBook();
  readonly #options: SimulatedNodeOptions;
  #running: Running | undefined;
  /** Tells a start from one that a crash has overtaken. */
  #life = 0;
  #starting = -1;
  #clock: SkewedClock;
  #drift: number;
  /** Its dice fall low: it campaigns as early as it may. */
  hasLowDice = false;

  constructor(options: SimulatedNodeOptions) {
    const { id, random, clock, drift } = options;
    this.id = id;
    this.#options = options;
    this.#drift = drift;
    this.#clock = new SkewedClock(clock, 1 + drift);
    // Whatever a sync or a flush lets go on belongs to the process of now, and waits while that is paused.
    const current: Clock = {
      monotonicMs: () => this.#clock.monotonicMs(),
      wallMs: () => this.#clock.wallMs(),
      alarm: (delayMs, call) => this.#clock.alarm(delayMs, call),
    };
    this.disk = new SimulatedDisk({ random: random.fork("disk"), clock: current });
    this.state = new SimulatedState({ random: random.fork("state"), clock: current });
  }

  /** Undefined while it is down, or not up yet. */
  get node(): KvNode | undefined {
    return this.#running?.node;
  }
  /** By its own clock; 0 while it is down. */
  get upMs(): number {
    const running = this.#running;
    return running === undefined ? 0 : running.clock.monotonicMs() - running.sinceMs;
  }
  get isUp(): boolean {
    return this.#running !== undefined;
  }
  get isPaused(): boolean {
    return this.#clock.isPaused;
  }

  /** Nothing when it is up, or on its way. */
  async start(): Promise<void> {
    if (this.isUp || this.#starting === this.#life) return;
    const { id, random, network, segmentBytes, clock } = this.#options;
    this.#life += 1;
    this.#starting = this.#life;
    const life = this.#life;
    this.#clock = new SkewedClock(clock, 1 + this.#drift);
    const own = this.#clock;
    const fair = random.fork(`life ${life}`);
    const dice: SeededRandom = { ...fair, u32: () => fair.u32() >>> (this.hasLowDice ? LOW_DICE_BITS : 0) };
    let log: RaftLog;
    try {
      log = await openRaftLog({
        disk: this.disk.mount(),
        folder: "raft",
        clock: own,
        random: dice,
        segmentBytes,
      });
    } catch (error) {
      // It died while it was starting.
      if (life === this.#life) this.#options.onFatal(this, error as Error);
      return;
    }
    if (life !== this.#life) return;
    this.#starting = -1;
    const lost = this.book.reopened(log.recovered);
    if (lost !== undefined) this.#options.onBroken?.(this, lost);
    const transport = network.transport(id, (call) => own.run(call));
    const watched = this.book.watch(log, {
      onChanges: (indexes, before) => this.#options.onChanges?.(this, indexes, before),
      onSecondVote: (what) => this.#options.onBroken?.(this, what),
    });
    let node: KvNode;
    try {
      node = this.#node(watched, transport, own, dice);
    } catch (error) {
      await transport.close();
      if (life === this.#life) this.#options.onFatal(this, error as Error);
      return;
    }
    this.#running = { node, log, transport, clock: own, sinceMs: own.monotonicMs() };
    node.driver.onLeading((leading, term) => {
      if (leading) this.#options.onLeading?.(this, term);
    });
    node.driver.onFatal((error) => {
      if (life === this.#life) this.#options.onFatal(this, error);
    });
  }

  #node(log: RaftLog, transport: PeerTransport, clock: SkewedClock, random: SeededRandom): KvNode {
    const { id, core, members, raft, limits, tickMs } = this.#options;
    return new KvNode({
      ...{ id, core, log, transport, clock, random, members, raft, limits, tickMs },
      store: this.state.mount(),
      retryMs: 50,
      meter: {
        count: (name, labels) => {
          if (name === "tardigrade_raft_snapshots_total" && labels?.direction === "installed")
            this.#options.onSnapshot?.();
        },
        gauge: () => undefined,
        duration: () => undefined,
      },
      onApplied: (entries) => this.#options.onApplied?.(this, entries),
    });
  }

  /** "power": what was not synced may be gone; "kill": the process alone ends. */
  crash(kind: "power" | "kill"): void {
    this.#life += 1;
    const running = this.#running;
    this.#running = undefined;
    this.#clock.end();
    if (kind === "power") this.disk.powerCut();
    else this.disk.kill();
    this.state.crash(kind === "kill");
    if (running === undefined) return;
    void running.transport.close();
    void running.node.stop();
  }

  /** Calls within the process: later when it is paused, never when it is dead. */
  run(call: () => void): void {
    this.#clock.run(call);
  }
  get life(): number {
    return this.#life;
  }

  /** What arrives while it is paused is taken when it goes on. */
  pause(): void {
    if (this.isUp) this.#clock.pause();
  }
  resume(): void {
    this.#clock.resume();
  }
  /** Its clock runs as wrong as it may, from now on; "own": as it did at first. */
  drift(way: "fast" | "slow" | "own"): void {
    const { drift, driftMax } = this.#options;
    this.#drift = way === "own" ? drift : way === "fast" ? driftMax : -driftMax;
    this.#clock.setRate(1 + this.#drift);
  }
  jumpWall(ms: number): void {
    this.#clock.jumpWall(ms);
  }
}
