/** Two gateways at one broker, in virtual time. Who has what is said by hand here; the replicated store says it in shared-site-processes.test.ts. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { type Gateway, openGateway } from "../../../host/gateway/gateway.ts";
import { FAMILY_RULES } from "../../../host/gateway/plain/families.ts";
import { PlainSource } from "../../../host/gateway/plain/plain-source.ts";
import { ruleDecoder } from "../../../host/gateway/plain/rule.ts";
import type { DeviceShare, OpenShare, ShareHost } from "../../../host/gateway/shared-site.ts";
import { memoryState } from "../../../host/store/memory-state.ts";
import { SimulatedDisk } from "../../../host/world/disk.ts";
import { GatewayWorld, SITE } from "../../support/gateway-world.ts";
import { quietLogger, RecordingMeter } from "../../support/quiet.ts";

/** Which gateway has which name. */
class Table {
  readonly #owners = new Map<string, string>();
  readonly #gained = new Map<string, () => void>();
  readonly #hosts = new Map<string, ShareHost>();

  shareOf(gateway: string): OpenShare {
    return (host): DeviceShare => {
      this.#hosts.set(gateway, host);
      return {
        serves: (device) => this.#owners.get(device) === gateway,
        owner: (device) => this.#owners.get(device),
        state: () => ({ gateway, gateways: [...this.#hosts.keys()], isSettled: true }),
        onGained: (listener) => {
          this.#gained.set(gateway, listener);
          return () => undefined;
        },
        close: async () => {
          const own = [...this.#owners].filter(([, owner]) => owner === gateway).map(([name]) => name);
          for (const name of own) this.#owners.delete(name);
          await host.release(own);
          this.#hosts.delete(gateway);
          return { isLast: this.#hosts.size === 0 };
        },
      };
    };
  }
  /** Whoever had them lets go first. */
  async give(names: readonly string[], to: string): Promise<void> {
    for (const [gateway, host] of this.#hosts) {
      const gone = names.filter((name) => gateway !== to && this.#owners.get(name) === gateway);
      for (const name of gone) this.#owners.delete(name);
      if (gone.length > 0) await host.release(gone);
    }
    for (const name of names) this.#owners.set(name, to);
    this.#gained.get(to)?.();
  }
}

let world: GatewayWorld;
let table: Table;
let attic: Gateway;
let barn: Gateway;
let barnDisk: SimulatedDisk;

beforeEach(async () => {
  world = new GatewayWorld(3);
  table = new Table();
  attic = await world.open({ share: table.shareOf("attic") });
  barnDisk = new SimulatedDisk({ random: world.random.fork("barn"), clock: world.clock });
  barn = await world.settle(
    openGateway({
      ...{
        site: SITE,
        disk: barnDisk.mount(),
        clock: world.clock,
        random: world.random.fork("barn gateway"),
      },
      ...{ broker: world.broker, state: memoryState(), meter: new RecordingMeter(), logger: quietLogger },
      ...{ log: { segmentBytes: 64 * 1024 }, share: table.shareOf("barn") },
    }),
  );
});
afterEach(async () => {
  await world.settle(attic.close());
  await world.settle(barn.close());
});

const messagesOf = (gateway: Gateway, device: string): number => gateway.device(device)?.counts.messages ?? 0;

describe("a device", () => {
  test("is heard by the gateway that serves it alone, and by none while it is nobody's", async () => {
    const one = await world.device("one");
    one.connect();
    one.telemetry([1]);
    await world.clock.advance(5_000);
    expect([one.open, one.held, attic.devices().length, barn.devices().length]).toEqual([false, 1, 0, 0]);
    await table.give(["one"], "barn");
    one.hello();
    await world.clock.advance(1_000);
    expect([one.open, one.held]).toEqual([true, 0]);
    expect([messagesOf(attic, "one"), messagesOf(barn, "one")]).toEqual([0, 1]);
    expect(barn.device("one")).not.toHaveProperty("servedBy");
    expect(attic.errors()).toEqual([]);
  });

  test("goes from one to the other with all it says, once, and back", async () => {
    const one = await world.device("one");
    await table.give(["one", "bridge"], "attic");
    one.connect();
    const owners = ["barn", "attic", "barn"];
    const greeted = one.hellos;
    let said = 0;
    for (const to of owners) {
      for (let burst = 0; burst < 5; burst += 1) {
        one.telemetry([said]);
        said += 1;
        await world.clock.advance(7);
      }
      await world.settle(table.give(["one"], to));
      await world.clock.advance(1_500);
    }
    // It was told to greet each time, and the next gateway heard it.
    expect(one.held).toBe(0);
    expect(one.hellos - greeted).toBeGreaterThan(owners.length);
    expect(messagesOf(attic, "one") + messagesOf(barn, "one")).toBe(said);
    expect(attic.device("one")).toMatchObject({ servedBy: "barn", state: "unknown" });
  });

  test("what is on its way to the disk is acknowledged before it goes", async () => {
    const one = await world.device("one");
    await table.give(["one"], "attic");
    one.connect();
    await world.clock.advance(100);
    world.disk.syncMs = 800;
    one.telemetry([1]);
    await world.clock.advance(5);
    const given = table.give(["one"], "barn");
    await world.settle(given);
    expect([one.held, messagesOf(barn, "one")]).toEqual([0, 0]);
    await world.settle(attic.close());
    expect(messagesOf(attic, "one")).toBe(1);
  });

  test("a disk that hangs holds the handover up for two seconds, and loses nothing", async () => {
    const one = await world.device("one");
    await table.give(["one"], "attic");
    one.connect();
    await world.clock.advance(100);
    world.disk.syncMs = 60_000;
    one.telemetry([7]);
    await world.clock.advance(5);
    const fromMs = world.clock.monotonicMs();
    await world.settle(table.give(["one"], "barn"));
    expect(world.clock.monotonicMs() - fromMs).toBeLessThan(2_500);
    one.hello();
    await world.clock.advance(3_000);
    expect([one.held, messagesOf(barn, "one")]).toEqual([0, 1]);
    world.disk.syncMs = 0;
    await world.clock.advance(60_000);
  });
});

describe("what one gateway knows and another does not", () => {
  const greeted = async (id: string, to: string) => {
    const device = await world.device(id);
    await table.give([id], to);
    device.connect();
    await world.clock.advance(100);
    return device;
  };
  const move = async (names: readonly string[], to: string) => {
    await world.settle(table.give(names, to));
    await world.clock.advance(1_500);
  };

  test("a desired state is above what the device has applied elsewhere", async () => {
    const one = await greeted("one", "attic");
    for (let level = 1; level <= 5; level += 1) await world.settle(attic.setDesired("one", { level }));
    await world.clock.advance(500);
    const applied = one.desired?.version as number;
    await move(["one"], "barn");
    // Before the device has said what it has.
    const { version } = await world.settle(barn.setDesired("one", { level: 99 }));
    one.report();
    await world.clock.advance(500);
    expect(version).toBeGreaterThan(applied);
    expect(one.desired).toMatchObject({ version, entries: [{ key: "level", value: 99 }] });
  });

  test("commands of two gateways have different ids", async () => {
    const ran: number[] = [];
    const one = await world.device("one", {
      commands: {
        blink: ({ id }) => {
          ran.push(id);
          return { code: 0 };
        },
      },
    });
    await table.give(["one"], "attic");
    one.connect();
    await world.clock.advance(100);
    await world.settle(attic.command("one", { name: "blink" }));
    await move(["one"], "barn");
    await world.settle(barn.command("one", { name: "blink" }));
    expect(new Set(ran).size).toBe(2);
  });

  test("a device that was erased elsewhere is a new one, though its boot has the same number", async () => {
    const one = await greeted("one", "attic");
    for (let at = 0; at < 50; at += 1) one.telemetry([at]);
    await world.clock.advance(2_000);
    await move(["one"], "barn");
    await world.clock.advance(120_000);
    one.disconnect();
    one.reflash();
    await world.clock.advance(180_000);
    one.connect();
    for (let at = 0; at < 3; at += 1) one.telemetry([at]);
    await world.clock.advance(1_000);
    one.disconnect();
    for (let at = 0; at < 5; at += 1) one.telemetry([at]);
    await move(["one"], "attic");
    one.connect();
    await world.clock.advance(2_000);
    expect([one.held, messagesOf(attic, "one"), messagesOf(barn, "one")]).toEqual([0, 55, 3]);
  });

  test("the retained state is not set back by one that served it long ago", async () => {
    const one = await greeted("one", "attic");
    one.telemetry([2]);
    await world.clock.advance(1_000);
    await move(["one"], "barn");
    one.telemetry([500]);
    await world.clock.advance(1_000);
    one.disconnect();
    await move(["one"], "attic");
    const state = () => world.json(`tardi/${SITE}/one`) as { metrics: { temperature: { value: number } } };
    expect(state().metrics.temperature.value).toBe(500);
    one.connect();
    one.telemetry([7]);
    await world.clock.advance(1_000);
    expect(state().metrics.temperature.value).toBe(7);
  });

  test("what was stored elsewhere is neither a loss nor an error", async () => {
    const one = await greeted("one", "attic");
    for (const to of ["barn", "attic", "barn"]) {
      one.telemetry([1]);
      one.telemetry([2]);
      await world.clock.advance(500);
      await move(["one"], to);
    }
    for (const gateway of [attic, barn]) {
      expect(gateway.device("one")?.counts.possibleGaps).toBe(0);
      expect(gateway.errors()).toEqual([]);
    }
  });

  test("devices that left do not count against the limit", async () => {
    await world.settle(barn.close());
    barn = await world.settle(
      openGateway({
        ...{ site: SITE, disk: barnDisk.mount(), clock: world.clock, random: world.random.fork("barn 2") },
        ...{ broker: world.broker, state: memoryState(), meter: new RecordingMeter(), logger: quietLogger },
        ...{ log: { segmentBytes: 64 * 1024 }, share: table.shareOf("barn"), limits: { devicesMax: 2 } },
      }),
    );
    for (const id of ["one", "two", "three"]) {
      const device = await greeted(id, "barn");
      expect(device.open).toBe(true);
      await move([id], "attic");
    }
  });

  test("a plain device is let go of, and heard anew when it comes back", async () => {
    const sources = () => [new PlainSource([ruleDecoder(FAMILY_RULES.tasmota)])];
    await world.settle(attic.close());
    await world.settle(barn.close());
    const open = (gateway: string, disk: SimulatedDisk) =>
      world.settle(
        openGateway({
          ...{ site: SITE, disk: disk.mount(), clock: world.clock, random: world.random.fork(gateway) },
          ...{ broker: world.broker, state: memoryState(), meter: new RecordingMeter(), logger: quietLogger },
          ...{ log: { segmentBytes: 64 * 1024 }, share: table.shareOf(gateway), sources: sources() },
        }),
      );
    attic = await open("attic", world.disk);
    barn = await open("barn", barnDisk);
    const lamp = world.broker.connect({ clientId: "lamp" });
    const asked: string[] = [];
    await lamp.subscribe("cmnd/Lamp/#", ({ topic, payload }) => {
      asked.push(`${topic} ${new TextDecoder().decode(payload)}`);
    });
    const says = (power: string) => lamp.publish("stat/Lamp/RESULT", JSON.stringify({ POWER1: power }));
    await table.give(["tasmota-lamp"], "attic");
    says("OFF");
    await world.clock.advance(500);
    await world.settle(attic.setDesired("tasmota-lamp", { power1: true }));
    await world.clock.advance(500);
    expect(asked.length).toBeGreaterThan(0);
    // It never did it, and the gateway that asks for it has it no more.
    await move(["tasmota-lamp"], "barn");
    asked.length = 0;
    await world.clock.advance(30_000);
    expect(asked).toEqual([]);
    says("ON");
    await world.clock.advance(500);
    expect(barn.device("tasmota-lamp")?.state).toBe("online");
    await move(["tasmota-lamp"], "attic");
    says("ON");
    await world.clock.advance(500);
    await world.settle(attic.setDesired("tasmota-lamp", { power1: false }));
    await world.clock.advance(500);
    expect(asked.at(-1)).toMatch(/OFF/);
  });
});

describe("who asks", () => {
  test("is told where the device is", async () => {
    const one = await world.device("one", { commands: { blink: () => ({ code: 0 }) } });
    await table.give(["one"], "attic");
    one.connect();
    await world.clock.advance(100);
    await world.settle(table.give(["one"], "barn"));
    await expect(attic.command("one", { name: "blink" })).rejects.toMatchObject({
      code: "DEVICE_ELSEWHERE",
      message: 'one is served by gateway "barn"; ask there.',
    });
    await expect(attic.setDesired("one", { level: 1 })).rejects.toMatchObject({ code: "DEVICE_ELSEWHERE" });
  });

  test("a command under way ends with the device's going", async () => {
    const one = await world.device("one");
    await table.give(["one"], "attic");
    one.connect();
    await world.clock.advance(100);
    one.disconnect();
    const asked = attic.command("one", { name: "blink", timeoutMs: 60_000 });
    const refused = expect(asked).rejects.toMatchObject({ code: "DEVICE_ELSEWHERE" });
    await world.clock.advance(50);
    await world.settle(table.give(["one"], "barn"));
    await refused;
  });

  test("over MQTT is answered by one: the device's gateway, or the one that speaks for the site", async () => {
    await table.give(["one", "bridge"], "barn");
    const one = await world.device("one");
    one.connect();
    await world.clock.advance(1_200);
    const answers: string[] = [];
    const client = world.broker.connect({ clientId: "asker" });
    await client.subscribe(`tardi/${SITE}/bridge/response/#`, ({ payload }) => {
      answers.push(new TextDecoder().decode(payload));
    });
    const ask = (verb: string, request: object) =>
      client.publish(`tardi/${SITE}/bridge/request/${verb}`, JSON.stringify(request));
    ask("device", { device: "one", transaction: 1 });
    ask("health", { transaction: 2 });
    await world.clock.advance(100);
    expect(answers.map((answer) => JSON.parse(answer).transaction)).toEqual([1, 2]);
    expect(world.json(`tardi/${SITE}/bridge/devices`)).toMatchObject([{ id: "one" }]);
    await world.settle(table.give(["bridge"], "attic"));
    expect(world.json(`tardi/${SITE}/bridge/devices`)).toEqual([]);
    expect(world.json(`tardi/${SITE}/bridge/info`)).toMatchObject({
      shared: { gateway: "attic", gateways: ["attic", "barn"], isSettled: true },
    });
    expect(world.text(`tardi/${SITE}/bridge/state`)).toBe("online");
  });
});

test("the one that goes leaves what others say alone; the last says that the site is offline", async () => {
  await table.give(["one", "bridge"], "attic");
  const one = await world.device("one");
  one.connect();
  await world.clock.advance(100);
  const closing = attic.close();
  await world.settle(closing);
  expect(world.text(`tardi/${SITE}/bridge/state`)).toBe("online");
  expect(world.text(`tardi/${SITE}/one/availability`)).toBe("online");
  await table.give(["one", "bridge"], "barn");
  // The will of the gateway that went, or of any other.
  world.broker
    .connect({ clientId: "will" })
    .publish(`tardi/${SITE}/bridge/state`, "offline", { retain: true });
  await world.clock.advance(100);
  expect(world.text(`tardi/${SITE}/bridge/state`)).toBe("online");
  await world.settle(barn.close());
  expect(world.text(`tardi/${SITE}/bridge/state`)).toBe("offline");
});
