/** What every row of a measurement must be, whatever it measured. */
import { expect } from "vitest";
import type { BenchRow } from "../../bench/rows.ts";

export function expectRows(rows: readonly BenchRow[]): void {
  expect(rows.length).toBeGreaterThan(0);
  expect(new Set(rows.map(({ claim }) => claim)).size).toBe(rows.length);
  for (const row of rows) {
    expect(Object.keys(row).sort()).toEqual(
      ["checksum", "claim", "goal", "note", "ours", "peer", "ratio", "unit"].sort(),
    );
    expect(Object.keys(row.peer).sort()).toEqual(["name", "value", "version"]);
    expect(row.claim).not.toBe("");
    expect(row.unit).not.toBe("");
    expect(row.peer.name).not.toBe("");
    for (const figure of [row.ours, row.peer.value, row.ratio]) expect(Number.isFinite(figure)).toBe(true);
    expect(row.goal === null || row.goal > 0).toBe(true);
    expect(row.checksum).toMatch(/^[0-9a-f]{8}$/);
    expect(row.checksum).not.toBe("00000000");
  }
}
