/** Builds the core once, before any test file is loaded. */
import { buildWasm } from "../../scripts/build-wasm.ts";

export default async function setup(): Promise<void> {
  await buildWasm();
}
