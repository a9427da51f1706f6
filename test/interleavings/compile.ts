/** Modules for the search: compiled as the shared build is, from the repository's sources or from a text that stands in for one. */
import { compileAssembly, SHARED_FLAGS } from "../../scripts/build-wasm.ts";

/** `source`: AssemblyScript whose imports are relative to assembly/. */
export function compileShared(
  source: string,
  replaced: ReadonlyMap<string, string> = new Map(),
): Promise<Uint8Array<ArrayBuffer>> {
  const entry = "assembly/interleaved.ts";
  return compileAssembly([entry], SHARED_FLAGS, new Map([[entry, source], ...replaced]));
}
