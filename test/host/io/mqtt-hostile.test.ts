/** A hostile client on the embedded broker: what it may not do to others, and what it may not make the broker remember. */
import { connect, connectAsync, type MqttClient } from "mqtt";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ANONYMOUS } from "../../../host/gateway/access/principal.ts";
import { topicRules } from "../../../host/gateway/acl.ts";
import { type EmbeddedBroker, openEmbeddedBroker } from "../../../host/io/mqtt-embedded.ts";
import { quietLogger, RecordingMeter } from "../../support/quiet.ts";

let broker: EmbeddedBroker;
let refused: string[];
const clients: MqttClient[] = [];

beforeEach(async () => {
  refused = [];
  broker = await openEmbeddedBroker({
    port: 0,
    rules: topicRules("lab"),
    authenticate: () => ANONYMOUS,
    meter: new RecordingMeter(),
    logger: quietLogger,
    limits: { sessionMessagesMax: 5 },
  });
  broker.onRefused?.(({ code, topic }) => refused.push(`${code} ${topic}`));
});

afterEach(async () => {
  for (const client of clients.splice(0)) await client.endAsync(true);
  await broker.close();
});

async function join(clientId: string): Promise<MqttClient> {
  const client = await connectAsync(`mqtt://127.0.0.1:${broker.port}`, { clientId, reconnectPeriod: 0 });
  clients.push(client);
  return client;
}

test("the broker's own topics are refused: they would end another client's connection", async () => {
  const victim = await join("pot");
  const hostile = await join("hostile");
  await hostile.publishAsync("$SYS/elsewhere/new/clients", "pot", { qos: 1 });
  await hostile.publishAsync("$SYS/elsewhere/heartbeat", "elsewhere", { qos: 1 });
  // The victim's own round trip comes after whatever the broker did to it.
  const outcome = await new Promise<string>((resolve) => {
    if (!victim.connected) return resolve("closed");
    victim.on("close", () => resolve("closed"));
    victim.publish("other", "x", { qos: 1 }, () => resolve("answered"));
  });
  expect(outcome).toBe("answered");
  expect(refused).toEqual([
    "TOPIC_INVALID $SYS/elsewhere/new/clients",
    "TOPIC_INVALID $SYS/elsewhere/heartbeat",
  ]);
});

test("what is kept for a client that is away is bounded, and nothing is missing for one that is there", async () => {
  const url = `mqtt://127.0.0.1:${broker.port}`;
  const session = { clientId: "lazy", clean: false, reconnectPeriod: 0 };
  const away = await connectAsync(url, session);
  await away.subscribeAsync("x/#", { qos: 1 });
  await away.endAsync();
  const speaker = await join("speaker");
  for (let index = 0; index < 20; index += 1) await speaker.publishAsync(`x/${index}`, "x", { qos: 1 });
  const received: string[] = [];
  const back = connect(url, session);
  clients.push(back);
  await new Promise<void>((resolve) => {
    back.on("message", (topic) => {
      received.push(topic);
      if (topic === "x/last") resolve();
      // The fifth is the last one kept; what comes from now on is new.
      if (received.length === 5) {
        for (let index = 0; index < 20; index += 1) speaker.publish(`x/new${index}`, "x", { qos: 1 });
        speaker.publish("x/last", "x", { qos: 1 });
      }
    });
  });
  expect(received.slice(0, 5)).toEqual(["x/0", "x/1", "x/2", "x/3", "x/4"]);
  expect(received).toHaveLength(26);
});
