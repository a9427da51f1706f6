/** Base and app of a hosted board: one program of this machine, whose sandbox around the app is the same checks. */
import { chmod, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { HostedDefinition } from "../../definitions/definition.ts";
import { type BuiltApp, buildSystem } from "../build.ts";
import { cached, cacheFolder, digestOf } from "./cache.ts";
import { COMMON_SOURCES, MEANING_FLAGS } from "./flags.ts";
import { abiEntries, portFolder, retainedBaseOf, sources, toolchainSources, translated } from "./module.ts";
import { hostTools, run } from "./tools.ts";

const CFLAGS = [...MEANING_FLAGS, "-O2", "-pthread"];
const PORT = ["main.c", "link.c", "flash.c", "pins.c"];
/** Stack that an app may use; the process has far more. */
const APP_STACK_BYTES = 65_536;
const LINK_RING_BYTES = 4096;

/** Path of the program. */
export async function buildProgram(board: HostedDefinition, app: BuiltApp): Promise<string> {
  const tools = await hostTools();
  const system = await buildSystem();
  const retainedBase = await retainedBaseOf(system.wasm, board.retainedBytes);
  const defines: Readonly<Record<string, string | number>> = {
    PORT_THREADS: 1,
    STACK_REGISTER: process.arch === "arm64" ? '"sp"' : '"rsp"',
    STACK_LIMIT: "app_stack_floor",
    APP_STACK_BYTES,
    ABI_ENTRIES: abiEntries().length,
    LINK_IN_BYTES: LINK_RING_BYTES,
    LINK_OUT_BYTES: LINK_RING_BYTES,
    JOURNAL_BYTES: board.journalBytes,
    SYSTEM_RETAINED_BASE: retainedBase,
    SYSTEM_RETAINED_BYTES: board.retainedBytes,
    APP_ARENA_BYTES: app.arenaBytes,
    APP_CAPABILITIES: app.capabilities,
    APP_NAME: JSON.stringify(app.manifest.name),
    APP_VERSION: JSON.stringify(app.manifest.version),
  };
  const port = portFolder();
  const key = digestOf([
    "program",
    tools.version,
    JSON.stringify([CFLAGS, defines]),
    system.wasm,
    app.wasm,
    ...toolchainSources(),
    ...sources(["common", "wasm", "posix"]),
  ]);
  await cached(key, [], async (folder) => {
    const result = await translated(folder, system.wasm, {
      module: "system",
      arenaBytes: retainedBase + board.retainedBytes,
      arenaSection: '.noinit.system,\\"aw\\",@nobits#',
      clearedBytes: retainedBase,
      checked: false,
    });
    await writeFile(join(folder, "hal.h"), result.importsHeader);
    await translated(folder, app.wasm, {
      module: "app",
      arenaBytes: app.arenaBytes,
      arenaSection: '.noinit.app,\\"aw\\",@nobits#',
      clearedBytes: app.arenaBytes,
      checked: true,
    });
    // An app's imports are the system's functions under the app's names; one program needs no jump table.
    const aliases = abiEntries()
      .filter(({ name }) => name.startsWith("tardi_"))
      .map(({ name, function: target }) => `-Wl,--defsym=${name}=${target}`);
    await run(
      `${tools.prefix}gcc`,
      [
        ...CFLAGS,
        `-ffile-prefix-map=${port}=port`,
        "-I.",
        `-I${port}`,
        `-I${join(port, "common")}`,
        ...Object.entries(defines).map(([name, value]) => `-D${name}=${value}`),
        "system.c",
        "app.c",
        ...[...COMMON_SOURCES, "app-image.c"].map((name) => join(port, "common", name)),
        ...PORT.map((name) => join(port, "posix", name)),
        ...aliases,
        "-Wl,--defsym=image_start=app_image,--defsym=ram_start=app_arena,--defsym=ram_end=app_arena",
        "-o",
        "board",
        "-lm",
      ],
      folder,
    );
    await chmod(join(folder, "board"), 0o755);
  });
  return join(cacheFolder(), key, "board");
}
