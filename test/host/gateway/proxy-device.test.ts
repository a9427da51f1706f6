/** Devices that do not speak our protocol, as devices of the gateway. */
import { describe, expect, test } from "vitest";
import { QUEUE_MAX } from "../../../host/gateway/proxy-device.ts";
import type { ProxyHandlers, ProxyHost, ProxyPort, ProxySource } from "../../../host/gateway/proxy-port.ts";
import { TardigradeError } from "../../../protocols/error.ts";
import type { Value } from "../../../protocols/messages.generated.ts";
import { GatewayWorld, SITE } from "../../support/gateway-world.ts";

const PLUG = {
  board: "plug",
  app: "tasmota",
  version: "14.2.0",
  metrics: [
    { name: "power", unit: "W" },
    { name: "voltage", unit: "V" },
  ],
  commands: ["set"],
};

/** A source of one device, and what it was told to do. */
class Plug implements ProxySource {
  port!: ProxyPort;
  host!: ProxyHost;
  readonly desired: Readonly<Record<string, Value>>[] = [];
  readonly commands: string[] = [];
  answer: () => Promise<Value | undefined> = async () => 7;
  readonly #id: string;
  readonly #silenceMs: number | undefined;

  constructor(id = "plug-1", silenceMs?: number) {
    this.#id = id;
    this.#silenceMs = silenceMs;
  }

  open(host: ProxyHost): void {
    const handlers: ProxyHandlers = {
      onDesired: (entries) => this.desired.push(entries),
      onCommand: (name) => {
        this.commands.push(name);
        return this.answer();
      },
    };
    this.host = host;
    this.port = host.device(
      this.#id,
      handlers,
      this.#silenceMs === undefined ? {} : { silenceMs: this.#silenceMs },
    );
    this.port.describe(PLUG);
  }
  close(): void {}
}

const historyOf = (world: GatewayWorld, metric: string) =>
  world.gateway
    .history({
      device: "plug-1",
      metric,
      fromMs: 0,
      toMs: Number.MAX_SAFE_INTEGER,
      resolution: "raw",
      limit: 10_000,
    })
    .map(({ value }) => value);

async function opened(plug = new Plug()): Promise<{ world: GatewayWorld; plug: Plug }> {
  const world = new GatewayWorld();
  await world.open({ sources: [plug], log: { segmentBytes: 8 * 1024 } });
  await world.clock.advance(100);
  return { world, plug };
}

describe("a proxied device", () => {
  test("is a device with a name, metrics and commands; its readings are stored", async () => {
    const { world, plug } = await opened();
    plug.port.reading("power", 11);
    plug.port.reading("voltage", 230.5);
    await world.clock.advance(200);
    const device = world.gateway.device("plug-1");
    expect(device).toMatchObject({ state: "online", board: "plug", app: "tasmota", version: "14.2.0" });
    expect(device?.commands).toEqual(["set"]);
    expect(device?.metrics).toMatchObject([
      { name: "power", unit: "W", value: 11 },
      { name: "voltage", unit: "V", value: 230.5 },
    ]);
    // One payload's values are one message.
    expect(device?.counts).toMatchObject({ messages: 1, readings: 2 });
  });

  test("keeps the places of its metrics when it is described anew", async () => {
    const { world, plug } = await opened();
    plug.port.reading("power", 1);
    plug.port.describe({ ...PLUG, metrics: [{ name: "current", unit: "A" }] });
    plug.port.reading("current", 0.5);
    plug.port.reading("power", 2);
    await world.clock.advance(500);
    expect(historyOf(world, "power")).toEqual([1, 2]);
    expect(historyOf(world, "current")).toEqual([0.5]);
    expect(world.gateway.device("plug-1")?.counts).toMatchObject({ possibleGaps: 0, dropped: 0 });
  });

  test("leaves out what is no number of a metric it has", async () => {
    const { world, plug } = await opened();
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY]) plug.port.reading("power", value);
    plug.port.reading("nonsense", 1);
    await world.clock.advance(500);
    expect(world.gateway.device("plug-1")?.counts.readings).toBe(0);
    expect(world.meter.counts.get("tardigrade_proxy_readings_refused_total")).toBe(3);
  });

  test("takes no more metrics than a hello can name", async () => {
    const { plug } = await opened();
    const metrics = Array.from({ length: 17 }, (_, index) => ({ name: `m${index}`, unit: "" }));
    expect(() => plug.port.describe({ ...PLUG, metrics })).toThrow(
      expect.objectContaining({ code: "REQUEST_INVALID" }),
    );
  });

  test("is told what is desired until it reports it", async () => {
    const { world, plug } = await opened();
    await world.settle(world.gateway.setDesired("plug-1", { on: true }));
    await world.clock.advance(6000);
    expect(plug.desired.length).toBeGreaterThanOrEqual(2);
    expect(plug.desired.at(-1)).toEqual({ on: true });
    plug.port.report({ on: false, level: 3 });
    await world.clock.advance(100);
    expect(world.gateway.shadow("plug-1")).toMatchObject({ delta: { on: true }, reportedVersion: 0 });
    plug.port.report({ on: true, level: 3 });
    await world.clock.advance(100);
    expect(world.gateway.shadow("plug-1")).toMatchObject({ delta: {}, reportedVersion: 1 });
    const told = plug.desired.length;
    await world.clock.advance(30_000);
    expect(plug.desired.length).toBe(told);
  });

  test("runs a command once, however often it is sent, and answers with a result or a code", async () => {
    const { world, plug } = await opened();
    let finish: (value: Value) => void = () => {};
    plug.answer = () => new Promise((resolve) => (finish = resolve));
    const slow = world.gateway.command("plug-1", { name: "toggle" });
    await world.clock.advance(5000);
    finish(42);
    await expect(world.settle(slow)).resolves.toMatchObject({ state: "acked", result: 42 });
    expect(plug.commands).toEqual(["toggle"]);
    plug.answer = () => Promise.reject(new TardigradeError("ARGUMENT", "no"));
    await expect(world.settle(world.gateway.command("plug-1", { name: "x" }))).rejects.toMatchObject({
      code: "COMMAND_REJECTED",
    });
  });

  test("keeps what it has to say while the disk is full, and states what did not fit", async () => {
    const { world, plug } = await opened();
    world.disk.capacityBytes = world.disk.usedBytes;
    let said = 0;
    // Until the segment in use is full, and then until the device has no room either.
    for (let left = QUEUE_MAX + 40; left > 0 && said < 5000; said += 1) {
      if (!world.gateway.health().ready) left -= 1;
      plug.port.reading("power", said);
      await world.clock.advance(60);
    }
    world.disk.capacityBytes = Number.POSITIVE_INFINITY;
    await world.clock.advance(30_000);
    const stored = historyOf(world, "power");
    const { dropped } = world.gateway.device("plug-1")?.counts ?? { dropped: -1 };
    expect(stored).toEqual(Array.from({ length: stored.length }, (_, index) => index));
    expect(dropped).toBeGreaterThan(0);
    expect(stored.length + dropped).toBe(said);
    plug.port.reading("power", -1);
    await world.clock.advance(500);
    expect(historyOf(world, "power").at(-1)).toBe(-1);
  });

  test("goes on with a new boot after a restart of the gateway, and loses nothing that was stored", async () => {
    const { world, plug } = await opened();
    plug.port.reading("power", 1);
    await world.clock.advance(500);
    const again = new Plug();
    await world.crash("power", { sources: [again] });
    await world.clock.advance(100);
    again.port.reading("power", 2);
    await world.clock.advance(500);
    expect(historyOf(world, "power")).toEqual([1, 2]);
    expect(world.gateway.device("plug-1")).toMatchObject({ boot: 2, counts: { possibleGaps: 0 } });
  });

  test("is offline by its own word, and by silence when it has a bound", async () => {
    const { world, plug } = await opened(new Plug("plug-1", Number.POSITIVE_INFINITY));
    await world.clock.advance(600_000);
    expect(world.gateway.device("plug-1")?.state).toBe("online");
    plug.port.offline();
    expect(world.gateway.device("plug-1")?.state).toBe("offline");
    plug.port.heard();
    expect(world.gateway.device("plug-1")?.state).toBe("online");
    const short = await opened(new Plug("plug-1", 20_000));
    await short.world.clock.advance(60_000);
    expect(short.world.gateway.device("plug-1")?.state).toBe("offline");
  });

  test("nobody speaks for it over MQTT, and no second source has it", async () => {
    const { world, plug } = await opened();
    const client = world.broker.connect({ clientId: "plug-1" });
    await client.publish(`tardi/${SITE}/plug-1/up`, new Uint8Array([0xa0]));
    await world.clock.advance(100);
    expect(world.gateway.errors().map(({ code }) => code)).toContain("TOPIC_FOREIGN");
    expect(() =>
      plug.host.device("plug-1", { onDesired: () => {}, onCommand: async () => undefined }),
    ).toThrow(expect.objectContaining({ code: "CONFIG_INVALID" }));
  });
});
