/** What tests of policies share: seams that stand still, and work that fails. */
import type { PolicySeams } from "../../host/core/policy/policy.ts";
import { TardigradeError } from "../../protocols/error.ts";
import { openTestCore } from "./core.ts";
import { ManualClock } from "./manual-clock.ts";

export const core = openTestCore();
export const boom = new Error("boom");

export const fail = (): never => {
  throw boom;
};

export interface PolicyRig {
  readonly clock: ManualClock;
  readonly seams: PolicySeams;
}

/** Dice always show `random`. */
export function policyRig(random = 0): PolicyRig {
  const clock = new ManualClock();
  return { clock, seams: { core, clock, random: { u32: () => random } } };
}

/** The code of what is thrown, or its text. */
export function codeOf(run: () => unknown): string | undefined {
  try {
    run();
  } catch (error) {
    return told(error);
  }
  return undefined;
}

/** The code of what a promise rejects with, or its text; undefined when it resolves. */
export async function codeOfRejection(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise;
  } catch (error) {
    return told(error);
  }
  return undefined;
}

function told(error: unknown): string {
  return error instanceof TardigradeError ? error.code : String(error);
}
