/** Three programs that share devices through three real nodes over TCP. A node's leader is killed meanwhile, and one program falls silent. Real time: what is asserted is who owns what, never how fast. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { deviceOwnership, openCluster } from "../../../../host/exports/cluster.ts";
import { leaderAmong, NodeProcesses } from "../../../support/cluster/node-processes.ts";
import { MAIN, run } from "../../../support/processes.ts";
import { until } from "../../../support/until.ts";

const DEVICES = Array.from({ length: 50 }, (_, number) => `device-${number}`);
const IDS = ["attic", "barn", "cellar"];
let nodes: NodeProcesses;

beforeAll(async () => {
  nodes = await NodeProcesses.open();
}, 120_000);
afterAll(() => nodes?.close());

test("each device has one owner at most, whatever ends, and one in the end", async () => {
  const clients = IDS.map(() => openCluster({ endpoints: nodes.endpoints }));
  const gateways = clients.map((kv, at) =>
    deviceOwnership({ kv, id: IDS[at] as string, leaseMs: 3_000, lookMs: 100, devices: () => DEVICES }),
  );
  const epochs = new Map<string, number>();
  const wrong: string[] = [];
  const look = (): void => {
    for (const device of DEVICES) {
      const held = gateways.map((gateway) => gateway.epoch(device)).filter((epoch) => epoch > 0);
      if (held.length > 1) wrong.push(`${device} has ${held.length} owners`);
      const before = epochs.get(device) ?? 0;
      const epoch = held[0] ?? before;
      if (epoch < before) wrong.push(`${device} went back from epoch ${before} to ${epoch}`);
      epochs.set(device, epoch);
    }
  };
  const looking = setInterval(look, 5);
  const owners = (): number =>
    DEVICES.filter((device) => gateways.some((gateway) => gateway.owns(device))).length;
  const share = (at: number): number =>
    DEVICES.filter((device) => gateways[at]?.owns(device) === true).length;
  try {
    await until("each has a share", () => owners() === DEVICES.length && IDS.every((_, at) => share(at) > 0));
    const leader = await leaderAmong(nodes.ids, (id) => openCluster({ endpoints: [nodes.endpointOf(id)] }));
    await nodes.kill(leader?.id as number);
    // As if it were cut off: it goes on by itself until its lease ends.
    clients[1]?.close();
    await until("the silent one has none", () => share(1) === 0);
    await until("the others have all", () => owners() === DEVICES.length);
    const endpoints = nodes.endpoints.flatMap((at) => ["--endpoint", at]);
    const told = await run(process.execPath, [
      MAIN,
      "cluster",
      "owners",
      ...endpoints,
      "--prefix",
      "ownership",
      "--json",
      "device-7",
    ]);
    expect(JSON.parse(told.stdout)).toEqual({
      isSettled: true,
      members: ["attic", "cellar"].map((id) => ({ id, weight: 1, isLive: true })),
      joining: [],
      devices: { "device-7": gateways[0]?.owner("device-7") },
    });
    await gateways[0]?.close();
    await until("the last has all", () => share(2) === DEVICES.length);
  } finally {
    clearInterval(looking);
    await gateways[2]?.close();
    for (const client of clients) client.close();
    await gateways[1]?.close();
  }
  expect(wrong).toEqual([]);
}, 120_000);
