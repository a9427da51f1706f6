/**
 * tardigrade/stats: histograms that merge, figures of a stream, and detectors that decide as a device's do.
 *
 *     using latencies = histogram({ bits: 7 });
 *     latencies.record(1830);
 *     latencies.quantile(0.99);
 */
import {
  type AnomalyDetector,
  type AnomalyDetectorOptions,
  createAnomalyDetector,
} from "../core/anomaly-detector.ts";
import { type Core, openCore } from "../core/core.ts";
import { readCoreBytes } from "../core/core-bytes.ts";
import {
  type AnomalyMonitor,
  type AnomalyMonitorOptions,
  type Cusum,
  type CusumOptions,
  createAnomalyMonitor,
  createCusum,
  createHampel,
  createSeasonalBaseline,
  type Hampel,
  type HampelOptions,
  type SeasonalBaseline,
  type SeasonalOptions,
} from "../core/detectors.ts";
import {
  createQuantileEstimator,
  createSummary,
  type QuantileEstimator,
  type Summary,
} from "../core/estimators.ts";
import { createHistogram, type Histogram, type HistogramOptions, loadHistogram } from "../core/histogram.ts";

export { isTardigradeError, TardigradeError } from "../../protocols/error.ts";
export type { AnomalyDetector, AnomalyDetectorOptions } from "../core/anomaly-detector.ts";
export type {
  Alarm,
  AnomalyMonitor,
  AnomalyMonitorOptions,
  Cusum,
  CusumOptions,
  Hampel,
  HampelOptions,
  SeasonalBaseline,
  SeasonalOptions,
  Shift,
} from "../core/detectors.ts";
export type { QuantileEstimator, Summary } from "../core/estimators.ts";
export { HISTOGRAM_VALUE_MAX, type Histogram, type HistogramOptions } from "../core/histogram.ts";

let shared: Core | undefined;
/** One core for all of this entry point, so that its objects can be merged. */
function core(): Core {
  shared ??= openCore(readCoreBytes());
  return shared;
}

/** How values are spread, with quantiles of bounded error. Dispose of what is not needed any more (`using`): its memory is used again. */
export function histogram(options?: HistogramOptions): Histogram {
  return createHistogram(core(), options);
}
/** A histogram that another machine's toBytes() gave. Throws ARGUMENT for bytes that no histogram gives. */
export function histogramFromBytes(bytes: Uint8Array): Histogram {
  return loadHistogram(core(), bytes);
}
/** One quantile in 96 bytes (P²), an estimate. Throws ARGUMENT. */
export function quantileEstimator(options: { readonly quantile: number }): QuantileEstimator {
  return createQuantileEstimator(core(), options);
}
/** Mean and variance (Welford). */
export function summary(): Summary {
  return createSummary(core());
}
/** Flags readings many deviations off an exponentially weighted mean. Throws ARGUMENT. */
export function anomalyDetector(options?: AnomalyDetectorOptions): AnomalyDetector {
  return createAnomalyDetector(core(), options);
}
/** Finds a mean that has shifted. Throws ARGUMENT. */
export function cusum(options: CusumOptions): Cusum {
  return createCusum(core(), options);
}
/** Finds outliers by the median of the last readings. Throws ARGUMENT. */
export function hampel(options?: HampelOptions): Hampel {
  return createHampel(core(), options);
}
/** What a reading should be at this hour, and flags of what is not. Throws ARGUMENT. */
export function seasonalBaseline(options?: SeasonalOptions): SeasonalBaseline {
  return createSeasonalBaseline(core(), options);
}
/** Watches a sensor with defaults that serve most. Throws ARGUMENT. */
export function anomalyMonitor(options?: AnomalyMonitorOptions): AnomalyMonitor {
  return createAnomalyMonitor(core(), options);
}
