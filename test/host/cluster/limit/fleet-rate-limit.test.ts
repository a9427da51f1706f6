/** A member of a fleet's rate limit at a store that answers, refuses, or is silent; time is simulated. */
import { describe, expect, test } from "vitest";
import type { WriteResult } from "../../../../host/cluster/client/kv-client.ts";
import {
  createFleetRateLimit,
  type FleetRateLimit,
  type FleetRateLimitOptions,
} from "../../../../host/cluster/limit/fleet-rate-limit.ts";
import { SimulatedClock } from "../../../../host/world/clock.ts";
import { seededRandom } from "../../../../host/world/random.ts";
import { TardigradeError } from "../../../../protocols/error.ts";
import { ERRORS } from "../../../../protocols/table.ts";
import { openTestCore } from "../../../support/core.ts";

const core = openTestCore();
const LIMITED = -ERRORS.RATE_LIMITED.number;
const ROUND_TRIP_MS = 2;

/** One key, with its revision. */
class FakeStore {
  readonly clock: SimulatedClock;
  value: Uint8Array | undefined;
  revision = 0;
  puts = 0;
  roundTripMs = ROUND_TRIP_MS;
  isDown = false;
  /** A put is done, and its answer is lost. */
  losesAnswers = false;

  constructor(clock: SimulatedClock) {
    this.clock = clock;
  }
  async get(key: string) {
    await this.#trip();
    if (this.value === undefined) return undefined;
    return {
      ...{ key, value: this.value, createRevision: 1, modRevision: this.revision, version: 1, lease: 0 },
    };
  }
  async put(
    _key: string,
    value: Uint8Array,
    { when }: { readonly when?: unknown } = {},
  ): Promise<WriteResult> {
    await this.#trip();
    const previousRevision = this.revision;
    if ((when as { readonly revision: number }).revision !== previousRevision)
      return { done: false, revision: previousRevision, previousRevision };
    this.revision += 1;
    this.puts += 1;
    this.value = value;
    if (this.losesAnswers) throw new TardigradeError("RAFT_OUTCOME_UNKNOWN", "The leader is gone.");
    return { done: true, revision: this.revision, previousRevision };
  }
  async #trip(): Promise<void> {
    await new Promise<void>((resolve) => this.clock.alarm(this.roundTripMs, resolve));
    if (this.isDown) throw new TardigradeError("TIMED_OUT", "Nobody answered.");
  }
}

function setUp() {
  const clock = new SimulatedClock();
  const store = new FakeStore(clock);
  let number = 0;
  const member = (options: Partial<FleetRateLimitOptions> = {}): FleetRateLimit => {
    number += 1;
    return createFleetRateLimit(
      { core, clock, random: seededRandom(number) },
      { kv: store, key: "limits/api", limit: 100, ...options },
    );
  };
  return { clock, store, member };
}

/** Takes one each so often, for so long; how many there were. */
async function drive(
  clock: SimulatedClock,
  limit: FleetRateLimit,
  everyMs: number,
  forMs: number,
): Promise<number> {
  let taken = 0;
  for (let passed = 0; passed < forMs; passed += everyMs) {
    await clock.advance(everyMs);
    if (limit.tryAcquire() === 0) taken += 1;
  }
  return taken;
}

describe("a member alone", () => {
  test("gets the whole rate, and asks some ten times a second", async () => {
    const { clock, store, member } = setUp();
    const limit = member();
    await drive(clock, limit, 1, 1_000);
    const before = store.puts;
    const taken = await drive(clock, limit, 1, 10_000);
    expect(taken).toBeGreaterThanOrEqual(950);
    expect(taken).toBeLessThanOrEqual(1_000 + 100 + 50);
    expect(store.puts - before).toBeLessThan(110);
  });
  test("below the limit is not refused once it holds tokens, and asks for little", async () => {
    const { clock, store, member } = setUp();
    const limit = member();
    await drive(clock, limit, 50, 1_000);
    const before = store.puts;
    expect(await drive(clock, limit, 50, 10_000)).toBe(200);
    // Some seven a second: a batch is what half its time needs.
    expect(store.puts - before).toBeLessThan(80);
  });
  test("may use a batch so long from when it asked, however late the answer came", async () => {
    const { clock, store, member } = setUp();
    const limit = member({ batchMs: 200 });
    limit.tryAcquire();
    await clock.advance(ROUND_TRIP_MS);
    store.roundTripMs = 150;
    // It was sent at 2 ms, and is answered at 152.
    await clock.advance(150);
    await clock.advance(49);
    expect(limit.state.held).toBeGreaterThan(0);
    await clock.advance(1);
    expect(limit.state.held).toBe(0);
  });
  test("that is idle asks nothing, and its tokens lapse", async () => {
    const { clock, store, member } = setUp();
    const limit = member();
    await drive(clock, limit, 10, 1_000);
    await clock.advance(2_000);
    const before = store.puts;
    await clock.advance(60_000);
    expect([store.puts - before, limit.state.held]).toEqual([0, 0]);
  });
  test("a slow rate: the token is there when it was said to be", async () => {
    const { clock, member } = setUp();
    const limit = member({ limit: 1, periodMs: 60_000 });
    expect(limit.tryAcquire()).toBe(LIMITED);
    await clock.advance(10);
    expect(limit.tryAcquire()).toBe(0);
    await clock.advance(1_000);
    expect(limit.tryAcquire()).toBe(LIMITED);
    await clock.advance(10);
    const { retryAfterMs } = limit.state;
    expect(retryAfterMs).toBeGreaterThan(58_000);
    await clock.advance(retryAfterMs + 10);
    expect(limit.tryAcquire()).toBe(0);
  });
});

describe("several members", () => {
  test("share the rate; what one does not need the others have", async () => {
    const { clock, member } = setUp();
    const members = [member(), member(), member()];
    const taken = [0, 0, 0];
    for (let ms = 0; ms < 11_000; ms += 1) {
      await clock.advance(1);
      for (const [at, limit] of members.entries()) {
        // The last one wants five a second.
        if (at === 2 && ms % 200 !== 0) continue;
        if (limit.tryAcquire() === 0 && ms >= 1_000) taken[at] = (taken[at] ?? 0) + 1;
      }
    }
    const sum = taken.reduce((total, one) => total + one, 0);
    expect(sum).toBeGreaterThanOrEqual(900);
    expect(sum).toBeLessThanOrEqual(1_000 + 100 + 50 + 1);
    expect(Math.min(taken[0] ?? 0, taken[1] ?? 0)).toBeGreaterThan(250);
    expect(taken[2]).toBeGreaterThanOrEqual(40);
  });
  test("who is farther from the store has a part of it too", async () => {
    const { clock, store, member } = setUp();
    const far: Pick<FakeStore, "get" | "put"> = {
      get: async (key) => {
        const item = await store.get(key);
        await new Promise<void>((resolve) => clock.alarm(48, resolve));
        return item;
      },
      put: async (...of) => {
        await new Promise<void>((resolve) => clock.alarm(48, resolve));
        return store.put(...of);
      },
    };
    const members = [member(), member(), member({ kv: far })];
    const taken = [0, 0, 0];
    for (let ms = 0; ms < 30_000; ms += 5) {
      await clock.advance(5);
      for (const [at, limit] of members.entries())
        if (limit.tryAcquire() === 0) taken[at] = (taken[at] ?? 0) + 1;
    }
    const [first = 0, second = 0, third = 0] = taken;
    expect(third).toBeGreaterThan((first + second) / 8);
  });
  test("a grant of which nobody knows whether it stands is not used", async () => {
    const { clock, store, member } = setUp();
    const limit = member();
    store.losesAnswers = true;
    limit.tryAcquire();
    await clock.advance(2 * ROUND_TRIP_MS);
    expect([store.puts, limit.state.held, limit.tryAcquire()]).toEqual([1, 0, LIMITED]);
    store.losesAnswers = false;
    await drive(clock, limit, 10, 1_000);
    expect(limit.state.held).toBeGreaterThan(0);
  });
});

test("members that joined in quiet times: a burst more for each, and not more", async () => {
  const { clock, member } = setUp();
  const members = [];
  for (let at = 0; at < 4; at += 1) {
    const limit = member({ limit: 10, burst: 100 });
    members.push(limit);
    limit.tryAcquire();
    await clock.advance(30_000);
  }
  let taken = 0;
  for (let ms = 0; ms < 400; ms += 1) {
    for (const limit of members.toReversed()) if (limit.tryAcquire() === 0) taken += 1;
    await clock.advance(1);
  }
  expect(taken).toBeLessThanOrEqual(4 * 100 + 10);
});

test("a call that wants more than there is does not stop those that want less, and gets it in the end", async () => {
  const { clock, member } = setUp();
  const [greedy, limit] = [member({ burst: 20 }), member({ burst: 20 })];
  let [small, large] = [0, 0];
  for (let ms = 0; ms < 10_000; ms += 5) {
    await clock.advance(5);
    greedy.tryAcquire();
    if (ms % 500 === 0 && limit.tryAcquire(20) === 0) large += 1;
    if (limit.tryAcquire() === 0) small += 1;
  }
  expect(small).toBeGreaterThan(150);
  for (let ms = 0; ms < 5_000; ms += 100) {
    await clock.advance(100);
    if (limit.tryAcquire(20) === 0) large += 1;
  }
  expect(large).toBeGreaterThan(2);
});

describe("a store that does not answer", () => {
  test("is told once; the batch is used up, then calls are refused; afterwards it goes on by itself", async () => {
    const { clock, store, member } = setUp();
    const limit = member();
    const events: string[] = [];
    limit.on("unreachable", ({ error }) => events.push(`unreachable: ${(error as TardigradeError).code}`));
    limit.on("reachable", () => events.push("reachable"));
    await drive(clock, limit, 5, 2_000);
    store.isDown = true;
    const inOutage = await drive(clock, limit, 5, 5_000);
    expect(inOutage).toBeLessThanOrEqual(100);
    expect(limit.state.isReachable).toBe(false);
    await expect(limit.execute(() => "sent")).rejects.toMatchObject({
      code: "RATE_LIMITED",
      message: expect.stringContaining("cannot be asked for (Nobody answered.)"),
      cause: { code: "TIMED_OUT" },
    });
    store.isDown = false;
    expect(await drive(clock, limit, 5, 5_000)).toBeGreaterThan(200);
    expect(events).toEqual(["unreachable: TIMED_OUT", "reachable"]);
  });
  test("leaves a member its own small rate, where that is wanted", async () => {
    const { clock, store, member } = setUp();
    store.isDown = true;
    const limit = member({ aloneLimit: 10 });
    await drive(clock, limit, 5, 1_000);
    const taken = await drive(clock, limit, 5, 10_000);
    expect(taken).toBeGreaterThanOrEqual(98);
    expect(taken).toBeLessThanOrEqual(111);
  });
  test("calls that wait go at that rate too", async () => {
    const { clock, store, member } = setUp();
    // Silent: after a second it counts as away.
    store.roundTripMs = 20_000;
    const limit = member({ aloneLimit: 10, maxWaitMs: 30_000 });
    let done = 0;
    for (let at = 0; at < 25; at += 1) void limit.execute(() => (done += 1)).catch(() => undefined);
    await clock.advance(1_000);
    expect(done).toBe(10);
    await clock.advance(1_600);
    expect(done).toBe(25);
  });
  test("an ask without an answer is one that fails after a second; late answers mend it", async () => {
    const { clock, store, member } = setUp();
    const limit = member({ aloneLimit: 50, maxWaitMs: 2_000 });
    const events: string[] = [];
    limit.on("unreachable", () => events.push("unreachable"));
    limit.on("reachable", () => events.push("reachable"));
    await drive(clock, limit, 5, 2_000);
    store.roundTripMs = 10_000;
    await drive(clock, limit, 5, 2_500);
    expect(events).toEqual(["unreachable"]);
    let done = 0;
    const call = (): void => void limit.execute(() => (done += 1)).catch(() => undefined);
    for (let ms = 0; ms < 5_000; ms += 5) {
      call();
      await clock.advance(5);
    }
    expect(done).toBeGreaterThanOrEqual(245);
    expect(done).toBeLessThanOrEqual(301);
    store.roundTripMs = ROUND_TRIP_MS;
    await drive(clock, limit, 5, 30_000);
    expect(events).toEqual(["unreachable", "reachable"]);
  });
  test("answers later than a batch lasts are told, and do not use up the limit", async () => {
    const { clock, store, member } = setUp();
    store.roundTripMs = 300;
    const limit = member({ batchMs: 200 });
    let failure: unknown;
    limit.on("unreachable", ({ error }) => {
      failure = error;
    });
    await drive(clock, limit, 5, 10_000);
    expect(failure).toMatchObject({ code: "TIMED_OUT", message: expect.stringContaining("give batchMs") });
    expect(store.puts).toBeLessThan(20);
  });
  test("something else under the key is told", async () => {
    const { clock, store, member } = setUp();
    [store.value, store.revision] = [new Uint8Array(3), 1];
    const limit = member();
    let failure: unknown;
    limit.on("unreachable", ({ error }) => {
      failure = error;
    });
    limit.tryAcquire();
    await clock.advance(10);
    expect(failure).toMatchObject({ code: "FORMAT_VERSION" });
  });
});

describe("execute", () => {
  test("waits for its turn, in order, or until its time is over", async () => {
    const { clock, member } = setUp();
    const limit = member({ limit: 10, burst: 1, maxWaitMs: 1_000, waitingMax: 30 });
    const done: number[] = [];
    const failed: string[] = [];
    for (let at = 0; at < 40; at += 1)
      limit.execute(() => done.push(at)).catch((error: TardigradeError) => failed.push(error.code));
    await clock.advance(0);
    expect([limit.state.waiting, failed.length]).toEqual([30, 10]);
    await clock.advance(3_000);
    expect(done.length).toBeGreaterThanOrEqual(9);
    expect(done.length).toBeLessThanOrEqual(12);
    expect(done).toEqual(done.toSorted((a, b) => a - b));
    expect(done.length + failed.length).toBe(40);
    expect(new Set(failed)).toEqual(new Set(["RATE_LIMITED"]));
  });
  test("who gives up waits no longer; close() ends all, and what comes after", async () => {
    const { clock, store, member } = setUp();
    store.isDown = true;
    const limit = member({ maxWaitMs: 10_000 });
    const leaving = new AbortController();
    const outcomes: unknown[] = [];
    const call = (signal?: AbortSignal) =>
      void limit.execute(() => 1, { signal }).catch((error: unknown) => outcomes.push(error));
    call(leaving.signal);
    call();
    await clock.advance(1);
    leaving.abort(new Error("no longer wanted"));
    await clock.advance(1);
    expect(outcomes).toEqual([new Error("no longer wanted")]);
    limit.close();
    await clock.advance(1);
    expect(outcomes[1]).toMatchObject({ code: "POLICY_CLOSED" });
    expect(limit.tryAcquire()).toBe(-ERRORS.POLICY_CLOSED.number);
    await expect(limit.execute(() => 1)).rejects.toMatchObject({ code: "POLICY_CLOSED" });
    await clock.advance(20_000);
    expect(store.puts).toBe(0);
  });
});

describe("what cannot be", () => {
  test.each([
    { limit: 0 },
    { limit: 1_000_001 },
    { burst: 0 },
    { periodMs: 0 },
    { batchMs: 1 },
    { maxWaitMs: 0 },
    { aloneLimit: -1 },
    { key: "" },
    { key: "k".repeat(513) },
  ])("%o", (options) => {
    expect(() => setUp().member(options)).toThrow(expect.objectContaining({ code: "ARGUMENT" }));
  });
  test.each([0, -1, 1.5, Number.NaN, 101])("%d tokens", (tokens) => {
    expect(setUp().member().tryAcquire(tokens)).toBe(-ERRORS.ARGUMENT.number);
  });
});
