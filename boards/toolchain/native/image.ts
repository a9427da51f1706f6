/**
 * Base and app of a board that runs native code: wasm to C to two images in flash, linked apart so that an app can be replaced
 * without the base. Same input, same bytes.
 */
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { crc32 } from "../../../protocols/crc.ts";
import { TardigradeError } from "../../../protocols/error.ts";
import type { NativeDefinition } from "../../definitions/definition.ts";
import { type BuiltApp, type BuiltSystem, buildSystem } from "../build.ts";
import { cached, digestOf } from "./cache.ts";
import { COMMON_SOURCES, MEANING_FLAGS } from "./flags.ts";
import {
  type AbiEntry,
  abiEntries,
  portFolder,
  retainedBaseOf,
  sources,
  toolchainSources,
  translated,
} from "./module.ts";
import { type SymbolSize, sizesOf } from "./stats.ts";
import { armTools, type CrossTools, run } from "./tools.ts";

export interface NativeImage {
  /** Where it lies in flash, as an offset. */
  readonly offset: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly flashBytes: number;
  readonly ramBytes: number;
  /** What takes flash and RAM, largest first. */
  readonly sizes: readonly SymbolSize[];
}
export interface NativeBuild {
  readonly base: NativeImage;
  readonly app: NativeImage;
}

const CPU = ["-mcpu=cortex-m0plus", "-mthumb"];
export const CFLAGS = [
  ...CPU,
  ...MEANING_FLAGS,
  "-Os",
  "-ffunction-sections",
  "-fdata-sections",
  '-DSTACK_REGISTER="sp"',
];
export const LDFLAGS = [
  ...CPU,
  "-nostartfiles",
  "--specs=nano.specs",
  "-Wl,--gc-sections",
  "-Wl,--build-id=none",
];
/** Of every image that starts a chip; the base has the rest of its port, and where its app is. */
export const START: readonly string[] = [
  "vectors.S",
  "boot2.S",
  "start.c",
  "board.c",
  "uart.c",
  "flash.c",
  "pins.c",
  "divide.c",
];
/** Rings of UART1, where it is the console. */
const CONSOLE = { CONSOLE_IN_BYTES: 32, CONSOLE_OUT_BYTES: 128 };
/** What is small and seldom used goes into each image that uses it; the rest is the base's, behind the jump table. */
const ROUNDING = ["float-pack.c", "float-round.c"];
export const ARITHMETIC = [...ROUNDING, "float32.c", "float64.c", "float-convert.c", "integer.c"];
const BOOT2_BYTES = 252;
const HEADER_LENGTH_AT = 8;
const HEADER_CRC_AT = 12;
const HEADER_CHECKED_FROM = 16;

export async function buildNative(board: NativeDefinition, app: BuiltApp): Promise<NativeBuild> {
  const tools = await armTools();
  const base = await buildBase(board, tools, await buildSystem());
  return { base, app: await buildAppImage(board, tools, app) };
}

/** Bytes of the vectors before the jump table, and of one entry of it; vectors.S draws both. */
const TABLE_AT = 0x100 + 48 * 4;
const ENTRY_BYTES = 12;

async function buildBase(
  board: NativeDefinition,
  tools: CrossTools,
  system: BuiltSystem,
): Promise<NativeImage> {
  const retainedBase = await retainedBaseOf(system.wasm, board.retainedBytes);
  const { flash, ram } = board;
  const { slot } = placeOf(board);
  const entries = abiEntries();
  const defines = {
    ABI_ENTRIES: entries.length,
    SLOT_BYTES: slot.bytes,
    JOURNAL_ADDRESS: flash.address + flash.journal.offset,
    JOURNAL_BYTES: flash.journal.bytes,
    LINK_IN_BYTES: board.linkInBytes,
    LINK_OUT_BYTES: board.linkOutBytes,
    ...CONSOLE,
    SYSTEM_RETAINED_BYTES: board.retainedBytes,
  };
  const symbols = {
    FLASH_ADDRESS: flash.address + flash.base.offset,
    FLASH_BYTES: flash.base.bytes,
    RAM_ADDRESS: ram.address + ram.base.offset,
    RAM_BYTES: ram.base.bytes,
    STACK_BYTES: board.stackBytes,
    slot_a: flash.address + slot.offset,
    app_ram_start: ram.address + ram.app.offset,
    app_ram_end: ram.address + ram.app.offset + ram.app.bytes,
  };
  const key = digestOf([
    "base",
    tools.version,
    JSON.stringify([CFLAGS, LDFLAGS, defines, symbols]),
    system.wasm,
    ...toolchainSources(),
    ...sources(["common", "cortex-m0plus", "wasm", board.port]),
  ]);
  const files = ["image.bin", "image.elf", "nm.txt"];
  const [bin, , nm] = (await cached(key, files, async (folder) => {
    const result = await translated(folder, system.wasm, {
      module: "system",
      arenaBytes: retainedBase + board.retainedBytes,
      arenaSection: ".noinit.system",
      clearedBytes: retainedBase,
      checked: false,
    });
    await writeFile(join(folder, "hal.h"), result.importsHeader);
    const port = portFolder();
    const inputs = [
      "system.c",
      ...COMMON_SOURCES.map((name) => join(port, "common", name)),
      ...[...START, "slot.c"].map((name) => join(port, board.port, name)),
      ...ARITHMETIC.map((name) => join(port, "cortex-m0plus", name)),
    ];
    await link(tools, folder, inputs, join(port, board.port, "base.ld"), defines, symbols);
    await sealBoot2(folder);
  })) as [Uint8Array<ArrayBuffer>, unknown, Uint8Array];
  const sizes = sizesOf(new TextDecoder().decode(nm), "system", system.names, board.ram.address);
  return {
    offset: flash.base.offset,
    bytes: bin,
    flashBytes: bin.length,
    ramBytes: ramBytes(nm, symbols.RAM_ADDRESS, "ram_end"),
    sizes,
  };
}

async function buildAppImage(
  board: NativeDefinition,
  tools: CrossTools,
  app: BuiltApp,
): Promise<NativeImage> {
  const { ram } = board;
  const place = placeOf(board);
  const defines = {
    ABI_ENTRIES: abiEntries().length,
    APP_ARENA_BYTES: app.arenaBytes,
    APP_CAPABILITIES: app.capabilities,
    APP_NAME: JSON.stringify(app.manifest.name),
    APP_VERSION: JSON.stringify(app.manifest.version),
  };
  const key = digestOf([
    "app",
    tools.version,
    JSON.stringify([CFLAGS, LDFLAGS, defines, place.symbols]),
    app.wasm,
    ...toolchainSources(),
    ...sources(["common", "cortex-m0plus", "wasm", board.port]),
  ]);
  const [bin, , nm] = (await cached(key, ["image.bin", "image.elf", "nm.txt"], async (folder) => {
    await translated(folder, app.wasm, {
      module: "app",
      arenaBytes: app.arenaBytes,
      arenaSection: ".noinit.app",
      clearedBytes: app.arenaBytes,
      checked: true,
    });
    await writeAbi(board, folder, abiEntries());
    const arithmetic = ROUNDING.map((name) => join(portFolder(), "cortex-m0plus", name));
    await linkApp(board, tools, folder, ["app.c", ...arithmetic], defines);
  }).catch((error: unknown) => {
    throw tooLarge(error, app, place.slot.bytes, place.symbols.RAM_ADDRESS + place.symbols.RAM_BYTES);
  })) as [Uint8Array<ArrayBuffer>, unknown, Uint8Array];
  return {
    offset: place.slot.offset,
    bytes: bin,
    flashBytes: bin.length,
    ramBytes: ramBytes(nm, place.symbols.RAM_ADDRESS, "ram_end"),
    sizes: sizesOf(new TextDecoder().decode(nm), "app", app.names, ram.address),
  };
}

/** Slot and RAM of an app, and what its linker script wants to know. */
function placeOf({ name, flash, ram, stackReserveBytes }: NativeDefinition) {
  const [slot] = flash.slots;
  if (slot === undefined) throw new TardigradeError("BUILD_BOARD", `${name} has no slot for an app.`);
  const symbols = {
    SLOT_ADDRESS: flash.address + slot.offset,
    SLOT_BYTES: slot.bytes,
    RAM_ADDRESS: ram.address + ram.app.offset,
    RAM_BYTES: ram.app.bytes,
    app_stack_limit: ram.address + ram.base.offset + stackReserveBytes,
  };
  return { slot, symbols };
}

/** Names of the base's functions at the addresses of its jump table. */
async function writeAbi(
  { flash }: NativeDefinition,
  folder: string,
  entries: readonly AbiEntry[],
): Promise<void> {
  const table = flash.address + flash.base.offset + TABLE_AT;
  const all = abiEntries().map(({ name }) => name);
  const lines = entries.flatMap(({ name }) => [
    `.global ${name}`,
    `.type ${name}, %function`,
    `.thumb_set ${name}, 0x${(table + all.indexOf(name) * ENTRY_BYTES).toString(16)} + 1`,
  ]);
  await writeFile(join(folder, "abi.s"), `.syntax unified\n.thumb\n${lines.join("\n")}\n`);
}

/** Links an app's image with its header, and writes length and CRC into it. */
async function linkApp(
  board: NativeDefinition,
  tools: CrossTools,
  folder: string,
  inputs: readonly string[],
  defines: Readonly<Record<string, string | number>>,
  flags: readonly string[] = [],
): Promise<void> {
  const all = [...inputs, "abi.s", join(portFolder(), "common/app-image.c")];
  const script = join(portFolder(), board.port, "app.ld");
  await link(tools, folder, all, script, defines, placeOf(board).symbols, flags);
  const image = await readFile(join(folder, "image.bin"));
  const view = new DataView(image.buffer, image.byteOffset, image.length);
  view.setUint32(HEADER_LENGTH_AT, image.length, true);
  view.setUint32(HEADER_CRC_AT, crc32(image.subarray(HEADER_CHECKED_FROM)), true);
  await writeFile(join(folder, "image.bin"), image);
}

/**
 * An app written in C: an image as any other, without a sandbox and with the compiler's own arithmetic. What our code is measured
 * beside; users' apps are never built so.
 */
export async function buildPeer(
  board: NativeDefinition,
  options: {
    readonly source: string;
    readonly arenaBytes: number;
    readonly capabilities: number;
    readonly flags: readonly string[];
  },
): Promise<NativeImage> {
  const tools = await armTools();
  const folder = await mkdtemp(join(tmpdir(), "tardigrade-peer-"));
  try {
    await writeAbi(
      board,
      folder,
      abiEntries().filter(({ name }) => name.startsWith("tardi_") || name === "app_trap"),
    );
    const defines = {
      ABI_ENTRIES: abiEntries().length,
      APP_ARENA_BYTES: options.arenaBytes,
      APP_CAPABILITIES: options.capabilities,
      APP_NAME: '"peer"',
      APP_VERSION: '"1.0.0"',
    };
    await linkApp(board, tools, folder, [options.source], defines, options.flags);
    const bytes = Uint8Array.from(await readFile(join(folder, "image.bin")));
    return { offset: placeOf(board).slot.offset, bytes, flashBytes: bytes.length, ramBytes: 0, sizes: [] };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** The linker says it in two ways: a region overflowed by so much, or a section's end is not within it. */
function tooLarge(error: unknown, app: BuiltApp, slotBytes: number, ramEnd: number): unknown {
  const message = error instanceof TardigradeError ? error.message : "";
  const flash = /region `slot' overflowed by (\d+) bytes/.exec(message)?.[1];
  const end = /address (0x[0-9a-f]+) of \S+ section \S+ is not within region `ram'/.exec(message)?.[1];
  if (flash === undefined && end === undefined) return error;
  const { name } = app.manifest;
  const what =
    flash !== undefined
      ? `${name} is ${flash} bytes larger than its slot of ${slotBytes}. See what takes the room with --stats, and drop what is not used.`
      : `${name} needs ${Number(end) - ramEnd} bytes more RAM than the board gives to apps. Its memory takes ${app.arenaBytes}: smaller arrays, fewer texts.`;
  return new TardigradeError("BUILD_SIZE", what, { context: { component: "toolchain" }, cause: error });
}

/** Writes the CRC behind the second stage. */
export async function sealBoot2(folder: string): Promise<void> {
  const image = await readFile(join(folder, "image.bin"));
  const crc = boot2Crc(image.subarray(0, BOOT2_BYTES));
  new DataView(image.buffer, image.byteOffset).setUint32(BOOT2_BYTES, crc, true);
  await writeFile(join(folder, "image.bin"), image);
}

/** Compiles and links `inputs` to image.elf and image.bin, and lists its symbols in nm.txt. */
export async function link(
  { prefix }: CrossTools,
  folder: string,
  inputs: readonly string[],
  script: string,
  defines: Readonly<Record<string, string | number>>,
  symbols: Readonly<Record<string, number>>,
  flags: readonly string[] = [],
): Promise<void> {
  const port = portFolder();
  await run(
    `${prefix}gcc`,
    [
      ...CFLAGS,
      ...flags,
      `-ffile-prefix-map=${port}=port`,
      "-I.",
      `-I${port}`,
      `-I${join(port, "common")}`,
      ...Object.entries(defines).map(([name, value]) => `-D${name}=${value}`),
      ...inputs,
      ...LDFLAGS,
      ...Object.entries(symbols).map(([name, value]) => `-Wl,--defsym=${name}=0x${value.toString(16)}`),
      `-Wl,-T,${script}`,
      "-o",
      "image.elf",
      "-lm",
    ],
    folder,
  );
  await run(`${prefix}objcopy`, ["-O", "binary", "image.elf", "image.bin"], folder);
  const { stdout } = await run(`${prefix}nm`, ["-S", "-n", "image.elf"], folder);
  await writeFile(join(folder, "nm.txt"), stdout);
}

export function ramBytes(nm: Uint8Array, start: number, end: string): number {
  const line = new RegExp(`^([0-9a-f]+) .*\\b${end}$`, "m").exec(new TextDecoder().decode(nm));
  return line === null ? 0 : Number.parseInt(line[1] as string, 16) - start;
}

/**
 * CRC-32 as the boot ROM wants it behind the second stage: 0x04c11db7, not reflected, no final inversion. The emulated ROM has its own: one
 * checks the other.
 */
export function boot2Crc(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte << 24;
    for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x8000_0000 ? (crc << 1) ^ 0x04c1_1db7 : crc << 1;
  }
  return crc >>> 0;
}
