/**
 * Random histories of the Raft log, crashed at every write and sync. raft-log-history.ts says what must hold.
 */
import { describe, expect, test } from "vitest";
import { type CrashPlan, type Lived, liveRaftHistory } from "./raft-log-history.ts";

const deep = process.env.TARDIGRADE_DEEP === "1";
const HISTORIES = deep ? 100_000 : 2_000;
const EXHAUSTIVE_HISTORIES = deep ? 400 : 8;
const TIMEOUT_MS = deep ? 3_600_000 : 120_000;

async function live(seed: number, plan: CrashPlan = {}): Promise<Lived> {
  try {
    return await liveRaftHistory(seed, plan);
  } catch (cause) {
    throw new Error(`seed ${seed}, plan ${JSON.stringify(plan)}: ${(cause as Error).message}`, { cause });
  }
}

describe("the Raft log on a disk that forgets", () => {
  test(
    "keeps its promises when it is crashed at random, during recovery too",
    async () => {
      let [compacted, lossy] = [0, 0];
      for (let seed = 1; seed <= HISTORIES; seed += 1) {
        const lived = await live(seed);
        compacted += lived.compacted;
        lossy += lived.lossy;
      }
      // Else the histories would prove little.
      expect(compacted).toBeGreaterThan(HISTORIES);
      expect(lossy).toBeGreaterThan(HISTORIES / 10);
    },
    TIMEOUT_MS,
  );

  test(
    "keeps its promises when it is crashed at every single operation",
    async () => {
      let crashes = 0;
      for (let seed = 1; seed <= EXHAUSTIVE_HISTORIES; seed += 1) {
        const { operations } = await live(seed, { operation: Number.MAX_SAFE_INTEGER });
        for (let operation = 1; operation <= operations; operation += 1) {
          await live(seed, { operation, kind: "power" });
          await live(seed, { operation, kind: "kill" });
          crashes += 2;
        }
      }
      expect(crashes).toBeGreaterThan(EXHAUSTIVE_HISTORIES * 50);
    },
    TIMEOUT_MS,
  );
});
