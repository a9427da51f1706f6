import { describe, expect, test } from "vitest";
import { CONFIG_CHARS_MAX, type Config, type Environment, loadConfig } from "../../../host/cli/config.ts";
import { ConfigSchema, configSchemaJson } from "../../../host/cli/config-schema.ts";
import { isTardigradeError } from "../../../protocols/error.ts";

const DEFAULTS: Config = {
  site: "home",
  data: "./data",
  mqtt: { mode: "embedded", host: "127.0.0.1", port: 1883 },
  http: { host: "127.0.0.1", port: 8080, requestsPerSecond: 100 },
  store: {
    segmentMb: 16,
    retentionMb: 1024,
    state: "lmdb",
    history: { rawDays: 7, minuteDays: 90, hourDays: 1825 },
  },
  serial: [],
  firmata: [],
  plain: { families: [], rules: [], controls: [], plugins: [] },
  limits: { devices: 5000, mqttClients: 5000, mqttPacketBytes: 65_536, pendingMb: 16 },
  alerts: { thresholds: [] },
  log: { level: "info" },
};
const SECRET = "a-secret-of-many-characters";

/** What a wrong file is told: the code, then a line a problem. */
function transcript(text: string, environment: Environment = {}): string {
  try {
    loadConfig(text, "t.yaml", environment);
  } catch (error) {
    if (!isTardigradeError(error)) throw error;
    return `${error.code}\n${error.message}`;
  }
  return "accepted";
}

describe("a right file", () => {
  test.each([
    "",
    "# nothing\n",
    "---\n",
    "mqtt:\nhttp:\n  # port: 1\nserial:\n",
    "{}",
    "\uFEFFsite: home\r\n",
  ])("%j gives the defaults", (text) => expect(loadConfig(text, "t.yaml")).toEqual(DEFAULTS));

  test("overrides them key by key", () => {
    const text = `
site: farm-7
mqtt:
  host: 0.0.0.0
  username: gateway
  passwordEnv: MQTT_PASSWORD
http: { host: "::", port: 0, token: ${SECRET} }
store:
  state: memory
  history: { rawDays: 0.5 }
forward:
  url: mqtts://cloud.example:8883
  topicPrefix: farm-7/
alerts:
  thresholds:
    - { code: DISK_FULL, perMinute: 1 }
    - { severity: error, perMinute: 5 }
`;
    expect(loadConfig(text, "t.yaml", { MQTT_PASSWORD: SECRET })).toEqual({
      ...DEFAULTS,
      site: "farm-7",
      mqtt: {
        ...DEFAULTS.mqtt,
        host: "0.0.0.0",
        username: "gateway",
        passwordEnv: "MQTT_PASSWORD",
        password: SECRET,
      },
      http: { ...DEFAULTS.http, host: "::", port: 0, token: SECRET },
      store: { ...DEFAULTS.store, state: "memory", history: { ...DEFAULTS.store.history, rawDays: 0.5 } },
      forward: {
        url: "mqtts://cloud.example:8883",
        clientId: "tardigrade-forwarder",
        topicPrefix: "farm-7/",
      },
      alerts: {
        thresholds: [
          { code: "DISK_FULL", perMinute: 1 },
          { severity: "error", perMinute: 5 },
        ],
      },
    });
  });

  test("names the cluster through which gateways share devices", () => {
    const text = `
mqtt: { mode: external, url: mqtt://broker:1883 }
cluster: { endpoints: ["10.0.0.1:7201"], gateway: attic }
`;
    expect(loadConfig(text, "t.yaml").cluster).toEqual({
      ...{ endpoints: ["10.0.0.1:7201"], gateway: "attic", weight: 1, leaseSeconds: 10 },
    });
  });

  test("may use aliases, whose sections stay apart", () => {
    const { mqtt, http } = loadConfig("mqtt: &a { host: localhost }\nhttp: *a\n", "t.yaml");
    expect([mqtt.port, http.port]).toEqual([1883, 8080]);
    expect(http).toEqual({ host: "localhost", port: 8080, requestsPerSecond: 100 });
  });

  test("lists serial links, whose baud rate may be left out", () => {
    const text = `
serial:
  - { port: /dev/ttyACM0, device: greenhouse-01 }
  - port: COM3
    baud: 9600
    device: greenhouse-02
`;
    expect(loadConfig(text, "t.yaml").serial).toEqual([
      { port: "/dev/ttyACM0", baud: 115_200, device: "greenhouse-01" },
      { port: "COM3", baud: 9600, device: "greenhouse-02" },
    ]);
  });

  test("takes Firmata boards and what hangs at their pins", () => {
    const text = `
firmata:
  - port: /dev/ttyACM0
    device: bench
    components:
      - { name: knob, kind: sensor, analog: 0, low: -5, high: 5, unit: V }
      - { name: air, kind: thermometer, analog: 1, controller: TMP36, everyMs: 5000 }
      - { name: lamp, kind: led, pin: 13 }
`;
    expect(loadConfig(text, "t.yaml").firmata).toEqual([
      {
        port: "/dev/ttyACM0",
        baud: 57_600,
        device: "bench",
        components: [
          { name: "knob", kind: "sensor", analog: 0, low: -5, high: 5, unit: "V", everyMs: 1000 },
          { name: "air", kind: "thermometer", analog: 1, controller: "TMP36", everyMs: 5000 },
          { name: "lamp", kind: "led", pin: 13, everyMs: 1000 },
        ],
      },
    ]);
  });

  test("takes the token and the forwarder's password from the environment", () => {
    const text = "http: { tokenEnv: T }\nforward: { url: mqtt://x, username: u, passwordEnv: P }";
    const config = loadConfig(text, "t.yaml", { T: SECRET, P: "p" });
    expect(config.http.token).toBe(SECRET);
    expect(config.forward?.password).toBe("p");
  });
});

describe("a wrong file", () => {
  test("is told every problem at once, in order, with what would be right", () => {
    const text = `site: Home
mqtt:
  prot: 1
  port: abc
  mode: externl
htpp: {}
log: {level: inf}
alerts:
  thresholds:
    - {code: DISK_FUL, perMinute: 0}
    - warn
store:
  segmentMb: 1.5
  history: 7
  state:
forward:
  url: cloud
  clientID: x
data: 5
`;
    expect(transcript(text)).toMatchInlineSnapshot(`
      "CONFIG_INVALID
      t.yaml:1:7: site must match ^[a-z0-9][a-z0-9-]{0,30}$ (Name of the site, in topics), not "Home"
      t.yaml:3:3: unknown key "prot" in mqtt. Did you mean "port"? Allowed: mode, host, port, url, username, password, passwordEnv, tls
      t.yaml:4:9: mqtt.port must be a whole number from 0 to 65535, not "abc"
      t.yaml:5:9: mqtt.mode must be one of embedded, external, not "externl"; did you mean "external"?
      t.yaml:6:1: unknown key "htpp" in the file. Did you mean "http"? Allowed: site, data, mqtt, http, store, serial, firmata, plain, homeAssistant, forward, cluster, limits, alerts, log
      t.yaml:7:14: log.level must be one of trace, debug, info, warn, error, fatal, silent, not "inf"; did you mean "info"?
      t.yaml:10:14: alerts.thresholds[0].code must be a known one, not "DISK_FUL"; did you mean "DISK_FULL"?
      t.yaml:10:35: alerts.thresholds[0].perMinute must be a whole number from 1 to 1000000, not 0
      t.yaml:11:7: alerts.thresholds[1] must hold keys (code, severity, perMinute), not "warn"
      t.yaml:13:14: store.segmentMb must be a whole number from 1 to 1024, not 1.5
      t.yaml:14:12: store.history must hold keys (rawDays, minuteDays, hourDays), not 7
      t.yaml:15:9: store.state must be one of lmdb, memory, not empty
      t.yaml:17:8: forward.url must match ^(mqtt|mqtts|ws|wss|tcp|tls)://[^\\s]+$ (Broker that gets everything, such as mqtt://cloud:1883), not "cloud"
      t.yaml:18:3: unknown key "clientID" in forward. Did you mean "clientId"? Allowed: url, clientId, topicPrefix, username, password, passwordEnv
      t.yaml:19:7: data must be a text, not 5; put it in quotes"
    `);
    try {
      loadConfig(text, "t.yaml");
    } catch (error) {
      expect(error).toMatchObject({ context: { component: "config", file: "t.yaml", line: 1, column: 7 } });
    }
  });

  test("is told which component cannot be where", () => {
    const text = `serial: [{ port: /dev/a, device: one }]
firmata:
  - port: /dev/a
    device: one
    components:
      - { name: knob, kind: sensor, pin: 3 }
      - { name: knob, kind: sensor, analog: 0, low: 1, high: 1 }
      - { name: air, kind: thermometer, analog: 0 }
      - { name: lamp, kind: led, pin: 13 }
      - { name: door, kind: button, pin: 13 }
      - { name: pump, kind: relay, analog: 2 }
`;
    expect(transcript(text)).toMatchInlineSnapshot(`
      "CONFIG_INVALID
      t.yaml:3:11: firmata[0].port /dev/a is that of serial[0] too
      t.yaml:4:13: firmata[0].device one is that of serial[0] too
      t.yaml:6:9: firmata[0].components[0]: a sensor is at an analog channel; say analog: 0 for A0
      t.yaml:7:9: firmata[0].components[1]: there is another component "knob"
      t.yaml:7:9: firmata[0].components[1]: low and high must differ
      t.yaml:8:9: firmata[0].components[2]: A0 is another component's
      t.yaml:8:9: firmata[0].components[2]: a thermometer needs its controller, one of TMP36, LM35, LM335, GROVE, TINKERKIT
      t.yaml:10:9: firmata[0].components[4]: pin 13 is another component's
      t.yaml:11:9: firmata[0].components[5]: a relay is at a digital pin; say pin: 13"
    `);
  });

  test.each([
    ["a tab", "store:\n\tstate: lmdb\n"],
    ["a key twice", "site: a\nhttp:\n  port: 1\n  port: 2\nsite: b\n"],
    ["a second document", "site: a\n---\nsite: b\n"],
    ["an unknown tag", "site: !!python/object x\n"],
    ["an alias of nothing", "site: home\ndata: *there\n"],
    ["a merge key", "<<: {site: x}\n"],
    ["an open bracket", "http: {port: 1\n"],
    ["a list", "- site: home\n"],
    ["a text", "hello\n"],
    ["a map as key", "? {a: 1}\n: 2\n"],
    ["a missing key", "forward:\n  clientId: x\nalerts: {thresholds: [{code: DISK_FULL}]}\n"],
    ["an empty value", "http:\n  port:\n"],
    ["numbers that are none", "http: {port: .inf}\nmqtt: {port: -1}\n"],
    ["a long list of problems", Array.from({ length: 25 }, (_, at) => `key${at}: 1\n`).join("")],
    ["a prototype", "__proto__: {site: x}\nconstructor: 1\n"],
    ["a numeric key", "1: 2\nhttp: {8080: on}\n"],
    [
      "serial links that cannot be",
      "serial:\n  - {port: '', device: bridge, baud: 1}\n  - {prot: /dev/a, device: Two}\n  - /dev/ttyACM0\n",
    ],
    ["a cluster that cannot be", "cluster: {endpoints: [], gateway: 'a b', weight: 0, leaseSeconds: 0.5}\n"],
    ["a long text", `site: ${"x".repeat(100)}\ndata: ${"y".repeat(1025)}\n`],
  ])("with %s", (_, text) => {
    expect(transcript(text)).toMatchSnapshot();
  });

  test.each([
    ["both beyond this machine", "mqtt: {host: 0.0.0.0}\nhttp:\n  host: '::'\n"],
    ["beyond it and wrong elsewhere", "http: {host: 0.0.0.0}\nmqtt: {mode: external}\n"],
    ["an address without broker", "mqtt: {url: mqtt://x}\n"],
    ["half a credential", "mqtt: {username: u}\nforward: {url: mqtt://x, password: p}\n"],
    ["one port for two", "mqtt: {port: 8080}\n"],
    ["less log than two segments", "store: {segmentMb: 64, retentionMb: 100}\n"],
    ["a threshold for nothing", "alerts:\n  thresholds:\n    - {perMinute: 3}\n"],
    [
      "one port for two devices and one device at two ports",
      "serial:\n  - {port: /dev/a, device: one}\n  - {port: /dev/a, device: two}\n  - port: /dev/b\n    device: one\n",
    ],
    ["two tokens", `http:\n  token: ${SECRET}\n  tokenFile: t\n  tokenEnv: T\n`],
    ["variables that are not set", "mqtt: {username: u, passwordEnv: P}\nhttp: {tokenEnv: T}\n"],
    ["a token that can be guessed", "http: {token: abc}\n"],
    ["gateways that share nothing", "cluster: {endpoints: ['127.0.0.1:7201'], gateway: attic}\n"],
  ])("by its rules: %s", (_, text) => {
    expect(transcript(text)).toMatchSnapshot();
  });

  test("is told of a bad token in the environment", () => {
    expect(transcript("http: {tokenEnv: T}", { T: "short" })).toContain("at least 16 characters");
    expect(transcript("http: {tokenEnv: T}", { T: `${SECRET} ${SECRET}` })).toContain("no spaces");
  });

  test("shows no secret", () => {
    const text = `http: {token: "${SECRET} ${SECRET}"}\nmqtt: {password: [${SECRET}], passwordEnv: "${SECRET}"}\n`;
    expect(transcript(text)).toContain("http.token must match");
    expect(transcript(text).replaceAll(/passwordEnv.*/g, "")).not.toContain(SECRET);
  });
});

describe("a hostile file", () => {
  test.each([
    ["larger than the limit", "#".repeat(CONFIG_CHARS_MAX + 1), "longer than"],
    ["of brackets", "[".repeat(100_000), "nested deeper than 32 brackets"],
    ["of braces", "{a: ".repeat(60_000), "nested deeper than 32 brackets"],
    ["of dashes", `${"- ".repeat(100_000)}x`, "indented deeper"],
    ["of question marks", `${"? ".repeat(100_000)}x`, "indented deeper"],
    [
      "of stairs",
      Array.from({ length: 600 }, (_, at) => `${" ".repeat(at)}a:`).join("\n"),
      "indented deeper",
    ],
    [
      "of aliases that multiply",
      `a: &a [x,x,x,x,x,x,x,x,x]\n${["b", "c", "d", "e", "f"]
        .map((name, at) => `${name}: &${name} [${Array(9).fill(`*${"abcde"[at]}`).join(",")}]`)
        .join("\n")}\n`,
      "write the values out instead of aliases",
    ],
    ["of binary", "\u0000\u0001\u0002", "CONFIG_INVALID"],
  ])("%s is refused, not run", (_, text, problem) => {
    expect(transcript(text)).toContain("CONFIG_INVALID");
    expect(transcript(text)).toContain(problem);
  });
});

test("editors get a JSON Schema in which what has a default may be left out", () => {
  const schema = configSchemaJson() as {
    $schema: string;
    required?: string[];
    properties: Record<string, { required?: string[]; properties: Record<string, { description: string }> }>;
  };
  expect(schema.$schema).toContain("2020-12");
  expect(schema.required).toBeUndefined();
  expect(schema.properties.mqtt?.required).toBeUndefined();
  expect(schema.properties.forward?.required).toEqual(["url"]);
  for (const section of Object.values(schema.properties)) {
    for (const key of Object.values(section.properties ?? {})) expect(key.description).toBeTruthy();
  }
  // The schema that the check runs on keeps its own.
  expect((ConfigSchema as unknown as { required: string[] }).required).toContain("site");
});
