/**
 * The families that are recognised by their topics, from their public documentation: Tasmota (MQTT, default FullTopic %prefix%/%topic%/),
 * Shelly Gen1 (MQTT) and Gen2+ (status notifications), ESPHome (MQTT client component), Zigbee2MQTT (MQTT topics and messages), Homie (convention 4.0, device life cycle and properties).
 */
import type { Control, Rule, RuleSet } from "./rule.ts";

export const FAMILIES = ["tasmota", "shelly", "esphome", "zigbee2mqtt", "homie"] as const;
export type Family = (typeof FAMILIES)[number];

const TASMOTA_STATE = [
  { path: "POWER*", state: "power{1}" },
  { path: "Dimmer", state: "dimmer" },
  { path: "CT", state: "ct" },
  { path: "Wifi.Signal", metric: "wifi-signal", unit: "dBm" },
  { path: "UptimeSec", metric: "uptime", unit: "s" },
] as const;

const tasmota: RuleSet = {
  rules: [
    { family: "tasmota", topic: "tele/{device}/LWT", presence: { online: "Online", offline: "Offline" } },
    { family: "tasmota", topic: "tele/{device}/STATE", fields: TASMOTA_STATE },
    { family: "tasmota", topic: "stat/{device}/RESULT", fields: TASMOTA_STATE },
    {
      family: "tasmota",
      topic: "stat/{device}/STATUS2",
      fields: [{ path: "StatusFWR.Version", version: true }],
    },
    {
      family: "tasmota",
      topic: "tele/{device}/SENSOR",
      fields: [
        { path: "ENERGY.Power", metric: "power", unit: "W" },
        { path: "ENERGY.ApparentPower", metric: "apparent-power", unit: "V.A" },
        { path: "ENERGY.ReactivePower", metric: "reactive-power", unit: "var" },
        { path: "ENERGY.Factor", metric: "power-factor", unit: "1" },
        { path: "ENERGY.Voltage", metric: "voltage", unit: "V" },
        { path: "ENERGY.Current", metric: "current", unit: "A" },
        { path: "ENERGY.Total", metric: "energy", unit: "kW.h" },
        { path: "ENERGY.Today", metric: "energy-today", unit: "kW.h" },
        { path: "*.Temperature", metric: "{1}-temperature", unit: "Cel" },
        { path: "*.Humidity", metric: "{1}-humidity", unit: "%" },
        { path: "*.DewPoint", metric: "{1}-dew-point", unit: "Cel" },
        { path: "*.Pressure", metric: "{1}-pressure", unit: "hPa" },
        { path: "*.Illuminance", metric: "{1}-illuminance", unit: "lx" },
        { path: "ANALOG.*", metric: "analog-{1}" },
        { path: "Switch*", state: "switch{1}" },
      ],
    },
  ],
  controls: [
    { family: "tasmota", state: "power{1}", topic: "cmnd/{device}/POWER{1}", on: "ON", off: "OFF" },
    { family: "tasmota", state: "dimmer", topic: "cmnd/{device}/Dimmer", payload: "{value}" },
    { family: "tasmota", state: "ct", topic: "cmnd/{device}/CT", payload: "{value}" },
  ],
};

const WATT_MINUTES_IN_KWH = 1 / 60_000;
const GEN1 = { family: "shelly" } as const;
const shelly: RuleSet = {
  rules: [
    { ...GEN1, topic: "shellies/{device}/online", presence: { online: "true", offline: "false" } },
    { ...GEN1, topic: "shellies/{device}/relay/{n}", fields: [{ state: "relay-{n}" }] },
    {
      ...GEN1,
      topic: "shellies/{device}/relay/{n}/power",
      fields: [{ metric: "relay-{n}-power", unit: "W" }],
    },
    {
      ...GEN1,
      topic: "shellies/{device}/relay/{n}/energy",
      fields: [{ metric: "relay-{n}-energy", unit: "kW.h", scale: WATT_MINUTES_IN_KWH }],
    },
    { ...GEN1, topic: "shellies/{device}/temperature", fields: [{ metric: "temperature", unit: "Cel" }] },
    { ...GEN1, topic: "shellies/{device}/voltage", fields: [{ metric: "voltage", unit: "V" }] },
    { ...GEN1, topic: "shellies/{device}/sensor/{what}", fields: [{ metric: "{what}" }] },
    {
      ...GEN1,
      topic: "shellies/{device}/announce",
      fields: [{ path: "fw_ver", version: true }],
    },
    {
      ...GEN1,
      topic: "{device}/online",
      startsWith: "shelly",
      presence: { online: "true", offline: "false" },
    },
    {
      ...GEN1,
      topic: "{device}/status/{part}",
      startsWith: "shelly",
      fields: [
        { path: "output", state: "{part}" },
        { path: "apower", metric: "{part}-power", unit: "W" },
        { path: "voltage", metric: "{part}-voltage", unit: "V" },
        { path: "current", metric: "{part}-current", unit: "A" },
        { path: "aenergy.total", metric: "{part}-energy", unit: "kW.h", scale: 0.001 },
        { path: "temperature.tC", metric: "{part}-temperature", unit: "Cel" },
        { path: "tC", metric: "{part}", unit: "Cel" },
        { path: "rh", metric: "{part}", unit: "%" },
        { path: "battery.percent", metric: "battery", unit: "%" },
      ],
    },
  ],
  controls: [
    { ...GEN1, state: "relay-{1}", topic: "shellies/{device}/relay/{1}/command", on: "on", off: "off" },
    { ...GEN1, state: "switch-{1}", topic: "{device}/command/switch:{1}", on: "on", off: "off" },
    { ...GEN1, state: "light-{1}", topic: "{device}/command/light:{1}", on: "on", off: "off" },
  ],
};

const esphomeStates: readonly Rule[] = ["switch", "binary_sensor", "fan", "lock"].map((component) => ({
  family: "esphome",
  topic: `{device}/${component}/{item}/state`,
  fields: [{ state: "{item}" }],
}));
const esphome: RuleSet = {
  rules: [
    { family: "esphome", topic: "{device}/status", presence: { online: "online", offline: "offline" } },
    { family: "esphome", topic: "{device}/sensor/{item}/state", fields: [{ metric: "{item}" }] },
    { family: "esphome", topic: "{device}/number/{item}/state", fields: [{ state: "{item}" }] },
    ...esphomeStates,
    {
      family: "esphome",
      topic: "{device}/light/{item}/state",
      fields: [
        { path: "state", state: "{item}" },
        { path: "brightness", state: "{item}-level" },
      ],
    },
  ],
  controls: [
    // The kind of component is not in the state's name; a command to one that is not there is heard by nobody.
    { family: "esphome", state: "{1}", topic: "{device}/switch/{1}/command", on: "ON", off: "OFF" },
    { family: "esphome", state: "{1}", topic: "{device}/number/{1}/command", payload: "{value}" },
  ],
};

const MEASURED = [
  "temperature",
  "humidity",
  "pressure",
  "battery",
  "power",
  "current",
  "energy",
  "illuminance",
];
const zigbeeFields = [
  ...MEASURED.map((name) => ({ path: name, metric: name })),
  { path: "illuminance_lux", metric: "illuminance", unit: "lx" },
  { path: "linkquality", metric: "link-quality", unit: "1" },
  ...["state", "brightness", "color_temp", "occupancy", "contact", "water_leak", "smoke", "position"].map(
    (name) => ({
      path: name,
      state: name,
    }),
  ),
  { path: "state_*", state: "state-{1}" },
];
const zigbee2mqtt: RuleSet = {
  rules: [
    {
      family: "zigbee2mqtt",
      topic: "zigbee2mqtt/{device}/availability",
      except: ["bridge"],
      presence: { online: "online", offline: "offline" },
    },
    {
      family: "zigbee2mqtt",
      topic: "zigbee2mqtt/{device}",
      except: ["bridge"],
      // Batteries tell millivolts, plugs tell volts: the two never come together with `battery` in a plug.
      fields: zigbeeFields,
    },
  ],
  controls: [
    ...(["state", "state-{1}"] as const).map(
      (state): Control => ({
        family: "zigbee2mqtt",
        state,
        topic: "zigbee2mqtt/{device}/set",
        on: `{"${state.replace("-{1}", "_{1}")}":"ON"}`,
        off: `{"${state.replace("-{1}", "_{1}")}":"OFF"}`,
      }),
    ),
    ...["brightness", "color_temp", "position"].map(
      (state): Control => ({
        family: "zigbee2mqtt",
        state,
        topic: "zigbee2mqtt/{device}/set",
        payload: `{"${state}":{value}}`,
      }),
    ),
  ],
};

const homie: RuleSet = {
  rules: [
    {
      family: "homie",
      topic: "homie/{device}/$state",
      presence: { online: ["ready", "alert", "init"], offline: ["disconnected", "lost", "sleeping"] },
    },
    {
      family: "homie",
      topic: "homie/{device}/{node}/{property}",
      fields: [{ metric: "{node}-{property}", state: "{node}-{property}" }],
    },
  ],
  // What a property takes is told in attributes of its own, which are not read yet.
  controls: [],
};

export const FAMILY_RULES: Readonly<Record<Family, RuleSet>> = {
  tasmota,
  shelly,
  esphome,
  zigbee2mqtt,
  homie,
};
