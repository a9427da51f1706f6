/**
 * A network in memory. Streams keep their order and lose nothing, as TCP does; what varies is when bytes
 * arrive, in what chunks, and whether the connection lives. partition() silences hosts both ways: bytes wait,
 * as TCP's retransmissions do, and connections break once the partition outlives `timeoutMs`.
 */
import { TardigradeError } from "../../protocols/error.ts";
import type { ByteStream, Clock, Dispose, Network } from "../io/seams.ts";
import type { SeededRandom } from "./random.ts";

/** write() says false above this; the stream breaks at the second figure, as the real one does. */
const SEND_BYTES_SOFT_MAX = 64 * 1024;
const SEND_BYTES_HARD_MAX = 16 * 1024 * 1024;
const FIRST_FREE_PORT = 40_000;

export interface SimulatedNetworkOptions {
  readonly clock: Clock;
  readonly random: SeededRandom;
  /** One way; 0 by default, which still takes an alarm. */
  readonly latencyMs?: number;
  /** Added at random, up to this. */
  readonly jitterMs?: number;
  /** Writes arrive cut into chunks of at most so many bytes. */
  readonly chunkBytesMax?: number;
  /** A connection breaks when its bytes could not travel for so long; 30 s by default. */
  readonly timeoutMs?: number;
}

type Listener = (stream: ByteStream) => void;

export class SimulatedNetwork {
  readonly #options: SimulatedNetworkOptions;
  readonly #listeners = new Map<number, Listener>();
  readonly #ends = new Set<StreamEnd>();
  readonly #cut = new Set<string>();
  #nextPort = FIRST_FREE_PORT;

  constructor(options: SimulatedNetworkOptions) {
    this.#options = options;
  }

  /** The network as the machine called `host` sees it; listeners are found by port. */
  host(host: string): Network {
    return {
      connect: (address) => this.#connect({ from: host, to: address.host, port: address.port }),
      listen: (address, onConnection) => this.#listen(address, onConnection),
    };
  }

  /** Silences what travels between the two hosts. */
  partition(a: string, b: string): void {
    this.#cut.add(pairOf(a, b));
  }

  heal(a: string, b: string): void {
    this.#cut.delete(pairOf(a, b));
  }

  isCut(a: string, b: string): boolean {
    return this.#cut.has(pairOf(a, b));
  }

  /** Breaks every connection, as a switch that restarts. */
  breakAll(): void {
    for (const end of [...this.#ends]) end.fail(new TardigradeError("LINK_DOWN", "The connection was lost."));
  }

  get connections(): number {
    return this.#ends.size / 2;
  }

  async #connect(route: {
    readonly from: string;
    readonly to: string;
    readonly port: number;
  }): Promise<ByteStream> {
    await this.#elapse();
    const accept = this.#listeners.get(route.port);
    if (accept === undefined || this.isCut(route.from, route.to)) {
      throw new TardigradeError(
        "CONNECTION_FAILED",
        `Nothing answers at ${route.to}:${route.port}; check that it runs and that the address is right.`,
      );
    }
    const onEnd = (end: StreamEnd): void => {
      this.#ends.delete(end);
    };
    const shared = { ...this.#options, isCut: () => this.isCut(route.from, route.to), onEnd };
    const near = new StreamEnd(shared);
    const far = new StreamEnd(shared);
    near.peer = far;
    far.peer = near;
    this.#ends.add(near).add(far);
    accept(far);
    return near;
  }

  async #listen(address: { readonly host: string; readonly port: number }, onConnection: Listener) {
    const port = address.port === 0 ? this.#freePort() : address.port;
    if (this.#listeners.has(port)) {
      throw new TardigradeError(
        "PORT_IN_USE",
        `Another process listens on ${address.host}:${port}; stop it or choose another port.`,
      );
    }
    const accepted = new Set<ByteStream>();
    this.#listeners.set(port, (stream) => {
      accepted.add(stream);
      stream.onClose(() => accepted.delete(stream));
      onConnection(stream);
    });
    return {
      port,
      close: async () => {
        this.#listeners.delete(port);
        for (const stream of accepted) stream.close();
      },
    };
  }

  #freePort(): number {
    while (this.#listeners.has(this.#nextPort)) this.#nextPort += 1;
    this.#nextPort += 1;
    return this.#nextPort - 1;
  }

  #elapse(): Promise<void> {
    return new Promise((resolve) => this.#options.clock.alarm(this.#options.latencyMs ?? 0, resolve));
  }
}

interface EndOptions extends SimulatedNetworkOptions {
  readonly isCut: () => boolean;
  readonly onEnd: (end: StreamEnd) => void;
}

class StreamEnd implements ByteStream {
  peer: StreamEnd | undefined;
  readonly #options: EndOptions;
  readonly #dataListeners = new Set<(bytes: Uint8Array) => void>();
  readonly #drainListeners = new Set<() => void>();
  readonly #closeListeners = new Set<(error?: Error) => void>();
  /** Arrived, and nobody listens yet. */
  #unread: Uint8Array[] = [];
  /** Sent and not yet taken by the other side's listener. */
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  #needsDrain = false;
  #closing = false;
  #closed = false;
  #failure: Error | undefined;
  #travelling = false;
  #silentSinceMs: number | undefined;

  constructor(options: EndOptions) {
    this.#options = options;
  }

  write(bytes: Uint8Array): boolean {
    if (this.#closed || this.#closing) return false;
    if (bytes.length > 0) this.#queue.push(bytes.slice());
    this.#queuedBytes += bytes.length;
    if (this.#queuedBytes > SEND_BYTES_HARD_MAX) {
      this.fail(
        new TardigradeError("QUEUE_FULL", "The other side reads too slowly; the connection was ended."),
      );
      return false;
    }
    this.#travel();
    const clear = this.#queuedBytes < SEND_BYTES_SOFT_MAX;
    if (!clear) this.#needsDrain = true;
    return clear;
  }

  onData(listener: (bytes: Uint8Array) => void): Dispose {
    this.#dataListeners.add(listener);
    queueMicrotask(() => this.#handOver());
    return () => this.#dataListeners.delete(listener);
  }

  onDrain(listener: () => void): Dispose {
    this.#drainListeners.add(listener);
    return () => this.#drainListeners.delete(listener);
  }

  onClose(listener: (error?: Error) => void): Dispose {
    if (this.#closed) {
      let wanted = true;
      queueMicrotask(() => wanted && listener(this.#failure));
      return () => {
        wanted = false;
      };
    }
    this.#closeListeners.add(listener);
    return () => this.#closeListeners.delete(listener);
  }

  /** What was written still arrives; then both sides close. */
  close(): void {
    if (this.#closing || this.#closed) return;
    this.#closing = true;
    this.#travel();
  }

  fail(error: Error): void {
    this.end(error);
    this.peer?.end(error);
  }

  end(error?: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#failure = error;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#options.onEnd(this);
    for (const listener of this.#closeListeners) listener(error);
    this.#closeListeners.clear();
  }

  #travel(): void {
    if (this.#travelling || this.#closed) return;
    this.#travelling = true;
    const { clock, random, latencyMs = 0, jitterMs = 0 } = this.#options;
    clock.alarm(latencyMs + random.unit() * jitterMs, () => {
      this.#travelling = false;
      this.#arrive();
    });
  }

  #arrive(): void {
    if (this.#closed) return;
    const { clock, isCut, timeoutMs = 30_000 } = this.#options;
    if (isCut()) {
      this.#silentSinceMs ??= clock.monotonicMs();
      if (clock.monotonicMs() - this.#silentSinceMs >= timeoutMs) {
        this.fail(new TardigradeError("LINK_DOWN", "The connection was lost."));
        return;
      }
      // As a retransmission: tried again later.
      this.#travelling = true;
      clock.alarm(Math.min(200, timeoutMs), () => {
        this.#travelling = false;
        this.#arrive();
      });
      return;
    }
    this.#silentSinceMs = undefined;
    this.#deliver();
    if (this.#closing && this.#queue.length === 0) {
      const peer = this.peer;
      this.end();
      peer?.end();
    }
  }

  #deliver(): void {
    const queue = this.#queue;
    this.#queue = [];
    for (const bytes of queue) {
      for (const chunk of this.#chunks(bytes)) this.peer?.take(chunk);
    }
  }

  /** Bytes that nobody listens to yet count against the sender's bound, as a socket's window does. */
  take(bytes: Uint8Array): void {
    if (this.#closed) return;
    this.#unread.push(bytes);
    this.#handOver();
  }

  #handOver(): void {
    if (this.#dataListeners.size === 0) return;
    const unread = this.#unread;
    this.#unread = [];
    for (const bytes of unread) {
      for (const listener of this.#dataListeners) listener(bytes);
      this.peer?.taken(bytes.length);
    }
  }

  taken(bytes: number): void {
    if (this.#closed) return;
    this.#queuedBytes -= bytes;
    if (!this.#needsDrain || this.#queuedBytes > 0) return;
    this.#needsDrain = false;
    queueMicrotask(() => {
      for (const listener of this.#drainListeners) listener();
    });
  }

  *#chunks(bytes: Uint8Array): Iterable<Uint8Array> {
    const max = this.#options.chunkBytesMax;
    if (max === undefined) {
      yield bytes;
      return;
    }
    for (let at = 0; at < bytes.length; ) {
      const length = 1 + this.#options.random.below(max);
      yield bytes.subarray(at, at + length);
      at += length;
    }
  }
}

function pairOf(a: string, b: string): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`;
}
