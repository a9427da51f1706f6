/** Shadows, commands, bridge requests, events and alerts of a running gateway. */
import { describe, expect, test } from "vitest";
import type { GatewayEvent } from "../../../host/gateway/service.ts";
import type { Command } from "../../../protocols/messages.generated.ts";
import { GatewayWorld, SITE } from "../../support/gateway-world.ts";

async function started(options: Parameters<GatewayWorld["open"]>[0] = {}) {
  const world = new GatewayWorld();
  await world.open(options);
  let calls = 0;
  const device = await world.device("pot", {
    commands: {
      count: () => {
        calls += 1;
        return { code: 0, result: calls };
      },
      fail: () => ({ code: 208 }),
    },
  });
  device.connect();
  await world.clock.advance(300);
  return { world, device, calls: () => calls };
}
const commandsTo = (world: GatewayWorld): Command[] =>
  world.devices.get("pot")?.model.received.filter((message) => message.kind === "command") ?? [];

describe("shadows", () => {
  test("a change is on disk before it is sent, and repeated until it is reported", async () => {
    const { world, device } = await started();
    const view = await world.settle(world.gateway.setDesired("pot", { fan: true }));
    expect(view).toMatchObject({
      version: 1,
      desired: { fan: true },
      delta: { fan: true },
      reportedVersion: 0,
    });
    const sent = () => device.received.filter((message) => message.kind === "shadow").length;
    await world.clock.advance(20);
    expect(sent()).toBe(1);
    await world.clock.advance(11_000);
    expect(sent()).toBe(3);
    device.report();
    await world.clock.advance(20_000);
    expect(sent()).toBe(3);
    expect(world.gateway.shadow("pot")).toMatchObject({
      delta: {},
      reported: { fan: true },
      reportedVersion: 1,
    });
  });

  test("changes build on each other, null removes, a stale version is refused", async () => {
    const { world } = await started();
    const first = world.gateway.setDesired("pot", { fan: true, limit: 20 });
    const second = world.gateway.setDesired("pot", { fan: null, name: "x" });
    await world.settle(Promise.all([first, second]));
    await world.clock.advance(10);
    expect(world.gateway.shadow("pot")).toMatchObject({ version: 2, desired: { limit: 20, name: "x" } });
    await expect(world.gateway.setDesired("pot", { a: 1 }, { ifVersion: 1 })).rejects.toMatchObject({
      code: "SHADOW_VERSION",
    });
  });

  test.each([
    ["a nested value", { a: { b: 1 } }],
    ["a number that is none", { a: Number.NaN }],
    ["a long text", { a: "x".repeat(49) }],
    ["a long name", { ["x".repeat(25)]: 1 }],
    ["an empty name", { "": 1 }],
    ["broken Unicode", { a: "\ud800" }],
    ["too many keys", Object.fromEntries(Array.from({ length: 17 }, (_, index) => [`k${index}`, index]))],
  ])("%s is refused", async (_what, patch) => {
    const { world } = await started();
    await expect(world.gateway.setDesired("pot", patch as Record<string, number>)).rejects.toMatchObject({
      code: "SHADOW_INVALID",
    });
    expect(world.gateway.shadow("pot").version).toBe(0);
  });

  test("a device that was away gets it with its next hello, after a restart too", async () => {
    const { world, device } = await started();
    device.disconnect();
    await world.settle(world.gateway.setDesired("pot", { fan: true }));
    await world.crash("power");
    await world.clock.advance(100);
    expect(device.desired).toMatchObject({ version: 1 });
    await expect(async () => world.gateway.shadow("none")).rejects.toMatchObject({ code: "DEVICE_UNKNOWN" });
  });

  test("a report that says nothing new is not logged again", async () => {
    const { world, device } = await started();
    for (let copy = 0; copy < 3; copy += 1) {
      device.raw({ kind: "shadow", role: 1, version: 0, entries: [{ key: "on", value: true }] });
      await world.clock.advance(20);
    }
    const records = await world.records();
    expect(records.filter(({ body }) => body.type === "message")).toHaveLength(1);
  });
});

describe("commands", () => {
  test("an answer resolves it; a lost answer is asked for again under the same id", async () => {
    const { world, device, calls } = await started();
    const answer = world.gateway.command("pot", { name: "count", args: { times: 2 } });
    expect(await world.settle(answer)).toMatchObject({ state: "acked", result: 1 });
    device.linkUp = false;
    const second = world.gateway.command("pot", { name: "count" });
    await world.clock.advance(3000);
    device.linkUp = true;
    expect(await world.settle(second)).toMatchObject({ state: "acked", result: 2 });
    const ids = commandsTo(world).map((command) => command.id);
    expect(new Set(ids).size).toBe(2);
    expect(ids.length).toBeGreaterThan(2);
    expect(calls()).toBe(2);
    expect(world.gateway.info().totals).toMatchObject({ commandsSent: 2, commandsAcked: 2 });
  });

  test("no answer in time and a refusal are errors with codes", async () => {
    const { world, device } = await started();
    const refused = world.gateway.command("pot", { name: "fail" });
    refused.catch(() => {});
    await world.clock.advance(50);
    await expect(refused).rejects.toMatchObject({
      code: "COMMAND_REJECTED",
      context: { deviceCode: "COMMAND_FAILED" },
    });
    device.disconnect();
    const late = world.gateway.command("pot", { name: "count", timeoutMs: 3000 });
    late.catch(() => {});
    await world.clock.advance(3100);
    await expect(late).rejects.toMatchObject({ code: "COMMAND_TIMEOUT" });
    const codes = world.gateway.errors().map((error) => error.code);
    expect(codes).toEqual(expect.arrayContaining(["COMMAND_TIMEOUT", "COMMAND_REJECTED"]));
  });

  test("what is wrong is refused before it is sent", async () => {
    const { world, device } = await started();
    const run = (name: string, args = {}) => world.gateway.command("pot", { name, args });
    await expect(world.gateway.command("none", { name: "x" })).rejects.toMatchObject({
      code: "DEVICE_UNKNOWN",
    });
    await expect(run("x".repeat(30))).rejects.toMatchObject({ code: "REQUEST_INVALID" });
    await expect(run("x", { a: null })).rejects.toMatchObject({ code: "REQUEST_INVALID" });
    const many = Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`k${index}`, 1]));
    await expect(run("x", many)).rejects.toMatchObject({ code: "REQUEST_INVALID" });
    device.disconnect();
    const waiting = Array.from({ length: 8 }, () => run("count"));
    for (const one of waiting) one.catch(() => {});
    await expect(run("count")).rejects.toMatchObject({ code: "QUEUE_FULL" });
    await world.settle(world.gateway.close());
    for (const one of waiting) await expect(one).rejects.toMatchObject({ code: "COMMAND_TIMEOUT" });
  });

  test("ids are not used again after a restart", async () => {
    const { world } = await started();
    await world.settle(world.gateway.command("pot", { name: "count" }));
    world.clock.setWallMs(1000);
    await world.crash("power");
    await world.clock.advance(100);
    await world.settle(world.gateway.command("pot", { name: "count" }));
    const [first, second] = commandsTo(world).map((command) => command.id);
    expect(second).toBeGreaterThan(first ?? 0);
  });
});

describe("bridge", () => {
  async function ask(world: GatewayWorld, verb: string, request: unknown): Promise<Record<string, unknown>> {
    const client = world.broker.connect({ clientId: "asker" });
    const answers: Record<string, unknown>[] = [];
    await client.subscribe(`tardi/${SITE}/bridge/response/#`, ({ payload }) =>
      answers.push(JSON.parse(new TextDecoder().decode(payload))),
    );
    const payload = typeof request === "string" ? request : JSON.stringify(request);
    client.publish(`tardi/${SITE}/bridge/request/${verb}`, payload);
    await world.clock.advance(200);
    await client.close();
    return answers[0] ?? {};
  }

  test("every verb answers with its transaction", async () => {
    const { world, device } = await started();
    device.telemetry([20]);
    await world.clock.advance(20);
    const asked = { transaction: 7, device: "pot", metric: "temperature" };
    for (const verb of ["health", "info", "devices", "device", "history", "shadow/get", "errors", "alerts"]) {
      expect(await ask(world, verb, asked), verb).toMatchObject({ status: "ok", transaction: 7 });
    }
    expect(await ask(world, "history", asked)).toMatchObject({ data: [{ value: 20 }] });
    expect(await ask(world, "history", { ...asked, resolution: "minute" })).toMatchObject({
      data: [{ value: 20, count: 1 }],
    });
    expect(await ask(world, "history", { ...asked, metric: "none" })).toMatchObject({ data: [] });
    expect(await ask(world, "shadow/set", { ...asked, desired: { a: 1 } })).toMatchObject({
      data: { version: 1 },
    });
    expect(await ask(world, "command", { ...asked, name: "count" })).toMatchObject({ data: { result: 1 } });
  });

  test.each([
    ["history", { device: "pot", metric: "m", resolution: "day" }, "REQUEST_INVALID"],
    ["history", { device: "pot", metric: "m", fromMs: -1 }, "REQUEST_INVALID"],
    ["history", { device: "none", metric: "m" }, "DEVICE_UNKNOWN"],
    ["device", { device: 5 }, "REQUEST_INVALID"],
    ["shadow/set", { device: "pot", desired: [1] }, "REQUEST_INVALID"],
    ["shadow/set", { device: "pot", desired: { a: 1 }, ifVersion: 9 }, "SHADOW_VERSION"],
    ["devices", "{", "REQUEST_INVALID"],
    ["devices", "[]", "REQUEST_INVALID"],
    ["devices", `{"a":"${"x".repeat(20_000)}"}`, "PAYLOAD_OVERSIZE"],
    ["dance", {}, "REQUEST_UNKNOWN"],
  ])("%s %j is answered with %s %s", async (verb, request, code) => {
    const { world } = await started();
    expect(await ask(world, verb, request)).toMatchObject({ status: "error", error: { code } });
  });

  test("what is no verb is counted and not answered", async () => {
    const { world } = await started();
    expect(await ask(world, "../x", {})).toEqual({});
    expect(world.gateway.errors().map((error) => error.code)).toContain("REQUEST_UNKNOWN");
  });

  test("state, info, devices and health are retained; close leaves offline behind", async () => {
    const { world } = await started();
    await world.clock.advance(1100);
    expect(world.text(`tardi/${SITE}/bridge/state`)).toBe("online");
    expect(world.json(`tardi/${SITE}/bridge/info`)).toMatchObject({ site: SITE });
    expect(world.json(`tardi/${SITE}/bridge/health`)).toMatchObject({ state: "ok" });
    expect(world.json(`tardi/${SITE}/bridge/devices`)).toMatchObject([{ id: "pot", state: "online" }]);
    await world.settle(world.gateway.close());
    expect(world.text(`tardi/${SITE}/bridge/state`)).toBe("offline");
  });

  test("a broker that goes and comes back is told everything again", async () => {
    const { world, device } = await started();
    world.broker.setUp(false);
    expect(world.gateway.health()).toMatchObject({ state: "degraded" });
    device.telemetry([33]);
    await world.clock.advance(500);
    world.broker.setUp(true);
    await world.clock.advance(500);
    expect(world.gateway.health().state).toBe("ok");
    expect(JSON.stringify(world.json(`tardi/${SITE}/pot`))).toContain("33");
    expect(world.gateway.alerts()[0]).toMatchObject({ code: "BROKER_UNREACHABLE" });
  });
});

describe("events and errors", () => {
  test("live events of every kind", async () => {
    const { world, device } = await started();
    const events: GatewayEvent[] = [];
    const stop = world.gateway.events((event) => events.push(event));
    device.telemetry([1, 2]);
    device.event("opened", 3);
    device.log("hello");
    device.error(214);
    device.raw({ kind: "pinStatus", boot: 1, uptimeUs: 0, pins: [{ pin: 1, mode: 2, value: 1 }] });
    device.report();
    await world.settle(world.gateway.command("pot", { name: "count" }));
    await world.clock.advance(50);
    const types = new Set(events.map((event) => event.type));
    expect([...types].sort()).toEqual(["command", "device", "error", "event", "log", "readings"]);
    expect(events.find((event) => event.type === "event")).toMatchObject({ name: "opened", value: 3 });
    expect(events.find((event) => event.type === "error")).toMatchObject({ name: "SENSOR_RANGE" });
    stop();
    const count = events.length;
    device.telemetry([3]);
    await world.clock.advance(50);
    expect(events).toHaveLength(count);
    const monitored = world.gateway.errors().find((error) => error.code === "SENSOR_RANGE");
    expect(monitored).toMatchObject({ component: "device sensor", severity: "error", count: 1 });
  });

  test("a listener that resumes gets what is in the log first, then what comes, each once", async () => {
    const { world, device } = await started();
    device.telemetry([1]);
    device.event("one");
    await world.clock.advance(50);
    const events: GatewayEvent[] = [];
    world.gateway.events((event) => events.push(event), { from: 0 });
    device.telemetry([2]);
    await world.clock.advance(200);
    const values = events.flatMap((event) =>
      event.type === "readings" ? event.readings.map((reading) => reading.value) : [],
    );
    expect(values).toEqual([1, 2]);
    const last = events.filter((event) => event.type === "readings")[0]?.offset ?? 0;
    const later: GatewayEvent[] = [];
    world.gateway.events((event) => later.push(event), { from: last });
    await world.clock.advance(50);
    expect(later.map((event) => event.type)).toEqual(["event", "readings"]);
  });

  test("a listener that throws harms nobody", async () => {
    const { world, device } = await started();
    world.gateway.events(() => {
      throw new Error("mine");
    });
    device.telemetry([1]);
    await world.clock.advance(50);
    expect(device.held).toBe(0);
    expect(world.gateway.errors().map((error) => error.component)).toContain("events");
  });

  test("alerts are in the log and known after a restart", async () => {
    const { world } = await started({ thresholds: [{ code: "MESSAGE_KIND", perMinute: 3 }] });
    const device = world.devices.get("pot")?.model;
    for (let copy = 0; copy < 3; copy += 1) device?.raw({ kind: "helloRequest", code: 0 });
    await world.clock.advance(50);
    expect(world.gateway.alerts()).toMatchObject([{ code: "MESSAGE_KIND" }]);
    expect(world.gateway.alerts()[0]?.clearedMs).toBeUndefined();
    await world.clock.advance(90_000);
    expect(world.gateway.alerts()[0]?.clearedMs).toBeDefined();
    await world.crash("kill");
    expect(world.gateway.alerts()).toMatchObject([{ code: "MESSAGE_KIND" }]);
  });

  test("old log is removed when everybody has read it", async () => {
    const world = new GatewayWorld();
    await world.open({ limits: { logBytesMax: 100_000 } });
    const device = await world.device("pot");
    device.connect();
    await world.clock.advance(10);
    for (let at = 0; at < 4000; at += 1) {
      device.telemetry([at]);
      if (at % 20 === 0) await world.clock.advance(20);
    }
    await world.clock.advance(30_000);
    const { startOffset, syncedOffset } = world.gateway.info().log;
    expect(startOffset).toBeGreaterThan(0);
    expect(syncedOffset - startOffset).toBeLessThan(250_000);
    expect(world.gateway.device("pot")?.counts.readings).toBe(4000);
  });
});
