/**
 * `tardi cluster run`: one node of the replicated key-value store, on the real clock, disk and network, until it is told to stop or its log
 * says that it cannot be trusted any more.
 */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { crc32 } from "../../protocols/crc.ts";
import { TardigradeError } from "../../protocols/error.ts";
import { parseAddress } from "../cluster/address.ts";
import { KvNode, type NodeAddresses } from "../cluster/kv-node.ts";
import { openRaftLog } from "../cluster/raft-log/raft-log.ts";
import { openKvServer } from "../cluster/service/kv-server.ts";
import { openTcpTransport, REDIAL } from "../cluster/transport/tcp-transport.ts";
import { openCore } from "../core/core.ts";
import { readCoreBytes } from "../core/core-bytes.ts";
import { createBackoff } from "../core/policy/backoff.ts";
import { systemClock } from "../io/clock.ts";
import { nodeDisk } from "../io/disk.ts";
import { nodeNetwork } from "../io/network.ts";
import { systemRandom } from "../io/random.ts";
import type { Logger, Network } from "../io/seams.ts";
import { createLogger, type LoggerLevel } from "../observe/logger.ts";
import { openLmdbState } from "../store/lmdb-state.ts";
import { note, progress } from "./output.ts";

export interface ClusterNodeOptions {
  readonly id: number;
  /** Every node that this one knows, itself too. */
  readonly nodes: ReadonlyMap<number, NodeAddresses>;
  readonly data: string;
  /** Nodes of other clusters are refused. */
  readonly cluster: string;
  /** To be added to a cluster that runs, rather than to begin one. */
  readonly join: boolean;
  readonly electionMs: number;
  readonly heartbeatMs: number;
  /** Entries held in memory, a power of two. */
  readonly entries: number;
  readonly logger: Logger;
  /** The machine's own without. */
  readonly network?: Network;
}

export interface ClusterNode {
  readonly node: KvNode;
  /** The node cannot go on. */
  readonly failed: Promise<Error>;
  close(): Promise<void>;
}

const PAYLOAD_BYTES_AN_ENTRY = 256;

export async function openClusterNode(options: ClusterNodeOptions): Promise<ClusterNode> {
  const { id, nodes, data, electionMs, heartbeatMs, entries, logger } = options;
  const own = nodes.get(id);
  if (own === undefined)
    throw new TardigradeError(
      "ARGUMENT",
      `Node ${id} is not among the nodes; name it with --node ${id}=PEER/CLIENT.`,
    );
  const [clock, random, network] = [systemClock(), systemRandom(), options.network ?? nodeNetwork()];
  const core = openCore(readCoreBytes());
  const closers: (() => Promise<unknown>)[] = [];
  const close = async (): Promise<void> => {
    for (const closer of closers.splice(0).reverse()) await closer();
  };
  try {
    await mkdir(data, { recursive: true });
    const log = await openRaftLog({ disk: nodeDisk(data), folder: "raft", clock, random, logger });
    closers.push(() => log.close());
    const store = await openLmdbState({ path: join(data, "state") });
    closers.push(() => store.close());
    const transport = await openTcpTransport({
      ...{ network, clock, logger, id, clusterId: BigInt(crc32(new TextEncoder().encode(options.cluster))) },
      backoff: createBackoff({ core, random }, REDIAL),
      listen: parseAddress(own.peer),
    });
    closers.push(() => transport.close());
    const node = new KvNode({
      ...{ id, core, log, store, transport, clock, random, nodes, logger },
      members: options.join
        ? []
        : [...nodes.keys()].map((member) => ({ id: member, role: "voter" }) as const),
      raft: { electionMs, heartbeatMs, entries, payloadBytes: entries * PAYLOAD_BYTES_AN_ENTRY },
    });
    closers.push(() => node.stop());
    const server = await openKvServer({ network, clock, logger, node, listen: parseAddress(own.client) });
    closers.push(() => server.close());
    const failed = new Promise<Error>((resolve) => node.driver.onFatal(resolve));
    return { node, failed, close };
  } catch (error) {
    await close();
    throw error;
  }
}

export async function clusterRunCommand(
  options: Omit<ClusterNodeOptions, "logger"> & {
    readonly logLevel: LoggerLevel;
    readonly announce?: boolean;
  },
): Promise<number> {
  const { id, nodes, data, announce } = options;
  const line = announce ? undefined : progress(`Node ${id} of cluster ${options.cluster} (${data})`);
  const logger = createLogger({ level: options.logLevel, clock: systemClock(), base: { node: id } });
  const running = await openClusterNode({ ...options, logger });
  const own = nodes.get(id) as NodeAddresses;
  line?.done(`nodes at ${own.peer}, clients at ${own.client}`);
  if (announce) process.stdout.write(`${JSON.stringify({ type: "ready", id })}\n`);
  const how = await Promise.race([running.failed, signalled()]);
  if (how instanceof Error) {
    note(`Node ${id} ends: ${how.message}`);
    return 1;
  }
  await running.close();
  return 0;
}

function signalled(): Promise<"signal"> {
  return new Promise((resolve) => {
    process.once("SIGTERM", () => resolve("signal"));
    process.once("SIGINT", () => resolve("signal"));
  });
}
