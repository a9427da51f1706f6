/** A fleet's limit at three real nodes over TCP, as a program uses it: the leader is killed meanwhile. Real time: only the bound above is asserted, and that it goes on. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { fleetRateLimit, openCluster } from "../../../../host/exports/cluster.ts";
import { leaderAmong, NodeProcesses } from "../../../support/cluster/node-processes.ts";
import { until } from "../../../support/until.ts";

const LIMIT = 50;
const BATCH_MS = 200;
const MEMBERS = 3;
let nodes: NodeProcesses;

beforeAll(async () => {
  nodes = await NodeProcesses.open();
}, 120_000);
afterAll(() => nodes?.close());

test("three members share it, before and after the leader's death", async () => {
  const clients = Array.from({ length: MEMBERS }, () => openCluster({ endpoints: nodes.endpoints }));
  const members = clients.map((kv) =>
    fleetRateLimit({ kv, key: "limits/cloud", limit: LIMIT, burst: 5, batchMs: BATCH_MS, maxWaitMs: 20_000 }),
  );
  const beganMs = performance.now();
  let calls = 0;
  let isOver = false;
  const byMember = members.map(() => 0);
  const drive = async (number: number): Promise<void> => {
    while (!isOver) {
      await members[number]
        ?.execute(() => {
          calls += 1;
          byMember[number] = (byMember[number] ?? 0) + 1;
        })
        .catch(() => undefined);
    }
  };
  const driven = Promise.all(members.map((_, number) => drive(number)));
  await until("calls of all", () => byMember.every((own) => own >= 5));
  const leader = await leaderAmong(nodes.ids, (id) => openCluster({ endpoints: [nodes.endpointOf(id)] }));
  await nodes.kill(leader?.id as number);
  const before = calls;
  await until("calls after the leader's death", () => calls > before + 30);
  isOver = true;
  const tookMs = performance.now() - beganMs;
  expect(calls).toBeLessThanOrEqual(2 * 5 + ((tookMs + BATCH_MS) / 1000) * LIMIT * 1.01 + 1);
  for (const member of members) member.close();
  await driven;
  for (const client of clients) client.close();
}, 120_000);
