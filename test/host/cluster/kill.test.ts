/** Three real processes under load, whose leader is killed again and again: nothing that was acknowledged is lost, nothing is done twice. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { streamChannels } from "../../../host/cluster/client/stream-channel.ts";
import { nodeNetwork } from "../../../host/io/network.ts";
import { leaderAmong, NodeProcesses } from "../../support/cluster/node-processes.ts";
import { StoreLoad } from "../../support/cluster/store-load.ts";

const KILLS = 20;
const LIMIT_MS = 20_000;
let nodes: NodeProcesses;
let load: StoreLoad;

beforeAll(async () => {
  nodes = await NodeProcesses.open();
  load = new StoreLoad({
    endpoints: nodes.endpoints,
    open: streamChannels(nodeNetwork()),
    ...{ clients: 16, thinkMs: 2, seed: 7 },
  });
}, 30_000);

afterAll(async () => {
  load?.close();
  await nodes?.close();
});

test(`the leader is killed ${KILLS} times under load`, { timeout: 240_000 }, async () => {
  const leader = async (): Promise<number> => {
    for (let tries = 0; tries < 200; tries += 1) {
      const found = await leaderAmong(nodes.ids, (id) => load.newClient(500, [nodes.endpointOf(id)]));
      if (found !== undefined) return found.id;
      await load.pause(20);
    }
    throw new Error("nobody leads");
  };
  load.start();
  await load.moreAcknowledged(100, LIMIT_MS);
  const killed = new Set<number>();
  for (let kill = 0; kill < KILLS; kill += 1) {
    const id = await leader();
    await nodes.kill(id);
    killed.add(id);
    await load.moreAcknowledged(50, LIMIT_MS);
    await nodes.start(id);
    await load.moreAcknowledged(50, LIMIT_MS);
  }
  expect(await load.judge()).toBeUndefined();
  expect(load.acknowledged).toBeGreaterThan(KILLS * 100);
  expect(killed.size).toBeGreaterThan(1);
});
