/**
 * One client of the load generator: a raw MQTT 3.1.1 connection that publishes bytes made beforehand and keeps a window of them
 * in flight. Nothing is encoded while the clock runs; what is due goes out in one write.
 *
 * "durable" counts a message when the gateway's durable acknowledgement covers it, as a device does. "puback" counts it when
 * the broker's PUBACK came, which says no more than that the broker has it in memory.
 */
import { connect, type Socket } from "node:net";
import { crc32 } from "node:zlib";
import mqttPacket, { type Packet } from "mqtt-packet";
import { decodeMessage, encodeMessage } from "../protocols/message.ts";
import type { Message } from "../protocols/messages.generated.ts";
import { PROTOCOL_MAJOR, PROTOCOL_MINOR } from "../protocols/table.ts";
import { deviceTopic } from "../protocols/topic.ts";

export type Counting = "durable" | "puback";

export interface LoadDeviceOptions {
  readonly port: number;
  readonly site: string;
  readonly id: string;
  readonly messages: number;
  readonly window: number;
  readonly counting: Counting;
  /** Above that of the run before, since sequence numbers begin anew. */
  readonly boot: number;
  readonly onDone: () => void;
  readonly onFailed: (error: Error) => void;
}

const MESSAGE_IDS = 65_535;
const HELLO_ID = MESSAGE_IDS;
const US_PER_S = 1_000_000;

export class LoadDevice {
  readonly #options: LoadDeviceOptions;
  readonly #socket: Socket;
  readonly #parser = mqttPacket.parser({ protocolVersion: 4 });
  readonly #up: string;
  /** All packets one after another; packet n lies from offsets[n] to offsets[n + 1]. */
  readonly #bytes: Buffer;
  readonly #offsets: Uint32Array;
  /** Sum of the payloads' CRC-32. */
  readonly checksum: number;
  #sent = 0;
  #counted = 0;
  #running = false;
  #ready: () => void = () => {};
  resent = 0;
  pubacks = 0;

  constructor(options: LoadDeviceOptions) {
    this.#options = options;
    this.#up = deviceTopic(options.site, options.id, "up");
    const packets: Buffer[] = [];
    let checksum = 0;
    this.#offsets = new Uint32Array(options.messages + 1);
    for (let index = 0; index < options.messages; index += 1) {
      const payload = encodeMessage(readingOf(options.boot, index + 1));
      checksum = (checksum + crc32(payload)) >>> 0;
      const packet = this.#publish(payload, (index % (MESSAGE_IDS - 1)) + 1);
      this.#offsets[index + 1] = (this.#offsets[index] as number) + packet.length;
      packets.push(packet);
    }
    this.#bytes = Buffer.concat(packets);
    this.checksum = checksum;
    this.#socket = connect({ port: options.port, host: "127.0.0.1", noDelay: true });
    this.#socket.on("error", options.onFailed);
    this.#parser.on("packet", (packet) => this.#packet(packet));
    this.#parser.on("error", options.onFailed);
  }

  /** Resolves when the session is open: by welcome, or by the PUBACK of the same hello. */
  open(): Promise<void> {
    const { id, site, boot } = this.#options;
    const opened = new Promise<void>((resolve) => {
      this.#ready = resolve;
    });
    this.#socket.on("data", (bytes) => {
      this.#parser.parse(bytes);
      if (this.#running) this.#pump();
    });
    this.#send({
      cmd: "connect",
      protocolId: "MQTT",
      protocolVersion: 4,
      clientId: id,
      clean: true,
      keepalive: 0,
    });
    this.#send({
      cmd: "subscribe",
      messageId: HELLO_ID,
      subscriptions: [{ topic: deviceTopic(site, id, "down"), qos: 0 }],
    } as unknown as Packet);
    this.#socket.write(this.#publish(encodeMessage(helloOf(boot)), HELLO_ID));
    return opened;
  }

  start(): void {
    this.#running = true;
    this.#pump();
  }

  close(): void {
    this.#socket.destroy();
  }

  #pump(): void {
    const { messages, window } = this.#options;
    const until = Math.min(messages, this.#counted + window);
    if (until <= this.#sent) return;
    this.#socket.write(this.#bytes.subarray(this.#offsets[this.#sent], this.#offsets[until]));
    this.#sent = until;
  }

  #packet(packet: Packet): void {
    const { counting } = this.#options;
    if (packet.cmd === "puback") {
      if (packet.messageId === HELLO_ID && !this.#running) {
        if (counting === "puback") this.#ready();
        return;
      }
      this.pubacks += 1;
      if (counting === "puback") this.#count(this.#counted + 1);
    } else if (packet.cmd === "publish" && counting === "durable") {
      const decoded = decodeMessage(packet.payload as Buffer);
      if (decoded.ok) this.#message(decoded.message);
    }
  }

  #message(message: Message): void {
    const { boot, onFailed, id } = this.#options;
    if (message.kind === "welcome") {
      if (message.code !== 0) onFailed(new Error(`${id} was refused with code ${message.code}.`));
      if (message.window < this.#options.window) {
        onFailed(new Error(`The gateway gives a window of ${message.window}, not ${this.#options.window}.`));
      }
      this.#ready();
    }
    if (message.kind !== "durableAck" || message.boot !== boot) return;
    this.#count(message.seq);
    if (message.resend !== true) return;
    this.resent += this.#sent - this.#counted;
    this.#sent = this.#counted;
  }

  #count(counted: number): void {
    if (counted <= this.#counted) return;
    this.#counted = counted;
    if (counted === this.#options.messages) this.#options.onDone();
  }

  #publish(payload: Uint8Array, messageId: number): Buffer {
    return mqttPacket.generate({
      cmd: "publish",
      topic: this.#up,
      payload: Buffer.from(payload),
      qos: 1,
      messageId,
      dup: false,
      retain: false,
    });
  }

  #send(packet: Packet): void {
    this.#socket.write(mqttPacket.generate(packet));
  }
}

function helloOf(boot: number): Message {
  return {
    kind: "hello",
    major: PROTOCOL_MAJOR,
    minor: PROTOCOL_MINOR,
    boot,
    session: boot,
    uptimeUs: 0,
    oldestBoot: boot,
    oldestSeq: 1,
    board: "virtual",
    app: "load",
    version: "1.0.0",
    reason: 0,
    capabilities: 1,
    metrics: [{ name: "temperature", unit: "Cel" }],
    commands: [],
  };
}

/** One reading, a second after the one before. */
function readingOf(boot: number, seq: number): Message {
  const value = Math.fround(20 + 5 * Math.sin(seq / 100));
  return {
    kind: "telemetry",
    boot,
    seq,
    uptimeUs: seq * US_PER_S,
    readings: [{ metric: 0, offsetUs: 0, value }],
  };
}
