/**
 * The network part of a virtual board: an MQTT client of its own, as a device with Wi-Fi has. The client id is the device's id,
 * which is what the broker's access rules go by; the last will says offline.
 */
import { connect, type IClientOptions, type MqttClient } from "mqtt";
import { deviceTopic } from "../../../protocols/topic.ts";
import type { BoardLink } from "./board.ts";

export interface MqttLinkOptions {
  readonly url: string;
  readonly site: string;
  readonly device: string;
  readonly username?: string;
  readonly password?: string;
  /** Uniform in [0, 1): spreads reconnects, so that a fleet does not come back as one. */
  readonly unit: () => number;
}

export interface LinkedBoard {
  setLink(up: boolean): void;
  receive(bytes: Uint8Array): void;
}

const KEEPALIVE_S = 30;
const RECONNECT_MS = 500;
/** Publishes that wait for a PUBACK; beyond it the link takes no more and the outbox keeps them. */
const IN_FLIGHT_MAX = 64;

export class MqttLink implements BoardLink {
  readonly kind = "message";
  readonly #options: MqttLinkOptions;
  #client: MqttClient | undefined;
  #board: LinkedBoard | undefined;
  #inFlight = 0;
  /** Counts connections, so that a PUBACK for an earlier one is not counted against this one. */
  #connection = 0;

  constructor(options: MqttLinkOptions) {
    this.#options = options;
  }

  /** Connects, and reconnects by itself until closed. */
  open(board: LinkedBoard): void {
    const { url, site, device } = this.#options;
    const availability = deviceTopic(site, device, "availability");
    const options: IClientOptions = {
      clientId: device,
      clean: true,
      keepalive: KEEPALIVE_S,
      reconnectPeriod: Math.round(RECONNECT_MS * (1 + this.#options.unit())),
      queueQoSZero: false,
      will: { topic: availability, payload: Buffer.from("offline"), qos: 1, retain: true },
      ...(this.#options.username === undefined ? {} : { username: this.#options.username }),
      ...(this.#options.password === undefined ? {} : { password: this.#options.password }),
    };
    const client = connect(url, options);
    this.#client = client;
    this.#board = board;
    client.on("connect", () => {
      this.#connection += 1;
      this.#inFlight = 0;
      client.publish(availability, "online", { qos: 1, retain: true });
      client.subscribe(deviceTopic(site, device, "down"), { qos: 1 }, (error) => {
        if (!error && client.connected) board.setLink(true);
      });
    });
    client.on("close", () => board.setLink(false));
    client.on("message", (_topic, payload) => board.receive(payload));
    client.on("error", () => {
      // The client reconnects by itself; `close` tells the board.
    });
  }

  send(bytes: Uint8Array): boolean {
    const client = this.#client;
    if (client === undefined || !client.connected || this.#inFlight >= IN_FLIGHT_MAX) return false;
    this.#inFlight += 1;
    const connection = this.#connection;
    client.publish(
      deviceTopic(this.#options.site, this.#options.device, "up"),
      Buffer.from(bytes),
      { qos: 1 },
      () => {
        if (connection === this.#connection) this.#inFlight -= 1;
      },
    );
    return true;
  }

  /** Says offline and disconnects. */
  async close(): Promise<void> {
    const client = this.#client;
    this.#client = undefined;
    if (client === undefined) return;
    if (client.connected) {
      const topic = deviceTopic(this.#options.site, this.#options.device, "availability");
      // A broker that goes away meanwhile never answers; its will says offline then.
      await new Promise<void>((resolve) => {
        client.once("close", () => resolve());
        client.publish(topic, "offline", { qos: 1, retain: true }, () => resolve());
      });
    }
    await client.endAsync(true);
    this.#board?.setLink(false);
  }
}
