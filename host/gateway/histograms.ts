/**
 * What devices measured themselves, as histograms: each report adds to the device's series of that metric, and to the sum over all devices of one firmware.
 * Part of the projection: a report is a numbered message, so it counts once, and state that is lost is built again from the log.
 *
 *   gateway/histogram/<device>      its series, SERIES_MAX at most       gateway/histograms/<key>      a firmware's metric, FIRMWARES_MAX at most
 *
 * Where a bound is reached, what heard of nothing for longest makes room. A series begins anew when another firmware runs on the device; the firmware's sum
 * keeps what the device gave it.
 */
import { isTardigradeError } from "../../protocols/error.ts";
import type { Telemetry } from "../../protocols/messages.generated.ts";
import { LIMITS } from "../../protocols/table.ts";
import { type HistogramParts, readHistogram } from "../core/histogram-bytes.ts";
import { coarsened, KEPT_BITS, meanOf, mergeHistograms, quantileOf } from "../core/sparse-histogram.ts";
import type { StateReader, StateTransaction } from "../store/state-store.ts";
import { type DeviceRow, type ReportOrigin, reportOriginOf } from "./device-row.ts";
import type { FirmwareHistogramView, HistogramView } from "./service.ts";

/** Of one device. */
export const SERIES_MAX = LIMITS.METRICS_MAX;
/** Metrics by firmware and version. */
export const FIRMWARES_MAX = 64;
/** A device that reported nothing for three of its reports' spans, and this, is not counted in a rate any more. */
const RATE_GRACE_MS = 10_000;

const DEVICE_PREFIX = "gateway/histogram/";
const DEVICE_END = "gateway/histogram0";
const FIRMWARE_PREFIX = "gateway/histograms/";
const FIRMWARE_END = "gateway/histograms0";

interface Series {
  readonly metric: string;
  readonly unit: string;
  readonly app: string;
  readonly version: string;
  /** When the first report came to be. */
  readonly sinceMs: number;
  lastMs: number;
  /** Log offset of the last report: what is lowest makes room. */
  offset: number;
  histogram: HistogramParts;
}

interface DeviceSeries extends Series {
  /** Of the last report: since when it counts, and how many values it had. */
  fromMs: number;
  lastCount: number;
}

export class Histograms {
  #devices = new Map<string, DeviceSeries[]>();
  #firmwares = new Map<string, Series>();
  readonly #touchedDevices = new Set<string>();
  readonly #touchedFirmwares = new Set<string>();

  /** Adds a message's histogram, where it has one. What is wrong with it, or undefined. */
  apply(row: DeviceRow, message: Telemetry, offset: number): string | undefined {
    const { histogramMetric, histogram: bytes } = message;
    if (bytes === undefined && histogramMetric === undefined) return undefined;
    if (bytes === undefined || histogramMetric === undefined)
      return "A histogram and its metric go together.";
    let added: HistogramParts;
    try {
      added = coarsened(readHistogram(bytes), KEPT_BITS);
    } catch (error) {
      if (isTardigradeError(error)) return error.message;
      throw error;
    }
    if (added.count === 0) return undefined;
    const origin = reportOriginOf(row, message, histogramMetric);
    this.#addToDevice(row.id, { origin, added, offset });
    this.#addToFirmware({ origin, added, offset });
    return undefined;
  }

  /** Puts what changed since the last call into the transaction. */
  save(transaction: StateTransaction): void {
    for (const device of this.#touchedDevices) {
      transaction.put(DEVICE_PREFIX + device, encode(this.#devices.get(device) ?? []));
    }
    for (const key of this.#touchedFirmwares) {
      const series = this.#firmwares.get(key);
      const at = FIRMWARE_PREFIX + encodeURIComponent(key);
      if (series === undefined) transaction.delete(at);
      else transaction.put(at, encode(series));
    }
    this.#touchedDevices.clear();
    this.#touchedFirmwares.clear();
  }

  load(state: StateReader): void {
    this.clear();
    for (const [key, value] of state.range({ from: DEVICE_PREFIX, to: DEVICE_END })) {
      this.#devices.set(key.slice(DEVICE_PREFIX.length), decode(value) as DeviceSeries[]);
    }
    for (const [, value] of state.range({ from: FIRMWARE_PREFIX, to: FIRMWARE_END })) {
      const series = decode(value) as Series;
      this.#firmwares.set(keyOf(series), series);
    }
  }

  clear(): void {
    this.#devices = new Map();
    this.#firmwares = new Map();
    this.#touchedDevices.clear();
    this.#touchedFirmwares.clear();
  }

  ofDevice(device: string): readonly HistogramView[] {
    return (this.#devices.get(device) ?? []).map((series) => ({
      ...viewOf(series),
      perSecond: rateOf(series),
    }));
  }

  /** By firmware and metric, sorted. */
  ofFirmwares(nowMs: number): readonly FirmwareHistogramView[] {
    const live = new Map<string, { devices: number; perSecond: number }>();
    for (const series of [...this.#devices.values()].flat()) {
      const key = keyOf(series);
      const sum = live.get(key) ?? { devices: 0, perSecond: 0 };
      sum.devices += 1;
      const spanMs = series.lastMs - series.fromMs;
      if (nowMs - series.lastMs <= 3 * spanMs + RATE_GRACE_MS) sum.perSecond += rateOf(series);
      live.set(key, sum);
    }
    return [...this.#firmwares]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, series]) => ({
        ...viewOf(series),
        sum: Number(series.histogram.sum),
        ...(live.get(key) ?? { devices: 0, perSecond: 0 }),
      }));
  }

  #addToDevice(device: string, { origin, added, offset }: Report): void {
    const all = this.#devices.get(device) ?? [];
    const key = keyOf(origin);
    let series = all.find((one) => keyOf(one) === key);
    if (series === undefined) {
      series = { ...newSeries(origin, added, offset), fromMs: origin.bootMs, lastCount: added.count };
      // What another firmware measured under that name is over.
      const kept = all.filter((one) => one.metric !== origin.metric);
      if (kept.length >= SERIES_MAX) kept.splice(kept.indexOf(quietest(kept)), 1);
      this.#devices.set(device, [...kept, series]);
    } else {
      series.histogram = mergeHistograms(series.histogram, added);
      // Pieces of one report have one time.
      if (origin.timeMs === series.lastMs) series.lastCount += added.count;
      else {
        series.fromMs = Math.max(series.lastMs, origin.bootMs);
        series.lastCount = added.count;
      }
      series.lastMs = origin.timeMs;
      series.offset = offset;
    }
    this.#touchedDevices.add(device);
  }

  #addToFirmware({ origin, added, offset }: Report): void {
    const key = keyOf(origin);
    const series = this.#firmwares.get(key);
    this.#touchedFirmwares.add(key);
    if (series !== undefined) {
      series.histogram = mergeHistograms(series.histogram, added);
      series.lastMs = Math.max(series.lastMs, origin.timeMs);
      series.offset = offset;
      return;
    }
    if (this.#firmwares.size >= FIRMWARES_MAX) {
      const gone = keyOf(quietest([...this.#firmwares.values()]));
      this.#firmwares.delete(gone);
      this.#touchedFirmwares.add(gone);
    }
    this.#firmwares.set(key, newSeries(origin, added, offset));
  }
}

interface Report {
  readonly origin: ReportOrigin;
  readonly added: HistogramParts;
  readonly offset: number;
}

function newSeries(origin: ReportOrigin, histogram: HistogramParts, offset: number): Series {
  const { metric, unit, app, version, timeMs } = origin;
  return { metric, unit, app, version, sinceMs: timeMs, lastMs: timeMs, offset, histogram };
}

function quietest<S extends Series>(all: readonly S[]): S {
  return all.reduce((least, one) => (one.offset < least.offset ? one : least));
}

function keyOf({ app, version, metric, unit }: Pick<Series, "app" | "version" | "metric" | "unit">): string {
  return JSON.stringify([app, version, metric, unit]);
}

function viewOf({ metric, unit, app, version, sinceMs, lastMs, histogram }: Series) {
  return {
    ...{ metric, unit, app, version, sinceMs, lastMs },
    count: histogram.count,
    mean: meanOf(histogram),
    min: histogram.lowest,
    p50: quantileOf(histogram, 0.5),
    p90: quantileOf(histogram, 0.9),
    p99: quantileOf(histogram, 0.99),
    max: histogram.highest,
  };
}

/** Values a second in the time that the last report counts; 0 where the device's clock tells none. */
function rateOf({ fromMs, lastMs, lastCount }: DeviceSeries): number {
  return lastMs > fromMs ? (lastCount * 1000) / (lastMs - fromMs) : 0;
}

function encode(value: unknown): Uint8Array {
  const text = JSON.stringify(value, (_, it) => (typeof it === "bigint" ? String(it) : it));
  return new TextEncoder().encode(text);
}

function decode(bytes: Uint8Array): unknown {
  return JSON.parse(new TextDecoder().decode(bytes), (key, it) => (key === "sum" ? BigInt(it) : it));
}
