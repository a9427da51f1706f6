/** Majorities, single and joint, against the transcripts of etcd's quorum package: the numbers; not the drawings beside them. */
import { describe, expect, test } from "vitest";
import { openTestCore } from "../../support/core.ts";
import { sharedFolder } from "../../support/shared-data.ts";

const { raw } = openTestCore();
const shared = sharedFolder("raft-quorum");
const MEMBER_BYTES = 96;
const MEMBER_FLAGS = 68;
const MEMBER_VOTE = 69;
const VERDICTS = ["VotePending", "VoteWon", "VoteLost"];
const members = raw.allocate(MEMBER_BYTES * 16);

interface Case {
  readonly command: string;
  readonly expected: string;
}

/** Commands, each until its `----` and with the last line of its answer. */
function casesIn(file: string): Case[] {
  const cases: Case[] = [];
  for (const block of shared.read(file).split(/\n(?=(?:committed|vote)\b)/)) {
    const [head = "", answer] = block.split("\n----\n");
    const command = head.split("\n").find((line) => /^(committed|vote)\b/.test(line));
    const lines = answer?.split("\n").filter((line) => line !== "" && !line.startsWith("#")) ?? [];
    if (command !== undefined) cases.push({ command, expected: lines.at(-1)?.trim() ?? "" });
  }
  return cases;
}

function listOf(command: string, name: string): string[] {
  const found = new RegExp(`\\b${name}=\\(([^)]*)\\)`).exec(command)?.[1];
  return found === undefined ? [] : found.split(",").map((item) => item.trim());
}

/** Writes the command's voters, with the value each has at `write`; their number. */
function place(
  command: string,
  values: readonly string[],
  write: (at: number, value: string) => void,
): number {
  const view = new DataView(raw.memory.buffer);
  const [incoming, outgoing] = [listOf(command, "cfg"), listOf(command, "cfgj")];
  const ids = [...new Set([...incoming, ...outgoing])];
  ids.forEach((id, index) => {
    const at = members + index * MEMBER_BYTES;
    new Uint8Array(raw.memory.buffer, at, MEMBER_BYTES).fill(0);
    view.setUint8(at + MEMBER_FLAGS, (incoming.includes(id) ? 1 : 0) | (outgoing.includes(id) ? 2 : 0));
    write(at, values[index] ?? "_");
  });
  return ids.length;
}

function answerTo(command: string): string {
  const view = new DataView(raw.memory.buffer);
  if (command.startsWith("vote")) {
    const count = place(command, listOf(command, "votes"), (at, vote) =>
      view.setUint8(at + MEMBER_VOTE, ["_", "y", "n"].indexOf(vote)),
    );
    return VERDICTS[raw.raftQuorumVotes(members, count)] as string;
  }
  const count = place(command, listOf(command, "idx"), (at, index) =>
    view.setBigUint64(at, index === "_" ? 0n : BigInt(index), true),
  );
  const reached = BigInt.asUintN(64, raw.raftQuorumReached(members, count, 0));
  return reached === 2n ** 64n - 1n ? "∞" : `${reached}`;
}

describe.runIf(shared.isThere)("etcd's quorum transcripts", () => {
  for (const file of ["majority_commit", "majority_vote", "joint_commit", "joint_vote"]) {
    const cases = shared.isThere ? casesIn(`${file}.txt`) : [];
    test(`${file}: ${cases.length} cases`, () => {
      expect(cases.length).toBeGreaterThan(10);
      for (const { command, expected } of cases) {
        const numbers = expected.replace("<empty majority quorum>", "");
        expect(`${command} -> ${answerTo(command)}`).toBe(`${command} -> ${numbers}`);
      }
    });
  }
});
