/** The API over the real gateway, on simulated disk, broker and clock: what a device sends is what HTTP tells. */
import { describe, expect, test } from "vitest";
import { type Api, startApi } from "../../../host/api/server.ts";
import { openCore } from "../../../host/core/core.ts";
import { readCoreBytes } from "../../../host/core/core-bytes.ts";
import { createHistogram } from "../../../host/core/histogram.ts";
import { createMetrics } from "../../../host/observe/metrics.ts";
import { observeService } from "../../../host/observe/service-metrics.ts";
import { testAccess } from "../../support/access.ts";
import { type Ask, ask } from "../../support/api-rig.ts";
import { GatewayWorld } from "../../support/gateway-world.ts";
import { quietLogger } from "../../support/quiet.ts";
import { sseClient } from "../../support/sse-client.ts";

async function serve(world: GatewayWorld) {
  const metrics = createMetrics({ clock: world.clock });
  const gateway = await world.open({ meter: metrics.meter });
  observeService(metrics, gateway);
  const api: Api = await startApi({
    ...testAccess(world.clock),
    port: 0,
    service: gateway,
    meter: metrics.meter,
    metrics: metrics.metricsText,
    clock: world.clock,
    logger: quietLogger,
  });
  return {
    api,
    /** Simulated time passes until HTTP has answered. */
    get: (path: string, options?: Ask) => world.settle(ask(api.port, path, options)),
    close: async () => {
      await world.settle(api.close());
      await world.settle(gateway.close());
    },
  };
}

describe("the API of a real gateway", () => {
  test("tells devices, telemetry and metrics of what a device sent", async () => {
    const world = new GatewayWorld();
    const server = await serve(world);
    const device = await world.device("pot");
    device.connect();
    await world.clock.advance(10);
    device.telemetry([21.5]);
    device.telemetry([22.5]);
    await world.clock.advance(300);
    expect((await server.get("/api/devices")).json.devices).toMatchObject([
      { id: "pot", state: "online", counts: { readings: 2, messages: 2, duplicates: 0 } },
    ]);
    const telemetry = await server.get("/api/devices/pot/telemetry?metric=temperature");
    expect(telemetry.json.points.map((point: { value: number }) => point.value)).toEqual([21.5, 22.5]);
    expect(
      (await server.get("/api/devices/pot/telemetry?metric=temperature&limit=1")).json.points,
    ).toHaveLength(1);
    expect((await server.get("/readyz")).status).toBe(200);
    expect((await server.get("/api/info")).json.totals).toMatchObject({ devices: 1, online: 1, readings: 2 });
    const { text } = await server.get("/metrics");
    expect(text).toContain("\ntardigrade_readings_total 2\n");
    expect(text).toContain("\ntardigrade_devices_online 1\n");
    expect(text).toMatch(/\ntardigrade_log_sync_seconds_count [1-9]/);
    await server.close();
  });

  test("tells what devices measured themselves, each and over their firmware", async () => {
    const world = new GatewayWorld();
    const server = await serve(world);
    for (const [id, values] of [
      ["pot", [90, 100, 100]],
      ["tub", [4000]],
    ] as const) {
      const device = await world.device(id);
      device.connect();
      await world.clock.advance(10);
      using histogram = createHistogram(openCore(readCoreBytes()));
      for (const value of values) histogram.record(value);
      device.histogram(0, histogram.toBytes());
    }
    await world.clock.advance(300);
    const of = { metric: "temperature", unit: "Cel", app: "test", version: "1.0.0" };
    const pot = await server.get("/api/devices/pot/histograms");
    expect(pot.json).toMatchObject({
      ...{
        device: "pot",
        histograms: [{ ...of, count: 3, min: 90, p50: 100, p90: 100, p99: 100, max: 100 }],
      },
    });
    expect((await server.get("/api/devices/none/histograms")).status).toBe(404);
    const all = await server.get("/api/histograms");
    expect(all.json.histograms).toMatchObject([{ ...of, count: 4, sum: 4290, max: 4000, devices: 2 }]);
    const { text } = await server.get("/metrics");
    const labels = 'app="test",version="1.0.0",metric="temperature",unit="Cel"';
    expect(text).toContain(`\ntardigrade_device_values{${labels},quantile="0.5"} 101\n`);
    expect(text).toContain(`\ntardigrade_device_values_sum{${labels}} 4290\n`);
    expect(text).toContain(`\ntardigrade_device_values_count{${labels}} 4\n`);
    await server.close();
  });

  test("changes a shadow and sends a command, and tells what came of it", async () => {
    const world = new GatewayWorld();
    const server = await serve(world);
    const device = await world.device("pot", {
      commands: { double: ({ args }) => ({ code: 0, result: Number(args[0]?.value) * 2 }) },
    });
    device.connect();
    await world.clock.advance(10);
    const body = { desired: { fan: true, limit: 20.5 } };
    const path = "/api/devices/pot/shadow";
    const changed = await server.get(path, { method: "PATCH", body, headers: { "if-match": '"0"' } });
    expect([changed.status, changed.json.version]).toEqual([200, 1]);
    const stale = await server.get(path, { method: "PATCH", body, headers: { "if-match": '"0"' } });
    expect([stale.status, stale.json.error.code]).toEqual([412, "SHADOW_VERSION"]);
    await world.clock.advance(100);
    expect(device.desired).toMatchObject({ version: 1 });
    device.report();
    await world.clock.advance(100);
    expect((await server.get(path)).json).toMatchObject({
      desired: body.desired,
      reported: body.desired,
      delta: {},
    });
    const command = { method: "POST", body: { name: "double", args: { n: 21 } } };
    expect((await server.get("/api/devices/pot/commands", command)).json).toMatchObject({
      state: "acked",
      result: 42,
    });
    const absent = { method: "POST", body: { name: "double", timeoutMs: 100 } };
    device.disconnect();
    expect((await server.get("/api/devices/pot/commands", absent)).status).toBe(504);
    expect((await server.get("/api/devices/none/commands", command)).status).toBe(404);
    await server.close();
  });

  test("resumes events from the log where a client was cut off, each once", async () => {
    const world = new GatewayWorld();
    const server = await serve(world);
    const device = await world.device("pot");
    device.connect();
    await world.clock.advance(10);
    const first = sseClient(server.api.port, "/api/events?from=0");
    const valuesOf = (client: typeof first) =>
      client.events
        .filter((event) => event.event === "readings")
        .flatMap((event) => JSON.parse(event.data).readings.map((it: { value: number }) => it.value));
    await first.until(() => first.head !== "");
    for (const value of [1, 2, 3]) device.telemetry([value]);
    await world.clock.advance(300);
    await first.until(() => valuesOf(first).length === 3);
    expect(valuesOf(first)).toEqual([1, 2, 3]);
    const cutAfter = first.events.filter((event) => event.event === "readings")[1]?.id;
    first.close();
    for (const value of [4, 5]) device.telemetry([value]);
    await world.clock.advance(300);
    const second = sseClient(server.api.port, "/api/events", { "last-event-id": String(cutAfter) });
    await second.until(() => valuesOf(second).length === 3);
    expect(valuesOf(second)).toEqual([3, 4, 5]);
    device.telemetry([6]);
    await world.clock.advance(300);
    await second.until(() => valuesOf(second).length === 4);
    expect(valuesOf(second)).toEqual([3, 4, 5, 6]);
    second.close();
    await server.close();
  });
});
