/** The Raft driver with its real log, on simulated disks, clocks and network. */
import { afterEach, describe, expect, test } from "vitest";
import { encodeCommand } from "../../../host/cluster/kv/command.ts";
import type { KvNode } from "../../../host/cluster/kv-node.ts";
import { SimulatedCluster } from "../../support/cluster/simulated-cluster.ts";

const utf8 = new TextEncoder();
const put = (key: string, value: string) => encodeCommand({ op: "put", key, value: utf8.encode(value) });

let cluster = new SimulatedCluster();
afterEach(() => {
  for (const process of cluster.processes.values()) process.crash("power");
  expect(cluster.fatal).toEqual([]);
  cluster = new SimulatedCluster();
});

describe("three nodes", () => {
  test("agree on a leader, apply what it takes everywhere, and read it anywhere", async () => {
    await cluster.start(1, 2, 3);
    const leader = cluster.leader as KvNode;
    const result = await cluster.during(leader.execute(put("a", "1")));
    expect(result).toMatchObject({ code: "OK", op: "put", revision: 1 });
    for (const id of [1, 2, 3]) {
      const item = await cluster.during(cluster.node(id).get("a"));
      expect(new TextDecoder().decode(item?.value)).toBe("1");
    }
  });

  test("a follower says who leads", async () => {
    await cluster.start(1, 2, 3);
    const leader = (cluster.leader as KvNode).id;
    const follower = cluster.node(leader === 1 ? 2 : 1);
    await cluster.until(() => follower.leader === leader);
    await expect(follower.execute(put("a", "1"))).rejects.toMatchObject({
      code: "RAFT_NOT_LEADER",
      context: { leader },
    });
  });

  test("what was acknowledged is there after the power of all was cut", async () => {
    await cluster.start(1, 2, 3);
    for (let count = 0; count < 50; count += 1)
      await cluster.during((cluster.leader as KvNode).execute(put(`k${count}`, `${count}`)));
    for (const process of cluster.processes.values()) process.crash("power");
    for (const process of cluster.processes.values()) await process.start();
    await cluster.until(() => cluster.leader !== undefined);
    const { items } = await cluster.during(cluster.node(2).range({ from: "k" }));
    expect(items).toHaveLength(50);
  });

  test("a leader that dies loses nothing that it acknowledged", async () => {
    await cluster.start(1, 2, 3);
    for (let round = 0; round < 5; round += 1) {
      const leader = cluster.leader as KvNode;
      await cluster.during(leader.execute(put(`k${round}`, "x")));
      cluster.processes.get(leader.id)?.crash("power");
      await cluster.until(() => cluster.leader !== undefined);
      await cluster.processes.get(leader.id)?.start();
    }
    const { items } = await cluster.during((cluster.leader as KvNode).range({ from: "k" }));
    expect(items).toHaveLength(5);
  });

  test("a leader that is cut off answers what it took with an unknown outcome", async () => {
    await cluster.start(1, 2, 3);
    const leader = cluster.leader as KvNode;
    for (const id of [1, 2, 3]) {
      cluster.network.cut(leader.id, id);
      cluster.network.cut(id, leader.id);
    }
    await expect(cluster.during(leader.execute(put("a", "1")))).rejects.toMatchObject({
      code: "RAFT_OUTCOME_UNKNOWN",
    });
    await expect(cluster.during(leader.get("a"))).rejects.toMatchObject({ code: "RAFT_NO_LEADER" });
  });

  test("a log is compacted although the state store failed when it was due, and nothing comes after", async () => {
    for (const id of [1, 2, 3]) cluster.add(id, [1, 2, 3], 64);
    for (const process of cluster.processes.values()) await process.start();
    await cluster.until(() => cluster.leader !== undefined);
    const leader = cluster.leader as KvNode;
    await cluster.until(() => leader.status.applied > 0);
    cluster.processes.get(leader.id)?.state.failTransactions(2);
    const puts = Array.from({ length: 40 }, (_, at) => leader.execute(put(`k${at}`, "x")));
    await cluster.during(Promise.all(puts));
    await cluster.until(() => leader.status.first > 1);
  });

  test("the log stays bounded, and a node that was away catches up by a snapshot and the log", async () => {
    await cluster.start(1, 2, 3);
    const away = cluster.leader?.id === 3 ? 2 : 3;
    cluster.processes.get(away)?.crash("power");
    const write = async (from: number, to: number) => {
      for (let count = from; count < to; count += 50) {
        const leader = cluster.leader as KvNode;
        const batch = Array.from({ length: 50 }, (_, at) =>
          leader.execute(put(`k${(count + at) % 700}`, `${count}`)),
        );
        await cluster.during(Promise.all(batch));
      }
    };
    await write(0, 3000);
    const status = (cluster.leader as KvNode).status;
    expect(status.last - status.first).toBeLessThan(1024);
    expect(status.first).toBeGreaterThan(1500);
    await cluster.processes.get(away)?.start();
    await write(3000, 3500);
    await cluster.until(() => cluster.node(away).status.applied === cluster.leader?.status.applied);
    const [mine, theirs] = [cluster.node(away), cluster.leader as KvNode].map((node) =>
      [...node.machine.snapshot(1 << 20)].map((chunk) => Buffer.from(chunk).toString("base64")).join(),
    );
    expect(mine).toBe(theirs);
    // And the state that it took over lasts.
    cluster.processes.get(away)?.crash("power");
    await cluster.processes.get(away)?.start();
    await cluster.until(() => cluster.node(away).status.applied === cluster.leader?.status.applied);
  });
});

describe("members", () => {
  test("a node joins as a learner, becomes a voter, and another leaves", async () => {
    await cluster.start(1, 2, 3);
    const leader = cluster.leader as KvNode;
    await cluster.during(leader.execute(put("a", "1")));
    const joiner = cluster.add(4, []);
    await joiner.start();
    leader.add(4, "learner");
    await cluster.until(() => cluster.node(4).machine.revision === leader.machine.revision);
    leader.add(4, "voter");
    await cluster.until(() =>
      cluster.node(4).status.members.some(({ id, role }) => id === 4 && role === "voter"),
    );
    const leaving = leader.id === 1 ? 2 : 1;
    await cluster.until(() => {
      try {
        leader.remove(leaving);
        return true;
      } catch {
        return false;
      }
    });
    await cluster.until(() => !leader.status.members.some(({ id }) => id === leaving));
    cluster.processes.get(leaving)?.crash("power");
    expect(await cluster.during(leader.execute(put("b", "2")))).toMatchObject({ code: "OK" });
  });

  test("leadership is handed over", async () => {
    await cluster.start(1, 2, 3);
    const before = cluster.leader as KvNode;
    const to = before.id === 2 ? 3 : 2;
    before.driver.transfer(to);
    await cluster.until(() => cluster.node(to).isLeader && !before.isLeader);
  });
});

test("a lease ends by the log's time, whoever leads", async () => {
  await cluster.start(1, 2, 3);
  const grant = await cluster.during(
    (cluster.leader as KvNode).execute(encodeCommand({ op: "lease-grant", ttlMs: 2000 })),
  );
  const command = encodeCommand({ op: "put", key: "owner", value: utf8.encode("me"), lease: grant.value });
  expect(await cluster.during((cluster.leader as KvNode).execute(command))).toMatchObject({ code: "OK" });
  const old = cluster.leader as KvNode;
  cluster.processes.get(old.id)?.crash("power");
  // Who follows may hear of the last commits only when it leads.
  await cluster.until(() => cluster.leader?.machine.get("owner") !== undefined);
  await cluster.until(() => cluster.leader?.machine.get("owner") === undefined);
  expect(cluster.leader?.machine.meta.leases).toBe(0);
});
