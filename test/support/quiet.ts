/** A meter that remembers and a logger that does not, for tests. */
import type { Logger, Meter } from "../../host/io/seams.ts";

export class RecordingMeter implements Meter {
  readonly counts = new Map<string, number>();
  readonly gauges = new Map<string, number>();
  count(name: string, labels?: Readonly<Record<string, string>>, by = 1): void {
    const key = labels === undefined ? name : `${name} ${Object.values(labels).join(" ")}`;
    this.counts.set(key, (this.counts.get(key) ?? 0) + by);
  }
  gauge(name: string, value: number): void {
    this.gauges.set(name, value);
  }
  duration(): void {}
}

export const quietLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
};
