/** From an app's source to images of a Pico: sizes, same input same bytes, and what a user is told when something is wrong. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, describe, expect, test } from "vitest";
import {
  boardNamed,
  type NativeDefinition,
  parseDefinition,
} from "../../../boards/definitions/definition.ts";
import { FakeDrive } from "../../../boards/simulators/pico/fake-drive.ts";
import { cached, digestOf } from "../../../boards/toolchain/native/cache.ts";
import { buildNative } from "../../../boards/toolchain/native/image.ts";
import { run, wasm2c } from "../../../boards/toolchain/native/tools.ts";
import { translate } from "../../../boards/toolchain/native/translate.ts";
import { flashOf, uf2Of } from "../../../boards/toolchain/native/uf2.ts";
import { wasmFacts } from "../../../boards/toolchain/native/wasm-facts.ts";
import { builtApp } from "../../support/board-rig.ts";
import { nativeBuild, PICO, picoTarget } from "../../support/boards/pico-target.ts";
import { StreamRig } from "../../support/boards/stream-rig.ts";

const GREENHOUSE = "firmware/apps/greenhouse/app.ts";
const KB = 1024;
const folders: string[] = [];
const temporary = (): string => {
  const folder = mkdtempSync(join(tmpdir(), "tardigrade-native-"));
  folders.push(folder);
  return folder;
};
const environment = { ...process.env };
afterEach(() => {
  process.env = { ...environment };
});
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

describe("images", () => {
  test("base and greenhouse keep within 35 KB of flash and 24 KB of RAM, the app within 8 KB", async () => {
    const { base, app } = await nativeBuild(GREENHOUSE);
    expect(app.flashBytes).toBeLessThanOrEqual(8 * KB);
    expect(base.flashBytes + app.flashBytes).toBeLessThanOrEqual(35 * KB);
    expect(base.ramBytes + app.ramBytes).toBeLessThanOrEqual(24 * KB);
    expect(base.ramBytes).toBeGreaterThan(PICO.stackBytes + PICO.retainedBytes);
  });

  test("the same input gives the same bytes, whatever the folder", async () => {
    const app = await builtApp(GREENHOUSE);
    const builds = [];
    for (let build = 0; build < 2; build += 1) {
      process.env.TARDIGRADE_CACHE = temporary();
      builds.push(await buildNative(PICO, app));
    }
    const [first, second] = builds;
    expect(Buffer.compare(first?.base.bytes as Uint8Array, second?.base.bytes as Uint8Array)).toBe(0);
    expect(Buffer.compare(first?.app.bytes as Uint8Array, second?.app.bytes as Uint8Array)).toBe(0);
  });

  test("sizes are told by the sources' names", async () => {
    const { base, app } = await nativeBuild(GREENHOUSE);
    const names = app.sizes.map(({ name }) => name);
    expect(names).toContain("firmware/apps/greenhouse/app/sample");
    expect(base.sizes.some(({ name }) => name.startsWith("firmware/system/outbox/"))).toBe(true);
    expect(base.sizes.find(({ name }) => name === "system_arena")?.place).toBe("ram");
    const flash = app.sizes
      .filter(({ place }) => place === "flash")
      .reduce((sum, { bytes }) => sum + bytes, 0);
    expect(flash).toBeLessThanOrEqual(app.flashBytes);
    expect(flash).toBeGreaterThan(app.flashBytes * 0.6);
  });

  test("the UF2 file puts the same bytes into flash as the images", async () => {
    const build = await nativeBuild(GREENHOUSE);
    const drive = new FakeDrive(join(temporary(), "RPI-RP2"));
    writeFileSync(join(drive.folder, "firmware.uf2"), uf2Of(PICO, build));
    const taken = drive.take(new Uint8Array(PICO.flash.bytes).fill(0xff));
    expect(Buffer.compare(taken?.flash as Uint8Array, flashOf(PICO, build))).toBe(0);
  });

  test("an app that a cut tore does not run; the base says so and goes on", async () => {
    const board = await picoTarget({ app: GREENHOUSE });
    const flash = flashOf(PICO, await nativeBuild(GREENHOUSE));
    const torn = (PICO.flash.slots[0]?.offset ?? 0) + 1000;
    flash[torn] = (flash[torn] ?? 0) ^ 1;
    board.pico.flashWrite(flash);
    const rig = new StreamRig(board);
    await board.powerOn();
    await rig.open();
    expect(board.console.join("")).toBe("no app: CRC\r\n");
    expect(rig.hello).toMatchObject({ board: "pico", app: "", capabilities: 0 });
    await board.close();
  });
});

describe("what a user is told", () => {
  test("a board that is none", () => {
    expect(() => boardNamed("nano")).toThrow(/no board "nano"; there is virtual, pico, posix/);
  });
  test("no compiler: which packages to install", async () => {
    process.env.PATH = temporary();
    await expect(buildNative(PICO, await builtApp(GREENHOUSE))).rejects.toMatchObject({
      code: "DEPENDENCY_MISSING",
      message: expect.stringContaining("gcc-arm-none-eabi"),
    });
  });
  test("an app larger than its slot: by how much", async () => {
    const small: NativeDefinition = {
      ...PICO,
      flash: { ...PICO.flash, slots: [{ name: "a", offset: 0x20000, bytes: 4096 }] },
    };
    await expect(buildNative(small, await builtApp(GREENHOUSE))).rejects.toMatchObject({
      code: "BUILD_SIZE",
      message: expect.stringMatching(/greenhouse is \d+ bytes larger than its slot of 4096.*--stats/),
    });
  });
  test("an app that wants more RAM than there is", async () => {
    const small: NativeDefinition = { ...PICO, ram: { ...PICO.ram, app: { offset: 0x10000, bytes: 1024 } } };
    await expect(buildNative(small, await builtApp(GREENHOUSE))).rejects.toMatchObject({
      code: "BUILD_SIZE",
      message: expect.stringMatching(/needs \d+ bytes more RAM/),
    });
  });
});

describe("translation", () => {
  const known = (async () => {
    const folder = temporary();
    const { wasm } = await builtApp(GREENHOUSE);
    writeFileSync(join(folder, "app.wasm"), wasm);
    await wasm2c("app.wasm", "app", folder);
    return {
      c: readFileSync(join(folder, "app.c"), "utf8"),
      header: readFileSync(join(folder, "app.h"), "utf8"),
      facts: await wasmFacts(wasm),
      module: "app",
      arenaBytes: 4096,
      arenaSection: ".noinit",
      clearedBytes: 4096,
      checked: true,
    };
  })();

  test("finds every memory access of the module again", async () => {
    const options = await known;
    expect(options.facts.accesses).toBeGreaterThan(80);
    translate(options);
    expect(() =>
      translate({ ...options, facts: { ...options.facts, accesses: options.facts.accesses + 1 } }),
    ).toThrow(/memory accesses/);
  });
  test("refuses a prologue that it was not written for", async () => {
    const options = await known;
    expect(() =>
      translate({ ...options, c: options.c.replace("MEMCHECK_GENERAL", "MEMCHECK_OTHER") }),
    ).toThrow(/prologue/);
  });
  test("refuses what it does not know", async () => {
    const options = await known;
    const c = options.c.replace("  FUNC_EPILOGUE;", "  wasm_rt_surprise(instance);\n  FUNC_EPILOGUE;");
    expect(() => translate({ ...options, c })).toThrow(/left over/);
  });
  test("only what can recurse asks for the stack", async () => {
    const { c } = translate(await known);
    // The greenhouse calls through its table, but nothing that it calls so comes back.
    expect(c.match(/STACK_CHECK;/g) ?? []).toHaveLength(0);
    expect(c).not.toContain("FUNC_PROLOGUE");
  });
});

describe("cache", () => {
  test("makes once, and never leaves half an entry", async () => {
    process.env.TARDIGRADE_CACHE = temporary();
    const key = digestOf(["a", "b"]);
    expect(key).not.toBe(digestOf(["ab", ""]));
    let made = 0;
    const make = async (folder: string): Promise<void> => {
      made += 1;
      await run("cp", ["/etc/hostname", join(folder, "out")], folder);
    };
    await cached(key, ["out"], make);
    await cached(key, ["out"], make);
    expect(made).toBe(1);
    // Many others: the ones longest unused go, the new one stays.
    for (let other = 0; other < 70; other += 1) await cached(digestOf([`${other}`]), ["out"], make);
    expect(readdirSync(process.env.TARDIGRADE_CACHE).length).toBeLessThanOrEqual(64);
    const failing = cached(digestOf(["c"]), ["out"], () => Promise.reject(new Error("broken")));
    await expect(failing).rejects.toThrow("broken");
    await cached(digestOf(["c"]), ["out"], make);
    expect(made).toBe(72);
  });
});

describe("definitions", () => {
  const pico = (): Record<string, unknown> =>
    JSON.parse(readFileSync(join(import.meta.dirname, "../../../boards/definitions/pico.json"), "utf8"));

  test("a number may be hexadecimal text", () => {
    expect(parseDefinition(pico(), "pico.json")).toMatchObject({ flash: { address: 0x1000_0000 } });
  });
  test.each([
    ["an unknown kind", { kind: "analog" }, /"kind" is virtual, hosted or native/],
    ["no number", { pins: "many" }, /"pins" is no whole number/],
    ["too little RAM to retain", { retainedBytes: 100 }, /retainedBytes/],
    ["a stack that the base has for itself", { stackReserveBytes: 9999 }, /stack/],
  ])("%s", (_what, change, message) => {
    expect(() => parseDefinition({ ...pico(), ...change }, "pico.json")).toThrow(message);
  });
  test("areas that overlap", () => {
    const value = pico();
    (value.flash as { journal: unknown }).journal = { offset: "0x20000", bytes: 16384 };
    expect(() => parseDefinition(value, "pico.json")).toThrow(/overlap/);
  });
});
