/** The device suite runs small here, so that it cannot rot; cycles are exact, but nothing is asserted about how many. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { deviceSuite } from "../../bench/device.ts";
import { expectRows } from "../support/bench-rows.ts";

test("device: every policy decides in AssemblyScript as in C on the emulated M0+, and all keep to their goals in bytes", async () => {
  const folder = mkdtempSync(join(tmpdir(), "bench-device-"));
  try {
    const rows = await deviceSuite({ rounds: 1, scale: 0.01, folder, say: () => {} });
    expectRows(rows);
    const units = (unit: string) => rows.filter((row) => row.unit === unit).length;
    // 18 decisions, four of them also against 400 cycles; 13 policies, and a goal in bytes of each kind.
    expect([units("cycles"), units("bytes of RAM"), units("bytes of flash")]).toEqual([22, 14, 15]);
    // Those in cycles are reported, with what limits them, in docs/benchmarks.md.
    const inBytes = rows.filter(({ unit, goal }) => unit.startsWith("bytes") && goal !== null);
    expect(inBytes).toHaveLength(2);
    expect(inBytes.filter(({ goal, ratio }) => ratio < (goal ?? 0)).map(({ claim }) => claim)).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 300_000);
