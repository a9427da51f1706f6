/**
 * The forwarder's link: mqtt.js with a packet store of ours, so that QoS 2 flows outlive the process.
 *
 * What mqtt.js 5.16 does, and what is done about it here (read in its client.js and handlers/):
 * - A QoS 2 publish goes to `outgoingStore.put` and is written when put calls back: our put calls back after a sync.
 * - PUBREC makes it put a pubrel under the same id, written when that put calls back; PUBCOMP makes it `del` the id.
 * - At each connect it reads `createStream()` and sends what is in it one by one, each to its end, before it emits "connect".
 *   It does not set DUP on what it sends again; our stream does.
 * - A put whose sync outlasts a reconnect would write its packet a second time, after the copy from the stream may have been
 *   completed and its id freed: to the receiver a new message. So a put that finishes in another connection than it began
 *   in calls back with an error, which keeps it from being written; and the stream waits for puts that are on their way.
 * - While it is not connected, or still reading the stream, publish() queues: so this link publishes only between "connect"
 *   and "close", where publish() calls put before it returns. That is how the log offset reaches the store with its packet.
 */
import { Readable } from "node:stream";
import { connect, type IClientOptions, type IStore, type Packet } from "mqtt";
import { TardigradeError } from "../../protocols/error.ts";
import type { Backoff } from "../core/policy/backoff.ts";
import { growReconnect } from "./mqtt-reconnect.ts";
import type { Dispose, ExactlyOnceLink, Logger, OutgoingPacket, PacketStore } from "./seams.ts";

export interface ForwardLinkOptions {
  readonly url: string;
  /** Stable: the receiving broker keeps its side of the flows under it. */
  readonly clientId: string;
  readonly username?: string;
  readonly password?: string;
  /** Waits between connections; a second each without. */
  readonly backoff?: Backoff;
  readonly tls?: Pick<IClientOptions, "ca" | "cert" | "key" | "rejectUnauthorized">;
  readonly logger: Logger;
}

export function forwardLink(options: ForwardLinkOptions): (store: PacketStore) => ExactlyOnceLink {
  return (store) => new ForwardLink(options, store);
}

class ForwardLink implements ExactlyOnceLink {
  readonly #client: ReturnType<typeof connect>;
  readonly #store: OutgoingStore;
  readonly #listeners = new Set<(up: boolean) => void>();
  #up = false;

  constructor(options: ForwardLinkOptions, store: PacketStore) {
    const { logger } = options;
    this.#store = new OutgoingStore(store);
    this.#client = connect(options.url, {
      clientId: options.clientId,
      clean: false,
      protocolVersion: 4,
      reconnectPeriod: 1000,
      reconnectOnConnackError: true,
      connectTimeout: 10_000,
      queueQoSZero: false,
      outgoingStore: this.#store as unknown as IStore as NonNullable<IClientOptions["outgoingStore"]>,
      ...(options.username === undefined ? {} : { username: options.username }),
      ...(options.password === undefined ? {} : { password: options.password }),
      ...options.tls,
    });
    if (options.backoff !== undefined) growReconnect(this.#client, options.backoff);
    this.#client.on("connect", (connack) => {
      if (!connack.sessionPresent) logger.debug("the receiving broker had no session of ours");
      this.#setUp(true);
    });
    this.#client.on("close", () => {
      this.#store.connectionEnded();
      this.#setUp(false);
    });
    this.#client.on("error", (error) => logger.debug("forwarder connection", { error: error.message }));
  }

  publish(topic: string, payload: Uint8Array, offset: number): void {
    if (!this.#up) throw new TardigradeError("LINK_DOWN", "The forwarder's link is down.");
    this.#store.nextOffset = offset;
    const bytes = Buffer.from(payload.buffer, payload.byteOffset, payload.length);
    this.#client.publish(topic, bytes, { qos: 2 }, () => {});
    if (this.#store.nextOffset !== undefined) {
      throw new TardigradeError(
        "INTERNAL",
        "mqtt.js took a publish without storing it; its version is another.",
      );
    }
  }

  onState(listener: (up: boolean) => void): Dispose {
    this.#listeners.add(listener);
    listener(this.#up);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#listeners.clear();
    // By force: waiting for what is in flight would wait for a broker that may be gone. The store has it.
    await this.#client.endAsync(true);
  }

  #setUp(up: boolean): void {
    if (up === this.#up) return;
    this.#up = up;
    for (const listener of this.#listeners) listener(up);
  }
}

type Callback = (error?: Error, packet?: Packet) => void;

/** mqtt.js' store interface over ours. */
class OutgoingStore {
  readonly #store: PacketStore;
  #connection = 0;
  /** Of the publish that is being made. */
  nextOffset: number | undefined;

  constructor(store: PacketStore) {
    this.#store = store;
  }

  connectionEnded(): void {
    this.#connection += 1;
  }

  put(packet: Packet, done?: Callback): this {
    const connection = this.#connection;
    const outgoing = toOutgoing(packet);
    const offset = this.nextOffset ?? -1;
    this.nextOffset = undefined;
    this.#store.put(outgoing, offset, (error) => {
      if (error !== undefined) done?.(error);
      else if (connection !== this.#connection) done?.(new Error("the connection ended meanwhile"));
      else done?.();
    });
    return this;
  }

  del(packet: Pick<Packet, "messageId">, done: Callback): this {
    const messageId = packet.messageId ?? 0;
    const known = this.#store.get(messageId);
    this.#store.remove(messageId);
    if (known === undefined) done(new Error("missing packet"));
    else done(undefined, toPacket(known));
    return this;
  }

  get(packet: Pick<Packet, "messageId">, done: Callback): this {
    const known = this.#store.get(packet.messageId ?? 0);
    if (known === undefined) done(new Error("missing packet"));
    else done(undefined, toPacket(known));
    return this;
  }

  createStream(): Readable {
    let begun = false;
    const stream = new Readable({
      objectMode: true,
      highWaterMark: 65_536,
      read: () => {
        if (begun) return;
        begun = true;
        this.#store.outstanding((packets) => {
          if (stream.destroyed) return;
          for (const packet of packets) stream.push(toPacket(packet));
          stream.push(null);
        });
      },
    });
    return stream;
  }

  close(done?: Callback): void {
    done?.();
  }
}

function toOutgoing(packet: Packet): OutgoingPacket {
  const messageId = packet.messageId ?? 0;
  if (packet.cmd !== "publish") return { state: "pubrel", messageId, topic: "", payload: new Uint8Array(0) };
  const payload = typeof packet.payload === "string" ? Buffer.from(packet.payload) : packet.payload;
  return { state: "publish", messageId, topic: packet.topic, payload };
}

function toPacket({ state, messageId, topic, payload }: OutgoingPacket): Packet {
  if (state === "pubrel") return { cmd: "pubrel", messageId, qos: 2 } as unknown as Packet;
  return {
    cmd: "publish",
    messageId,
    topic,
    payload: Buffer.from(payload.buffer, payload.byteOffset, payload.length),
    qos: 2,
    dup: true,
    retain: false,
  };
}
