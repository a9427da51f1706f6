/** What becomes of messages that are out of order, too many, too large or hostile, in a running gateway. */
import { describe, expect, test } from "vitest";
import { memoryState } from "../../../host/store/memory-state.ts";
import type { Message } from "../../../protocols/messages.generated.ts";
import { ERRORS } from "../../../protocols/table.ts";
import { GatewayWorld, SITE } from "../../support/gateway-world.ts";

const codesOf = (world: GatewayWorld): string[] => world.gateway.errors().map((error) => error.code);
const sent = (world: GatewayWorld, kind: Message["kind"], device = "pot"): Message[] =>
  world.devices.get(device)?.model.received.filter((message) => message.kind === kind) ?? [];

async function started(options: Parameters<GatewayWorld["open"]>[0] = {}, syncMs = 0) {
  const world = new GatewayWorld(1, { syncMs });
  await world.open(options);
  const device = await world.device("pot");
  device.connect();
  await world.clock.advance(50);
  return { world, device };
}

describe("order", () => {
  test("a hole asks for a resend once a second and stores nothing behind it", async () => {
    const { world, device } = await started();
    for (let copy = 0; copy < 3; copy += 1) {
      device.raw({ kind: "telemetry", boot: 1, seq: 5, uptimeUs: 0, readings: [] });
    }
    await world.clock.advance(100);
    expect(sent(world, "durableAck")).toEqual([{ kind: "durableAck", boot: 1, seq: 0, resend: true }]);
    expect(codesOf(world)).toContain("SEQUENCE_GAP");
    expect(world.gateway.device("pot")?.counts.messages).toBe(0);
    device.telemetry([1]);
    await world.clock.advance(100);
    expect(world.gateway.device("pot")?.seq).toBe(1);
  });

  test("a duplicate is acknowledged again and not stored again", async () => {
    const { world, device } = await started();
    device.telemetry([1]);
    await world.clock.advance(50);
    device.raw({
      kind: "telemetry",
      boot: 1,
      seq: 1,
      uptimeUs: 0,
      readings: [{ metric: 0, offsetUs: 0, value: 1 }],
    });
    await world.clock.advance(50);
    expect(sent(world, "durableAck")).toHaveLength(2);
    expect(world.gateway.device("pot")?.counts).toMatchObject({ duplicates: 1, readings: 1 });
    expect(world.gateway.info().totals.duplicates).toBe(1);
  });

  test("a duplicate of what is still being synced waits for the sync", async () => {
    const { world, device } = await started({}, 30);
    device.telemetry([1]);
    device.resend();
    await world.clock.advance(20);
    expect(sent(world, "durableAck")).toEqual([]);
    await world.clock.advance(60);
    expect(sent(world, "durableAck")).toHaveLength(1);
    expect(world.gateway.device("pot")?.counts).toMatchObject({ readings: 1, duplicates: 1 });
  });

  test("a drop record that overlaps what is stored counts, and the device goes on behind it", async () => {
    const { world, device } = await started();
    for (let at = 0; at < 3; at += 1) device.telemetry([at]);
    await world.clock.advance(50);
    device.raw({ kind: "drop", boot: 1, seq: 6, uptimeUs: 0, from: 2, readings: 9 });
    await world.clock.advance(50);
    expect(codesOf(world)).toContain("DROP_OVERLAP");
    expect(world.gateway.device("pot")).toMatchObject({ seq: 6, counts: { dropped: 0, possibleGaps: 3 } });
    expect(sent(world, "durableAck").at(-1)).toMatchObject({ seq: 6 });
  });

  test("a ring that is too small drops with a record", async () => {
    const world = new GatewayWorld();
    await world.open();
    const device = await world.device("pot", { ringMax: 4 });
    for (let at = 0; at < 10; at += 1) device.telemetry([at, at]);
    device.connect();
    await world.clock.advance(100);
    expect(device.held).toBe(0);
    expect(world.gateway.device("pot")?.counts.dropped).toBeGreaterThan(0);
    const { readings, dropped } = world.gateway.device("pot")?.counts ?? { readings: 0, dropped: 0 };
    expect(readings + dropped).toBe(20);
  });

  test("a warm reset with a backlog goes through the older boot into the newer one", async () => {
    const { world, device } = await started();
    device.disconnect();
    device.telemetry([1]);
    device.telemetry([2]);
    await world.clock.advance(1000);
    device.warmReset();
    device.telemetry([3]);
    device.connect();
    await world.clock.advance(2000);
    expect(device.held).toBe(0);
    expect(world.gateway.device("pot")).toMatchObject({
      boot: 2,
      seq: 1,
      counts: { readings: 3, possibleGaps: 0 },
    });
    const times = world.gateway
      .history({
        device: "pot",
        metric: "temperature",
        fromMs: 0,
        toMs: 1e15,
        resolution: "raw",
        limit: 9,
      })
      .map((point) => point.timeMs);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    // The older boot's clock is kept: a second lies between its readings and the newer boot's.
    expect((times[2] ?? 0) - (times[1] ?? 0)).toBeGreaterThanOrEqual(990);
  });

  test("a re-flashed device begins anew", async () => {
    const { world, device } = await started();
    device.warmReset();
    for (let at = 0; at < 5; at += 1) device.telemetry([at]);
    await world.clock.advance(1000);
    device.reflash();
    device.telemetry([9]);
    device.hello();
    await world.clock.advance(1000);
    expect(device.held).toBe(0);
    expect(codesOf(world)).toContain("BOOT_STALE");
    expect(world.gateway.device("pot")).toMatchObject({ boot: 1, seq: 1, counts: { readings: 6 } });
  });
});

describe("strangers and limits", () => {
  test("a message without a session asks for hello, seldom", async () => {
    const world = new GatewayWorld();
    await world.open();
    const device = await world.device("pot");
    device.linkUp = true;
    for (let seq = 1; seq < 5; seq += 1) {
      device.raw({ kind: "telemetry", boot: 1, seq, uptimeUs: 0, readings: [] });
    }
    device.linkUp = false;
    await world.clock.advance(100);
    expect(sent(world, "helloRequest")).toEqual([
      { kind: "helloRequest", code: ERRORS.SESSION_UNKNOWN.number },
    ]);
    expect(codesOf(world)).toContain("SESSION_UNKNOWN");
  });

  test("another major version is refused with its code", async () => {
    const world = new GatewayWorld();
    await world.open();
    const device = await world.device("pot");
    device.linkUp = true;
    device.raw({
      kind: "hello",
      major: 9,
      minor: 0,
      boot: 1,
      session: 5,
      uptimeUs: 0,
      oldestBoot: 1,
      oldestSeq: 1,
      board: "b",
      app: "a",
      version: "1",
      reason: 0,
      capabilities: 0,
      metrics: [],
      commands: [],
    });
    await world.clock.advance(50);
    expect(sent(world, "welcome")).toMatchObject([{ session: 5, code: ERRORS.PROTOCOL_VERSION.number }]);
    expect(world.gateway.devices()).toEqual([]);
  });

  test("one device too many is refused, the others go on", async () => {
    const { world, device } = await started({ limits: { devicesMax: 1 } });
    const second = await world.device("second");
    second.connect();
    device.telemetry([1]);
    await world.clock.advance(50);
    expect(second.refusedCode).toBe(ERRORS.DEVICE_LIMIT.number);
    expect(second.open).toBe(false);
    expect(device.held).toBe(0);
  });

  test("hostile payloads and topics become codes", async () => {
    const { world, device } = await started();
    const client = world.devices.get("pot")?.client;
    client?.publish(`tardi/${SITE}/pot/up`, new Uint8Array(2000), { qos: 1 });
    client?.publish(`tardi/${SITE}/pot/up`, new Uint8Array([0xff]), { qos: 1 });
    client?.publish(`tardi/${SITE}/other/up`, new Uint8Array([0xa0]), { qos: 1 });
    client?.publish(`tardi/${SITE}/NO/up`, new Uint8Array([0xa0]), { qos: 1 });
    client?.publish(`tardi/${SITE}/pot/set`, "{", { qos: 1 });
    client?.publish(`tardi/${SITE}/none/set`, "{}", { qos: 1 });
    device.raw({ kind: "helloRequest", code: 0 });
    device.raw({ kind: "telemetry", boot: 1, seq: 0, uptimeUs: 0, readings: [] });
    device.raw({ kind: "shadow", role: 0, version: 1, entries: [] });
    device.telemetry([1]);
    await world.clock.advance(50);
    expect(device.held).toBe(0);
    expect(codesOf(world)).toEqual(
      expect.arrayContaining([
        "PAYLOAD_OVERSIZE",
        "TOPIC_FOREIGN",
        "DEVICE_ID_INVALID",
        "REQUEST_INVALID",
        "DEVICE_UNKNOWN",
        "MESSAGE_KIND",
        "CBOR_RANGE",
        "SHADOW_INVALID",
      ]),
    );
    expect(world.gateway.info().totals.refused).toBeGreaterThanOrEqual(4);
  });

  test("too many unsynced messages of one device are asked for again", async () => {
    const { world, device } = await started({}, 500);
    for (let seq = 1; seq <= 70; seq += 1) {
      device.raw({ kind: "telemetry", boot: 1, seq, uptimeUs: seq, readings: [] });
    }
    await world.clock.advance(20);
    expect(codesOf(world)).toContain("QUEUE_FULL");
    await world.clock.advance(3000);
    expect(sent(world, "durableAck").at(-1)).toMatchObject({ seq: 64 });
  });
});

describe("the disk", () => {
  test("while it is full nothing is acknowledged, reads go on, an alarm is raised and cleared", async () => {
    const { world, device } = await started();
    device.telemetry([1]);
    await world.clock.advance(50);
    world.disk.capacityBytes = world.disk.usedBytes;
    // Until the segment in use is full.
    for (let at = 0; at < 3000 && world.gateway.health().ready; at += 1) {
      device.telemetry([at]);
      await world.clock.advance(2);
    }
    expect(world.gateway.health()).toMatchObject({ ready: false, state: "degraded" });
    expect(world.gateway.alerts()[0]).toMatchObject({ code: "DISK_FULL" });
    device.telemetry([1234]);
    await world.clock.advance(500);
    expect(device.held).toBeGreaterThan(0);
    expect(world.gateway.device("pot")?.counts.readings).toBeGreaterThan(0);
    world.disk.capacityBytes = Number.POSITIVE_INFINITY;
    for (let at = 0; at < 20 && device.held > 0; at += 1) {
      await world.clock.advance(1000);
      device.resend();
    }
    expect(device.held).toBe(0);
    expect(world.gateway.health().state).toBe("ok");
    expect(world.gateway.alerts().find((alert) => alert.code === "DISK_FULL")?.clearedMs).toBeDefined();
  });

  test("a failed sync is fatal and is told", async () => {
    const { world, device } = await started();
    world.disk.failSyncs();
    device.telemetry([1]);
    await world.clock.advance(100);
    expect(world.fatal).toHaveLength(1);
    expect(world.gateway.health()).toMatchObject({ live: false, state: "failed" });
    expect(device.held).toBe(1);
  });

  test("a state ahead of the log is built anew", async () => {
    const { world, device } = await started();
    for (let at = 0; at < 5; at += 1) device.telemetry([at]);
    await world.clock.advance(100);
    const state = world.state;
    await world.settle(world.gateway.close());
    const other = new GatewayWorld(2);
    other.state = state;
    await other.open();
    expect(other.gateway.devices()).toEqual([]);
  });

  test("a state behind the log catches up from its own offset", async () => {
    const { world, device } = await started();
    for (let at = 0; at < 5; at += 1) device.telemetry([at]);
    await world.clock.advance(100);
    const kept = world.state;
    await world.settle(world.gateway.close());
    world.state = kept;
    await world.open();
    expect(world.gateway.device("pot")?.counts).toMatchObject({ readings: 5, messages: 5 });
    await world.settle(world.gateway.close());
    world.state = memoryState();
    await world.open();
    expect(world.gateway.device("pot")?.counts).toMatchObject({ readings: 5, messages: 5 });
  });

  test("a state store with other things in it stops the start", async () => {
    const world = new GatewayWorld();
    await world.state.transaction((transaction) =>
      transaction.put("gateway/applied", new Uint8Array([1, 2])),
    );
    await expect(world.open()).rejects.toMatchObject({ code: "STATE_CORRUPT" });
    await expect(world.open({ site: "No Site" })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });
});
