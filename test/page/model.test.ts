/** The page's logic without a browser. */
import { describe, expect, test } from "vitest";
import {
  agoText,
  bytesText,
  numberText,
  parseArguments,
  parseValue,
  valueText,
} from "../../host/api/ui/format.ts";
import {
  apply,
  type FleetQuery,
  groupsOf,
  LOG_LINES_MAX,
  newModel,
  select,
  tick,
  windowOf,
} from "../../host/api/ui/model.ts";
import { device } from "../support/fake-service.ts";

describe("what people read", () => {
  test.each([
    [21.5321, "Cel", "21.53 °C"],
    [0.00421, "kW.h", "0.00421 kWh"],
    [1013.2, "hPa", "1,013 hPa"],
    [0, "1", "0"],
    [undefined, "V", "–"],
    [Number.NaN, "V", "– V"],
  ])("%s %s is %s", (value, unit, text) => expect(valueText(value, unit)).toBe(text));

  test.each([
    [0, "now"],
    [12_000, "12 s ago"],
    [240_000, "4 min ago"],
    [4 * 3_600_000, "4 h ago"],
    [9 * 86_400_000, "9 d ago"],
    [-5, "now"],
    [Number.NaN, "never"],
  ])("%s ms is %s", (age, text) => expect(agoText(age)).toBe(text));

  test("sizes and numbers", () => {
    expect([999, 1500, 104e6, 3e9].map(bytesText)).toEqual(["999 B", "1.5 kB", "104 MB", "3 GB"]);
    expect(numberText(Number.POSITIVE_INFINITY)).toBe("–");
  });

  test("what is typed becomes a value", () => {
    expect(["true", "27.5", " auto ", ""].map(parseValue)).toEqual([true, 27.5, "auto", undefined]);
    expect(parseArguments("seconds=5  zone=north")).toEqual({ args: { seconds: 5, zone: "north" } });
    expect(parseArguments("seconds")).toEqual({ wrong: "seconds" });
    expect(parseArguments("=5")).toEqual({ wrong: "=5" });
  });
});

describe("the model", () => {
  const readings = (value: number, timeMs: number) =>
    ({
      type: "readings",
      offset: 1,
      device: "gh-1",
      readings: [{ metric: "temperature", timeMs, value }],
    }) as const;

  test("follows readings, and never goes back in time", () => {
    const model = newModel();
    apply(model, readings(1, 1));
    expect(model.devices.size).toBe(0);
    apply(model, { type: "device", offset: 1, device: device("gh-1") });
    apply(model, readings(22, 1_900_000_000_000));
    apply(model, readings(19, 1_000));
    expect(model.devices.get("gh-1")).toMatchObject({
      lastSeenMs: 1_900_000_000_000,
      counts: { readings: 102 },
    });
    expect(model.devices.get("gh-1")?.metrics[0]).toMatchObject({ value: 22 });
    tick(model, 1000);
    expect(model.rates.get("gh-1")).toBe(2);
    tick(model, 1000);
    expect(model.rates.get("gh-1")).toBe(1.5);
    model.countFromMs = 2_000_000_000_000;
    apply(model, readings(20, 1_900_000_000_001));
    tick(model, 1000);
    expect(model.rates.get("gh-1")).toBe(1.125);
  });

  test("keeps a bounded log, commands by id, alerts by raising", () => {
    const model = newModel();
    for (let at = 0; at < LOG_LINES_MAX + 20; at += 1) {
      apply(model, {
        type: "log",
        offset: at,
        device: "a",
        timeMs: at,
        hlc: String(at),
        hlcFrom: "device",
        severity: "info",
        name: "log",
        text: `${at}`,
      });
    }
    expect(model.logs.get("a")).toHaveLength(LOG_LINES_MAX);
    expect(model.logs.get("a")?.[0]?.text).toBe(`${LOG_LINES_MAX + 19}`);
    const command = { device: "a", id: 7, name: "water", sentMs: 1 } as const;
    apply(model, { type: "command", offset: 1, command: { ...command, state: "sent" } });
    apply(model, { type: "command", offset: 2, command: { ...command, state: "acked" } });
    expect(model.commands.get("a")).toMatchObject([{ state: "acked" }]);
    const alert = { id: "x", code: "DISK_FULL", severity: "critical", message: "", raisedMs: 1 } as const;
    apply(model, { type: "alert", offset: 1, alert });
    apply(model, { type: "alert", offset: 2, alert: { ...alert, clearedMs: 2 } });
    expect(model.alerts).toMatchObject([{ clearedMs: 2 }]);
  });

  test("searches, filters and sorts", () => {
    const model = newModel();
    const errors = (count: number) => ({ ...device("x").counts, errors: count });
    for (const one of [
      device("b-2", { counts: errors(5) }),
      device("a-1", { state: "offline", board: "pico" }),
      device("c-3", { app: "blink" }),
    ])
      model.devices.set(one.id, one);
    const all: FleetQuery = { search: "", state: "all", group: "", sort: "id", descending: false };
    const ids = (query: Partial<FleetQuery>) => select(model, { ...all, ...query }).map(({ id }) => id);
    expect(ids({})).toEqual(["a-1", "b-2", "c-3"]);
    expect(ids({ descending: true })).toEqual(["c-3", "b-2", "a-1"]);
    expect(ids({ sort: "errors", descending: true })).toEqual(["b-2", "a-1", "c-3"]);
    expect(ids({ search: "PICO green" })).toEqual(["a-1"]);
    expect(ids({ state: "offline" })).toEqual(["a-1"]);
    expect(groupsOf(model)).toEqual(["blink on virtual", "greenhouse on pico", "greenhouse on virtual"]);
    expect(ids({ group: "greenhouse on virtual" })).toEqual(["b-2"]);
  });

  test.each([0, 1, 39, 40, 39_999, 79_960, 1e9])(
    "at %s px the window holds what is seen and at most 76 rows",
    (scrollPx) => {
      const { first, end } = windowOf({ scrollPx, heightPx: 800, rowPx: 40, count: 2000, most: 76 });
      expect(end - first).toBeLessThanOrEqual(76);
      expect(first).toBeGreaterThanOrEqual(0);
      expect(end).toBeLessThanOrEqual(2000);
      const seen = Math.min(1999, Math.floor(scrollPx / 40));
      expect(first <= seen && seen < end).toBe(true);
    },
  );
});
