/** What the page makes of /metrics. */
import { expect, test } from "vitest";
import { byDevice, latencySeconds, parseMetrics } from "../../host/api/ui/metrics.ts";

test("figures and labels, comments and other lines left out", () => {
  const scrape = parseMetrics('# HELP a b\na_total 3\nb{device="x",code="y"} 1.5e3\nnonsense\n\n');
  expect([...scrape]).toEqual([
    ["a_total", 3],
    ['b{device="x",code="y"}', 1500],
  ]);
});

test("latencies of the last minute, of what was measured then", () => {
  const name = "tardigrade_latency_last_minute_seconds";
  const scrape = parseMetrics(
    `${name}{of="log_sync",share="0.5"} 0.004\n${name}{of="log_sync",share="0.99"} 0.031`,
  );
  expect(latencySeconds(scrape, { of: "log_sync", share: 0.5 })).toBe(0.004);
  expect(latencySeconds(scrape, { of: "log_sync", share: 0.99 })).toBe(0.031);
  expect(latencySeconds(scrape, { of: "http_request", share: 0.5 })).toBeUndefined();
});

test("counters by device", () => {
  const scrape = parseMetrics(
    'f_total{device="a",code="x"} 1\nf_total{device="a",code="y"} 2\nf_total{device="b",code="x"} 4',
  );
  expect([...byDevice("f_total", scrape)]).toEqual([
    ["a", 3],
    ["b", 4],
  ]);
});
