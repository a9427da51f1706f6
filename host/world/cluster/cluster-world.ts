/**
 * A cluster of the replicated key-value store with its clients, in one process and in virtual time: the shipped driver, log, machine, service and
 * client, on simulated clocks, disks and network. One number replays it all.
 *
 * ```
 *   |<------------------- forMs: faults, clients ------------------->|<- heal, progress ->|<- judgement ->|
 * ```
 * Always checked: election safety, leader completeness, log matching, state machine safety, and what they rest on (testimony.ts, reads.ts); and at the end that what clients were told is what one
 * copy could have told them, that nothing acknowledged is lost and nothing done twice, that leases exclude, that the cluster goes on once
 * it is healed, and that all nodes then hold the same bytes.
 */
import { crc32 } from "../../../protocols/crc.ts";
import type { KvLimits } from "../../cluster/kv/limits.ts";
import type { Core } from "../../core/core.ts";
import type { RaftMember } from "../../core/raft.ts";
import { SimulatedClock } from "../clock.ts";
import { SimulatedCrash } from "../disk.ts";
import { PeerNetwork } from "../peer-network.ts";
import { type SeededRandom, seededRandom } from "../random.ts";
import { addressOf, simulatedChannels } from "./channels.ts";
import { Clients } from "./clients.ts";
import { type Fault, Faults, TEMPERS, type Temper } from "./faults.ts";
import { History } from "./history.ts";
import { Invariants } from "./invariants.ts";
import { Locks } from "./locks.ts";
import { Reads } from "./reads.ts";
import { Reference } from "./reference.ts";
import { SimulatedNode } from "./simulated-node.ts";
import { Testimony, type Witness } from "./testimony.ts";
import { Users, type WorldUser } from "./users.ts";

export interface ClusterWorldOptions {
  readonly core: Core;
  readonly seed: number;
  /** Virtual time with faults. */
  readonly forMs: number;
  /** Three or five by default: the seed draws. */
  readonly nodes?: number;
  readonly clients: number;
  readonly faults: readonly Fault[];
  /** Mean pause between two operations of a client. */
  readonly thinkMs: number;
  readonly users?: readonly WorldUser[];
  /** Told of each fault, for whoever follows. */
  readonly onEvent?: (atMs: number, what: string) => void;
}

export interface ClusterWorldReport {
  readonly seed: number;
  readonly nodes: number;
  /** Absent when nothing was violated. */
  readonly violation?: { readonly atMs: number; readonly what: string };
  readonly virtualMs: number;
  /** Nodes times seconds with faults armed. */
  readonly faultSeconds: number;
  readonly faults: number;
  readonly crashes: number;
  readonly elections: number;
  readonly commits: number;
  readonly messages: number;
  readonly snapshots: number;
  readonly operations: { readonly ok: number; readonly uncertain: number; readonly refused: number };
  readonly locked: number;
  /** Equal for equal runs: of what was committed, of all faults, and of what clients were told. */
  readonly digest: string;
}

const RAFT = {
  electionMs: 300,
  heartbeatMs: 60,
  payloadBytes: 1 << 16,
  messageBytes: 1 << 12,
  outboxBytes: 1 << 15,
  reads: 64,
};
/** Leases of leaders last nine tenths of an election time, so they hold while clocks run within a twentieth of true time. */
const LEASE_SHARE = 0.9;
const CLOCK_DRIFT = 0.01;
const CLOCK_DRIFT_MAX = 0.05;
const LIMITS: Partial<KvLimits> = { sessions: 200, leases: 200 };
const MEMBERS_MAX = 7;
const LOOK_MS = 1_000;
const PROGRESS_MS = 30_000;
const PROBE_MS = 100;
const OPERATIONS_A_KEY = 60;
/** Hosts of clients, beside the nodes'. */
const FIRST_CLIENT = 1000;
const STEPS_MAX = 4_000_000;

export async function runClusterWorld(options: ClusterWorldOptions): Promise<ClusterWorldReport> {
  const world = new ClusterWorld(options);
  return world.run();
}

class ClusterWorld {
  readonly #options: ClusterWorldOptions;
  readonly #clock = new SimulatedClock({ isPure: true });
  readonly #random;
  readonly #network: PeerNetwork;
  readonly #processes = new Map<number, SimulatedNode>();
  readonly #endpoints: string[] = [];
  readonly #reference = new Reference(LIMITS);
  readonly #testimony = new Testimony({
    witness: (id) => this.#witness(id),
    electionMs: RAFT.electionMs,
    onCommit: (leader) => this.#faults.committed(this.#processes.get(leader) as SimulatedNode),
  });
  readonly #invariants = new Invariants(this.#reference, this.#testimony);
  readonly #history = new History();
  readonly #locks: Locks;
  readonly #clients: Clients;
  readonly #users: Users;
  readonly #faults: Faults;
  readonly #hasLeases: boolean;
  readonly #drift: number;
  readonly #nodes: number;
  /** Held by a node's log: fewer, and nodes need snapshots more often. */
  readonly #entries: number;
  readonly #segmentBytes: number;
  readonly #restartMs: number;
  readonly #syncMs: number;
  readonly #first: readonly RaftMember[];
  #violation: { readonly atMs: number; readonly what: string } | undefined;
  #digest = 0;
  #crashes = 0;
  #snapshots = 0;
  #nextId: number;
  #healed = false;

  constructor(options: ClusterWorldOptions) {
    const { seed, core, clients, faults, thinkMs } = options;
    this.#options = options;
    this.#random = seededRandom(seed);
    this.#hasLeases = this.#random.chance(0.5);
    const tempers = Object.values(TEMPERS);
    const temper = tempers[this.#random.below(tempers.length)] as Temper;
    this.#restartMs = temper.restartMs;
    this.#syncMs = this.#random.unit() * temper.syncMs;
    const drawn = this.#random.chance(0.5) ? 3 : 5;
    this.#nodes = options.nodes ?? drawn;
    this.#entries = this.#random.chance(0.5) ? 64 : 256;
    this.#segmentBytes = this.#random.chance(0.5) ? 8_192 : 32_768;
    this.#drift = this.#random.chance(0.5) ? CLOCK_DRIFT : CLOCK_DRIFT_MAX;
    this.#locks = new Locks(this.#drift);
    const [clock, random] = [this.#clock, this.#random];
    this.#network = new PeerNetwork({ clock, random: random.fork("network") });
    this.#network.witness = {
      sent: (from, to, message) => this.#violated(this.#testimony.sent(from, to, message)),
      delivered: (from, to, message) => this.#testimony.delivered(from, to, message),
    };
    const ids = Array.from({ length: this.#nodes }, (_, at) => at + 1);
    this.#first = ids.map((id) => ({ id, role: "voter" }) as const);
    this.#nextId = this.#nodes + 1;
    for (const id of ids) this.#add(id, this.#first);
    this.#clients = new Clients({
      ...{
        core,
        clock,
        history: this.#history,
        locks: this.#locks,
        connect: (number: number, own: SeededRandom) =>
          simulatedChannels({
            ...{ clock, network: this.#network, processes: this.#processes },
            ...{ random: own, host: FIRST_CLIENT + number },
          }),
      },
      ...{
        random: random.fork("clients"),
        count: clients,
        thinkMs,
        operationsAKey: OPERATIONS_A_KEY,
        endpoints: this.#endpoints,
      },
    });
    this.#users = new Users({
      ...{ core, clock, network: this.#network, processes: this.#processes, endpoints: this.#endpoints },
      ...{ random: random.fork("users"), users: options.users ?? [] },
      onFailure: (what) => this.#violated(what),
    });
    this.#faults = new Faults(
      {
        ...{ clock, network: this.#network, random: random.fork("faults") },
        ...{ temper, syncMs: this.#syncMs },
        processes: () => [...this.#processes.values()],
        hosts: Array.from({ length: clients }, (_, at) => FIRST_CLIENT + at),
        crash: (member, kind, backMs) => this.#crash(member, kind, backMs),
        leader: () => this.#leader(),
        changeMembers: () => this.#changeMembers(),
        reads: new Reads({
          clock,
          commits: () => this.#reference.commits,
          onStale: (what) => this.#violated(what),
        }),
        note: (fault, detail) => this.#note(`${fault}: ${detail}`),
      },
      faults,
    );
  }

  async run(): Promise<ClusterWorldReport> {
    const { forMs } = this.#options;
    for (const member of this.#processes.values()) void member.start();
    this.#clients.start();
    this.#users.start();
    this.#faults.start();
    this.#look();
    await this.#until(() => false, forMs);
    if (this.#violation === undefined) await this.#heal();
    this.#clients.close();
    this.#users.close();
    if (this.#violation === undefined) await this.#judge();
    for (const member of this.#processes.values()) member.crash("kill");
    await this.#clock.settle();
    return {
      ...{ seed: this.#options.seed, nodes: this.#nodes },
      ...(this.#violation === undefined ? {} : { violation: this.#violation }),
      virtualMs: Math.round(this.#clock.monotonicMs()),
      faultSeconds: Math.round((Math.min(forMs, this.#clock.monotonicMs()) / 1000) * this.#nodes),
      faults: this.#faults.count,
      ...{ crashes: this.#crashes, elections: this.#invariants.elections, commits: this.#reference.commits },
      ...{
        messages: this.#network.delivered,
        snapshots: this.#snapshots,
        operations: { ...this.#clients.counts },
      },
      locked: this.#locks.used,
      digest: (
        crc32(new Uint8Array(Uint32Array.of(this.#digest, this.#reference.digest).buffer)) >>> 0
      ).toString(16),
    };
  }

  /** Until then, or a violation, or so long. */
  async #until(condition: () => boolean, limitMs: number): Promise<boolean> {
    const untilMs = this.#clock.monotonicMs() + limitMs;
    const isOver = (): boolean =>
      this.#violation !== undefined || condition() || this.#clock.monotonicMs() >= untilMs;
    // Time goes on to the limit even where nothing else is set.
    this.#clock.alarm(limitMs, () => undefined);
    await this.#clock.runUntil(isOver, { limitMs: limitMs + 1 });
    return condition();
  }

  #note(what: string): void {
    const atMs = Math.round(this.#clock.monotonicMs());
    this.#digest = crc32(new TextEncoder().encode(`${atMs} ${what}`), this.#digest);
    this.#options.onEvent?.(atMs, what);
  }

  #violated(what: string | undefined): void {
    if (what === undefined || this.#violation !== undefined) return;
    this.#violation = { atMs: Math.round(this.#clock.monotonicMs()), what };
    this.#note(`VIOLATION ${what}`);
  }

  // ---- nodes

  #add(id: number, members: readonly RaftMember[]): SimulatedNode {
    const random = this.#random.fork(`node ${id}`);
    const member = new SimulatedNode({
      ...{ id, core: this.#options.core, clock: this.#clock, network: this.#network, members, random },
      raft: { ...RAFT, entries: this.#entries, leaseMs: this.#hasLeases ? RAFT.electionMs * LEASE_SHARE : 0 },
      ...{ limits: LIMITS, tickMs: RAFT.heartbeatMs / 2, segmentBytes: this.#segmentBytes },
      ...{ drift: this.#driftOf(random), driftMax: this.#drift },
      onSnapshot: () => {
        this.#snapshots += 1;
      },
      onFatal: (ended, error) => this.#ended(ended, error),
      onApplied: (_, entries) => this.#violated(this.#reference.applied(entries)),
      onLeading: (leads, term) => {
        this.#note(`node ${leads.id} leads in term ${term}`);
        this.#violated(this.#invariants.elected(leads, term));
        this.#faults.elected(leads);
      },
      onChanges: (of, indexes, before) =>
        this.#violated(this.#testimony.changed(this.#witnessOf(of), indexes, before)),
      onBroken: (of, what) => this.#violated(`stable storage, node ${of.id}: ${what}`),
    });
    member.disk.syncMs = this.#syncMs;
    this.#processes.set(id, member);
    this.#endpoints.push(addressOf(id));
    return member;
  }

  /** Half of the clocks of a world are as wrong as a clock may be. */
  #driftOf(random: SeededRandom): number {
    const share = (random.unit() - 0.5) * 2;
    return this.#drift * (random.chance(0.5) ? Math.sign(share) : share);
  }

  #witness(id: number): Witness | undefined {
    const member = this.#processes.get(id);
    return member === undefined ? undefined : this.#witnessOf(member);
  }
  #witnessOf(member: SimulatedNode): Witness {
    const { id, book, upMs } = member;
    return { id, book, upMs, driver: member.node?.driver };
  }

  #leader(): SimulatedNode | undefined {
    let newest: SimulatedNode | undefined;
    for (const member of this.#processes.values()) {
      if (member.node?.isLeader !== true) continue;
      if (newest?.node === undefined || newest.node.status.term < member.node.status.term) newest = member;
    }
    return newest;
  }

  #crash(member: SimulatedNode, kind: "kill" | "power", backMs?: number): void {
    this.#crashes += 1;
    member.crash(kind);
    this.#restartLater(member, backMs);
  }

  /** As a supervisor does. */
  #restartLater(member: SimulatedNode, backMs = 50 + this.#random.unit() * this.#restartMs): void {
    const { life } = member;
    this.#clock.alarm(backMs, () => {
      if (member.life === life && !member.isUp && this.#processes.get(member.id) === member)
        void member.start();
    });
  }

  /** A node's own end: its disk's crash, or an error after which it may not go on. */
  #ended(member: SimulatedNode, error: Error): void {
    const { code } = error as { readonly code?: string };
    const isExpected =
      error instanceof SimulatedCrash || code === "DISK_SYNC" || code === "DISK_IO" || code === "DISK_FULL";
    if (!isExpected) {
      this.#violated(`node ${member.id} ended: ${error.message}`);
      return;
    }
    this.#note(`node ${member.id} ends: ${code ?? "crash"}`);
    this.#crashes += 1;
    // The disk has had its crash already, when that was it.
    member.crash("kill");
    this.#restartLater(member);
  }

  #changeMembers(): void {
    const leader = this.#leader()?.node;
    if (leader === undefined) return;
    const { members } = leader.status;
    const nodes = this.#nodes;
    const learner = members.find(({ role }) => role === "learner");
    try {
      if (learner !== undefined) leader.add(learner.id, "voter");
      else if (members.length < Math.min(nodes + 2, MEMBERS_MAX) && this.#random.chance(0.5)) {
        const id = this.#nextId;
        leader.add(id, "learner");
        this.#nextId += 1;
        void this.#add(id, []).start();
      } else if (members.length > Math.max(nodes - 1, 2)) {
        leader.remove((members[this.#random.below(members.length)] as RaftMember).id);
      }
    } catch {
      // A change is on its way already, or the leader is too new.
    }
  }

  // ---- checks

  #look(): void {
    this.#clock.alarm(LOOK_MS, () => {
      if (this.#violation !== undefined || this.#healed) return;
      this.#violated(this.#invariants.look([...this.#processes.values()]));
      this.#look();
    });
  }

  /** Everything is mended: soon all must work again, and agree. */
  async #heal(): Promise<void> {
    this.#clients.stop();
    this.#users.wind();
    this.#faults.heal();
    this.#note("healed");
    for (const member of this.#processes.values()) if (!member.isUp) void member.start();
    if (!(await this.#progress())) return;
    const agree = (): boolean => {
      const leader = this.#leader()?.node;
      if (leader === undefined) return false;
      const { members, commit } = leader.status;
      return (
        commit === leader.machine.appliedIndex &&
        members.every(({ id }) => this.#processes.get(id)?.node?.machine.appliedIndex === commit)
      );
    };
    if (!(await this.#until(agree, PROGRESS_MS))) {
      this.#violated(
        `progress: the nodes did not come to the same entry in ${PROGRESS_MS} ms after everything was healed`,
      );
    }
    this.#healed = true;
  }

  /** A write is acknowledged, and clients and users come to their end. */
  async #progress(): Promise<boolean> {
    let [isDone, isOver] = [false, false];
    const write = (): void => {
      this.#clients.probe().then(
        () => {
          isDone = true;
        },
        () => {
          if (!isOver) this.#clock.alarm(PROBE_MS, write);
        },
      );
    };
    write();
    const isQuiet = (): boolean => isDone && this.#clients.isQuiet && this.#users.areDone;
    const goesOn = await this.#until(isQuiet, PROGRESS_MS);
    isOver = true;
    if (!goesOn) {
      const what = isDone ? "a client did not come to its end" : "no write was acknowledged";
      this.#violated(`progress: ${what} in ${PROGRESS_MS} ms after everything was healed`);
    }
    return this.#violation === undefined;
  }

  async #judge(): Promise<void> {
    await this.#reference.settled();
    this.#violated(this.#reference.judge(this.#history));
    this.#violated(this.#locks.judge());
    this.#violated(this.#history.judge(STEPS_MAX));
    const members = this.#leader()?.node?.status.members ?? [];
    const expected = this.#reference.snapshot();
    for (const { id } of members) {
      const node = this.#processes.get(id)?.node;
      if (node === undefined) continue;
      const held = [...node.machine.snapshot(1 << 20)];
      if (!sameBytes(held, expected)) this.#violated(`node ${id} holds another state than one copy would`);
    }
    const told = this.#history.operations
      .map(({ output, calledAt }) => `${calledAt} ${String(output)}`)
      .join("\n");
    this.#digest = crc32(new TextEncoder().encode(told), this.#digest);
  }
}

function sameBytes(a: readonly Uint8Array[], b: readonly Uint8Array[]): boolean {
  return a.length === b.length && a.every((chunk, at) => crc32(chunk) === crc32(b[at] as Uint8Array));
}
