/** What the page reads of /metrics: figures, latencies of the last minute, and figures by device. */

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

/** Seconds that a share (as the metric names it: 0.5, 0.9, 0.99) did not exceed in the last minute; undefined when nothing was measured. */
export function latencySeconds(
  scrape: Scrape,
  { of, share }: { readonly of: string; readonly share: number },
): number | undefined {
  return scrape.get(`tardigrade_latency_last_minute_seconds{of="${of}",share="${share}"}`);
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
