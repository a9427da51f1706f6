import { describe, expect, test } from "vitest";
import { TardigradeError } from "../../../protocols/error.ts";
import { ERRORS } from "../../../protocols/table.ts";
import { type ApiRig, apiRig } from "../../support/api-rig.ts";

const failing = async (rig: ApiRig, path: string, options: Parameters<ApiRig["ask"]>[1] = {}) => {
  const { status, json } = await rig.ask(path, options);
  expect(Object.keys(json)).toEqual(["error"]);
  expect(Object.keys(json.error)).toEqual([
    ...["code", "number", "severity", "category", "recovery", "message", "context"],
  ]);
  return `${status} ${json.error.code}: ${json.error.message}`;
};

describe("devices", () => {
  test("are listed by id, in pages", async () => {
    await using rig = await apiRig();
    const all = await rig.ask("/api/devices");
    expect(all.status).toBe(200);
    expect(all.headers["content-type"]).toBe("application/json; charset=utf-8");
    expect(all.json.devices.map((it: { id: string }) => it.id)).toEqual(["gh-1", "gh-2"]);
    expect(all.json.next).toBeUndefined();
    const first = await rig.ask("/api/devices?limit=1");
    expect(first.json).toMatchObject({ devices: [{ id: "gh-1" }], next: "gh-1" });
    const second = await rig.ask(`/api/devices?limit=1&after=${first.json.next}`);
    expect(second.json.devices).toMatchObject([{ id: "gh-2" }]);
    expect(second.json.next).toBeUndefined();
  });

  test("one device, with everything the service tells", async () => {
    await using rig = await apiRig();
    expect((await rig.ask("/api/devices/gh-1")).json).toEqual(rig.service.device("gh-1"));
  });

  test("bad requests say what is wrong", async () => {
    await using rig = await apiRig();
    const problem = (path: string) => failing(rig, path);
    expect(await problem("/api/devices/none")).toBe(
      "404 DEVICE_UNKNOWN: No device none has said hello to this gateway.",
    );
    expect(await problem("/api/devices/Bad_Id")).toContain(
      "400 REQUEST_INVALID: params/id: must match pattern",
    );
    expect(await problem("/api/devices?limit=0")).toBe(
      "400 REQUEST_INVALID: querystring/limit: must be >= 1",
    );
    expect(await problem("/api/devices?limit=x")).toBe(
      "400 REQUEST_INVALID: querystring/limit: must be integer",
    );
    expect(await problem("/api/devices?limit=1&limit=2")).toContain("400 REQUEST_INVALID");
    expect(await problem("/api/devices?lmit=1")).toBe('400 REQUEST_INVALID: querystring: unknown "lmit"');
    expect(await problem("/api/devices/gh-1?x=1")).toBe('400 REQUEST_INVALID: querystring: unknown "x"');
    expect(await problem(`/api/devices/${"a".repeat(90)}`)).toContain("400 REQUEST_INVALID");
    expect(await problem("/api/devices/%ff")).toContain("400 REQUEST_INVALID");
  });
});

describe("telemetry", () => {
  const path = "/api/devices/gh-1/telemetry";

  test("takes the last hour unless told otherwise", async () => {
    await using rig = await apiRig();
    rig.clock.setWallMs(10_000_000);
    const { json } = await rig.ask(`${path}?metric=temperature`);
    expect(rig.service.queries).toEqual([
      {
        device: "gh-1",
        metric: "temperature",
        fromMs: 6_400_000,
        toMs: 10_000_000,
        resolution: "raw",
        limit: 1000,
      },
    ]);
    expect(json).toMatchObject({ device: "gh-1", resolution: "raw", points: [{ timeMs: 6_400_000 }] });
  });

  test("takes times as milliseconds and as ISO 8601, which is UTC without a zone", async () => {
    await using rig = await apiRig();
    const to = Date.UTC(2026, 2, 1);
    for (const text of [
      "2026-03-01",
      "2026-03-01T00:00",
      "2026-03-01T00:00:00.000Z",
      "2026-03-01T01:00%2B01:00",
    ]) {
      const { status } = await rig.ask(`${path}?metric=t&from=5&to=${text}&resolution=hour&limit=10000`);
      expect(status).toBe(200);
    }
    expect(rig.service.queries.map((query) => [query.fromMs, query.toMs])).toEqual(Array(4).fill([5, to]));
    expect(rig.service.queries[0]).toMatchObject({ resolution: "hour", limit: 10_000 });
  });

  test("bad queries say what is wrong", async () => {
    await using rig = await apiRig();
    const problem = (query: string) => failing(rig, `${path}?${query}`);
    expect(await problem("")).toBe('400 REQUEST_INVALID: querystring: "metric" is missing');
    expect(await problem("metric=t&from=9&to=8")).toContain("querystring/from: is later than `to`");
    expect(await problem("metric=t&from=yesterday")).toContain("querystring/from: must match pattern");
    expect(await problem("metric=t&from=2026-02-30")).toContain("querystring/from: 2026-02-30 is no time");
    expect(await problem("metric=t&to=2026-01-01T25:00")).toContain(
      "querystring/to: 2026-01-01T25:00 is no time",
    );
    expect(await problem("metric=t&limit=10001")).toContain("querystring/limit: must be <= 10000");
    expect(await problem("metric=t&resolution=day")).toContain(
      'querystring/resolution: must be one of "raw", "minute", "hour"',
    );
    expect(await failing(rig, "/api/devices/none/telemetry?metric=t")).toContain("404 DEVICE_UNKNOWN");
    expect(rig.service.queries).toEqual([]);
  });
});

describe("shadow", () => {
  const path = "/api/devices/gh-1/shadow";

  test("is read with its version as ETag and changed under If-Match", async () => {
    await using rig = await apiRig();
    const before = await rig.ask(path);
    expect(before.headers.etag).toBe('"4"');
    const patch = { method: "PATCH", body: { desired: { fan: null, limit: 21.5, mode: "eco" } } };
    const after = await rig.ask(path, { ...patch, headers: { "if-match": '"4"' } });
    expect(after.status).toBe(200);
    expect(after.headers.etag).toBe('"5"');
    expect(after.json.desired).toEqual({ limit: 21.5, mode: "eco" });
    expect(await failing(rig, path, { ...patch, headers: { "if-match": "4" } })).toBe(
      "412 SHADOW_VERSION: The shadow is at version 5; read it again.",
    );
    expect((await rig.ask(path, { ...patch, headers: { "if-match": "*" } })).json.version).toBe(6);
    expect((await rig.ask(path, patch)).json.version).toBe(7);
  });

  test("refuses what no device could take", async () => {
    await using rig = await apiRig();
    const problem = (body: unknown, headers = {}) => failing(rig, path, { method: "PATCH", body, headers });
    expect(await problem({ desired: { a: { b: 1 } } })).toBe(
      "400 REQUEST_INVALID: body/desired/a: must be a boolean, a number or a short text",
    );
    expect(await problem({ desired: { a: "x".repeat(49) } })).toContain("body/desired/a: must be a boolean");
    expect(await problem({ desired: { ["n".repeat(25)]: 1 } })).toContain("body/desired: unknown");
    expect(await problem({ fan: true })).toContain('body: unknown "fan"');
    expect(await problem({ fan: true })).toContain('body: "desired" is missing');
    const many = Object.fromEntries(Array.from({ length: 17 }, (_, at) => [`k${at}`, at]));
    expect(await problem({ desired: many })).toContain("body/desired: must not have more than 16 properties");
    expect(await problem({ desired: {} }, { "if-match": 'W/"4"' })).toContain("headers/if-match: must match");
    expect(await failing(rig, path, { method: "PATCH" })).toContain(
      "400 REQUEST_INVALID: body: must be object",
    );
    expect(await failing(rig, path, { method: "PATCH", raw: "{" })).toContain("400 REQUEST_INVALID");
    const polluted = '{"desired": {"__proto__": {"polluted": true}}}';
    expect(await failing(rig, path, { method: "PATCH", raw: polluted })).toContain("400 REQUEST_INVALID");
    expect(await failing(rig, "/api/devices/none/shadow")).toContain("404 DEVICE_UNKNOWN");
    expect(rig.service.shadow("gh-1").version).toBe(4);
  });
});

describe("commands", () => {
  const path = "/api/devices/gh-1/commands";

  test("answer with what the device answered", async () => {
    await using rig = await apiRig();
    const body = { name: "identify", args: { seconds: 5 }, timeoutMs: 2000 };
    const { status, json } = await rig.ask(path, { method: "POST", body });
    expect(status).toBe(200);
    expect(json).toMatchObject({ device: "gh-1", id: 7, state: "acked" });
    expect(rig.service.commands).toEqual([{ id: "gh-1", ...body }]);
  });

  test.each([
    ["COMMAND_TIMEOUT", 504],
    ["COMMAND_REJECTED", 422],
    ["QUEUE_FULL", 503],
    ["DISK_FULL", 507],
  ] as const)("%s is status %i", async (code, status) => {
    await using rig = await apiRig();
    rig.service.failure = new TardigradeError(code, "because");
    expect(await failing(rig, path, { method: "POST", body: { name: "x" } })).toBe(
      `${status} ${code}: because`,
    );
  });

  test("a full queue says when to come again", async () => {
    await using rig = await apiRig();
    rig.service.failure = new TardigradeError("QUEUE_FULL", "busy");
    const { headers } = await rig.ask(path, { method: "POST", body: { name: "x" } });
    expect(headers["retry-after"]).toBe("1");
  });

  test("refuses what is no command", async () => {
    await using rig = await apiRig();
    const problem = (body: unknown) => failing(rig, path, { method: "POST", body });
    expect(await problem({})).toBe('400 REQUEST_INVALID: body: "name" is missing');
    expect(await problem({ name: "" })).toContain("body/name: must not have fewer than 1");
    expect(await problem({ name: "x", timeoutMs: 60_001 })).toContain("body/timeoutMs: must be <= 60000");
    expect(await problem({ name: "x", timeoutMs: "500" })).toContain("body/timeoutMs: must be integer");
    expect(await problem({ name: "x", args: { a: [] } })).toContain("body/args/a: must be a boolean");
    expect(rig.service.commands).toEqual([]);
  });
});

test("errors, alerts, info and health are what the service says", async () => {
  await using rig = await apiRig();
  rig.service.alerts_ = [
    { id: "disk", code: "DISK_FULL", severity: "critical", message: "full", raisedMs: 1 },
  ];
  const errors = rig.service.errors().map((error) => ({ ...error, help: ERRORS.FRAME_CRC.help }));
  expect((await rig.ask("/api/errors")).json).toEqual({ errors });
  expect((await rig.ask("/api/alerts")).json).toEqual({ alerts: rig.service.alerts_ });
  expect((await rig.ask("/api/info")).json).toEqual(rig.service.info());
  expect((await rig.ask("/api/health")).json).toEqual(rig.service.health());
  for (const path of ["/api/errors", "/api/alerts", "/api/info", "/api/health"]) {
    expect(await failing(rig, `${path}?x=1`)).toContain("400 REQUEST_INVALID");
  }
});
