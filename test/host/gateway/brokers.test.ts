/** One suite for the embedded broker and for mosquitto with the ACL file that the gateway makes: real clients, real sockets. */
import { pbkdf2Sync } from "node:crypto";
import { connect, type MqttClient } from "mqtt";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { ANONYMOUS } from "../../../host/gateway/access/principal.ts";
import { aclFile, topicRules } from "../../../host/gateway/acl.ts";
import { bridgeStateTopic, type Gateway, openGateway } from "../../../host/gateway/gateway.ts";
import { systemClock } from "../../../host/io/clock.ts";
import { openEmbeddedBroker } from "../../../host/io/mqtt-embedded.ts";
import { openExternalBroker } from "../../../host/io/mqtt-external.ts";
import type { Broker } from "../../../host/io/seams.ts";
import { memoryState } from "../../../host/store/memory-state.ts";
import { SimulatedDisk } from "../../../host/world/disk.ts";
import { seededRandom } from "../../../host/world/random.ts";
import { startMosquitto } from "../../support/brokers.ts";
import { connectDevice, type MqttDevice } from "../../support/mqtt-device.ts";
import { quietLogger, RecordingMeter } from "../../support/quiet.ts";
import { until } from "../../support/until.ts";

const SITE = "lab";

interface Made {
  readonly broker: Broker;
  readonly port: number;
  /** True where a refusal is seen by the gateway itself. */
  readonly tellsRefusals: boolean;
  close(): Promise<void>;
}

async function embedded(): Promise<Made> {
  const broker = await openEmbeddedBroker({
    port: 0,
    rules: topicRules(SITE),
    authenticate: () => ANONYMOUS,
    meter: new RecordingMeter(),
    logger: quietLogger,
  });
  return { broker, port: broker.port, tellsRefusals: true, close: () => broker.close() };
}

async function mosquitto(): Promise<Made> {
  const server = await startMosquitto({
    acl: aclFile(SITE, { gateway: "gateway", operators: ["operator"] }),
    passwords: [passwordLine("gateway", "g"), passwordLine("operator", "o")].join(""),
  });
  const broker = openExternalBroker({
    url: `mqtt://127.0.0.1:${server.port}`,
    clientId: "the-gateway",
    username: "gateway",
    password: "g",
    will: { topic: bridgeStateTopic(SITE), payload: "offline" },
    backoff: () => 50,
    meter: new RecordingMeter(),
    logger: quietLogger,
  });
  return {
    broker,
    port: server.port,
    tellsRefusals: false,
    close: async () => {
      await broker.close();
      await server.close();
    },
  };
}

/** As mosquitto_passwd writes it: PBKDF2 with SHA-512, 101 rounds. */
function passwordLine(user: string, password: string): string {
  const salt = Buffer.from("0123456789ab");
  const hash = pbkdf2Sync(password, salt, 101, 64, "sha512");
  return `${user}:$7$101$${salt.toString("base64")}$${hash.toString("base64")}\n`;
}

describe.each([
  ["embedded", embedded],
  ["mosquitto", mosquitto],
] as const)("gateway on the %s broker", (_name, make) => {
  let made: Made;
  let gateway: Gateway;
  let operator: MqttClient;
  let device: MqttDevice;
  const seen = new Map<string, string>();
  const answers: { topic: string; payload: Record<string, unknown> }[] = [];

  beforeEach(async () => {
    seen.clear();
    answers.length = 0;
    const clock = systemClock();
    const random = seededRandom(7);
    made = await make();
    gateway = await openGateway({
      site: SITE,
      disk: new SimulatedDisk({ random, clock }),
      clock,
      random,
      broker: made.broker,
      state: memoryState(),
      meter: new RecordingMeter(),
      logger: quietLogger,
      limits: { stateIntervalMs: 10 },
    });
    operator = connect(`mqtt://127.0.0.1:${made.port}`, {
      clientId: "op",
      username: "operator",
      password: "o",
    });
    operator.on("message", (topic, payload) => {
      seen.set(topic, payload.toString());
      if (topic.includes("/response/")) answers.push({ topic, payload: JSON.parse(payload.toString()) });
    });
    await operator.subscribeAsync(`tardi/${SITE}/#`, { qos: 1 });
    device = await connectDevice({
      port: made.port,
      site: SITE,
      id: "pot",
      commands: { blink: ({ args }) => ({ code: 0, result: args[0]?.value ?? true }) },
    });
    await until("the device has a session", () => device.model.open);
  });
  afterEach(async () => {
    await device.close();
    await operator.endAsync(true);
    await gateway.close();
    await made.close();
  });

  const state = (): Record<string, unknown> => JSON.parse(seen.get(`tardi/${SITE}/pot`) ?? "{}");
  async function ask(verb: string, request: Record<string, unknown>): Promise<Record<string, unknown>> {
    const transaction = `t${answers.length}`;
    operator.publish(`tardi/${SITE}/bridge/request/${verb}`, JSON.stringify({ transaction, ...request }));
    const mine = () => answers.find((answer) => answer.payload.transaction === transaction);
    await until(`an answer to ${verb}`, () => mine() !== undefined);
    expect(mine()?.topic).toBe(`tardi/${SITE}/bridge/response/${verb}`);
    return mine()?.payload ?? {};
  }

  test("readings are acknowledged and the retained state shows them", async () => {
    for (let at = 1; at <= 40; at += 1) device.model.telemetry([at]);
    await until("all are acknowledged", () => device.model.held === 0);
    await until("the state shows the last", () => JSON.stringify(state()).includes('"value":40'));
    expect(state()).toMatchObject({ state: "online", board: "model" });
    expect(gateway.device("pot")?.counts).toMatchObject({ readings: 40, duplicates: 0 });
    const late = connect(`mqtt://127.0.0.1:${made.port}`, {
      clientId: "late",
      username: "operator",
      password: "o",
    });
    let retained = "";
    late.on("message", (_topic, payload) => {
      retained = payload.toString();
    });
    await late.subscribeAsync(`tardi/${SITE}/pot`);
    await until("the state is retained", () => retained.includes('"value":40'));
    await late.endAsync(true);
  });

  test("/set changes desired, the device gets it and reports it", async () => {
    operator.publish(`tardi/${SITE}/pot/set`, JSON.stringify({ fan: true, limit: 21.5 }));
    await until("the device has it", () => device.model.desired?.version === 1);
    expect(device.model.desired?.entries).toEqual([
      { key: "fan", value: true },
      { key: "limit", value: 21.5 },
    ]);
    device.model.report();
    await until("the state shows it", () => state().reportedVersion === 1);
    expect(state()).toMatchObject({ desired: { fan: true }, reported: { fan: true, limit: 21.5 } });
  });

  test("a command through the bridge is answered", async () => {
    const answer = await ask("command", { device: "pot", name: "blink", args: { times: 3 } });
    expect(answer).toMatchObject({ status: "ok", data: { state: "acked", result: 3 } });
    expect(await ask("command", { device: "pot", name: "dance" })).toMatchObject({
      status: "error",
      error: { code: "COMMAND_REJECTED" },
    });
  });

  test("the bridge tells state, devices and refuses nonsense", async () => {
    expect(seen.get(`tardi/${SITE}/bridge/state`)).toBe("online");
    expect(await ask("devices", {})).toMatchObject({ status: "ok", data: [{ id: "pot" }] });
    expect(await ask("device", { device: "none" })).toMatchObject({ error: { code: "DEVICE_UNKNOWN" } });
    expect(await ask("nonsense", {})).toMatchObject({ error: { code: "REQUEST_UNKNOWN" } });
    expect(await ask("history", { device: "pot" })).toMatchObject({ error: { code: "REQUEST_INVALID" } });
  });

  test("a device cannot speak for another", async () => {
    const thief = connect(`mqtt://127.0.0.1:${made.port}`, { clientId: "thief" });
    await new Promise<void>((resolve) => thief.once("connect", () => resolve()));
    thief.publish(`tardi/${SITE}/pot/up`, Buffer.from([0xa0]), { qos: 1 });
    thief.publish(`tardi/${SITE}/pot`, "{}", { qos: 1, retain: true });
    thief.publish(`tardi/${SITE}/bridge/state`, "offline", { qos: 1, retain: true });
    await thief.publishAsync(`tardi/${SITE}/pot/down`, Buffer.from([1]), { qos: 1 });
    device.model.telemetry([5]);
    await until("the device goes on", () => device.model.held === 0);
    expect(seen.get(`tardi/${SITE}/bridge/state`)).toBe("online");
    const codes = gateway.errors().map((error) => error.code);
    if (made.tellsRefusals) {
      expect(codes).toContain("TOPIC_FOREIGN");
      expect(thief.connected).toBe(true);
    } else expect(codes).not.toContain("MESSAGE_FIELD");
    await thief.endAsync(true);
  });

  test("hostile payloads become codes, and the rest goes on", async () => {
    device.client.publish(`tardi/${SITE}/pot/up`, Buffer.from([0xbf, 0xff]), { qos: 1 });
    device.client.publish(`tardi/${SITE}/pot/up`, Buffer.alloc(5000), { qos: 1 });
    operator.publish(`tardi/${SITE}/pot/set`, "[1]");
    operator.publish(`tardi/${SITE}/pot/set`, `{"a":"${"x".repeat(5000)}"}`);
    operator.publish(`tardi/${SITE}/pot/set`, '{"a":{"b":1}}');
    device.model.telemetry([1]);
    await until("it is acknowledged", () => device.model.held === 0);
    const codes = () => gateway.errors().map((error) => error.code);
    await until("all are counted", () => codes().includes("SHADOW_INVALID"));
    expect(codes()).toEqual(
      expect.arrayContaining(["PAYLOAD_OVERSIZE", "REQUEST_INVALID", "SHADOW_INVALID"]),
    );
  });

  test("a device that vanishes is offline by its last will", async () => {
    device.client.stream.destroy();
    device.client.options.reconnectPeriod = 0;
    await until("it is offline", () => gateway.device("pot")?.state === "offline");
    await until("it is told", () => seen.get(`tardi/${SITE}/pot/availability`) === "offline");
  });
});

test("a port in use is named", async () => {
  const first = await embedded();
  const second = openEmbeddedBroker({
    port: first.port,
    rules: topicRules(SITE),
    authenticate: () => ANONYMOUS,
    meter: new RecordingMeter(),
    logger: quietLogger,
  });
  await expect(second).rejects.toMatchObject({ code: "PORT_IN_USE" });
  await first.close();
});
