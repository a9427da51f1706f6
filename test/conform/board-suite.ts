/**
 * What every board must do alike, by the app test/fixtures/apps/conform on its link: an app and a gateway cannot tell boards apart by
 * anything but their name. A variable points it at real hardware (board.test.ts).
 */
import { afterEach, describe, expect, test } from "vitest";
import { CAPABILITIES, ERRORS, TRAP_KINDS, type TrapKind } from "../../protocols/table.ts";
import { StreamRig } from "../support/boards/stream-rig.ts";
import { type TargetBoard, type TargetOptions, word12 } from "../support/boards/target.ts";

export const CONFORM_APP = "test/fixtures/apps/conform/app.ts";
const WORDS = [0.25, 0.5, 0.75, 1, 0].map(word12);
const TICK_US = 100_000;

export interface BoardSuite {
  readonly name: string;
  readonly open: (options: TargetOptions) => Promise<TargetBoard>;
  /** Real hardware's power cannot be cut by a test. */
  readonly canCutPower: boolean;
}

export function boardSuite(suite: BoardSuite): void {
  describe(suite.name, () => {
    const opened: TargetBoard[] = [];
    afterEach(async () => {
      for (const board of opened.splice(0)) await board.close();
    });
    const start = async (): Promise<StreamRig> => {
      const board = await suite.open({ app: CONFORM_APP, series: [WORDS, WORDS] });
      opened.push(board);
      const rig = new StreamRig(board);
      await board.powerOn();
      await rig.open();
      return rig;
    };
    const lines = (rig: StreamRig) =>
      rig.accepted.flatMap((message) => (message.kind === "log" ? [message.text] : []));

    test("says what it is", async () => {
      const rig = await start();
      const { telemetry, log, shadow, commands, pins, adc } = CAPABILITIES;
      expect(rig.hello).toMatchObject({
        board: suite.name === "serial" ? expect.any(String) : suite.name,
        app: "conform",
        version: "1.2.3",
        capabilities: [telemetry, log, shadow, commands, pins, adc].reduce<number>(
          (bits, bit) => bits | (1 << bit),
          0,
        ),
        metrics: [{ name: "ticks", unit: "1" }],
        commands: ["pin", "read", "burst", "runs", "denied", "trap"].map((name) => ({ name })),
      });
      await rig.until(2000, () => lines(rig).length > 0);
      expect(lines(rig)[0]).toBe("ready at 0");
    });

    test("a timer runs at its deadlines, none left out, none twice", async () => {
      const rig = await start();
      await rig.run(5000, () => rig.of("telemetry").length >= 3);
      const readings = rig.accepted.flatMap((message) =>
        message.kind === "telemetry"
          ? message.readings.map((reading) => ({
              at: message.uptimeUs + reading.offsetUs,
              value: reading.value,
            }))
          : [],
      );
      expect(readings.length).toBeGreaterThanOrEqual(30);
      expect(readings).toEqual(readings.map((_, index) => ({ at: (index + 1) * TICK_US, value: index + 1 })));
    });

    test("drives pins, and tells their state", async () => {
      const rig = await start();
      expect(await rig.command("pin", { level: 1, duty: 30_000 })).toMatchObject({ code: 0 });
      if (rig.board.pinLevel(2) !== undefined) expect(rig.board.pinLevel(2)).toBe(1);
      const told = () =>
        rig
          .of("pinStatus")
          .at(-1)
          ?.pins.find(({ pin }) => pin === 2)?.value;
      expect(await rig.until(3000, () => told() === 1)).toBe(true);
      await rig.command("pin", { level: 0, duty: 0 });
      if (rig.board.pinLevel(2) !== undefined) expect(rig.board.pinLevel(2)).toBe(0);
      expect(await rig.until(3000, () => told() === 0)).toBe(true);
    });

    test("reads its converter as a share of 65535", async () => {
      const rig = await start();
      const first = (await rig.command("read")).result as number;
      if (suite.name === "serial") {
        expect(first).toBeGreaterThanOrEqual(0);
        return;
      }
      expect(first).toBe(WORDS[0]);
      for (const word of WORDS.slice(1)) expect((await rig.command("read")).result).toBe(word);
    });

    test("applies what fits its shadow, reports it, leaves the rest alone", async () => {
      const rig = await start();
      rig.send({
        kind: "shadow",
        role: 0,
        version: 3,
        entries: [
          { key: "enabled", value: true },
          { key: "level", value: 12.5 },
          { key: "unknown", value: 1 },
        ],
      });
      const reported = () => rig.of("shadow").at(-1);
      expect(await rig.until(3000, () => reported()?.version === 3)).toBe(true);
      expect(reported()?.entries).toEqual([
        { key: "level", value: 12.5 },
        { key: "enabled", value: true },
      ]);
      expect(await rig.until(3000, () => lines(rig).includes("level 12.5 on"))).toBe(true);
    });

    test("runs a command once however often it comes, and answers each time", async () => {
      const rig = await start();
      const { id, result } = await rig.command("runs");
      expect(result).toBe(1);
      const answers = () => rig.of("commandResult").filter((answer) => answer.id === id);
      rig.send({ kind: "command", id, name: "runs", args: [] });
      expect(await rig.until(3000, () => answers().length === 2)).toBe(true);
      expect(answers().map((answer) => answer.result)).toEqual([1, 1]);
      expect((await rig.command("runs")).result).toBe(2);
      expect(await rig.command("nonsense")).toMatchObject({ code: ERRORS.COMMAND_UNKNOWN.number });
    });

    test("denies what the manifest does not declare, and says so once", async () => {
      const rig = await start();
      expect((await rig.command("denied")).result).toBe(-ERRORS.CAPABILITY_DENIED.number);
      expect((await rig.command("denied")).result).toBe(-ERRORS.CAPABILITY_DENIED.number);
      const records = () =>
        rig.accepted.filter(
          (message) => message.kind === "error" && message.code === ERRORS.CAPABILITY_DENIED.number,
        );
      expect(await rig.until(3000, () => records().length > 0)).toBe(true);
      expect(records()).toHaveLength(1);
      expect(records()[0]).toMatchObject({ component: "app", operation: "command" });
      expect(rig.accepted.some((message) => message.kind === "event")).toBe(false);
    });

    test("an app that traps is told of with its kind and started again, the base goes on", async () => {
      const rig = await start();
      const kinds: readonly TrapKind[] = TRAP_KINDS.slice(1);
      for (const [index, kind] of kinds.entries()) {
        await rig.command("runs");
        expect(await rig.command("trap", { kind: index + 1, zero: 0 }), kind).toMatchObject({
          code: ERRORS.APP_TRAP.number,
        });
        const records = () =>
          rig.accepted.filter(
            (message) => message.kind === "error" && message.code === ERRORS.APP_TRAP.number,
          );
        expect(await rig.until(3000, () => records().length === index + 1), kind).toBe(true);
        const detail = (records().at(-1) as { readonly detail?: number }).detail ?? 0;
        expect(TRAP_KINDS[Math.floor(detail / 2 ** 32)]).toBe(kind);
        // Fresh memory: its count begins again.
        expect((await rig.command("runs")).result).toBe(1);
      }
      expect(new Set(rig.of("hello").map(({ boot }) => boot)).size).toBe(1);
    });

    test("an app that traps without end is left stopped, the base goes on; restart-app starts it", async () => {
      const rig = await start();
      const stopped = ERRORS.APP_ISOLATED.number;
      for (let traps = 0; rig.hello?.stopped !== stopped && traps < 12; traps += 1) {
        await rig.command("trap", { kind: 1, zero: 0 });
        await rig.run(300);
      }
      expect(rig.hello).toMatchObject({ stopped, commands: expect.arrayContaining([{ name: "runs" }]) });
      expect(await rig.command("runs")).toMatchObject({ code: stopped });
      expect(await rig.command("restart-app")).toMatchObject({ code: 0 });
      expect((await rig.command("runs")).result).toBe(1);
      expect(rig.hello?.stopped).toBeUndefined();
      expect(new Set(rig.of("hello").map(({ boot }) => boot)).size).toBe(1);
    });

    test("after a reset it tells what went wrong before", async () => {
      const rig = await start();
      await rig.command("denied");
      await rig.command("trap", { kind: 4, zero: 0 });
      await rig.run(500);
      await rig.board.reset();
      const told = () =>
        rig.accepted.find((message) => message.kind === "error" && message.code === ERRORS.RESTARTED.number);
      expect(await rig.until(20_000, () => told() !== undefined)).toBe(true);
      expect(told()).toMatchObject({
        component: "system",
        detail: 1,
        count: 0,
        before: [
          { code: ERRORS.APP_TRAP.number, component: "system", count: 1 },
          { code: ERRORS.CAPABILITY_DENIED.number, component: "app", count: 1 },
        ],
      });
    });

    test("holds what it says while the line is cut, and sends it in order", async () => {
      const rig = await start();
      await rig.run(1500);
      rig.connected = false;
      await rig.run(6000);
      rig.connected = true;
      const before = rig.accepted.length;
      expect(await rig.until(20_000, () => rig.accepted.length >= before + 8)).toBe(true);
      const values = rig.accepted.flatMap((message) =>
        message.kind === "telemetry" ? message.readings.map(({ value }) => value) : [],
      );
      expect(values).toEqual(values.map((_, index) => index + 1));
      expect(rig.accepted.some(({ kind }) => kind === "drop")).toBe(false);
    });

    test("a full outbox drops its oldest and states which", async () => {
      const rig = await start();
      await rig.run(1500);
      await rig.command("burst", { lines: 3 });
      rig.acknowledge = false;
      for (let round = 0; round < 8; round += 1) await rig.command("burst", { lines: 60 });
      rig.acknowledge = true;
      const dropped = () => rig.accepted.filter((message) => message.kind === "drop");
      expect(await rig.until(60_000, () => dropped().length > 0 && lines(rig).at(-1) === "burst 59")).toBe(
        true,
      );
      // The rig accepts the next in order only, a drop record standing for what it covers: nothing is missing.
      const last = rig.accepted.at(-1);
      const covered = rig.accepted.reduce(
        (sum, message) => sum + (message.kind === "drop" ? message.seq - message.from + 1 : 1),
        0,
      );
      expect(last?.seq).toBe(covered);
    });

    test("a reset keeps what was not acknowledged, and counts the boot", async () => {
      const rig = await start();
      await rig.run(1200);
      rig.acknowledge = false;
      await rig.command("burst", { lines: 4 });
      const boot = rig.hello?.boot ?? 0;
      await rig.board.reset();
      rig.acknowledge = true;
      expect(await rig.until(20_000, () => rig.hello?.boot === boot + 1)).toBe(true);
      expect(rig.hello).toMatchObject({ reason: 1, oldestBoot: boot });
      expect(await rig.until(20_000, () => rig.accepted.some((message) => message.boot === boot + 1))).toBe(
        true,
      );
      expect(lines(rig).filter((line) => line.startsWith("burst"))).toEqual(
        [0, 1, 2, 3].map((n) => `burst ${n}`),
      );
      const values = rig.accepted.flatMap((message) =>
        message.kind === "telemetry" && message.boot === boot
          ? message.readings.map(({ value }) => value)
          : [],
      );
      expect(values).toEqual(values.map((_, index) => index + 1));
    });

    test("a noisy line costs time, nothing else", async () => {
      const rig = await start();
      let count = 0;
      rig.noise = (bytes) => {
        const noisy = bytes.slice();
        for (let at = 0; at < noisy.length; at += 1) {
          count += 1;
          if (count % 331 === 0) noisy[at] = (noisy[at] as number) ^ 0x24;
        }
        return noisy;
      };
      await rig.command("burst", { lines: 40 });
      expect(await rig.until(60_000, () => lines(rig).includes("burst 39"))).toBe(true);
      expect(rig.errors.length).toBeGreaterThan(0);
      expect(lines(rig).filter((line) => line.startsWith("burst"))).toEqual(
        Array.from({ length: 40 }, (_, index) => `burst ${index}`),
      );
    });

    test.runIf(suite.canCutPower)(
      "a power cut loses the RAM, and hello says what may be missing",
      async () => {
        const rig = await start();
        await rig.run(1200);
        rig.acknowledge = false;
        await rig.command("burst", { lines: 4 });
        const boot = rig.hello?.boot ?? 0;
        const highest = Math.max(
          ...rig.received.flatMap((message) => ("seq" in message ? [message.seq] : [])),
        );
        await rig.board.powerCut();
        rig.acknowledge = true;
        await rig.board.powerOn();
        expect(await rig.until(20_000, () => rig.hello?.boot === boot + 1)).toBe(true);
        expect(rig.hello).toMatchObject({ reason: 0, oldestBoot: boot + 1, oldestSeq: 1, lostBoot: boot });
        expect(rig.hello?.lostTo).toBeGreaterThanOrEqual(highest);
        // No crash log, and nothing that takes what the RAM holds now for one.
        await rig.run(1000);
        const codes = rig.accepted.flatMap((message) => (message.kind === "error" ? [message.code] : []));
        expect(codes).not.toContain(ERRORS.RESTARTED.number);
        expect(codes).not.toContain(ERRORS.CRASH_LOG_DAMAGED.number);
      },
    );
  });
}
