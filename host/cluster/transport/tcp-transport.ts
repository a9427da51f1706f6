/**
 * PeerTransport over streams of the Network seam: TCP for real, simulated in a world.
 *
 * Each pair of nodes has two connections, and the sender of a direction dials it (outgoing.ts, incoming.ts). With one connection for
 * both, a node whose packets do not arrive but that hears everything would look alive to itself; with two, each direction fails
 * and heals by itself, and Raft sees what is true.
 *
 * Nodes do not prove who they are yet, and nothing is encrypted: open() refuses to listen beyond loopback.
 */
import { TardigradeError } from "../../../protocols/error.ts";
import type { Backoff, BackoffOptions } from "../../core/policy/backoff.ts";
import type { Clock, Dispose, Logger, Meter, Network } from "../../io/seams.ts";
import { FRAME_HEADER_BYTES } from "./frame.ts";
import { IncomingLinks } from "./incoming.ts";
import { mustBeLoopback } from "./loopback.ts";
import { checkMessage, OutgoingLink, type OutgoingOptions } from "./outgoing.ts";
import type { PeerAddress, PeerTransport } from "./peer-transport.ts";

export const TRANSPORT_DEFAULTS = {
  frameBytesMax: 4 * 1024 * 1024,
  queueBytesMax: 8 * 1024 * 1024,
  queueMessagesMax: 16_384,
  helloMs: 5_000,
  stableMs: 10_000,
  refusedMs: 30_000,
} as const;

/** For `backoff`: a leader is elected within a second or so, a peer that is back should not miss the next. */
export const REDIAL: BackoffOptions = { baseMs: 50, capMs: 2_000, jitter: "equal" };

/** A stream breaks when 16 MiB wait in it. */
const QUEUE_BYTES_LIMIT = 12 * 1024 * 1024;
const U64_END = 2n ** 64n;

export interface TcpTransportOptions {
  readonly network: Network;
  readonly clock: Clock;
  /** Waits between two dials; REDIAL says which. */
  readonly backoff: Backoff;
  /** Below 2^64; nodes of another cluster are refused. */
  readonly clusterId: bigint;
  /** This node, from 1. */
  readonly id: number;
  /** Port 0 takes a free one. */
  readonly listen: PeerAddress;
  /** Longest message; 4 MiB by default. */
  readonly frameBytesMax?: number;
  /** What may wait for one peer, with 8 bytes a message more; 8 MiB by default, 12 MiB at most. */
  readonly queueBytesMax?: number;
  /** And in messages; 16,384 by default. */
  readonly queueMessagesMax?: number;
  /** For a hello and its answer; 5 s by default. */
  readonly helloMs?: number;
  /** A connection that lasted so long resets the back-off; 10 s by default. */
  readonly stableMs?: number;
  /** A node that refused us is dialled again after so long at the least; 30 s by default. */
  readonly refusedMs?: number;
  /** Counts tardigrade_peer_dropped_total by reason and tardigrade_peer_connections_ended_total by direction and code. */
  readonly meter?: Meter;
  readonly logger?: Logger;
}

export interface TcpTransport extends PeerTransport {
  /** Where this node listens. */
  readonly port: number;
}

/** Listens, then dials what setPeers() names. Rejects with PEER_LOOPBACK, ARGUMENT, PORT_IN_USE or CONNECTION_FAILED. */
export async function openTcpTransport(options: TcpTransportOptions): Promise<TcpTransport> {
  checkOptions(options);
  const transport = new StreamTransport(options);
  await transport.open();
  return transport;
}

class StreamTransport implements TcpTransport {
  readonly #options: TcpTransportOptions;
  readonly #outgoing: OutgoingOptions;
  readonly #incoming: IncomingLinks;
  readonly #links = new Map<number, OutgoingLink>();
  readonly #messageListeners = new Set<(from: number, message: Uint8Array) => void>();
  readonly #peerListeners = new Set<(peer: number, up: boolean) => void>();
  #server: { readonly port: number; close(): Promise<void> } | undefined;
  #closed = false;

  constructor(options: TcpTransportOptions) {
    this.#options = options;
    const all = { ...TRANSPORT_DEFAULTS, meter: undefined, logger: undefined, ...options };
    this.#outgoing = all;
    this.#incoming = new IncomingLinks({
      ...all,
      onMessage: (from, message) => {
        for (const listener of this.#messageListeners) listener(from, message);
      },
    });
  }

  async open(): Promise<void> {
    const { network, listen } = this.#options;
    this.#server = await network.listen(listen, (stream) => this.#incoming.accept(stream));
  }

  get port(): number {
    return this.#server?.port ?? 0;
  }

  send(to: number, message: Uint8Array): boolean {
    checkMessage(message, this.#outgoing.frameBytesMax);
    const link = this.#links.get(to);
    if (link !== undefined) return link.send(message);
    this.#options.meter?.count("tardigrade_peer_dropped_total", { reason: "unknown" });
    return false;
  }

  onMessage(listener: (from: number, message: Uint8Array) => void): Dispose {
    return added(this.#messageListeners, (from, message) => listener(from, message));
  }

  onPeer(listener: (peer: number, up: boolean) => void): Dispose {
    return added(this.#peerListeners, (peer, up) => listener(peer, up));
  }

  isUp(peer: number): boolean {
    return this.#links.get(peer)?.isUp ?? false;
  }

  setPeers(peers: ReadonlyMap<number, PeerAddress>): void {
    if (this.#closed) return;
    for (const [peer, link] of [...this.#links]) {
      const address = peers.get(peer);
      if (address?.host === link.address.host && address.port === link.address.port) continue;
      this.#links.delete(peer);
      const wasUp = link.isUp;
      link.close();
      if (wasUp) this.#tell(peer, false);
    }
    for (const [peer, address] of peers) {
      if (peer === this.#options.id || this.#links.has(peer)) continue;
      const link = new OutgoingLink(this.#outgoing, peer, address, (up) => this.#tell(peer, up));
      this.#links.set(peer, link);
      link.open();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const link of this.#links.values()) link.close();
    this.#links.clear();
    this.#incoming.close();
    await this.#server?.close();
  }

  #tell(peer: number, up: boolean): void {
    for (const listener of this.#peerListeners) listener(peer, up);
  }
}

/** The set gets a function of its own, so that one listener added twice is two. */
function added<T>(listeners: Set<T>, own: T): Dispose {
  listeners.add(own);
  return () => listeners.delete(own);
}

function checkOptions(options: TcpTransportOptions): void {
  const { listen, id, clusterId } = options;
  const { frameBytesMax, queueBytesMax } = { ...TRANSPORT_DEFAULTS, ...options };
  mustBeLoopback(listen.host);
  if (id !== id >>> 0 || id === 0) throw argument(`node id ${id} is not from 1 to 2^32 - 1`);
  if (clusterId < 0n || clusterId >= U64_END) throw argument("the cluster's id is not below 2^64");
  if (queueBytesMax > QUEUE_BYTES_LIMIT || frameBytesMax + FRAME_HEADER_BYTES > queueBytesMax)
    throw argument(`a queue takes a whole frame and at most ${QUEUE_BYTES_LIMIT} bytes`);
}

function argument(what: string): TardigradeError {
  return new TardigradeError("ARGUMENT", `The transport cannot open: ${what}.`, {
    context: { component: "transport", operation: "open" },
  });
}
