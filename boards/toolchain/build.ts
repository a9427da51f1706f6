/** An app's source to the image of a board, with everything a person wants to know about it. */
import { existsSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { TardigradeError } from "../../protocols/error.ts";
import type { Capability } from "../../protocols/table.ts";
import { type BoardName, boardNamed } from "../definitions/definition.ts";
import { arenaBytesOf } from "./arena.ts";
import { compile, packageRoot } from "./compile.ts";
import { type Explained, explain, formatExplained, outsideAdvice } from "./explain.ts";
import { capabilityBits, type Manifest, readManifest } from "./manifest.ts";
import { allocationPath } from "./reach.ts";

export interface BuiltApp {
  readonly board: BoardName;
  readonly manifest: Manifest;
  /** Bit set for the image. */
  readonly capabilities: number;
  readonly wasm: Uint8Array<ArrayBuffer>;
  /** Names of its functions by index. */
  readonly names: readonly string[];
  /** Linear memory that it uses: data, and what top level and setup() allocate. */
  readonly arenaBytes: number;
  /** Capabilities that the app's calls need, found in its imports. */
  readonly used: readonly Capability[];
  readonly warnings: readonly string[];
}

const SYSTEM_MODULE = "tardi";

/** Which import needs which capability; the others are free. */
const NEEDS: Readonly<Record<string, Capability>> = {
  metric: "telemetry",
  reading: "telemetry",
  send_batch: "telemetry",
  histogram: "telemetry",
  event: "events",
  log: "log",
  shadow_declare: "shadow",
  shadow_report: "shadow",
  command: "commands",
  pin_mode: "pins",
  pin_write: "pins",
  pin_read: "pins",
  adc_read: "adc",
};

/** Throws BUILD_* with a message that says what to write instead. */
export async function buildApp(options: {
  readonly path: string;
  readonly board: string;
}): Promise<BuiltApp> {
  const board = boardNamed(options.board).name;
  const path = resolve(options.path);
  if (!existsSync(path)) {
    throw new TardigradeError(
      "FILE_UNREADABLE",
      `There is no file ${options.path}. Name an app.ts, for example firmware/apps/blink/app.ts.`,
    );
  }
  const manifest = readManifest(path);
  const { wasm, names, listing } = await compileApp(path, options.path);
  const module = await WebAssembly.compile(wasm);
  checkImports(module, options.path);
  const arenaBytes = await arenaBytesOf(wasm, listing, options.path);
  const used = usedCapabilities(module);
  const undeclared = used.filter((capability) => !manifest.capabilities.includes(capability));
  return {
    board,
    manifest,
    capabilities: capabilityBits(manifest.capabilities),
    wasm,
    names,
    arenaBytes,
    used,
    warnings: undeclared.map(
      (capability) =>
        `The app uses "${capability}" and app.json does not declare it: those calls will answer CAPABILITY_DENIED.`,
    ),
  };
}

interface CompiledApp {
  readonly wasm: Uint8Array<ArrayBuffer>;
  readonly names: readonly string[];
  readonly listing: string;
}

async function compileApp(path: string, shown: string): Promise<CompiledApp> {
  const root = process.cwd();
  const entry = join(root, "tardigrade-entry.ts");
  const imported = `./${relative(root, path).replaceAll("\\", "/").replace(/\.ts$/, "")}`;
  const text = `export { setup } from "${imported}";\nexport { on_command, on_shadow, on_timer } from "tardigrade/firmware/sdk/dispatch";\n`;
  const {
    wasm,
    text: listing,
    names,
    diagnostics,
  } = await compile({ entry, root, virtual: new Map([[entry, text]]) });
  const errors = diagnostics.filter((diagnostic) => diagnostic.isError).map(explain);
  if (errors.length > 0) throw refused(shown, errors);
  const allocation = allocationPath(listing);
  if (allocation) throw allocates(shown, allocation);
  return { wasm, names, listing };
}

function refused(shown: string, errors: readonly Explained[]): TardigradeError {
  const noSetup = errors.find((error) => error.file.includes("tardigrade-entry"));
  const lines = noSetup
    ? [`${shown} must export a function setup(): \`export function setup(): void { … }\``]
    : errors.map(formatExplained);
  const specific = noSetup ? undefined : errors.find((error) => error.error !== "BUILD_FAILED");
  const code = specific?.error ?? "BUILD_FAILED";
  return new TardigradeError(code, lines.join("\n"), {
    context: { component: "toolchain", errors: errors.length },
  });
}

/** Names of the app's own functions on the way, and what the library does there. */
function allocates(shown: string, path: readonly string[]): TardigradeError {
  const own = path.filter((name) => !name.startsWith("$~lib") && !name.includes("firmware/sdk/"));
  const culprit = path.find(
    (name) => name.startsWith("$~lib") && !name.startsWith("$~lib/tardigrade") && !/rt\//.test(name),
  );
  const what = culprit?.includes("string")
    ? 'It builds a string; write into the log\'s fixed buffer with line("text ").number(value, 1).'
    : culprit?.includes("array")
      ? "It makes or grows an array; make a StaticArray in setup() and reuse it."
      : "It creates an object; create it at top level or in setup() and reuse it.";
  const where = (own.at(-1) ?? path[0] ?? "").replace(/^\$/, "");
  return new TardigradeError(
    "BUILD_ALLOCATION",
    `${shown}: ${where} allocates memory after setup(). ${what}`,
    { context: { component: "toolchain", path: path.map((name) => name.replace(/^\$/, "")).join(" > ") } },
  );
}

/** The compiler turns some globals of the web into imports; a board has none of them. */
function checkImports(module: WebAssembly.Module, shown: string): void {
  const foreign = WebAssembly.Module.imports(module).filter((entry) => entry.module !== SYSTEM_MODULE);
  if (foreign.length === 0) return;
  const lines = foreign.map(
    ({ name }) => `${shown} uses ${name}, which no device has.\n  ${outsideAdvice(name)}`,
  );
  throw new TardigradeError("BUILD_IMPORT", lines.join("\n"), {
    context: { component: "toolchain", errors: foreign.length },
  });
}

function usedCapabilities(module: WebAssembly.Module): readonly Capability[] {
  const used = new Set<Capability>();
  for (const { name } of WebAssembly.Module.imports(module)) {
    const capability = NEEDS[name];
    if (capability) used.add(capability);
  }
  return [...used].sort();
}

export interface BuiltSystem {
  readonly wasm: Uint8Array<ArrayBuffer>;
  readonly names: readonly string[];
}

/** `system.wasm`, from the package's own sources. */
export async function buildSystem(): Promise<BuiltSystem> {
  const root = packageRoot();
  const { wasm, names, diagnostics } = await compile({ entry: join(root, "firmware/system/index.ts"), root });
  const error = diagnostics.find((diagnostic) => diagnostic.isError);
  if (error) throw new TardigradeError("BUILD_FAILED", formatExplained(explain(error)));
  return { wasm, names };
}
