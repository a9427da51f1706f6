/**
 * The device's detector on two industrial temperature series with labelled failures (Numenta Anomaly Benchmark, MIT), streamed row by row as a sensor
 * would be read: every row, from the first on, nothing trimmed, one set of parameters, the defaults of apps and host.
 *
 * How alarms are counted: each alarm that anomalyUpdate gives is one; nothing is merged here (the monitor itself raises none within 24 h of its last). One whose
 * time lies in a labelled window is that window's; all others count as false, also where a window ended an hour ago, also during warm-up. Weeks are
 * any seven days that begin with a false alarm, which is never fewer than calendar weeks would count.
 */
import { describe, expect, test } from "vitest";
import { openTestCore } from "../support/core.ts";
import { sharedFolder } from "../support/shared-data.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const core = openTestCore();
const { raw } = core;
const data = sharedFolder("nab");
const NAMES = ["ambient_temperature_system_failure", "machine_temperature_system_failure"] as const;

interface Series {
  readonly rows: readonly (readonly [timeMs: number, value: number])[];
  readonly windows: readonly (readonly [fromMs: number, toMs: number])[];
}
const utcMs = (text: string) => Date.parse(`${text.slice(0, 19).replace(" ", "T")}Z`);

function seriesOf(name: string): Series {
  const windows = JSON.parse(data.read("windows.json"))[`realKnownCause/${name}.csv`] as [string, string][];
  const [, ...lines] = data.read(`${name}.csv`).trim().split("\n");
  return {
    rows: lines.map((line) => {
      const [time = "", value] = line.split(",");
      return [utcMs(time), Number(value)] as const;
    }),
    windows: windows.map(([from, to]) => [utcMs(from), utcMs(to)] as const),
  };
}

interface Verdict {
  /** Alarms in each window. */
  readonly hits: readonly number[];
  readonly falseAlarms: number;
  /** The most in any seven days. */
  readonly worstWeek: number;
}
function judge({ windows }: Series, alarms: readonly number[]): Verdict {
  const windowOf = (timeMs: number) => windows.findIndex(([from, to]) => timeMs >= from && timeMs <= to);
  const outside = alarms.filter((timeMs) => windowOf(timeMs) === -1);
  const weeks = outside.map((from) => outside.filter((it) => it >= from && it < from + 7 * DAY_MS).length);
  return {
    hits: windows.map((_, index) => alarms.filter((timeMs) => windowOf(timeMs) === index).length),
    falseAlarms: outside.length,
    worstWeek: Math.max(0, ...weeks),
  };
}
const holds = ({ hits, worstWeek }: Verdict) => hits.every((it) => it > 0) && worstWeek <= 2;

function monitored({ rows }: Series, shiftMs = 0): number[] {
  const at = core.allocate(raw.anomalyBytes(24));
  expect(raw.anomalyInit(at, DAY_MS, 24, 0.125, 5, 0, 3, DAY_MS)).toBe(0);
  return rows
    .filter(([timeMs, value]) => raw.anomalyUpdate(at, timeMs + shiftMs, value) > 0)
    .map(([timeMs]) => timeMs);
}

/** The monitor out of its parts, so that thresholds can be other than they are. */
function composed({ rows }: Series, { alpha = 0.125, z = 5, slack = 1.75, threshold = 9, holdMs = DAY_MS }) {
  const [seasonal, cusum] = [core.allocate(raw.seasonalBytes(24)), core.allocate(20)];
  raw.seasonalInit(seasonal, DAY_MS, 24, alpha, z, 0, 3);
  raw.cusumInit(cusum, 0, slack, threshold);
  let quietUntilMs = 0;
  const alarms: number[] = [];
  for (const [timeMs, value] of rows) {
    let isAlarm = raw.seasonalUpdate(seasonal, timeMs, value) === 1;
    const skipped = raw.seasonalSkipped(seasonal);
    if (skipped > 0) {
      const visit = Math.max(-3, Math.min(3, raw.seasonalVisitZ(seasonal)));
      if (raw.cusumUpdate(cusum, visit) !== 0) isAlarm = true;
      if (skipped >= 24) raw.cusumReset(cusum);
    }
    if (!isAlarm || timeMs < quietUntilMs) continue;
    quietUntilMs = timeMs + holdMs;
    alarms.push(timeMs);
  }
  return alarms;
}

describe.skipIf(!data.isThere)(`two series of the Numenta Anomaly Benchmark${data.note}`, () => {
  test("with one set of parameters every window is hit, and no seven days have more than two false alarms", () => {
    const verdicts = NAMES.map((name) => {
      const series = seriesOf(name);
      return judge(series, monitored(series));
    });
    // 7,267 hourly rows of 47 weeks, and 22,695 rows at 5 minutes of 11 weeks.
    expect(verdicts).toEqual([
      { hits: [2, 1], falseAlarms: 8, worstWeek: 2 },
      { hits: [1, 1, 1, 2], falseAlarms: 1, worstWeek: 1 },
    ]);
  });

  test("wherever in the hour the day's slots begin", () => {
    for (const shiftMinutes of [7, 13, 20, 30, 45, 59]) {
      for (const name of NAMES) {
        const series = seriesOf(name);
        expect(holds(judge(series, monitored(series, shiftMinutes * 60_000))), `${shiftMinutes} min`).toBe(
          true,
        );
      }
    }
  });

  test("the monitor is its parts, and a step to either side of each threshold does as well", () => {
    const all = NAMES.map(seriesOf);
    for (const series of all) expect(composed(series, {})).toEqual(monitored(series));
    const neighbours = [
      ...[{ alpha: 0.1 }, { alpha: 0.15 }, { z: 4 }, { z: 6 }, { z: 8 }],
      ...[{ slack: 1.6 }, { slack: 1.9 }, { threshold: 8 }, { threshold: 10 }, { slack: 1.6, threshold: 10 }],
      ...[{ slack: 1.9, threshold: 8 }, { holdMs: 48 * HOUR_MS }],
    ];
    const failing = neighbours.filter(
      (it) => !all.every((series) => holds(judge(series, composed(series, it)))),
    );
    expect(failing).toEqual([]);
  });
});
