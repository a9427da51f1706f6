/** The embedded broker's side of the Broker seam that other brokers have not. */
import { connectAsync } from "mqtt";
import { afterEach, expect, test } from "vitest";
import { type EmbeddedBroker, openEmbeddedBroker } from "../../../host/io/mqtt-embedded.ts";
import type { Delivery } from "../../../host/io/seams.ts";
import { quietLogger, RecordingMeter } from "../../support/quiet.ts";
import { until } from "../../support/until.ts";

let broker: EmbeddedBroker<string>;
afterEach(() => broker.close());

async function opened(): Promise<(clientId: string) => ReturnType<typeof connectAsync>> {
  broker = await openEmbeddedBroker<string>({
    port: 0,
    rules: { publish: () => "route", subscribe: () => undefined, receive: () => true, name: (who) => who },
    // Whoever it says it is.
    authenticate: ({ clientId }) => clientId,
    meter: new RecordingMeter(),
    logger: quietLogger,
  });
  return (clientId) => connectAsync(`mqtt://127.0.0.1:${broker.port}`, { clientId, reconnectPeriod: 0 });
}

test("what is published to be kept is new to a subscription that was there", async () => {
  const join = await opened();
  const seen: Delivery[] = [];
  await broker.subscribe("plug/#", (delivery) => seen.push(delivery));
  const plug = await join("plug");
  await plug.publishAsync("plug/power", "11", { qos: 1, retain: true });
  await until("the delivery", () => seen.length > 0);
  expect(seen).toMatchObject([{ topic: "plug/power", retain: false, clientId: "plug", sender: "plug" }]);
  await plug.endAsync(true);
});

test("ends the connections of those who are nobody any more, and of no others", async () => {
  const join = await opened();
  const [kept, revoked] = [await join("kept"), await join("revoked")];
  const closed = new Promise<void>((resolve) => revoked.once("close", () => resolve()));
  expect(broker.endWhere((who) => who === "revoked")).toBe(1);
  await closed;
  await kept.publishAsync("x", "y", { qos: 1 });
  expect(kept.connected).toBe(true);
  expect(broker.endWhere((who) => who === "revoked")).toBe(0);
  await Promise.all([kept.endAsync(true), revoked.endAsync(true)]);
});
