/**
 * How long something took over the last minute, to within 3 %: histograms of the core, one for each ten seconds, merged when somebody asks. So the figure
 * forgets, which a quantile over everything since the start does not, and needs no scrape a minute ago to compare with.
 */
import type { Core } from "../core/core.ts";
import { createHistogram, HISTOGRAM_VALUE_MAX, type Histogram } from "../core/histogram.ts";
import type { Clock } from "../io/seams.ts";

const SPAN_MS = 10_000;
/** Six whole spans and the one that runs: between fifty and sixty seconds. */
const SPANS = 6;
const US_PER_MS = 1000;
const US_PER_SECOND = 1_000_000;

export class LatencyWindow {
  readonly #clock: Clock;
  readonly #spans: readonly Histogram[];
  readonly #merged: Histogram;
  /** Number of the span that runs, counted from the clock's origin. */
  #span: number;

  constructor(core: Core, clock: Clock) {
    this.#clock = clock;
    this.#spans = Array.from({ length: SPANS }, () => createHistogram(core));
    this.#merged = createHistogram(core);
    this.#span = this.#now();
  }

  /** At least 0; what lasts 71 minutes or longer counts as that. */
  record(ms: number): void {
    this.#turn();
    this.#at(this.#span).record(Math.min(ms * US_PER_MS, HISTOGRAM_VALUE_MAX));
  }

  /** Seconds that so large a share of all did not exceed; undefined when there was nothing. */
  quantiles(shares: readonly number[]): readonly number[] | undefined {
    this.#turn();
    this.#merged.reset();
    for (const span of this.#spans) this.#merged.merge(span);
    if (this.#merged.total === 0) return undefined;
    return shares.map((share) => this.#merged.quantile(share) / US_PER_SECOND);
  }

  /** Empties the spans that have passed. */
  #turn(): void {
    const now = this.#now();
    const passed = Math.min(now - this.#span, SPANS);
    for (let back = 0; back < passed; back += 1) this.#at(now - back).reset();
    if (passed > 0) this.#span = now;
  }

  #now(): number {
    return Math.floor(this.#clock.monotonicMs() / SPAN_MS);
  }

  #at(span: number): Histogram {
    return this.#spans[span % SPANS] as Histogram;
  }
}
