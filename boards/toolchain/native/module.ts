/** A module's way from wasm to C, the same for every port. */
import { readdirSync, readFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { packageRoot } from "../compile.ts";
import { wasm2c } from "./tools.ts";
import { type Translated, type TranslateOptions, translate } from "./translate.ts";
import { wasmFacts } from "./wasm-facts.ts";

export function portFolder(): string {
  return join(packageRoot(), "firmware/port");
}

/** The toolchain's own text (beside this file in the sources, this file's bundle when installed): another one makes other images. */
export function toolchainSources(): readonly Uint8Array[] {
  return readdirSync(import.meta.dirname)
    .filter((name) => /\.[jt]s$/.test(name))
    .sort()
    .map((name) => readFileSync(join(import.meta.dirname, name)));
}

/** Every source that an image is made of, for its digest. */
export function sources(folders: readonly string[]): readonly (string | Uint8Array)[] {
  return folders.flatMap((folder) =>
    readdirSync(join(portFolder(), folder))
      .sort()
      .flatMap((name) => [name, readFileSync(join(portFolder(), folder, name))]),
  );
}

/** What the base gives to apps, in the order of its jump table. */
export function abiEntries(): readonly AbiEntry[] {
  const text = readFileSync(join(portFolder(), "common/abi.def"), "utf8");
  return [...text.matchAll(/^ENTRY\((\w+), (\w+)\)$/gm)].map((match) => ({
    name: match[1] as string,
    function: match[2] as string,
  }));
}

export interface AbiEntry {
  readonly name: string;
  readonly function: string;
}

/** Leaves MODULE.c and MODULE.h in the folder. */
export async function translated(
  folder: string,
  wasm: Uint8Array<ArrayBuffer>,
  options: Omit<TranslateOptions, "c" | "header" | "facts">,
): Promise<Translated> {
  const { module } = options;
  await writeFile(join(folder, `${module}.wasm`), wasm);
  await wasm2c(`${module}.wasm`, module, folder);
  const c = await readFile(join(folder, `${module}.c`), "utf8");
  const header = await readFile(join(folder, `${module}.h`), "utf8");
  const result = translate({ ...options, c, header, facts: await wasmFacts(wasm) });
  await writeFile(join(folder, `${module}.c`), result.c);
  await writeFile(join(folder, `${module}.h`), result.exportsHeader);
  return result;
}

/** The system says where its retained region begins. */
export async function retainedBaseOf(wasm: Uint8Array<ArrayBuffer>, retainedBytes: number): Promise<number> {
  const module = await WebAssembly.compile(wasm);
  const hal: Record<string, () => number | bigint> = {};
  for (const { name } of WebAssembly.Module.imports(module)) hal[name] = () => 0;
  hal.hal_retained_bytes = () => retainedBytes;
  const instance = await WebAssembly.instantiate(module, { hal });
  const system = instance.exports as unknown as { start(): void; retained_base(): number };
  system.start();
  return system.retained_base();
}
