/** A run of committed entries as the machine takes them. */
import { decodeRun, ENTRY_KIND } from "../raft-log/entry.ts";
import type { MachineEntry } from "./replicated-machine.ts";

const NOTHING = new Uint8Array(0);

/** Payloads are views of the run; only commands have one. */
export function decodeBatch(
  run: Uint8Array,
  first: number,
): { readonly entries: readonly MachineEntry[]; readonly hasConfiguration: boolean } {
  let hasConfiguration = false;
  const entries = decodeRun(run).map(({ term, kind, payload }, at) => {
    if (kind === ENTRY_KIND.configuration) hasConfiguration = true;
    return { index: first + at, term, payload: kind === ENTRY_KIND.command ? payload : NOTHING };
  });
  return { entries, hasConfiguration };
}
