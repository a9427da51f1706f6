/** Files that threads and processes of their own start from. */
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { TardigradeError } from "../../protocols/error.ts";

/** Beside the file at `from` when run from source; beside the bundle or its folder of chunks in dist/. */
export function codeFile(name: string, from: string): URL {
  const places = [`./${name}.ts`, `./${name}.js`, `../${name}.js`];
  const found = places.map((place) => new URL(place, from)).find((url) => existsSync(fileURLToPath(url)));
  if (found !== undefined) return found;
  throw new TardigradeError("FILE_UNREADABLE", `${name}.js is missing; install the package again.`);
}
