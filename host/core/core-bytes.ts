/** Finds the core's bytes: beside the bundle in dist/, or in build/ when run from source. The room's only disk access. */
import { existsSync, readFileSync } from "node:fs";
import { TardigradeError } from "../../protocols/error.ts";

/** core: every algorithm for one thread. shared: lock-free structures over memory that threads share. */
export type CoreModule = "core" | "shared";

export function readCoreBytes(name: CoreModule = "core"): Uint8Array<ArrayBuffer> {
  for (const place of [`./${name}.wasm`, `../../build/${name}.wasm`]) {
    const url = new URL(place, import.meta.url);
    // A copy: a Buffer is not what WebAssembly's types take.
    if (existsSync(url)) return new Uint8Array(readFileSync(url));
  }
  throw new TardigradeError(
    "FILE_UNREADABLE",
    `${name}.wasm is missing. From source, run \`node scripts/build-wasm.ts\`; in a package, install it again.`,
    { context: { component: "core", operation: "load" } },
  );
}
