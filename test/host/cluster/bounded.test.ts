/**
 * A cluster in one process that takes commands without end: its log, its memory and its disks stay as they are, and a node that is added under load
 * catches up by a snapshot and the log. `npm run test:deep` runs ten million commands.
 */
import { setImmediate } from "node:timers/promises";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { encodeCommand } from "../../../host/cluster/kv/command.ts";
import type { KvNode } from "../../../host/cluster/kv-node.ts";
import { SimulatedCluster } from "../../support/cluster/simulated-cluster.ts";

/** A fifth of them fills what each node keeps of changes for watchers (16,384): from there on nothing may grow. */
const COMMANDS = process.env.TARDIGRADE_DEEP === "1" ? 10_000_000 : 120_000;
const KEYS = 500;
const VALUE_BYTES = 64;
const ENTRIES = 4096;
const PAYLOAD_BYTES = 1 << 20;
const UNDER_WAY = 512;
const SEGMENT_BYTES = 65_536;
/** What is held for a peer, and a segment that is half full on either side. */
const LOG_BYTES = ENTRIES * (VALUE_BYTES + 80) + 2 * SEGMENT_BYTES;
const HEAP_BYTES = 48 * 1024 * 1024;
const LOOKS = 5;

/** The least of a few looks: buffers are swept by another thread, which is late where the machine is busy. */
async function heapBytes(): Promise<number> {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  let least = Number.POSITIVE_INFINITY;
  for (let look = 0; look < LOOKS; look += 1) {
    collect();
    await setImmediate();
    const { heapUsed, arrayBuffers } = process.memoryUsage();
    least = Math.min(least, heapUsed + arrayBuffers);
  }
  return least;
}

test(`${COMMANDS} commands leave log, memory and disks bounded, and a node joins meanwhile`, {
  timeout: 3_600_000,
}, async () => {
  const cluster = new SimulatedCluster();
  for (const id of [1, 2, 3]) cluster.add(id, [1, 2, 3], ENTRIES, PAYLOAD_BYTES);
  for (const process of cluster.processes.values()) await process.start();
  await cluster.until(() => cluster.leader !== undefined);
  const commands = Array.from({ length: KEYS }, (_, key) =>
    encodeCommand({ op: "put", key: `k${key}`, value: new Uint8Array(VALUE_BYTES).fill(key) }),
  );
  let [proposed, applied, failed] = [0, 0, 0];
  const listener = {
    applied: () => {
      applied += 1;
    },
    failed: () => {
      failed += 1;
    },
  };
  const feed = (): void => {
    const leader = cluster.leader;
    while (leader !== undefined && proposed < COMMANDS && proposed - applied - failed < UNDER_WAY) {
      try {
        leader.propose(commands[proposed % KEYS] as Uint8Array, listener);
      } catch (error) {
        // So it says when a peer is behind: nothing was taken.
        if ((error as { code?: string }).code === "RAFT_LOG_FULL") return;
        throw error;
      }
      proposed += 1;
    }
  };
  const until = async (count: number): Promise<void> => {
    while (applied + failed < count) {
      feed();
      await cluster.clock.advance(2);
    }
  };
  const disks = () => Math.max(...[...cluster.processes.values()].map(({ disk }) => disk.usedBytes));
  const spans = () =>
    Math.max(
      ...[...cluster.processes.values()].flatMap(({ node }) =>
        node === undefined ? [] : [node.status.last - node.status.first + 1],
      ),
    );

  await until(COMMANDS * 0.2);
  const early = { heap: await heapBytes(), core: cluster.core.bytes().length };
  expect(spans()).toBeLessThanOrEqual(ENTRIES);
  expect(disks()).toBeLessThan(LOG_BYTES);

  await until(COMMANDS * 0.5);
  const fourth = cluster.add(4, [], ENTRIES, PAYLOAD_BYTES);
  (cluster.leader as KvNode).add(4, "learner");
  await fourth.start();
  await until(COMMANDS * 0.7);
  await cluster.until(() => {
    feed();
    const { commit } = (cluster.leader as KvNode).status;
    return cluster.node(4).machine.appliedIndex + ENTRIES / 4 > commit;
  });
  // By a snapshot: the first entry was gone; and by the log, which went on meanwhile.
  expect(cluster.node(4).status.first).toBeGreaterThan(1);
  (cluster.leader as KvNode).add(4, "voter");

  await until(COMMANDS);
  expect([applied, failed]).toEqual([COMMANDS, 0]);
  const { commit, members } = (cluster.leader as KvNode).status;
  expect(members).toContainEqual({ id: 4, role: "voter" });
  await cluster.until(() => [1, 2, 3, 4].every((id) => cluster.node(id).machine.appliedIndex >= commit));
  const states = [1, 2, 3, 4].map((id) => Buffer.concat([...cluster.node(id).machine.snapshot(1 << 20)]));
  for (const state of states) expect(state.equals(states[0] as Buffer)).toBe(true);
  expect(spans()).toBeLessThanOrEqual(ENTRIES);
  expect(disks()).toBeLessThan(LOG_BYTES);
  // Four nodes now, of as many bytes each as the three had.
  expect(cluster.core.bytes().length).toBeLessThanOrEqual(early.core * 1.5);
  const late = await heapBytes();
  expect(late - early.heap).toBeLessThan(HEAP_BYTES);
  expect(cluster.fatal).toEqual([]);
  for (const process of cluster.processes.values()) process.crash("kill");
});
