/** `tardi build`: an app's source to the image of a board. */
import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { type BoardDefinition, boardNamed } from "../../boards/definitions/definition.ts";
import { type BuiltApp, buildApp, buildSystem } from "../../boards/toolchain/build.ts";
import type { NativeBuild, NativeImage } from "../../boards/toolchain/native/image.ts";
import { TardigradeError } from "../../protocols/error.ts";
import { note, print, printJson, progress, yellow } from "./output.ts";

export interface BuildOptions {
  readonly board: string;
  readonly json?: boolean;
  readonly out?: string;
  readonly stats?: boolean;
  readonly raft?: boolean;
}

/** Name of a hosted board's program in the output folder. */
const PROGRAM = "board";
/** Rows of --stats for people; --json has all of them. */
const STATS_ROWS = 30;

export async function buildCommand(path: string, options: BuildOptions): Promise<void> {
  const definition = boardNamed(options.board);
  if (options.raft) return buildRaftCommand(path, definition, options);
  const line = options.json ? undefined : progress(`Building ${path} for ${definition.title}`);
  const app = await buildApp({ path, board: options.board });
  const native = await nativeBuild(definition, app);
  const program = await hostedBuild(definition, app);
  line?.done(`${app.wasm.length} bytes of wasm`);
  if (options.out !== undefined) {
    await writeImage(options.out, app, native);
    if (program !== undefined) await copyFile(program, join(options.out, PROGRAM));
  }
  if (options.json) return printJson(describe(app, native, options));
  for (const warning of app.warnings) note(`${yellow("warning")} ${warning}`);
  print(`${app.manifest.name} ${app.manifest.version}  ${app.wasm.length} bytes of wasm`);
  print(`capabilities: ${app.manifest.capabilities.join(", ") || "none"}`);
  if (native) {
    print(`flash: base ${native.base.flashBytes}, app ${native.app.flashBytes} bytes`);
    print(`RAM:   base ${native.base.ramBytes}, app ${native.app.ramBytes} bytes`);
    if (options.stats) for (const part of ["base", "app"] as const) printStats(part, native[part]);
  }
  if (options.out === undefined) return;
  print(`written to ${options.out}`);
  if (program !== undefined) print(`start it: ${join(options.out, PROGRAM)} --state FOLDER`);
}

async function hostedBuild(definition: BoardDefinition, app: BuiltApp): Promise<string | undefined> {
  if (definition.kind !== "hosted") return undefined;
  const { buildProgram } = await import("../../boards/toolchain/native/program.ts");
  return buildProgram(definition, app);
}

export async function nativeBuild(
  definition: BoardDefinition,
  app: BuiltApp,
): Promise<NativeBuild | undefined> {
  if (definition.kind !== "native") return undefined;
  const { buildNative } = await import("../../boards/toolchain/native/image.ts");
  return buildNative(definition, app);
}

/** An image for a board among peers; written as NAME-BOARD.uf2 and flash.bin. */
async function buildRaftCommand(
  path: string,
  definition: BoardDefinition,
  { json, out, stats }: BuildOptions,
): Promise<void> {
  if (definition.kind !== "native")
    throw new TardigradeError("BUILD_BOARD", `${definition.title} has no links to peers; pico has.`);
  const { buildRaft } = await import("../../boards/toolchain/native/raft-image.ts");
  const { flashOf, uf2Of } = await import("../../boards/toolchain/native/uf2.ts");
  const image = await buildRaft(definition, path);
  const { flashBytes, ramBytes, sizes } = image;
  const { memoryBytes } = image.module;
  if (out !== undefined) {
    await mkdir(out, { recursive: true });
    await writeFile(join(out, "flash.bin"), flashOf(definition, { base: image }));
    const name = basename(path, ".ts");
    await writeFile(join(out, `${name}-${definition.name}.uf2`), uf2Of(definition, { base: image }));
  }
  if (json)
    return printJson({
      board: definition.name,
      flashBytes,
      ramBytes,
      memoryBytes,
      ...(stats ? { sizes } : {}),
    });
  print(`flash: ${flashBytes} bytes`);
  print(`RAM:   ${ramBytes} bytes, of which the module's memory ${memoryBytes}`);
  if (stats) printStats("image", image);
  if (out !== undefined) print(`written to ${out}`);
}

function printStats(part: string, image: NativeImage): void {
  print(`\nlargest of ${part}:`);
  for (const { bytes, place, name } of image.sizes.slice(0, STATS_ROWS))
    print(`${`${bytes}`.padStart(7)} ${place.padEnd(5)} ${name}`);
}

function describe(app: BuiltApp, native: NativeBuild | undefined, { out, stats }: BuildOptions): unknown {
  return {
    board: app.board,
    name: app.manifest.name,
    version: app.manifest.version,
    wasmBytes: app.wasm.length,
    arenaBytes: app.arenaBytes,
    ...(native === undefined
      ? {}
      : {
          flash: { base: native.base.flashBytes, app: native.app.flashBytes },
          ram: { base: native.base.ramBytes, app: native.app.ramBytes },
        }),
    capabilities: app.manifest.capabilities,
    used: app.used,
    warnings: app.warnings,
    ...(stats && native ? { stats: { base: native.base.sizes, app: native.app.sizes } } : {}),
    ...(out === undefined ? {} : { out }),
  };
}

/** What a virtual board runs (system.wasm, app.wasm, image.json), and what a native one is flashed with. */
export async function writeImage(folder: string, app: BuiltApp, native?: NativeBuild): Promise<void> {
  await mkdir(folder, { recursive: true });
  const { name, version } = app.manifest;
  await writeFile(join(folder, "system.wasm"), (await buildSystem()).wasm);
  await writeFile(join(folder, "app.wasm"), app.wasm);
  await writeFile(
    join(folder, "image.json"),
    `${JSON.stringify({ name, version, capabilities: app.capabilities })}\n`,
  );
  const definition = boardNamed(app.board);
  if (native === undefined || definition.kind !== "native") return;
  const { flashOf, uf2Of } = await import("../../boards/toolchain/native/uf2.ts");
  await writeFile(join(folder, "base.bin"), native.base.bytes);
  await writeFile(join(folder, "app.bin"), native.app.bytes);
  await writeFile(join(folder, "flash.bin"), flashOf(definition, native));
  await writeFile(join(folder, `${name}-${app.board}.uf2`), uf2Of(definition, native));
}
