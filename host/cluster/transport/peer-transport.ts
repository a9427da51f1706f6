/**
 * How the nodes of a cluster reach each other. Messages are bytes to it. It may lose a message at any time, which Raft tolerates, and
 * never delivers one twice, damaged, or before an earlier one of the same connection.
 */
import type { Dispose } from "../../io/seams.ts";

export interface PeerAddress {
  readonly host: string;
  readonly port: number;
}

export interface PeerTransport {
  /**
   * Copies and queues. False, and counted, when it was dropped: the peer is unknown or down, or its queue is full. Throws
   * FRAME_OVERSIZE for a message longer than a frame takes, ARGUMENT for an empty one.
   */
  send(to: number, message: Uint8Array): boolean;
  /** `message` is a view that is good during the call only. */
  onMessage(listener: (from: number, message: Uint8Array) => void): Dispose;
  /** Whether messages to the peer go out. The way back may be broken while this one works, and is told to the other side. */
  onPeer(listener: (peer: number, up: boolean) => void): Dispose;
  isUp(peer: number): boolean;
  /** All peers, by id; this node's own id is passed over. One whose address is another is connected anew. */
  setPeers(peers: ReadonlyMap<number, PeerAddress>): void;
  close(): Promise<void>;
}
