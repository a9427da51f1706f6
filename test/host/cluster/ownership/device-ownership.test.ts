/** Single events between gateways that share devices, in a simulated cluster without faults. */
import { describe, expect, test } from "vitest";
import {
  DeviceOwnership,
  type DeviceOwnershipOptions,
} from "../../../../host/cluster/ownership/device-ownership.ts";
import { memberKey } from "../../../../host/cluster/ownership/roster.ts";
import { createPlacement, migrationPlan } from "../../../../host/core/placement.ts";
import { runWorld, type WorldUserContext } from "../../../../host/world/world.ts";
import { openTestCore } from "../../../support/core.ts";
import { codeOf } from "../../../support/policy-rig.ts";

const core = openTestCore();
const DEVICES = Array.from({ length: 200 }, (_, number) => `device-${number}`);
const LEASE_MS = 4_000;

class Site {
  readonly context: WorldUserContext;
  constructor(context: WorldUserContext) {
    this.context = context;
  }
  join(id: string, options: Partial<DeviceOwnershipOptions> = {}) {
    const { kv, random, nowMs, sleep } = this.context;
    const clock = {
      monotonicMs: nowMs,
      alarm: (delayMs: number, call: () => void) => {
        let isWanted = true;
        void sleep(delayMs).then(() => isWanted && call());
        return () => {
          isWanted = false;
        };
      },
    };
    const told: string[] = [];
    const ownership = new DeviceOwnership(
      { core, clock, random },
      { ...{ kv, id, leaseMs: LEASE_MS, lookMs: 100, devices: () => DEVICES }, ...options },
    );
    for (const name of ["settled", "released", "lost"] as const) ownership.on(name, () => told.push(name));
    ownership.on("problem", ({ error }) => told.push((error as { code?: string }).code ?? error.message));
    return { ownership, told, owned: () => DEVICES.filter((device) => ownership.owns(device)) };
  }
  async until(what: string, holds: () => boolean, withinMs = 3_000): Promise<void> {
    const untilMs = this.context.nowMs() + withinMs;
    while (!holds()) {
      if (this.context.nowMs() > untilMs) throw new Error(`not within ${withinMs} ms: ${what}`);
      await this.context.sleep(10);
    }
  }
}

/** Runs a story in virtual time; what it expects and does not find is thrown here. */
async function story(tell: (site: Site) => Promise<void>): Promise<void> {
  let failure: unknown;
  const user = async (context: WorldUserContext) => {
    await tell(new Site(context)).catch((error: unknown) => {
      failure = error;
    });
  };
  const { violation } = await runWorld(core, {
    ...{ seed: 7, nodes: 3, forMs: 60_000, clients: 0, users: [user], faults: "none" },
  });
  if (failure !== undefined) throw failure;
  expect(violation).toBeUndefined();
}

describe("when a gateway joins", () => {
  test("it has what moves, and no more, when the other has let go", () =>
    story(async (site) => {
      const released: string[] = [];
      let isBusy = true;
      const a = site.join("a", {
        release: async (devices) => {
          released.push(...devices);
          while (isBusy) await site.context.sleep(20);
        },
      });
      await site.until("all are a's", () => a.owned().length === DEVICES.length);
      const b = site.join("b");
      await site.until("a lets go", () => released.length > 0);
      const nodes = [{ id: "a" }, { id: "b" }];
      const [alone, both] = [nodes.slice(0, 1), nodes].map((some) =>
        createPlacement(core, { kind: "rendezvous", nodes: some }),
      );
      const moves = migrationPlan(DEVICES, alone as never, both as never).map(({ key }) => key);
      expect(released).toEqual(moves);
      await site.context.sleep(2_000);
      // They are nobody's meanwhile; the others are served as ever.
      expect([a.owned().length, b.owned().length, b.ownership.state.isSettled]).toEqual([
        ...[DEVICES.length - moves.length, 0, false],
      ]);
      expect(b.ownership.owner(moves[0] as string)).toBe("b");
      isBusy = false;
      await site.until("b has them", () => b.owned().length === moves.length);
      expect(a.told).toEqual(["settled", "released", "settled"]);
      await a.ownership.close();
      await b.ownership.close();
    }));

  test("a release that rejects is asked again, and waited for", () =>
    story(async (site) => {
      let calls = 0;
      const a = site.join("a", {
        release: () => {
          calls += 1;
          if (calls < 3) throw new Error("the line is busy");
        },
      });
      await site.until("all are a's", () => a.owned().length === DEVICES.length);
      const b = site.join("b");
      await site.until("b has some", () => b.owned().length > 0);
      expect([calls, a.told]).toEqual([
        3,
        ["settled", "the line is busy", "the line is busy", "released", "settled"],
      ]);
      await a.ownership.close();
      await b.ownership.close();
    }));

  test("shares go by weight", () =>
    story(async (site) => {
      const light = site.join("light");
      const heavy = site.join("heavy", { weight: 3 });
      await site.until("all are owned", () => light.owned().length + heavy.owned().length === DEVICES.length);
      expect(Math.abs(heavy.owned().length / DEVICES.length - 0.75)).toBeLessThan(0.1);
      await light.ownership.close();
      await heavy.ownership.close();
    }));

  test("under an id that lives, it is told so, and waits", () =>
    story(async (site) => {
      const first = site.join("a");
      await site.until("all are a's", () => first.owned().length > 0);
      const second = site.join("a");
      await site.until("it is told", () => second.told.includes("MEMBER_TAKEN"));
      expect([first.owned().length, second.owned().length, second.ownership.state.status]).toEqual([
        ...[DEVICES.length, 0, "joining"],
      ]);
      const epoch = first.ownership.epoch("device-0");
      await first.ownership.close();
      await site.until("the second has them", () => second.owned().length === DEVICES.length, 5_000);
      expect(second.ownership.epoch("device-0")).toBeGreaterThan(epoch);
      await second.ownership.close();
    }));
});

describe("when a gateway goes", () => {
  test("in order, the others need not wait for its lease", () =>
    story(async (site) => {
      const a = site.join("a", { leaseMs: 60_000 });
      const b = site.join("b", { leaseMs: 60_000 });
      await site.until("both have some", () => a.owned().length > 0 && b.owned().length > 0);
      const epoch = a.ownership.epoch(a.owned()[0] as string);
      const gone = a.owned();
      const closing = a.ownership.close();
      expect([a.owned().length, a.ownership.state.status]).toEqual([0, "closed"]);
      await closing;
      await site.until("all are b's", () => b.owned().length === DEVICES.length);
      expect(b.ownership.epoch(gone[0] as string)).toBeGreaterThan(epoch);
      await b.ownership.close();
    }));

  test("in disorder, its devices wait for the lease's end, and no longer", () =>
    story(async (site) => {
      const { kv } = site.context;
      let isDead = false;
      const deaf = <T>(work: () => Promise<T>): Promise<T> =>
        isDead ? new Promise(() => undefined) : work();
      const a = site.join("a", {
        kv: {
          put: (...how) => deaf(() => kv.put(...how)),
          range: (...how) => deaf(() => kv.range(...how)),
          grantLease: (...how) => deaf(() => kv.grantLease(...how)),
          keepAlive: (...how) => deaf(() => kv.keepAlive(...how)),
          revokeLease: (...how) => deaf(() => kv.revokeLease(...how)),
        },
      });
      const b = site.join("b");
      await site.until("both have some", () => a.owned().length > 0 && b.owned().length > 0);
      isDead = true;
      await site.until("a believes no more", () => a.owned().length === 0, LEASE_MS);
      // The store never answers; what is served is let go all the same.
      await site.until("a lets go", () => a.told.slice(-2).join() === "lost,released", 20);
      expect(b.owned().length).toBeLessThan(DEVICES.length);
      await site.until("all are b's", () => b.owned().length === DEVICES.length, 3_000);
      await b.ownership.close();
    }));

  test("a lease that was taken away is told, and joined for anew", () =>
    story(async (site) => {
      const a = site.join("a");
      await site.until("all are a's", () => a.owned().length === DEVICES.length);
      const epoch = a.ownership.epoch("device-0");
      const item = await site.context.kv.get(memberKey("ownership", "a"));
      await site.context.kv.revokeLease(item?.lease as number);
      await site.until("lost", () => a.told.includes("lost"));
      await site.until("owned again", () => a.owned().length === DEVICES.length);
      expect(a.ownership.epoch("device-0")).toBeGreaterThan(epoch);
      await a.ownership.close();
    }));
});

test("a store that does not answer holds no goodbye up", () =>
  story(async (site) => {
    const never = (): Promise<never> => new Promise(() => undefined);
    const a = site.join("a", {
      kv: { put: never, range: never, grantLease: never, keepAlive: never, revokeLease: never },
    });
    await site.context.sleep(1_000);
    const fromMs = site.context.nowMs();
    await a.ownership.close();
    expect(site.context.nowMs() - fromMs).toBeLessThanOrEqual(2_001);
  }));

test("who cannot say what it serves lets go all the same", () =>
  story(async (site) => {
    const a = site.join("a", {
      devices: () => {
        throw new Error("no list");
      },
    });
    await site.until("all are a's", () => a.owned().length === DEVICES.length);
    await a.ownership.close();
    expect([a.owned().length, a.told.at(-1)]).toEqual([0, "no list"]);
    const b = site.join("b");
    await site.until("all are b's", () => b.owned().length === DEVICES.length, 2_000);
    await b.ownership.close();
  }));

test("what only one can reach no other owns", () =>
  story(async (site) => {
    const local = new Set<string>();
    const a = site.join("a");
    const b = site.join("b", { local: () => local });
    await site.until("both have some", () => a.owned().length > 0 && b.owned().length > 0);
    const [first] = a.owned() as [string];
    local.add(first);
    await site.until("a knows", () => !a.ownership.owns(first));
    expect([a.ownership.owner(first), a.ownership.state.isSettled]).toEqual(["b", true]);
    local.delete(first);
    await site.until("it is a's again", () => a.ownership.owns(first));
    await a.ownership.close();
    await b.ownership.close();
  }));

test("a record of another version stops handovers, and names its key; what is served goes on", () =>
  story(async (site) => {
    const a = site.join("a");
    await site.until("all are a's", () => a.owned().length === DEVICES.length);
    const key = memberKey("ownership", "z");
    await site.context.kv.put(key, new TextEncoder().encode('{"share":1}'));
    const b = site.join("b");
    await site.context.sleep(2 * LEASE_MS);
    expect([a.owned().length, b.owned().length]).toEqual([DEVICES.length, 0]);
    expect([a.told.at(-1), b.told.at(-1)]).toEqual(["FORMAT_VERSION", "FORMAT_VERSION"]);
    await site.context.kv.delete(key);
    await site.until("b has its share", () => b.owned().length > 0, 5_000);
    await a.ownership.close();
    await b.ownership.close();
  }));

test.each([
  { id: "" },
  { id: "a/b" },
  { weight: 0 },
  { weight: Number.NaN },
  { prefix: "" },
  { prefix: "$clients" },
  { leaseMs: 999 },
  { clockShare: 0 },
  { lookMs: 1 },
])("refuses %o", (options) => {
  const seams = {
    core,
    clock: { monotonicMs: () => 0, alarm: () => () => undefined },
    random: { u32: () => 0 },
  };
  expect(codeOf(() => new DeviceOwnership(seams, { id: "a", kv: {} as never, ...options }))).toBe("ARGUMENT");
});
