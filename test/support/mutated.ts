/**
 * A fault in the core, when scripts/mutants.ts looks for tests that notice it: TARDI_MUTANT names a JSON file with the changed source and with
 * the core that was compiled of it. The sources on the disk stay as they are.
 */
import { readFileSync } from "node:fs";

export interface MutatedCore {
  /** Relative to the repository. */
  readonly file: string;
  readonly source: string;
  /** Path of the compiled core. */
  readonly wasm: string;
}

const path = process.env.TARDI_MUTANT;

export const mutated: MutatedCore | undefined =
  path === undefined ? undefined : (JSON.parse(readFileSync(path, "utf8")) as MutatedCore);

/** For compileAssembly: texts in place of files. */
export const mutatedSources: ReadonlyMap<string, string> = new Map(
  mutated === undefined ? [] : [[mutated.file, mutated.source]],
);
