/** The whole path on simulated seams: a device's message, the log, the acknowledgement, the retained state. */
import { describe, expect, test } from "vitest";
import { GatewayWorld, SITE } from "../../support/gateway-world.ts";

describe("gateway", () => {
  test("a reading is acknowledged when it is on disk, not before", async () => {
    const world = new GatewayWorld(1, { syncMs: 20 });
    await world.open();
    const device = await world.device("pot");
    device.connect();
    await world.clock.advance(100);
    expect(device.open).toBe(true);
    device.telemetry([21.5, 21.75]);
    await world.clock.advance(5);
    expect(device.held).toBe(1);
    await world.clock.advance(100);
    expect(device.held).toBe(0);
    expect(device.received.filter((message) => message.kind === "durableAck")).toEqual([
      { kind: "durableAck", boot: 1, seq: 1 },
    ]);
  });

  test("the retained state tells device, newest readings and availability", async () => {
    const world = new GatewayWorld();
    await world.open();
    const device = await world.device("pot");
    device.connect();
    await world.clock.advance(10);
    device.telemetry([21.5]);
    await world.clock.advance(300);
    expect(world.json(`tardi/${SITE}/pot`)).toMatchObject({
      state: "online",
      board: "model",
      app: "test",
      version: "1.0.0",
      metrics: { temperature: { value: 21.5, unit: "Cel" } },
    });
    expect(world.text(`tardi/${SITE}/pot/availability`)).toBe("online");
    await world.clock.advance(80_000);
    expect(world.text(`tardi/${SITE}/pot/availability`)).toBe("offline");
    expect(world.json(`tardi/${SITE}/pot`)).toMatchObject({ state: "offline" });
  });

  test("after a kill the watermark is restored before any device is served", async () => {
    const world = new GatewayWorld();
    await world.open();
    const device = await world.device("pot");
    device.connect();
    await world.clock.advance(10);
    for (let at = 0; at < 10; at += 1) device.telemetry([at]);
    await world.clock.advance(50);
    expect(device.held).toBe(0);
    await world.crash("power");
    await world.clock.advance(50);
    const welcome = device.received.findLast((message) => message.kind === "welcome");
    expect(welcome).toMatchObject({ code: 0, boot: 1, seq: 10 });
    device.telemetry([99]);
    await world.clock.advance(50);
    const summary = world.gateway.device("pot");
    expect(summary).toMatchObject({
      boot: 1,
      seq: 11,
      counts: { readings: 11, messages: 11, duplicates: 0 },
    });
    const points = world.gateway.history({
      device: "pot",
      metric: "temperature",
      fromMs: 0,
      toMs: Number.MAX_SAFE_INTEGER,
      resolution: "raw",
      limit: 100,
    });
    expect(points.map((point) => point.value)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 99]);
  });
});
