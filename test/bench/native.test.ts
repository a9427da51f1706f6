/** The native suite runs small here, so that it cannot rot; cycles are exact, but nothing is asserted about how many. */
import { tmpdir } from "node:os";
import { expect, test } from "vitest";
import { nativeSuite } from "../../bench/native.ts";
import { expectRows } from "../support/bench-rows.ts";

test("native: AssemblyScript and C compute the same on the emulated M0+", async () => {
  const rows = await nativeSuite({ rounds: 1, scale: 0.01, folder: tmpdir(), say: () => {} });
  expectRows(rows);
  expect(rows).toHaveLength(7);
  // Kernels: each with C at -O2, which has the goal, and at -Os.
  expect(rows.filter(({ goal }) => goal === 0.4).map(({ unit }) => unit)).toEqual([
    "cycles",
    "cycles",
    "cycles",
  ]);
  expect(rows.at(-1)).toMatchObject({ goal: 5 });
});
