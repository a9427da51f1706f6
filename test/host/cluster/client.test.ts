/** The client, the service and the server over real TCP on loopback, three nodes on real disks. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openClusterNode } from "../../../host/cli/cluster-run.ts";
import { KvClient } from "../../../host/cluster/client/kv-client.ts";
import { streamChannels } from "../../../host/cluster/client/stream-channel.ts";
import type { KvEvent } from "../../../host/cluster/kv/events.ts";
import type { KvNode } from "../../../host/cluster/kv-node.ts";
import { createBackoff } from "../../../host/core/policy/backoff.ts";
import { systemClock } from "../../../host/io/clock.ts";
import { nodeNetwork } from "../../../host/io/network.ts";
import { systemRandom } from "../../../host/io/random.ts";
import { openTestCore } from "../../support/core.ts";
import { freePort, MAIN, run } from "../../support/processes.ts";

const core = openTestCore();
const clock = systemClock();
const random = systemRandom();
const network = nodeNetwork();
const nothing = () => undefined;
const silent = { debug: nothing, info: nothing, warn: nothing, error: nothing };
const freePorts = (count: number) => Promise.all(Array.from({ length: count }, () => freePort()));
const utf8 = new TextEncoder();
const text = (bytes: Uint8Array | undefined) =>
  bytes === undefined ? undefined : new TextDecoder().decode(bytes);
const closers: (() => Promise<unknown> | unknown)[] = [];
let endpoints: string[] = [];
let folder = "";
const nodes: KvNode[] = [];

const newClient = () => {
  const client = new KvClient({
    ...{ endpoints, open: streamChannels(network), clock },
    backoff: createBackoff({ core, random }, { baseMs: 20, capMs: 500 }),
  });
  closers.unshift(() => client.close());
  return client;
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tardi-cluster-"));
  closers.push(() => rm(folder, { recursive: true }));
  const ids = [1, 2, 3];
  const ports = await freePorts(6);
  const all = new Map(
    ids.map((id, at) => [id, { peer: `127.0.0.1:${ports[at]}`, client: `127.0.0.1:${ports[at + 3]}` }]),
  );
  endpoints = [...all.values()].map(({ client }) => client);
  for (const id of ids) {
    const { node, close } = await openClusterNode({
      ...{ id, nodes: all, data: join(folder, `${id}`), cluster: "test", join: false, entries: 4096 },
      ...{ electionMs: 400, heartbeatMs: 80, logger: silent },
    });
    nodes.push(node);
    closers.unshift(close);
  }
}, 30_000);

afterAll(async () => {
  for (const close of closers) await close();
});

describe("a client", () => {
  test("puts, reads, compares and deletes, whichever node it asks first", async () => {
    for (const endpoint of [...endpoints]) {
      endpoints = [endpoint, ...endpoints.filter((other) => other !== endpoint)];
      const client = newClient();
      expect(await client.put("a", utf8.encode("1"))).toMatchObject({ done: true });
      const item = await client.get("a");
      expect(text(item?.value)).toBe("1");
      expect(await client.compareAndSet("a", utf8.encode("0"), utf8.encode("2"))).toMatchObject({
        done: false,
        previousRevision: item?.modRevision,
      });
      expect(await client.compareAndSet("a", utf8.encode("1"), utf8.encode("2"))).toMatchObject({
        done: true,
      });
      expect(await client.delete("a")).toMatchObject({ done: true });
      expect(await client.get("a")).toBeUndefined();
      client.close();
    }
  });

  test("ranges, and deletes ranges", async () => {
    const client = newClient();
    for (const key of ["r/1", "r/2", "r/3"]) await client.put(key, utf8.encode(key));
    const { items, more } = await client.range({ from: "r/", to: "r0", limit: 2 });
    expect([items.map(({ key }) => key), more]).toEqual([["r/1", "r/2"], true]);
    expect(await client.deleteRange("r/", "r0")).toMatchObject({ count: 3, more: false });
    expect((await client.range({ from: "r/", to: "r0" })).items).toEqual([]);
  });

  test("watches", async () => {
    const client = newClient();
    const { revision } = await client.put("w/0", utf8.encode("before"));
    const seen: KvEvent[] = [];
    const watching = client.watch({
      keys: { from: "w/", to: "w0" },
      fromRevision: revision,
      onEvents: (events) => seen.push(...events),
    });
    watching.catch(() => undefined);
    await client.put("w/1", utf8.encode("x"));
    await client.delete("w/1");
    await expect.poll(() => seen.length).toBe(3);
    expect(seen.map(({ type, key }) => `${type} ${key}`)).toEqual(["put w/0", "put w/1", "delete w/1"]);
  });

  test("holds a lease, whose id is a fencing token", async () => {
    const client = newClient();
    const first = await client.grantLease(60_000);
    await client.put("lock", utf8.encode("me"), { lease: first });
    await client.keepAlive(first);
    await client.revokeLease(first);
    expect(await client.get("lock")).toBeUndefined();
    expect(await client.grantLease(60_000)).toBeGreaterThan(first);
    await expect(client.keepAlive(first)).rejects.toMatchObject({
      code: "KV_REFUSED",
      context: { reason: "LEASE_NOT_FOUND" },
    });
  });

  test("may not write the cluster's own keys", async () => {
    const client = newClient();
    await expect(client.put("$peers/9", utf8.encode("x"))).rejects.toMatchObject({ code: "KV_RESERVED" });
    await expect(client.deleteRange("", "")).rejects.toMatchObject({ code: "KV_RESERVED" });
    expect(await client.deleteRange("z", "")).toMatchObject({ count: 0 });
  });

  test("hundreds at once are each answered", async () => {
    const client = newClient();
    const results = await Promise.all(
      Array.from({ length: 1500 }, (_, at) => client.put(`m/${at}`, utf8.encode("v"))),
    );
    expect(new Set(results.map(({ revision }) => revision)).size).toBe(1500);
  });

  test("goes on when leadership is handed over", async () => {
    const client = newClient();
    const from = nodes.find((node) => node.isLeader) as KvNode;
    const to = from.id === 1 ? 2 : 1;
    const writes = Promise.all(
      Array.from({ length: 200 }, (_, at) => client.put(`t/${at}`, utf8.encode("v"))),
    );
    await client.transferLeadership(to);
    const results = await writes;
    expect(new Set(results.map(({ revision }) => revision)).size).toBe(200);
    expect((await client.range({ from: "t/", to: "t0" })).items).toHaveLength(200);
  });
});

describe("the command line", () => {
  /** Nobody listens at the first address, as where a node is down. */
  const tardi = async (...args: string[]) => {
    const gone = `127.0.0.1:${await freePort()}`;
    const reach = [gone, ...endpoints].flatMap((endpoint) => ["--endpoint", endpoint]);
    return run(process.execPath, [MAIN, "cluster", ...args, ...reach], { cwd: folder });
  };

  test("waits for a node that answers, and says what it found by its exit code", async () => {
    expect(await tardi("put", "cli", "hello")).toMatchObject({ code: 0 });
    expect(await tardi("get", "cli")).toMatchObject({ code: 0, stdout: "hello\n" });
    expect(await tardi("get", "nothing")).toMatchObject({ code: 1, stdout: "" });
    const refused = await tardi("put", "$peers/1", "x");
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("choose another key")]);
  }, 30_000);

  test("writes a snapshot whole, and none over another file", async () => {
    expect(await tardi("snapshot", "backup")).toMatchObject({ code: 0 });
    const bytes = await readFile(join(folder, "backup"));
    expect(bytes.subarray(0, 4).toString()).toBe("TKVS");
    expect(await tardi("snapshot", "backup")).toMatchObject({ code: 1 });
    expect(await readFile(join(folder, "backup"))).toEqual(bytes);
  }, 30_000);
});
