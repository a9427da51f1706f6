/** Three nodes of the store, each a process of its own as `tardi cluster run` makes it, that a test kills and starts again. */
import type { ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { KvClient } from "../../../host/cluster/client/kv-client.ts";
import type { KvNodeStatus } from "../../../host/cluster/kv-node.ts";
import { ended, freePort, running } from "../processes.ts";

/** Shorter than by default: a test waits for elections. */
const TIMES = ["--election-ms", "300", "--heartbeat-ms", "60"];

export class NodeProcesses {
  readonly ids = [1, 2, 3];
  readonly endpoints: readonly string[];
  readonly #peers: readonly string[];
  readonly #folder: string;
  readonly #children = new Map<number, ChildProcess>();

  private constructor(folder: string, ports: readonly number[]) {
    this.#folder = folder;
    this.#peers = ports.slice(0, 3).map((port) => `127.0.0.1:${port}`);
    this.endpoints = ports.slice(3).map((port) => `127.0.0.1:${port}`);
  }

  static async open(): Promise<NodeProcesses> {
    const folder = await mkdtemp(join(tmpdir(), "tardi-nodes-"));
    const ports = await Promise.all(Array.from({ length: 6 }, () => freePort()));
    const nodes = new NodeProcesses(folder, ports);
    await Promise.all(nodes.ids.map((id) => nodes.start(id)));
    return nodes;
  }

  endpointOf(id: number): string {
    return this.endpoints[id - 1] as string;
  }

  async start(id: number): Promise<void> {
    const nodes = this.ids.map((node) => `${node}=${this.#peers[node - 1]}/${this.endpoints[node - 1]}`);
    const args = ["cluster", "run", "--id", String(id), ...nodes.flatMap((node) => ["--node", node])];
    const child = await running(
      [...args, ...TIMES, "--data", join(this.#folder, String(id)), "--log-level", "error", "--announce"],
      /"ready"/,
      this.#folder,
    );
    this.#children.set(id, child);
  }

  /** As the kernel does it to who takes too much memory: nothing is said to anybody. */
  async kill(id: number): Promise<void> {
    const child = this.#children.get(id) as ChildProcess;
    child.kill("SIGKILL");
    await ended(child);
  }

  async close(): Promise<void> {
    for (const id of this.#children.keys()) await this.kill(id);
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** The one that leads by its own word, in the highest term that is heard of. */
export async function leaderAmong(
  ids: readonly number[],
  clientOf: (id: number) => KvClient,
): Promise<KvNodeStatus | undefined> {
  const statuses = await Promise.all(
    ids.map(async (id) => {
      const client = clientOf(id);
      const status = await client.status().catch(() => undefined);
      client.close();
      return status;
    }),
  );
  const leaders = statuses.filter((status) => status?.role === "leader") as KvNodeStatus[];
  return leaders.sort((a, b) => b.term - a.term)[0];
}
