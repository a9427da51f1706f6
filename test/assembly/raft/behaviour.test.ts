/** Raft by the thesis' sections, and the wounds that others had, by name. */
import { describe, expect, test } from "vitest";
import { Raft, type RaftMember } from "../../../host/core/raft.ts";
import { openTestCore } from "../../support/core.ts";
import { RaftWorld, type WorldOptions } from "../../support/raft/world.ts";

const core = openTestCore();
const encoder = new TextEncoder();
const voters = (...ids: number[]): RaftMember[] => ids.map((id) => ({ id, role: "voter" }));

function worldOf(ids: readonly number[], options: Partial<WorldOptions> = {}): RaftWorld {
  return new RaftWorld({ core, seed: 7, ids, ...options });
}

/** A world with a leader whose first entry is applied everywhere. */
function led(
  ids: readonly number[],
  options: Partial<WorldOptions> = {},
): { world: RaftWorld; leader: number } {
  const world = worldOf(ids, options);
  world.until(() => world.leader !== undefined && ids.every((id) => world.raft(id).status.applied > 0));
  return { world, leader: world.leader?.id as number };
}

function isolate(world: RaftWorld, id: number): void {
  for (const other of world.nodes.keys()) world.cut.add(`${id} ${other}`).add(`${other} ${id}`);
}

/** Lets time pass while nothing that the node stores becomes durable. */
function runStalled(world: RaftWorld, id: number, ms: number): void {
  const node = world.node(id);
  for (let passed = 0; passed < ms; passed += 1) {
    world.step();
    node.saves = node.saves.map((save) => ({ ...save, dueMs: Number.POSITIVE_INFINITY }));
  }
}

const propose = (world: RaftWorld, id: number, command: string) =>
  world.raft(id).propose(encoder.encode(command));
const othersOf = (ids: readonly number[], id: number) => ids.filter((other) => other !== id);

describe("elections (thesis 3.4, 6.2, 9.6)", () => {
  test("one leader, in a term that all follow", () => {
    const { world, leader } = led([1, 2, 3]);
    for (const id of [1, 2, 3])
      expect(world.raft(id).status).toMatchObject({ leader, term: world.raft(leader).status.term });
  });
  test("9.6: a node that was cut off does not disturb: its term has not risen when it is back", () => {
    const { world, leader } = led([1, 2, 3]);
    const { term } = world.raft(leader).status;
    const lonely = othersOf([1, 2, 3], leader)[0] as number;
    isolate(world, lonely);
    world.run(2000);
    expect(world.raft(lonely).status.term).toBe(term);
    world.cut.clear();
    world.run(500);
    expect(world.raft(leader).status).toMatchObject({ role: "leader", term });
  });
  test("6.2: a leader without a quorum steps down; one cut off from a minority does not", () => {
    const { world, leader } = led([1, 2, 3]);
    const [first] = othersOf([1, 2, 3], leader);
    isolate(world, first as number);
    world.run(1000);
    expect(world.raft(leader).status.role).toBe("leader");
    isolate(world, leader);
    world.run(300);
    expect(world.raft(leader).status.role).not.toBe("leader");
  });
  test("etcd #9586: the followers of a lost leader elect one of themselves", () => {
    const { world, leader } = led([1, 2, 3]);
    isolate(world, leader);
    const rest = othersOf([1, 2, 3], leader);
    world.until(() => rest.some((id) => world.raft(id).status.role === "leader"), 2000);
  });
  test("3.8: no vote leaves before it is durable", () => {
    const world = worldOf([1, 2, 3], { syncMsMax: 1_000_000 });
    world.run(1000);
    // Pre-votes promise nothing; the term they lead to is on no disk, so nobody has voted.
    expect([1, 2, 3].every((id) => world.raft(id).status.role !== "leader")).toBe(true);
    expect([1, 2, 3].some((id) => world.raft(id).status.term > 0)).toBe(true);
  });
});

describe("replication", () => {
  test("3.6.2: entries of an old term that a majority holds are not committed by counting, but by one of the leader's own above them", () => {
    const ids = [1, 2, 3, 4, 5];
    const { world, leader } = led(ids);
    const [near, ...far] = othersOf(ids, leader) as [number, ...number[]];
    // The old leader brings more than a message holds to one other node only, and is lost.
    for (const id of far) world.cut.add(`${leader} ${id}`);
    const { commit: before } = world.raft(leader).status;
    for (const letter of ["a", "b", "c", "d"]) propose(world, leader, letter.repeat(1900));
    world.run(10);
    expect(world.raft(near).status).toMatchObject({ commit: before, last: before + 4 });
    world.crash(leader);
    world.until(() => world.raft(near).status.role === "leader", 5000);
    const { term } = world.raft(near).status;
    world.until(() => {
      const { commit } = world.raft(near).status;
      // Up to there, or with its own entry further, and never to what lies between.
      expect(commit === before || world.raft(near).termAt(commit) === term).toBe(true);
      return commit > before + 4;
    }, 500);
    world.until(() => far.every((id) => world.node(id).applied.length === 4), 500);
  });
  test("10.2.1: a leader sends before its own disk is done, and counts itself only after", () => {
    const { world, leader } = led([1, 2, 3]);
    const [near, far] = othersOf([1, 2, 3], leader) as [number, number];
    world.cut.add(`${leader} ${far}`).add(`${far} ${leader}`);
    propose(world, leader, "early");
    const { last } = world.raft(leader).status;
    runStalled(world, leader, 40);
    expect(world.raft(near).status.saved).toBe(last);
    expect(world.raft(leader).status.commit).toBeLessThan(last);
    const node = world.node(leader);
    node.saves = node.saves.map((save) => ({ ...save, dueMs: 0 }));
    world.run(2);
    expect(world.raft(leader).status.commit).toBe(last);
  });
  test("a follower counts for what is on its disk", () => {
    const { world, leader } = led([1, 2, 3]);
    const [near, far] = othersOf([1, 2, 3], leader) as [number, number];
    world.cut.add(`${leader} ${far}`).add(`${far} ${leader}`);
    propose(world, leader, "early");
    const { last } = world.raft(leader).status;
    runStalled(world, near, 40);
    expect(world.raft(near).status.last).toBe(last);
    expect(world.raft(leader).status.commit).toBeLessThan(last);
  });
  test("hashicorp/raft #612: entries lost behind healthy heartbeats are sent again", () => {
    const { world, leader } = led([1, 2, 3]);
    const [slow] = othersOf([1, 2, 3], leader) as [number];
    const send = world.send.bind(world);
    // Appends to one follower vanish for a while, everything else arrives.
    let isLossy = true;
    world.send = (message) => {
      const to = new DataView(message.buffer).getUint32(12, true);
      if (!(isLossy && message[0] === 3 && to === slow)) send(message);
    };
    for (let count = 0; count < 20; count += 1) {
      propose(world, leader, `${count}`);
      world.run(2);
    }
    world.run(500);
    expect(world.raft(slow).status.leader).toBe(leader);
    expect(world.node(slow).applied).toHaveLength(0);
    isLossy = false;
    world.until(() => world.node(slow).applied.length === 20, 500);
    expect(world.raft(leader).status.role).toBe("leader");
  });
  test("what does not fit is refused with a code, and taken again after a compaction", () => {
    const { world, leader } = led([1, 2, 3]);
    let taken = 0;
    const fill = () => {
      for (;;) {
        propose(world, leader, "x");
        taken += 1;
      }
    };
    expect(fill).toThrow(expect.objectContaining({ code: "RAFT_LOG_FULL" }));
    expect(taken).toBeGreaterThan(150);
    world.until(() => world.raft(leader).status.applied > taken);
    world.run(50);
    expect(propose(world, leader, "y")).toBe("appended");
  });
  test("a follower forwards, and refuses with a code when it knows no leader", () => {
    const { world, leader } = led([1, 2, 3]);
    const [follower] = othersOf([1, 2, 3], leader) as [number];
    expect(propose(world, follower, "through")).toBe("forwarded");
    world.until(() => world.node(follower).applied.includes("through"), 500);
    const fresh = worldOf([1, 2, 3]);
    expect(() => propose(fresh, 1, "nobody")).toThrow(expect.objectContaining({ code: "RAFT_NO_LEADER" }));
  });
});

describe("reads (thesis 6.4)", () => {
  test("ReadIndex: after a round with a quorum, at the leader and through a follower", () => {
    const { world, leader } = led([1, 2, 3]);
    propose(world, leader, "write");
    world.run(50);
    const { commit } = world.raft(leader).status;
    for (const id of [1, 2, 3]) {
      world.raft(id).read(100 + id, world.nowMs);
      expect(world.raft(id).takeReads()).toEqual([]);
      world.run(20);
      expect(world.raft(id).takeReads()).toEqual([{ context: 100 + id, index: commit }]);
    }
  });
  test("a leader that was replaced and does not know it answers no read", () => {
    const { world, leader } = led([1, 2, 3], { raft: { leaseMs: 0 } });
    isolate(world, leader);
    world.raft(leader).read(1, world.nowMs);
    world.run(1000);
    expect(world.raft(leader).takeReads()).toEqual([]);
  });
  test("etcd #20418: an answer to an earlier round confirms no later one", () => {
    const { world, leader } = led([1, 2, 3]);
    const send = world.send.bind(world);
    const answers: Uint8Array[] = [];
    world.raft(leader).read(1, world.nowMs);
    world.send = (message) => (message[0] === 6 ? answers.push(message) : send(message));
    world.run(3);
    expect(answers.length).toBeGreaterThan(0);
    isolate(world, leader);
    // The first round's answers come late, again and again, while a second read waits.
    world.raft(leader).read(2, world.nowMs);
    world.work(world.node(leader));
    for (const answer of [...answers, ...answers]) world.raft(leader).step(answer, world.nowMs);
    expect(
      world
        .raft(leader)
        .takeReads()
        .map(({ context }) => context),
    ).toEqual([1]);
  });
  test("6.4.1: a lease answers at once, ends with the quorum's silence, and is over before another can lead", () => {
    const { world, leader } = led([1, 2, 3], { raft: { leaseMs: 80 } });
    world.run(50);
    world.raft(leader).read(1, world.nowMs);
    expect(world.raft(leader).takeReads()).toHaveLength(1);
    isolate(world, leader);
    const stale = world.raft(leader);
    world.until(() => {
      const other = othersOf([1, 2, 3], leader).some((id) => world.raft(id).status.role === "leader");
      if (other) expect(stale.leaseHolds(world.nowMs)).toBe(false);
      return other;
    }, 5000);
  });
});

describe("leadership transfer (thesis 3.10)", () => {
  test("the target leads within a heartbeat or two, and lease reads end before", () => {
    const { world, leader } = led([1, 2, 3], { raft: { leaseMs: 80 } });
    const [target] = othersOf([1, 2, 3], leader) as [number];
    world.run(50);
    world.raft(leader).transfer(target);
    expect(() => propose(world, leader, "no")).toThrow(
      expect.objectContaining({ code: "RAFT_TRANSFERRING" }),
    );
    world.run(3);
    expect(world.raft(leader).leaseHolds(world.nowMs)).toBe(false);
    world.until(() => world.raft(target).status.role === "leader", 60);
  });
  test("the leader's word counts for the one election that it asked for: the next ones heed a lease again", () => {
    const { world, leader } = led([1, 2, 3]);
    const [target] = othersOf([1, 2, 3], leader) as [number];
    const send = world.send.bind(world);
    const asked: number[] = [];
    world.send = (message) => {
      const from = new DataView(message.buffer).getUint32(8, true);
      if (from !== target) send(message);
      else if (message[0] === 1) asked.push(message[1] as number);
    };
    world.raft(leader).transfer(target);
    world.until(() => asked.length > 0, 100);
    // From here on it hears nobody, and campaigns by itself.
    for (const other of [1, 2, 3]) world.cut.add(`${other} ${target}`);
    world.run(600);
    const byLeader = asked.map((flags) => (flags & 4) !== 0);
    expect(byLeader.slice(0, 2)).toEqual([true, true]);
    expect(byLeader.slice(2).length).toBeGreaterThan(0);
    expect(byLeader.slice(2)).not.toContain(true);
  });
});

describe("what is refused, and with what code", () => {
  const code = (code: string) => expect.objectContaining({ code });
  test("transfers", () => {
    const { world, leader } = led([1, 2, 3]);
    const [target, other] = othersOf([1, 2, 3], leader) as [number, number];
    const to = (node: number, id: number) => () => world.raft(node).transfer(id);
    expect(to(target, leader)).toThrow(code("RAFT_NOT_LEADER"));
    expect(to(leader, leader)).toThrow(code("ARGUMENT"));
    expect(to(leader, 77)).toThrow(code("ARGUMENT"));
    world.raft(leader).change([...voters(1, 2, 3), { id: 4, role: "learner" }]);
    world.until(() => world.raft(leader).status.commit === world.raft(leader).status.last);
    expect(to(leader, 4)).toThrow(code("ARGUMENT"));
    isolate(world, target);
    world.raft(leader).transfer(target);
    expect(to(leader, other)).toThrow(code("RAFT_TRANSFERRING"));
    expect(() => world.raft(leader).change(voters(1, 2, 3))).toThrow(code("RAFT_CHANGE_PENDING"));
    // The target does not answer: after an election time the leader leads on.
    world.run(150);
    expect(propose(world, leader, "on")).toBe("appended");
  });
  test("changes of members", () => {
    const { world, leader } = led([1, 2, 3]);
    const [follower] = othersOf([1, 2, 3], leader) as [number];
    const change = (node: number, members: RaftMember[]) => () => world.raft(node).change(members);
    expect(change(follower, voters(1, 2))).toThrow(code("RAFT_NOT_LEADER"));
    expect(change(leader, [])).toThrow(code("ARGUMENT"));
    expect(change(leader, voters(1, 1))).toThrow(code("ARGUMENT"));
    expect(change(leader, [{ id: 1, role: "learner" }])).toThrow(code("ARGUMENT"));
    // It has no payloads to become a voter with.
    expect(change(leader, [...voters(1, 2), { id: 3, role: "witness" }])).toThrow(code("ARGUMENT"));
    const many = Array.from({ length: 16 }, (_, index) => index + 10);
    expect(change(leader, voters(...many))).toThrow(code("ARGUMENT"));
    const next = worldOf([1, 2, 3]);
    next.until(() => next.leader !== undefined);
    const fresh = next.leader?.id as number;
    expect(() => next.raft(fresh).change(voters(1, 2))).toThrow(code("RAFT_NOT_READY"));
    expect(() => next.raft(fresh).read(1, next.nowMs)).toThrow(code("RAFT_NOT_READY"));
  });
  test("4.2.2: a leader that is removed leads until that is committed, and no longer; a voter may become a learner", () => {
    const { world, leader } = led([1, 2, 3]);
    const rest = othersOf([1, 2, 3], leader);
    world.raft(leader).change([...voters(...rest), { id: leader, role: "learner" }]);
    world.until(() => world.raft(leader).status.role !== "leader", 500);
    world.until(() => rest.some((id) => world.raft(id).status.role === "leader"), 2000);
    world.until(() => world.raft(leader).status.leader !== 0, 500);
    world.run(100);
    const next = world.leader?.id as number;
    world.raft(next).change([...voters(next, leader), { id: 8, role: "witness" }]);
    world.add(8, []);
    world.until(() => world.raft(next).members.every(({ outgoing, leaving }) => !outgoing && !leaving), 2000);
    expect(world.raft(next).members).toHaveLength(3);
  });
});

describe("members (thesis chapter 4)", () => {
  test("a node that joins catches up by snapshot and log, as a learner first", () => {
    const { world, leader } = led([1, 2, 3]);
    for (let count = 0; count < 400; count += 1) {
      propose(world, leader, `${count}`);
      world.run(3);
    }
    expect(world.raft(leader).status.first).toBeGreaterThan(1);
    world.add(4, []);
    world.raft(leader).change([...voters(1, 2, 3), { id: 4, role: "learner" }]);
    world.until(() => world.node(4).applied.length === 400, 3000);
    expect(world.node(4).applied).toEqual(world.node(leader).applied);
    world.raft(leader).change(voters(1, 2, 3, 4));
    world.until(() => world.raft(4).members.every(({ role }) => role === "voter"), 1000);
  });
  test("4.3: many at once go through a joint configuration, which is left by itself", () => {
    const { world, leader } = led([1, 2, 3]);
    for (const id of [4, 5, 6]) world.add(id, []);
    world.raft(leader).change(voters(4, 5, 6));
    expect(world.raft(leader).members.filter(({ leaving }) => leaving)).toHaveLength(3);
    world.until(() => [4, 5, 6].some((id) => world.raft(id).status.role === "leader"), 5000);
    const next = world.leader?.id as number;
    expect(
      world
        .raft(next)
        .members.map(({ id }) => id)
        .sort(),
    ).toEqual([4, 5, 6]);
    propose(world, next, "on");
    world.until(() => [4, 5, 6].every((id) => world.node(id).applied.at(-1) === "on"), 2000);
  });
  test("4.1 and etcd #12359: a configuration counts from the moment it stands in the log, and not when it is cut away", () => {
    const { world, leader } = led([1, 2, 3]);
    world.add(4, []);
    isolate(world, leader);
    world.raft(leader).change(voters(1, 2, 3, 4));
    expect(world.raft(leader).members).toHaveLength(4);
    world.until(
      () => othersOf([1, 2, 3], leader).some((id) => world.raft(id).status.role === "leader"),
      5000,
    );
    world.cut.clear();
    world.until(() => world.raft(leader).members.length === 3, 2000);
  });
  test("a joint configuration survives a snapshot or a restart as it is", () => {
    const { world, leader } = led([1, 2, 3]);
    world.add(4, []);
    world.raft(leader).change([...voters(3, 4), { id: 2, role: "learner" }]);
    const { members } = world.raft(leader);
    expect(members.filter(({ leaving }) => leaving)).toEqual([{ id: 1, role: "voter", leaving: true }]);
    const other = new Raft(core, { id: 9 });
    other.restore({ term: 1, vote: 0, snapshot: { index: 5, term: 1 }, members });
    expect(other.members).toEqual(members);
    world.until(() => {
      const now = world.leader?.members ?? [];
      return now.length === 3 && now.every(({ outgoing }) => !outgoing);
    }, 2000);
    const byId = [...(world.leader?.members ?? [])].sort((a, b) => a.id - b.id);
    expect(byId).toEqual([{ id: 2, role: "learner" }, ...voters(3, 4)]);
  });
  test("one change at a time", () => {
    const { world, leader } = led([1, 2, 3]);
    world.raft(leader).change([...voters(1, 2, 3), { id: 4, role: "learner" }]);
    const again = () => world.raft(leader).change(voters(1, 2, 3));
    expect(again).toThrow(expect.objectContaining({ code: "RAFT_CHANGE_PENDING" }));
  });
  test("a witness votes and holds no data, and never leads", () => {
    const { world, leader } = led([1, 2]);
    world.add(9, []);
    world.raft(leader).change([...voters(1, 2), { id: 9, role: "witness" }]);
    world.until(() => world.raft(9).members.length === 3, 1000);
    propose(world, leader, "secret");
    const [other] = othersOf([1, 2], leader) as [number];
    world.until(() => world.node(other).applied.includes("secret"), 500);
    world.until(() => world.raft(9).status.last === world.raft(leader).status.last, 500);
    const { last } = world.raft(9).status;
    expect(new TextDecoder().decode(world.raft(9).entries(1, last).run)).not.toContain("secret");
    // With the other gone, leader and witness still commit.
    world.crash(other);
    propose(world, leader, "still");
    world.until(() => world.node(leader).applied.includes("still"), 1000);
    world.crash(leader);
    world.run(2000);
    expect(world.raft(9).status.role).toBe("follower");
  });
});

test("bytes that are no message are refused with a code and change nothing", () => {
  const { world } = led([1, 2, 3]);
  const before = world.raft(1).status;
  for (const bytes of [0, 1, 63, 64, 200]) {
    expect(() => world.raft(1).step(world.random.bytes(bytes), world.nowMs)).toThrow(
      expect.objectContaining({ code: "RAFT_MESSAGE" }),
    );
  }
  // Sound but for an index with which sums would wrap.
  const message = new Uint8Array(64);
  const view = new DataView(message.buffer);
  message[0] = 3;
  view.setUint32(4, 64, true);
  view.setUint32(8, 2, true);
  view.setUint32(12, 1, true);
  view.setBigUint64(24, 2n ** 64n - 1n, true);
  expect(() => world.raft(1).step(message, world.nowMs)).toThrow(
    expect.objectContaining({ code: "RAFT_MESSAGE" }),
  );
  expect(world.raft(1).status).toEqual({ ...before, malformed: before.malformed + 6 });
});

test("stored entries whose configuration is none are refused", () => {
  const run = new Uint8Array(24);
  new DataView(run.buffer).setBigUint64(0, 1n, true);
  new DataView(run.buffer).setUint32(8, 8, true);
  run[12] = 2;
  run[16] = 99;
  const raft = new Raft(core, { id: 1 });
  raft.restore({ term: 1, vote: 0, snapshot: { index: 0, term: 0 }, members: voters(1) });
  expect(() => raft.restoreEntries(run)).toThrow(expect.objectContaining({ code: "ARGUMENT" }));
});
