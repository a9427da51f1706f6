/**
 * How Raft behaves, to be read: transcripts/*.txt are commands and what came of them (test/support/raft/transcript.ts has the commands), with the
 * sections of Ongaro's thesis. `TARDIGRADE_REWRITE=1` writes them anew; read the difference before it is committed.
 */
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { expect, test } from "vitest";
import { openTestCore } from "../../support/core.ts";
import { replay } from "../../support/raft/transcript.ts";

const FOLDER = join(import.meta.dirname, "transcripts");
const files = globSync(join(FOLDER, "*.txt")).sort();

test("there are transcripts", () => {
  expect(files.length).toBeGreaterThanOrEqual(7);
});

test.each(files.map((file) => [basename(file, ".txt"), file]))("%s", (_, file) => {
  const written = readFileSync(file, "utf8");
  const now = replay(openTestCore(), written);
  if (process.env.TARDIGRADE_REWRITE === "1") writeFileSync(file, now);
  else expect(now).toBe(written);
});
