/** `tardi cluster status|add|remove|transfer|snapshot|get|put`: what people do with a cluster that runs. */
import { open, rm } from "node:fs/promises";
import { TardigradeError } from "../../protocols/error.ts";
import type { KvClient } from "../cluster/client/kv-client.ts";
import { openClient } from "../cluster/client/open-client.ts";
import type { KvNodeStatus, NodeRole } from "../cluster/kv-node.ts";
import { systemClock } from "../io/clock.ts";
import { bold, dim, green, print, printJson, progress, red, table } from "./output.ts";

export interface ClusterOptions {
  /** Where nodes serve clients. */
  readonly endpoint: readonly string[];
  readonly json?: boolean;
}

const STATUS_MS = 1_500;
/** A node that is this close to the leader's commit index votes without slowing the others. */
const CAUGHT_UP_ENTRIES = 1_000;
const CATCH_UP_LOOK_MS = 250;

async function withClient<T>(
  { endpoint }: ClusterOptions,
  work: (client: KvClient) => Promise<T>,
): Promise<T> {
  const client = openClient(endpoint);
  try {
    return await work(client);
  } finally {
    client.close();
  }
}

interface NodeRow {
  readonly endpoint: string;
  readonly status: KvNodeStatus | undefined;
}

async function statusOf(endpoint: string): Promise<NodeRow> {
  const client = openClient([endpoint], STATUS_MS);
  try {
    return { endpoint, status: await client.status() };
  } catch {
    return { endpoint, status: undefined };
  } finally {
    client.close();
  }
}

/** Exit code 1 when no leader is known to a majority of those asked. */
export async function statusCommand(options: ClusterOptions): Promise<number> {
  const rows = await Promise.all(options.endpoint.map(statusOf));
  const known = rows.flatMap(({ status }) => (status === undefined ? [] : [status]));
  const leads = known.find(({ role }) => role === "leader");
  if (options.json) printJson({ leader: leads?.id ?? null, nodes: rows });
  else {
    const roleOf = (id: number): string => leads?.members.find((member) => member.id === id)?.role ?? "-";
    print(
      table(
        ["node", "clients at", "state", "member", "term", "commit", "applied", "log", "revision", "keys"],
        rows.map(({ endpoint, status }) =>
          status === undefined
            ? ["-", endpoint, red("no answer"), "-", "-", "-", "-", "-", "-", "-"]
            : [
                status.id,
                endpoint,
                status.role === "leader" ? green(bold("leader")) : status.role,
                roleOf(status.id),
                status.term,
                status.commit,
                status.applied,
                `${status.first}-${status.last}`,
                status.revision,
                status.keys,
              ],
        ),
      ),
    );
    const unseen = (leads?.members ?? []).filter(({ id }) => !known.some((status) => status.id === id));
    for (const { id, role } of unseen) print(dim(`${role} ${id} was not asked or did not answer`));
    if (leads === undefined)
      print(red("No leader: see whether a majority of the nodes runs and reaches the others."));
  }
  return leads === undefined ? 1 : 0;
}

export async function addCommand(
  id: number,
  options: ClusterOptions & {
    readonly peer: string;
    readonly client: string;
    readonly role: NodeRole;
  },
): Promise<void> {
  const { role, peer, client: clientAddress } = options;
  await withClient(options, async (client) => {
    const line = progress(`Node ${id} joins`);
    await client.addNode(id, role === "voter" ? "learner" : role, { peer, client: clientAddress });
    if (role === "voter") {
      await caughtUp(clientAddress, client, (detail) => line.update(detail));
      await untilDone(() => client.addNode(id, "voter"));
    }
    line.done(role);
  });
}

/** A change waits for the one before. */
async function untilDone(change: () => Promise<void>): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      await change();
      return;
    } catch (error) {
      const isPending = error instanceof TardigradeError && error.code === "RAFT_CHANGE_PENDING";
      if (!isPending || tries === 40) throw error;
      await pause();
    }
  }
}

/** Ends when Ctrl-C does: a large state takes its time. */
async function caughtUp(endpoint: string, leader: KvClient, tell: (detail: string) => void): Promise<void> {
  for (;;) {
    const [{ status }, { commit }] = await Promise.all([statusOf(endpoint), leader.status()]);
    const applied = status?.applied ?? 0;
    if (status !== undefined && applied > 0 && commit - applied < CAUGHT_UP_ENTRIES) return;
    tell(status === undefined ? `waiting for it at ${endpoint}` : `${applied} of ${commit} entries`);
    await pause();
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => systemClock().alarm(CATCH_UP_LOOK_MS, resolve));
}

export async function removeCommand(id: number, options: ClusterOptions): Promise<void> {
  await withClient(options, (client) => client.removeNode(id));
  print(`Node ${id} is no member any more; stop it, and do not start it again with its data.`);
}

export async function transferCommand(id: number, options: ClusterOptions): Promise<void> {
  await withClient(options, (client) => client.transferLeadership(id));
  print(`Leadership goes to node ${id} as soon as it has the whole log.`);
}

export async function snapshotCommand(file: string, options: ClusterOptions): Promise<void> {
  await withClient(options, async (client) => {
    const line = progress(`Snapshot to ${file}`);
    const target = await open(file, "wx");
    let bytes = 0;
    try {
      const writes: Promise<unknown>[] = [];
      await client.snapshot((chunk) => {
        writes.push(target.write(chunk, 0, chunk.length, bytes));
        bytes += chunk.length;
        line.update(`${bytes} bytes`);
      });
      await Promise.all(writes);
      await target.sync();
    } catch (error) {
      // Half a snapshot is none.
      await rm(file, { force: true });
      throw error;
    } finally {
      await target.close();
    }
    line.done(`${bytes} bytes`);
  });
}

export async function getCommand(key: string, options: ClusterOptions): Promise<number> {
  const item = await withClient(options, (client) => client.get(key));
  const value = item === undefined ? undefined : new TextDecoder().decode(item.value);
  if (options.json) printJson(item === undefined ? null : { ...item, value });
  else if (value !== undefined) print(value);
  return item === undefined ? 1 : 0;
}

export async function putCommand(key: string, value: string, options: ClusterOptions): Promise<void> {
  const result = await withClient(options, (client) => client.put(key, new TextEncoder().encode(value)));
  if (options.json) printJson(result);
  else print(`revision ${result.revision}`);
}
