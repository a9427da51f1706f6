/**
 * The way to one peer: a connection that this node dials, for ever, and sends on.
 *
 *   waiting --alarm--> dialling --stream, hello--> greeting --welcome--> up
 *      ^                  |                           |                   |
 *      '----- back-off ---+------- refusal, silence --+-- end, damage ----'
 *
 * What was queued goes with the connection: an old message of Raft is worth less than the next heartbeat. A connection that lasted
 * a while resets the back-off; one that is refused is tried again slowly, for a person has to change something. Whether a silent
 * peer lives is for Raft's heartbeats to say.
 */
import { TardigradeError } from "../../../protocols/error.ts";
import { ERRORS, type ErrorCode } from "../../../protocols/table.ts";
import type { Backoff } from "../../core/policy/backoff.ts";
import type { ByteStream, Clock, Dispose, Logger, Meter, Network } from "../../io/seams.ts";
import { codeOfNumber } from "./codes.ts";
import {
  decodeAnswer,
  encodeHello,
  FrameReader,
  GREETING_BYTES_MAX,
  PEER_PROTOCOL_VERSION,
} from "./frame.ts";
import type { PeerAddress } from "./peer-transport.ts";
import { SendQueue } from "./send-queue.ts";

export interface OutgoingOptions {
  readonly clusterId: bigint;
  readonly id: number;
  readonly network: Network;
  readonly clock: Clock;
  readonly backoff: Backoff;
  readonly frameBytesMax: number;
  readonly queueBytesMax: number;
  readonly queueMessagesMax: number;
  /** From dialling to the welcome. */
  readonly helloMs: number;
  /** A connection that lasted so long resets the back-off. */
  readonly stableMs: number;
  /** Shortest wait after a refusal. */
  readonly refusedMs: number;
  readonly meter: Meter | undefined;
  readonly logger: Logger | undefined;
}

type State = "waiting" | "dialling" | "greeting" | "up" | "closed";

export class OutgoingLink {
  readonly peer: number;
  readonly address: PeerAddress;
  readonly #options: OutgoingOptions;
  readonly #onUp: (up: boolean) => void;
  readonly #queue: SendQueue;
  #state: State = "waiting";
  /** Tells the connection of now from one that comes too late. */
  #attempt = 0;
  #stream: ByteStream | undefined;
  #disposers: Dispose[] = [];
  #alarm: Dispose = () => undefined;
  /** The stream takes a write. */
  #clear = false;
  #flushing = false;
  #upSinceMs = 0;
  #failures = 0;
  #waitMs = 0;
  /** Told already. */
  #refusal: ErrorCode | undefined;

  constructor(options: OutgoingOptions, peer: number, address: PeerAddress, onUp: (up: boolean) => void) {
    this.#options = options;
    this.peer = peer;
    this.address = address;
    this.#onUp = onUp;
    this.#queue = new SendQueue({ bytesMax: options.queueBytesMax, messagesMax: options.queueMessagesMax });
  }

  get isUp(): boolean {
    return this.#state === "up";
  }

  open(): void {
    this.#dial();
  }

  send(message: Uint8Array): boolean {
    if (this.#state !== "up") return this.#drop("down");
    if (!this.#queue.put(message)) return this.#drop("full");
    if (this.#clear && !this.#flushing) {
      this.#flushing = true;
      // After the turn's other messages.
      queueMicrotask(() => {
        this.#flushing = false;
        this.#flush();
      });
    }
    return true;
  }

  close(): void {
    this.#release("closed");
  }

  #drop(reason: "down" | "full"): boolean {
    this.#options.meter?.count("tardigrade_peer_dropped_total", { reason });
    return false;
  }

  #flush(): void {
    if (this.#state !== "up" || !this.#clear || this.#queue.messages === 0) return;
    const stream = this.#stream as ByteStream;
    // Both may change in the write: a stream that ends tells at once.
    const clear = stream.write(this.#queue.take());
    if (this.#stream === stream) this.#clear = clear;
  }

  #dial(): void {
    const { network, clock, helloMs } = this.#options;
    this.#state = "dialling";
    this.#attempt += 1;
    const attempt = this.#attempt;
    this.#alarm = clock.alarm(helloMs, () => this.#failed("TIMED_OUT"), { background: true });
    network.connect(this.address).then(
      (stream) => {
        if (attempt === this.#attempt) this.#greet(stream);
        else stream.close();
      },
      () => {
        if (attempt === this.#attempt) this.#failed("CONNECTION_FAILED");
      },
    );
  }

  #greet(stream: ByteStream): void {
    const { clusterId, id } = this.#options;
    this.#state = "greeting";
    this.#stream = stream;
    const reader = new FrameReader({
      bodyBytesMax: GREETING_BYTES_MAX,
      onFrame: (body) => this.#answered(body),
    });
    this.#disposers = [
      stream.onData((bytes) => {
        const code = reader.push(bytes);
        if (code !== undefined) this.#failed(code);
      }),
      stream.onDrain(() => {
        this.#clear = true;
        this.#flush();
      }),
      stream.onClose(() => this.#failed("LINK_DOWN")),
      () => reader.stop(),
    ];
    this.#clear = stream.write(encodeHello({ clusterId, from: id, to: this.peer }));
  }

  #answered(body: Uint8Array): void {
    const answer = this.#state === "greeting" ? decodeAnswer(body) : undefined;
    if (answer === undefined) this.#failed("PEER_HELLO");
    else if (answer.version !== PEER_PROTOCOL_VERSION) this.#refused("PEER_VERSION");
    else if (answer.code !== 0) this.#refused(codeOfNumber(answer.code) ?? "PEER_HELLO");
    else if (answer.nodeId !== this.peer) this.#refused("NODE_FOREIGN");
    else this.#welcomed();
  }

  #welcomed(): void {
    const { clock, logger } = this.#options;
    this.#alarm();
    this.#state = "up";
    this.#upSinceMs = clock.monotonicMs();
    this.#refusal = undefined;
    logger?.info("a peer is connected", { peer: this.peer, ...this.address });
    this.#onUp(true);
  }

  #refused(code: ErrorCode): void {
    const { refusedMs, logger } = this.#options;
    if (code !== this.#refusal) {
      this.#refusal = code;
      logger?.error(`a peer refuses this node: ${ERRORS[code].help}`, {
        ...{ code, peer: this.peer },
        ...this.address,
      });
    }
    this.#failed(code, refusedMs);
  }

  #failed(code: ErrorCode, waitMsMin = 0): void {
    if (this.#state === "closed" || this.#state === "waiting") return;
    const { clock, backoff, stableMs, meter, logger } = this.#options;
    const wasUp = this.#state === "up";
    meter?.count("tardigrade_peer_connections_ended_total", { direction: "out", code });
    if (wasUp) logger?.info("a peer is lost", { code, peer: this.peer, ...this.address });
    if (wasUp && clock.monotonicMs() - this.#upSinceMs >= stableMs) {
      this.#failures = 0;
      this.#waitMs = 0;
    }
    this.#failures += 1;
    this.#waitMs = backoff(this.#failures, this.#waitMs);
    this.#release("waiting");
    this.#alarm = clock.alarm(Math.max(this.#waitMs, waitMsMin), () => this.#dial(), { background: true });
    if (wasUp) this.#onUp(false);
  }

  #release(state: "waiting" | "closed"): void {
    this.#state = state;
    this.#attempt += 1;
    this.#alarm();
    for (const dispose of this.#disposers) dispose();
    this.#disposers = [];
    this.#queue.clear();
    this.#clear = false;
    const stream = this.#stream;
    this.#stream = undefined;
    stream?.close();
  }
}

/** Throws what send() of a transport throws for a message that no frame takes. */
export function checkMessage(message: Uint8Array, frameBytesMax: number): void {
  if (message.length === 0)
    throw new TardigradeError("ARGUMENT", "A message between nodes has at least one byte.");
  if (message.length <= frameBytesMax) return;
  throw new TardigradeError(
    "FRAME_OVERSIZE",
    `A message of ${message.length} bytes is longer than the ${frameBytesMax} of a frame; send it in parts.`,
    { context: { component: "transport", operation: "send" } },
  );
}
