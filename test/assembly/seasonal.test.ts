/** The seasonal baseline beside a slow model that keeps every reading of a visit, in doubles. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ERRORS } from "../../protocols/table.ts";
import { openTestCore } from "../support/core.ts";

const core = openTestCore();
const { raw } = core;
const ARGUMENT = -ERRORS.ARGUMENT.number;
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const [SPIKE, RISEN, FALLEN] = [1, 2, 3];

interface Slot {
  mean: number;
  variance: number;
  visits: number;
}
interface Options {
  readonly periodMs?: number;
  readonly slots?: number;
  readonly alpha?: number;
  readonly z?: number;
  readonly deviationMin?: number;
  readonly warmup?: number;
}
function baseline(options: Options = {}): number {
  const { periodMs = DAY_MS, slots = 24, alpha = 0.125, z = 5, deviationMin = 0, warmup = 3 } = options;
  const at = core.allocate(raw.seasonalBytes(slots));
  expect(raw.seasonalInit(at, periodMs, slots, alpha, z, deviationMin, warmup)).toBe(0);
  return at;
}
function monitor({ holdMs = DAY_MS, deviationMin = 0, slots = 24 } = {}): number {
  const at = core.allocate(raw.anomalyBytes(slots));
  expect(raw.anomalyInit(at, DAY_MS, slots, 0.125, 5, deviationMin, 3, holdMs)).toBe(0);
  return at;
}
/** A reproducible stream of about normal numbers. */
function normal(seed: number): () => number {
  let state = seed;
  const unit = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return () => Array.from({ length: 12 }, unit).reduce((a, b) => a + b) - 6;
}

/** What the module comment says, with arrays. */
class Model {
  readonly #slots: Slot[];
  readonly #options: Required<Options>;
  #visit: { index: number; readings: number[] } | undefined;
  #visits = 0;
  #learnt = 0;
  #pooled = 0;
  #ofReadings = 0;
  visitZ = 0;

  constructor(options: Required<Options>) {
    this.#options = options;
    this.#slots = Array.from({ length: options.slots }, () => ({ mean: 0, variance: 0, visits: 0 }));
  }
  /** Squared difference and the limit that it must pass; no limit while nothing is flagged. */
  update(nowMs: number, reading: number): { squared: number; limit: number } {
    const { periodMs, slots, z, deviationMin, warmup } = this.#options;
    const index = Math.floor((nowMs * 1000) / Math.floor((periodMs * 1000) / slots));
    if (this.#visit === undefined || index > this.#visit.index) {
      if (this.#visit !== undefined) this.#learn(this.#visit);
      this.#visit = { index, readings: [] };
    }
    this.#visit.readings.push(reading);
    const slot = this.#slotOf(this.#visit.index);
    const isJudged = this.#visits >= warmup * slots && slot.visits > 0;
    return {
      squared: (reading - slot.mean) ** 2,
      limit: isJudged ? z * z * Math.max(this.#ofReadings, deviationMin ** 2) : Number.POSITIVE_INFINITY,
    };
  }
  mean(): number {
    return this.#slotOf(this.#visit?.index ?? 0).mean;
  }
  #slotOf(index: number): Slot {
    return this.#slots[index % this.#options.slots] as Slot;
  }
  #learn({ index, readings }: { index: number; readings: readonly number[] }): void {
    const { alpha, slots, deviationMin, warmup } = this.#options;
    const slot = this.#slotOf(index);
    const average = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
    const isWarm = this.#visits >= warmup * slots;
    this.#visits += 1;
    slot.visits += 1;
    this.visitZ = 0;
    if (slot.visits === 1) {
      slot.mean = average(readings);
      return;
    }
    let off = average(readings) - slot.mean;
    let squared = average(readings.map((it) => (it - slot.mean) ** 2));
    const floor = deviationMin ** 2;
    const deviation = Math.sqrt(Math.max((slot.variance + this.#pooled) / 2, floor));
    if (isWarm) this.visitZ = off / deviation;
    this.#learnt += 1;
    if (this.#learnt > 8) {
      if (deviation > 0) off = Math.max(-3 * deviation, Math.min(3 * deviation, off));
      const most = 9 * Math.max(this.#ofReadings, floor);
      if (most > 0) squared = Math.min(squared, most);
    }
    slot.mean += Math.max(alpha, 1 / slot.visits) * off;
    slot.variance += Math.max(alpha, 1 / (slot.visits - 1)) * (off ** 2 - slot.variance);
    const weight = Math.max(0.005, 1 / this.#learnt);
    this.#pooled += weight * (off ** 2 - this.#pooled);
    this.#ofReadings += weight * (squared - this.#ofReadings);
  }
}

test("expects, judges and clips as the model does, over odd periods, gaps and clocks that go back", () => {
  const step = fc.record({
    afterMs: fc.oneof(
      { weight: 20, arbitrary: fc.integer({ min: 1, max: 400 }) },
      { weight: 1, arbitrary: fc.integer({ min: -500, max: 20_000 }) },
    ),
    off: fc.oneof(
      { weight: 20, arbitrary: fc.float({ min: -2, max: 2, noNaN: true }) },
      { weight: 1, arbitrary: fc.float({ min: -200, max: 200, noNaN: true }) },
    ),
  });
  let [flagged, judged] = [0, 0];
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.integer({ min: 50, max: 3000 }),
      fc.constantFrom(0.05, 0.125, 0.5, 1),
      fc.array(step, { minLength: 100, maxLength: 400, size: "max" }),
      (slots, periodMs, alpha, steps) => {
        const options = { periodMs, slots, alpha, z: 4, deviationMin: 0.01, warmup: 2 };
        const at = baseline(options);
        const model = new Model({ ...options, alpha: Math.fround(alpha), deviationMin: Math.fround(0.01) });
        let nowMs = 1000;
        for (const { afterMs, off } of steps) {
          nowMs = Math.max(0, nowMs + afterMs);
          const reading = Math.fround(20 + off);
          const flag = raw.seasonalUpdate(at, nowMs, reading);
          const { squared, limit } = model.update(nowMs, reading);
          // f32 may see it otherwise where the two are all but equal.
          if (Math.abs(squared - limit) > 1e-3 * limit + 1e-4) expect(flag === 1).toBe(squared > limit);
          expect(Math.abs(raw.seasonalMean(at) - model.mean())).toBeLessThan(2e-3);
          expect(Math.abs(raw.seasonalVisitZ(at) - model.visitZ)).toBeLessThan(
            0.02 * Math.abs(model.visitZ) + 0.02,
          );
          flagged += flag;
          judged += Number.isFinite(limit) ? 1 : 0;
        }
      },
    ),
    { numRuns: 300 },
  );
  expect(flagged).toBeGreaterThan(100);
  expect(judged).toBeGreaterThan(10_000);
});

describe("a seasonal baseline", () => {
  test("knows that noon is warm and midnight is not, however often it is read", () => {
    for (const everyMs of [HOUR_MS, HOUR_MS / 4, HOUR_MS / 60]) {
      const noise = normal(5);
      const at = baseline();
      const celsius = (ms: number) => 20 + 8 * Math.sin(((Math.floor(ms / HOUR_MS) % 24) / 24) * 2 * Math.PI);
      let flags = 0;
      let nowMs = 0;
      for (; nowMs < 10 * DAY_MS; nowMs += everyMs) {
        flags += raw.seasonalUpdate(at, nowMs, celsius(nowMs) + 0.2 * noise());
      }
      expect(flags).toBe(0);
      // 28 degrees are what 6 o'clock has, and out of place at 18 o'clock.
      expect(raw.seasonalUpdate(at, nowMs + 6 * HOUR_MS, 28)).toBe(0);
      expect(raw.seasonalMean(at)).toBeCloseTo(28, 0);
      expect(raw.seasonalUpdate(at, nowMs + 18 * HOUR_MS, 28)).toBe(1);
      expect(raw.seasonalZ(at)).toBeGreaterThan(30);
    }
  });

  test("judges before it learns, flags nothing before its warm-up, and a glitch in the warm-up does not blind it", () => {
    const noise = normal(8);
    const at = baseline({ warmup: 3 });
    for (let hour = 0; hour < 24 * 6; hour += 1) {
      const glitch = hour === 50;
      const flag = raw.seasonalUpdate(at, hour * HOUR_MS, glitch ? 85 : 20 + 0.1 * noise());
      expect(flag).toBe(0);
      expect(raw.seasonalIsWarm(at) === 1).toBe(hour >= 24 * 3);
    }
    expect(raw.seasonalUpdate(at, 24 * 6 * HOUR_MS, 22)).toBe(1);
    // What was flagged is learnt clipped: the next day's hour expects it as little.
    for (let hour = 24 * 6 + 1; hour < 24 * 7; hour += 1)
      raw.seasonalUpdate(at, hour * HOUR_MS, 20 + 0.1 * noise());
    expect(raw.seasonalUpdate(at, 24 * 7 * HOUR_MS, 22)).toBe(1);
    expect(raw.seasonalMean(at)).toBeLessThan(20.3);
  });

  test("a change that lasts is learnt in the end; a constant signal that begins to move is too", () => {
    const noise = normal(4);
    const at = baseline();
    const flagsOn = (day: number, celsius: () => number) => {
      let flags = 0;
      for (let hour = day * 24; hour < (day + 1) * 24; hour += 1) {
        flags += raw.seasonalUpdate(at, hour * HOUR_MS, celsius());
      }
      return flags;
    };
    for (let day = 0; day < 10; day += 1) flagsOn(day, () => 20 + 0.5 * noise());
    expect(flagsOn(10, () => 25 + 0.5 * noise())).toBeGreaterThan(20);
    for (let day = 11; day < 40; day += 1) flagsOn(day, () => 25 + 0.5 * noise());
    expect(flagsOn(40, () => 25 + 0.5 * noise())).toBe(0);
    const still = baseline();
    for (let hour = 0; hour < 240; hour += 1) raw.seasonalUpdate(still, hour * HOUR_MS, 7);
    expect(raw.seasonalUpdate(still, 240 * HOUR_MS, 7.5)).toBe(1);
    let last = 0;
    for (let hour = 241; hour < 2400; hour += 1)
      last = raw.seasonalUpdate(still, hour * HOUR_MS, 7 + noise());
    expect(last).toBe(0);
  });

  test("sizes are as documented; what is no number or no time is refused and not learnt", () => {
    expect([0, 1, 24, 168, 1024, 1025].map((it) => raw.seasonalBytes(it))).toEqual([
      0, 104, 304, 1600, 9304, 0,
    ]);
    expect([raw.anomalyBytes(0), raw.anomalyBytes(24)]).toEqual([0, 344]);
    const at = core.allocate(raw.seasonalBytes(24));
    const bad: Parameters<typeof raw.seasonalInit>[] = [
      [at, DAY_MS, 0, 0.1, 5, 0, 3],
      [at, 0.01, 24, 0.1, 5, 0, 3],
      [at, Number.NaN, 24, 0.1, 5, 0, 3],
      [at, DAY_MS, 24, 0, 5, 0, 3],
      [at, DAY_MS, 24, 1.1, 5, 0, 3],
      [at, DAY_MS, 24, Number.NaN, 5, 0, 3],
      [at, DAY_MS, 24, 0.1, 0, 0, 3],
      [at, DAY_MS, 24, 0.1, 2000, 0, 3],
      [at, DAY_MS, 24, 0.1, 5, -1, 3],
      [at, DAY_MS, 24, 0.1, 5, 1e16, 3],
      [at, DAY_MS, 24, 0.1, 5, 0, 0],
      [at, DAY_MS, 24, 0.1, 5, 0, 1001],
    ];
    for (const it of bad) expect(raw.seasonalInit(...it), String(it)).toBe(ARGUMENT);
    const watching = monitor();
    expect(raw.anomalyInit(watching, DAY_MS, 24, 0.1, 5, 0, 3, -1)).toBe(ARGUMENT);
    const learning = baseline();
    for (const reading of [Number.NaN, Number.POSITIVE_INFINITY, 1e16, -1e16]) {
      expect(raw.seasonalUpdate(learning, 0, reading)).toBe(ARGUMENT);
      expect(raw.anomalyUpdate(watching, 0, reading)).toBe(ARGUMENT);
    }
    for (const time of [Number.NaN, -1, Number.POSITIVE_INFINITY]) {
      expect(raw.seasonalUpdate(learning, time, 1)).toBe(ARGUMENT);
    }
    for (let hour = 0; hour < 100; hour += 1)
      raw.seasonalUpdate(learning, hour * HOUR_MS, hour % 2 === 0 ? 1e15 : -1e15);
    expect(raw.seasonalMean(learning)).toBeGreaterThan(-2e15);
    expect(Number.isFinite(raw.seasonalDeviation(learning))).toBe(true);
  });
});

describe("a monitor", () => {
  test("says spike, risen or fallen, once, and until its hold is over no other alarm", () => {
    const noise = normal(6);
    const at = monitor();
    const alarmsOf = (fromHour: number, hours: number, celsius: () => number) =>
      Array.from({ length: hours }, (_, index) =>
        raw.anomalyUpdate(at, (fromHour + index) * HOUR_MS, celsius()),
      );
    expect(alarmsOf(0, 24 * 20, () => 20 + noise()).filter((it) => it !== 0)).toEqual([]);
    expect(alarmsOf(480, 3, () => 40)).toEqual([SPIKE, 0, 0]);
    expect(alarmsOf(483, 24 * 5, () => 20 + noise()).filter((it) => it !== 0)).toEqual([]);
    const risen = alarmsOf(603, 48, () => 23.2 + noise());
    expect(risen.slice(0, risen.indexOf(RISEN) + 24).filter((it) => it !== 0)).toEqual([RISEN]);
    expect(risen.indexOf(RISEN)).toBeLessThan(24);
    const later = alarmsOf(651, 24 * 40, () => 23.2 + noise());
    expect(later.slice(-24 * 20).filter((it) => it !== 0)).toEqual([]);
    expect(alarmsOf(1611, 24, () => 20 + noise())).toContain(FALLEN);
  });

  test("a year of noise, of days and of weekends gives no alarm, or few", () => {
    const streams: Record<string, (hour: number, noise: number) => number> = {
      noise: (_, noise) => 20 + noise,
      days: (hour, noise) => 20 + 8 * Math.sin((hour / 24) * 2 * Math.PI) + 0.3 * noise,
      weekends: (hour, noise) =>
        (Math.floor(hour / 24) % 7 < 5 ? 10 * Math.max(0, Math.sin((hour / 24) * 2 * Math.PI)) : 0) + noise,
    };
    const alarms = Object.entries(streams).map(([name, stream]) => {
      const noise = normal(3);
      const at = monitor();
      let count = 0;
      for (let hour = 0; hour < 365 * 24; hour += 1) {
        if (raw.anomalyUpdate(at, hour * HOUR_MS, stream(hour, noise())) > 0) count += 1;
      }
      return [name, count];
    });
    expect(Object.fromEntries(alarms)).toMatchObject({ noise: 0, days: 0 });
    expect(Object.fromEntries(alarms).weekends).toBeLessThan(12);
  });

  test("is a baseline, and a CUSUM of its visits, over random streams", () => {
    let alarms = 0;
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 2 ** 31 }),
        fc.array(
          fc.record({ hours: fc.integer({ min: 1, max: 60 }), off: fc.integer({ min: -6, max: 6 }) }),
          { minLength: 4, maxLength: 12, size: "max" },
        ),
        (seed, pieces) => {
          const noise = normal(seed);
          const watched = monitor();
          const [parts, cusum] = [baseline(), core.allocate(20)];
          expect(raw.cusumInit(cusum, 0, 1.75, 9)).toBe(0);
          let quietUntilHour = 0;
          let hour = 0;
          const feed = (reading: number) => {
            let alarm = raw.seasonalUpdate(parts, hour * HOUR_MS, reading) === 1 ? SPIKE : 0;
            const skipped = raw.seasonalSkipped(parts);
            if (skipped > 0) {
              const shift = raw.cusumUpdate(cusum, Math.max(-3, Math.min(3, raw.seasonalVisitZ(parts))));
              if (shift !== 0) alarm = shift > 0 ? RISEN : FALLEN;
              if (skipped >= 24) raw.cusumReset(cusum);
            }
            const told = alarm !== 0 && hour >= quietUntilHour ? alarm : 0;
            if (told !== 0) quietUntilHour = hour + 24;
            expect(raw.anomalyUpdate(watched, hour * HOUR_MS, reading)).toBe(told);
            alarms += told === 0 ? 0 : 1;
          };
          for (; hour < 24 * 6; hour += 1) feed(20 + noise());
          for (const { hours, off } of pieces) {
            for (let end = hour + hours; hour < end; hour += 1) feed(20 + off * 0.7 + noise());
            if (off === 6) hour += 30;
          }
        },
      ),
      { numRuns: 400 },
    );
    expect(alarms).toBeGreaterThan(150);
  });

  test("forgets the sums of before a silence of a period", () => {
    const noise = normal(9);
    const at = monitor();
    for (let hour = 0; hour < 24 * 20; hour += 1) raw.anomalyUpdate(at, hour * HOUR_MS, 20 + noise());
    const feed = (fromHour: number, hours: number) => {
      for (let hour = fromHour; hour < fromHour + hours; hour += 1) {
        if (raw.anomalyUpdate(at, hour * HOUR_MS, 23.5) > 0) return hour - fromHour;
      }
      return -1;
    };
    const needed = feed(480, 20);
    expect(needed).toBeGreaterThan(5);
    for (let hour = 600; hour < 1500; hour += 1) raw.anomalyUpdate(at, hour * HOUR_MS, 20 + noise());
    // Two halves of a shift, once with a week between them and once with none.
    expect(feed(1500, needed - 2)).toBe(-1);
    expect(feed(1700, needed - 2)).toBe(-1);
    for (let hour = 1710; hour < 2500; hour += 1) raw.anomalyUpdate(at, hour * HOUR_MS, 20 + noise());
    expect(feed(2500, needed - 2)).toBe(-1);
    expect(feed(2500 + needed - 2, needed - 2)).toBeGreaterThan(-1);
  });
});
