/** The transport on sockets of this machine. */
import { expect, test } from "vitest";
import {
  openTcpTransport,
  REDIAL,
  type TcpTransport,
} from "../../../host/cluster/transport/tcp-transport.ts";
import { createBackoff } from "../../../host/core/policy/backoff.ts";
import { systemClock } from "../../../host/io/clock.ts";
import { nodeNetwork } from "../../../host/io/network.ts";
import { systemRandom } from "../../../host/io/random.ts";
import { openTestCore } from "../../support/core.ts";
import { openTcpProxy } from "../../support/tcp-proxy.ts";
import { until } from "../../support/until.ts";
import { CLUSTER } from "./transport-world.ts";

const backoff = createBackoff({ core: openTestCore(), random: systemRandom() }, REDIAL);

function open(id: number): Promise<TcpTransport> {
  return openTcpTransport({
    ...{ network: nodeNetwork(), clock: systemClock(), backoff, clusterId: CLUSTER, id },
    listen: { host: "127.0.0.1", port: 0 },
  });
}

test("messages of all sizes cross, back-pressure holds them, and a cut is made good", async () => {
  const [one, two] = [await open(1), await open(2)];
  const proxy = await openTcpProxy(two.port);
  const sums: [number, number][] = [];
  two.onMessage((from, message) => {
    expect(from).toBe(1);
    sums.push([message.length, message.reduce((sum, byte) => (sum + byte) & 0xffff, 0)]);
  });
  const peers: boolean[] = [];
  one.onPeer((_, up) => peers.push(up));
  one.setPeers(new Map([[2, { host: "127.0.0.1", port: proxy.port }]]));
  await until("the peer is up", () => one.isUp(2));
  const expected: [number, number][] = [];
  for (const length of [1, 64, 1500, 65_536, 1_000_000, 4 * 1024 * 1024, 3]) {
    const message = new Uint8Array(length).map((_, at) => (at * 7 + length) & 0xff);
    await until("there is room", () => one.send(2, message));
    expected.push([length, message.reduce((sum, byte) => (sum + byte) & 0xffff, 0)]);
  }
  await until("all have come", () => sums.length === expected.length);
  expect(sums).toEqual(expected);
  proxy.cut();
  await until("the cut is noticed and made good", () => peers.length === 3);
  one.send(2, new Uint8Array(10));
  await until("one more has come", () => sums.length === expected.length + 1);
  expect(peers).toEqual([true, false, true]);
  await one.close();
  await two.close();
  await proxy.end();
});
