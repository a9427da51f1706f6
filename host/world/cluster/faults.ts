/**
 * What goes wrong in a simulated cluster, and when: drawn from the seed. Each kind comes and goes by itself, so that they meet. Everything is undone
 * by heal().
 */
import type { SimulatedClock } from "../clock.ts";
import { CALM_LINK, type LinkWeather, type PeerNetwork } from "../peer-network.ts";
import type { SeededRandom } from "../random.ts";
import type { Reads } from "./reads.ts";
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
  "majority-power-cut",
  "fall-of-leader",
  "isolated-leader",
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
  membership: 15_000,
  "majority-power-cut": 10_000,
  "fall-of-leader": 8_000,
  "isolated-leader": 5_000,
};
/** These wait for their moment, which comes where little else is wrong. */
const AIMED: ReadonlySet<Fault> = new Set(["majority-power-cut", "fall-of-leader", "isolated-leader"]);

/** Worlds differ in what they are made of. Paces stretch the times between two faults of a kind. */
export const TEMPERS = {
  steady: { pace: 1, aimedPace: 1, restartMs: 4_000, syncMs: 5 },
  hostile: { pace: 0.3, aimedPace: 1, restartMs: 600, syncMs: 30 },
  aimed: { pace: 3, aimedPace: 0.3, restartMs: 600, syncMs: 5 },
} as const;
export type Temper = (typeof TEMPERS)[keyof typeof TEMPERS];

/** How long messages are under way at most when a leader is cut off while its answers come late. */
const LATE_MS = 150;

export interface FaultTarget {
  readonly temper: Temper;
  /** What a disk's sync takes when nothing is wrong with it. */
  readonly syncMs: number;
  readonly clock: SimulatedClock;
  readonly random: SeededRandom;
  readonly network: PeerNetwork;
  /** Nodes that are members, or have been added. */
  processes(): readonly SimulatedNode[];
  /** Client hosts, which partitions cut off too. */
  readonly hosts: readonly number[];
  /** `backMs`: when it is started again; else when the supervisor of this world comes to it. */
  crash(member: SimulatedNode, kind: "kill" | "power", backMs?: number): void;
  leader(): SimulatedNode | undefined;
  /** Adds or removes a member, when that can be done now. */
  changeMembers(): void;
  readonly reads: Reads;
  note(fault: Fault, detail: string): void;
}

export class Faults {
  readonly #target: FaultTarget;
  readonly #kinds: readonly Fault[];
  #running = false;
  /** Each waits for its moment, and comes once. */
  #atCommit: ((leader: SimulatedNode) => void)[] = [];
  #atElection: ((leader: SimulatedNode) => void)[] = [];
  #weather: LinkWeather = CALM_LINK;
  count = 0;

  constructor(target: FaultTarget, kinds: readonly Fault[]) {
    this.#target = target;
    this.#kinds = kinds;
  }

  start(): void {
    this.#running = true;
    for (const kind of this.#kinds) this.#arm(kind);
  }

  /** A leader tells of entries that are newly committed. */
  committed(leader: SimulatedNode): void {
    this.#spring(this.#atCommit, leader);
  }
  /** A node has begun to lead. */
  elected(leader: SimulatedNode): void {
    this.#spring(this.#atElection, leader);
  }

  /** Not within the node's own call. */
  #spring(traps: ((leader: SimulatedNode) => void)[], leader: SimulatedNode): void {
    for (const trap of traps.splice(0)) this.#after(0, () => trap(leader));
  }

  /** Ends every fault; no more come. */
  heal(): void {
    this.#running = false;
    this.#atCommit = [];
    this.#atElection = [];
    const { network } = this.#target;
    this.#weather = CALM_LINK;
    network.weather = CALM_LINK;
    network.heal();
    for (const member of this.#target.processes()) {
      member.resume();
      member.drift("own");
      member.hasLowDice = false;
      member.disk.syncMs = 0;
      member.disk.capacityBytes = Number.POSITIVE_INFINITY;
      member.disk.disarm();
      member.state.flushMs = 0;
    }
  }

  #arm(kind: Fault): void {
    const { clock, random, temper } = this.#target;
    const pace = AIMED.has(kind) ? temper.aimedPace : temper.pace;
    clock.alarm(-Math.log(1 - random.unit()) * EVERY_MS[kind] * pace, () => {
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
        // Reads by way of the leader, whose answers come late and out of order.
        target.reads.press(drawn, { everyMs: 10 + random.unit() * 30, forMs: Math.min(lastsMs, 1_000) });
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
        // One after the other is tried: a leader must refuse the second until the first is committed.
        target.note(kind, "nodes in or out");
        for (let changes = 1 + random.below(3); changes > 0; changes -= 1) target.changeMembers();
        return;
      case "majority-power-cut":
        this.#atCommit.push((leader) => this.#cutMajority(leader));
        return;
      case "fall-of-leader":
        this.#atElection.push((leader) => this.#fall(leader));
        return;
      case "isolated-leader":
        this.#isolate();
        return;
    }
  }

  /** Right after a commit the power goes at so many nodes that they were needed for it. */
  #cutMajority(leader: SimulatedNode): void {
    const { random, note, crash } = this.#target;
    const others = this.#target.processes().filter((member) => member !== leader && member.isUp);
    shuffle(others, random);
    const majority = Math.floor((others.length + 1) / 2) + 1;
    const victims = random.chance(0.7) ? [leader, ...others] : others;
    const cut = victims.slice(0, majority);
    note("majority-power-cut", `nodes ${cut.map(({ id }) => id).join(", ")}`);
    for (const member of cut) crash(member, "power");
  }

  /** A leader ends when it has only just begun, its first entries being on few nodes (thesis, figure 3.7). */
  #fall(leader: SimulatedNode): void {
    const { random, note, crash, network, syncMs } = this.#target;
    const ids = this.#target.processes().map(({ id }) => id);
    const reached = random.chance(0.6) ? [] : ids.filter(() => random.chance(0.3));
    for (const id of ids) if (id !== leader.id && !reached.includes(id)) network.cut(leader.id, id);
    this.#after(random.unit() * (2 * syncMs + 60), () => {
      network.heal();
      if (!leader.isUp) return;
      note("fall-of-leader", `node ${leader.id}`);
      crash(leader, random.chance(0.5) ? "kill" : "power");
    });
  }

  /**
   * A leader that does not know that it is one no more, and is read at. Others may have heard nothing of it for long, and campaign; those that
   * have may be restarted when it is cut off, and must not do then what they would not have done before. Its clock may be slow, and the others' fast; and one of
   * them may campaign as early as it can.
   */
  #isolate(): void {
    const { random, network } = this.#target;
    const leader = this.#target.leader();
    if (leader === undefined) return;
    const others = this.#target.processes().filter((member) => member !== leader && member.isUp);
    shuffle(others, random);
    const spare = Math.ceil((others.length + 1) / 2) - 1;
    const rivals = random.chance(0.3) ? others.splice(0, spare) : [];
    const cutOut = (members: readonly SimulatedNode[]): void => {
      for (const { id } of members) network.cut(leader.id, id);
    };
    const cutIn = (members: readonly SimulatedNode[]): void => {
      for (const { id } of members) network.cut(id, leader.id);
    };
    cutOut(rivals);
    cutIn(rivals);
    // Answers to its heartbeats are under way for long, and go on to arrive when it is heard no more.
    const areLate = random.chance(0.3);
    if (areLate) this.#setWeather({ delayMsMax: LATE_MS });
    const isSkewed = random.chance(0.8);
    if (isSkewed) for (const member of [...rivals, ...others]) member.drift("fast");
    if (isSkewed) leader.drift("slow");
    const [first] = others;
    if (first !== undefined) first.hasLowDice = random.chance(0.8);
    this.#after(rivals.length === 0 ? 2 * LATE_MS : 300 + random.unit() * 300, () => {
      const all = [...rivals, ...others];
      cutOut(all);
      if (areLate) {
        this.#setWeather(CALM_LINK);
        this.#after(LATE_MS, () => cutIn(all));
      } else cutIn(all);
      this.#strand(leader, rivals.length > 0 && random.chance(0.5) ? others : []);
    });
  }

  /** `restarted`: they come back at once. */
  #strand(leader: SimulatedNode, restarted: readonly SimulatedNode[]): void {
    const { random, note, crash, network, reads } = this.#target;
    note("isolated-leader", `node ${leader.id}, ${restarted.length} restarted`);
    for (const member of restarted) if (member.isUp) crash(member, "kill", 5 + random.unit() * 50);
    // Until it would have stepped down, whatever its clock.
    reads.press(leader, { everyMs: 4 + random.unit() * 4, forMs: 400 });
    this.#after(400 + random.unit() * 800, () => {
      network.heal();
      for (const member of this.#target.processes()) {
        member.drift("own");
        member.hasLowDice = false;
      }
    });
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

function shuffle<T>(items: T[], random: SeededRandom): void {
  for (let at = items.length - 1; at > 0; at -= 1) {
    const other = random.below(at + 1);
    [items[at], items[other]] = [items[other] as T, items[at] as T];
  }
}
