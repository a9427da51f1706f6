import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { BODY_BYTES_MAX, startApi } from "../../../host/api/server.ts";
import { silentLogger } from "../../../host/observe/logger.ts";
import { createMetrics } from "../../../host/observe/metrics.ts";
import { SimulatedClock } from "../../../host/world/clock.ts";
import { TardigradeError } from "../../../protocols/error.ts";
import { errorFromJSON } from "../../../protocols/error-from-json.ts";
import { testAccess } from "../../support/access.ts";
import { apiRig, ask } from "../../support/api-rig.ts";
import { fakeService } from "../../support/fake-service.ts";

const TOKEN = "a-token-of-some-length";

function start(host: string, port: number, token?: string) {
  const metrics = createMetrics();
  const clock = new SimulatedClock();
  return startApi({
    ...testAccess(clock),
    host,
    port,
    ...(token === undefined || token === "" ? {} : { token }),
    service: fakeService(),
    meter: metrics.meter,
    metrics: metrics.metricsText,
    clock,
    logger: silentLogger,
  });
}

describe("listening", () => {
  test.each(["0.0.0.0", "::", "192.168.1.2", "gateway.local"])("on %s wants a token", async (host) => {
    await expect(start(host, 0)).rejects.toMatchObject({ code: "AUTH_REQUIRED", context: { host } });
    await expect(start(host, 0, "")).rejects.toMatchObject({ code: "AUTH_REQUIRED" });
  });

  test("beyond loopback works with one, and then any Host will do", async () => {
    const api = await start("0.0.0.0", 0, TOKEN);
    const headers = { host: "gateway.example", authorization: `Bearer ${TOKEN}` };
    expect((await ask(api.port, "/api/devices", { headers })).status).toBe(200);
    expect((await ask(api.port, "/api/devices", { headers: { host: "gateway.example" } })).status).toBe(401);
    await api.close();
  });

  test("on a port that is taken is PORT_IN_USE", async () => {
    await using rig = await apiRig();
    await expect(start("127.0.0.1", rig.api.port)).rejects.toMatchObject({
      code: "PORT_IN_USE",
      message: expect.stringContaining(`Port ${rig.api.port} on 127.0.0.1 is taken`),
    });
  });

  test("on an address of another machine is CONFIG_INVALID", async () => {
    await expect(start("192.0.2.1", 0, TOKEN)).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });

  test("closes twice as once, and lets a request under way finish", async () => {
    const rig = await apiRig();
    rig.service.hold = true;
    const answer = rig.ask("/api/devices/gh-1/commands", { method: "POST", body: { name: "slow" } });
    while (rig.service.commands.length === 0) await rig.clock.settle();
    const closed = Promise.all([rig.api.close(), rig.api.close()]);
    rig.service.release();
    expect((await answer).status).toBe(200);
    await closed;
    await expect(rig.ask("/healthz")).rejects.toThrow();
  });

  test("cuts a request that does not finish", async () => {
    const rig = await apiRig();
    rig.service.hold = true;
    const answer = rig.ask("/api/devices/gh-1/commands", { method: "POST", body: { name: "slow" } });
    const cut = expect(answer).rejects.toThrow();
    while (rig.service.commands.length === 0) await rig.clock.settle();
    const closed = rig.api.close();
    await rig.clock.advance(2000);
    await cut;
    await closed;
  });
});

describe("access", () => {
  test("on loopback only this machine's names are taken as Host", async () => {
    await using rig = await apiRig();
    const status = async (host: string) => (await rig.ask("/api/devices", { headers: { host } })).status;
    for (const host of ["localhost", "localhost:1", "127.0.0.1:8080", "[::1]:99", "LOCALHOST"]) {
      expect([host, await status(host)]).toEqual([host, 200]);
    }
    for (const host of [
      "evil.example",
      "localhost.evil.example",
      "127.0.0.1.nip.io:80",
      "192.168.0.9",
      "x",
    ]) {
      expect([host, await status(host)]).toEqual([host, 400]);
    }
    const { json } = await rig.ask("/metrics", { headers: { host: "evil.example" } });
    expect(json.error.code).toBe("REQUEST_INVALID");
  });

  test("with a token every route but the probes wants it", async () => {
    await using rig = await apiRig({ token: TOKEN });
    const spec = await rig.ask("/openapi.json", { headers: { authorization: `bearer ${TOKEN}` } });
    for (const path of [...Object.keys(spec.json.paths), "/nowhere"]) {
      const { status, headers, json } = await rig.ask(path.replace("{id}", "gh-1"));
      const open = path === "/healthz" || path === "/readyz";
      expect([path, status]).toEqual([path, open ? 200 : 401]);
      if (open) continue;
      expect(headers["www-authenticate"]).toBe('Bearer realm="tardigrade"');
      expect(json.error.code).toBe("UNAUTHORIZED");
    }
  });

  test.each([
    ["", "Bearer", 401],
    ["of another length", "Bearer x", 401],
    ["of the same length", `Bearer ${TOKEN.replace("a", "b")}`, 401],
    ["in another scheme", `Basic ${TOKEN}`, 401],
    ["with more behind it", `Bearer ${TOKEN} x`, 401],
    ["that is right", `Bearer ${TOKEN}`, 200],
  ])("a token %s", async (_, authorization, status) => {
    await using rig = await apiRig({ token: TOKEN });
    expect((await rig.ask("/api/info", { headers: { authorization } })).status).toBe(status);
  });

  test("a form of a stranger's page is not taken", async () => {
    await using rig = await apiRig();
    for (const type of ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"]) {
      const { status, json } = await rig.ask("/api/devices/gh-1/commands", {
        method: "POST",
        raw: '{"name":"open"}',
        headers: { "content-type": type },
      });
      expect([status, json.error.code]).toEqual([400, "REQUEST_INVALID"]);
      expect(json.error.message).toContain("application/json");
    }
    expect((await rig.ask("/api/devices", { method: "OPTIONS" })).status).toBe(404);
    expect(rig.service.commands).toEqual([]);
  });
});

describe("errors", () => {
  test("unknown routes and methods are NOT_FOUND", async () => {
    await using rig = await apiRig();
    const { status, json } = await rig.ask("/api/nothing?token=secret");
    expect(status).toBe(404);
    expect(json.error).toMatchObject({
      code: "NOT_FOUND",
      message: "No route GET /api/nothing; see /openapi.json.",
    });
    expect((await rig.ask("/api/devices", { method: "DELETE" })).status).toBe(404);
  });

  test("a body above the limit is PAYLOAD_OVERSIZE", async () => {
    await using rig = await apiRig();
    const raw = JSON.stringify({ name: "x".repeat(BODY_BYTES_MAX) });
    const { status, json } = await rig.ask("/api/devices/gh-1/commands", { method: "POST", raw });
    expect([status, json.error.code]).toEqual([413, "PAYLOAD_OVERSIZE"]);
  });

  test("an error travels to whoever asks: code, message, context and cause, no stack", async () => {
    await using rig = await apiRig();
    rig.service.failure = new TardigradeError("COMMAND_REJECTED", "gh-1 refused open.", {
      context: { component: "commands", device: "gh-1", deviceCode: "APP_ISOLATED", token: "hunter2" },
      cause: new TardigradeError("LINK_DOWN", "The line is cut.", { cause: new Error("/home/somebody") }),
    });
    const { status, text, json } = await rig.ask("/api/devices/gh-1/telemetry?metric=t");
    expect(status).toBe(422);
    expect(text).not.toMatch(/hunter2|somebody|\.ts/);
    const error = errorFromJSON(json.error);
    expect([error.code, error.message]).toEqual(["COMMAND_REJECTED", "gh-1 refused open."]);
    expect(error.context).toEqual({ component: "commands", device: "gh-1", deviceCode: "APP_ISOLATED" });
    expect(error.cause).toMatchObject({ code: "LINK_DOWN", message: "The line is cut." });
    expect((error.cause as Error).cause).toBeUndefined();
  });

  test("a bug shows the client nothing of itself, and the log everything", async () => {
    await using rig = await apiRig();
    const bugs = [
      new TypeError("secret detail"),
      new TardigradeError("INTERNAL", "secret detail"),
      "secret detail",
    ];
    for (const bug of bugs) {
      rig.service.failure = bug;
      const { status, text, json } = await rig.ask("/api/devices/gh-1/telemetry?metric=t");
      expect([status, json.error.code]).toEqual([500, "INTERNAL"]);
      expect(text).not.toContain("secret detail");
      expect(text).not.toContain(".ts");
    }
    const logged = rig.lines.filter((line) => line.level === "error");
    expect(logged.map((line) => line.fields)).toEqual(
      bugs.map((error) => ({ route: "/api/devices/:id/telemetry", error })),
    );
  });

  test("a request that is not HTTP ends its connection and nothing else", async () => {
    await using rig = await apiRig();
    const socket = connect(rig.api.port, "127.0.0.1");
    const answer = new Promise<string>((resolve) => {
      let text = "";
      socket.on("data", (chunk) => {
        text += chunk.toString();
      });
      socket.on("close", () => resolve(text));
    });
    socket.write("\u0000\u0001 nonsense\r\n\r\n");
    expect(await answer).toContain("400 Bad Request");
    expect((await rig.ask("/healthz")).status).toBe(200);
  });
});

describe("probes", () => {
  test("follow the service's health", async () => {
    await using rig = await apiRig();
    expect((await rig.ask("/healthz")).json).toEqual({ state: "live" });
    expect((await rig.ask("/readyz")).json).toEqual({ state: "ready" });
    rig.service.health_ = { live: true, ready: false, state: "degraded", checks: [] };
    expect((await rig.ask("/healthz")).status).toBe(200);
    expect((await rig.ask("/readyz")).status).toBe(503);
    rig.service.health_ = { live: false, ready: false, state: "failed", checks: [] };
    expect((await rig.ask("/healthz")).status).toBe(503);
  });
});
