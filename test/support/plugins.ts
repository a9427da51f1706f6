/** Components for tests: built once a file by our own toolchain, or from text of WebAssembly. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import wabt from "wabt";
import { buildPlugin, componentOf } from "../../boards/toolchain/plugin.ts";
import { openPlugin, type PluginOptions } from "../../host/io/plugin-worker.ts";
import type { PluginRunner } from "../../host/io/seams.ts";

const ROOT = join(import.meta.dirname, "../..");

export const WORLD = readFileSync(join(ROOT, "protocols/wit/plugin.wit"), "utf8");
export const LORA = "docs/examples/plugins/lora.ts";
export const HOSTILE = "test/fixtures/plugins/hostile.ts";

export const EVERYTHING = "test/fixtures/plugins/everything.ts";

const built = new Map<string, Promise<Uint8Array>>();

export function component(path: string): Promise<Uint8Array> {
  const known = built.get(path) ?? buildPlugin(join(ROOT, path)).then((plugin) => plugin.component);
  built.set(path, known);
  return known;
}

export async function moduleOf(text: string, features: Record<string, boolean> = {}): Promise<Uint8Array> {
  const parsed = (await wabt()).parseWat("module.wat", text, { ...features });
  try {
    return Uint8Array.from(parsed.toBinary({}).buffer);
  } finally {
    parsed.destroy();
  }
}

/** A component that answers every message with an area of its memory: `data` is written from 1024 on. */
export async function rawComponent(options: {
  readonly area?: readonly number[];
  readonly memory?: string;
  readonly more?: string;
}): Promise<Uint8Array> {
  const bytes = (options.area ?? [])
    .flatMap((word) => [word, word >>> 8, word >>> 16, word >>> 24])
    .map((byte) => `\\${(byte & 255).toString(16).padStart(2, "0")}`)
    .join("");
  const text = `(module
    (memory (export "memory") ${options.memory ?? "1"})
    (global $top (mut i32) (i32.const 4096))
    (data (i32.const 1024) "${bytes}")
    (func (export "decode") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
    (func (export "encode") (param i32 i32 i32 i32 i32 i64 i32) (result i32) (i32.const 1024))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
      (global.set $top (i32.add (global.get $top) (i32.and (i32.add (local.get 3) (i32.const 15)) (i32.const -16))))
      (i32.sub (global.get $top) (i32.and (i32.add (local.get 3) (i32.const 15)) (i32.const -16))))
    ${options.more ?? ""})`;
  return componentOf(await moduleOf(text));
}

export function opened(
  bytes: Uint8Array,
  options: Pick<PluginOptions, "clock"> & Partial<PluginOptions>,
): Promise<PluginRunner> {
  return openPlugin({
    name: "test",
    component: bytes,
    world: WORLD,
    timeMs: 1000,
    memoryMb: 4,
    ...options,
  });
}
