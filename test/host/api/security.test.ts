/** Who may not: tokens, roles, log-ins, bodies, paths and slow clients, over a real socket. */
import { connect } from "node:net";
import { describe, expect, test } from "vitest";
import { HEARTBEAT_MS } from "../../../host/api/event-stream.ts";
import { SESSION_MS } from "../../../host/api/sessions.ts";
import { EMPTY_ACCESS, without } from "../../../host/gateway/access/access-file.ts";
import { somePeople } from "../../support/access.ts";
import { apiRig } from "../../support/api-rig.ts";
import { until } from "../../support/until.ts";

const bearer = (token: string) => ({ headers: { authorization: `Bearer ${token}` } });
const people = await somePeople();
const { tokens } = people;
const rigOf = (more: { readonly requestsPerSecond?: number } = {}) =>
  apiRig({ people: { access: people.access, ...more } });
const command = { method: "POST", body: { name: "water" } };
const COMMANDS = "/api/devices/gh-1/commands";

describe("tokens", () => {
  test("no token, a wrong one, an expired one: 401 with a code, and nothing of the fleet", async () => {
    await using rig = await rigOf();
    const wrong = `${tokens.admin.slice(0, -2)}xx`;
    for (const token of [undefined, "nonsense", "tardi_00000000_x", wrong, tokens.expired]) {
      const answer = await rig.ask("/api/devices", token === undefined ? {} : bearer(token));
      expect(answer.status).toBe(401);
      expect(answer.json.error.code).toBe("UNAUTHORIZED");
      expect(answer.text).not.toContain("gh-1");
    }
    expect((await rig.ask("/api/devices", bearer(tokens.viewer))).status).toBe(200);
  });

  test("a revoked one is refused at once, and the stream it opened ends", async () => {
    const file = { access: people.access };
    await using rig = await apiRig({ people: file });
    const socket = connect(rig.api.port, "127.0.0.1");
    let told = "";
    socket.on("data", (bytes) => {
      told += bytes.toString();
    });
    socket.write(
      `GET /api/events HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${tokens.viewer}\r\n\r\n`,
    );
    await until("the stream is open", () => told.includes("text/event-stream"));
    file.access = without(people.access, "token", "aaaaaaaa");
    expect((await rig.ask("/api/devices", bearer(tokens.viewer))).status).toBe(401);
    await rig.clock.advance(HEARTBEAT_MS);
    await until("the stream ended", () => told.includes('"UNAUTHORIZED"'));
    socket.destroy();
  });

  test("with somebody known, nothing but health is open; with nobody, this machine is", async () => {
    await using rig = await rigOf();
    for (const path of [
      "/metrics",
      "/openapi.json",
      "/api/session",
      "/api/events",
      "/api/audit",
      "/nowhere",
    ]) {
      expect((await rig.ask(path)).status).toBe(401);
    }
    expect((await rig.ask("/healthz")).status).toBe(200);
    await using open = await apiRig({ people: { access: EMPTY_ACCESS } });
    expect((await open.ask("/api/session")).json).toEqual({
      name: "anonymous",
      role: "admin",
      authentication: false,
    });
  });
});

describe("roles", () => {
  test("a viewer reads and changes nothing", async () => {
    await using rig = await rigOf();
    expect((await rig.ask("/api/devices/gh-1/shadow", bearer(tokens.viewer))).status).toBe(200);
    const refused = await rig.ask(COMMANDS, { ...command, ...bearer(tokens.viewer) });
    expect(refused.status).toBe(403);
    expect(refused.json.error).toMatchObject({
      code: "FORBIDDEN",
      message: expect.stringContaining("operator"),
    });
    const patch = { method: "PATCH", body: { desired: { a: 1 } }, ...bearer(tokens.viewer) };
    expect((await rig.ask("/api/devices/gh-1/shadow", patch)).status).toBe(403);
    expect(rig.service.commands).toHaveLength(0);
  });

  test("an operator commands; only an admin sees who did what", async () => {
    await using rig = await rigOf();
    expect((await rig.ask(COMMANDS, { ...command, ...bearer(tokens.operator) })).status).toBe(200);
    expect((await rig.ask("/api/audit", bearer(tokens.operator))).status).toBe(403);
    const { json } = await rig.ask("/api/audit", bearer(tokens.admin));
    expect(json.entries[0]).toMatchObject({
      who: "operator-token",
      via: "http",
      action: "POST /api/devices/:id/commands",
      target: "gh-1",
      outcome: "ok",
    });
  });
});

describe("log-ins", () => {
  const logIn = (body: unknown) => ({ method: "POST", body });
  const cookieIn = (header: unknown): string => String(header).split(";", 1)[0] ?? "";

  test("a name and password give a cookie that scripts and other sites cannot use, until log-out", async () => {
    await using rig = await rigOf();
    const answer = await rig.ask("/api/session", logIn({ user: "ana", password: people.password }));
    expect(answer.json).toEqual({ name: "ana", role: "operator", authentication: true });
    expect(String(answer.headers["set-cookie"])).toMatch(/; HttpOnly; SameSite=Strict/);
    const cookie = cookieIn(answer.headers["set-cookie"]);
    expect((await rig.ask("/api/devices", { headers: { cookie } })).status).toBe(200);
    const foreign = { ...command, headers: { cookie, origin: "http://127.0.0.1:9" } };
    expect((await rig.ask(COMMANDS, foreign)).json.error.code).toBe("FORBIDDEN");
    expect((await rig.ask(COMMANDS, { ...command, headers: { cookie } })).status).toBe(200);
    await rig.ask("/api/session", { method: "DELETE", headers: { cookie } });
    expect((await rig.ask("/api/devices", { headers: { cookie } })).status).toBe(401);
  });

  test("it ends with its time, and with the user", async () => {
    const file = { access: people.access };
    await using rig = await apiRig({ people: file });
    const first = await rig.ask("/api/session", logIn({ user: "ana", password: people.password }));
    const headers = { cookie: cookieIn(first.headers["set-cookie"]) };
    file.access = without(people.access, "user", "ana");
    expect((await rig.ask("/api/devices", { headers })).status).toBe(401);
    file.access = people.access;
    const second = await rig.ask("/api/session", logIn({ token: tokens.viewer }));
    const later = { cookie: cookieIn(second.headers["set-cookie"]) };
    expect((await rig.ask("/api/devices", { headers: later })).status).toBe(200);
    await rig.clock.advance(SESSION_MS);
    expect((await rig.ask("/api/devices", { headers: later })).status).toBe(401);
  });

  test("after five wrong passwords the limiter answers, and nothing is hashed; another address's user is free", async () => {
    await using rig = await rigOf();
    const wrong = logIn({ user: "ana", password: "guess" });
    for (let at = 0; at < 5; at += 1) expect((await rig.ask("/api/session", wrong)).status).toBe(401);
    const hashed = rig.hashes.passwords;
    expect(hashed).toBe(5);
    for (let at = 0; at < 50; at += 1) {
      const answer = await rig.ask("/api/session", wrong);
      expect(answer.status).toBe(429);
      expect(answer.json.error.code).toBe("RATE_LIMITED");
    }
    // The right password is not even looked at, or it could be told from a wrong one.
    const right = await rig.ask("/api/session", logIn({ user: "ana", password: people.password }));
    expect(right.status).toBe(429);
    expect(rig.hashes.passwords).toBe(hashed);
    const other = await rig.ask("/api/session", logIn({ user: "vera", password: people.watcher }));
    expect(other.status).toBe(200);
    await rig.clock.advance(60_000);
    expect((await rig.ask("/api/session", logIn({ user: "ana", password: people.password }))).status).toBe(
      200,
    );
  });

  test("many names from one address are limited together; a name that nobody has costs what a known one does", async () => {
    await using rig = await rigOf();
    for (let at = 0; at < 60; at += 1)
      await rig.ask("/api/session", logIn({ user: `u${at}`, password: "x" }));
    expect(rig.hashes.passwords).toBe(30);
  }, 30_000);

  test("guessed tokens: an unknown id is never hashed, a known one five times", async () => {
    await using rig = await rigOf();
    const forged = (id: string, at: number) => bearer(`tardi_${id}_${String(at).padStart(43, "x")}`);
    for (let at = 0; at < 20; at += 1) await rig.ask("/api/devices", forged("01234567", at));
    expect(rig.hashes.secrets).toBe(0);
    for (let at = 0; at < 20; at += 1) await rig.ask("/api/devices", forged("aaaaaaaa", at));
    expect(rig.hashes.secrets).toBe(5);
  });
});

describe("requests", () => {
  test("beyond the rate are refused with Retry-After; others are served", async () => {
    await using rig = await rigOf({ requestsPerSecond: 5 });
    const answers = [];
    for (let at = 0; at < 12; at += 1) answers.push(await rig.ask("/api/info", bearer(tokens.viewer)));
    expect(answers.filter(({ status }) => status === 200)).toHaveLength(10);
    expect(answers.at(-1)).toMatchObject({ status: 429, headers: { "retry-after": "1" } });
    expect((await rig.ask("/api/info", bearer(tokens.admin))).status).toBe(200);
  });

  test("an oversized body is refused, whoever sends it", async () => {
    await using rig = await rigOf();
    const body = { name: "water", args: { a: "x".repeat(20_000) } };
    for (const token of [tokens.operator, "wrong"]) {
      const answer = await rig.ask(COMMANDS, { method: "POST", body, ...bearer(token) });
      expect([401, 413]).toContain(answer.status);
    }
    const login = await rig.ask("/api/session", { method: "POST", body: { token: "x".repeat(20_000) } });
    expect(login.status).toBe(413);
  });

  test.each([
    "/../../etc/passwd",
    "/%2e%2e/%2e%2e/etc/passwd",
    "/assets/..%2f..%2faccess.json",
    "/api/devices/..%2f..%2faccess.json",
    "//etc/passwd",
    "/api/devices/gh-1/%00",
    "/access.json",
    "/api/%c0%ae%c0%ae/access.json",
    "/.%2e/audit.log",
  ])("the path %s leads nowhere", async (path) => {
    await using rig = await rigOf();
    const answer = await rig.ask(path, bearer(tokens.admin));
    expect(answer.status).toBeGreaterThanOrEqual(400);
    expect(answer.status).toBeLessThan(500);
    expect(answer.text).not.toMatch(/root:|"hash"|scrypt/);
  });

  test("a client that sends its request slowly is cut off; others are served meanwhile", async () => {
    await using rig = await rigOf();
    const slow = connect(rig.api.port, "127.0.0.1");
    slow.on("error", () => {});
    slow.resume();
    slow.write("POST /api/session HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n");
    expect((await rig.ask("/api/info", bearer(tokens.viewer))).status).toBe(200);
    await until("it is cut off", () => slow.destroyed || slow.readableEnded || slow.closed, {
      limitMs: 30_000,
    });
    slow.destroy();
  }, 60_000);
});

test("nothing secret is in logs, errors, metrics, the audit or the description", async () => {
  await using rig = await rigOf();
  const secrets = [
    people.password,
    people.watcher,
    ...Object.values(tokens),
    ...Object.values(people.devices),
  ];
  const hashes = JSON.stringify(people.access).match(/[0-9a-f]{64}/g) ?? [];
  expect(hashes.length).toBeGreaterThan(5);
  const told = [];
  for (const token of secrets) {
    told.push(await rig.ask("/api/devices", bearer(token)));
    told.push(await rig.ask(`/api/devices/${encodeURIComponent(token)}`, bearer(tokens.admin)));
    told.push(await rig.ask("/api/session", { method: "POST", body: { token } }));
    told.push(await rig.ask("/api/session", { method: "POST", body: { user: "ana", password: token } }));
  }
  for (const path of ["/metrics", "/openapi.json", "/api/audit", "/api/errors", "/api/info"]) {
    told.push(await rig.ask(path, bearer(tokens.admin)));
  }
  const everything = [
    JSON.stringify(rig.lines),
    JSON.stringify(rig.written),
    ...told.map(({ text }) => text),
  ].join("\n");
  for (const secret of [...secrets, ...hashes]) expect(everything).not.toContain(secret);
});
