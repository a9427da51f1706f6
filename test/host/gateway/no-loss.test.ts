/**
 * Random lives: devices send, lose the link, reset warm or lose power, drop what their ring cannot hold; the broker loses and
 * repeats messages; the gateway is killed or loses power in the middle of disk operations. At the end the raw log must hold
 * every reading once, or state the range it is missing from.
 */
import { describe, expect, test } from "vitest";
import type { SeededRandom } from "../../../host/world/random.ts";
import { DeviceAccount } from "../../../host/world/site/account.ts";
import type { DeviceModel } from "../../support/device-model.ts";
import { GatewayWorld } from "../../support/gateway-world.ts";

const STEPS = 120;

function act(device: DeviceModel, random: SeededRandom): void {
  const dice = random.below(100);
  if (dice < 70) device.telemetry(Array.from({ length: 1 + random.below(3) }, () => random.below(1000)));
  else if (dice < 76) device.event("tick");
  else if (dice < 82) device.resend();
  else if (dice < 88) device.disconnect();
  else if (dice < 95) {
    if (!device.linkUp) device.connect();
  } else if (dice < 98) device.warmReset();
  else device.powerCut();
}

async function live(seed: number): Promise<{ world: GatewayWorld; devices: DeviceModel[]; crashes: number }> {
  const world = new GatewayWorld(seed, { syncMs: 3, dropProbability: 0.02, duplicateProbability: 0.02 });
  const random = world.random.fork("driver");
  await world.open();
  const devices = [await world.device("one", { ringMax: 12 }), await world.device("two", { ringMax: 40 })];
  for (const device of devices) device.connect();
  let crashes = 0;
  for (let step = 0; step < STEPS; step += 1) {
    for (const device of devices) act(device, random);
    if (random.chance(0.03))
      world.disk.crashAfter(1 + random.below(12), random.chance(0.5) ? "power" : "kill");
    await world.clock.advance(random.below(40));
    for (const device of devices) if (device.linkUp && !device.open && random.chance(0.3)) device.hello();
    if (world.fatal.length > 0 || random.chance(0.01)) {
      world.disk.disarm();
      await world.crash(random.chance(0.5) ? "power" : "kill");
      world.fatal.length = 0;
      crashes += 1;
    }
  }
  world.disk.disarm();
  await world.crash("power");
  for (let turn = 0; turn < 200 && devices.some((device) => device.held > 0 || !device.open); turn += 1) {
    for (const device of devices) {
      if (!device.linkUp) device.connect();
      else if (!device.open) device.hello();
      else device.resend();
    }
    await world.clock.advance(700);
    // What the firmware does after RESENDS_MAX resends without progress.
    if (turn % 5 === 4) for (const device of devices) if (device.held > 0) device.hello();
  }
  return { world, devices, crashes };
}

describe("nothing is lost and nothing is stored twice", () => {
  test.each(Array.from({ length: 40 }, (_, index) => index + 1))("seed %i", async (seed) => {
    const { world, devices } = await live(seed);
    expect(devices.map((device) => device.held)).toEqual([0, 0]);
    const records = await world.records();
    for (const [index, device] of devices.entries()) {
      const account = new DeviceAccount(records, index === 0 ? "one" : "two");
      expect(device.produced.length).toBeGreaterThan(0);
      for (const { boot, seq, index: reading } of device.produced) {
        const copies = account.copies(boot, seq);
        const where = `device ${index} boot ${boot} seq ${seq}`;
        expect(copies.length, `${where} is stored once at most`).toBeLessThanOrEqual(1);
        if (copies.length === 1) {
          expect(copies[0], `${where} is whole`).toBeGreaterThan(reading);
          expect(account.isStated(boot, seq), `${where} is stored and stated as missing`).toBe(false);
        } else expect(account.isStated(boot, seq), `${where} is lost without a word`).toBe(true);
      }
    }
  });

  test("the gateways of these worlds do crash", async () => {
    const lives = await Promise.all([1, 2, 3].map((seed) => live(seed)));
    expect(lives.reduce((sum, { crashes }) => sum + crashes, 0)).toBeGreaterThan(2);
  });
});
