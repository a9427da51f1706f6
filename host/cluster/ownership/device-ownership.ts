/**
 * Which gateway owns which device: each is served by one of the gateways that share a site, by weighted rendezvous hashing over those who live. When one comes or
 * goes, only its share moves. The store holds a roster and a key for each gateway (roster.ts), nothing for a device: there may be any number, and
 * one that was never heard of has an owner already.
 *
 * ```
 *   joining ──lease, own key──► member ──another roster──► adopts it: lets go of what it loses, says so ──all did──► settled: has what it won
 *      ▲                          │                                                                                     │
 *      └─────── lease over ───────┴─────────────────────────────────────────────────────────────────────────────────────┘
 * ```
 * Promise: at no time do two members own a device, as long as clocks drift apart by less than `clockShare`. A member believes in its lease from when it
 * asked for it, for the lease's time less that share. A process can stand still between asking and acting, so what it does to the device carries the epoch
 * (tenure.ts), and whoever takes it refuses a lower one than it has seen (Kleppmann, "How to do distributed locking", 2016). Slicer (Adya et al., OSDI 2016)
 * and the consumer groups of Kafka (KIP-429, cooperative rebalancing) hand over in the same order: first let go, then take.
 *
 * Liveness: a member that is cut off holds a handover up until its lease ends, `leaseMs` at most. One whose `release` does not resolve holds it up for as
 * long as it lives. Without the store nothing changes hands, and everybody stops when their leases end.
 */
import { TardigradeError } from "../../../protocols/error.ts";
import { createBackoff } from "../../core/policy/backoff.ts";
import { type Observable, Reporter } from "../../core/policy/events.ts";
import { argument, type CommonOptions, type PolicySeams, whole } from "../../core/policy/policy.ts";
import type { KvClient } from "../client/kv-client.ts";
import {
  encodeMember,
  encodeRoster,
  isAdopted,
  isMemberId,
  isWeight,
  LOCAL_MAX,
  type Member,
  memberKey,
  nextMembers,
  type RosterView,
  readRoster,
  rosterKey,
  rosterRange,
  WEIGHT_MAX,
} from "./roster.ts";
import { Tenure } from "./tenure.ts";

export type OwnershipStore = Pick<KvClient, "put" | "range" | "grantLease" | "keepAlive" | "revokeLease">;

export interface DeviceOwnershipOptions extends CommonOptions {
  readonly kv: OwnershipStore;
  /** Before all keys; those who share devices have the same. 1 to 200 characters, "ownership" by default. */
  readonly prefix?: string;
  /** This gateway: 1 to 63 letters, digits, dots, underscores and dashes. No other that lives may have it. */
  readonly id: string;
  /** Its share beside the others'; above 0, 1,000,000 at most, 1 by default. */
  readonly weight?: number;
  /** After a gateway's death its devices wait for so long, 1,000 to 600,000; 10,000 by default. */
  readonly leaseMs?: number;
  /** Part of the lease's time that clocks may drift apart in, 0.001 to 0.5; 0.05 by default. */
  readonly clockShare?: number;
  /** How often the store is asked who lives, 20 to 60,000; 500 by default. During a handover it is asked five times as often. */
  readonly lookMs?: number;
  /** Devices that are served now: release() is told which of them go. */
  readonly devices?: () => Iterable<string>;
  /** Devices that only this gateway can reach, such as those at its ports: no other owns them. 256 at most. */
  readonly local?: () => Iterable<string>;
  /**
   * These are owned no more, and epoch() says so already. Resolves when nothing is done for them any more; others wait for it. After a rejection it is called again.
   */
  readonly release?: (devices: readonly string[]) => Promise<void> | void;
}

export interface OwnershipState {
  readonly status: "joining" | "member" | "closed";
  /** By the last roster adopted. */
  readonly members: readonly Member[];
  /** False during a handover. */
  readonly isSettled: boolean;
}

export interface OwnershipEvents {
  /** A roster holds: what it gives to this member may be served. */
  readonly settled: { readonly epoch: number; readonly members: readonly Member[] };
  /** Devices went to others. */
  readonly released: { readonly devices: readonly string[] };
  /** The lease is over, and nothing is owned; the member joins again. */
  readonly lost: Record<never, never>;
  /** Something did not work and is tried again: the store's errors, MEMBER_TAKEN, FORMAT_VERSION, what release() rejected with. */
  readonly problem: { readonly error: Error };
}

interface Lease {
  readonly id: number;
  /** Belief ends here. */
  untilMs: number;
  /** Of the own key. */
  revision: number;
}

const PREFIX_CHARS_MAX = 200;
const RENEWALS = 4;
const LOOKS_DURING_HANDOVER = 5;
/** For the store's answers when a member leaves: its lease ends by itself. */
const GOODBYE_MS = 2_000;
const BACKOFF = { baseMs: 50, capMs: 2_000 } as const;

/** Joins at once. Throws ARGUMENT. */
export class DeviceOwnership implements Observable<OwnershipEvents>, AsyncDisposable {
  readonly #seams: PolicySeams;
  readonly #options: DeviceOwnershipOptions;
  readonly #reporter: Reporter<OwnershipEvents>;
  readonly #prefix: string;
  readonly #weight: number;
  readonly #leaseMs: number;
  readonly #beliefMs: number;
  readonly #lookMs: number;
  readonly #tenure: Tenure;
  readonly #backoff;
  #lease: Lease | undefined;
  /** Of a lease that may stand in the store and is not believed in. */
  #stale = 0;
  #renewal: (() => void) | undefined;
  /** Since when the roster names others than those who live. */
  #differsMs: number | undefined;
  /** What release() still has to be told. */
  readonly #leaving = new Set<string>();
  #releasing: Promise<void> | undefined;
  /** Of the other members, by device. */
  #locals: ReadonlyMap<string, string> = new Map();
  #isOpen = true;
  #wake: (() => void) | undefined;
  readonly #running: Promise<void>;

  constructor(seams: PolicySeams, options: DeviceOwnershipOptions) {
    this.#reporter = new Reporter("device-ownership", options);
    const { name } = this.#reporter;
    const { prefix = "ownership", id, weight = 1 } = options;
    const { leaseMs = 10_000, clockShare = 0.05, lookMs = 500 } = options;
    if (!isMemberId(id))
      throw argument(name, "A gateway's id has 1 to 63 letters, digits, dots, underscores and dashes.");
    if (prefix.length < 1 || prefix.length > PREFIX_CHARS_MAX || prefix.startsWith("$"))
      throw argument(name, `The prefix has 1 to ${PREFIX_CHARS_MAX} characters, and does not begin with $.`);
    if (!isWeight(weight)) throw argument(name, `The weight is above 0, and ${WEIGHT_MAX} at most.`);
    if (!(clockShare >= 0.001 && clockShare <= 0.5)) throw argument(name, "clockShare is from 0.001 to 0.5.");
    whole(name, "leaseMs", leaseMs, { min: 1_000, max: 600_000 });
    whole(name, "lookMs", lookMs, { min: 20, max: 60_000 });
    this.#seams = seams;
    this.#options = options;
    this.#prefix = prefix;
    this.#weight = weight;
    this.#leaseMs = leaseMs;
    this.#beliefMs = leaseMs * (1 - clockShare);
    this.#lookMs = lookMs;
    this.#tenure = new Tenure(seams.core, id);
    this.#backoff = createBackoff(seams, BACKOFF);
    this.#running = this.#run();
  }

  get name(): string {
    return this.#reporter.name;
  }
  get state(): OwnershipState {
    return {
      status: !this.#isOpen ? "closed" : this.#lease === undefined ? "joining" : "member",
      members: this.#tenure.roster.members,
      isSettled: this.#tenure.isSettled,
    };
  }

  /**
   * The fencing token under which this member owns the device now, 0 when it does not. Ask again for everything that is done. Throws ARGUMENT for an id above
   * 1,024 bytes.
   */
  epoch(device: string): number {
    return this.#isBelieved && !this.#locals.has(device) ? this.#tenure.epoch(device) : 0;
  }
  owns(device: string): boolean {
    return this.epoch(device) > 0;
  }
  /** Whose the device is by the last roster that was heard of, or will be when all have adopted it. Undefined while joining. */
  owner(device: string): string | undefined {
    return this.#isBelieved ? (this.#locals.get(device) ?? this.#tenure.owner(device)) : undefined;
  }

  on<Name extends keyof OwnershipEvents>(
    event: Name,
    listener: (detail: OwnershipEvents[Name]) => void,
  ): Disposable {
    return this.#reporter.on(event, listener);
  }

  /** Owns nothing from now on. Resolves when release() did, and the others know or the store has not answered for 2 s. */
  async close(): Promise<void> {
    if (this.#isOpen) {
      this.#isOpen = false;
      this.#letGo();
      this.#wake?.();
    }
    await this.#release().catch(() => undefined);
    let forget: (() => void) | undefined;
    const patience = new Promise<void>((resolve) => {
      forget = this.#seams.clock.alarm(GOODBYE_MS, resolve);
    });
    await Promise.race([this.#running, patience]);
    forget?.();
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  get #nowMs(): number {
    return this.#seams.clock.monotonicMs();
  }
  get #isBelieved(): boolean {
    return this.#lease !== undefined && this.#nowMs < this.#lease.untilMs;
  }

  async #run(): Promise<void> {
    for (let failures = 0; this.#isOpen; ) {
      try {
        await this.#step();
        failures = 0;
      } catch (error) {
        failures += 1;
        this.#reporter.tell("problem", { error: error as Error }, "problem");
        await this.#sleep(this.#backoff(failures));
      }
    }
    await this.#leave();
  }

  async #step(): Promise<void> {
    await this.#release();
    if (!this.#isOpen) return;
    if (this.#lease === undefined) await this.#join();
    const lease = this.#lease;
    if (lease === undefined) return;
    const view = await this.#read();
    // Renewals go on meanwhile, and may have found that it is over.
    if (!this.#isOpen || this.#lease !== lease) return;
    const own = view.live.find(({ id }) => id === this.#options.id);
    if (own?.lease !== lease.id) {
      this.#lost();
      return;
    }
    lease.revision = own.revision;
    this.#locals = new Map(
      view.live.flatMap(({ id, local }) =>
        id === own.id ? [] : local.map((device) => [device, id] as const),
      ),
    );
    if (await this.#propose(view)) return;
    const { roster } = view;
    if (roster.revision !== this.#tenure.roster.revision) this.#adopt(view);
    if (own.serving !== roster.revision || !isSame(own.local, this.#local())) {
      await this.#sayAdopted(lease);
      return;
    }
    if (roster.revision > 0 && !this.#tenure.isSettled && isAdopted(view)) {
      this.#tenure.settle(view.revision);
      this.#reporter.tell("settled", { epoch: view.revision, members: roster.members }, "settled");
    }
    await this.#sleep(this.#tenure.isSettled ? this.#lookMs : this.#lookMs / LOOKS_DURING_HANDOVER);
  }

  async #join(): Promise<void> {
    const { kv, id } = this.#options;
    if (this.#stale !== 0) {
      // Its key would stand in the way until it ends by itself.
      await kv.revokeLease(this.#stale).catch(() => undefined);
      this.#stale = 0;
      if (!this.#isOpen) return;
    }
    const sentMs = this.#nowMs;
    const lease = await kv.grantLease(this.#leaseMs);
    this.#stale = lease;
    if (!this.#isOpen) return;
    const value = encodeMember({ weight: this.#weight, serving: 0, local: this.#local() });
    const put = await kv.put(memberKey(this.#prefix, id), value, { lease, when: { revision: 0 } });
    if (!put.done) {
      throw new TardigradeError(
        "MEMBER_TAKEN",
        `There is a gateway "${id}" already, or its lease has not ended yet; give each an id of its own.`,
        { context: { component: this.name } },
      );
    }
    // Closed meanwhile: the lease is given back with the rest.
    if (!this.#isOpen) return;
    this.#stale = 0;
    this.#lease = { id: lease, untilMs: sentMs + this.#beliefMs, revision: put.revision };
    this.#keepUp(this.#lease);
  }

  async #read(): Promise<RosterView> {
    const { items, more, revision } = await this.#options.kv.range(rosterRange(this.#prefix));
    if (more) {
      throw new TardigradeError("KV_REFUSED", `There are too many keys under ${this.#prefix}/.`, {
        context: { component: this.name },
      });
    }
    return readRoster(this.#prefix, { items, revision });
  }

  /** True when a roster was put. Members try one after the other, so that few are overtaken. */
  async #propose(view: RosterView): Promise<boolean> {
    const members = nextMembers(view);
    if (members === undefined) {
      this.#differsMs = undefined;
      return false;
    }
    this.#differsMs ??= this.#nowMs;
    const rank = view.live.findIndex(({ id }) => id === this.#options.id);
    if (this.#nowMs - this.#differsMs < rank * this.#lookMs) return false;
    const { kv } = this.#options;
    const { revision } = view.roster;
    await kv.put(rosterKey(this.#prefix), encodeRoster(members), { when: { revision } });
    return true;
  }

  #adopt({ roster }: RosterView): void {
    const served = this.#served();
    this.#tenure.adopt(roster);
    for (const device of served) if (this.#tenure.epoch(device) === 0) this.#leaving.add(device);
  }

  /** When nothing is done any more for what it does not give. */
  async #sayAdopted(lease: Lease): Promise<void> {
    const { roster } = this.#tenure;
    await this.#release();
    if (this.#lease !== lease) return;
    const value = encodeMember({
      weight: this.#weight,
      serving: roster.revision,
      local: this.#local(),
    });
    await this.#options.kv.put(memberKey(this.#prefix, this.#options.id), value, {
      lease: lease.id,
      when: { revision: lease.revision },
    });
  }

  /** What devices() names and the tenure gives, whatever the clock says. Never throws: to let go must not fail. */
  #served(): readonly string[] {
    const served: string[] = [];
    try {
      for (const device of this.#options.devices?.() ?? [])
        if (this.#tenure.epoch(device) > 0) served.push(device);
    } catch (error) {
      this.#reporter.tell("problem", { error: error as Error }, "problem");
    }
    return served;
  }

  #local(): readonly string[] {
    return [...new Set(this.#options.local?.() ?? [])].sort().slice(0, LOCAL_MAX);
  }

  /** One at a time; what comes meanwhile is told next. */
  #release(): Promise<void> {
    this.#releasing ??= this.#releaseAll().finally(() => {
      this.#releasing = undefined;
    });
    return this.#releasing;
  }
  async #releaseAll(): Promise<void> {
    while (this.#leaving.size > 0) {
      const devices = [...this.#leaving];
      await this.#options.release?.(devices);
      for (const device of devices) this.#leaving.delete(device);
      this.#reporter.tell("released", { devices }, "released");
    }
  }

  // ---- the lease

  #keepUp(lease: Lease): void {
    const { clock, random } = this.#seams;
    const everyMs = this.#leaseMs / RENEWALS;
    const inMs = Math.min(
      everyMs * (0.75 + random.u32() / 2 ** 33),
      // The end is told of when it comes.
      Math.max(0, lease.untilMs - this.#nowMs),
    );
    this.#renewal = clock.alarm(
      inMs,
      () => {
        if (this.#lease !== lease) return;
        if (this.#nowMs >= lease.untilMs) this.#lost();
        else {
          void this.#renew(lease);
          this.#keepUp(lease);
        }
      },
      { background: true },
    );
  }

  async #renew(lease: Lease): Promise<void> {
    const sentMs = this.#nowMs;
    try {
      await this.#options.kv.keepAlive(lease.id);
      // An answer that comes when nobody believes in it any more comes too late: what it was for is let go.
      if (this.#lease === lease && this.#nowMs < lease.untilMs)
        lease.untilMs = Math.max(lease.untilMs, sentMs + this.#beliefMs);
    } catch (error) {
      if (this.#lease !== lease) return;
      this.#reporter.tell("problem", { error: error as Error }, "problem");
      if (error instanceof TardigradeError && error.code === "KV_REFUSED") this.#lost();
    }
  }

  #lost(): void {
    this.#letGo();
    this.#reporter.tell("lost", {}, "lost");
    this.#wake?.();
  }

  #letGo(): void {
    for (const device of this.#served()) this.#leaving.add(device);
    this.#renewal?.();
    if (this.#lease !== undefined) this.#stale = this.#lease.id;
    this.#lease = undefined;
    this.#differsMs = undefined;
    this.#tenure.end();
    // At once: the loop may wait for a store that does not answer. Where it fails the loop tries again.
    this.#release().catch(() => undefined);
  }

  async #leave(): Promise<void> {
    try {
      await this.#release();
    } catch (error) {
      this.#reporter.tell("problem", { error: error as Error }, "problem");
      // Somebody may still act for them: the lease ends by itself.
      return;
    }
    if (this.#stale !== 0) await this.#options.kv.revokeLease(this.#stale).catch(() => undefined);
  }

  #sleep(ms: number): Promise<void> {
    if (!this.#isOpen) return Promise.resolve();
    return new Promise((resolve) => {
      const dispose = this.#seams.clock.alarm(
        ms,
        () => {
          this.#wake = undefined;
          resolve();
        },
        { background: true },
      );
      this.#wake = () => {
        this.#wake = undefined;
        dispose();
        resolve();
      };
    });
  }
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((one, at) => one === b[at]);
}
