/** An app that keeps trapping, a board that keeps crashing, and what is told of both after a reset: on the virtual board. */
import { describe, expect, test } from "vitest";
import { ERRORS, type ErrorCode, RESET_REASONS, SEVERITIES } from "../../protocols/table.ts";
import { boardRig, type Rig } from "../support/board-rig.ts";

const TRAP = "test/fixtures/apps/trap/app.ts";
const BLINK = "firmware/apps/blink/app.ts";
const CONFORM = "test/fixtures/apps/conform/app.ts";
const TRAPS_MAX = 8;
const CRASHES_MAX = 5;
/** Of the error monitor in the retained region, as firmware/system/outbox.ts draws it. */
const MONITOR = 2224;
const MONITOR_ROWS = MONITOR + 24;
const MONITOR_LAST = MONITOR + 240;

async function started(app: string): Promise<Rig> {
  const rig = await boardRig(app);
  rig.board.powerOn();
  rig.board.setLink(true);
  await rig.clock.advance(100);
  return rig;
}
const records = (rig: Rig, code: ErrorCode) =>
  rig.of("error").filter((record) => record.code === ERRORS[code].number);

let ids = 0;
async function command(rig: Rig, name: string, args: Record<string, number> = {}) {
  ids += 1;
  const id = ids;
  rig.send({ kind: "command", id, name, args: Object.entries(args).map(([key, value]) => ({ key, value })) });
  await rig.clock.advance(2000);
  return rig.of("commandResult").find((result) => result.id === id);
}

describe("an app that traps again and again", () => {
  test("is restarted a few times, then left stopped; the link stays and says so", async () => {
    const rig = await started(TRAP);
    await rig.clock.advance(60_000);
    expect(rig.traps).toHaveLength(TRAPS_MAX + 1);
    // The ninth within the window is no power of two: its record would say nothing new.
    expect(records(rig, "APP_TRAP").map(({ count }) => count)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(records(rig, "APP_TRAP")[0]?.operation).toBe("timer");
    const isolated = records(rig, "APP_ISOLATED");
    expect(isolated).toMatchObject([{ component: "system", count: 1 }]);
    expect(SEVERITIES[isolated[0]?.severity ?? 0]).toBe(ERRORS.APP_ISOLATED.severity);
    expect(SEVERITIES[records(rig, "APP_TRAP")[0]?.severity ?? 0]).toBe(ERRORS.APP_TRAP.severity);
    expect(rig.board.figures()).toMatchObject({
      boot: 1,
      sessionOpen: true,
      appStopped: ERRORS.APP_ISOLATED.number,
    });
    expect(rig.hello).toMatchObject({ stopped: ERRORS.APP_ISOLATED.number });
    expect(rig.hello?.metrics.length).toBeGreaterThan(0);
    expect(await command(rig, "anything")).toMatchObject({ code: ERRORS.APP_ISOLATED.number });
  });

  test("restart-app starts it again, with all its tries, once however often it comes", async () => {
    const rig = await started(TRAP);
    await rig.clock.advance(20_000);
    const hellos = rig.of("hello").length;
    rig.send({ kind: "command", id: 900, name: "restart-app", args: [] });
    rig.send({ kind: "command", id: 900, name: "restart-app", args: [] });
    await rig.clock.advance(500);
    expect(rig.of("commandResult").filter(({ id, code }) => id === 900 && code === 0)).toHaveLength(1);
    expect(rig.of("hello").length).toBeGreaterThan(hellos);
    expect(rig.hello?.stopped).toBeUndefined();
    await rig.clock.advance(20_000);
    expect(rig.traps).toHaveLength(2 * (TRAPS_MAX + 1));
    expect(rig.hello?.stopped).toBe(ERRORS.APP_ISOLATED.number);
  });

  test("a reset and a power cycle give it another try", async () => {
    const rig = await started(TRAP);
    await rig.clock.advance(20_000);
    rig.board.reset();
    await rig.clock.advance(500);
    expect(rig.board.figures().appStopped).toBe(0);
    rig.board.powerCut();
    rig.board.powerOn();
    await rig.clock.advance(500);
    expect(rig.board.figures().appStopped).toBe(0);
  });

  test("traps with quiet between them restart it for ever; its pins are off while it is stopped", async () => {
    const rig = await started(CONFORM);
    for (let round = 0; round < 2 * TRAPS_MAX; round += 1) {
      await command(rig, "trap", { kind: 1, zero: 0 });
      await rig.clock.advance(10_000);
    }
    expect(rig.board.figures()).toMatchObject({ traps: 2 * TRAPS_MAX, appStopped: 0 });
    await command(rig, "pin", { level: 1, duty: 30_000 });
    for (let round = 0; rig.board.figures().appStopped === 0 && round < 20; round += 1) {
      expect(rig.board.pins.mode(2)).toBe("output");
      await command(rig, "trap", { kind: 1, zero: 0 });
    }
    expect(rig.board.figures().appStopped).toBe(ERRORS.APP_ISOLATED.number);
    expect([rig.board.pins.mode(2), rig.board.pins.mode(8)]).toEqual(["off", "off"]);
    await rig.clock.advance(2000);
    expect(rig.of("pinStatus").at(-1)?.pins).toContainEqual({ pin: 2, mode: 0, value: 0 });
    // Its desired state waits until it runs again.
    const entries = [{ key: "level", value: 3 }];
    rig.send({ kind: "shadow", role: 0, version: 5, entries });
    await rig.clock.advance(2000);
    expect(rig.of("shadow").at(-1)?.version).not.toBe(5);
    expect(await command(rig, "restart-app")).toMatchObject({ code: 0 });
    rig.send({ kind: "shadow", role: 0, version: 5, entries });
    await rig.clock.advance(2000);
    expect(rig.of("shadow").at(-1)?.version).toBe(5);
    expect(await command(rig, "runs")).toMatchObject({ code: 0, result: 1 });
  });
});

describe("a board that crashes again and again", () => {
  test("does not start the app any more; restart-app does, and a boot of a minute forgets", async () => {
    const rig = await started(BLINK);
    for (let crash = 1; crash <= CRASHES_MAX; crash += 1) {
      expect(rig.board.figures().appStopped).toBe(0);
      rig.board.reset(crash % 2 === 0 ? "watchdog" : "trap");
      await rig.clock.advance(1000);
      expect(records(rig, "RESTARTED").at(-1)?.count).toBe(crash);
    }
    expect(rig.board.figures().appStopped).toBe(ERRORS.APP_ISOLATED.number);
    expect(records(rig, "APP_ISOLATED").at(-1)?.detail).toBe(CRASHES_MAX);
    expect(await command(rig, "restart-app")).toMatchObject({ code: 0 });
    rig.board.reset("watchdog");
    await rig.clock.advance(61_000);
    expect(records(rig, "RESTARTED").at(-1)?.count).toBe(1);
    rig.board.reset("watchdog");
    await rig.clock.advance(1000);
    expect(records(rig, "RESTARTED").at(-1)?.count).toBe(1);
    expect(rig.board.figures().appStopped).toBe(0);
  });
});

describe("the crash log", () => {
  const wrong = async (): Promise<Rig> => {
    const rig = await started(CONFORM);
    await command(rig, "denied");
    await command(rig, "trap", { kind: 1, zero: 0 });
    await command(rig, "trap", { kind: 4, zero: 0 });
    return rig;
  };

  test("after a reset the device tells why it restarted, and what went wrong before", async () => {
    const rig = await wrong();
    rig.board.reset("watchdog");
    await rig.clock.advance(1000);
    const restarted = records(rig, "RESTARTED");
    expect(restarted).toHaveLength(1);
    const trap = { code: ERRORS.APP_TRAP.number, component: "system", count: 2 };
    const denied = { code: ERRORS.CAPABILITY_DENIED.number, component: "app", count: 1 };
    expect(restarted[0]).toMatchObject({
      boot: 2,
      component: "system",
      detail: RESET_REASONS.indexOf("watchdog"),
      severity: SEVERITIES.indexOf("critical"),
      count: 1,
      before: [trap, trap, denied],
    });
    const [last, first] = restarted[0]?.before ?? [];
    expect(last?.uptimeUs).toBeGreaterThan(first?.uptimeUs ?? 0);
    expect([last, first].map((entry) => Math.floor((entry?.detail ?? 0) / 2 ** 32))).toEqual([4, 1]);
    // Told once: the next boot begins with an empty log.
    rig.board.reset();
    await rig.clock.advance(1000);
    expect(records(rig, "RESTARTED")).toHaveLength(1);
    expect(records(rig, "CRASH_LOG_DAMAGED")).toEqual([]);
  });

  test("it is not lost when the link is down and the board crashes again", async () => {
    const rig = await wrong();
    rig.board.setLink(false);
    rig.board.reset("watchdog");
    await rig.clock.advance(1000);
    rig.board.reset("watchdog");
    await rig.clock.advance(1000);
    rig.board.setLink(true);
    await rig.clock.advance(5000);
    expect(
      records(rig, "RESTARTED").map(({ boot, count, before }) => [boot, count, before?.length ?? 0]),
    ).toEqual([
      [2, 1, 3],
      [3, 2, 0],
    ]);
  });

  test("a power cut drops it without a word", async () => {
    const rig = await wrong();
    const before = rig.of("error").length;
    rig.board.powerCut();
    rig.board.powerOn();
    await rig.clock.advance(1000);
    expect(rig.hello).toMatchObject({ boot: 2, reason: RESET_REASONS.indexOf("power-on") });
    expect(rig.of("error").length).toBe(before);
  });

  test.each([
    ["a row", MONITOR_ROWS + 30, 1, 3],
    ["an entry", MONITOR_LAST + 49, 1, 2],
    ["the head", MONITOR + 9, 12, undefined],
  ])("damage to %s is noticed, and the rest told", async (_, byte, lost, told) => {
    const rig = await wrong();
    rig.board.reset("software", (retained) => {
      retained[byte] = (retained[byte] as number) ^ 0x10;
    });
    await rig.clock.advance(1000);
    expect(records(rig, "CRASH_LOG_DAMAGED")).toMatchObject([{ boot: 2, detail: lost }]);
    expect(records(rig, "RESTARTED")[0]?.before?.length).toBe(told);
    expect(rig.board.figures().appStopped).toBe(0);
  });
});
