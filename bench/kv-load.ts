/**
 * The client's process of the suite raft. It reads jobs as JSON lines and answers each with a "result". A job puts `count` keys, each once,
 * with so many puts under way at a time; the same loop on either store's client. One with a count of 0 reads the keys back and sums them.
 */
import { createInterface } from "node:readline";
import { crc32 } from "node:zlib";
import { openClient } from "../host/cluster/client/open-client.ts";
import { systemClock } from "../host/io/clock.ts";
import { EtcdClient } from "./etcd-client.ts";

export interface KvJob {
  readonly store: "ours" | "etcd";
  /** The leader's. */
  readonly port: number;
  readonly count: number;
  readonly concurrency: number;
  readonly round: number;
}

export interface KvResult {
  readonly type: "result";
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Share of a core that this process took. */
  readonly clientCpu: number;
}

export interface KvSum {
  readonly type: "sum";
  /** Of all keys and values that the store holds. */
  readonly checksum: number;
}

interface Store {
  put(key: string, value: Uint8Array): Promise<unknown>;
  page(from: string, to: string): Promise<readonly { readonly key: string; readonly value: Uint8Array }[]>;
}

const VALUE_BYTES = 64;
const PAGE = 500;
const KEYS = "bench/";
const KEYS_END = "bench0";
const clock = systemClock();
const stores = new Map<string, Store>();

async function storeOf({ store, port }: KvJob): Promise<Store> {
  const name = `${store} ${port}`;
  const known = stores.get(name);
  if (known !== undefined) return known;
  const opened = store === "ours" ? ours(port) : await etcd(port);
  stores.set(name, opened);
  return opened;
}

function ours(port: number): Store {
  const client = openClient([`127.0.0.1:${port}`]);
  return {
    put: (key, value) => client.put(key, value),
    page: async (from, to) => (await client.range({ from, to, limit: PAGE })).items,
  };
}

async function etcd(port: number): Promise<Store> {
  const client = await EtcdClient.open(port);
  return { put: (key, value) => client.put(key, value), page: (from, to) => client.range(from, to, PAGE) };
}

async function run(job: KvJob): Promise<KvResult | KvSum> {
  const { count, concurrency, round } = job;
  const store = await storeOf(job);
  if (count === 0) return { type: "sum", checksum: await checksumOf(store) };
  const latencies = new Float64Array(count);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const at = next;
      next += 1;
      const value = new Uint8Array(VALUE_BYTES).fill(at + round);
      const beganMs = clock.monotonicMs();
      await store.put(`${KEYS}${at}`, value);
      latencies[at] = clock.monotonicMs() - beganMs;
    }
  };
  const startedMs = clock.monotonicMs();
  const cpu = process.cpuUsage();
  await Promise.all(Array.from({ length: concurrency }, worker));
  const elapsedMs = clock.monotonicMs() - startedMs;
  const { user, system } = process.cpuUsage(cpu);
  latencies.sort();
  return {
    type: "result",
    perSecond: (count / elapsedMs) * 1000,
    p50Ms: latencies[count >> 1] ?? 0,
    p99Ms: latencies[Math.floor(count * 0.99)] ?? 0,
    clientCpu: (user + system) / 1000 / elapsedMs,
  };
}

async function checksumOf(store: Store): Promise<number> {
  let sum = 0;
  let from = KEYS;
  for (;;) {
    const items = await store.page(from, KEYS_END);
    for (const { key, value } of items) sum = (sum + crc32(value, crc32(key))) >>> 0;
    if (items.length < PAGE) return sum;
    from = `${items.at(-1)?.key}\0`;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const job = JSON.parse(line) as KvJob;
  const answer = await run(job).catch((error: Error) => ({
    type: "failed",
    message: `${error.message} (${job.store}, round ${job.round})`,
  }));
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
process.exit(0);
