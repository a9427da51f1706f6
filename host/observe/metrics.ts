/**
 * The Meter by prom-client, in a registry of its own.
 *
 * prom-client builds a string of all labels at each increment and validates them; on the ingest path that is most of the cost of
 * counting. Counters and gauges are therefore plain cells here, found by one Map look-up, and handed to prom-client when
 * somebody scrapes. Durations go to prom-client's histogram through a child that is kept, and to histograms of the core, over all labels, which
 * tell the last minute.
 *
 * A metric holds at most SERIES_MAX label combinations. A further one is folded into the series whose labels all say
 * "other" and counted, so a label that grows by mistake costs accuracy and not memory.
 */
import { Counter, Gauge, Histogram, Registry, type Summary } from "prom-client";
import { TardigradeError } from "../../protocols/error.ts";
import type { Core } from "../core/core.ts";
import type { Clock, Dispose, Meter } from "../io/seams.ts";
import { LatencyWindow } from "./latency-window.ts";
import { METRICS, type MetricKind, type MetricRow, problemOfRow, shortName } from "./metric-table.ts";

export const SERIES_MAX = 512;
const OTHER = "other";
const REFUSED = "tardigrade_metric_series_refused_total";
const LATENCY = "tardigrade_latency_last_minute_seconds";
const SHARES = [0.5, 0.9, 0.99];
/** From a fast sync to a stalled disk or a command's time-out. */
const BUCKETS_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10, 30];

type Labels = Readonly<Record<string, string>>;

/** What a process tells about itself; host/io has the real one. */
export interface ProcessProbe {
  /** Called once a scrape; delay and utilization are those since the call before. */
  sample(): {
    readonly residentBytes: number;
    readonly heapUsedBytes: number;
    /** Since the process began. */
    readonly cpuSeconds: number;
    readonly eventLoopUtilization: number;
    readonly eventLoopDelayP99Seconds: number;
  };
}

/** One series of a summary: quantiles of values that were counted elsewhere. */
export interface SummarySample {
  readonly labels: Labels;
  readonly quantiles: Readonly<Record<string, number>>;
  readonly sum: number;
  readonly count: number;
}

export interface Metrics {
  readonly meter: Meter;
  /** Prometheus text format 0.0.4. */
  metricsText(): Promise<string>;
  readonly contentType: string;
  /** Where a summary's series come from at each scrape; the first SERIES_MAX of them count. */
  summary(name: string, samples: () => readonly SummarySample[]): Dispose;
  /** Runs before each scrape, to set gauges of what is asked for and not told. */
  onScrape(sample: () => void): Dispose;
}

interface Cell {
  readonly labels: Record<string, string>;
  value: number;
}

/** One metric: its cells by the values of its labels, joined. */
interface Instrument {
  readonly row: MetricRow;
  readonly cells: Map<string, Cell>;
  /** The cell without labels, where the metric has none. */
  readonly single: Cell | undefined;
  /** Of a summary. */
  samples: () => readonly SummarySample[];
  readonly histogram: Histogram<string> | undefined;
  readonly children: Map<string, { observe(value: number): void }>;
  /** Of a duration, where there is a core. */
  readonly window: LatencyWindow | undefined;
}

export function createMetrics(
  options: {
    readonly clock?: Clock;
    /** With a clock: durations are told of over the last minute too. */
    readonly core?: Core;
    readonly probe?: ProcessProbe;
    /** Rows beside those of the table, as an embedding program's own. */
    readonly rows?: readonly MetricRow[];
  } = {},
): Metrics {
  const registry = new Registry();
  const instruments = new Map<string, Instrument>();
  const { core, clock, probe } = options;
  const windowOf = (row: MetricRow) =>
    row.kind === "duration" && core !== undefined && clock !== undefined
      ? new LatencyWindow(core, clock)
      : undefined;
  for (const row of [...METRICS, ...(options.rows ?? [])])
    register(registry, instruments, { row, window: windowOf(row) });
  const samplers = new Set<() => void>();
  const refuse = (): void => addTo(find(instruments, REFUSED, "counter"), undefined, 1, refuse);

  const meter: Meter = {
    count: (name, labels, by = 1) => {
      if (!(by >= 0) || by === Number.POSITIVE_INFINITY) {
        throw programmerError(`${name}: a counter only rises, not by ${by}`);
      }
      addTo(find(instruments, name, "counter"), labels, by, refuse);
    },
    gauge: (name, value, labels) => {
      cellOf(find(instruments, name, "gauge"), labels, refuse).value = value;
    },
    duration: (name, ms, labels) => observe(find(instruments, name, "duration"), labels, ms, refuse),
  };

  if (clock !== undefined) meter.gauge("process_start_time_seconds", clock.wallMs() / 1000);
  if (probe !== undefined) samplers.add(() => sampleProcess(meter, instruments, probe));

  return {
    meter,
    contentType: registry.contentType,
    metricsText: () => {
      for (const sample of samplers) sample();
      sampleLatencies(instruments);
      return registry.metrics();
    },
    summary: (name, samples) => {
      const instrument = find(instruments, name, "summary");
      instrument.samples = samples;
      return () => {
        instrument.samples = noSamples;
      };
    },
    onScrape: (sample) => {
      samplers.add(sample);
      return () => samplers.delete(sample);
    },
  };
}

function register(
  registry: Registry,
  instruments: Map<string, Instrument>,
  { row, window }: { readonly row: MetricRow; readonly window: LatencyWindow | undefined },
): void {
  const problem = problemOfRow(row);
  if (problem !== undefined) throw programmerError(problem);
  const names = new Set([row.name, shortName(row)]);
  for (const name of names) {
    if (instruments.has(name)) throw programmerError(`${name} stands twice in the table of metrics`);
  }
  const instrument: Instrument = { ...instrumentOf(row, registry), samples: noSamples, window };
  if (row.kind === "summary") registerSummary(registry, row, () => instrument.samples());
  for (const name of names) instruments.set(name, instrument);
}

const noSamples = () => [];

/** prom-client's own summaries take single values only; its registry takes whatever has a name and a get(). */
function registerSummary(registry: Registry, row: MetricRow, samples: () => readonly SummarySample[]): void {
  const { name, help } = row;
  const summary = {
    name,
    help,
    type: "summary",
    get: () => ({ name, help, type: "summary", values: samples().slice(0, SERIES_MAX).flatMap(valuesOf) }),
    reset: () => {},
  };
  const valuesOf = ({ labels, quantiles, sum, count }: SummarySample) => {
    keyOf(row, labels);
    return [
      ...Object.entries(quantiles).map(([quantile, value]) => ({ labels: { ...labels, quantile }, value })),
      { metricName: `${name}_sum`, labels, value: sum },
      { metricName: `${name}_count`, labels, value: count },
    ];
  };
  registry.registerMetric(summary as unknown as Summary);
}

function instrumentOf(row: MetricRow, registry: Registry): Omit<Instrument, "window" | "samples"> {
  const { name, help } = row;
  const labelNames = [...row.labels];
  const cells = new Map<string, Cell>();
  const single: Cell | undefined = labelNames.length === 0 ? { labels: {}, value: 0 } : undefined;
  if (single !== undefined && row.kind !== "duration" && row.kind !== "summary") cells.set("", single);
  const config = { name, help, labelNames, registers: [registry] };
  let histogram: Histogram<string> | undefined;
  switch (row.kind) {
    case "counter":
      new Counter({
        ...config,
        collect() {
          this.reset();
          for (const cell of cells.values()) this.inc(cell.labels, cell.value);
        },
      });
      break;
    case "gauge":
      new Gauge({
        ...config,
        collect() {
          this.reset();
          for (const cell of cells.values()) this.set(cell.labels, cell.value);
        },
      });
      break;
    case "duration":
      histogram = new Histogram({ ...config, buckets: BUCKETS_SECONDS });
      break;
  }
  return { row, cells, single, histogram, children: new Map() };
}

function find(instruments: Map<string, Instrument>, name: string, kind: MetricKind): Instrument {
  const instrument = instruments.get(name);
  if (instrument === undefined) {
    throw programmerError(`no metric is called ${name}; add a row to host/observe/metric-table.ts`);
  }
  if (instrument.row.kind !== kind)
    throw programmerError(`${name} is a ${instrument.row.kind}, not a ${kind}`);
  return instrument;
}

function addTo(instrument: Instrument, labels: Labels | undefined, by: number, refuse: () => void): void {
  cellOf(instrument, labels, refuse).value += by;
}

function cellOf(instrument: Instrument, labels: Labels | undefined, refuse: () => void): Cell {
  const { single, cells } = instrument;
  if (single !== undefined && (labels === undefined || isEmpty(labels))) return single;
  const key = keyOf(instrument.row, labels);
  const found = cells.get(key);
  if (found !== undefined) return found;
  const kept = admitted(instrument.row, labels, cells.size, refuse);
  const keptKey = kept === labels ? key : keyOf(instrument.row, kept);
  let cell = cells.get(keptKey);
  if (cell === undefined) {
    cell = { labels: { ...kept }, value: 0 };
    cells.set(keptKey, cell);
  }
  return cell;
}

function observe(instrument: Instrument, labels: Labels | undefined, ms: number, refuse: () => void): void {
  const { histogram, children, row } = instrument;
  // A clock that a caller reads twice may not go back; what is not a time is left out rather than made up.
  if (histogram === undefined || !(ms >= 0) || ms === Number.POSITIVE_INFINITY) return;
  const key = keyOf(row, labels);
  let child = children.get(key);
  if (child === undefined) {
    const kept = admitted(row, labels, children.size, refuse);
    const keptKey = kept === labels ? key : keyOf(row, kept);
    child = children.get(keptKey) ?? histogram.labels({ ...kept });
    children.set(keptKey, child);
  }
  child.observe(ms / 1000);
  instrument.window?.record(ms);
}

/** The labels, or "other" for each once the metric has all the series it may. */
function admitted(
  row: MetricRow,
  labels: Labels | undefined,
  seriesCount: number,
  refuse: () => void,
): Labels | undefined {
  if (seriesCount < SERIES_MAX || labels === undefined) return labels;
  refuse();
  return Object.fromEntries(row.labels.map((label) => [label, OTHER]));
}

function keyOf(row: MetricRow, labels: Labels | undefined): string {
  const names = row.labels;
  let key = "";
  for (let at = 0; at < names.length; at += 1) {
    const value = labels?.[names[at] as string];
    if (value === undefined) throw programmerError(`${row.name} needs the label ${names[at]}`);
    key = at === 0 ? value : `${key}\u0000${value}`;
  }
  if (labels !== undefined) {
    for (const name in labels) {
      if (!names.includes(name)) throw programmerError(`${row.name} has no label ${name}`);
    }
  }
  return key;
}

function isEmpty(labels: Labels): boolean {
  for (const _ in labels) return false;
  return true;
}

/** What was not measured in the last minute has no series. */
function sampleLatencies(instruments: Map<string, Instrument>): void {
  const { cells } = find(instruments, LATENCY, "gauge");
  cells.clear();
  for (const { row, window } of new Set(instruments.values())) {
    const seconds = window?.quantiles(SHARES);
    if (seconds === undefined) continue;
    for (const [index, share] of SHARES.entries()) {
      const labels = { of: shortName(row), share: String(share) };
      cells.set(`${labels.of}\u0000${labels.share}`, { labels, value: seconds[index] as number });
    }
  }
}

function sampleProcess(meter: Meter, instruments: Map<string, Instrument>, probe: ProcessProbe): void {
  const sample = probe.sample();
  meter.gauge("process_resident_memory_bytes", sample.residentBytes);
  meter.gauge("process_heap_used_bytes", sample.heapUsedBytes);
  meter.gauge("process_event_loop_utilization_ratio", sample.eventLoopUtilization);
  meter.gauge("process_event_loop_delay_p99_seconds", sample.eventLoopDelayP99Seconds);
  // The probe tells the sum; a counter's cell takes it as it is.
  const cpu = find(instruments, "process_cpu_seconds", "counter").single;
  if (cpu !== undefined) cpu.value = Math.max(cpu.value, sample.cpuSeconds);
}

/** A bug of the caller: it fails the first test that passes there and never depends on input. */
function programmerError(message: string): TardigradeError {
  return new TardigradeError("INTERNAL", message, { context: { component: "metrics" } });
}
