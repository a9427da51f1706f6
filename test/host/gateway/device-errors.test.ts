/** Errors of a device in the gateway's monitor: records of the protocol's model, and a virtual board's over a reset. */
import { describe, expect, test } from "vitest";
import { VirtualBoard } from "../../../boards/simulators/virtual/board.ts";
import { DeviceErrors, deviceErrorOf, TIMES_MAX, textOf } from "../../../host/gateway/device-errors.ts";
import { ErrorMonitor } from "../../../host/gateway/error-monitor.ts";
import { SimulatedClock } from "../../../host/world/clock.ts";
import type { Error as ErrorRecord } from "../../../protocols/messages.generated.ts";
import { ERRORS } from "../../../protocols/table.ts";
import { builtApp, systemModule } from "../../support/board-rig.ts";
import { GatewayWorld, SITE } from "../../support/gateway-world.ts";
import { quietLogger, RecordingMeter } from "../../support/quiet.ts";

const record = (more: Partial<ErrorRecord> = {}): ErrorRecord => ({
  kind: "error",
  ...{ boot: 3, seq: 9, uptimeUs: 5_000_000, code: ERRORS.SENSOR_RANGE.number },
  ...{ severity: 1, component: "pump", count: 1, ...more },
});

describe("a record", () => {
  test("keeps its context: operation, detail, trace id, and the device's own stamp", () => {
    const trace = Uint8Array.from({ length: 16 }, (_, index) => index * 16);
    const { context, severity } = deviceErrorOf(
      record({ operation: "fill", detail: 7, trace, hlc: 99n }),
      100n,
    );
    expect(severity).toBe("warning");
    expect(context).toMatchObject({
      ...{
        number: ERRORS.SENSOR_RANGE.number,
        count: 1,
        boot: 3,
        uptimeUs: 5_000_000,
        operation: "fill",
        detail: 7,
      },
      ...{ traceId: "00102030405060708090a0b0c0d0e0f0", hlc: "99", hlcFrom: "device" },
    });
  });

  test("without a stamp has the log's, and says whose it is", () => {
    expect(deviceErrorOf(record(), 5n).context).toMatchObject({ hlc: "5", hlcFrom: "gateway" });
  });

  test("whose stamp was refused as too far ahead, and so is above the log's, has the log's", () => {
    expect(deviceErrorOf(record({ hlc: 6n }), 5n).context).toMatchObject({ hlc: "5", hlcFrom: "gateway" });
  });

  test("of a newer version's code keeps the number", () => {
    const error = deviceErrorOf(record({ code: 299 }), 5n);
    expect([error.code, error.context.number, error.message]).toEqual([
      "ERROR_UNKNOWN",
      299,
      "pump: error 299",
    ]);
  });

  test("of a restart says why, and what was before", () => {
    const before = [
      { code: ERRORS.APP_TRAP.number, component: "system", count: 2, uptimeUs: 12_340_000, detail: 5 },
      { code: 299, component: "", count: 1, uptimeUs: 0, detail: 0 },
    ];
    const told = record({ code: ERRORS.RESTARTED.number, component: "system", detail: 2, count: 3, before });
    expect(textOf(told)).toBe(
      "system: The board restarted (watchdog, crash 3 in a row); before: APP_TRAP in system at 12.3 s, 2 in all (5); 299 in ?, 1 in all.",
    );
    expect(deviceErrorOf(told, 1n).context.before).toContain("APP_TRAP in system");
    expect(textOf(record({ code: ERRORS.RESTARTED.number, detail: 9, count: 0 }))).toContain("(reason 9).");
  });
});

describe("how many errors a record stands for", () => {
  const counted = (records: readonly Partial<ErrorRecord>[]) => {
    const monitor = new ErrorMonitor({
      clock: new SimulatedClock(),
      meter: new RecordingMeter(),
      logger: quietLogger,
    });
    const errors = new DeviceErrors(monitor);
    for (const more of records) errors.report("pot", deviceErrorOf(record(more), 1n));
    const count = monitor.total;
    const severities = monitor.errors().map(({ severity }) => severity);
    monitor.close();
    return { count, severities };
  };

  test.each([
    ["each one", [1, 2, 3], 3],
    ["powers of two", [1, 2, 4, 8, 16], 16],
    ["the first that is heard of, however high", [500], 1],
    ["a count that does not rise, of old firmware", [1, 1, 1], 3],
    ["a count beyond reason", [1, 4_000_000_000], 1 + TIMES_MAX],
  ])("%s", (_, counts, total) => {
    expect(counted(counts.map((count) => ({ count }))).count).toBe(total);
  });

  test("a new boot counts from zero; another component, and another severity, on its own", () => {
    expect(counted([{ count: 4 }, { boot: 4, count: 3 }, { boot: 3, count: 9 }]).count).toBe(5);
    expect(counted([{ count: 4 }, { component: "lamp", count: 3 }]).count).toBe(2);
    expect(counted([{ count: 1 }, { count: 2, severity: 3 }]).severities).toEqual(
      expect.arrayContaining(["warning", "critical"]),
    );
  });
});

describe("a board and a gateway", () => {
  async function joined(app: string) {
    const world = new GatewayWorld();
    await world.open();
    const built = await builtApp(app);
    const client = world.broker.connect({ clientId: "pot" });
    const board = new VirtualBoard({
      id: "pot",
      system: await systemModule(),
      image: {
        app: await WebAssembly.compile(built.wasm),
        name: built.manifest.name,
        version: built.manifest.version,
        capabilities: built.capabilities,
      },
      clock: world.clock,
      random: () => world.random.u32(),
      link: {
        kind: "message",
        send: (bytes) => {
          client.publish(`tardi/${SITE}/pot/up`, bytes, { qos: 1 });
          return true;
        },
      },
    });
    await client.subscribe(`tardi/${SITE}/pot/down`, ({ payload }) => board.receive(payload));
    board.powerOn();
    board.setLink(true);
    await world.clock.advance(500);
    const errors = () =>
      world.gateway.errors().map(({ code, component, count }) => `${code} ${component} ${count}`);
    return { world, board, errors };
  }

  test("an app that is left stopped is an alert until restart-app", async () => {
    const { world, board, errors } = await joined("test/fixtures/apps/trap/app.ts");
    await world.clock.advance(15_000);
    expect(errors()).toEqual(
      expect.arrayContaining(["APP_TRAP device system 8", "APP_ISOLATED device system 1"]),
    );
    const alert = () => world.gateway.alerts().find(({ id }) => id === "app pot");
    expect(alert()).toMatchObject({ code: "APP_ISOLATED", severity: "critical" });
    expect(alert()?.clearedMs).toBeUndefined();
    expect(world.gateway.device("pot")).toMatchObject({ stopped: "APP_ISOLATED" });
    const refused = world.gateway.command("pot", { name: "anything" });
    await expect(world.settle(refused)).rejects.toMatchObject({ context: { deviceCode: "APP_ISOLATED" } });
    await world.settle(world.gateway.command("pot", { name: "restart-app" }));
    await world.clock.advance(100);
    expect(alert()?.clearedMs).toBeDefined();
    expect(world.gateway.device("pot")?.stopped).toBeUndefined();
    expect(board.figures().appStopped).toBe(0);
  });

  test("errors before a warm reset are in the monitor after it, with an alert; after a power cut none are", async () => {
    const { world, board } = await joined("test/fixtures/apps/trap/app.ts");
    await world.clock.advance(2200);
    board.setLink(false);
    board.reset("watchdog");
    await world.clock.advance(500);
    board.setLink(true);
    await world.clock.advance(500);
    const restarted = () => world.gateway.errors().find(({ code }) => code === "RESTARTED");
    expect(restarted()).toMatchObject({ component: "device system", severity: "critical", count: 1 });
    expect(restarted()?.last[0]?.context).toMatchObject({ boot: 2, hlcFrom: "gateway" });
    expect(restarted()?.last[0]?.message).toMatch(
      /^system: The board restarted \(watchdog\); before: APP_TRAP in system at 2\.0 s, 2 in all/,
    );
    expect(world.gateway.alerts().map(({ code }) => code)).toContain("RESTARTED");
    board.powerCut();
    board.powerOn();
    await world.clock.advance(500);
    expect(restarted()?.count).toBe(1);
    expect(world.gateway.errors().map(({ code }) => code)).not.toContain("CRASH_LOG_DAMAGED");
  });

  test("a damaged crash log is told of", async () => {
    const { world, board, errors } = await joined("test/fixtures/apps/trap/app.ts");
    await world.clock.advance(1500);
    board.reset("software", (retained) => retained.fill(0x5a, 2224, 2300));
    await world.clock.advance(500);
    expect(errors()).toContain("CRASH_LOG_DAMAGED device system 1");
  });
});
