/**
 * The schema of tardigrade.yaml, with its defaults: what the file may say, what each key means and in which bounds. Editors use
 * the same as JSON Schema. A key without a default is optional.
 */
import { type Static, Type } from "typebox";
import { ERRORS, type ErrorCode, LIMITS, SEVERITIES, type Severity } from "../../protocols/table.ts";
import { WEIGHT_MAX } from "../cluster/ownership/roster.ts";
import { LINKS_MAX } from "../gateway/device-links.ts";
import { COMPONENT_KINDS, SAMPLE_MS, THERMOMETERS } from "../gateway/firmata/component.ts";
import { FAMILIES } from "../gateway/plain/families.ts";
import { LOGGER_LEVELS, type LoggerLevel } from "../observe/logger.ts";

/** Shorter ones can be guessed. */
export const TOKEN_CHARS_MIN = 16;

const oneOf = <const T extends string>(values: readonly T[], more: { default?: T; description: string }) =>
  Type.Unsafe<T>({ type: "string", enum: [...values], ...more });
const text = (description: string, more: { default?: string; pattern?: string; minLength?: number } = {}) =>
  Type.String({ minLength: 1, maxLength: 1024, ...more, description });
const whole = (description: string, bounds: { minimum: number; maximum: number; default?: number }) =>
  Type.Integer({ ...bounds, description });
const port = (value: number) =>
  whole("TCP port; 0 takes a free one", { minimum: 0, maximum: 65535, default: value });

const FAR = { minimum: -1e12, maximum: 1e12 } as const;
const closed = { additionalProperties: false } as const;
/** A section whose keys all have defaults may be left out. */
const section = <T extends Parameters<typeof Type.Object>[0]>(properties: T, description: string) =>
  Type.Object(properties, { ...closed, default: {}, description });

const MQTT_URL = "^(mqtt|mqtts|ws|wss|tcp|tls)://[^\\s]+$";
const ENVIRONMENT_NAME = "^[A-Za-z_][A-Za-z0-9_]*$";

const Tls = Type.Object(
  {
    cert: text("File with the server's certificate and its chain, PEM"),
    key: text("File with its private key, PEM"),
    ca: Type.Optional(text("File with the authority whose certificates name users and devices, PEM")),
    clientCertificates: oneOf(["optional", "required"], {
      default: "optional",
      description: "Whether a client must show one; needs ca",
    }),
  },
  { ...closed, description: "TLS 1.2 or later" },
);

const Mqtt = section(
  {
    mode: oneOf(["embedded", "external"], {
      default: "embedded",
      description: "A broker inside the gateway, or one that runs already",
    }),
    host: text("Address the embedded broker listens on", { default: "127.0.0.1" }),
    port: port(1883),
    url: Type.Optional(text("External broker, such as mqtt://broker:1883", { pattern: MQTT_URL })),
    username: Type.Optional(text("Required of clients (embedded) or shown to the broker (external)")),
    password: Type.Optional(text("Its password; better passwordEnv")),
    passwordEnv: Type.Optional(text("Environment variable with the password", { pattern: ENVIRONMENT_NAME })),
    tls: Type.Optional(Tls),
  },
  "Where devices connect",
);

const Http = section(
  {
    host: text("Address the API listens on", { default: "127.0.0.1" }),
    port: port(8080),
    token: Type.Optional(
      text("Bearer token; better tokenFile or tokenEnv", {
        pattern: "^[^\\s]+$",
        minLength: TOKEN_CHARS_MIN,
      }),
    ),
    tokenFile: Type.Optional(text("File whose first line is the token")),
    tokenEnv: Type.Optional(text("Environment variable with the token", { pattern: ENVIRONMENT_NAME })),
    tls: Type.Optional(Tls),
    requestsPerSecond: whole("Of one client; twice as many may come at once", {
      minimum: 1,
      maximum: 100_000,
      default: 100,
    }),
  },
  "HTTP API",
);

const days = (description: string, value: number) =>
  Type.Number({ minimum: 0.01, maximum: 36_500, default: value, description });

const Store = section(
  {
    segmentMb: whole("Size of a log segment", { minimum: 1, maximum: 1024, default: 16 }),
    retentionMb: whole("Log kept for readers that fell behind", {
      minimum: 16,
      maximum: 1_048_576,
      default: 1024,
    }),
    state: oneOf(["lmdb", "memory"], {
      default: "lmdb",
      description: "Where state lives; memory is rebuilt from the log at each start",
    }),
    history: section(
      {
        rawDays: days("Single readings", 7),
        minuteDays: days("Roll-ups of a minute", 90),
        hourDays: days("Roll-ups of an hour", 1825),
      },
      "How long history is kept",
    ),
  },
  "What is kept on disk",
);

const Forward = Type.Object(
  {
    url: text("Broker that gets everything, such as mqtt://cloud:1883", { pattern: MQTT_URL }),
    clientId: text("MQTT client id there", { default: "tardigrade-forwarder", pattern: "^[ -~]{1,64}$" }),
    topicPrefix: Type.Optional(
      text("Put before each topic, such as plant-7/", { pattern: "^[^#+\\u0000]+$" }),
    ),
    username: Type.Optional(text("Shown to the broker")),
    password: Type.Optional(text("Its password; better passwordEnv")),
    passwordEnv: Type.Optional(text("Environment variable with the password", { pattern: ENVIRONMENT_NAME })),
  },
  { ...closed, description: "Store and forward to another broker" },
);

const Cluster = Type.Object(
  {
    endpoints: Type.Array(text("HOST:PORT", { pattern: "^[^\\s:]+:[0-9]{1,5}$" }), {
      minItems: 1,
      maxItems: 16,
      description: "Where nodes of the replicated store serve clients (tardi cluster run); name all of them",
    }),
    gateway: text("This gateway; no other of the site may have the name", {
      pattern: "^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$",
    }),
    weight: Type.Number({
      minimum: 0.001,
      maximum: WEIGHT_MAX,
      default: 1,
      description: "Its share of the devices beside the others'",
    }),
    leaseSeconds: whole("Devices of a gateway that died wait so long", {
      minimum: 1,
      maximum: 600,
      default: 10,
    }),
  },
  { ...closed, description: "Gateways that share the devices of one site; needs an external broker" },
);

const SerialLink = Type.Object(
  {
    port: text(
      "Path of the port, such as /dev/ttyACM0; one below /dev/serial/by-id stays the same; or tcp://host:port of a serial device server",
      {
        pattern: "^[^\\u0000-\\u001f]+$",
      },
    ),
    baud: whole("Bits a second", { minimum: 300, maximum: 4_000_000, default: 115_200 }),
    device: text("Id of the device at its other end", { pattern: "^(?!bridge$)[a-z0-9][a-z0-9-]{0,30}$" }),
  },
  closed,
);

const FirmataComponent = Type.Object(
  {
    name: text("Of the metric or state", { pattern: "^[a-z][a-z0-9-]{0,23}$" }),
    kind: oneOf(COMPONENT_KINDS, { description: "What hangs there" }),
    pin: Type.Optional(whole("Digital pin of a button, led, relay or servo", { minimum: 0, maximum: 127 })),
    analog: Type.Optional(
      whole("Analog channel of a sensor or thermometer, 0 for A0", { minimum: 0, maximum: 15 }),
    ),
    unit: Type.Optional(text("UCUM unit of a sensor, % by default", { pattern: "^[!-~]{1,8}$" })),
    low: Type.Optional(Type.Number({ description: "What 0 V means to a sensor, 0 by default", ...FAR })),
    high: Type.Optional(Type.Number({ description: "What full scale means, 100 by default", ...FAR })),
    everyMs: whole("Between two readings; each is a median", {
      minimum: 100,
      maximum: 3_600_000,
      default: SAMPLE_MS,
    }),
    controller: Type.Optional(oneOf(THERMOMETERS, { description: "Of a thermometer" })),
    pullup: Type.Optional(Type.Boolean({ description: "A button to ground, by the pin's own pull-up" })),
  },
  closed,
);

const FirmataBoard = Type.Object(
  {
    port: text("As serial's", { pattern: "^[^\\u0000-\\u001f]+$" }),
    baud: whole("Bits a second; StandardFirmata has 57600", {
      minimum: 300,
      maximum: 4_000_000,
      default: 57_600,
    }),
    device: text("Id of the board in the fleet", { pattern: "^(?!bridge$)[a-z0-9][a-z0-9-]{0,30}$" }),
    components: Type.Array(FirmataComponent, {
      maxItems: LIMITS.METRICS_MAX,
      default: [],
      description: "What hangs at its pins",
    }),
  },
  closed,
);

const shortText = (description: string) => text(description, { pattern: "^[^\\u0000-\\u001f]{1,128}$" });
const PLAIN_TOPIC = "^(?!tardi/)(?!\\$)[^#+\\s]{1,128}$";

const PlainField = Type.Object(
  {
    path: Type.Optional(shortText("Where in a JSON payload, such as ENERGY.Power; * for what varies")),
    metric: Type.Optional(shortText("Metric it is a reading of; {1} is what varies")),
    unit: Type.Optional(text("UCUM unit", { pattern: "^[!-~]{1,8}$" })),
    scale: Type.Optional(Type.Number({ description: "Multiplied with", minimum: -1e12, maximum: 1e12 })),
    state: Type.Optional(shortText("Or the reported state it is")),
  },
  closed,
);

const PlainRule = Type.Object(
  {
    family: text("First part of the ids, and the app shown", { pattern: "^[a-z0-9]{1,16}$" }),
    topic: text("With {device} as one level, such as weather/{device}/state", { pattern: PLAIN_TOPIC }),
    fields: Type.Array(PlainField, { maxItems: 64, default: [], description: "What the payload holds" }),
    presence: Type.Optional(
      Type.Object(
        { online: shortText("Word for being there"), offline: shortText("Word for being gone") },
        { ...closed, description: "The payload says whether the device is there" },
      ),
    ),
  },
  closed,
);

const PlainControl = Type.Object(
  {
    family: text("Of the rule's devices", { pattern: "^[a-z0-9]{1,16}$" }),
    state: shortText("State it changes; {1} for what varies"),
    topic: text("Where to publish, such as weather/{device}/set", { pattern: PLAIN_TOPIC }),
    on: Type.Optional(shortText("Payload for true")),
    off: Type.Optional(shortText("Payload for false")),
    payload: Type.Optional(shortText("Payload for others, with {value}")),
  },
  closed,
);

/** Valid MQTT, and nothing that is below tardi/ or everything. */
const PLUGIN_FILTER = "^(?!tardi(?:/|$))(?!\\$)(?:\\+|[^#+/\\s]+)(?:/(?:\\+|[^#+/\\s]*))*(?:/#)?$";
const filters = (description: string) =>
  Type.Array(Type.String({ pattern: PLUGIN_FILTER, maxLength: 128 }), {
    maxItems: 16,
    default: [],
    description,
  });

const PlainPlugin = Type.Object(
  {
    file: text("Component that `tardi plugin build` or another tool wrote"),
    family: text("First part of the ids, and the plugin's name", { pattern: "^[a-z0-9]{1,16}$" }),
    filters: filters("MQTT filters of the messages it decodes, such as lora/+/up"),
    publish: filters("Where it may publish, such as lora/+/down; nowhere when empty"),
    timeMs: whole("Longest time of one call", { minimum: 1, maximum: 10_000, default: 50 }),
    memoryMb: whole("Memory it may have", { minimum: 1, maximum: 256, default: 16 }),
  },
  closed,
);

const Plain = section(
  {
    families: Type.Array(oneOf(FAMILIES, { description: "Recognised by their topics" }), {
      maxItems: FAMILIES.length,
      default: [],
      description: "Families of plain MQTT devices to take in",
    }),
    rules: Type.Array(PlainRule, { maxItems: 100, default: [], description: "For other devices" }),
    controls: Type.Array(PlainControl, {
      maxItems: 100,
      default: [],
      description: "How to change their states",
    }),
    plugins: Type.Array(PlainPlugin, {
      maxItems: 16,
      default: [],
      description: "Decoders of others, as WebAssembly components",
    }),
  },
  "Devices that speak JSON or text over MQTT",
);

const HomeAssistant = Type.Object(
  {
    prefix: text("Of the discovery topics", { default: "homeassistant", pattern: "^[a-zA-Z0-9_/-]{1,64}$" }),
    exclude: Type.Array(text("Device id, * for any characters", { pattern: "^[a-z0-9*-]{1,31}$" }), {
      maxItems: 1000,
      default: [],
      description: "Devices not to show; shown ones are removed",
    }),
  },
  { ...closed, description: "Announce the fleet to Home Assistant" },
);

const Limits = section(
  {
    devices: whole("Devices at most", { minimum: 1, maximum: 100_000, default: 5000 }),
    mqttClients: whole("MQTT connections at most", { minimum: 1, maximum: 100_000, default: 5000 }),
    mqttPacketBytes: whole("Largest MQTT packet", { minimum: 2048, maximum: 1_048_576, default: 65_536 }),
    pendingMb: whole("Received and not yet on disk", { minimum: 1, maximum: 1024, default: 16 }),
  },
  "Bounds; beyond them the gateway refuses with a code",
);

const Threshold = Type.Object(
  {
    code: Type.Optional(
      oneOf(Object.keys(ERRORS) as ErrorCode[], { description: "Error code it counts; any when absent" }),
    ),
    severity: Type.Optional(
      oneOf(SEVERITIES as readonly Severity[], { description: "Severity it counts; any when absent" }),
    ),
    perMinute: whole("Raised at so many in a minute", { minimum: 1, maximum: 1_000_000 }),
  },
  closed,
);

const Alerts = section(
  {
    thresholds: Type.Array(Threshold, {
      maxItems: 100,
      default: [],
      description: "The first that matches counts; the built-in ones come after these",
    }),
  },
  "When errors raise an alert",
);

const Log = section(
  {
    level: oneOf(LOGGER_LEVELS as readonly LoggerLevel[], {
      default: "info",
      description: "Least that is logged",
    }),
  },
  "The process's own log, on standard error",
);

export const ConfigSchema = Type.Object(
  {
    site: text("Name of the site, in topics", { default: "home", pattern: "^[a-z0-9][a-z0-9-]{0,30}$" }),
    data: text("Folder of log and state", { default: "./data" }),
    mqtt: Mqtt,
    http: Http,
    store: Store,
    serial: Type.Array(SerialLink, {
      maxItems: LINKS_MAX,
      default: [],
      description: "Devices at serial ports of this machine",
    }),
    firmata: Type.Array(FirmataBoard, {
      maxItems: LINKS_MAX,
      default: [],
      description: "Boards with Firmata, such as an Arduino",
    }),
    plain: Plain,
    homeAssistant: Type.Optional(HomeAssistant),
    forward: Type.Optional(Forward),
    cluster: Type.Optional(Cluster),
    limits: Limits,
    alerts: Alerts,
    log: Log,
  },
  closed,
);

export type Config = Static<typeof ConfigSchema>;

/** JSON Schema of the file, for editors: every key with a default may be left out there. */
export function configSchemaJson(): Record<string, unknown> {
  const schema = JSON.parse(JSON.stringify(ConfigSchema), (_key, value: unknown) => {
    if (typeof value !== "object" || value === null || !("required" in value) || !("properties" in value)) {
      return value;
    }
    const { required, ...rest } = value;
    const properties = rest.properties as Record<string, { default?: unknown }>;
    const needed = (required as string[]).filter((name) => properties[name]?.default === undefined);
    return needed.length === 0 ? rest : { ...rest, required: needed };
  }) as Record<string, unknown>;
  return { $schema: "https://json-schema.org/draft/2020-12/schema", title: "tardigrade.yaml", ...schema };
}
