/** Small parts on their own: records, topic rules, filters, the error monitor, presence. */
import { describe, expect, test } from "vitest";
import { ANONYMOUS } from "../../../host/gateway/access/principal.ts";
import { aclFile, topicRules } from "../../../host/gateway/acl.ts";
import { newRow, readingsOf, timeOf } from "../../../host/gateway/device-row.ts";
import { ErrorMonitor, LAST_MAX, PAIRS_MAX } from "../../../host/gateway/error-monitor.ts";
import { decodeRecord, encodeRecord, type LogRecord, type RecordBody } from "../../../host/gateway/record.ts";
import { topicMatcher } from "../../../host/io/mqtt-match.ts";
import { SimulatedClock } from "../../../host/world/clock.ts";
import { quietLogger, RecordingMeter } from "../../support/quiet.ts";

const hello = {
  kind: "hello",
  major: 1,
  minor: 0,
  boot: 3,
  session: 4,
  uptimeUs: 5,
  oldestBoot: 3,
  oldestSeq: 1,
  board: "b",
  app: "a",
  version: "1",
  reason: 0,
  capabilities: 0,
  metrics: [],
  commands: [],
} as const;

describe("records", () => {
  const gap = { boot: 1, from: 2, toBoot: 3, to: 4, reason: "power-cut" } as const;
  const bodies: RecordBody[] = [
    { type: "message", message: { kind: "telemetry", boot: 1, seq: 2, uptimeUs: 3, readings: [] } },
    { type: "hello", hello, boot: 3, seq: 0, replaced: true, gaps: [gap, { ...gap, reason: "missing" }] },
    { type: "gap", gap },
    {
      type: "desired",
      shadow: { kind: "shadow", role: 0, version: 1, entries: [{ key: "a", value: true }] },
    },
    { type: "command", command: { kind: "command", id: 7, name: "x", args: [] } },
    { type: "commandEnd", result: { kind: "commandResult", id: 7, code: 309 } },
    { type: "alert", alert: { id: "i", code: "DISK_FULL", severity: "critical", message: "m", raisedMs: 1 } },
  ];
  test.each(bodies.map((body) => [body.type, body] as const))("%s survives", (_type, body) => {
    const record: LogRecord = { device: "pot", stamp: 2n ** 60n, wallMs: 1.7e12, body };
    expect(decodeRecord(encodeRecord(record))).toEqual(record);
  });

  test("another version and broken content have their codes", () => {
    const [body] = bodies;
    const bytes = encodeRecord({ device: "pot", stamp: 0n, wallMs: 0, body: body as RecordBody });
    const codeOf = (damaged: Uint8Array): unknown => {
      try {
        return decodeRecord(damaged);
      } catch (error) {
        return (error as { code: string }).code;
      }
    };
    expect(codeOf(Uint8Array.from(bytes, (byte, at) => (at === 0 ? 9 : byte)))).toBe("FORMAT_VERSION");
    expect(codeOf(bytes.slice(0, -1))).toBe("LOG_CORRUPT");
    expect(codeOf(bytes.slice(0, 5))).toBe("LOG_CORRUPT");
    expect(codeOf(Uint8Array.from(bytes, (byte, at) => (at === 1 ? 99 : byte)))).toBe("LOG_CORRUPT");
    expect(codeOf(Uint8Array.from(bytes, (byte, at) => (at === 1 ? 5 : byte)))).toBe("LOG_CORRUPT");
  });
});

describe("topics", () => {
  test.each([
    ["pot", "tardi/lab/pot/up", "take"],
    ["pot", "tardi/lab/pot/availability", "route"],
    ["pot", "tardi/lab/other/up", "TOPIC_FOREIGN"],
    ["pot", "tardi/lab/other/availability", "TOPIC_FOREIGN"],
    ["pot", "tardi/lab/pot", "TOPIC_FOREIGN"],
    ["pot", "tardi/lab/pot/down", "TOPIC_FOREIGN"],
    ["pot", "tardi/lab/pot/telemetry", "TOPIC_FOREIGN"],
    ["pot", "tardi/lab/bridge/state", "TOPIC_FOREIGN"],
    ["pot", "tardi/lab/bridge", "TOPIC_FOREIGN"],
    ["x", "tardi/lab/bridge/request/info", "route"],
    ["x", "tardi/lab/pot/set", "route"],
    ["x", "tardi/lab/NO/set", "DEVICE_ID_INVALID"],
    ["x", "tardi/lab/NO", "TOPIC_INVALID"],
    ["x", "tardi/lab/pot/nonsense", "TOPIC_INVALID"],
    ["x", "tardi/other/pot/up", "TOPIC_INVALID"],
    ["x", "elsewhere/a", "route"],
  ])("%s on %s: %s", (client, topic, decision) => {
    expect(topicRules("lab").publish({ id: client, principal: ANONYMOUS }, topic)).toBe(decision);
  });

  test("the ACL file says the same to mosquitto", () => {
    const file = aclFile("lab", { gateway: "gw", operators: ["op"] });
    expect(file).toContain("pattern write tardi/lab/%c/up\n");
    expect(file).toContain("user gw\ntopic readwrite #\n");
    expect(file).toContain("user op\ntopic read tardi/lab/+\n");
  });

  test.each([
    ["a/+/c", "a/b/c", true],
    ["a/+/c", "a/b/d", false],
    ["a/+/c", "a/b", false],
    ["a/+/c", "a/b/c/d", false],
    ["a/+", "a/", true],
    ["+/b", "a/b", true],
    ["a/#", "a/b/c", true],
    ["a/#", "a", true],
    ["a/+/#", "a/b", true],
    ["a/+/#", "a/b/c/d", true],
    ["a/+/#", "a", false],
    ["#", "a", true],
    ["a/b", "a/b", true],
    ["a/b", "a/bc", false],
    ["a/#", "ab/c", false],
  ])("%s and %s: %s", (filter, topic, matches) => {
    expect(topicMatcher(filter)(topic)).toBe(matches);
  });
});

describe("error monitor", () => {
  function monitor() {
    const clock = new SimulatedClock();
    const meter = new RecordingMeter();
    return { clock, meter, monitor: new ErrorMonitor({ clock, meter, logger: quietLogger }) };
  }

  test("counts, rates and the last of each code and component", async () => {
    const { clock, monitor: errors, meter } = monitor();
    for (let at = 0; at < 20; at += 1) {
      errors.report("CBOR_TYPE", { component: "ingest", device: "pot", message: `no. ${at}` });
    }
    errors.report("CBOR_TYPE", { component: "bridge" });
    const [first] = errors.errors().filter((error) => error.component === "ingest");
    expect(first).toMatchObject({ count: 20, perMinute: 20, severity: "warning" });
    expect(first?.last).toHaveLength(LAST_MAX);
    expect(first?.last[0]).toMatchObject({ message: "no. 19", device: "pot" });
    expect(errors.errors()).toHaveLength(2);
    expect(meter.counts.get("tardigrade_errors_total CBOR_TYPE")).toBe(21);
    await clock.advance(61_000);
    expect(errors.errors()[0]?.perMinute).toBe(0);
    expect(errors.total).toBe(21);
    errors.close();
  });

  test("components without end are counted together", () => {
    const { monitor: errors } = monitor();
    for (let at = 0; at < PAIRS_MAX + 50; at += 1) errors.report("CBOR_TYPE", { component: `c${at}` });
    expect(errors.errors()).toHaveLength(PAIRS_MAX + 1);
    expect(errors.errors().find((error) => error.component === "other")?.count).toBe(50);
  });

  test("a rate above its threshold raises once and clears by itself", async () => {
    const { clock, monitor: errors } = monitor();
    const told: (number | undefined)[] = [];
    errors.onAlert((alert) => told.push(alert.clearedMs));
    for (let at = 0; at < 12; at += 1) errors.report("TOPIC_FOREIGN", { component: "broker" });
    expect(errors.alerts()).toMatchObject([{ code: "TOPIC_FOREIGN", severity: "error" }]);
    expect(told).toEqual([undefined]);
    await clock.advance(80_000);
    expect(told).toHaveLength(2);
    expect(errors.alerts()[0]?.clearedMs).toBeDefined();
  });
});

describe("times", () => {
  test("a boot that never said hello ends where the next one began", () => {
    const row = newRow("pot");
    row.boots.push({ boot: 5, originMs: 1_000_000, metrics: [{ name: "t", unit: "Cel" }] });
    expect(timeOf(row, 4, 30_000_000)).toBe(1_000_000);
    expect(timeOf(row, 4, 31_000_000)).toBe(1_001_000);
    const readings = readingsOf(row, {
      kind: "telemetry",
      boot: 5,
      seq: 1,
      uptimeUs: 2000,
      readings: [
        { metric: 0, offsetUs: 1000, value: 7 },
        { metric: 3, offsetUs: 0, value: 8 },
      ],
    });
    expect(readings).toEqual([
      { metric: "t", unit: "Cel", timeMs: 1_000_003, value: 7 },
      { metric: "metric-3", unit: "", timeMs: 1_000_002, value: 8 },
    ]);
  });
});
