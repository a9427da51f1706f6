/** Plain MQTT devices: payloads as the families' public documentation prints them become the right metrics, states and commands. */
import { describe, expect, test } from "vitest";
import { deviceIdOf } from "../../../host/gateway/plain/decoder.ts";
import { FAMILIES, FAMILY_RULES } from "../../../host/gateway/plain/families.ts";
import { PlainSource } from "../../../host/gateway/plain/plain-source.ts";
import { ruleDecoder } from "../../../host/gateway/plain/rule.ts";
import type { SimulatedClient } from "../../../host/world/broker.ts";
import { GatewayWorld } from "../../support/gateway-world.ts";

const sources = () => [new PlainSource(FAMILIES.map((family) => ruleDecoder(FAMILY_RULES[family])))];

interface Opened {
  readonly world: GatewayWorld;
  readonly client: SimulatedClient;
  /** Publishes and lets the gateway take it. */
  say(topic: string, payload: unknown, options?: { readonly retain?: boolean }): Promise<void>;
  metrics(device: string): Record<string, [number | undefined, string]>;
}

async function opened(): Promise<Opened> {
  const world = new GatewayWorld();
  await world.open({ sources: sources() });
  const client = world.broker.connect({ clientId: "anything" });
  return {
    world,
    client,
    say: async (topic, payload, options = {}) => {
      const text = typeof payload === "string" ? payload : JSON.stringify(payload);
      await client.publish(topic, text, { qos: 1, ...options });
      await world.clock.advance(150);
    },
    metrics: (device) =>
      Object.fromEntries(
        (world.gateway.device(device)?.metrics ?? []).map(({ name, unit, value }) => [name, [value, unit]]),
      ),
  };
}

describe("Homie", () => {
  // homieiot.github.io: Homie convention 4.0, topology, device life cycle.
  test("numbers are metrics, the rest is state, $state is presence, attributes are neither", async () => {
    const { world, say, metrics } = await opened();
    await say("homie/super-car/$name", "Super car", { retain: true });
    await say("homie/super-car/$fw/version", "1.0", { retain: true });
    await say("homie/super-car/engine/$name", "Car engine", { retain: true });
    await say("homie/super-car/engine/temperature", "21.5", { retain: true });
    await say("homie/super-car/lights/on", "true", { retain: true });
    await say("homie/super-car/$state", "ready", { retain: true });
    expect(metrics("homie-super-car")).toEqual({ "engine-temperature": [21.5, "Cel"] });
    expect(world.gateway.shadow("homie-super-car").reported).toEqual({ "lights-on": true });
    expect(world.gateway.device("homie-super-car")?.state).toBe("online");
    await say("homie/super-car/$state", "lost", { retain: true });
    expect(world.gateway.device("homie-super-car")?.state).toBe("offline");
  });
});

describe("Tasmota", () => {
  // tasmota.github.io/docs: MQTT, Status-Responses, Power-Monitoring-Calibration.
  const STATE = {
    Time: "2019-08-12T13:28:09",
    Uptime: "0T01:10:09",
    UptimeSec: 4209,
    Heap: 27,
    SleepMode: "Dynamic",
    Sleep: 50,
    LoadAvg: 19,
    MqttCount: 1,
    POWER: "ON",
    Wifi: {
      AP: 1,
      SSId: "net",
      BSSId: "00:00:00:00:00:00",
      Channel: 1,
      RSSI: 100,
      Signal: -43,
      LinkCount: 1,
      Downtime: "0T00:00:06",
    },
  };
  const SENSOR = {
    Time: "2019-08-12T13:28:19",
    ENERGY: {
      TotalStartTime: "2018-11-23T15:33:47",
      Total: 3.185,
      Yesterday: 0.058,
      Today: 0.041,
      Period: 0,
      Power: 11,
      ApparentPower: 27,
      ReactivePower: 25,
      Factor: 0.41,
      Voltage: 234,
      Current: 0.117,
    },
    AM2301: { Temperature: 22.5, Humidity: 41.3, DewPoint: 8.7 },
    TempUnit: "C",
  };

  test("a plug with a sensor", async () => {
    const { world, say, metrics } = await opened();
    await say("tele/Plug_1/LWT", "Online", { retain: true });
    await say("tele/Plug_1/STATE", STATE);
    await say("tele/Plug_1/SENSOR", SENSOR);
    expect(metrics("tasmota-plug-1")).toEqual({
      uptime: [4209, "s"],
      "wifi-signal": [-43, "dBm"],
      power: [11, "W"],
      "apparent-power": [27, "V.A"],
      "reactive-power": [25, "var"],
      "power-factor": [0.41, "1"],
      voltage: [234, "V"],
      current: [0.117, "A"],
      energy: [3.185, "kW.h"],
      "energy-today": [0.041, "kW.h"],
      "am2301-temperature": [22.5, "Cel"],
      "am2301-humidity": [41.3, "%"],
      "am2301-dew-point": [8.7, "Cel"],
    });
    expect(world.gateway.shadow("tasmota-plug-1").reported).toEqual({ power: true });
    expect(world.gateway.device("tasmota-plug-1")).toMatchObject({
      state: "online",
      app: "tasmota",
      commands: ["set"],
    });
    await say("tele/Plug_1/LWT", "Offline");
    expect(world.gateway.device("tasmota-plug-1")?.state).toBe("offline");
  });

  test("is switched by its shadow and by a command, and answers when it says so", async () => {
    const { world, client, say } = await opened();
    const heard: string[] = [];
    await client.subscribe("cmnd/#", ({ topic, payload }) =>
      heard.push(`${topic} ${new TextDecoder().decode(payload)}`),
    );
    await say("stat/Plug_1/RESULT", { POWER1: "OFF", POWER2: "OFF", Dimmer: 10 });
    await world.settle(world.gateway.setDesired("tasmota-plug-1", { power2: true, dimmer: 40 }));
    await world.clock.advance(200);
    expect(heard).toEqual(["cmnd/Plug_1/POWER2 ON", "cmnd/Plug_1/Dimmer 40"]);
    await say("stat/Plug_1/RESULT", { POWER2: "ON" });
    await say("stat/Plug_1/RESULT", { Dimmer: 40 });
    expect(world.gateway.shadow("tasmota-plug-1")).toMatchObject({ delta: {}, reportedVersion: 1 });
    const command = world.gateway.command("tasmota-plug-1", { name: "set", args: { power1: true } });
    await world.clock.advance(500);
    expect(heard.at(-1)).toBe("cmnd/Plug_1/POWER1 ON");
    await say("stat/Plug_1/RESULT", { POWER1: "ON" });
    await expect(world.settle(command)).resolves.toMatchObject({ state: "acked", result: true });
    const silent = world.gateway.command("tasmota-plug-1", {
      name: "set",
      args: { power1: false },
      timeoutMs: 1000,
    });
    await expect(world.settle(silent)).rejects.toMatchObject({ code: "COMMAND_TIMEOUT" });
    const wrong = world.gateway.command("tasmota-plug-1", { name: "set", args: { window: true } });
    await expect(world.settle(wrong)).rejects.toMatchObject({ code: "COMMAND_REJECTED" });
  });
});

describe("Shelly", () => {
  // shelly-api-docs.shelly.cloud: Gen1 MQTT; Gen2 Switch status notifications.
  test("Gen1: relay, power, energy in watt-minutes", async () => {
    const { world, client, say, metrics } = await opened();
    await say("shellies/shelly1pm-68C63AFB6B3A/online", "true");
    await say("shellies/shelly1pm-68C63AFB6B3A/announce", {
      id: "shelly1pm-68C63AFB6B3A",
      fw_ver: "20200827-065344/v1.8.3",
    });
    await say("shellies/shelly1pm-68C63AFB6B3A/relay/0", "on");
    await say("shellies/shelly1pm-68C63AFB6B3A/relay/0/power", "12.75");
    await say("shellies/shelly1pm-68C63AFB6B3A/relay/0/energy", "60000");
    await say("shellies/shelly1pm-68C63AFB6B3A/temperature", "41.23");
    const id = "shelly1pm-68c63afb6b3a";
    expect(metrics(id)).toEqual({
      "relay-0-power": [12.75, "W"],
      "relay-0-energy": [1, "kW.h"],
      temperature: [41.23, "Cel"],
    });
    expect(world.gateway.device(id)?.version).toBe("20200827-065344/v1.8.3");
    const heard: string[] = [];
    await client.subscribe("shellies/+/relay/0/command", ({ payload }) =>
      heard.push(new TextDecoder().decode(payload)),
    );
    await world.settle(world.gateway.setDesired(id, { "relay-0": false }));
    await world.clock.advance(100);
    expect(heard).toEqual(["off"]);
  });

  test("Gen2: a switch's status", async () => {
    const { world, client, say, metrics } = await opened();
    const id = "shellyplus1pm-a8032ab12345";
    await say(`${id}/status/switch:0`, {
      id: 0,
      source: "WS_in",
      output: false,
      apower: 8.9,
      voltage: 237.5,
      current: 0.052,
      aenergy: { total: 6532.1, by_minute: [45.199, 47.141, 88.397], minute_ts: 1626935779 },
      temperature: { tC: 23.5, tF: 74.4 },
    });
    expect(metrics(id)).toEqual({
      "switch-0-power": [8.9, "W"],
      "switch-0-voltage": [237.5, "V"],
      "switch-0-current": [0.052, "A"],
      "switch-0-energy": [6.5321, "kW.h"],
      "switch-0-temperature": [23.5, "Cel"],
    });
    const heard: string[] = [];
    await client.subscribe(`${id}/command/#`, ({ topic, payload }) =>
      heard.push(`${topic} ${new TextDecoder().decode(payload)}`),
    );
    await world.settle(world.gateway.setDesired(id, { "switch-0": true }));
    await world.clock.advance(100);
    expect(heard).toEqual([`${id}/command/switch:0 on`]);
  });
});

describe("ESPHome", () => {
  // esphome.io: MQTT Client Component.
  test("sensors, a binary sensor, a switch, a light", async () => {
    const { world, client, say, metrics } = await opened();
    await say("livingroom/status", "online");
    await say("livingroom/sensor/bme280_temperature/state", "21.7");
    await say("livingroom/sensor/bme280_humidity/state", "48.2");
    await say("livingroom/sensor/lux/state", "nan");
    await say("livingroom/binary_sensor/motion/state", "ON");
    await say("livingroom/switch/fan/state", "OFF");
    await say("livingroom/light/lamp/state", { state: "ON", brightness: 155, color_mode: "brightness" });
    expect(metrics("esphome-livingroom")).toEqual({
      "bme280-temperature": [21.7, "Cel"],
      "bme280-humidity": [48.2, "%"],
    });
    expect(world.gateway.shadow("esphome-livingroom").reported).toEqual({
      motion: true,
      fan: false,
      lamp: true,
      "lamp-level": 155,
    });
    const heard: string[] = [];
    await client.subscribe("livingroom/switch/fan/command", ({ payload }) =>
      heard.push(new TextDecoder().decode(payload)),
    );
    await world.settle(world.gateway.setDesired("esphome-livingroom", { fan: true }));
    await world.clock.advance(100);
    expect(heard).toEqual(["ON"]);
  });
});

describe("Zigbee2MQTT", () => {
  // zigbee2mqtt.io: MQTT Topics and Messages.
  test("a climate sensor, a plug, availability as JSON", async () => {
    const { world, client, say, metrics } = await opened();
    await say("zigbee2mqtt/bridge/state", { state: "online" });
    await say("zigbee2mqtt/Bath Room", {
      temperature: 27.34,
      humidity: 44.72,
      pressure: 993,
      battery: 100,
      voltage: 2995,
      linkquality: 96,
    });
    await say("zigbee2mqtt/plug", { state: "ON", power: 12.1, linkquality: 120 });
    await say("zigbee2mqtt/plug/availability", { state: "online" });
    expect(metrics("zigbee2mqtt-bath-room")).toEqual({
      temperature: [27.34, "Cel"],
      humidity: [44.72, "%"],
      pressure: [993, "hPa"],
      battery: [100, "%"],
      "link-quality": [96, "1"],
    });
    const heard: string[] = [];
    await client.subscribe("zigbee2mqtt/plug/set", ({ payload }) =>
      heard.push(new TextDecoder().decode(payload)),
    );
    await world.settle(world.gateway.setDesired("zigbee2mqtt-plug", { state: false }));
    await world.clock.advance(100);
    expect(heard).toEqual(['{"state":"OFF"}']);
    await say("zigbee2mqtt/plug/availability", { state: "offline" });
    expect(world.gateway.device("zigbee2mqtt-plug")?.state).toBe("offline");
    expect(world.gateway.devices().map(({ id }) => id)).toEqual([
      "zigbee2mqtt-bath-room",
      "zigbee2mqtt-plug",
    ]);
  });
});

describe("what comes from anybody", () => {
  test("is bounded and makes no device of nonsense", async () => {
    const { world, say } = await opened();
    await say("zigbee2mqtt/a", "{not json");
    await say("zigbee2mqtt/a", "[1,2,3]");
    await say("zigbee2mqtt/a", '{"temperature":{"deep":{"er":1}},"humidity":null,"battery":"1e999"}');
    await say("zigbee2mqtt/---", { temperature: 1 });
    await say("tele//SENSOR", { ENERGY: { Power: 1 } });
    await say("tele/gone/LWT", "Offline");
    await say("zigbee2mqtt/__proto__", { state_: "ON" });
    await say("zigbee2mqtt/big", JSON.stringify({ temperature: 1, fill: "x".repeat(17_000) }));
    expect(world.gateway.devices().filter(({ id }) => id !== "zigbee2mqtt-proto")).toEqual([]);
    expect(world.gateway.errors().map(({ code }) => code)).toEqual(["PAYLOAD_OVERSIZE"]);
  });

  test("more metrics than a device can name are left out, the others are kept", async () => {
    const { world, say, metrics } = await opened();
    const many = Object.fromEntries(
      Array.from({ length: 30 }, (_, at) => [`DS18B20-${at}`, { Temperature: at }]),
    );
    await say("tele/many/SENSOR", many);
    expect(Object.keys(metrics("tasmota-many"))).toHaveLength(16);
    expect(world.meter.counts.get("tardigrade_plain_metrics_left_out_total")).toBe(14);
  });

  test("two names that would be one device: the first keeps it, the second is told", async () => {
    const { world, say } = await opened();
    await say("zigbee2mqtt/lamp 1", { state: "ON" });
    await say("zigbee2mqtt/Lamp-1", { state: "OFF" });
    expect(world.gateway.shadow("zigbee2mqtt-lamp-1").reported).toEqual({ state: true });
    expect(world.gateway.errors().map(({ code }) => code)).toEqual(["DEVICE_ID_INVALID"]);
  });

  test("a retained reading is not stored again when the gateway starts anew", async () => {
    const world = new GatewayWorld();
    const client = world.broker.connect({ clientId: "z2m" });
    await client.publish("zigbee2mqtt/a", '{"temperature":20,"state":"ON"}', { qos: 1, retain: true });
    await world.open({ sources: sources() });
    await world.clock.advance(500);
    expect(world.gateway.device("zigbee2mqtt-a")?.counts.readings).toBe(0);
    expect(world.gateway.shadow("zigbee2mqtt-a").reported).toEqual({ state: true });
  });

  test.each([
    ["tasmota", "DVES_12AB", "tasmota-dves-12ab"],
    ["shelly", "shelly1-98F4", "shelly1-98f4"],
    ["zigbee2mqtt", "0x00158d0001d82999", "zigbee2mqtt-0x00158d0001d82999"],
    ["esphome", "äöü", ""],
    ["esphome", "a".repeat(60), `esphome-${"a".repeat(23)}`],
  ])("%s %s is %s", (family, name, id) => expect(deviceIdOf(family, name)).toBe(id));
});
