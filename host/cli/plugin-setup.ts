/** Opens the plugins of a configuration. A file that is no plugin ends the start: its devices would be silently absent otherwise. */
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { packageRoot } from "../../boards/toolchain/compile.ts";
import { isTardigradeError, TardigradeError } from "../../protocols/error.ts";
import type { Core } from "../core/core.ts";
import type { Decoder } from "../gateway/plain/decoder.ts";
import { pluginDecoder } from "../gateway/plain/plugin-decoder.ts";
import { COMPONENT_BYTES_MAX, openPlugin } from "../io/plugin-worker.ts";
import type { Clock, Meter, PluginRunner } from "../io/seams.ts";
import type { Config } from "./config.ts";

type PluginConfig = Config["plain"]["plugins"][number];

export interface OpenedPlugins {
  readonly decoders: readonly Decoder[];
  close(): Promise<void>;
}

/** Rejects with PLUGIN_INVALID, PLUGIN_MEMORY, FILE_UNREADABLE, DEPENDENCY_MISSING or CONFIG_INVALID. */
export async function openPlugins(
  plugins: readonly PluginConfig[],
  parts: { readonly core: Core; readonly clock: Clock; readonly meter: Meter },
): Promise<OpenedPlugins> {
  const twice = plugins.find(({ family }, at) => plugins.findIndex((it) => it.family === family) !== at);
  if (twice !== undefined) {
    const message = `Two of plain.plugins are of family "${twice.family}"; each needs its own.`;
    throw new TardigradeError("CONFIG_INVALID", message);
  }
  const runners: PluginRunner[] = [];
  const close = async (): Promise<void> => {
    await Promise.all(runners.map((runner) => runner.close()));
  };
  try {
    const decoders: Decoder[] = [];
    for (const { file, family, filters, publish, timeMs, memoryMb } of plugins) {
      const runner = await openPluginFile(file, { name: family, timeMs, memoryMb, clock: parts.clock });
      runners.push(runner);
      decoders.push(pluginDecoder({ runner, family, filters, publish, ...parts }));
    }
    return { decoders, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** The file's plugin, or an error that names the file and what to do. */
export async function openPluginFile(
  file: string,
  options: {
    readonly name: string;
    readonly timeMs: number;
    readonly memoryMb: number;
    readonly clock: Clock;
  },
): Promise<PluginRunner> {
  const component = await componentBytes(file);
  const world = await readFile(join(packageRoot(), "protocols/wit/plugin.wit"), "utf8");
  try {
    return await openPlugin({ ...options, component, world });
  } catch (error) {
    if (!isTardigradeError(error) || error.code === "DEPENDENCY_MISSING") throw error;
    const message = `${file} is no plugin for this gateway. ${error.message} \`tardi plugin run ${file}\` tries it.`;
    throw new TardigradeError(error.code, message, { cause: error, context: error.context });
  }
}

async function componentBytes(file: string): Promise<Uint8Array> {
  try {
    const { size } = await stat(file);
    if (size > COMPONENT_BYTES_MAX) {
      const message = `${file} has ${size} bytes; a plugin has ${COMPONENT_BYTES_MAX} at most.`;
      throw new TardigradeError("PLUGIN_INVALID", message);
    }
    return new Uint8Array(await readFile(file));
  } catch (cause) {
    if (isTardigradeError(cause)) throw cause;
    const message = `The plugin ${file} cannot be read: ${(cause as Error).message}`;
    throw new TardigradeError("FILE_UNREADABLE", message, { cause });
  }
}
