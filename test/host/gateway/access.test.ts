/** Who may do what over MQTT: the rules as functions, the embedded broker, and mosquitto with the files that we generate. */
import { connectAsync, type MqttClient } from "mqtt";
import { describe, expect, test } from "vitest";
import {
  EMPTY_ACCESS,
  isSafeFilter,
  parseAccess,
  serializeAccess,
  withDevice,
  without,
  withUser,
} from "../../../host/gateway/access/access-file.ts";
import { brokerLogin } from "../../../host/gateway/access/broker-login.ts";
import type { Principal } from "../../../host/gateway/access/principal.ts";
import { aclFile, passwordFile, topicRules } from "../../../host/gateway/acl.ts";
import { systemClock } from "../../../host/io/clock.ts";
import { openEmbeddedBroker } from "../../../host/io/mqtt-embedded.ts";
import { systemSecrets } from "../../../host/io/secrets.ts";
import { somePeople, testAccess } from "../../support/access.ts";
import { startMosquitto } from "../../support/brokers.ts";
import { quietLogger, RecordingMeter } from "../../support/quiet.ts";
import { until } from "../../support/until.ts";

const people = await somePeople();
const rules = topicRules("lab");
const device = (name: string, topics: readonly string[] = []): Principal => ({
  kind: "device",
  device: name,
  topics,
});
const user = (role: "viewer" | "operator" | "admin"): Principal => ({ kind: "user", name: role, role });
const plug = device("plug", ["tele/plug/#"]);

describe("topic rules", () => {
  test.each([
    [device("pot"), "tardi/lab/pot/up", "take"],
    [device("pot"), "tardi/lab/cup/up", "TOPIC_FOREIGN"],
    [device("pot"), "tardi/lab/pot/set", "TOPIC_FOREIGN"],
    [device("pot"), "tardi/lab/bridge/request/devices", "TOPIC_FOREIGN"],
    [device("pot"), "somewhere/else", "TOPIC_FOREIGN"],
    [plug, "tele/plug/SENSOR", "route"],
    [plug, "tele/other/SENSOR", "TOPIC_FOREIGN"],
    [user("viewer"), "tardi/lab/pot/set", "FORBIDDEN"],
    [user("viewer"), "tardi/lab/pot/get", "route"],
    [user("viewer"), "tardi/lab/bridge/request/devices", "route"],
    [user("viewer"), "tardi/lab/bridge/request/command", "FORBIDDEN"],
    [user("viewer"), "tardi/lab/bridge/request/shadow/set", "FORBIDDEN"],
    [user("viewer"), "cmnd/plug/POWER", "FORBIDDEN"],
    [user("operator"), "tardi/lab/bridge/request/command", "route"],
    [user("operator"), "tardi/lab/pot/set", "route"],
    [user("operator"), "tardi/lab/pot/up", "TOPIC_FOREIGN"],
    [user("admin"), "tardi/lab/bridge/state", "TOPIC_FOREIGN"],
    [user("admin"), "$SYS/broker/x", "TOPIC_INVALID"],
  ] as const)("publish %j %s: %s", (principal, topic, decision) => {
    expect(rules.publish({ id: "x", principal }, topic)).toBe(decision);
  });

  test.each([
    [device("pot"), "tardi/lab/pot/down", undefined],
    [device("pot"), "tardi/lab/cup/down", "TOPIC_FOREIGN"],
    [device("pot"), "tardi/lab/+/down", "TOPIC_FOREIGN"],
    [device("pot"), "#", "TOPIC_FOREIGN"],
    [plug, "tele/plug/#", undefined],
    [plug, "tele/plug/x", undefined],
    [plug, "tele/+/x", "TOPIC_FOREIGN"],
    [user("viewer"), "tardi/lab/#", undefined],
    [user("admin"), "tardi/lab/pot/down", "FORBIDDEN"],
  ] as const)("subscribe %j %s: %s", (principal, filter, code) => {
    expect(rules.subscribe({ id: "x", principal }, filter)).toBe(code);
  });

  test("a person's wildcard brings no commands of devices", () => {
    const of = (principal: Principal, topic: string) => rules.receive({ id: "x", principal }, topic);
    expect(of(user("admin"), "tardi/lab/pot/down")).toBe(false);
    expect(of(user("admin"), "tardi/lab/pot")).toBe(true);
    expect(of(device("pot"), "tardi/lab/pot/down")).toBe(true);
  });
});

describe("the access file", () => {
  test("comes back as it was written, and refuses what no command of ours wrote", () => {
    expect(parseAccess(serializeAccess(people.access), "a.json")).toEqual(people.access);
    const broken = [
      "",
      "[]",
      '{"version":2}',
      '{"version":1,"users":[],"tokens":[]}',
      JSON.stringify({ ...people.access, users: [{ ...people.access.users[0], role: "root" }] }),
      JSON.stringify({
        ...people.access,
        users: [
          {
            ...people.access.users[0],
            password: { salt: "00".repeat(16), hash: "00".repeat(32), n: 2 ** 30, r: 8, p: 1 },
          },
        ],
      }),
      JSON.stringify({ ...people.access, devices: [{ ...people.access.devices[0], topics: ["tardi/#"] }] }),
    ];
    for (const text of broken) {
      expect(() => parseAccess(text, "a.json")).toThrow(expect.objectContaining({ code: "ACCESS_INVALID" }));
    }
  });

  test("takes a name once, for one kind", () => {
    const row = people.access.devices[0] as (typeof people.access.devices)[number];
    const again = () => withDevice(people.access, row);
    expect(again).toThrow(expect.objectContaining({ code: "REQUEST_INVALID" }));
    expect(() => withUser(people.access, { name: "pot", role: "viewer", createdMs: 0 })).toThrow(
      /is a device/,
    );
    expect(() => withUser(people.access, { name: "a b", role: "viewer", createdMs: 0 })).toThrow(/no name/);
    expect(() => without(people.access, "token", "ffffffff")).toThrow(
      expect.objectContaining({ code: "NOT_FOUND" }),
    );
    expect(withDevice(EMPTY_ACCESS, row).devices).toEqual([row]);
  });

  test.each([
    "#",
    "+/plug/#",
    "tardi/x/#",
    "homeassistant/x",
    "$SYS/x",
    "tele/#",
    "tele/+/x",
    "tele",
    "a/b#",
    "a/#/b",
    "a/b\nuser x",
  ])("the filter %j is nobody's", (filter) => expect(isSafeFilter(filter)).toBe(false));
  test.each(["tele/plug/#", "shellies/shelly1-98F4/#", "zigbee2mqtt/lamp", "a/b/+/c"])(
    "the filter %s may be",
    (filter) => expect(isSafeFilter(filter)).toBe(true),
  );
});

interface Server {
  readonly port: number;
  close(): Promise<void>;
}

async function embedded(): Promise<Server> {
  const { access } = testAccess(systemClock(), { access: people.access });
  const broker = await openEmbeddedBroker({
    port: 0,
    rules,
    authenticate: brokerLogin({ access, required: false }),
    meter: new RecordingMeter(),
    logger: quietLogger,
  });
  return broker;
}

const GATEWAY = "a-secret-of-the-gateway";
async function mosquitto(): Promise<Server> {
  return startMosquitto({
    acl: aclFile("lab", { gateway: "tardigrade" }, people.access),
    passwords: `${passwordFile(people.access)}tardigrade:${systemSecrets().mosquittoHash(GATEWAY)}\n`,
    anonymous: false,
  });
}

/** The same attacks on both. */
describe.each([
  ["embedded", embedded],
  ["mosquitto", mosquitto],
] as const)("devices with credentials on the %s broker", (_name, start) => {
  const open = (server: Server, username: string | undefined, password: string, clientId = username ?? "x") =>
    connectAsync(`mqtt://127.0.0.1:${server.port}`, {
      clientId,
      reconnectPeriod: 0,
      ...(username === undefined ? {} : { username, password }),
    });

  test("a device publishes for itself only and reads nobody's commands", async () => {
    const server = await start();
    const clients: MqttClient[] = [];
    const client = async (name: string, password: string, clientId = name): Promise<MqttClient> => {
      const opened = await open(server, name, password, clientId);
      clients.push(opened);
      return opened;
    };
    try {
      await expect(open(server, undefined, "")).rejects.toThrow();
      await expect(open(server, "pot", "guess")).rejects.toThrow();
      await expect(open(server, "nobody", "guess")).rejects.toThrow();
      const pot = await client("pot", people.devices.pot);
      const spy = await client("plug", people.devices.plug, "DVES_12");
      const vera = await client("vera", people.watcher);
      const seen: string[] = [];
      for (const [who, mqtt] of Object.entries({ pot, spy, vera })) {
        mqtt.on("message", (topic, payload) => seen.push(`${who} ${topic} ${payload}`));
      }
      await vera.subscribeAsync("tardi/lab/#");
      for (const filter of ["tardi/lab/pot/down", "tardi/lab/+/down", "tardi/lab/#", "#"]) {
        await spy.subscribeAsync(filter).catch(() => undefined);
      }
      await spy.subscribeAsync("cmnd/plug/#");
      await pot.subscribeAsync("tardi/lab/pot/down");
      // A broker may answer, drop, or end the connection of whoever publishes what it may not.
      const tries = async (name: string, password: string, topic: string): Promise<void> => {
        const thief = await open(server, name, password, `${name}-thief`);
        const ended = new Promise<void>((resolve) => thief.once("close", () => resolve()));
        await Promise.race([thief.publishAsync(topic, "stolen", { qos: 1 }), ended]);
        await thief.endAsync(true);
      };
      for (const channel of ["/availability", "/up", "", "/set", "/down"]) {
        await tries("plug", people.devices.plug, `tardi/lab/pot${channel}`);
      }
      for (const channel of ["/availability", "/set"])
        await tries("vera", people.watcher, `tardi/lab/pot${channel}`);
      await pot.publishAsync("tardi/lab/pot/availability", "online", { qos: 1 });
      await spy.publishAsync("tele/plug/SENSOR", "mine", { qos: 1 });
      await spy.publishAsync("cmnd/plug/x", "mine", { qos: 1 });
      await until("what is allowed arrives", () => seen.length >= 2);
      // With overlapping subscriptions a message may come twice.
      expect([...new Set(seen)].filter((line) => !line.startsWith("spy tele/plug/")).sort()).toEqual([
        "spy cmnd/plug/x mine",
        "vera tardi/lab/pot/availability online",
      ]);
    } finally {
      for (const opened of clients) await opened.endAsync(true);
      await server.close();
    }
  }, 20_000);
});

test("no client takes the name of a device; a revoked device cannot come back", async () => {
  const file = { access: people.access };
  const { access } = testAccess(systemClock(), file);
  const login = brokerLogin({ access, required: false });
  const asked = { address: "127.0.0.1", commonName: undefined };
  const pot = { ...asked, username: "pot", password: people.devices.pot };
  expect(await login({ ...pot, clientId: "pot" })).toMatchObject({ kind: "device", device: "pot" });
  expect(await login({ ...pot, clientId: "plug" })).toBe("TOPIC_FOREIGN");
  const plugged = { ...asked, username: "plug", password: people.devices.plug };
  expect(await login({ ...plugged, clientId: "DVES_1" })).toMatchObject({ device: "plug" });
  expect(await login({ ...plugged, clientId: "pot" })).toBe("TOPIC_FOREIGN");
  const ana = { ...asked, username: "ana", password: people.password };
  expect(await login({ ...ana, clientId: "laptop" })).toMatchObject({ kind: "user", role: "operator" });
  expect(await login({ ...ana, clientId: "pot" })).toBe("TOPIC_FOREIGN");
  const token = { ...asked, username: "script", password: people.tokens.viewer };
  expect(await login({ ...token, clientId: "s" })).toMatchObject({ role: "viewer" });
  file.access = without(people.access, "device", "pot");
  expect(await login({ ...pot, clientId: "pot" })).toBe("UNAUTHORIZED");
  const certified = {
    ...asked,
    clientId: "plug",
    username: undefined,
    password: undefined,
    commonName: "plug",
  };
  expect(await login(certified)).toMatchObject({ kind: "device", device: "plug" });
  expect(await login({ ...certified, commonName: "stranger" })).toBe("UNAUTHORIZED");
});
