/**
 * Image of a board among peers: firmware/raft and an app in one module, one image from the start of flash. Nothing of the base is in it but the port.
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { NativeDefinition } from "../../definitions/definition.ts";
import { buildRaftModule, type RaftModule } from "../raft-module.ts";
import { cached, digestOf } from "./cache.ts";
import { ARITHMETIC, CFLAGS, LDFLAGS, link, type NativeImage, ramBytes, START, sealBoot2 } from "./image.ts";
import { portFolder, sources, toolchainSources, translated } from "./module.ts";
import { sizesOf } from "./stats.ts";
import { armTools } from "./tools.ts";

/** Of the board's storage, for the journal: a sector fills with some 75 entries, and lasts 100,000 of its erases. */
export const JOURNAL_SECTORS = 8;
const SECTOR_BYTES = 4096;
/** Rings of each link: some 40 ms of line. */
const LINK_BYTES = 512;
const COMMON = ["peer.c"];

export interface RaftImage extends NativeImage {
  readonly module: RaftModule;
  /** Where in RAM the module's memory begins. */
  readonly arenaAddress: number;
  /** The journal, as a part of flash. */
  readonly journal: { readonly offset: number; readonly bytes: number };
}

/** `app` exports setup() and loop(now): firmware/raft/index.ts is what it uses. */
export async function buildRaft(board: NativeDefinition, app: string): Promise<RaftImage> {
  const tools = await armTools();
  const module = await buildRaftModule(app);
  const { flash, ram } = board;
  const journal = { offset: flash.storage.offset, bytes: JOURNAL_SECTORS * SECTOR_BYTES };
  const defines = {
    JOURNAL_ADDRESS: flash.address + journal.offset,
    JOURNAL_BYTES: journal.bytes,
    LINK_IN_BYTES: LINK_BYTES,
    LINK_OUT_BYTES: LINK_BYTES,
    CONSOLE_IN_BYTES: LINK_BYTES,
    CONSOLE_OUT_BYTES: LINK_BYTES,
  };
  const symbols = {
    FLASH_ADDRESS: flash.address + flash.base.offset,
    FLASH_BYTES: flash.base.bytes,
    RAM_ADDRESS: ram.address + ram.base.offset,
    RAM_BYTES: ram.base.bytes,
    STACK_BYTES: board.stackBytes,
  };
  const key = digestOf([
    "raft",
    tools.version,
    JSON.stringify([CFLAGS, LDFLAGS, defines, symbols]),
    module.wasm,
    ...toolchainSources(),
    ...sources(["common", "cortex-m0plus", "wasm", board.port]),
  ]);
  const [bin, , nm] = (await cached(key, ["image.bin", "image.elf", "nm.txt"], async (folder) => {
    const { importsHeader } = await translated(folder, module.wasm, {
      module: "raft",
      arenaBytes: module.memoryBytes,
      arenaSection: ".noinit.raft",
      clearedBytes: module.memoryBytes,
      checked: false,
    });
    await writeFile(join(folder, "hal.h"), importsHeader);
    const port = portFolder();
    const inputs = [
      "raft.c",
      ...COMMON.map((name) => join(port, "common", name)),
      ...START.map((name) => join(port, board.port, name)),
      ...ARITHMETIC.map((name) => join(port, "cortex-m0plus", name)),
    ];
    await link(tools, folder, inputs, join(port, board.port, "base.ld"), defines, symbols);
    await sealBoot2(folder);
  })) as [Uint8Array<ArrayBuffer>, unknown, Uint8Array];
  const arena = /^([0-9a-f]{8}) .* raft_arena$/m.exec(new TextDecoder().decode(nm))?.[1];
  return {
    offset: flash.base.offset,
    bytes: bin,
    flashBytes: bin.length,
    ramBytes: ramBytes(nm, symbols.RAM_ADDRESS, "ram_end"),
    sizes: sizesOf(new TextDecoder().decode(nm), "raft", module.names, ram.address),
    module,
    arenaAddress: Number.parseInt(arena as string, 16),
    journal,
  };
}
