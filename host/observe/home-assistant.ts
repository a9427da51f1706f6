/**
 * Home Assistant finds the fleet by MQTT discovery: one retained config a device (its device-based form, which is since 2024.11), on
 * `<prefix>/device/<id>/config`. Metrics become sensors; what the device reports becomes switches and numbers that write to `/set`.
 * Availability is the device's and the gateway's own topic, both of them. When Home Assistant says that it was born, all is said
 * again, spread out; a device that is excluded is removed by an empty config.
 */

import type { Value } from "../../protocols/messages.generated.ts";
import { bridgeTopic, deviceTopic, stateTopic } from "../../protocols/topic.ts";
import type { GatewayEvent, GatewayService, MetricSummary } from "../gateway/service.ts";
import { StateTopics } from "../gateway/state-topics.ts";
import type { Broker, Clock, Dispose } from "../io/seams.ts";

export interface HomeAssistantOptions {
  readonly site: string;
  readonly broker: Broker;
  readonly service: Pick<GatewayService, "devices" | "device" | "shadow" | "events" | "info">;
  readonly clock: Clock;
  /** Of the discovery topics; `homeassistant` unless Home Assistant was told otherwise. */
  readonly prefix: string;
  /** Ids, with `*` for any characters; they are removed. */
  readonly exclude: readonly string[];
}

/** A new metric or state may come with every message for a while. */
const GATHER_MS = 1000;

export async function openHomeAssistant(options: HomeAssistantOptions): Promise<Dispose> {
  const { broker, service, clock, prefix, exclude } = options;
  const published = new Map<string, string>();
  const excluded = exclude.map(
    (glob) => new RegExp(`^${glob.replace(/[^a-z0-9*-]/g, "").replaceAll("*", ".*")}$`),
  );
  const publish = (id: string): void => {
    if (!isOurs(service, id)) {
      // Another gateway says what it is now; should it come back, what we said last stands no more.
      published.delete(id);
      return;
    }
    const config = excluded.some((one) => one.test(id)) ? "" : configOf(options, id);
    if (config === undefined || published.get(id) === config) return;
    published.set(id, config);
    broker.publish(`${prefix}/device/${id}/config`, config, { retain: true, qos: 1 });
  };
  const changed = new StateTopics({ clock, intervalMs: GATHER_MS, publish });
  const disposers = [
    service.events((event) => {
      const id = deviceOf(event);
      if (id !== undefined) changed.changed(id);
    }),
    await broker.subscribe(`${prefix}/status`, ({ payload }) => {
      if (new TextDecoder().decode(payload.subarray(0, 16)) !== "online") return;
      published.clear();
      for (const { id } of service.devices()) changed.changed(id);
    }),
  ];
  for (const { id } of service.devices()) changed.changed(id);
  return () => {
    for (const dispose of disposers) dispose();
    changed.close();
  };
}

/** Of gateways that share a site one has heard the device. */
function isOurs(service: Pick<GatewayService, "info" | "device">, id: string): boolean {
  if (service.info().shared === undefined) return true;
  const device = service.device(id);
  return device !== undefined && device.servedBy === undefined && device.state !== "unknown";
}

function deviceOf(event: GatewayEvent): string | undefined {
  if (event.type === "device") return event.device.id;
  return event.type === "shadow" ? event.shadow.device : undefined;
}

function configOf({ site, service }: HomeAssistantOptions, id: string): string | undefined {
  const device = service.device(id);
  if (device === undefined) return undefined;
  const { reported } = service.shadow(id);
  const unique = `tardigrade_${site}_${id}`;
  const components: Record<string, unknown> = {};
  for (const metric of device.metrics) {
    components[`metric_${metric.name}`] = sensorOf(metric, `${unique}_${metric.name}`);
  }
  for (const [name, value] of Object.entries(reported)) {
    components[`state_${name}`] = controlOf(name, value, { unique, set: deviceTopic(site, id, "set") });
  }
  return JSON.stringify({
    device: {
      identifiers: [unique],
      name: id,
      model: device.board,
      manufacturer: device.app,
      ...(device.version === "" ? {} : { sw_version: device.version }),
    },
    origin: { name: "tardigrade", sw_version: service.info().version },
    state_topic: stateTopic(site, id),
    availability: [{ topic: deviceTopic(site, id, "availability") }, { topic: bridgeTopic(site, "state") }],
    availability_mode: "all",
    components,
  });
}

/** UCUM to what Home Assistant writes, and its device class. */
const UNITS: Readonly<Record<string, readonly [string, string | undefined]>> = {
  Cel: ["°C", "temperature"],
  W: ["W", "power"],
  V: ["V", "voltage"],
  A: ["A", "current"],
  "kW.h": ["kWh", "energy"],
  hPa: ["hPa", "pressure"],
  lx: ["lx", "illuminance"],
  dBm: ["dBm", "signal_strength"],
  "V.A": ["VA", "apparent_power"],
  s: ["s", "duration"],
};

function sensorOf({ name, unit }: MetricSummary, unique: string): Record<string, unknown> {
  const [shown, kind] = UNITS[unit] ?? [unit, undefined];
  const percent = unit !== "%" ? kind : ["humidity", "battery"].find((it) => name.endsWith(it));
  return {
    platform: "sensor",
    name,
    unique_id: unique,
    value_template: `{{ value_json.metrics['${escaped(name)}'].value | default(none) }}`,
    state_class: kind === "energy" ? "total_increasing" : "measurement",
    ...(shown === "" || shown === "1" ? {} : { unit_of_measurement: shown }),
    ...(percent === undefined ? {} : { device_class: percent }),
  };
}

function controlOf(
  name: string,
  value: Value,
  { unique, set }: { readonly unique: string; readonly set: string },
): Record<string, unknown> {
  const place = `value_json.reported['${escaped(name)}']`;
  const common = { name, unique_id: `${unique}_state_${name}`, command_topic: set };
  if (typeof value === "boolean") {
    return {
      platform: "switch",
      ...common,
      value_template: `{{ 'ON' if ${place} else 'OFF' }}`,
      state_on: "ON",
      state_off: "OFF",
      payload_on: JSON.stringify({ [name]: true }),
      payload_off: JSON.stringify({ [name]: false }),
    };
  }
  const command = `{"${escaped(name)}": {{ value ${typeof value === "number" ? "" : "| tojson "}}}}`;
  return {
    platform: typeof value === "number" ? "number" : "text",
    ...common,
    value_template: `{{ ${place} }}`,
    command_template: command,
    ...(typeof value === "number" ? { min: -1_000_000, max: 1_000_000, step: 0.001, mode: "box" } : {}),
  };
}

/** Names come from devices; in a template they must not be more than a name. */
function escaped(name: string): string {
  return name.replace(/[\\'"{}%]/g, "_");
}
