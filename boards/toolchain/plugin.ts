/**
 * `tardi plugin build`: a payload decoder's source to a component of the world in protocols/wit/plugin.wit.
 *
 * AssemblyScript: an entry of a few lines is written around the author's file; it carries arguments and answers over by
 * assembly/plugin/abi.ts. The module gets the world embedded and is wrapped. JavaScript goes through componentize-js, which puts an engine
 * into the component; without its features for clock, random numbers, output and HTTP it imports nothing.
 */
import { existsSync, readFileSync } from "node:fs";
import { basename, dirname, extname, join, resolve } from "node:path";
import { TardigradeError } from "../../protocols/error.ts";
import { compile, type Diagnostic, packageRoot } from "./compile.ts";

export interface BuiltPlugin {
  readonly component: Uint8Array;
  readonly language: "AssemblyScript" | "JavaScript";
  readonly warnings: readonly string[];
}

const FLAGS = [
  ["--runtime", "incremental"],
  ["--optimizeLevel", "3"],
  ["--shrinkLevel", "1"],
  ["--noAssert"],
  ["--use", "abort="],
].flat();

/** What componentize-js would import for them is what a plugin may not have. */
const JS_FEATURES_OFF = ["stdio", "random", "clocks", "http", "fetch-event"] as const;

/** Rejects with BUILD_FAILED, BUILD_IMPORT, FILE_UNREADABLE or DEPENDENCY_MISSING. */
export async function buildPlugin(path: string): Promise<BuiltPlugin> {
  const file = resolve(path);
  if (!existsSync(file)) throw new TardigradeError("FILE_UNREADABLE", `There is no ${path}.`);
  const kind = extname(file);
  if (kind === ".ts") return buildAssembly(file);
  if (kind === ".js" || kind === ".mjs") return buildScript(file);
  const message = `${path} is neither AssemblyScript (.ts) nor JavaScript (.js). A component built by other tools needs no build.`;
  throw new TardigradeError("BUILD_FAILED", message);
}

function worldFile(): string {
  return join(packageRoot(), "protocols/wit/plugin.wit");
}

async function buildAssembly(file: string): Promise<BuiltPlugin> {
  const root = dirname(file);
  const source = readFileSync(file, "utf8");
  if (!/\bexport\s+function\s+decode\b/.test(source)) {
    const message = `${file} exports no function decode(topic: string, payload: Uint8Array): Decoded | null.`;
    throw new TardigradeError("BUILD_FAILED", message);
  }
  const entry = join(root, "__plugin.ts");
  const hasEncode = /\bexport\s+function\s+encode\b/.test(source);
  const { wasm, diagnostics } = await compile({
    entry,
    root,
    virtual: new Map([[entry, entrySource(basename(file, ".ts"), hasEncode)]]),
    flags: FLAGS,
  });
  const errors = diagnostics.filter(({ isError }) => isError);
  if (errors.length > 0) throw new TardigradeError("BUILD_FAILED", errors.map(lineOf).join("\n"));
  const warnings = diagnostics.filter(({ isError }) => !isError).map(lineOf);
  return { component: await componentOf(wasm), language: "AssemblyScript", warnings };
}

function entrySource(module: string, hasEncode: boolean): string {
  const call = hasEncode
    ? "encodeState(abi.liftText(device, deviceUnits), abi.liftText(state, stateUnits), abi.liftValue(kind, word, length))"
    : "null";
  return `import { decode as decodeMessage${hasEncode ? ", encode as encodeState" : ""} } from "./${module}";
import * as abi from "tardigrade/plugin/abi";
export function decode(topic: usize, units: usize, payload: usize, bytes: usize): usize {
  return abi.lowerDecoded(decodeMessage(abi.liftText(topic, units), abi.liftBytes(payload, bytes)));
}
export function encode(
  device: usize, deviceUnits: usize, state: usize, stateUnits: usize, kind: u32, word: u64, length: u32,
): usize {
  return abi.lowerPublish(${call});
}
export function cabi_post_decode(area: usize): void { abi.release(); }
export function cabi_post_encode(area: usize): void { abi.release(); }
export function cabi_realloc(old: usize, oldBytes: usize, align: usize, bytes: usize): usize {
  return abi.realloc(old, oldBytes, align, bytes);
}
`;
}

function lineOf({ file, line, column, message, excerpt }: Diagnostic): string {
  return `${file}:${line}:${column} ${message}${excerpt === "" ? "" : `\n    ${excerpt}`}`;
}

/** A module that exports the world's functions by the canonical ABI becomes a component. Rejects with BUILD_IMPORT or DEPENDENCY_MISSING. */
export async function componentOf(wasm: Uint8Array): Promise<Uint8Array> {
  const imports = WebAssembly.Module.imports(new WebAssembly.Module(Uint8Array.from(wasm)));
  if (imports.length > 0) {
    const names = imports.map(({ module, name }) => `${module}.${name}`).join(", ");
    throw new TardigradeError(
      "BUILD_IMPORT",
      `A plugin imports nothing, and this one imports ${names}. Clock, random numbers and output are not to be had: take out what uses them.`,
    );
  }
  const { componentEmbed, componentNew } = await wasmTools();
  const embedded = await componentEmbed({
    binary: wasm,
    witSource: readFileSync(worldFile(), "utf8"),
    world: "plugin",
    stringEncoding: "utf16",
  });
  return componentNew(embedded, []);
}

async function wasmTools() {
  try {
    return await import("@bytecodealliance/jco-transpile/wasm-tools");
  } catch (cause) {
    throw missing("@bytecodealliance/jco-transpile", cause);
  }
}

interface Componentize {
  componentize(options: {
    readonly sourcePath: string;
    readonly witPath: string;
    readonly worldName: string;
    readonly disableFeatures: readonly string[];
  }): Promise<{ readonly component: Uint8Array }>;
}
/** By a variable: it is in nobody's lockfile, so no compiler can find its types. */
const COMPONENTIZE: string = "@bytecodealliance/componentize-js";

async function buildScript(file: string): Promise<BuiltPlugin> {
  let library: Componentize;
  try {
    library = (await import(COMPONENTIZE)) as Componentize;
  } catch (cause) {
    throw missing(COMPONENTIZE, cause);
  }
  try {
    const { component } = await library.componentize({
      sourcePath: file,
      witPath: worldFile(),
      worldName: "plugin",
      disableFeatures: JS_FEATURES_OFF,
    });
    return { component, language: "JavaScript", warnings: [] };
  } catch (cause) {
    const message = `${file} does not become a component: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new TardigradeError("BUILD_FAILED", message, { cause });
  }
}

function missing(name: string, cause: unknown): TardigradeError {
  return new TardigradeError(
    "DEPENDENCY_MISSING",
    `This needs the package ${name}, which is not installed; run \`npm install ${name}\`.`,
    { cause },
  );
}
