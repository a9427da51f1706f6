/**
 * Run in a network namespace of its own (`unshare --net`): three nodes in namespaces behind it, whose packets to each other it forwards, or drops
 * by the kernel's packet filter. Clients are here, and reach every node all the time: a leader that is cut off still has whom to lie to.
 *
 * ```
 *   clients, packet filter ──┬── 10.77.1.2 node 1
 *      (this namespace)      ├── 10.77.2.2 node 2
 *                            └── 10.77.3.2 node 3
 * ```
 * Namespaces and all that is in them end with the processes. Says one line of JSON a cut, and one with the verdict.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { streamChannels } from "../../../host/cluster/client/stream-channel.ts";
import { namespacedNetwork, namespaceOf } from "./namespaced-network.ts";
import { leaderAmong } from "./node-processes.ts";
import { StoreLoad } from "./store-load.ts";

const IDS = [1, 2, 3];
const LIMIT_MS = 20_000;
const CUTS = {
  "both ways": (address: string) => [`ip saddr ${address}`, `ip daddr ${address}`],
  "what it sends": (address: string) => [`ip saddr ${address}`],
  "what it hears": (address: string) => [`ip daddr ${address}`],
};

function must(command: string, ...args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw error ?? new Error(`${command} ${args.join(" ")}: ${stderr}`);
}

async function startNode(id: number, folder: string): Promise<ChildProcess> {
  const program = join(import.meta.dirname, "namespaced-node.ts");
  const child = spawn("unshare", ["--net", process.execPath, program, String(id), folder], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  await new Promise((resolve, reject) => child.once("spawn", resolve).once("error", reject));
  const pid = String(child.pid);
  const inside = (...command: readonly string[]) => must("nsenter", "--target", pid, "--net", ...command);
  must("ip", "link", "add", `hub${id}`, "type", "veth", "peer", "name", `node${id}`);
  await isApart(pid);
  must("ip", "link", "set", `node${id}`, "netns", pid);
  must("ip", "addr", "add", `10.77.${id}.1/24`, "dev", `hub${id}`);
  must("ip", "link", "set", `hub${id}`, "up");
  inside("ip", "addr", "add", `${namespaceOf(id)}/24`, "dev", `node${id}`);
  inside("ip", "link", "set", `node${id}`, "up");
  inside("ip", "route", "add", "default", "via", `10.77.${id}.1`);
  child.stdin?.write("go\n");
  await new Promise<void>((resolve, reject) => {
    child.stdout?.once("data", () => resolve());
    child.once("exit", (code) => reject(new Error(`node ${id} ended with ${code}`)));
  });
  return child;
}

/** Until unshare has done its work the process is still in ours. */
async function isApart(pid: string): Promise<void> {
  const namespace = (of: string) =>
    spawnSync("readlink", [`/proc/${of}/ns/net`], { encoding: "utf8" }).stdout;
  const ours = namespace("self");
  for (let tries = 0; namespace(pid) === ours; tries += 1) {
    if (tries === 500) throw new Error("unshare did not give the node a namespace of its own");
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const folder = await mkdtemp(join(tmpdir(), "tardi-namespaces-"));
const children: ChildProcess[] = [];
const load = new StoreLoad({
  endpoints: IDS.map((id) => `127.0.0.${id}:7001`),
  open: streamChannels(namespacedNetwork()),
  ...{ clients: 16, thinkMs: 5, seed: 11 },
});
const statusesBy = (id: number) => load.newClient(1_000, [`127.0.0.${id}:7001`]);
const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);

async function sought<T>(what: string, look: () => Promise<T | undefined>): Promise<T> {
  const began = performance.now();
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (performance.now() - began > LIMIT_MS) throw new Error(`It did not come to this: ${what}.`);
    await load.pause(20);
  }
}

async function statusOf(id: number) {
  const client = statusesBy(id);
  const status = await client.status().catch(() => undefined);
  client.close();
  return status;
}

async function cutOff(cut: keyof typeof CUTS): Promise<void> {
  const old = await sought("somebody leads", () => leaderAmong(IDS, statusesBy));
  const others = IDS.filter((id) => id !== old.id);
  for (const packets of CUTS[cut](namespaceOf(old.id)))
    must("nft", "add", "rule", "ip", "cut", "way", ...packets.split(" "), "counter", "drop");
  const next = await sought("another leads in a later term", async () => {
    const leader = await leaderAmong(others, statusesBy);
    return leader !== undefined && leader.term > old.term ? leader : undefined;
  });
  await sought("who is cut off knows that it does not lead", async () => {
    const status = await statusOf(old.id);
    return status !== undefined && status.role !== "leader" ? status : undefined;
  });
  const before = load.acknowledged;
  await load.moreAcknowledged(200, LIMIT_MS);
  const acknowledged = load.acknowledged - before;
  must("nft", "flush", "chain", "ip", "cut", "way");
  await sought("all three are of one mind again", async () => {
    const statuses = await Promise.all(IDS.map(statusOf));
    const leaders = statuses.filter((status) => status?.role === "leader");
    const terms = new Set(statuses.map((status) => status?.term));
    // What was committed during the cut has reached all of them.
    const isThere = statuses.every((status) => status !== undefined && status.applied >= next.commit);
    return leaders.length === 1 && terms.size === 1 && isThere ? true : undefined;
  });
  await load.moreAcknowledged(100, LIMIT_MS);
  say({ cut, old: old.id, next: next.id, acknowledged });
}

let code = 1;
try {
  must("ip", "link", "set", "lo", "up");
  writeFileSync("/proc/sys/net/ipv4/ip_forward", "1");
  must("nft", "add", "table", "ip", "cut");
  must("nft", "add chain ip cut way { type filter hook forward priority 0; }");
  for (const id of IDS) children.push(await startNode(id, folder));
  load.start();
  await load.moreAcknowledged(100, LIMIT_MS);
  for (const cut of Object.keys(CUTS) as (keyof typeof CUTS)[]) await cutOff(cut);
  const violation = await load.judge();
  say({ violation: violation ?? null, acknowledged: load.acknowledged, answered: load.answered });
  code = 0;
} finally {
  load.close();
  for (const child of children) child.kill("SIGKILL");
  await rm(folder, { recursive: true, force: true });
}
process.exit(code);
