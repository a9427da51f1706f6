/** Builds the core and the page once, before any test file is loaded. */
import { join } from "node:path";
import { buildUi } from "../../scripts/build-ui.ts";
import { buildWasm } from "../../scripts/build-wasm.ts";
import { mutated } from "./mutated.ts";

export default async function setup(): Promise<void> {
  // scripts/mutants.ts has built.
  if (mutated !== undefined) return;
  await buildWasm();
  await buildUi(join(import.meta.dirname, "../../build/ui"));
}
