/** What the page makes of /metrics. */
import { expect, test } from "vitest";
import { byDevice, parseMetrics, quantile } from "../../host/api/ui/metrics.ts";

const histogram = (counts: readonly number[], label = "") =>
  ["0.001", "0.01", "0.1", "+Inf"]
    .map((bound, at) => `t_seconds_bucket{le="${bound}"${label}} ${counts[at]}`)
    .join("\n");

test("figures and labels, comments and other lines left out", () => {
  const scrape = parseMetrics('# HELP a b\na_total 3\nb{device="x",code="y"} 1.5e3\nnonsense\n\n');
  expect([...scrape]).toEqual([
    ["a_total", 3],
    ['b{device="x",code="y"}', 1500],
  ]);
});

test("quantiles by straight lines within a bucket, of what came between two scrapes", () => {
  const before = parseMetrics(histogram([100, 100, 100, 100]));
  const now = parseMetrics(histogram([100, 110, 120, 120]));
  expect(quantile(0.25, { name: "t_seconds", before, now })).toBeCloseTo(0.001 + 0.5 * 0.009);
  expect(quantile(0.5, { name: "t_seconds", before, now })).toBeCloseTo(0.01);
  expect(quantile(0.99, { name: "t_seconds", before, now })).toBeCloseTo(0.01 + 0.98 * 0.09);
  // Without an earlier scrape: since the start.
  expect(quantile(0.5, { name: "t_seconds", now })).toBeCloseTo(0.0006);
});

test("series of several labels are one; nothing observed has no quantile; beyond the last bound it is that", () => {
  const two = parseMetrics(
    `${histogram([0, 1, 1, 1], ',route="a"')}\n${histogram([0, 0, 0, 3], ',route="b"')}`,
  );
  expect(quantile(0.9, { name: "t_seconds", now: two })).toBe(0.1);
  expect(quantile(0.1, { name: "t_seconds", now: two })).toBeLessThanOrEqual(0.01);
  expect(quantile(0.5, { name: "t_seconds", before: two, now: two })).toBeUndefined();
  expect(quantile(0.5, { name: "other", now: two })).toBeUndefined();
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
