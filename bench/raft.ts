/**
 * What a replicated write costs: puts of 64 bytes into three nodes on loopback, each with its log on the disk and synced before it answers,
 * beside three etcd on the same disk with a client of the same kind (etcd-client.ts): one process, one connection to the leader, so many
 * puts under way. Sides take turns at each concurrency; a raw fdatasync beside them says what the disk does. And the core's Raft alone, in one
 * process without disk or network (raft-memory.ts), beside a JavaScript one (coaty.ts).
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Child, ROOT } from "./child.ts";
import { startCluster } from "./cluster-process.ts";
import { type CoatyResult, coatyRound, installCoaty } from "./coaty.ts";
import { type Cluster, etcdBinary, etcdVersion, startEtcd } from "./etcd.ts";
import type { KvJob, KvResult, KvSum } from "./kv-load.ts";
import { interleave, type SuiteOptions, scaled, short } from "./measure.ts";
import { type MemoryResult, memoryRound } from "./raft-memory.ts";
import { raftRows } from "./raft-rows.ts";
import { rawSyncRate } from "./raw-sync.ts";
import type { BenchRow } from "./rows.ts";

export interface RaftSuiteOptions extends SuiteOptions {
  /** The tests leave out the peer that is no npm package. */
  readonly etcd?: boolean;
  /** For our nodes and the client, such as --cpu-prof. */
  readonly nodeArgs?: readonly string[];
}

/** Puts a round at each concurrency. */
const COUNTS = { 1: 1000, 64: 20_000, 256: 40_000 } as const;
const RAW_SYNCS = 300;
const MEMORY_COMMANDS = 400_000;
const COATY_COMMANDS = 100_000;

export interface RaftRound extends KvResult {
  /** Processor microseconds of all three nodes, a put. */
  readonly cpuUs: number;
  /** Of what the store then holds. */
  readonly checksum: number;
}

export async function raftSuite(options: RaftSuiteOptions): Promise<BenchRow[]> {
  const { rounds, scale, folder, say, nodeArgs = [] } = options;
  const binary = options.etcd === false ? undefined : etcdBinary();
  const children: Child[] = [];
  try {
    mkdirSync(folder, { recursive: true });
    const clusters: Partial<Record<KvJob["store"], Cluster>> = {};
    clusters.ours = await startCluster({ folder, nodeArgs });
    children.push(...clusters.ours.children);
    if (binary !== undefined) {
      clusters.etcd = await startEtcd(folder, binary);
      children.push(...clusters.etcd.children);
    }
    // One each, so that neither side's code is compiled for the other's.
    const clients = Object.keys(clusters).map((store) => {
      const client = Child.node(`client of ${store}`, [...nodeArgs, join(ROOT, "bench/kv-load.ts")]);
      children.push(client);
      return [store as KvJob["store"], client] as const;
    });
    const measured = new Map<string, RaftRound[]>();
    const syncRates: number[] = [];
    for (const [concurrency, usual] of Object.entries(COUNTS)) {
      const job = { count: scaled(usual, scale, 10), concurrency: Number(concurrency) };
      const sides = clients.map(([store, client]) => {
        const cluster = clusters[store] as Cluster;
        const side = async (round: number): Promise<RaftRound> => {
          const result = await roundOf(cluster, client, { ...job, store, round });
          say(
            `round ${round}/${rounds} ${store} at ${concurrency}: ${short(result.perSecond)}/s, p50 ${result.p50Ms.toPrecision(3)} ms, client ${Math.round(result.clientCpu * 100)} % of a core, nodes ${result.cpuUs.toPrecision(3)} us a put`,
          );
          return result;
        };
        return [`${store} ${concurrency}`, side] as const;
      });
      const results = await interleave<RaftRound | undefined>(rounds, {
        ...Object.fromEntries(sides),
        disk: (round) => {
          const rate = rawSyncRate(folder, scaled(RAW_SYNCS, scale, 5));
          if (round > 0) syncRates.push(rate);
          return undefined;
        },
      });
      for (const [name] of sides)
        measured.set(name, results.get(name)?.filter((one) => one !== undefined) ?? []);
    }
    const home = binary === undefined ? undefined : installCoaty(join(ROOT, "build"));
    const memory: MemoryResult[] = [];
    const coaty: CoatyResult[] = [];
    for (let round = 0; round <= rounds; round += 1) {
      memory.push(memoryRound(scaled(MEMORY_COMMANDS, scale)));
      if (home !== undefined) coaty.push(coatyRound(home, scaled(COATY_COMMANDS, scale)));
    }
    return raftRows({
      measured,
      syncRates,
      // The first warms up.
      ...{ memory: memory.slice(1), coaty: coaty.slice(1) },
      etcd: binary === undefined ? undefined : etcdVersion(binary),
    });
  } catch (error) {
    const obituaries = children.map((child) => child.obituary).filter((text) => text !== undefined);
    throw new Error([...obituaries, (error as Error).message].join("\n"), { cause: error });
  } finally {
    await Promise.all(children.map((child) => child.stop().catch(() => undefined)));
  }
}

async function roundOf(cluster: Cluster, client: Child, job: Omit<KvJob, "port">): Promise<RaftRound> {
  const port = await cluster.leader();
  const cpu = () => cluster.children.reduce((sum, child) => sum + child.usage().cpuS, 0);
  const before = cpu();
  client.send({ ...job, port });
  const result = (await client.next("result")) as unknown as KvResult;
  const cpuUs = ((cpu() - before) * 1e6) / job.count;
  client.send({ ...job, port, count: 0 });
  const { checksum } = (await client.next("sum")) as unknown as KvSum;
  return { ...result, cpuUs, checksum };
}
