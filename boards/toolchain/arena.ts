/**
 * How much linear memory an app uses. After setup() nothing allocates (reach.ts), so what is taken when setup() has returned is what
 * it will ever take; top level and setup() are run once here, against a system that answers 0 to everything.
 */
import { TardigradeError } from "../../protocols/error.ts";

const ALIGN = 8;

export async function arenaBytesOf(
  wasm: Uint8Array<ArrayBuffer>,
  listing: string,
  shown: string,
): Promise<number> {
  const module = await WebAssembly.compile(wasm);
  const answers = new Map<string, () => number | bigint>([
    ["now_us", () => 0n],
    ["exact_us", () => 0n],
  ]);
  const imports: Record<string, Record<string, () => number | bigint>> = {};
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    imports[from] ??= {};
    (imports[from] as Record<string, unknown>)[name] = answers.get(name) ?? (() => 0);
  }
  const instance = await WebAssembly.instantiate(module, imports as WebAssembly.Imports);
  const app = instance.exports as unknown as {
    readonly heap_end?: WebAssembly.Global<"i32">;
    start(): void;
    setup(): void;
  };
  try {
    app.start();
    app.setup();
  } catch (cause) {
    throw new TardigradeError(
      "BUILD_FAILED",
      `${shown}: top level or setup() traps: ${(cause as Error).message}.`,
      { cause },
    );
  }
  const heapBase = Number(
    /\(global \$~lib\/memory\/__heap_base i32 \(i32\.const (\d+)\)\)/.exec(listing)?.[1] ?? 0,
  );
  const end = Math.max(heapBase, app.heap_end?.value ?? 0);
  return Math.ceil(end / ALIGN) * ALIGN;
}
