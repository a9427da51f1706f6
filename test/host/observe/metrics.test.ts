import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { systemProbe } from "../../../host/io/process-probe.ts";
import { METRICS, type MetricRow, problemOfRow, shortName } from "../../../host/observe/metric-table.ts";
import { createMetrics, type Metrics, SERIES_MAX } from "../../../host/observe/metrics.ts";
import { observeService } from "../../../host/observe/service-metrics.ts";
import { SimulatedClock } from "../../../host/world/clock.ts";
import { openTestCore } from "../../support/core.ts";
import { fakeService } from "../../support/fake-service.ts";

async function lines(metrics: Metrics, prefix: string): Promise<string[]> {
  const text = await metrics.metricsText();
  return text.split("\n").filter((line) => line.startsWith(prefix));
}

describe("the meter", () => {
  test("counts, with and without labels, by full and by short name", async () => {
    const metrics = createMetrics();
    const { meter } = metrics;
    meter.count("tardigrade_log_records_total", undefined, 5);
    meter.count("log_records", {}, 2);
    meter.count("log_records");
    meter.count("errors", { code: "FRAME_CRC" });
    meter.count("tardigrade_errors_total", { code: "FRAME_CRC" }, 2);
    meter.count("errors", { code: "DISK_FULL" }, 0);
    expect(await lines(metrics, "tardigrade_log_records_total")).toEqual(["tardigrade_log_records_total 8"]);
    expect(await lines(metrics, "tardigrade_errors_total")).toEqual([
      'tardigrade_errors_total{code="FRAME_CRC"} 3',
      'tardigrade_errors_total{code="DISK_FULL"} 0',
    ]);
    // A second scrape adds nothing.
    expect(await lines(metrics, "tardigrade_log_records_total")).toEqual(["tardigrade_log_records_total 8"]);
  });

  test("shows what has not happened yet as 0, where there are no labels", async () => {
    const metrics = createMetrics();
    expect(await lines(metrics, "tardigrade_readings_total")).toEqual(["tardigrade_readings_total 0"]);
    expect(await lines(metrics, "tardigrade_errors_total")).toEqual([]);
  });

  test("sets gauges and records durations in seconds", async () => {
    const metrics = createMetrics();
    metrics.meter.gauge("tardigrade_devices_online", 3);
    metrics.meter.gauge("devices_online", 2);
    expect(await lines(metrics, "tardigrade_devices_online")).toEqual(["tardigrade_devices_online 2"]);
    metrics.meter.duration("log_sync", 4);
    metrics.meter.duration("log_sync", 40);
    for (const noTime of [-1, Number.NaN, Number.POSITIVE_INFINITY])
      metrics.meter.duration("log_sync", noTime);
    const sync = await lines(metrics, "tardigrade_log_sync_seconds");
    expect(sync).toContain('tardigrade_log_sync_seconds_bucket{le="0.005"} 1');
    expect(sync).toContain('tardigrade_log_sync_seconds_bucket{le="0.05"} 2');
    expect(sync).toContain("tardigrade_log_sync_seconds_sum 0.044");
    expect(sync).toContain("tardigrade_log_sync_seconds_count 2");
  });

  test("tells durations of the last minute, over all labels, and forgets what is older", async () => {
    const clock = new SimulatedClock();
    const metrics = createMetrics({ clock, core: openTestCore() });
    const name = "tardigrade_latency_last_minute_seconds";
    const told = async (of: string) =>
      (await lines(metrics, `${name}{of="${of}"`)).map((line) => Number(line.split(" ")[1]));
    expect(await told("http_request")).toEqual([]);
    for (let ms = 1; ms <= 1000; ms += 1) {
      metrics.meter.duration("http_request", ms, { route: ms % 2 === 0 ? "/a" : "/b" });
      await clock.advance(50);
    }
    for (const noTime of [-1, Number.NaN]) metrics.meter.duration("http_request", noTime, { route: "/a" });
    const close = async (of: string, expected: readonly number[]) => {
      const seconds = await told(of);
      expect(seconds.length).toBe(3);
      for (const [index, it] of expected.entries()) {
        expect(seconds[index]).toBeGreaterThanOrEqual(it);
        expect(seconds[index]).toBeLessThanOrEqual(it * 1.032);
      }
    };
    await close("http_request", [0.5, 0.9, 0.99]);
    // At 90 s what came before 40 s is forgotten.
    await clock.advance(40_000);
    await close("http_request", [0.9, 0.98, 0.998]);
    metrics.meter.duration("log_sync", 7);
    metrics.meter.duration("log_sync", 1e9);
    await close("log_sync", [0.007, 2 ** 32 / 1e6 - 1, 2 ** 32 / 1e6 - 1]);
    await clock.advance(60_000);
    expect(await told("http_request")).toEqual([]);
    expect(await told("log_sync")).toEqual([]);
    // The histogram of the exposition is over all time, as Prometheus wants it.
    expect(await lines(metrics, "tardigrade_log_sync_seconds_count")).toEqual([
      "tardigrade_log_sync_seconds_count 2",
    ]);
  });

  test.each<[string, (metrics: Metrics) => void, string]>([
    ["an unknown name", ({ meter }) => meter.count("tardigrade_typo_total"), "no metric is called"],
    ["another kind", ({ meter }) => meter.gauge("log_records", 1), "is a counter, not a gauge"],
    ["a missing label", ({ meter }) => meter.count("errors"), "needs the label code"],
    [
      "a label too many",
      ({ meter }) => meter.count("errors", { code: "X", device: "y" }),
      "has no label device",
    ],
    ["a label on what has none", ({ meter }) => meter.count("log_records", { a: "b" }), "has no label a"],
    ["a counter that falls", ({ meter }) => meter.count("log_records", {}, -1), "only rises"],
    ["a counter that is no number", ({ meter }) => meter.count("log_records", {}, Number.NaN), "only rises"],
  ])("refuses %s as a bug", (_, work, message) => {
    const metrics = createMetrics();
    expect(() => work(metrics)).toThrow(
      expect.objectContaining({ code: "INTERNAL", message: expect.stringContaining(message) }),
    );
  });

  test("folds series beyond the bound into one and counts them", async () => {
    const metrics = createMetrics();
    for (let at = 0; at < SERIES_MAX + 3; at += 1) {
      metrics.meter.count("errors", { code: `C${at}` });
      metrics.meter.duration("http_request", 1, { route: `R${at}` });
    }
    expect(await lines(metrics, "tardigrade_errors_total")).toHaveLength(SERIES_MAX + 1);
    expect(await lines(metrics, 'tardigrade_errors_total{code="other"}')).toEqual([
      'tardigrade_errors_total{code="other"} 3',
    ]);
    expect(await lines(metrics, 'tardigrade_http_request_seconds_count{route="other"}')).toEqual([
      'tardigrade_http_request_seconds_count{route="other"} 3',
    ]);
    expect(await lines(metrics, "tardigrade_metric_series_refused_total")).toEqual([
      "tardigrade_metric_series_refused_total 6",
    ]);
    // What was there before the bound goes on as it was.
    metrics.meter.count("errors", { code: "C0" });
    expect(await lines(metrics, 'tardigrade_errors_total{code="C0"}')).toEqual([
      'tardigrade_errors_total{code="C0"} 2',
    ]);
  });

  test("takes rows of others, which must follow the rules", async () => {
    const row: MetricRow = {
      name: "tardigrade_mine_total",
      kind: "counter",
      help: "One of mine.",
      labels: [],
    };
    const metrics = createMetrics({ rows: [row] });
    metrics.meter.count("mine");
    expect(await lines(metrics, "tardigrade_mine")).toEqual(["tardigrade_mine_total 1"]);
    expect(() => createMetrics({ rows: [row, row] })).toThrow("stands twice");
    expect(() => createMetrics({ rows: [{ ...row, name: "tardigrade_mine" }] })).toThrow("ends in _total");
  });
});

describe("what is asked for at a scrape", () => {
  test("the process", async () => {
    const clock = new SimulatedClock({ wallMs: 1_700_000_000_000 });
    let cpuSeconds = 1.5;
    const probe = {
      sample: () => ({
        residentBytes: 90e6,
        heapUsedBytes: 30e6,
        cpuSeconds,
        eventLoopUtilization: 0.25,
        eventLoopDelayP99Seconds: 0.01,
      }),
    };
    const metrics = createMetrics({ clock, probe });
    expect(await lines(metrics, "tardigrade_process_")).toEqual([
      "tardigrade_process_cpu_seconds_total 1.5",
      "tardigrade_process_resident_memory_bytes 90000000",
      "tardigrade_process_heap_used_bytes 30000000",
      "tardigrade_process_event_loop_utilization_ratio 0.25",
      "tardigrade_process_event_loop_delay_p99_seconds 0.01",
      "tardigrade_process_start_time_seconds 1700000000",
    ]);
    cpuSeconds = 2;
    expect(await lines(metrics, "tardigrade_process_cpu")).toEqual([
      "tardigrade_process_cpu_seconds_total 2",
    ]);
  });

  test("the real process", () => {
    const probe = systemProbe();
    for (let round = 0; round < 2; round += 1) {
      const sample = probe.sample();
      expect(sample.residentBytes).toBeGreaterThan(sample.heapUsedBytes);
      expect(sample.cpuSeconds).toBeGreaterThan(0);
      expect(sample.eventLoopUtilization).toBeGreaterThanOrEqual(0);
      expect(sample.eventLoopUtilization).toBeLessThanOrEqual(1);
      expect(sample.eventLoopDelayP99Seconds).toBeGreaterThanOrEqual(0);
    }
    probe.close();
  });

  test("the gateway, until disposed of", async () => {
    const metrics = createMetrics();
    const service = fakeService();
    service.alerts_ = [
      { id: "a", code: "DISK_FULL", severity: "critical", message: "", raisedMs: 1 },
      { id: "b", code: "DISK_FULL", severity: "critical", message: "", raisedMs: 1, clearedMs: 2 },
    ];
    const dispose = observeService(metrics, service);
    expect(await lines(metrics, "tardigrade_devices")).toEqual([
      "tardigrade_devices 2",
      "tardigrade_devices_online 1",
    ]);
    expect(await lines(metrics, "tardigrade_alerts_active")).toEqual(["tardigrade_alerts_active 1"]);
    expect(await lines(metrics, "tardigrade_forwarder_backlog_bytes")).toEqual([
      "tardigrade_forwarder_backlog_bytes 7",
    ]);
    expect(await lines(metrics, "tardigrade_ready")).toEqual(["tardigrade_ready 1"]);
    const labels = 'app="latency",version="1.0.0",metric="sensorReadUs",unit="us"';
    expect(await lines(metrics, "tardigrade_device_values")).toEqual([
      `tardigrade_device_values{${labels},quantile="0.5"} 127`,
      `tardigrade_device_values{${labels},quantile="0.9"} 159`,
      `tardigrade_device_values{${labels},quantile="0.99"} 191`,
      `tardigrade_device_values_sum{${labels}} 130000`,
      `tardigrade_device_values_count{${labels}} 1000`,
    ]);
    dispose();
    expect(await lines(metrics, "tardigrade_device_values")).toEqual([]);
    service.health_ = { ...service.health_, ready: false };
    expect(await lines(metrics, "tardigrade_ready")).toEqual(["tardigrade_ready 1"]);
  });
});

test("a summary has as many series as any metric at most, and the labels of its row", async () => {
  const metrics = createMetrics();
  const series = (of: Record<string, string>) => ({ labels: of, quantiles: {}, sum: 1, count: 1 });
  const many = Array.from({ length: SERIES_MAX + 9 }, (_, at) =>
    series({ app: `${at}`, version: "", metric: "", unit: "" }),
  );
  metrics.summary("tardigrade_device_values", () => many);
  expect(await lines(metrics, "tardigrade_device_values")).toHaveLength(2 * SERIES_MAX);
  expect(() => metrics.summary("tardigrade_devices", () => [])).toThrow(/is a gauge/);
  metrics.summary("device_values", () => [series({ app: "" })]);
  await expect(metrics.metricsText()).rejects.toThrow(/needs the label version/);
});

describe("the table", () => {
  test("follows the naming rules", () => {
    for (const row of METRICS) expect(problemOfRow(row)).toBeUndefined();
  });

  test.each<[Partial<MetricRow>, string]>([
    [{ name: "other_total" }, "a name is tardigrade_"],
    [{ name: "tardigrade_x", kind: "duration" }, "ends in _seconds"],
    [{ name: "tardigrade_x_total", kind: "gauge" }, "only a counter"],
    [{ help: "" }, "needs a help text"],
    [{ labels: ["le"] }, "no label may be called le"],
  ])("refuses %o", (change, problem) => {
    const row: MetricRow = {
      name: "tardigrade_x_total",
      kind: "counter",
      help: "A good help text.",
      labels: [],
    };
    expect(problemOfRow({ ...row, ...change })).toContain(problem);
  });

  test("has every name that the source records, as the kind it is recorded as", () => {
    const kinds = new Map(
      METRICS.flatMap((row) => [row.name, shortName(row)].map((name) => [name, row.kind])),
    );
    const kindOf = { count: "counter", gauge: "gauge", duration: "duration" } as const;
    let found = 0;
    for (const file of readdirSync("host", { recursive: true, encoding: "utf8" })) {
      if (!file.endsWith(".ts")) continue;
      const source = readFileSync(`host/${file}`, "utf8");
      for (const match of source.matchAll(/\bmeter\??\.(count|gauge|duration)\(\s*"([^"]*)"/g)) {
        const [, method, name] = match as unknown as [string, keyof typeof kindOf, string];
        found += 1;
        expect(`${file}: ${name} ${kinds.get(name)}`).toBe(`${file}: ${name} ${kindOf[method]}`);
      }
    }
    expect(found).toBeGreaterThan(20);
  });
});
