import { describe, expect, test } from "vitest";
import { FAMILY_RULES } from "../../../host/gateway/plain/families.ts";
import { PlainSource } from "../../../host/gateway/plain/plain-source.ts";
import { ruleDecoder } from "../../../host/gateway/plain/rule.ts";
import { openHomeAssistant } from "../../../host/observe/home-assistant.ts";
import { GatewayWorld, SITE } from "../../support/gateway-world.ts";

async function opened(exclude: readonly string[] = []) {
  const world = new GatewayWorld();
  const gateway = await world.open({ sources: [new PlainSource([ruleDecoder(FAMILY_RULES.tasmota)])] });
  const close = await openHomeAssistant({
    ...{ site: SITE, broker: world.broker, service: gateway, clock: world.clock },
    prefix: "homeassistant",
    exclude,
  });
  const client = world.broker.connect({ clientId: "plug" });
  await client.publish("tele/plug/SENSOR", '{"ENERGY":{"Power":11,"Total":3}}', { qos: 1 });
  await client.publish("stat/plug/RESULT", '{"POWER":"ON","Dimmer":20}', { qos: 1 });
  await world.clock.advance(3000);
  return { world, client, close };
}
const TOPIC = "homeassistant/device/tasmota-plug/config";

describe("Home Assistant", () => {
  test("finds a device by one retained config: sensors, a switch and a number", async () => {
    const { world } = await opened();
    const config = world.json(TOPIC);
    expect(config).toMatchObject({
      device: { identifiers: ["tardigrade_lab_tasmota-plug"], name: "tasmota-plug" },
      origin: { name: "tardigrade" },
      state_topic: "tardi/lab/tasmota-plug",
      availability: [{ topic: "tardi/lab/tasmota-plug/availability" }, { topic: "tardi/lab/bridge/state" }],
      availability_mode: "all",
      components: {
        metric_power: {
          platform: "sensor",
          unit_of_measurement: "W",
          device_class: "power",
          state_class: "measurement",
        },
        metric_energy: {
          unit_of_measurement: "kWh",
          device_class: "energy",
          state_class: "total_increasing",
        },
        state_power: {
          platform: "switch",
          command_topic: "tardi/lab/tasmota-plug/set",
          payload_on: '{"power":true}',
        },
        state_dimmer: { platform: "number" },
      },
    });
    // What the templates read is there.
    const state = world.json("tardi/lab/tasmota-plug") as {
      metrics: { power: unknown };
      reported: { power: unknown };
    };
    expect(state.metrics.power).toMatchObject({ value: 11 });
    expect(state.reported.power).toBe(true);
    expect(world.text("tardi/lab/tasmota-plug/availability")).toBe("online");
  });

  test("is told again when it is born, and not while nothing changes", async () => {
    const { world, client } = await opened();
    let told = 0;
    await world.broker.subscribe(TOPIC, () => {
      told += 1;
    });
    await world.clock.advance(100);
    told = 0;
    await client.publish("tele/plug/SENSOR", '{"ENERGY":{"Power":12,"Total":3}}', { qos: 1 });
    await world.clock.advance(5000);
    expect(told).toBe(0);
    await client.publish("homeassistant/status", "online", { qos: 1 });
    await world.clock.advance(3000);
    expect(told).toBe(1);
  });

  test("an excluded device is removed", async () => {
    const { world } = await opened(["tasmota-*"]);
    expect(world.text(TOPIC) ?? "").toBe("");
  });
});
