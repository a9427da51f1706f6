/**
 * Builds the core from assembly/: `build/core.wasm` (raw exports, loaded by host/core), `build/shared.wasm` (lock-free structures over shared memory, loaded by host/concurrency)
 * and `build/core-component/` (the first plus the typed exports of protocols/wit/core.wit, transpiled by jco for JavaScript). Nothing is done while a hash of the
 * sources is the one of the last build.
 *
 * AssemblyScript cannot name an export `tardigrade:core/policies@0.1.0#inspect`; component.ts writes `wit_inspect`, and a
 * step with binaryen renames it. componentEmbed adds the world to the module, componentNew wraps it.
 */
import { createHash } from "node:crypto";
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const ROOT = join(import.meta.dirname, "..");
const BUILD = join(ROOT, "build");
const STAMP = join(BUILD, "core.hash");
const WIT = join(ROOT, "protocols/wit/core.wit");
const OUTPUTS = [join(BUILD, "core.wasm"), join(BUILD, "shared.wasm"), join(BUILD, "core-component/core.js")];

export const HOST_FLAGS: readonly string[] = [
  "-O3",
  "--noAssert",
  "--runtime",
  "stub",
  "--use",
  "abort=",
  "--initialMemory",
  "4",
];
/** What a device's compiler is told; tests compile the core this way too, so that it stays possible. */
export const DEVICE_FLAGS: readonly string[] = [
  ...["-Oz", "--noAssert", "--runtime", "stub", "--use", "abort="],
  ...["--disable", "bulk-memory", "--disable", "nontrapping-f2i", "--disable", "sign-extension"],
];

/** Over memory that threads share; assembly/shared.ts says what it must not have. */
export const SHARED_FLAGS: readonly string[] = [
  ...["-O3", "--noAssert", "--runtime", "stub", "--use", "abort=", "--enable", "threads"],
  ...["--importMemory", "--sharedMemory", "--noExportMemory", "--zeroFilledMemory"],
  // As much as wasm can address: an instance takes any memory that is not larger.
  ...["--initialMemory", "1", "--maximumMemory", "65536"],
];

/** Both planes in one module. */
export const CORE_ENTRIES: readonly string[] = ["assembly/index.ts", "assembly/component.ts"];

/** What is used of asc. Its own types redeclare globals such as console, so they are not imported. */
interface Asc {
  main(
    args: readonly string[],
    options: {
      readonly stdout: { write(chunk: Uint8Array | string): boolean };
      readonly stderr: { write(chunk: Uint8Array | string): boolean };
      readonly writeFile: (name: string, contents: Uint8Array | string) => void;
      readonly readFile: (name: string, baseDir: string) => string | null;
    },
  ): Promise<{ readonly error: Error | null }>;
}
const ASC_MODULE: string = "assemblyscript/asc";

/** Compiles entry files of assembly/ (paths relative to the repository), with the texts in `replaced` in place of files. */
export async function compileAssembly(
  entries: readonly string[],
  flags: readonly string[],
  replaced: ReadonlyMap<string, string> = new Map(),
): Promise<Uint8Array<ArrayBuffer>> {
  const { default: asc } = (await import(ASC_MODULE)) as { readonly default: Asc };
  let binary: Uint8Array | undefined;
  const messages: string[] = [];
  const write = (chunk: Uint8Array | string) => {
    messages.push(typeof chunk === "string" ? chunk : new TextDecoder().decode(chunk));
    return true;
  };
  const result = await asc.main([...entries, "--baseDir", ROOT, "--outFile", "out.wasm", ...flags], {
    stdout: { write },
    stderr: { write },
    readFile: (name, baseDir) => replaced.get(name) ?? readSource(join(baseDir, name)),
    writeFile: (name, contents) => {
      if (name.endsWith(".wasm") && contents instanceof Uint8Array) binary = contents;
    },
  });
  if (result.error || binary === undefined) {
    throw new Error(`The core does not compile:\n${messages.join("")}`, { cause: result.error });
  }
  return new Uint8Array(binary);
}

function readSource(path: string): string | null {
  return existsSync(path) ? readFileSync(path, "utf8") : null;
}

/** Builds what is out of date. True when something was built. */
export async function buildWasm(): Promise<boolean> {
  const hash = sourcesHash();
  const fresh = OUTPUTS.every((path) => existsSync(path));
  if (fresh && existsSync(STAMP) && readFileSync(STAMP, "utf8") === hash) return false;
  mkdirSync(BUILD, { recursive: true });
  write(join(BUILD, "core.wasm"), await compileAssembly(["assembly/index.ts"], HOST_FLAGS));
  write(join(BUILD, "shared.wasm"), await compileAssembly(["assembly/shared.ts"], SHARED_FLAGS));
  const module = await compileAssembly(CORE_ENTRIES, HOST_FLAGS);
  await transpileCore(module, join(BUILD, "core-component"));
  write(STAMP, hash);
  return true;
}

/** Makes a component of a module with both planes' exports, and JavaScript of that in `folder`. */
export async function transpileCore(module: Uint8Array, folder: string): Promise<void> {
  const { transpileBytes } = await import("@bytecodealliance/jco-transpile");
  const { componentEmbed, componentNew } = await import("@bytecodealliance/jco-transpile/wasm-tools");
  const embedded = await componentEmbed({
    binary: await renameExports(module),
    witSource: readFileSync(WIT, "utf8"),
    world: "core",
    stringEncoding: "utf16",
  });
  const { files } = await transpileBytes(await componentNew(embedded, []), {
    name: "core",
    instantiation: "sync",
    wasiShim: false,
    base64Cutoff: 0,
    tlaCompat: false,
  });
  rmSync(folder, { recursive: true, force: true });
  for (const [name, bytes] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), bytes);
  }
}

/** `wit_someName` becomes `tardigrade:core/policies@0.1.0#some-name`, as the world's interface wants it. */
async function renameExports(module: Uint8Array): Promise<Uint8Array> {
  const { default: binaryen } = await import("assemblyscript/binaryen");
  const parsed = binaryen.readBinary(module);
  try {
    for (let index = parsed.getNumExports() - 1; index >= 0; index -= 1) {
      const { name, value, kind } = binaryen.getExportInfo(parsed.getExportByIndex(index));
      if (kind !== binaryen.ExternalFunction || !name.startsWith("wit_")) continue;
      const kebab = name.slice(4).replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
      parsed.removeExport(name);
      parsed.addFunctionExport(value, `tardigrade:core/policies@0.1.0#${kebab}`);
    }
    return parsed.emitBinary();
  } finally {
    parsed.dispose();
  }
}

/** Through a rename, so that a test that reads meanwhile sees the old file or the new one. */
function write(path: string, contents: Uint8Array | string): void {
  const partial = `${path}.${process.pid}.partial`;
  writeFileSync(partial, contents);
  renameSync(partial, path);
}

function sourcesHash(): string {
  const hash = createHash("sha256");
  const sources = globSync("assembly/**/*.ts", { cwd: ROOT }).sort();
  for (const path of [...sources, "protocols/wit/core.wit", "scripts/build-wasm.ts", "package-lock.json"]) {
    hash
      .update(path)
      .update("\0")
      .update(readFileSync(join(ROOT, path)))
      .update("\0");
  }
  return hash.digest("hex");
}

if (import.meta.main) {
  const startedAt = performance.now();
  const built = await buildWasm();
  console.error(
    built ? `build-wasm: ${Math.round(performance.now() - startedAt)} ms` : "build-wasm: up to date",
  );
}
