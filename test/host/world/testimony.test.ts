/** The world's own eyes: what a node says, held against what it has on its disk, and what it finds after a crash against what its log had promised. */
import { describe, expect, test } from "vitest";
import { ENTRY_KIND, encodeRun } from "../../../host/cluster/raft-log/entry.ts";
import type { RaftLog, RaftSave, RecoveredRaftLog } from "../../../host/cluster/raft-log/raft-log.ts";
import type { RaftMember } from "../../../host/core/raft.ts";
import { LogBook } from "../../../host/world/cluster/log-book.ts";
import { Testimony, type Witness } from "../../../host/world/cluster/testimony.ts";

const VOTE_REQUEST = 1;
const VOTE_ANSWER = 2;
const APPEND = 3;
const APPEND_ANSWER = 4;
const PRE = 1;
const BY_LEADER = 4;
const VOTERS: readonly RaftMember[] = [1, 2, 3].map((id) => ({ id, role: "voter" }));

function message(
  kind: number,
  fields: {
    readonly term: number;
    readonly flags?: number;
    readonly index?: number;
    readonly commit?: number;
  },
): Uint8Array {
  const bytes = new Uint8Array(64);
  const view = new DataView(bytes.buffer);
  bytes[0] = kind;
  bytes[1] = fields.flags ?? 0;
  view.setBigUint64(16, BigInt(fields.term), true);
  view.setBigUint64(24, BigInt(fields.index ?? 0), true);
  view.setBigUint64(40, BigInt(fields.commit ?? 0), true);
  return bytes;
}

/** Entries of these terms, the last of them a change of members when asked for. */
function runOf(terms: readonly number[], kind: number = ENTRY_KIND.command): Uint8Array {
  return encodeRun(terms.map((term) => ({ term, kind, flags: 0, payload: new Uint8Array(8) })));
}

/** A log that is durable when it is told to be. */
function manualLog() {
  const listeners = new Set<(token: number) => void>();
  let token = 0;
  const next = (): number => {
    token += 1;
    return token;
  };
  const log = {
    save: next,
    compact: next,
    reset: next,
    onDurable: (listener: (token: number) => void) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  } as unknown as RaftLog;
  return { log, sync: () => [...listeners].map((listener) => listener(token)) };
}

function found(term: number, vote: number, terms: readonly number[]): RecoveredRaftLog {
  return { term, vote, firstIndex: 1, lastIndex: terms.length, entries: runOf(terms), tornBytes: 0 };
}

/** A node with its book; `save` is durable at once unless it says otherwise. */
class Node {
  readonly book = new LogBook();
  readonly broken: string[] = [];
  readonly changes: (readonly [readonly number[], number])[] = [];
  readonly manual = manualLog();
  readonly log: RaftLog;
  terms: number[] = [];
  role = "follower";
  commit = 0;
  term = 0;
  members = VOTERS;
  upMs = 10_000;

  readonly id: number;

  constructor(id: number) {
    this.id = id;
    this.log = this.book.watch(this.manual.log, {
      onChanges: (indexes, before) => this.changes.push([indexes, before]),
      onSecondVote: (what) => this.broken.push(what),
    });
  }
  save(save: RaftSave): void {
    this.log.save(save);
  }
  durable(save: RaftSave): void {
    this.save(save);
    this.manual.sync();
  }
  get witness(): Witness {
    const { id, book, upMs } = this;
    return {
      ...{ id, book, upMs },
      driver: {
        status: { term: this.term, role: this.role, commit: this.commit, members: this.members },
        termAt: (index) => this.terms[index - 1] ?? 0,
      },
    };
  }
}

function cluster() {
  const nodes = new Map([1, 2, 3].map((id) => [id, new Node(id)]));
  const committed: number[] = [];
  const testimony = new Testimony({
    witness: (id) => nodes.get(id)?.witness,
    electionMs: 300,
    onCommit: (leader) => committed.push(leader),
  });
  return { node: (id: number) => nodes.get(id) as Node, testimony, committed };
}

describe("stable storage", () => {
  test("a term leaves when it is durable; a pre-vote promises nothing", () => {
    const { node, testimony } = cluster();
    node(1).save({ state: { term: 2, vote: 1 } });
    expect(testimony.sent(1, 2, message(VOTE_REQUEST, { term: 2, flags: PRE }))).toBeUndefined();
    expect(testimony.sent(1, 2, message(VOTE_REQUEST, { term: 2 }))).toContain("has term 0 on its disk");
    node(1).manual.sync();
    expect(testimony.sent(1, 2, message(VOTE_REQUEST, { term: 2 }))).toBeUndefined();
  });
  test("a vote is the one on the disk", () => {
    const { node, testimony } = cluster();
    node(1).durable({ state: { term: 2, vote: 3 } });
    expect(testimony.sent(1, 3, message(VOTE_ANSWER, { term: 2 }))).toBeUndefined();
    expect(testimony.sent(1, 2, message(VOTE_ANSWER, { term: 2 }))).toContain("has a vote for 3");
  });
  test("an acknowledgement is of what is durable", () => {
    const { node, testimony } = cluster();
    node(2).durable({ state: { term: 1, vote: 0 }, entries: { firstIndex: 1, run: runOf([1]) } });
    node(2).save({ state: { term: 1, vote: 0 }, entries: { firstIndex: 2, run: runOf([1]) } });
    expect(testimony.sent(2, 1, message(APPEND_ANSWER, { term: 1, index: 1 }))).toBeUndefined();
    expect(testimony.sent(2, 1, message(APPEND_ANSWER, { term: 1, index: 2 }))).toContain("entry 2");
  });
  test("an acknowledgement to an earlier leader may be late, and be cut off since", () => {
    const { node, testimony } = cluster();
    node(2).durable({ state: { term: 1, vote: 0 }, entries: { firstIndex: 1, run: runOf([1, 1]) } });
    node(2).durable({ state: { term: 2, vote: 0 }, entries: { firstIndex: 1, run: runOf([2]) } });
    expect(testimony.sent(2, 1, message(APPEND_ANSWER, { term: 1, index: 2 }))).toBeUndefined();
    expect(testimony.sent(2, 1, message(APPEND_ANSWER, { term: 2, index: 2 }))).toContain("entry 2");
  });
  test("a second vote in a term is seen when it is saved", () => {
    const { node } = cluster();
    node(1).durable({ state: { term: 2, vote: 3 } });
    node(1).durable({ state: { term: 3, vote: 2 } });
    expect(node(1).broken).toEqual([]);
    node(1).save({ state: { term: 3, vote: 1 } });
    expect(node(1).broken).toHaveLength(1);
  });
});

describe("after a crash", () => {
  function book(): Node {
    const node = new Node(1);
    node.durable({ state: { term: 2, vote: 3 }, entries: { firstIndex: 1, run: runOf([1, 1, 2]) } });
    return node;
  }
  test("all that was durable is there, and what was not may be", () => {
    const node = book();
    node.save({ state: { term: 2, vote: 3 }, entries: { firstIndex: 4, run: runOf([2]) } });
    expect(node.book.reopened(found(2, 3, [1, 1, 2, 2]))).toBeUndefined();
    expect(book().book.reopened(found(2, 3, [1, 1, 2]))).toBeUndefined();
  });
  test.each([
    ["an entry", found(2, 3, [1, 1])],
    ["another in its place", found(2, 3, [1, 1, 1])],
    ["the vote", found(2, 0, [1, 1, 2])],
    ["the term", found(1, 3, [1, 1, 2])],
  ])("%s is missed", (_, state) => {
    expect(book().book.reopened(state)).toContain("after a crash");
  });
  test("an entry may be gone that a later save was to override", () => {
    const node = book();
    node.save({ state: { term: 3, vote: 0 }, entries: { firstIndex: 3, run: runOf([3]) } });
    expect(node.book.reopened(found(3, 0, [1, 1, 3]))).toBeUndefined();
  });
});

test("a leader's snapshot stands for its term, also while the log has a lower one", () => {
  const { node, testimony } = cluster();
  const { book, log, manual } = node(1);
  node(1).durable({ state: { term: 25, vote: 1 } });
  node(1).save({ state: { term: 26, vote: 0 } });
  log.compact({ index: 7, term: 26, configuration: new Uint8Array(0) });
  expect(testimony.sent(1, 2, message(APPEND_ANSWER, { term: 26, index: 7 }))).toBeUndefined();
  expect(book.reopened(found(25, 1, []))).toBeUndefined();
  manual.sync();
  expect([book.term, book.vote]).toEqual([26, 0]);
});

describe("commitment", () => {
  function leader(term: number, terms: number[], members = VOTERS) {
    const world = cluster();
    const node = world.node(1);
    Object.assign(node, { term, role: "leader", terms, members });
    node.durable({ state: { term, vote: 1 }, entries: { firstIndex: 1, run: runOf(terms) } });
    const tell = (commit: number): string | undefined => {
      node.commit = commit;
      return world.testimony.sent(1, 2, message(APPEND, { term, commit }));
    };
    expect(tell(0)).toBeUndefined();
    return { ...world, tell };
  }
  test("is on the disks of a majority", () => {
    const { node, tell, committed } = leader(1, [1]);
    expect(tell(1)).toContain("not on the disks of a majority");
    node(2).durable({ state: { term: 1, vote: 0 }, entries: { firstIndex: 1, run: runOf([1]) } });
    const again = leader(1, [1]);
    again.node(2).durable({ state: { term: 1, vote: 0 }, entries: { firstIndex: 1, run: runOf([1]) } });
    expect(again.tell(1)).toBeUndefined();
    expect([committed, again.committed]).toEqual([[1], [1]]);
  });
  test("half is no majority", () => {
    const { node, tell } = leader(1, [1], [...VOTERS, { id: 4, role: "voter" }]);
    node(2).durable({ state: { term: 1, vote: 0 }, entries: { firstIndex: 1, run: runOf([1]) } });
    expect(tell(1)).toContain("not on the disks of a majority");
  });
  test("is of the leader's own term (thesis, figure 3.7)", () => {
    const { node, tell } = leader(3, [2, 3]);
    node(2).durable({ state: { term: 3, vote: 0 }, entries: { firstIndex: 1, run: runOf([2]) } });
    expect(tell(1)).toContain("entry 1 of term 2");
  });
});

test("election safety: one leader a term", () => {
  const { node, testimony } = cluster();
  for (const id of [1, 2]) node(id).durable({ state: { term: 5, vote: id } });
  expect(testimony.sent(1, 3, message(APPEND, { term: 5 }))).toBeUndefined();
  expect(testimony.sent(2, 3, message(APPEND, { term: 5 }))).toBe(
    "election safety: nodes 1 and 2 lead in term 5",
  );
});

describe("one change", () => {
  test("follows the other when that is committed", () => {
    const { node, testimony } = cluster();
    Object.assign(node(1), { term: 1, role: "leader", terms: [1, 1, 1], commit: 1 });
    const change = (firstIndex: number): void =>
      node(1).save({
        state: { term: 1, vote: 1 },
        entries: { firstIndex, run: runOf([1], ENTRY_KIND.configuration) },
      });
    node(1).save({ state: { term: 1, vote: 1 }, entries: { firstIndex: 1, run: runOf([1]) } });
    change(2);
    change(3);
    expect(node(1).changes).toEqual([
      [[2], 0],
      [[3], 2],
    ]);
    expect(testimony.changed(node(1).witness, [2], 0)).toBeUndefined();
    expect(testimony.changed(node(1).witness, [3], 2)).toContain("the change before is not committed");
    node(1).commit = 2;
    expect(testimony.changed(node(1).witness, [3], 2)).toBeUndefined();
  });
  test("comes after an entry of the leader's term is committed", () => {
    const { node, testimony } = cluster();
    Object.assign(node(1), { term: 2, role: "leader", terms: [1, 2, 2], commit: 1 });
    expect(testimony.changed(node(1).witness, [3], 0)).toContain("before it has committed anything");
  });
});

test("promised silence: no vote right after a start, unless the leader asked", () => {
  const { node, testimony } = cluster();
  node(1).durable({ state: { term: 2, vote: 3 } });
  node(1).upMs = 100;
  const vote = message(VOTE_ANSWER, { term: 2 });
  expect(testimony.sent(1, 3, vote)).toContain("100 ms after its start");
  testimony.delivered(3, 1, message(VOTE_REQUEST, { term: 2, flags: BY_LEADER }));
  expect(testimony.sent(1, 3, vote)).toBeUndefined();
});
