/**
 * What other nodes dial: connections on which they send. Each says hello first, and gets nothing through before it is welcomed. Bytes
 * that no node of ours sends end their connection with a code, and nothing else.
 */
import { ERRORS, type ErrorCode } from "../../../protocols/table.ts";
import type { ByteStream, Clock, Dispose, Logger, Meter } from "../../io/seams.ts";
import {
  decodeHello,
  encodeAnswer,
  FrameReader,
  GREETING_BYTES_MAX,
  PEER_PROTOCOL_VERSION,
} from "./frame.ts";

/** Connections taken at a time, greeted or not; more are refused. */
export const INCOMING_MAX = 64;

export interface IncomingOptions {
  readonly clusterId: bigint;
  readonly id: number;
  readonly clock: Clock;
  readonly frameBytesMax: number;
  /** A connection without a hello is ended after so long. */
  readonly helloMs: number;
  readonly meter: Meter | undefined;
  readonly logger: Logger | undefined;
  readonly onMessage: (from: number, message: Uint8Array) => void;
}

interface Link {
  readonly stream: ByteStream;
  readonly disposers: Dispose[];
  /** Who said hello; 0 before. */
  from: number;
}

export class IncomingLinks {
  readonly #options: IncomingOptions;
  readonly #links = new Set<Link>();

  constructor(options: IncomingOptions) {
    this.#options = options;
  }

  get count(): number {
    return this.#links.size;
  }

  accept(stream: ByteStream): void {
    const { clock, frameBytesMax, helloMs } = this.#options;
    const link: Link = { stream, disposers: [], from: 0 };
    this.#links.add(link);
    if (this.#links.size > INCOMING_MAX) {
      this.#refuse(link, "PEER_LIMIT");
      return;
    }
    const reader = new FrameReader({
      bodyBytesMax: GREETING_BYTES_MAX,
      onFrame: (body) => {
        if (link.from !== 0) {
          this.#options.onMessage(link.from, body);
          return;
        }
        const code = this.#greet(link, body);
        if (code !== undefined) {
          this.#refuse(link, code);
          return;
        }
        silence();
        reader.bodyBytesMax = frameBytesMax;
      },
    });
    const silence = clock.alarm(helloMs, () => this.#end(link, "TIMED_OUT"), { background: true });
    link.disposers.push(
      silence,
      stream.onData((bytes) => {
        const code = reader.push(bytes);
        // Before the hello it is not ours to say what the bytes should have been.
        if (code !== undefined) this.#end(link, link.from === 0 ? "PEER_HELLO" : code);
      }),
      stream.onClose(() => this.#end(link, "LINK_DOWN")),
      () => reader.stop(),
    );
  }

  close(): void {
    for (const link of [...this.#links]) this.#release(link);
  }

  #greet(link: Link, body: Uint8Array): ErrorCode | undefined {
    const { clusterId, id } = this.#options;
    const hello = decodeHello(body);
    if (hello === undefined) return "PEER_HELLO";
    if (hello.version !== PEER_PROTOCOL_VERSION) return "PEER_VERSION";
    if (hello.clusterId !== clusterId) return "CLUSTER_FOREIGN";
    if (hello.to !== id || hello.from === id || hello.from === 0) return "NODE_FOREIGN";
    // It would not dial twice: the older connection is dead, and nobody told us.
    for (const other of [...this.#links]) if (other.from === hello.from) this.#end(other, "LINK_DOWN");
    link.from = hello.from;
    link.stream.write(encodeAnswer({ code: 0, nodeId: id }));
    return undefined;
  }

  #refuse(link: Link, code: ErrorCode): void {
    link.stream.write(encodeAnswer({ code: ERRORS[code].number, nodeId: this.#options.id }));
    this.#end(link, code);
  }

  #end(link: Link, code: ErrorCode): void {
    if (!this.#links.has(link)) return;
    const { meter, logger } = this.#options;
    meter?.count("tardigrade_peer_connections_ended_total", { direction: "in", code });
    logger?.debug("a connection of a peer ended", { code, peer: link.from });
    this.#release(link);
  }

  #release(link: Link): void {
    this.#links.delete(link);
    for (const dispose of link.disposers) dispose();
    link.stream.close();
  }
}
