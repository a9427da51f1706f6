/** The SDK's statistics, samplers and clocks as an app sees them, on the virtual board. */
import { describe, expect, test } from "vitest";
import { openCore } from "../../host/core/core.ts";
import { readCoreBytes } from "../../host/core/core-bytes.ts";
import { createHistogram } from "../../host/core/histogram.ts";
import { readHistogram } from "../../host/core/histogram-bytes.ts";
import { mergeHistograms } from "../../host/core/sparse-histogram.ts";
import { CAPABILITIES, ERRORS } from "../../protocols/table.ts";
import { boardRig, type Rig } from "../support/board-rig.ts";

const APP = "test/fixtures/apps/statistics/app.ts";
const [SPIKE, RISEN] = [1, 2];

test("an app's monitor learns its day, and says what does not belong there", async () => {
  let offset = 0;
  let nowMs = () => 0;
  // A day of 24 s between 30 and 50, with a ripple.
  const analog = () => {
    const ms = nowMs();
    return (40 + 10 * Math.sin((ms / 24_000) * 2 * Math.PI) + Math.sin(ms * 7.7) + offset) / 100;
  };
  const rig = await boardRig(APP, { analog });
  nowMs = () => rig.clock.monotonicMs();
  rig.board.powerOn();
  rig.board.setLink(true);
  const alarms = () => rig.of("event").map(({ value }) => value);
  const ask = async (name: string, of?: number) => {
    const id = 100 + rig.of("commandResult").length;
    rig.send({ kind: "command", id, name, args: of === undefined ? [] : [{ key: "of", value: of }] });
    await rig.clock.advance(20);
    const answer = rig.of("commandResult").find((it) => it.id === id);
    expect(answer, name).toMatchObject({ code: 0 });
    return Number(answer?.result);
  };
  await rig.clock.advance(400_000);
  expect(alarms()).toEqual([]);
  const [middle, estimate, mean] = [await ask("figure", 0), await ask("figure", 1), await ask("figure", 2)];
  for (const it of [middle, estimate, mean]) expect(Math.abs(it - 40)).toBeLessThan(2.5);
  expect(await ask("figure", 3)).toBe(0);
  expect(Math.abs((await ask("figure", 4)) - 0.5)).toBeLessThan(0.05);
  expect(await ask("figure", 5)).toBe(0);
  // 5 each ten seconds, and about 10 of 100.
  expect(Math.abs((await ask("figure", 6)) - 200)).toBeLessThan(5);
  const about = await ask("figure", 7);
  expect(about).toBeGreaterThan(400);
  expect(about).toBeLessThan(800);
  expect(Math.abs((await ask("figure", 8)) - 40)).toBeLessThan(12);
  expect(await ask("figure", 9)).toBeGreaterThan(4000);
  expect(await ask("clocks")).toBe(1);
  offset = 30;
  await rig.clock.advance(5000);
  expect(alarms()).toEqual([SPIKE]);
  expect(await ask("figure", 3)).toBeGreaterThan(20);
}, 60_000);

test("a shift that no reading shows is found, and options out of range are refused", async () => {
  let offset = 0;
  let state = 5;
  const analog = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (40 + 4 * (state / 2 ** 32 - 0.5) + offset) / 100;
  };
  const rig = await boardRig(APP, { analog });
  rig.board.powerOn();
  rig.board.setLink(true);
  await rig.clock.advance(200_000);
  expect(rig.of("event")).toEqual([]);
  offset = 1.5;
  await rig.clock.advance(30_000);
  expect(rig.of("event").map(({ value }) => value)).toEqual([RISEN]);
  rig.send({ kind: "command", id: 9, name: "refused", args: [] });
  await rig.clock.advance(50);
  expect(rig.of("commandResult").at(-1)).toMatchObject({ code: 0, result: 10 });
}, 60_000);

describe("histograms that an app reports", () => {
  const HISTOGRAMS = "test/fixtures/apps/histograms/app.ts";
  const core = openCore(readCoreBytes());
  const reported = (rig: Rig, metric: number) =>
    rig
      .of("telemetry")
      .filter(({ histogramMetric }) => histogramMetric === metric)
      .map(({ histogram }) => readHistogram(histogram ?? Uint8Array.of()));

  test("merge into all values that were recorded, to the last", async () => {
    const whole = createHistogram(core, { bits: 5 });
    let read = 0;
    const rig = await boardRig(HISTOGRAMS, {
      analog: () => {
        read += 1;
        const share = ((read * 7919) % 997) / 997;
        whole.record(Math.round(share * 65_535));
        return share;
      },
    });
    rig.board.powerOn();
    rig.board.setLink(true);
    await rig.clock.advance(40_000);
    const all = reported(rig, 0);
    expect(all).toHaveLength(20);
    expect(rig.of("telemetry").every(({ readings }) => readings.length === 0)).toBe(true);
    const merged = all.reduce(mergeHistograms);
    expect(read).toBeGreaterThan(390);
    expect(merged).toEqual(readHistogram(whole.toBytes()));
  });

  test("take as many messages as they need, four at most; more is refused, and nothing is lost", async () => {
    const rig = await boardRig(HISTOGRAMS);
    rig.board.powerOn();
    rig.board.setLink(true);
    await rig.clock.advance(100);
    const ask = async (name: string, values = 0) => {
      const id = 100 + rig.of("commandResult").length;
      rig.send({ kind: "command", id, name, args: [{ key: "values", value: values }] });
      await rig.clock.advance(50);
      return rig.of("commandResult").find((it) => it.id === id)?.result;
    };
    expect(await ask("fill", 500)).toBe(0);
    const pieces = reported(rig, 1);
    expect(pieces.length).toBeGreaterThan(1);
    expect(pieces.length).toBeLessThanOrEqual(4);
    const whole = createHistogram(core, { bits: 7 });
    for (let value = 0; value < 500; value += 1) whole.record(value * value);
    expect(pieces.reduce(mergeHistograms)).toEqual(readHistogram(whole.toBytes()));
    expect(await ask("left")).toBe(0);
    expect(await ask("fill", 4000)).toBe(-ERRORS.MESSAGE_OVERSIZE.number);
    expect(await ask("left")).toBe(4000);
    expect(reported(rig, 1)).toHaveLength(pieces.length);
    expect(await ask("refused")).toBe(-ERRORS.ARGUMENT.number);
  });

  test("without the capability they are kept, and sent by nobody", async () => {
    const rig = await boardRig(HISTOGRAMS, { capabilities: 1 << CAPABILITIES.commands });
    rig.board.powerOn();
    rig.board.setLink(true);
    await rig.clock.advance(5000);
    expect(rig.of("telemetry")).toEqual([]);
    expect(rig.traps).toEqual([]);
  });
});
