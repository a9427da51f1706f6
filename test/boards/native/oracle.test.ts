/**
 * The oracle: what runs in Node decides what native code must do. The greenhouse, given the same readings, says the same on every
 * board, byte for byte above the session; random programs compute the same and trap alike.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { seededRandom } from "../../../host/world/random.ts";
import { encodeMessage } from "../../../protocols/message.ts";
import { ERRORS, TRAP_KINDS } from "../../../protocols/table.ts";
import { picoTarget } from "../../support/boards/pico-target.ts";
import { posixTarget } from "../../support/boards/posix-target.ts";
import { StreamRig } from "../../support/boards/stream-rig.ts";
import { type TargetBoard, type TargetOptions, word12 } from "../../support/boards/target.ts";
import { virtualTarget } from "../../support/boards/virtual-target.ts";
import { randomPrograms } from "../../support/random-programs.ts";

const ROOT = join(import.meta.dirname, "../../..");
const DEEP = process.env.TARDIGRADE_DEEP === "1";
const GREENHOUSE = "firmware/apps/greenhouse/app.ts";
type Open = (options: TargetOptions) => Promise<TargetBoard>;

describe("greenhouse", () => {
  /** A day's swing, noise, and spikes that the detector flags. */
  function series(seed: number): readonly (readonly number[])[] {
    const random = seededRandom(seed);
    return [0, 1].map((channel) =>
      Array.from({ length: 2000 }, (_, read) => {
        const spike = random.unit() < 0.01 ? 0.25 : 0;
        return word12(0.5 + 0.2 * Math.sin(read / 90 + channel) + 0.01 * random.unit() + spike);
      }),
    );
  }
  /** Hexadecimal of each message above the session: what a gateway stores. */
  async function said(open: Open, seconds: number): Promise<readonly string[]> {
    const board = await open({ app: GREENHOUSE, series: series(11) });
    try {
      const rig = new StreamRig(board);
      await board.powerOn();
      await rig.open();
      const wanted = seconds / 2;
      await rig.until(seconds * 1000 + 20_000, () => rig.of("telemetry").length >= wanted);
      expect(rig.errors).toEqual([]);
      const sequenced = rig.accepted.map((message) => Buffer.from(encodeMessage(message)).toString("hex"));
      return sequenced.slice(0, wanted);
    } finally {
      await board.close();
    }
  }

  test("says the same on virtual, pico and posix, byte for byte", async () => {
    const seconds = DEEP ? 3600 : 600;
    const virtual = await said(virtualTarget, seconds);
    expect(virtual.length).toBeGreaterThan(seconds / 2 - 5);
    expect(await said(picoTarget, seconds)).toEqual(virtual);
    const some = 120;
    const posix = await said((options) => posixTarget({ ...options, timeScale: 20 }), some);
    expect(posix).toEqual(virtual.slice(0, posix.length));
    expect(posix.length).toBeGreaterThan(some / 2 - 5);
  });
});

test("what the SDK's statistics learn and flag is the same on virtual and pico, bit for bit", async () => {
  const random = seededRandom(12);
  // A "day" of 240 reads, noise, and something amiss late.
  const probe = Array.from({ length: 2400 }, (_, read) => {
    const amiss = read > 1500 && read < 1510 ? 0.3 : read > 1900 ? 0.05 : 0;
    return word12(0.4 + 0.1 * Math.sin((read / 240) * 2 * Math.PI) + 0.02 * random.unit() + amiss);
  });
  const said = async (open: Open) => {
    const board = await open({ app: "test/fixtures/apps/statistics/app.ts", series: [probe, probe] });
    try {
      const rig = new StreamRig(board);
      await board.powerOn();
      await rig.open();
      await rig.until(400_000, () => rig.of("telemetry").flatMap(({ readings }) => readings).length >= 320);
      const values = rig.of("telemetry").flatMap(({ readings }) => readings.map(({ value }) => value));
      return {
        values: values.slice(0, 320),
        alarms: rig.of("event").map(({ name, value }) => [name, value]),
      };
    } finally {
      await board.close();
    }
  };
  const virtual = await said(virtualTarget);
  expect(virtual.alarms).toEqual([["alarm", 1]]);
  expect(await said(picoTarget)).toEqual(virtual);
});

test("the histograms that an app reports are the same bytes on virtual and pico", async () => {
  const random = seededRandom(13);
  const probe = Array.from({ length: 500 }, () => word12(random.unit() ** 2));
  const said = async (open: Open) => {
    const board = await open({ app: "test/fixtures/apps/histograms/app.ts", series: [probe] });
    try {
      const rig = new StreamRig(board);
      await board.powerOn();
      await rig.open();
      await rig.until(30_000, () => rig.accepted.length >= 8);
      const { result } = await rig.command("fill", { values: 300 });
      await rig.until(30_000, () => rig.accepted.length >= 14);
      const bytes = rig.accepted.flatMap((message) => {
        if (message.kind !== "telemetry") return [];
        return [`${message.histogramMetric} ${Buffer.from(message.histogram ?? []).toString("hex")}`];
      });
      const [levels, pieces] = [0, 1].map((metric) => bytes.filter((line) => line.startsWith(`${metric} `)));
      return { levels: levels?.slice(0, 8), pieces, result };
    } finally {
      await board.close();
    }
  };
  const virtual = await said(virtualTarget);
  expect(virtual.levels).toHaveLength(8);
  expect(virtual.pieces?.length).toBeGreaterThan(1);
  expect(virtual.result).toBe(0);
  expect(await said(picoTarget)).toEqual(virtual);
});

describe("random programs", () => {
  const PROGRAMS_A_MODULE = 30;
  const SEEDS_A_PROGRAM = 3;
  mkdirSync(join(ROOT, "build"), { recursive: true });
  const folder = mkdtempSync(join(ROOT, "build/programs-"));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function write(seed: number): string {
    const at = join(folder, `${seed}`);
    mkdirSync(at);
    writeFileSync(join(at, "app.ts"), randomPrograms(seededRandom(seed), PROGRAMS_A_MODULE));
    writeFileSync(
      join(at, "app.json"),
      JSON.stringify({ name: "programs", version: "1.0.0", capabilities: ["commands"] }),
    );
    return relative(ROOT, join(at, "app.ts"));
  }

  /** A line for each program and seed: its hash, or how it trapped. */
  async function results(open: Open, app: string): Promise<readonly string[]> {
    const board = await open({ app });
    try {
      const rig = new StreamRig(board);
      await board.powerOn();
      await rig.open();
      const lines: string[] = [];
      const traps = () =>
        rig.accepted.flatMap((message) =>
          message.kind === "error" && message.code === ERRORS.APP_TRAP.number ? [message] : [],
        );
      for (let program = 0; program < PROGRAMS_A_MODULE; program += 1) {
        for (let seed = 1; seed <= SEEDS_A_PROGRAM; seed += 1) {
          const before = traps().length;
          const { code, result } = await rig.command("run", { program, seed: seed * 7919 });
          if (code === ERRORS.APP_TRAP.number) {
            await rig.until(5000, () => traps().length > before);
            const kind = TRAP_KINDS[Math.floor((traps().at(-1)?.detail ?? 0) / 2 ** 32)];
            lines.push(`program ${program} seed ${seed}: trap ${kind}`);
          } else lines.push(`program ${program} seed ${seed}: ${code === 0 ? result : `code ${code}`}`);
        }
      }
      return lines;
    } finally {
      await board.close();
    }
  }

  const modules = DEEP ? 100 : 2;
  const first = DEEP ? 1000 : 1;
  for (let module = 0; module < modules; module += 1) {
    test(`of seed ${first + module}: thirty compute the same on the emulated Pico`, async () => {
      const app = write(first + module);
      const virtual = await results(virtualTarget, app);
      expect(virtual.filter((line) => !line.includes("trap")).length).toBeGreaterThan(30);
      expect(await results(picoTarget, app)).toEqual(virtual);
    });
  }

  test("on posix too", async () => {
    const app = write(first + modules);
    const posix = (options: TargetOptions) => posixTarget({ ...options, timeScale: 10 });
    expect(await results(posix, app)).toEqual(await results(virtualTarget, app));
  });
});
