/** Transports of several nodes on a simulated network, for their tests. */
import {
  openTcpTransport,
  REDIAL,
  type TcpTransport,
  type TcpTransportOptions,
} from "../../../host/cluster/transport/tcp-transport.ts";
import { createBackoff } from "../../../host/core/policy/backoff.ts";
import { SimulatedClock } from "../../../host/world/clock.ts";
import { SimulatedNetwork, type SimulatedNetworkOptions } from "../../../host/world/network.ts";
import { seededRandom } from "../../../host/world/random.ts";
import { openTestCore } from "../../support/core.ts";

export const CLUSTER = 0xfedc_ba98_7654_3210n;

const core = openTestCore();

export interface Node {
  readonly id: number;
  readonly transport: TcpTransport;
  /** "from:text" of what arrived. */
  readonly got: string[];
  /** "peer up" and "peer down". */
  readonly peers: string[];
  /** "reason" or "direction code" of what was counted, and how often. */
  readonly counts: Record<string, number>;
  readonly logged: string[];
}

export const hostOf = (id: number): string => `node-${id}`;
export const portOf = (id: number): number => 7000 + id;

export class TransportWorld {
  readonly clock = new SimulatedClock();
  readonly network: SimulatedNetwork;

  constructor(options: Partial<SimulatedNetworkOptions> = {}) {
    this.network = new SimulatedNetwork({
      ...{ clock: this.clock, random: seededRandom(5), latencyMs: 1 },
      ...options,
    });
  }

  addresses(...ids: number[]) {
    return new Map(ids.map((id) => [id, { host: hostOf(id), port: portOf(id) }]));
  }

  async start(id: number, options: Partial<TcpTransportOptions> = {}): Promise<Node> {
    const counts: Record<string, number> = {};
    const [got, peers, logged]: [string[], string[], string[]] = [[], [], []];
    const log = (message: string): unknown => logged.push(message);
    const transport = await openTcpTransport({
      network: this.network.host(hostOf(id)),
      clock: this.clock,
      backoff: createBackoff({ core, random: seededRandom(id) }, REDIAL),
      ...{ clusterId: CLUSTER, id, listen: { host: "127.0.0.1", port: portOf(id) } },
      meter: {
        count: (_, labels = {}, by = 1) => {
          const key = Object.values(labels).join(" ");
          counts[key] = (counts[key] ?? 0) + by;
        },
        gauge: () => undefined,
        duration: () => undefined,
      },
      logger: { debug: () => undefined, info: () => undefined, warn: log, error: log },
      ...options,
    });
    transport.onMessage((from, message) => got.push(`${from}:${textOf(message)}`));
    transport.onPeer((peer, up) => peers.push(`${peer} ${up ? "up" : "down"}`));
    return { id, transport, got, peers, counts, logged };
  }

  /** Nodes that know each other, connected. */
  async cluster(count: number, options: Partial<TcpTransportOptions> = {}): Promise<Node[]> {
    const ids = Array.from({ length: count }, (_, at) => at + 1);
    const nodes: Node[] = [];
    for (const id of ids) nodes.push(await this.start(id, options));
    for (const { transport } of nodes) transport.setPeers(this.addresses(...ids));
    await this.clock.advance(20);
    return nodes;
  }
}

export const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
export const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
