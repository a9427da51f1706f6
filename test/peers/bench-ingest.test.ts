/** The suite ingest with mosquitto (Debian package), small. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ingestSuite } from "../../bench/ingest.ts";
import { expectRows } from "../support/bench-rows.ts";

test("gateway, aedes and mosquitto get the same bytes", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tardigrade-bench-"));
  try {
    const rows = await ingestSuite({ rounds: 1, scale: 0.001, folder, say: () => {} });
    expectRows(rows);
    expect(new Set(rows.map(({ checksum }) => checksum)).size).toBe(1);
    const mosquitto = rows.filter(({ peer }) => peer.name === "mosquitto");
    expect(mosquitto.length).toBe(2);
    for (const { peer } of mosquitto) expect(peer.version).toMatch(/^\d+\.\d+/);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
