/** Devices that stamp themselves, and a gateway that takes their stamps in: on simulated clock, disk and broker, with devices of the protocol's model. */
import { describe, expect, test } from "vitest";
import { WALL_TOLD_MS } from "../../../host/gateway/ingest.ts";
import type { GatewayEvent } from "../../../host/gateway/service.ts";
import type { Sequenced } from "../../../host/gateway/session.ts";
import { encodeMessage } from "../../../protocols/message.ts";
import type { Message } from "../../../protocols/messages.generated.ts";
import { LIMITS } from "../../../protocols/table.ts";
import type { DeviceModelOptions } from "../../support/device-model.ts";
import { GatewayWorld } from "../../support/gateway-world.ts";

const HOUR_MS = 3_600_000;
const ms = (stamp: bigint) => Number(stamp >> 16n);

async function started(options: Partial<DeviceModelOptions> = {}) {
  const world = new GatewayWorld();
  await world.open();
  const device = await world.device("pot", options);
  const told: Extract<GatewayEvent, { type: "event" | "log" | "error" }>[] = [];
  world.gateway.events((event) => {
    if (event.type === "event" || event.type === "log" || event.type === "error") told.push(event);
  });
  device.connect();
  await world.clock.advance(50);
  const received = <K extends Message["kind"]>(kind: K) =>
    device.received.filter((message) => message.kind === kind) as Extract<Message, { kind: K }>[];
  const drift = () => world.gateway.errors().find(({ code }) => code === "CLOCK_DRIFT");
  return { world, device, told, received, drift };
}

const isSequenced = (message: Message): message is Sequenced => "seq" in message && "uptimeUs" in message;

/** Records of the log that hold what a device said. */
async function stampedOf(world: GatewayWorld) {
  return (await world.records()).flatMap(({ stamp, wallMs, body }) =>
    body.type === "message" && isSequenced(body.message) ? [{ stamp, wallMs, message: body.message }] : [],
  );
}

describe("up", () => {
  test("what a device stamped a little ahead of the gateway is recorded above that, and shown with its stamp", async () => {
    const { world, device, told, drift } = await started({ strayMs: () => 40 });
    device.event("door", true);
    device.log("open");
    device.error(214);
    device.telemetry([1]);
    await world.clock.advance(50);
    expect(told.map(({ type, hlcFrom }) => [type, hlcFrom])).toEqual([
      ["event", "device"],
      ["log", "device"],
      ["error", "device"],
    ]);
    expect(drift()).toBeUndefined();
    const context = world.gateway.errors().find(({ code }) => code === "SENSOR_RANGE")?.last[0]?.context;
    expect(context).toMatchObject({ hlc: told[2]?.hlc, hlcFrom: "device" });
    const stored = await stampedOf(world);
    expect(stored).toHaveLength(4);
    for (const { stamp, message } of stored) expect(stamp).toBeGreaterThan(message.hlc as bigint);
    expect(stored.slice(0, 3).map(({ message }) => String(message.hlc))).toEqual(told.map(({ hlc }) => hlc));
    expect(ms(stored[3]?.stamp as bigint) - (stored[3]?.wallMs as number)).toBe(40);
  });

  test("what a listener hears again from the log is what it heard live", async () => {
    const { world, device, told } = await started({ strayMs: () => 9000 });
    device.event("door", true);
    await world.clock.advance(50);
    const again: GatewayEvent[] = [];
    world.gateway.events((event) => again.push(event), { from: 0 });
    await world.clock.advance(50);
    expect(again.filter(({ type }) => type === "event")).toEqual(told);
    expect(told).toHaveLength(1);
  });

  test("a clock far ahead is refused and reported; the message is stored, acknowledged, and the gateway not dragged along", async () => {
    let strayMs = 20_000;
    const { world, device, told, drift } = await started({ strayMs: () => strayMs });
    device.event("door", true);
    await world.clock.advance(50);
    expect(device.held).toBe(0);
    expect(told[0]).toMatchObject({ name: "door", hlcFrom: "gateway" });
    expect(drift()).toMatchObject({ component: "ingest", severity: "warning", count: 1 });
    expect(drift()?.last[0]).toMatchObject({
      device: "pot",
      context: { aheadMs: 20_000 },
      message: expect.stringMatching(/^pot stamps 20000 ms ahead .* messages are kept.*restart the device/),
    });
    // The same again: stored once, counted once.
    device.raw({
      kind: "event",
      ...{ boot: 1, seq: 1, uptimeUs: 5, name: "door", severity: 0, hlc: 2n ** 64n - 1n },
    });
    await world.clock.advance(50);
    expect(drift()?.count).toBe(1);
    // When the gateway's time has passed what the device said, its stamps count again.
    strayMs = 0;
    await world.clock.advance(20_000);
    device.event("door", false);
    await world.clock.advance(50);
    expect(told[1]).toMatchObject({ hlcFrom: "device" });
    expect(drift()?.count).toBe(1);
    const [first, second] = await stampedOf(world);
    expect(ms(first?.stamp as bigint)).toBe(first?.wallMs);
    expect(second?.stamp).toBeGreaterThan(second?.message.hlc as bigint);
  });

  test("a report and an answer that are not in the log as they came count too", async () => {
    const { world, device, drift } = await started({
      strayMs: () => 9000,
      commands: { dig: () => ({ code: 0 }) },
    });
    await world.settle(world.gateway.command("pot", { name: "dig" }));
    expect(drift()?.count).toBe(1);
    device.report();
    await world.clock.advance(50);
    expect(drift()?.count).toBe(2);
  });

  test("of two devices that were cut off, the stamps say who was first, whoever is heard first", async () => {
    const { world, device, told } = await started();
    const other = await world.device("other");
    other.connect();
    await world.clock.advance(50);
    for (const one of [device, other]) one.disconnect();
    for (const [at, one] of [device, other, device, other, other, device].entries()) {
      one.event(`event-${at}`);
      await world.clock.advance(2);
    }
    await world.clock.advance(10 * 60_000);
    for (const one of [other, device]) {
      one.connect();
      await world.clock.advance(1000);
    }
    expect(told.map(({ name }) => name)).not.toEqual([...told.map(({ name }) => name)].sort());
    const byStamp = [...told]
      .sort((a, b) => (BigInt(a.hlc) < BigInt(b.hlc) ? -1 : 1))
      .map(({ name }) => name);
    expect(byStamp).toEqual([0, 1, 2, 3, 4, 5].map((at) => `event-${at}`));
  });
});

describe("down", () => {
  test("welcome, command and desired shadow carry the gateway's stamp, and what a device does then is above it", async () => {
    const { world, device, received } = await started({ commands: { dig: () => ({ code: 0, result: 1 }) } });
    const [welcome] = received("welcome");
    const command = world.gateway.command("pot", { name: "dig" });
    await world.settle(command);
    await world.settle(world.gateway.setDesired("pot", { depth: 4 }));
    await world.clock.advance(50);
    device.report();
    device.event("done");
    await world.clock.advance(50);
    const [shadow] = received("shadow");
    const records = await world.records();
    const ofType = (type: string) => records.find(({ body }) => body.type === type)?.stamp as bigint;
    expect(welcome?.hlc).toBe(ofType("hello"));
    expect(received("command")[0]?.hlc).toBe(ofType("command"));
    expect(shadow?.hlc).toBeGreaterThanOrEqual(ofType("desired"));
    // hello < command < its end < desired < reported < event, as cause has it.
    const rising = records.map(({ stamp }) => stamp);
    expect(rising).toEqual([...rising].sort((a, b) => (a < b ? -1 : 1)));
    const ups = records.flatMap(({ body }) => (body.type === "message" ? [body.message] : []));
    expect(ups.map(({ kind }) => kind)).toEqual(["shadow", "event"]);
    for (const message of ups) expect("hlc" in message && message.hlc).toBeGreaterThan(shadow?.hlc as bigint);
    expect(device.drifts).toBe(0);
  });

  test("also when the gateway's wall clock was set back an hour", async () => {
    const { world, device, received, drift } = await started({ commands: { dig: () => ({ code: 0 }) } });
    world.clock.setWallMs(world.clock.wallMs() - HOUR_MS);
    device.hello();
    await world.clock.advance(50);
    for (let turn = 0; turn < 5; turn += 1) {
      await world.settle(world.gateway.command("pot", { name: "dig" }));
      device.event("dug");
      await world.clock.advance(50);
    }
    expect(drift()).toBeUndefined();
    expect(device.drifts).toBe(0);
    const commands = received("command").map(({ hlc }) => hlc as bigint);
    const events = (await stampedOf(world)).map(({ message }) => message.hlc as bigint);
    for (const [at, stamp] of events.entries()) expect(stamp).toBeGreaterThan(commands[at] as bigint);
  });

  test("the time comes with a welcome, and then with an acknowledgement a minute", async () => {
    const { world, device, received } = await started();
    for (let second = 0; second < 200; second += 1) {
      device.telemetry([second]);
      await world.clock.advance(1000);
    }
    const told = received("durableAck").flatMap(({ wallMs }) => (wallMs === undefined ? [] : [wallMs]));
    expect(received("durableAck").length).toBeGreaterThan(190);
    expect(told).toHaveLength(3);
    expect((told[1] as number) - (told[0] as number)).toBeGreaterThanOrEqual(WALL_TOLD_MS);
    expect(device.wallMs).toBe(world.clock.wallMs());
  });

  test("a shadow of the longest names and texts is sent without a stamp, since it has no room", async () => {
    const { world, received } = await started();
    const long = (at: number) => `${at}`.padStart(LIMITS.NAME_BYTES_MAX, "k");
    const patch = Object.fromEntries(
      Array.from({ length: LIMITS.SHADOW_ENTRIES_MAX }, (_, at) => [
        long(at),
        "v".repeat(LIMITS.TEXT_VALUE_BYTES_MAX),
      ]),
    );
    await world.settle(world.gateway.setDesired("pot", patch));
    await world.clock.advance(50);
    const [full] = received("shadow");
    expect(full?.entries).toHaveLength(LIMITS.SHADOW_ENTRIES_MAX);
    expect(full?.hlc).toBeUndefined();
    expect(encodeMessage(full as Message).length).toBeGreaterThan(LIMITS.MESSAGE_BYTES_MAX - 10);
    await world.settle(world.gateway.setDesired("pot", { [long(3)]: true }));
    await world.clock.advance(50);
    expect(received("shadow").at(-1)?.hlc).toBeDefined();
  });
});

test("a device of protocol 1.2 is served as before: it stamps nothing, the gateway does", async () => {
  const { world, device, told, drift } = await started({ minor: 2, commands: { dig: () => ({ code: 0 }) } });
  device.event("door", true);
  await world.settle(world.gateway.command("pot", { name: "dig" }));
  await world.clock.advance(2 * WALL_TOLD_MS);
  device.telemetry([1]);
  await world.clock.advance(50);
  expect(device.held).toBe(0);
  expect(told[0]).toMatchObject({ hlcFrom: "gateway" });
  expect(drift()).toBeUndefined();
  for (const { message } of await stampedOf(world)) expect(message.hlc).toBeUndefined();
});
