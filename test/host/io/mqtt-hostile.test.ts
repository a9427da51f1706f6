/** A hostile client on the embedded broker: what it may not do to others, and what it may not make the broker remember. */
import { connectAsync, type MqttClient } from "mqtt";
import { afterEach, beforeEach, expect, test } from "vitest";
import { publishPolicy } from "../../../host/gateway/acl.ts";
import { type EmbeddedBroker, openEmbeddedBroker } from "../../../host/io/mqtt-embedded.ts";
import { quietLogger, RecordingMeter } from "../../support/quiet.ts";

let broker: EmbeddedBroker;
let refused: string[];
const clients: MqttClient[] = [];

beforeEach(async () => {
  refused = [];
  broker = await openEmbeddedBroker({
    port: 0,
    policy: publishPolicy("lab"),
    meter: new RecordingMeter(),
    logger: quietLogger,
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
