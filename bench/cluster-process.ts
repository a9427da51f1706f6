/** Three nodes of ours as users run them (`tardi cluster run`): real disk, LMDB, TCP on loopback, in processes of their own. */
import { join } from "node:path";
import { openClient } from "../host/cluster/client/open-client.ts";
import { Child, ROOT } from "./child.ts";
import { type Cluster, freePorts, leaderOf } from "./etcd.ts";

const NODES = 3;
const STATUS_MS = 2000;

export interface ClusterProcessOptions {
  readonly folder: string;
  /** For node, such as --cpu-prof. */
  readonly nodeArgs?: readonly string[];
  readonly electionMs?: number;
  readonly heartbeatMs?: number;
}

export async function startCluster(options: ClusterProcessOptions): Promise<Cluster> {
  const { folder, nodeArgs = [], electionMs = 1000, heartbeatMs = 100 } = options;
  const ports = await freePorts(2 * NODES);
  const clients = ports.slice(NODES);
  const nodes = clients.flatMap((port, at) => [
    "--node",
    `${at + 1}=127.0.0.1:${ports[at]}/127.0.0.1:${port}`,
  ]);
  const node = (at: number): Child =>
    Child.node(`node ${at + 1}`, [
      ...nodeArgs,
      join(ROOT, "host/cli/main.ts"),
      ...["cluster", "run", "--id", `${at + 1}`, "--data", join(folder, `node-${at + 1}`)],
      ...nodes,
      ...["--election-ms", `${electionMs}`, "--heartbeat-ms", `${heartbeatMs}`],
      ...["--log-level", "error", "--announce"],
    ]);
  const children = clients.map((_, at) => node(at));
  await Promise.all(children.map((child) => child.next("ready")));
  return {
    ...{ children, ports: clients, leader: () => leaderOf(clients, leads) },
    kill: async (at) => children[at]?.kill(),
    start: async (at) => {
      children[at] = node(at);
      await children[at].next("ready");
    },
  };
}

async function leads(port: number): Promise<boolean> {
  const client = openClient([`127.0.0.1:${port}`], STATUS_MS);
  try {
    return (await client.status()).role === "leader";
  } finally {
    client.close();
  }
}
