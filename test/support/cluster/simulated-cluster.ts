/** Nodes of the store as the simulated world runs them, in calm weather, for a test that drives them itself. */
import type { KvNode } from "../../../host/cluster/kv-node.ts";
import { SimulatedClock } from "../../../host/world/clock.ts";
import { SimulatedNode } from "../../../host/world/cluster/simulated-node.ts";
import { PeerNetwork } from "../../../host/world/peer-network.ts";
import { seededRandom } from "../../../host/world/random.ts";
import { openTestCore } from "../core.ts";

const core = openTestCore();

export class SimulatedCluster {
  readonly core = core;
  readonly clock = new SimulatedClock();
  readonly random = seededRandom(7);
  readonly network = new PeerNetwork({ clock: this.clock, random: this.random });
  readonly processes = new Map<number, SimulatedNode>();
  readonly fatal: Error[] = [];

  add(id: number, first: readonly number[], entries = 1024, payloadBytes = 1 << 16): SimulatedNode {
    const process = new SimulatedNode({
      ...{
        id,
        core,
        clock: this.clock,
        random: this.random.fork(`node ${id}`),
        network: this.network,
      },
      members: first.map((member) => ({ id: member, role: "voter" }) as const),
      raft: {
        entries,
        payloadBytes,
        messageBytes: 1 << 14,
        outboxBytes: 1 << 17,
        electionMs: 300,
        heartbeatMs: 60,
      },
      ...{ limits: {}, tickMs: 20, segmentBytes: 65_536, drift: 0, driftMax: 0 },
      onFatal: (_, error) => this.fatal.push(error),
    });
    this.processes.set(id, process);
    return process;
  }

  async start(...ids: number[]): Promise<void> {
    for (const id of ids) this.add(id, ids);
    for (const process of this.processes.values()) await process.start();
    await this.until(() => this.leader !== undefined);
  }

  get leader(): KvNode | undefined {
    return [...this.processes.values()].find(({ node }) => node?.isLeader)?.node;
  }
  node(id: number): KvNode {
    return this.processes.get(id)?.node as KvNode;
  }
  until(condition: () => boolean): Promise<void> {
    return this.clock.runUntil(condition, { limitMs: 60_000 });
  }
  /** Runs the world until the promise is settled. */
  async during<T>(promise: Promise<T>): Promise<T> {
    let settled = false;
    promise.then(
      () => {
        settled = true;
      },
      () => {
        settled = true;
      },
    );
    await this.until(() => settled);
    return promise;
  }
}
