/** Serves clients of a node over streams of the Network seam. Loopback only, until clients prove who they are. */
import type { ErrorCode } from "../../../protocols/table.ts";
import type { ByteStream, Clock, Dispose, Logger, Network } from "../../io/seams.ts";
import type { KvNode } from "../kv-node.ts";
import { FrameReader } from "../transport/frame.ts";
import { mustBeLoopback } from "../transport/loopback.ts";
import type { PeerAddress } from "../transport/peer-transport.ts";
import { SendQueue } from "../transport/send-queue.ts";
import { KvClientSession } from "./kv-service.ts";

/** A command with the longest key and two values, and its head. */
const REQUEST_BYTES_MAX = 262_144;
const CLIENTS_MAX = 256;
/** Responses that wait for a slow client; beyond it the connection ends. */
const QUEUE_BYTES_MAX = 12 * 1024 * 1024;
/** Watches stop adding at half of it. */
const CLEAR_BYTES = 1024 * 1024;

export interface KvServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Rejects with PEER_LOOPBACK, PORT_IN_USE. */
export async function openKvServer(options: {
  readonly network: Network;
  readonly clock: Clock;
  readonly listen: PeerAddress;
  readonly node: KvNode;
  readonly logger?: Logger;
}): Promise<KvServer> {
  const { network, listen, node, logger } = options;
  mustBeLoopback(listen.host);
  const clients = new Set<Client>();
  const server = await network.listen(listen, (stream) => {
    if (clients.size >= CLIENTS_MAX) {
      logger?.warn("a client was turned away: there are as many as this node serves", {
        clients: clients.size,
      });
      stream.close();
      return;
    }
    const client = new Client(node, stream, (code) => {
      clients.delete(client);
      if (code !== undefined) logger?.debug("a client's connection was ended", { code });
    });
    clients.add(client);
  });
  return {
    port: server.port,
    close: async () => {
      for (const client of [...clients]) client.end(undefined);
      await server.close();
    },
  };
}

class Client {
  readonly #stream: ByteStream;
  readonly #queue = new SendQueue({ bytesMax: QUEUE_BYTES_MAX, messagesMax: Number.POSITIVE_INFINITY });
  readonly #session: KvClientSession;
  readonly #disposers: Dispose[];
  readonly #onEnd: (code: ErrorCode | undefined) => void;
  #clear = true;
  #flushing = false;
  #ended = false;

  constructor(node: KvNode, stream: ByteStream, onEnd: (code: ErrorCode | undefined) => void) {
    this.#stream = stream;
    this.#onEnd = onEnd;
    this.#session = new KvClientSession(node, {
      send: (response) => this.#send(response),
      isClear: () => this.#clear && this.#queue.bytes < CLEAR_BYTES,
      end: (code) => this.end(code),
    });
    const reader = new FrameReader({
      bodyBytesMax: REQUEST_BYTES_MAX,
      onFrame: (request) => this.#session.handle(request),
    });
    this.#disposers = [
      stream.onData((bytes) => {
        const code = reader.push(bytes);
        if (code !== undefined) this.end(code);
      }),
      stream.onDrain(() => {
        this.#clear = true;
        this.#flush();
        this.#session.clear();
      }),
      stream.onClose(() => this.end(undefined)),
      () => reader.stop(),
    ];
  }

  end(code: ErrorCode | undefined): void {
    if (this.#ended) return;
    this.#flush();
    this.#ended = true;
    this.#session.close();
    for (const dispose of this.#disposers) dispose();
    this.#stream.close();
    this.#onEnd(code);
  }

  #send(response: Uint8Array): void {
    if (this.#ended) return;
    if (!this.#queue.put(response)) {
      this.end("QUEUE_FULL");
      return;
    }
    if (this.#flushing || !this.#clear) return;
    this.#flushing = true;
    // After the turn's other responses.
    queueMicrotask(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    if (this.#ended || !this.#clear || this.#queue.messages === 0) return;
    this.#clear = this.#stream.write(this.#queue.take());
  }
}
