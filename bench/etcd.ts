/** A cluster of three etcd in processes of their own, with etcd's own settings: fsync on, heartbeat 100 ms, election 1 s. */
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "../host/io/clock.ts";
import { installDebianPackages } from "../scripts/debian.ts";
import { Child } from "./child.ts";
import { EtcdClient } from "./etcd-client.ts";
import { freePort } from "./free-port.ts";

const PATHS = ["/usr/bin/etcd", "/usr/local/bin/etcd"];
const NODES = 3;
const ATTEMPTS_MAX = 300;
const ATTEMPT_MS = 50;

/** Installed where this may. Throws where it is not, naming the package: a comparison left out in silence would be none. */
export function etcdBinary(paths: readonly string[] = PATHS): string {
  const find = () => paths.find((path) => existsSync(path));
  if (find() === undefined) installDebianPackages([{ name: "etcd-server", proof: paths[0] ?? "" }]);
  const binary = find();
  if (binary !== undefined) return binary;
  throw new Error(
    "The suite raft compares with etcd, which is not installed: `apt-get install etcd-server`, then run it again.",
  );
}

export function etcdVersion(binary: string): string {
  const said = execFileSync(binary, ["--version"], { encoding: "utf8" });
  return /etcd Version: (\S+)/.exec(said)?.[1] ?? "unknown";
}

export interface Cluster {
  readonly children: readonly Child[];
  /** Of each node, for clients. */
  readonly ports: readonly number[];
  /** The port of the node that leads now. */
  leader(): Promise<number>;
  /** `kill -9` of a node, by its place. */
  kill(at: number): Promise<void>;
  /** Starts it again with what its disk has. */
  start(at: number): Promise<void>;
}

export async function startEtcd(folder: string, binary: string): Promise<Cluster> {
  const ports = await freePorts(2 * NODES);
  const peers = ports.slice(0, NODES);
  const clients = ports.slice(NODES);
  const url = (port: number | undefined): string => `http://127.0.0.1:${port}`;
  const all = peers.map((port, at) => `n${at}=${url(port)}`).join(",");
  const member = (at: number): Child =>
    new Child(`etcd ${at}`, binary, [
      ...["--name", `n${at}`, "--data-dir", join(folder, `etcd-${at}`)],
      ...["--listen-peer-urls", url(peers[at]), "--initial-advertise-peer-urls", url(peers[at])],
      ...["--listen-client-urls", url(clients[at]), "--advertise-client-urls", url(clients[at])],
      ...["--initial-cluster", all, "--initial-cluster-state", "new"],
      ...["--logger", "zap", "--log-level", "error"],
    ]);
  const children = clients.map((_, at) => member(at));
  return {
    ...{ children, ports: clients, leader: () => leaderOf(clients, leads) },
    kill: async (at) => children[at]?.kill(),
    start: async (at) => {
      children[at] = member(at);
    },
  };
}

async function leads(port: number): Promise<boolean> {
  const client = await EtcdClient.open(port);
  try {
    return await client.leads();
  } finally {
    client.close();
  }
}

/** Asks one after the other until one leads. */
export async function leaderOf(
  ports: readonly number[],
  leads: (port: number) => Promise<boolean>,
): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
    for (const port of ports) if (await leads(port).catch(() => false)) return port;
    await new Promise<void>((resolve) => systemClock().alarm(ATTEMPT_MS, resolve));
  }
  throw new Error("The cluster was started and has no leader; start its processes by hand.");
}

export async function freePorts(count: number): Promise<number[]> {
  const ports = new Set<number>();
  while (ports.size < count) ports.add(await freePort());
  return [...ports];
}
