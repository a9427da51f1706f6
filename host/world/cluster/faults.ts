/**
 * What goes wrong in a simulated cluster, and when: drawn from the seed. Each kind comes and goes by itself, so that they meet. Everything is undone
 * by heal().
 */
import type { SimulatedClock } from "../clock.ts";
import { CALM_LINK, type LinkWeather, type PeerNetwork } from "../peer-network.ts";
import type { SeededRandom } from "../random.ts";
import type { SimulatedNode } from "./simulated-node.ts";

export const FAULTS = [
  "loss",
  "duplication",
  "delay",
  "partition",
  "one-way-partition",
  "clock-jump",
  "pause",
  "kill",
  "power-cut",
  "crash-in-disk-operation",
  "slow-disk",
  "full-disk",
  "failed-sync",
  "full-state",
  "transfer",
  "membership",
] as const;
export type Fault = (typeof FAULTS)[number];

/** Mean time between two of a kind, for the whole cluster. */
const EVERY_MS: Readonly<Record<Fault, number>> = {
  loss: 8_000,
  duplication: 8_000,
  delay: 10_000,
  partition: 9_000,
  "one-way-partition": 9_000,
  "clock-jump": 10_000,
  pause: 8_000,
  kill: 10_000,
  "power-cut": 8_000,
  "crash-in-disk-operation": 12_000,
  "slow-disk": 10_000,
  "full-disk": 20_000,
  "failed-sync": 25_000,
  "full-state": 15_000,
  transfer: 15_000,
  membership: 20_000,
};

const HOSTILE_PACE = 0.3;

export interface FaultTarget {
  readonly isHostile: boolean;
  /** What a disk's sync takes when nothing is wrong with it. */
  readonly syncMs: number;
  readonly clock: SimulatedClock;
  readonly random: SeededRandom;
  readonly network: PeerNetwork;
  /** Nodes that are members, or have been added. */
  processes(): readonly SimulatedNode[];
  /** Client hosts, which partitions cut off too. */
  readonly hosts: readonly number[];
  crash(member: SimulatedNode, kind: "kill" | "power"): void;
  leader(): SimulatedNode | undefined;
  /** Adds or removes a member, when that can be done now. */
  changeMembers(): void;
  note(fault: Fault, detail: string): void;
}

export class Faults {
  readonly #target: FaultTarget;
  readonly #kinds: readonly Fault[];
  /** Half of the worlds are hostile: faults come three times as often. */
  readonly #pace: number;
  #running = false;
  #weather: LinkWeather = CALM_LINK;
  count = 0;

  constructor(target: FaultTarget, kinds: readonly Fault[]) {
    this.#target = target;
    this.#kinds = kinds;
    this.#pace = target.isHostile ? HOSTILE_PACE : 1;
  }

  start(): void {
    this.#running = true;
    for (const kind of this.#kinds) this.#arm(kind);
  }

  /** Ends every fault; no more come. */
  heal(): void {
    this.#running = false;
    const { network } = this.#target;
    this.#weather = CALM_LINK;
    network.weather = CALM_LINK;
    network.heal();
    for (const member of this.#target.processes()) {
      member.resume();
      member.disk.syncMs = 0;
      member.disk.capacityBytes = Number.POSITIVE_INFINITY;
      member.disk.disarm();
      member.state.flushMs = 0;
    }
  }

  #arm(kind: Fault): void {
    const { clock, random } = this.#target;
    clock.alarm(-Math.log(1 - random.unit()) * EVERY_MS[kind] * this.#pace, () => {
      if (!this.#running) return;
      this.count += 1;
      this.#do(kind);
      this.#arm(kind);
    });
  }

  /** Later, unless all was healed meanwhile. */
  #after(ms: number, call: () => void): void {
    this.#target.clock.alarm(ms, () => {
      if (this.#running) call();
    });
  }

  #setWeather(change: Partial<LinkWeather>): void {
    this.#weather = { ...this.#weather, ...change };
    this.#target.network.weather = this.#weather;
  }

  #do(kind: Fault): void {
    const target = this.#target;
    const { random, network } = target;
    const lastsMs = 200 + random.unit() * 4_000;
    const processes = target.processes();
    const drawn = processes[random.below(processes.length)] as SimulatedNode;
    // Leaders are where it hurts.
    const victim = random.chance(0.5) ? (target.leader() ?? drawn) : drawn;
    switch (kind) {
      case "loss":
        target.note(kind, "some messages");
        this.#setWeather({ loss: 0.02 + random.unit() * 0.25 });
        this.#after(lastsMs, () => this.#setWeather({ loss: 0 }));
        return;
      case "duplication":
        target.note(kind, "some messages");
        this.#setWeather({ duplication: 0.05 + random.unit() * 0.3 });
        this.#after(lastsMs, () => this.#setWeather({ duplication: 0 }));
        return;
      case "delay":
        target.note(kind, "and reordering");
        this.#setWeather({ delayMsMax: 5 + random.unit() * 150 });
        this.#after(lastsMs, () => this.#setWeather(CALM_LINK));
        return;
      case "partition":
        this.#partition(victim, lastsMs);
        return;
      case "one-way-partition": {
        const others = processes.filter((member) => member !== victim && random.chance(0.7));
        const isOut = random.chance(0.5);
        target.note(kind, `${isOut ? "from" : "to"} node ${victim.id}`);
        for (const { id } of others) {
          if (isOut) network.cut(victim.id, id);
          else network.cut(id, victim.id);
        }
        this.#after(lastsMs, () => network.heal());
        return;
      }
      case "clock-jump":
        target.note(kind, `wall clock of node ${victim.id}`);
        victim.jumpWall((random.unit() - 0.5) * 7_200_000);
        return;
      case "pause":
        if (!victim.isUp || victim.isPaused) return;
        target.note(kind, `node ${victim.id}`);
        victim.pause();
        this.#after(random.unit() * 3_000, () => victim.resume());
        return;
      case "kill":
      case "power-cut":
        target.note(kind, `node ${victim.id}`);
        target.crash(victim, kind === "kill" ? "kill" : "power");
        return;
      case "crash-in-disk-operation":
        target.note(kind, `node ${victim.id}`);
        victim.disk.crashAfter(1 + random.below(20), random.chance(0.7) ? "power" : "kill");
        return;
      case "slow-disk":
        target.note(kind, `node ${victim.id}`);
        victim.disk.syncMs = random.unit() * 60;
        victim.state.flushMs = random.unit() * 200;
        this.#after(lastsMs, () => {
          victim.disk.syncMs = target.syncMs;
          victim.state.flushMs = 0;
        });
        return;
      case "full-disk":
        target.note(kind, `node ${victim.id}`);
        victim.disk.capacityBytes = victim.disk.usedBytes;
        this.#after(lastsMs, () => {
          victim.disk.capacityBytes = Number.POSITIVE_INFINITY;
        });
        return;
      case "failed-sync":
        target.note(kind, `node ${victim.id}`);
        victim.disk.failSyncs(1);
        return;
      case "full-state":
        target.note(kind, `node ${victim.id}`);
        victim.state.failTransactions(1 + random.below(5));
        return;
      case "transfer": {
        const leader = target.leader();
        if (leader?.node === undefined) return;
        target.note(kind, `to node ${drawn.id}`);
        try {
          leader.node.driver.transfer(drawn.id);
        } catch {
          // To itself, or to one that has no vote.
        }
        return;
      }
      case "membership":
        target.note(kind, "one node in or out");
        target.changeMembers();
        return;
    }
  }

  /** In two halves, or one node alone; clients are on either side. */
  #partition(victim: SimulatedNode, lastsMs: number): void {
    const { random, network, hosts, note } = this.#target;
    const ids = this.#target.processes().map(({ id }) => id);
    const alone = random.chance(0.5);
    const side = new Set(alone ? [victim.id] : ids.filter(() => random.chance(0.5)));
    for (const host of hosts) if (random.chance(0.5)) side.add(host);
    note("partition", `${[...side].filter((id) => ids.includes(id)).join(", ")} from the others`);
    const all = [...ids, ...hosts];
    for (const a of all) for (const b of all) if (side.has(a) !== side.has(b)) network.cut(a, b);
    this.#after(lastsMs, () => network.heal());
  }
}
