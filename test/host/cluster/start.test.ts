/** What a node begins with: a log and a state that a crash has left one ahead of the other. */
import { describe, expect, test } from "vitest";
import { startOf } from "../../../host/cluster/driver/start.ts";
import type { RaftLog, SnapshotMark } from "../../../host/cluster/raft-log/raft-log.ts";
import { encodeMembers, type RaftMember } from "../../../host/core/raft.ts";
import { raftLogWorld, run } from "./raft-log-world.ts";

const members: readonly RaftMember[] = [1, 2, 3].map((id) => ({ id, role: "voter" }) as const);
const configuration = encodeMembers(members);

/** Entries 1 to 6 of term 2, of which the first four are compacted away. */
async function compactedLog(): Promise<RaftLog> {
  const world = raftLogWorld();
  const log = await world.open();
  log.save({ state: { term: 3, vote: 1 }, entries: { firstIndex: 1, run: run(6, 2) } });
  log.compact({ index: 4, term: 2, configuration });
  const closing = log.close();
  await world.clock.advance(1_000);
  await closing;
  return world.open();
}

const machine = (appliedIndex: number, appliedTerm: number, restored?: SnapshotMark) => ({
  ...{ appliedIndex, appliedTerm },
  restored: () => restored,
});

describe("a node starts", () => {
  test("with what its state has not applied yet", async () => {
    const log = await compactedLog();
    for (const applied of [4, 5, 6]) {
      expect(startOf(log, machine(applied, 2), [])).toMatchObject({
        ...{ term: 3, vote: 1, applied, members, snapshot: { index: 4, term: 2 } },
        entries: run(6, 2).subarray(run(4, 2).length),
      });
    }
  });
  test("with the first members, where nothing is stored", async () => {
    const log = await raftLogWorld().open();
    expect(startOf(log, machine(0, 0), members)).toMatchObject({
      ...{ term: 0, vote: 0, applied: 0, members, snapshot: { index: 0, term: 0 } },
    });
  });
  test("behind a snapshot that was taken over before the log was reset", async () => {
    const log = await compactedLog();
    const start = startOf(log, machine(9, 4, { index: 9, term: 4, configuration }), []);
    expect(start).toMatchObject({ term: 4, vote: 0, applied: 9, snapshot: { index: 9, term: 4 } });
    expect(start.entries).toHaveLength(0);
  });
});

describe("it does not start where its state is lost", () => {
  test("the state is behind what the log still holds: another folder, or an empty one", async () => {
    const log = await compactedLog();
    for (const applied of [0, 3])
      expect(() => startOf(log, machine(applied, 2), members)).toThrow(
        expect.objectContaining({ code: "RAFT_STATE_LOST" }),
      );
  });
  test("the state is ahead of the log, or has an entry of another term", async () => {
    const log = await compactedLog();
    for (const [applied, term] of [
      [7, 2],
      [5, 1],
    ] as const)
      expect(() => startOf(log, machine(applied, term), members)).toThrow(
        expect.objectContaining({ code: "RAFT_STATE_LOST" }),
      );
  });
});
