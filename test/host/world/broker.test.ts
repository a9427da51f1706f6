import { expect, test } from "vitest";
import type { Delivery } from "../../../host/io/seams.ts";
import { SimulatedBroker } from "../../../host/world/broker.ts";
import { SimulatedClock } from "../../../host/world/clock.ts";
import { seededRandom } from "../../../host/world/random.ts";
import { topicMatches } from "../../../host/world/topic-filter.ts";

const clock = new SimulatedClock();
const text = (payload: Uint8Array) => new TextDecoder().decode(payload);

// MQTT 3.1.1, section 4.7.
test.each([
  ["sport/tennis/player1/#", "sport/tennis/player1", true],
  ["sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true],
  ["sport/#", "sport", true],
  ["#", "a/b", true],
  ["sport/tennis/+", "sport/tennis/player1", true],
  ["sport/tennis/+", "sport/tennis/player1/ranking", false],
  ["sport/+", "sport", false],
  ["sport/+", "sport/", true],
  ["+/+", "/finance", true],
  ["/+", "/finance", true],
  ["+", "/finance", false],
  ["#", "$SYS/x", false],
  ["+/monitor", "$SYS/monitor", false],
  ["$SYS/#", "$SYS/x", true],
  ["a/b", "a/B", false],
  ["a/b/c", "a/b", false],
])("filter %s, topic %s: %s", (filter, topic, matches) => {
  expect(topicMatches(filter, topic)).toBe(matches);
});

test("a client that is down keeps QoS 1 both ways, up to its bound, and drops QoS 0", async () => {
  const broker = new SimulatedBroker({ queueMessagesMax: 2 });
  const device = broker.connect({ clientId: "device-1" });
  const atGateway: string[] = [];
  const atDevice: string[] = [];
  await broker.subscribe("up", (delivery) =>
    atGateway.push(`${delivery.clientId} ${text(delivery.payload)}`),
  );
  await device.subscribe("down", (delivery) => atDevice.push(text(delivery.payload)));
  device.setUp(false);
  for (const number of [1, 2, 3]) device.publish("up", String(number), { qos: 1 });
  device.publish("up", "0");
  for (const number of [1, 2, 3]) broker.publish("down", String(number), { qos: 1 });
  broker.publish("down", "0", { qos: 0 });
  await clock.settle();
  expect([atGateway, atDevice, broker.dropped]).toEqual([[], [], 4]);
  device.setUp(true);
  await clock.settle();
  expect([atGateway, atDevice]).toEqual([
    ["device-1 1", "device-1 2"],
    ["1", "2"],
  ]);
});

test("a lost connection publishes the will and tells its listeners", async () => {
  const broker = new SimulatedBroker();
  const device = broker.connect({
    clientId: "d",
    will: { topic: "availability", payload: "offline", retain: true },
  });
  const states: boolean[] = [];
  const dispose = device.onState((up) => states.push(up));
  device.setUp(false);
  device.setUp(false);
  expect(text(broker.retained("availability") as Uint8Array)).toBe("offline");
  device.setUp(true);
  dispose();
  device.setUp(false);
  expect(states).toEqual([false, true]);
});

test("the gateway's own connection goes down and comes back", async () => {
  const broker = new SimulatedBroker();
  const states: boolean[] = [];
  broker.onState((up) => states.push(up));
  const seen: string[] = [];
  const device = broker.connect({ clientId: "d" });
  await device.subscribe("x", (delivery) => seen.push(text(delivery.payload)));
  broker.setUp(false);
  broker.publish("x", "waited", { qos: 1 });
  await clock.settle();
  expect([broker.up, seen]).toEqual([false, []]);
  broker.setUp(true);
  await clock.settle();
  expect([broker.up, seen, states]).toEqual([true, ["waited"], [false, true]]);
});

test("the dice lose and double deliveries, the same for the same seed", async () => {
  const run = async () => {
    const random = seededRandom(11);
    const broker = new SimulatedBroker({ random, dropProbability: 0.2, duplicateProbability: 0.2 });
    const seen: Delivery[] = [];
    await broker.subscribe("#", (delivery) => seen.push(delivery));
    for (let number = 0; number < 500; number += 1) broker.publish("n", String(number), { qos: 1 });
    await clock.settle();
    return { seen: seen.map((delivery) => text(delivery.payload)), dropped: broker.dropped };
  };
  const first = await run();
  expect(await run()).toEqual(first);
  expect(first.dropped).toBeGreaterThan(50);
  expect(first.seen.length - new Set(first.seen).size).toBeGreaterThan(40);
});

test("a closed client gets and sends nothing", async () => {
  const broker = new SimulatedBroker();
  const device = broker.connect({ clientId: "d" });
  const seen: unknown[] = [];
  await device.subscribe("#", (delivery) => seen.push(delivery));
  broker.publish("a", "1", { qos: 1 });
  await device.close();
  device.publish("a", "2", { qos: 1 });
  device.setUp(true);
  await clock.settle();
  expect([seen, device.up, broker.dropped]).toEqual([[], false, 1]);
  await expect(device.subscribe("#", () => undefined)).rejects.toMatchObject({ code: "BROKER_UNREACHABLE" });
});
