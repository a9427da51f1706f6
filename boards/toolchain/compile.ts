/**
 * AssemblyScript to wasm, in process. The flags are those of the device build: no bulk memory or sign extension (wasm2c's C for
 * a Cortex-M0+ is smaller without), one page, nothing that grows.
 */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { TardigradeError } from "../../protocols/error.ts";

export interface Diagnostic {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** AssemblyScript's or TypeScript's number. */
  readonly code: number;
  readonly message: string;
  readonly isError: boolean;
  /** The line of source it points at. */
  readonly excerpt: string;
}

export interface Compiled {
  readonly wasm: Uint8Array<ArrayBuffer>;
  /** Text before optimization, with every function's own name: what reach.ts walks. */
  readonly text: string;
  /** Names of the functions by index, imports first, as they are after optimization. */
  readonly names: readonly string[];
  readonly diagnostics: readonly Diagnostic[];
}

const DEVICE_FLAGS = [
  ["--runtime", "stub"],
  ["--exportStart", "start"],
  ["--optimizeLevel", "3"],
  ["--shrinkLevel", "2"],
  ["--converge"],
  ["--noAssert"],
  ["--lowMemoryLimit", "65536"],
  ["--initialMemory", "1"],
  ["--maximumMemory", "1"],
  ["--use", "abort="],
  ["--disable", "nontrapping-f2i"],
].flat();

/** The stub allocator's first free byte. */
const HEAP_END = "$~lib/rt/stub/offset";

const PACKAGE = "tardigrade";
/** Where the compiler looks for a package; mapped to this package's own folder, so apps in it import as users do. */
const PACKAGE_PATH = new RegExp(`node_modules/${PACKAGE}/(.+)$`);
/** An import `tardigrade/plugin` is found in a folder of another name. */
const ALIAS = { from: /^plugin(?=[/.])/, to: "assembly/plugin" };

interface AscModule {
  main(
    argv: readonly string[],
    options: Record<string, unknown>,
  ): Promise<{ error: Error | null; stderr: { toString(): string } }>;
}

interface AscDiagnostic {
  readonly code: number;
  readonly category: number;
  readonly message: string;
  readonly range: {
    readonly start: number;
    readonly source: {
      readonly normalizedPath: string;
      lineAt(position: number): number;
      columnAt(): number;
    };
  } | null;
}

const CATEGORY_ERROR = 3;

/** Nearest folder above this file that is the package: its sources are what apps compile against. */
export function packageRoot(): string {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const file = join(folder, "package.json");
    if (existsSync(file) && JSON.parse(readFileSync(file, "utf8")).name === PACKAGE) return folder;
    if (folder === dirname(folder)) {
      throw new TardigradeError(
        "DEPENDENCY_MISSING",
        `No package.json of ${PACKAGE} above ${import.meta.dirname}.`,
      );
    }
  }
}

/**
 * Compiles `entry`, whose text may be given in `virtual` (a path that is on no disk). Diagnostics are returned, never
 * printed; `wasm` is empty when one is an error.
 */
export async function compile(options: {
  readonly entry: string;
  readonly root: string;
  readonly virtual?: ReadonlyMap<string, string>;
  readonly flags?: readonly string[];
}): Promise<Compiled> {
  const asc = (await import("assemblyscript/asc")) as unknown as { default?: AscModule } & AscModule;
  const diagnostics: Diagnostic[] = [];
  const outputs = new Map<string, Uint8Array | string>();
  const sources = new Map<string, string>();
  let text = "";
  const { root } = options;
  const readFile = (name: string, baseFolder: string): string | null => {
    const path = resolve(baseFolder, name);
    const inPackage = PACKAGE_PATH.exec(path)?.[1];
    const file = inPackage ? join(packageRoot(), inPackage.replace(ALIAS.from, ALIAS.to)) : path;
    const found = options.virtual?.get(path) ?? (existsSync(file) ? readFileSync(file, "utf8") : null);
    if (found !== null) sources.set(path, found);
    return found;
  };
  const result = await (asc.default ?? asc).main(
    [
      relative(root, options.entry),
      "--outFile",
      "out.wasm",
      "--textFile",
      "out.wat",
      "--baseDir",
      root,
      ...(options.flags ?? DEVICE_FLAGS),
    ],
    {
      readFile,
      listFiles: () => null,
      writeFile: (name: string, contents: Uint8Array | string) => {
        outputs.set(name, contents);
      },
      reportDiagnostic: (diagnostic: AscDiagnostic) => {
        const path = diagnostic.range?.source.normalizedPath;
        diagnostics.push(
          translate(diagnostic, path === undefined ? "" : (sources.get(resolve(root, path)) ?? "")),
        );
      },
      transforms: [
        class {
          afterCompile(module: {
            emitText(): string;
            addGlobalExport(internal: string, external: string): unknown;
          }): void {
            text = module.emitText();
            // Where the heap ends after set-up is the size of the arena that a board must give.
            if (text.includes(`(global ${HEAP_END} `)) module.addGlobalExport(HEAP_END.slice(1), "heap_end");
          }
        },
      ],
    },
  );
  const wasm = outputs.get("out.wasm");
  const listing = outputs.get("out.wat");
  const names = [...`${listing ?? ""}`.matchAll(/^ \((?:import .*)?\(?func \$([^\s)]+)/gm)].map(
    (m) => m[1] as string,
  );
  if (result.error && !diagnostics.some((diagnostic) => diagnostic.isError)) {
    diagnostics.push({
      file: options.entry,
      line: 1,
      column: 1,
      code: 0,
      message: result.error.message,
      isError: true,
      excerpt: "",
    });
  }
  return {
    wasm: wasm instanceof Uint8Array ? Uint8Array.from(wasm) : new Uint8Array(0),
    text,
    names,
    diagnostics,
  };
}

function translate(diagnostic: AscDiagnostic, source: string): Diagnostic {
  const { range } = diagnostic;
  const before = source.slice(0, range?.start ?? 0).split("\n");
  return {
    file: range?.source.normalizedPath ?? "",
    line: before.length,
    column: (before.at(-1) ?? "").length + 1,
    code: diagnostic.code,
    message: diagnostic.message,
    isError: diagnostic.category === CATEGORY_ERROR,
    excerpt: source.split("\n")[before.length - 1]?.trim() ?? "",
  };
}
