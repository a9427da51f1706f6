/** What the page reads of /metrics: figures, quantiles of histograms over the last minute, and figures by device. */

/** A scrape: values by metric and labels as they stand in the text. */
export type Scrape = ReadonlyMap<string, number>;

/** Prometheus text format 0.0.4. Lines that are none are left out. */
export function parseMetrics(text: string): Scrape {
  const values = new Map<string, number>();
  for (const line of text.split("\n")) {
    const match = /^([a-z_]+(?:\{[^}]*\})?) (\S+)$/.exec(line);
    if (match !== null) values.set(match[1] as string, Number(match[2]));
  }
  return values;
}

/** Sum over all labels but `le`, of what was added between two scrapes, for each bucket's upper bound. */
function bucketsBetween(name: string, before: Scrape | undefined, now: Scrape): [number, number][] {
  const counts = new Map<number, number>();
  for (const [key, value] of now) {
    if (!key.startsWith(`${name}_bucket{`)) continue;
    const bound = Number(/le="([^"]+)"/.exec(key)?.[1]?.replace("+Inf", "Infinity"));
    counts.set(bound, (counts.get(bound) ?? 0) + value - (before?.get(key) ?? 0));
  }
  return [...counts].sort(([a], [b]) => a - b);
}

/**
 * Quantile of a histogram between two scrapes, in its unit: straight lines within a bucket, as Prometheus' histogram_quantile. Undefined
 * when nothing was observed; the last finite bound when it lies beyond.
 */
export function quantile(
  q: number,
  {
    name,
    before,
    now,
  }: { readonly name: string; readonly before?: Scrape | undefined; readonly now: Scrape },
): number | undefined {
  const buckets = bucketsBetween(name, before, now);
  const total = buckets.at(-1)?.[1] ?? 0;
  if (total <= 0) return undefined;
  const rank = q * total;
  let [lower, below] = [0, 0];
  for (const [bound, count] of buckets) {
    if (count >= rank && bound !== Number.POSITIVE_INFINITY) {
      return lower + (bound - lower) * (count === below ? 1 : (rank - below) / (count - below));
    }
    if (bound !== Number.POSITIVE_INFINITY) [lower, below] = [bound, count];
  }
  return lower;
}

/** Sum of a counter's values for each device that it names. */
export function byDevice(name: string, scrape: Scrape): ReadonlyMap<string, number> {
  const sums = new Map<string, number>();
  for (const [key, value] of scrape) {
    const device = key.startsWith(`${name}{`) ? /device="([^"]+)"/.exec(key)?.[1] : undefined;
    if (device !== undefined) sums.set(device, (sums.get(device) ?? 0) + value);
  }
  return sums;
}
