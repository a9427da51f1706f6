/**
 * How long nobody can write when the leader's process is killed (`kill -9`): from the signal to the next acknowledged put, of one client that
 * goes on asking. Ours as a site of a few boards would set it, and at etcd's settings beside three etcd at their own; kills take turns.
 */
import { crc32 } from "node:zlib";
import { openClient } from "../host/cluster/client/open-client.ts";
import { systemClock } from "../host/io/clock.ts";
import { startCluster } from "./cluster-process.ts";
import { type Cluster, etcdBinary, etcdVersion, startEtcd } from "./etcd.ts";
import { EtcdClient } from "./etcd-client.ts";
import { median, type SuiteOptions, scaled } from "./measure.ts";
import { type BenchRow, benchRow } from "./rows.ts";

export interface FailoverSuiteOptions extends SuiteOptions {
  /** The tests leave out the peer that is no npm package. */
  readonly etcd?: boolean;
}

const KILLS = 20;
const GOAL_MS = 500;
const QUICK = { electionMs: 300, heartbeatMs: 50 };
/** etcd's defaults, and ours. */
const USUAL = { electionMs: 1000, heartbeatMs: 100 };
const BEFORE_MS = 500;
const LIMIT_MS = 30_000;
/** What the leader still said is read by then; no election is as short. */
const LAST_WORDS_MS = 10;
/** A member of etcd without a leader lets a put wait for seconds: another is asked. */
const ETCD_PATIENCE_MS = 100;
const VALUE = new Uint8Array(64).fill(7);

interface Writer {
  put(): Promise<void>;
  close(): void;
}

const clock = systemClock();
const pause = (ms: number): Promise<void> => new Promise((resolve) => clock.alarm(ms, resolve));

export async function failoverSuite(options: FailoverSuiteOptions): Promise<BenchRow[]> {
  const { scale, folder, say } = options;
  const binary = options.etcd === false ? undefined : etcdBinary();
  const kills = scaled(KILLS, scale, 2);
  const clusters = new Map<
    string,
    { readonly cluster: Cluster; readonly writer: (ports: readonly number[]) => Writer }
  >();
  const gaps = new Map<string, number[]>();
  try {
    clusters.set("quick", {
      cluster: await startCluster({ folder: `${folder}/quick`, ...QUICK }),
      writer: ourWriter,
    });
    clusters.set("usual", {
      cluster: await startCluster({ folder: `${folder}/usual`, ...USUAL }),
      writer: ourWriter,
    });
    if (binary !== undefined)
      clusters.set("etcd", { cluster: await startEtcd(folder, binary), writer: etcdWriter });
    for (let kill = 1; kill <= kills; kill += 1) {
      for (const [name, { cluster, writer }] of clusters) {
        const ms = await gapOf(cluster, writer(cluster.ports));
        gaps.set(name, [...(gaps.get(name) ?? []), ms]);
        say(`kill ${kill}/${kills} of ${name}: ${Math.round(ms)} ms`);
      }
    }
  } finally {
    for (const { cluster } of clusters.values())
      await Promise.all(cluster.children.map((child) => child.stop().catch(() => undefined)));
  }
  return rowsOf(gaps, kills, binary === undefined ? undefined : etcdVersion(binary));
}

/** Milliseconds without an acknowledged put; the node is started again before it returns. */
async function gapOf(cluster: Cluster, writer: Writer): Promise<number> {
  const leader = cluster.ports.indexOf(await cluster.leader());
  let [acknowledgedMs, over] = [0, false];
  const writing = (async () => {
    while (!over) {
      await writer.put().then(
        () => {
          acknowledgedMs = clock.monotonicMs();
        },
        () => pause(1),
      );
    }
  })();
  await pause(BEFORE_MS);
  const killedMs = clock.monotonicMs();
  await cluster.kill(leader);
  while (acknowledgedMs < killedMs + LAST_WORDS_MS) {
    if (clock.monotonicMs() > killedMs + LIMIT_MS) throw new Error("No put was acknowledged after the kill.");
    await pause(1);
  }
  const gapMs = acknowledgedMs - killedMs;
  over = true;
  await writing;
  writer.close();
  await cluster.start(leader);
  return gapMs;
}

function ourWriter(ports: readonly number[]): Writer {
  const client = openClient(ports.map((port) => `127.0.0.1:${port}`));
  return {
    put: async () => {
      await client.put("failover", VALUE);
    },
    close: () => client.close(),
  };
}

function etcdWriter(ports: readonly number[]): Writer {
  let at = 0;
  let client: EtcdClient | undefined;
  const forget = (): void => {
    client?.close();
    client = undefined;
    at += 1;
  };
  return {
    put: async () => {
      try {
        client ??= await EtcdClient.open(ports[at % ports.length] as number);
        const late = pause(ETCD_PATIENCE_MS).then(() => {
          throw new Error("late");
        });
        await Promise.race([client.put("failover", VALUE), late]);
      } catch (error) {
        forget();
        throw error;
      }
    },
    close: forget,
  };
}

function rowsOf(
  gaps: ReadonlyMap<string, readonly number[]>,
  kills: number,
  version: string | undefined,
): BenchRow[] {
  const checksum = crc32(String(kills)).toString(16);
  const told = (name: string): string => {
    const sorted = [...(gaps.get(name) ?? [])].sort((a, b) => a - b);
    return `${Math.round(sorted[0] ?? 0)} to ${Math.round(sorted.at(-1) ?? 0)} ms in ${kills} kills`;
  };
  const row = { unit: "ms", better: "less", checksum } as const;
  const usual = median(gaps.get("usual") ?? []);
  const rows = [
    benchRow({
      ...row,
      claim: `leader killed, election ${QUICK.electionMs} ms, heartbeat ${QUICK.heartbeatMs} ms: to the next acknowledged put`,
      ours: median(gaps.get("quick") ?? []),
      peer: { name: "bound", version: "", value: GOAL_MS },
      goal: 1,
      note: told("quick"),
    }),
  ];
  if (version !== undefined)
    rows.push(
      benchRow({
        ...row,
        claim: `leader killed, election ${USUAL.electionMs} ms, heartbeat ${USUAL.heartbeatMs} ms: to the next acknowledged put`,
        ours: usual,
        peer: { name: "etcd", version, value: median(gaps.get("etcd") ?? []) },
        note: `ours ${told("usual")}, etcd ${told("etcd")}`,
      }),
    );
  return rows;
}
