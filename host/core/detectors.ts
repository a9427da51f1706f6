/** Detectors over the core's, which decide as a device's do: assembly/stats/ says how, cusum.ts, mad.ts, seasonal.ts, anomaly.ts. Readings are 32-bit floats. */
import type { Core } from "./core.ts";
import { argument, Struct } from "./struct.ts";

const CUSUM_BYTES = 20;
const DAY_MS = 86_400_000;
const SLOTS_MAX = 1024;
const PERIODS_MAX = 1000;
const READING_MAX = 1e15;

export type Shift = "risen" | "fallen";

export interface CusumOptions {
  /** The mean that there should be. */
  readonly target: number;
  /** Half the shift to find, at least 0, in the reading's unit. */
  readonly slack: number;
  /** Some four to five deviations, above 0. */
  readonly threshold: number;
}
export interface Cusum extends Disposable {
  /** What the mean has done, when it is told, else undefined; then it begins anew. A reading that is not finite is passed over. */
  update(reading: number): Shift | undefined;
  reset(): void;
}

/** Finds a mean that has shifted, however little, once it lasts (Page, 1954). Throws ARGUMENT. */
export function createCusum(core: Core, { target, slack, threshold }: CusumOptions): Cusum {
  const { raw } = core;
  const struct = new Struct(core, CUSUM_BYTES, "cusum");
  struct.check(
    raw.cusumInit(struct.at, target, slack, threshold),
    "A CUSUM needs a finite target, slack of at least 0 and a threshold above 0.",
  );
  return {
    update: (reading) => {
      const shift = raw.cusumUpdate(struct.at, reading);
      if (shift === 0) return undefined;
      return shift > 0 ? "risen" : "fallen";
    },
    reset: () => raw.cusumReset(struct.at),
    [Symbol.dispose]: () => struct[Symbol.dispose](),
  };
}

export interface HampelOptions {
  /** Readings it judges by, 3 to 255. Default 15. */
  readonly window?: number;
  /** Modified deviations that flag. Default 3.5. */
  readonly z?: number;
  /** Least deviation that counts, for example the sensor's resolution. Default 0. */
  readonly deviationMin?: number;
}
export interface Hampel extends Disposable {
  /** Judges a reading by those before it, then learns it: true for an outlier; never before the window is full. */
  update(reading: number): boolean;
  /** NaN without a reading. */
  readonly median: number;
  /** Median absolute deviation. */
  readonly deviation: number;
}

/** Finds outliers by the median, which garbage in half of the window does not move (Hampel, 1974). Throws ARGUMENT. */
export function createHampel(
  core: Core,
  { window = 15, z = 3.5, deviationMin = 0 }: HampelOptions = {},
): Hampel {
  const { raw } = core;
  const bytes = Number.isInteger(window) && window > 0 ? raw.madBytes(window) : 0;
  const message =
    "A Hampel identifier has a window of 3 to 255 readings, z above 0 and deviationMin of at least 0.";
  if (bytes === 0) throw argument("hampel", message);
  const struct = new Struct(core, bytes, "hampel");
  struct.check(raw.madInit(struct.at, window, z, deviationMin), message);
  return {
    update: (reading) => raw.madUpdate(struct.at, reading) === 1,
    get median() {
      return raw.madMedian(struct.at);
    },
    get deviation() {
      return raw.madDeviation(struct.at);
    },
    [Symbol.dispose]: () => struct[Symbol.dispose](),
  };
}

export interface SeasonalOptions {
  /** What the signal repeats itself in, in milliseconds. Default a day. Slots are counted from the epoch, so a day begins at midnight UTC. */
  readonly periodMs?: number;
  /** Parts of the period that differ, 1 to 1,024, 9 bytes each. Default 24. */
  readonly slots?: number;
  /** Weight of a period in what is learnt, above 0 and at most 1. Default 0.125. */
  readonly alpha?: number;
  /** Deviations that flag a reading, above 0, at most 1,000. Default 5. */
  readonly z?: number;
  /** Least deviation that counts, for example the sensor's resolution. Default 0. */
  readonly deviationMin?: number;
  /** Periods before anything is flagged, 1 to 1,000. Default 3. */
  readonly warmupPeriods?: number;
}
interface Expectation extends Disposable {
  /** What this part of the period usually has. */
  readonly expected: number;
  /** How far readings usually lie off. */
  readonly deviation: number;
  /** Deviations of the last reading from what was expected, with the sign; 0 during warm-up. */
  readonly z: number;
  readonly isWarm: boolean;
}
export interface SeasonalBaseline extends Expectation {
  /**
   * Judges a reading, then learns it: true for one that lies too far off. timeMs: milliseconds since the epoch (Date.now()), or since
   * any origin; one before the slot of the last reading counts as in it. A reading beyond 10^15, or no number, is neither learnt nor flagged.
   */
  update(reading: number, timeMs: number): boolean;
}

/** What a reading should be at this hour. Throws ARGUMENT. */
export function createSeasonalBaseline(core: Core, options: SeasonalOptions = {}): SeasonalBaseline {
  const { raw } = core;
  const { periodMs, slots, alpha, z, deviationMin, warmupPeriods } = checked(options, "seasonal");
  const struct = new Struct(core, raw.seasonalBytes(slots), "seasonal");
  const status = raw.seasonalInit(struct.at, periodMs, slots, alpha, z, deviationMin, warmupPeriods);
  struct.check(status, SEASONAL_HELP);
  return {
    update: (reading, timeMs) =>
      flagOf(raw.seasonalUpdate(struct.at, timeMs, reading), reading, "seasonal") === 1,
    get expected() {
      return raw.seasonalMean(struct.at);
    },
    get deviation() {
      return raw.seasonalDeviation(struct.at);
    },
    get z() {
      return raw.seasonalZ(struct.at);
    },
    get isWarm() {
      return raw.seasonalIsWarm(struct.at) === 1;
    },
    [Symbol.dispose]: () => struct[Symbol.dispose](),
  };
}

export interface AnomalyMonitorOptions extends SeasonalOptions {
  /** Alarms are at least so far apart. Default a day. */
  readonly holdMs?: number;
}
export type Alarm = "spike" | Shift;
export interface AnomalyMonitor extends Expectation {
  /** Judges a reading, then learns it: what an alarm that begins is about, else undefined. timeMs as in a baseline. */
  update(reading: number, timeMs: number): Alarm | undefined;
}
const ALARMS: readonly (Alarm | undefined)[] = [undefined, "spike", "risen", "fallen"];

/** Watches a sensor: a seasonal baseline, deviations of readings, and shifts of the hours' means in one. Throws ARGUMENT. */
export function createAnomalyMonitor(core: Core, options: AnomalyMonitorOptions = {}): AnomalyMonitor {
  const { raw } = core;
  const { periodMs, slots, alpha, z, deviationMin, warmupPeriods } = checked(options, "monitor");
  const { holdMs = DAY_MS } = options;
  const struct = new Struct(core, raw.anomalyBytes(slots), "monitor");
  const status = raw.anomalyInit(struct.at, periodMs, slots, alpha, z, deviationMin, warmupPeriods, holdMs);
  struct.check(status, `${SEASONAL_HELP} Its hold is at least 0 ms.`);
  return {
    update: (reading, timeMs) =>
      ALARMS[flagOf(raw.anomalyUpdate(struct.at, timeMs, reading), reading, "monitor")],
    get expected() {
      return raw.seasonalMean(raw.anomalyBaseline(struct.at));
    },
    get deviation() {
      return raw.seasonalDeviation(raw.anomalyBaseline(struct.at));
    },
    get z() {
      return raw.seasonalZ(raw.anomalyBaseline(struct.at));
    },
    get isWarm() {
      return raw.seasonalIsWarm(raw.anomalyBaseline(struct.at)) === 1;
    },
    [Symbol.dispose]: () => struct[Symbol.dispose](),
  };
}

const SEASONAL_HELP =
  "A baseline has a period of at least a microsecond a slot, 1 to 1,024 slots, 0 < alpha <= 1, 0 < z <= 1000, deviationMin of at least 0 and 1 to 1,000 periods of warm-up.";

function checked(options: SeasonalOptions, component: string): Required<SeasonalOptions> {
  const {
    periodMs = DAY_MS,
    slots = 24,
    alpha = 0.125,
    z = 5,
    deviationMin = 0,
    warmupPeriods = 3,
  } = options;
  const isWhole = Number.isInteger(slots) && Number.isInteger(warmupPeriods);
  const inRange = slots >= 1 && slots <= SLOTS_MAX && warmupPeriods >= 1 && warmupPeriods <= PERIODS_MAX;
  if (!isWhole || !inRange) throw argument(component, SEASONAL_HELP);
  return { periodMs, slots, alpha, z, deviationMin, warmupPeriods };
}

/** 0 or more. A negative status says that the reading is none, which is passed over, or that the time is none. */
function flagOf(status: number, reading: number, component: string): number {
  if (status >= 0) return status;
  if (!(Math.abs(Math.fround(reading)) <= READING_MAX)) return 0;
  throw argument(component, "A reading's time is in milliseconds, from 0 to 285 years.");
}
