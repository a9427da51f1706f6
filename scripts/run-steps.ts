/** Runs commands of this repository one after the other with the Node that runs this script, and says how long each took. */
import { spawnSync } from "node:child_process";
import { join } from "node:path";

export const ROOT = join(import.meta.dirname, "..");

export interface Step {
  readonly name: string;
  /** A script path relative to the repository, then its arguments. */
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** False when the step failed. */
export function runStep(step: Step): boolean {
  const from = performance.now();
  console.error(`\n— ${step.name}`);
  const { status } = spawnSync(process.execPath, [...step.args], {
    cwd: ROOT,
    stdio: "inherit",
    env: { ...process.env, ...step.env },
  });
  const seconds = ((performance.now() - from) / 1000).toFixed(1);
  console.error(`— ${step.name}: ${status === 0 ? "passed" : `failed (${status})`} in ${seconds} s`);
  return status === 0;
}
