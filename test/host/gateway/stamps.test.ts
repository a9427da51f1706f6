/** Stamps over kills, power cuts and wall clocks that are set, on simulated clock and disk. */
import { describe, expect, test } from "vitest";
import { createHybridClock } from "../../../host/core/hybrid-clock.ts";
import {
  AHEAD_MS,
  COUNT_MS,
  DEVICE_AHEAD_MS,
  openStamps,
  wallStampClock,
} from "../../../host/gateway/stamps.ts";
import { SimulatedClock } from "../../../host/world/clock.ts";
import { SimulatedDisk } from "../../../host/world/disk.ts";
import { seededRandom } from "../../../host/world/random.ts";
import { crc32 } from "../../../protocols/crc.ts";
import { openTestCore } from "../../support/core.ts";
import { GatewayWorld } from "../../support/gateway-world.ts";

const HOUR_MS = 3_600_000;
const PATH = "stamps/bound";
const core = openTestCore();
const ms = (stamp: bigint) => Number(stamp >> 16n);
const stampAt = (wallMs: number, counter = 0) => (BigInt(wallMs) << 16n) | BigInt(counter);

class World {
  readonly clock = new SimulatedClock();
  readonly disk: SimulatedDisk;
  readonly errors: unknown[] = [];
  readonly #isCore: boolean;
  constructor(seed = 1, isCore = false) {
    this.disk = new SimulatedDisk({ random: seededRandom(seed), clock: this.clock });
    this.#isCore = isCore;
  }
  open() {
    return openStamps({
      disk: this.disk.mount(),
      clock: this.clock,
      clockFrom: (floor) =>
        this.#isCore
          ? createHybridClock(core, this.clock, { floor, driftMsMax: Number.POSITIVE_INFINITY })
          : wallStampClock(this.clock, floor),
      onError: (error) => this.errors.push(error),
    });
  }
}

describe.each([
  ["of the core", true],
  ["of wall time", false],
] as const)("stamps %s", (_, isCore) => {
  test("begin above the bound of a run that was killed, though the wall clock was set back an hour", async () => {
    const world = new World(1, isCore);
    const before = await world.open();
    const first = before.next();
    expect(ms(first)).toBe(world.clock.wallMs());
    expect(before.next()).toBe(first + 1n);
    await world.clock.advance(1000);
    const last = before.next();
    world.disk.powerCut();
    world.clock.setWallMs(world.clock.wallMs() - HOUR_MS);
    const after = await world.open();
    expect(after.next()).toBeGreaterThan(last);
    expect(ms(after.next()) - ms(first)).toBeLessThanOrEqual(AHEAD_MS);
    // And goes on counting while the wall clock is behind.
    const counted = after.next();
    expect(after.next()).toBe(counted + 1n);
  });

  test("of a process that is killed again and again lead no further each time", async () => {
    const world = new World(7, isCore);
    let last = 0n;
    for (let kill = 0; kill < 50; kill += 1) {
      const stamps = await world.open();
      for (let count = 0; count < 3; count += 1) {
        const stamp = stamps.next();
        expect(stamp).toBeGreaterThan(last);
        last = stamp;
      }
      expect(ms(last) - world.clock.wallMs()).toBeLessThanOrEqual(AHEAD_MS + COUNT_MS);
      await world.clock.advance(COUNT_MS);
      world.disk.powerCut();
    }
    await world.clock.advance(AHEAD_MS);
    const stamps = await world.open();
    expect(ms(stamps.next()) - world.clock.wallMs()).toBeLessThanOrEqual(2 * COUNT_MS);
  });

  test("go on in millions while the wall clock stands an hour behind, renewed as they are used", async () => {
    const world = new World(8, isCore);
    (await world.open()).next();
    world.disk.powerCut();
    world.clock.setWallMs(world.clock.wallMs() - HOUR_MS);
    const stamps = await world.open();
    const operations = world.disk.operations;
    await world.clock.advance(30 * 60_000);
    expect(world.disk.operations).toBe(operations);
    // A little more than half of the room, then as much again.
    for (let half = 0; half < 2; half += 1) {
      for (let count = 0; count < (COUNT_MS / 2 + 1) * 65_536; count += 1) stamps.next();
      await world.clock.advance(6000);
    }
    expect(world.disk.operations).toBeGreaterThan(operations);
  });

  test("are renewed between the checks where they are given fast, and a device makes them dear", async () => {
    const world = new World(9, isCore);
    (await world.open()).next();
    world.disk.powerCut();
    world.clock.setWallMs(world.clock.wallMs() - HOUR_MS);
    world.disk.syncMs = 20;
    const opening = world.open();
    await world.clock.advance(100);
    const stamps = await opening;
    // Fifty records a millisecond for five seconds, each of them after a stamp as high as a device may send.
    for (let at = 0; at < 5_000; at += 1) {
      for (let record = 0; record < 50; record += 1) {
        stamps.receive(((stamps.last() >> 16n) << 16n) | 0xff00n);
        stamps.next();
      }
      await world.clock.advance(1);
    }
    expect(ms(stamps.next()) - world.clock.wallMs()).toBeLessThanOrEqual(HOUR_MS + AHEAD_MS);
  });

  test("after an orderly end begin where they ended, not ahead of the wall clock", async () => {
    const world = new World(2, isCore);
    const before = await world.open();
    const last = before.next();
    await before.close();
    await before.close();
    expect(() => before.next()).toThrow(expect.objectContaining({ code: "QUEUE_FULL" }));
    await world.clock.advance(10);
    const after = await world.open();
    expect(ms(after.next())).toBe(ms(last) + 10);
  });

  test("are refused when the wall clock leaps beyond the bound, until the new one is on disk", async () => {
    const world = new World(3, isCore);
    const stamps = await world.open();
    stamps.next();
    world.disk.syncMs = 20;
    world.clock.setWallMs(world.clock.wallMs() + HOUR_MS);
    expect(() => stamps.next()).toThrow(expect.objectContaining({ code: "QUEUE_FULL" }));
    await world.clock.advance(10);
    expect(() => stamps.next()).toThrow(/not on disk yet/);
    await world.clock.advance(30);
    expect(ms(stamps.next())).toBe(world.clock.wallMs());
  });

  test("are renewed ahead of time: a day passes and none is refused; a disk that fails is tried again", async () => {
    const world = new World(4, isCore);
    const stamps = await world.open();
    const operations = world.disk.operations;
    for (let minute = 0; minute < 24 * 60; minute += 1) {
      await world.clock.advance(60_000);
      stamps.next();
    }
    // A write and a sync each fifteen seconds.
    expect((world.disk.operations - operations) / 2).toBeLessThan(24 * 60 * 4 + 10);
    world.disk.failSyncs(2);
    for (let second = 0; second < 60; second += 1) {
      await world.clock.advance(1000);
      stamps.next();
    }
    expect(world.errors.length).toBe(2);
    world.disk.failSyncs(1000);
    await world.clock.advance(60_000);
    expect(() => stamps.next()).toThrow(expect.objectContaining({ code: "QUEUE_FULL" }));
  });
});

describe.each([
  ["of the core", true],
  ["of wall time", false],
] as const)("a device's stamp, by a clock %s", (_, isCore) => {
  test("at most five seconds ahead is below the next; one further ahead moves nothing", async () => {
    const world = new World(11, isCore);
    const stamps = await world.open();
    const wallMs = world.clock.wallMs();
    const first = stamps.next();
    expect(stamps.receive(first - 1n)).toBe(true);
    expect(stamps.last()).toBe(first);
    expect(stamps.receive(stampAt(wallMs + 20, 7))).toBe(true);
    expect(stamps.next()).toBe(stampAt(wallMs + 20, 8));
    for (const wrong of [stampAt(wallMs + DEVICE_AHEAD_MS + 1), stampAt(wallMs + HOUR_MS), 2n ** 64n - 1n])
      expect(stamps.receive(wrong)).toBe(false);
    expect(stamps.next()).toBe(stampAt(wallMs + 20, 9));
    expect(stamps.receive(stampAt(wallMs + DEVICE_AHEAD_MS, 0xffff))).toBe(true);
    expect(stamps.next()).toBe(stampAt(wallMs + DEVICE_AHEAD_MS + 1));
  });

  test("counts on with ours while a wall clock that was set back catches up, and is not taken further", async () => {
    const world = new World(12, isCore);
    const stamps = await world.open();
    const aheadMs = ms(stamps.next());
    world.clock.setWallMs(aheadMs - HOUR_MS);
    const last = stamps.next();
    // A device that heard of ours answers above it.
    expect(stamps.receive(last + 3n)).toBe(true);
    expect(stamps.next()).toBe(last + 4n);
    expect(stamps.receive(stampAt(aheadMs + 1))).toBe(false);
    expect(stamps.receive(stampAt(aheadMs, 0xff01))).toBe(false);
    expect(stamps.receive(stampAt(aheadMs, 0xff00))).toBe(true);
    expect(stamps.next()).toBe(stampAt(aheadMs, 0xff01));
  });

  test("above the bound on disk is refused, though near: nobody else is held up by it", async () => {
    const world = new World(13, isCore);
    const stamps = await world.open();
    const openedMs = world.clock.wallMs();
    world.disk.failSyncs(1000);
    await world.clock.advance(AHEAD_MS - 2000);
    expect(stamps.receive(stampAt(openedMs + AHEAD_MS, 1))).toBe(false);
    expect(ms(stamps.next())).toBe(world.clock.wallMs());
    expect(stamps.receive(stampAt(openedMs + AHEAD_MS - 1))).toBe(true);
    expect(ms(stamps.next())).toBe(openedMs + AHEAD_MS - 1);
  });

  test("that was taken in is below the stamps of the run after a kill, whatever the wall clock says then", async () => {
    const world = new World(14, isCore);
    const stamps = await world.open();
    const near = stampAt(world.clock.wallMs() + DEVICE_AHEAD_MS);
    expect(stamps.receive(near)).toBe(true);
    world.disk.powerCut();
    world.clock.setWallMs(world.clock.wallMs() - HOUR_MS);
    const after = await world.open();
    expect(after.next()).toBeGreaterThan(near);
  });

  test("never makes ours lead by more than five seconds: a hundred a millisecond, each as high as may be", async () => {
    const world = new World(15, isCore);
    const stamps = await world.open();
    let lead = 0;
    let taken = 0;
    for (let turn = 0; turn < 300; turn += 1) {
      for (let message = 0; message < 100; message += 1) {
        const counted = stampAt(ms(stamps.last()), 0xffff);
        const highest = stampAt(world.clock.wallMs() + DEVICE_AHEAD_MS, 0xffff);
        for (const stamp of [counted, counted - 0xffn, highest]) taken += stamps.receive(stamp) ? 1 : 0;
        lead = Math.max(lead, ms(stamps.next()) - world.clock.wallMs());
      }
      await world.clock.advance(1);
    }
    expect(taken).toBeGreaterThan(1000);
    expect(lead).toBe(DEVICE_AHEAD_MS + 1);
  });
});

test("a clock that refuses by a bound of its own is heard: the stamp is refused, and nothing is thrown", async () => {
  const world = new World(16);
  const stamps = await openStamps({
    disk: world.disk.mount(),
    clock: world.clock,
    clockFrom: (floor) => createHybridClock(core, world.clock, { floor, driftMsMax: 10 }),
    onError: (error) => world.errors.push(error),
  });
  expect(stamps.receive(stampAt(world.clock.wallMs() + 11))).toBe(false);
  expect(stamps.receive(stampAt(world.clock.wallMs() + 10))).toBe(true);
});

test("a damaged slot leaves the other's bound; two begin anew; another version's file is refused", async () => {
  const world = new World(6);
  const slotOf = async () => {
    const stamps = await world.open();
    await world.clock.advance(100_000);
    const last = stamps.next();
    world.disk.kill();
    return last;
  };
  const last = await slotOf();
  const [first, second] = [0, 4096].map((at) =>
    new DataView(world.disk.peek(PATH).buffer).getFloat64(at + 8, true),
  );
  const newest = (first as number) > (second as number) ? 0 : 4096;
  world.disk.corrupt(PATH, newest + 20);
  world.clock.setWallMs(world.clock.wallMs() - HOUR_MS);
  const kept = await world.open();
  // The bound before it, of a quarter of a minute earlier.
  expect(ms(kept.next())).toBeGreaterThan(ms(last) - AHEAD_MS);
  world.disk.kill();
  for (const at of [20, 4116]) world.disk.corrupt(PATH, at);
  const anew = await world.open();
  expect(ms(anew.next())).toBe(world.clock.wallMs());
  world.disk.kill();
  const file = await world.disk.open(PATH);
  for (const at of [0, 4096]) {
    const slot = (await file.read(at, 28)).slice();
    if (slot.length < 28) continue;
    new DataView(slot.buffer).setUint32(4, 9, true);
    new DataView(slot.buffer).setUint32(24, crc32(slot.subarray(0, 24)), true);
    file.write(at, slot);
  }
  await expect(world.open()).rejects.toMatchObject({ code: "FORMAT_VERSION" });
});

test("over a hundred kills and power cuts at any write, with the wall clock set anyhow, no stamp repeats or goes back", async () => {
  let given = 0;
  let cuts = 0;
  for (let seed = 1; seed <= 20; seed += 1) {
    const world = new World(seed);
    const random = seededRandom(seed + 1000);
    let highest = 0n;
    for (let run = 0; run < 12; run += 1) {
      world.disk.crashAfter(1 + (random.u32() % 14), random.u32() % 3 === 0 ? "kill" : "power");
      try {
        const stamps = await world.open();
        for (let turn = 0; turn < 40; turn += 1) {
          await world.clock.advance(random.u32() % 8000);
          const stamp = stamps.next();
          expect(stamp).toBeGreaterThan(highest);
          highest = stamp;
          given += 1;
        }
      } catch (error) {
        if ((error as Error).name === "AssertionError") throw error;
        cuts += 1;
      }
      world.disk.powerCut();
      world.clock.setWallMs(world.clock.wallMs() + (random.u32() % (2 * HOUR_MS)) - HOUR_MS);
    }
  }
  expect(given).toBeGreaterThan(1000);
  expect(cuts).toBeGreaterThan(50);
});

test("a gateway's records rise over a power cut with the wall clock set back an hour", async () => {
  const world = new GatewayWorld(5);
  await world.open();
  const device = await world.device("greenhouse-1");
  device.connect();
  const talk = async () => {
    for (let turn = 0; turn < 5; turn += 1) {
      device.telemetry([turn]);
      await world.clock.advance(1000);
    }
  };
  await talk();
  world.clock.setWallMs(world.clock.wallMs() - HOUR_MS);
  await world.crash("power");
  await talk();
  await world.crash("kill");
  await talk();
  const stamps = (await world.records()).map(({ stamp }) => stamp);
  expect(stamps.length).toBeGreaterThan(15);
  for (const [index, stamp] of stamps.entries()) {
    if (index > 0) expect(stamp).toBeGreaterThan(stamps[index - 1] as bigint);
  }
});
