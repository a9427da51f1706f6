/** The ports' own arithmetic against this machine's: float-check.c compares each result bit by bit. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

const ROOT = join(import.meta.dirname, "../..");
const DEEP = process.env.TARDIGRADE_DEEP === "1";

test("floating point and division for a Cortex-M0+ agree with the machine's", () => {
  const folder = mkdtempSync(join(tmpdir(), "tardigrade-float-"));
  try {
    const program = join(folder, "check");
    const source = join(import.meta.dirname, "float-check.c");
    const include = `-I${join(ROOT, "firmware/port/cortex-m0plus")}`;
    execFileSync("gcc", ["-O2", "-Wall", "-Werror", "-fwrapv", "-ffp-contract=off", include, source, "-o", program, "-lm"]);
    const rounds = DEEP ? 20_000_000 : 400_000;
    const seed = DEEP ? process.pid : 1;
    const cases = Number(execFileSync(program, [`${rounds}`, `${seed}`], { encoding: "utf8" }));
    expect(cases).toBeGreaterThan(rounds * 50);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
