/** The real /metrics of a server with traffic, read by Prometheus' own checker. */
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";
import { METRICS } from "../../../host/observe/metric-table.ts";
import { apiRig } from "../../support/api-rig.ts";

function check(text: string) {
  const { error, status, stdout, stderr } = spawnSync("promtool", ["check", "metrics"], {
    input: text,
    encoding: "utf8",
  });
  if (error !== undefined) {
    throw new Error(`promtool did not run (${error.message}): install the Debian package \`prometheus\``);
  }
  return { status, output: stdout + stderr };
}

test("promtool finds nothing to complain of", async () => {
  await using rig = await apiRig();
  await rig.ask("/api/devices");
  await rig.ask("/api/devices/none");
  await rig.ask("/nowhere");
  const { meter } = rig.metrics;
  for (const row of METRICS) {
    const labels = Object.fromEntries(row.labels.map((label) => [label, 'odd "value"\\\n']));
    if (row.kind === "counter") meter.count(row.name, labels, 2.5);
    else if (row.kind === "gauge") meter.gauge(row.name, Number.NaN, labels);
    else if (row.kind === "summary")
      rig.metrics.summary(row.name, () => [
        { labels, quantiles: { "0.5": 3, "0.99": 9 }, sum: 30, count: 7 },
      ]);
    else meter.duration(row.name, 3, labels);
  }
  const { headers, text, status } = await rig.ask("/metrics");
  expect(status).toBe(200);
  expect(headers["content-type"]).toBe("text/plain; version=0.0.4; charset=utf-8");
  expect(text).toContain(
    'tardigrade_http_requests_total{method="GET",route="/api/devices/:id",status="404"} 1',
  );
  expect(text).toContain('tardigrade_http_requests_total{method="GET",route="none",status="404"} 1');
  for (const row of METRICS) expect(text).toContain(`# HELP ${row.name} `);
  expect(check(text)).toEqual({ status: 0, output: "" });
});

test("and would, if there were something", () => {
  const { status, output } = check("# TYPE tardigrade_x counter\ntardigrade_x 1\n");
  expect(status).not.toBe(0);
  expect(output).toContain("_total");
});
