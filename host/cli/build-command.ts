/** `tardi build`: an app's source to the image of a board. */
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type BuiltApp, buildApp, buildSystem } from "../../boards/toolchain/build.ts";
import { note, print, printJson, progress, yellow } from "./output.ts";

export interface BuildOptions {
  readonly board: string;
  readonly json?: boolean;
  readonly out?: string;
}

export async function buildCommand(path: string, options: BuildOptions): Promise<void> {
  const line = options.json ? undefined : progress(`Building ${path} for ${options.board}`);
  const built = await buildApp({ path, board: options.board });
  line?.done(`${built.wasm.length} bytes`);
  if (options.out !== undefined) await writeImage(options.out, built);
  if (options.json) return printJson(describe(built, options.out));
  for (const warning of built.warnings) note(`${yellow("warning")} ${warning}`);
  print(`${built.manifest.name} ${built.manifest.version}  ${built.wasm.length} bytes of wasm`);
  print(`capabilities: ${built.manifest.capabilities.join(", ") || "none"}`);
  if (options.out !== undefined) print(`written to ${options.out}`);
}

function describe(built: BuiltApp, out: string | undefined): unknown {
  return {
    board: built.board,
    name: built.manifest.name,
    version: built.manifest.version,
    wasmBytes: built.wasm.length,
    capabilities: built.manifest.capabilities,
    used: built.used,
    warnings: built.warnings,
    ...(out === undefined ? {} : { out }),
  };
}

/** What a virtual board runs: system.wasm, app.wasm, image.json. */
export async function writeImage(folder: string, built: BuiltApp): Promise<void> {
  await mkdir(folder, { recursive: true });
  const { name, version } = built.manifest;
  await writeFile(join(folder, "system.wasm"), (await buildSystem()).wasm);
  await writeFile(join(folder, "app.wasm"), built.wasm);
  await writeFile(
    join(folder, "image.json"),
    `${JSON.stringify({ name, version, capabilities: built.capabilities })}\n`,
  );
}
