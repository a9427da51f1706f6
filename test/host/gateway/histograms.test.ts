/** Histograms of devices: what a gateway adds up is what devices recorded, each report once, whatever is lost, repeated or restarted on the way. */
import { describe, expect, test } from "vitest";
import { VirtualBoard } from "../../../boards/simulators/virtual/board.ts";
import { openCore } from "../../../host/core/core.ts";
import { readCoreBytes } from "../../../host/core/core-bytes.ts";
import { createHistogram, type Histogram } from "../../../host/core/histogram.ts";
import { type HistogramParts, readHistogram } from "../../../host/core/histogram-bytes.ts";
import { meanOf, mergeHistograms, quantileOf } from "../../../host/core/sparse-histogram.ts";
import { type DeviceRow, newRow } from "../../../host/gateway/device-row.ts";
import { FIRMWARES_MAX, Histograms, SERIES_MAX } from "../../../host/gateway/histograms.ts";
import { memoryState } from "../../../host/store/memory-state.ts";
import { decodeMessage } from "../../../protocols/message.ts";
import type { Telemetry } from "../../../protocols/messages.generated.ts";
import { builtApp, systemModule } from "../../support/board-rig.ts";
import type { DeviceModel } from "../../support/device-model.ts";
import { GatewayWorld, SITE } from "../../support/gateway-world.ts";

const core = openCore(readCoreBytes());

function of(values: readonly number[], bits = 5): Histogram {
  const histogram = createHistogram(core, { bits });
  for (const value of values) histogram.record(value);
  return histogram;
}

function figures(histogram: Histogram) {
  return {
    ...{ count: histogram.total, min: histogram.min, max: histogram.max, mean: histogram.mean },
    ...{ p50: histogram.quantile(0.5), p90: histogram.quantile(0.9), p99: histogram.quantile(0.99) },
  };
}

describe("a gateway and devices of the protocol's model", () => {
  test("adds up reports of a device, and over devices of one firmware", async () => {
    const world = new GatewayWorld();
    await world.open();
    const devices = [await world.device("one"), await world.device("two")] as const;
    for (const device of devices) device.connect();
    await world.clock.advance(10);
    const said: readonly (readonly number[])[] = [[5, 5, 900], [7], [100_000, 3]];
    devices[0].histogram(0, of(said[0] as number[]).toBytes());
    await world.clock.advance(1000);
    devices[0].histogram(0, of(said[1] as number[]).toBytes());
    devices[1].histogram(0, of(said[2] as number[], 7).toBytes());
    await world.clock.advance(1000);
    expect(world.gateway.deviceHistograms("one")).toMatchObject([
      {
        metric: "temperature",
        unit: "Cel",
        app: "test",
        version: "1.0.0",
        ...figures(of([5, 5, 900, 7])),
        perSecond: 1,
      },
    ]);
    expect(world.gateway.histograms()).toMatchObject([
      { metric: "temperature", devices: 2, sum: 100_920, ...figures(of([5, 5, 900, 7, 100_000, 3])) },
    ]);
    // Two values in the second second of the one that reported in both, and those since boot of the other.
    expect(world.gateway.histograms()[0]?.perSecond).toBeCloseTo(1 + 2 / 1.01, 1);
    await world.clock.advance(60_000);
    expect(world.gateway.histograms()[0]?.perSecond).toBe(0);
    expect(world.gateway.deviceHistograms("nobody")).toEqual([]);
    await world.settle(world.gateway.close());
  });

  test("a histogram that does not add up is stored, counted nowhere, and told of; the device goes on", async () => {
    const world = new GatewayWorld();
    await world.open();
    const device = await world.device("one");
    device.connect();
    await world.clock.advance(10);
    const good = of([1, 2, 3]).toBytes();
    const lying = Uint8Array.from(good, (byte, index) => (index === 10 ? 99 : byte));
    device.histogram(0, lying);
    device.histogram(0, Uint8Array.of());
    device.histogram(0, good.subarray(0, good.length - 1));
    device.histogram(0, good);
    await world.clock.advance(1000);
    expect(device.held).toBe(0);
    expect(world.gateway.deviceHistograms("one")).toMatchObject([{ count: 3 }]);
    expect(world.gateway.errors()).toMatchObject([{ code: "HISTOGRAM_INVALID", count: 3 }]);
    // After a restart from the log the same, and nobody is told of it again.
    await world.crash("kill");
    await world.clock.advance(1000);
    expect(world.gateway.deviceHistograms("one")).toMatchObject([{ count: 3 }]);
    expect(world.gateway.errors().filter(({ code }) => code === "HISTOGRAM_INVALID")).toEqual([]);
  });

  test.each(Array.from({ length: 12 }, (_, at) => at + 1))(
    "seed %i: each report counts once, over losses, repetitions, resets and crashes",
    async (seed) => {
      const world = new GatewayWorld(seed, { syncMs: 3, dropProbability: 0.05, duplicateProbability: 0.05 });
      const random = world.random.fork("driver");
      await world.open();
      const devices = [await world.device("one"), await world.device("two")];
      for (const device of devices) device.connect();
      const recorded = devices.map((): number[] => []);
      const act = (device: DeviceModel, all: number[]) => {
        const dice = random.below(100);
        if (dice < 60) {
          const values = Array.from({ length: 1 + random.below(40) }, () =>
            random.below(2 ** (1 + random.below(32))),
          );
          all.push(...values);
          device.histogram(0, of(values).toBytes());
        } else if (dice < 75) device.resend();
        else if (dice < 85) device.disconnect();
        else if (dice < 95) {
          if (!device.linkUp) device.connect();
        } else device.warmReset();
      };
      for (let step = 0; step < 60; step += 1) {
        for (const [index, device] of devices.entries()) act(device, recorded[index] as number[]);
        if (random.chance(0.05))
          world.disk.crashAfter(1 + random.below(12), random.chance(0.5) ? "power" : "kill");
        await world.clock.advance(random.below(60));
        if (world.fatal.length > 0) {
          world.disk.disarm();
          await world.crash(random.chance(0.5) ? "power" : "kill");
          world.fatal.length = 0;
        }
      }
      world.disk.disarm();
      await world.crash("power");
      for (let turn = 0; turn < 200 && devices.some((device) => device.held > 0 || !device.open); turn += 1) {
        for (const device of devices) {
          if (!device.linkUp) device.connect();
          else if (!device.open || turn % 5 === 4) device.hello();
          else device.resend();
        }
        await world.clock.advance(700);
      }
      expect(devices.map(({ held }) => held)).toEqual([0, 0]);
      for (const [index, id] of ["one", "two"].entries()) {
        expect(world.gateway.deviceHistograms(id), id).toMatchObject([
          figures(of(recorded[index] as number[])),
        ]);
      }
      expect(world.gateway.histograms()).toMatchObject([figures(of(recorded.flat()))]);
      await world.settle(world.gateway.close());
    },
  );
});

describe("bounds and state", () => {
  const hello = (row: DeviceRow, app: string, metrics: readonly string[]) => {
    row.app = app;
    row.version = "1";
    row.boots = [
      { boot: 1, originMs: 0, metrics: metrics.map((name) => ({ name, unit: "us" })), app, version: "1" },
    ];
  };
  const report = (uptimeUs: number, values: readonly number[], histogramMetric = 0): Telemetry => ({
    ...{ kind: "telemetry", boot: 1, seq: 1, uptimeUs, readings: [], histogramMetric },
    histogram: of(values).toBytes(),
  });

  test("a device has as many series as metrics, a gateway as many sums as it says; the quietest makes room", () => {
    const histograms = new Histograms();
    const row = newRow("one");
    let offset = 0;
    for (let turn = 0; turn < 5; turn += 1) {
      const names = Array.from({ length: SERIES_MAX }, (_, at) => `m${turn * SERIES_MAX + at}`);
      hello(row, "app", names);
      for (let at = 0; at < SERIES_MAX; at += 1) {
        offset += 1;
        histograms.apply(row, report(1, [at], at), offset);
      }
    }
    const names = histograms.ofDevice("one").map(({ metric }) => metric);
    expect(names).toEqual(Array.from({ length: SERIES_MAX }, (_, at) => `m${4 * SERIES_MAX + at}`));
    const sums = histograms.ofFirmwares(0).map(({ metric }) => Number(metric.slice(1)));
    expect(sums).toHaveLength(FIRMWARES_MAX);
    expect(Math.min(...sums)).toBe(5 * SERIES_MAX - FIRMWARES_MAX);
  });

  test("another firmware's values begin a series anew, and stay in the sum of their own", () => {
    const histograms = new Histograms();
    const row = newRow("one");
    hello(row, "old", ["late"]);
    histograms.apply(row, report(1_000_000, [1, 2]), 1);
    hello(row, "new", ["late"]);
    histograms.apply(row, report(1_000_000, [3]), 2);
    expect(histograms.ofDevice("one")).toMatchObject([{ app: "new", count: 1, perSecond: 1 }]);
    expect(histograms.ofFirmwares(0)).toMatchObject([
      { app: "new", count: 1, devices: 1 },
      { app: "old", count: 2, devices: 0 },
    ]);
  });

  test("pieces of one report count as one in the rate; an empty one, and one without its metric, are nothing", () => {
    const histograms = new Histograms();
    const row = newRow("one");
    hello(row, "app", ["late"]);
    histograms.apply(row, report(1_000_000, [1]), 1);
    histograms.apply(row, report(3_000_000, [1, 2]), 2);
    histograms.apply(row, report(3_000_000, [3, 4]), 3);
    expect(histograms.ofDevice("one")).toMatchObject([{ count: 5, perSecond: 2 }]);
    expect(histograms.apply(row, report(4_000_000, []), 4)).toBeUndefined();
    const { histogramMetric: _, ...without } = report(5_000_000, [1]);
    expect(histograms.apply(row, without, 5)).toMatch(/go together/);
    expect(histograms.ofDevice("one")).toMatchObject([{ count: 5, lastMs: 3000 }]);
  });

  test("are what they were after a restart, to the last bucket, and go on from there", async () => {
    const [kept, other] = [new Histograms(), new Histograms()];
    const state = memoryState();
    const row = newRow("one");
    hello(row, "app/µ", ["late"]);
    for (let at = 1; at < 9; at += 1) kept.apply(row, report(at * 1_000_000, [at * 1000, 4_294_967_295]), at);
    await state.transaction((transaction) => kept.save(transaction));
    other.load(state);
    for (const histograms of [kept, other]) histograms.apply(row, report(9_000_000, [7]), 9);
    expect(other.ofDevice("one")).toEqual(kept.ofDevice("one"));
    expect(other.ofFirmwares(9000)).toEqual(kept.ofFirmwares(9000));
    expect(kept.ofDevice("one")).toMatchObject([{ count: 17, max: 4_294_967_295 }]);
  });
});

describe("a virtual board and a gateway", () => {
  test.each([1, 2, 3])(
    "seed %i: what the firmware sent is added up once, through losses, resets and crashes",
    async (seed) => {
      const world = new GatewayWorld(seed, { syncMs: 2, dropProbability: 0.1, duplicateProbability: 0.1 });
      const random = world.random.fork("driver");
      await world.open();
      const built = await builtApp("test/fixtures/apps/histograms/app.ts");
      // By number: a message that was sent again is the same message.
      const sent = new Map<string, HistogramParts>();
      let client = world.broker.connect({ clientId: "pot" });
      const dice = world.random.fork("analog");
      const board = new VirtualBoard({
        ...{ id: "pot", clock: world.clock, system: await systemModule(), random: () => world.random.u32() },
        image: {
          app: await WebAssembly.compile(built.wasm),
          ...{ name: built.manifest.name, version: built.manifest.version, capabilities: built.capabilities },
        },
        analog: () => dice.unit() ** 3,
        link: {
          kind: "message",
          send: (bytes) => {
            const decoded = decodeMessage(bytes);
            const message = decoded.ok ? decoded.message : undefined;
            if (message?.kind === "telemetry" && message.histogram !== undefined) {
              const key = `${message.boot} ${message.seq}`;
              const parts = readHistogram(message.histogram);
              expect(sent.get(key) ?? parts).toEqual(parts);
              sent.set(key, parts);
            }
            client.publish(`tardi/${SITE}/pot/up`, bytes, { qos: 1 });
            return true;
          },
        },
      });
      const listen = () =>
        client.subscribe(`tardi/${SITE}/pot/down`, ({ payload }) => board.receive(payload));
      await listen();
      board.powerOn();
      board.setLink(true);
      for (let step = 0; step < 40; step += 1) {
        await world.clock.advance(500 + random.below(4000));
        const what = random.below(10);
        if (what === 0) board.reset(random.chance(0.5) ? "watchdog" : "software");
        else if (what < 3) board.setLink(false);
        else if (what === 3) {
          board.setLink(false);
          await world.crash(random.chance(0.5) ? "kill" : "power");
          client = world.broker.connect({ clientId: "pot" });
          await listen();
        }
        if (what === 0 || random.chance(0.6)) board.setLink(true);
      }
      board.pauseApp();
      board.setLink(true);
      for (let turn = 0; turn < 60 && board.figures().messagesHeld > 0; turn += 1)
        await world.clock.advance(2000);
      await world.clock.advance(1000);
      expect(board.figures()).toMatchObject({ messagesHeld: 0, readingsDropped: 0 });
      const all = [...sent.values()].reduce(mergeHistograms);
      expect(all.count).toBeGreaterThan(300);
      const [shares, mean] = [[0.5, 0.9, 0.99].map((share) => quantileOf(all, share)), meanOf(all)];
      expect(world.gateway.deviceHistograms("pot")).toMatchObject([
        {
          metric: "level",
          count: all.count,
          min: all.lowest,
          max: all.highest,
          mean,
          p50: shares[0],
          p90: shares[1],
          p99: shares[2],
        },
      ]);
      await world.settle(world.gateway.close());
    },
    60_000,
  );
});
