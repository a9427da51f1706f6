/**
 * Clients that compete for a lock held by a lease, and use what it guards under the lease's id as fencing token. A holder believes in its lease from
 * when it sent the request, for the lease's time less what clocks may drift apart. Two must never believe at once, and what is guarded
 * never takes a token below one that it has seen.
 */
import type { KvClient } from "../../cluster/client/kv-client.ts";
import type { Clock } from "../../io/seams.ts";
import type { SeededRandom } from "../random.ts";

export const LEASE_TTL_MS = 3_000;
const LOCK = "lock";
const utf8 = new TextEncoder();

interface Belief {
  readonly by: number;
  readonly token: number;
  readonly fromMs: number;
  readonly untilMs: number;
}

export class Locks {
  readonly #beliefs: Belief[] = [];
  #highest = 0;
  used = 0;
  /** What holders take off a lease's time: of leaders' clocks, more than any may run ahead of theirs. */
  readonly marginShare: number;

  /** How far clocks are from true time, at most. */
  constructor(drift: number) {
    this.marginShare = 3 * drift;
  }

  believe(belief: Belief): void {
    this.#beliefs.push(belief);
  }
  /** The guarded thing. False for a token that is too low. */
  use(token: number): boolean {
    if (token < this.#highest) return false;
    this.#highest = token;
    this.used += 1;
    return true;
  }
  /** Undefined when no two believed at once. */
  judge(): string | undefined {
    const sorted = [...this.#beliefs].sort((a, b) => a.fromMs - b.fromMs);
    let latest: Belief | undefined;
    for (const belief of sorted) {
      if (latest !== undefined && belief.token !== latest.token && belief.fromMs < latest.untilMs)
        return `fencing of leases: client ${latest.by} held lease ${latest.token} until ${latest.untilMs} ms, and client ${belief.by} lease ${belief.token} from ${belief.fromMs} ms on`;
      if (latest === undefined || belief.untilMs > latest.untilMs) latest = belief;
    }
    return undefined;
  }
}

export interface LockUserParts {
  readonly number: number;
  readonly client: KvClient;
  readonly clock: Clock;
  readonly random: SeededRandom;
  readonly locks: Locks;
}

export class LockUser {
  readonly #parts: LockUserParts;

  constructor(parts: LockUserParts) {
    this.#parts = parts;
  }

  async run(goesOn: () => boolean): Promise<void> {
    const { clock, random } = this.#parts;
    while (goesOn()) {
      await new Promise<void>((resolve) => clock.alarm(200 + random.unit() * 800, resolve));
      if (!goesOn()) return;
      try {
        await this.#hold();
      } catch {
        // Lost, or never had: tried again later.
      }
    }
  }

  async #hold(): Promise<void> {
    const { number, client, clock, random, locks } = this.#parts;
    let sentMs = clock.monotonicMs();
    const lease = await client.grantLease(LEASE_TTL_MS);
    const { done } = await client.put(LOCK, utf8.encode(String(number)), { lease, when: { revision: 0 } });
    if (!done) {
      await client.revokeLease(lease);
      return;
    }
    for (let renewals = random.below(4); ; renewals -= 1) {
      const [heardMs, untilMs] = [clock.monotonicMs(), sentMs + LEASE_TTL_MS * (1 - locks.marginShare)];
      if (heardMs >= untilMs) return;
      // A holder that gives up does so for its own sake before it tells.
      const keepsMs = random.chance(0.5) ? LEASE_TTL_MS : random.unit() * LEASE_TTL_MS;
      const releasesMs = Math.min(untilMs, heardMs + keepsMs);
      locks.believe({ by: number, token: lease, fromMs: heardMs, untilMs: releasesMs });
      locks.use(lease);
      await new Promise<void>((resolve) => clock.alarm(releasesMs - heardMs, resolve));
      if (renewals === 0) break;
      sentMs = clock.monotonicMs();
      await client.keepAlive(lease);
    }
    // Else it just lets the lease end.
    if (random.chance(0.5)) await client.revokeLease(lease);
  }
}
