/**
 * Faults by rule that no test catches, and why that is right. A row names its fault by the line's text and the change, so that it survives
 * lines that come and go; test/mutants/operators.test.ts fails for a row whose fault is no more.
 */
import type { GeneratedMutant } from "./operators.ts";

export interface Survivor {
  readonly file: string;
  /** The line as it stands, trimmed. */
  readonly text: string;
  readonly from: string;
  readonly to: string;
  readonly reason: string;
}

export const SURVIVORS: readonly Survivor[] = [];

export function isOf({ file, text, from, to }: Survivor, mutant: GeneratedMutant): boolean {
  return file === mutant.file && text === mutant.text && from === mutant.from && to === mutant.to;
}

export function reasonFor(mutant: GeneratedMutant): string | undefined {
  return SURVIVORS.find((row) => isOf(row, mutant))?.reason;
}
