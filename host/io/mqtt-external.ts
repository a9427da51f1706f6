/**
 * An external broker through mqtt.js, behind the Broker seam. The session is persistent (clean: false, a stable client id), so
 * QoS 1 messages of devices wait in the broker while the gateway restarts; none of that is trusted: devices keep their
 * messages until our own acknowledgement.
 *
 * While the connection is down publishes are dropped and counted, not queued: everything the gateway publishes is state that
 * it publishes anew when the connection is back, or a message that the protocol repeats.
 */
import { connect, type IClientOptions, type MqttClient } from "mqtt";
import type { Backoff } from "../core/policy/backoff.ts";
import { topicMatcher } from "./mqtt-match.ts";
import { growReconnect } from "./mqtt-reconnect.ts";
import type { Broker, Delivery, Dispose, Logger, Meter } from "./seams.ts";

export interface ExternalBrokerOptions {
  /** mqtt:// or mqtts://, without credentials. */
  readonly url: string;
  readonly clientId: string;
  readonly username?: string;
  readonly password?: string;
  /** Published by the broker, retained, when this process is gone. */
  readonly will?: { readonly topic: string; readonly payload: string };
  /** Waits between connections; a second each without. */
  readonly backoff?: Backoff;
  readonly keepaliveSeconds?: number;
  /** QoS 1 publishes without an answer; beyond it they are dropped and counted. */
  readonly inFlightMax?: number;
  /** Bytes waiting for the socket; beyond it QoS 0 publishes are dropped and counted. */
  readonly socketBytesMax?: number;
  /** TLS: certificates and the like, as mqtt.js takes them. */
  readonly tls?: Pick<IClientOptions, "ca" | "cert" | "key" | "rejectUnauthorized">;
  readonly meter: Meter;
  readonly logger: Logger;
}

const IN_FLIGHT_MAX = 2000;
const SOCKET_BYTES_MAX = 4 * 1024 * 1024;

/** Returns at once; onState() tells of the connection, which is tried again until close(). */
export function openExternalBroker(options: ExternalBrokerOptions): Broker {
  return new ExternalBroker(options);
}

class ExternalBroker implements Broker {
  readonly #options: ExternalBrokerOptions;
  readonly #client: MqttClient;
  readonly #subscriptions = new Set<{
    readonly matches: (topic: string) => boolean;
    readonly handler: (delivery: Delivery) => void;
  }>();
  readonly #stateListeners = new Set<(up: boolean) => void>();
  #up = false;
  #inFlight = 0;

  constructor(options: ExternalBrokerOptions) {
    this.#options = options;
    this.#client = connect(options.url, {
      clientId: options.clientId,
      clean: false,
      protocolVersion: 4,
      reconnectPeriod: 1000,
      reconnectOnConnackError: true,
      connectTimeout: 10_000,
      keepalive: options.keepaliveSeconds ?? 30,
      queueQoSZero: false,
      resubscribe: true,
      ...(options.username === undefined ? {} : { username: options.username }),
      ...(options.password === undefined ? {} : { password: options.password }),
      ...(options.will === undefined
        ? {}
        : { will: { ...options.will, payload: Buffer.from(options.will.payload), qos: 1, retain: true } }),
      ...options.tls,
    });
    if (options.backoff !== undefined) growReconnect(this.#client, options.backoff);
    this.#client.on("connect", () => this.#setUp(true));
    this.#client.on("close", () => this.#setUp(false));
    // Without a listener it would be thrown; the connection is tried again in any case.
    this.#client.on("error", (error) => options.logger.debug("broker connection", { error: error.message }));
    this.#client.on("message", (topic, payload, packet) => {
      for (const { matches, handler } of this.#subscriptions) {
        if (matches(topic)) handler({ topic, payload, retain: packet.retain });
      }
    });
  }

  publish(
    topic: string,
    payload: Uint8Array | string,
    options: { readonly retain?: boolean; readonly qos?: 0 | 1 } = {},
  ): void {
    const qos = options.qos ?? 0;
    const queued = this.#client.stream?.writableLength ?? 0;
    const full =
      qos === 1
        ? this.#inFlight >= (this.#options.inFlightMax ?? IN_FLIGHT_MAX)
        : queued > (this.#options.socketBytesMax ?? SOCKET_BYTES_MAX);
    if (!this.#up || full) {
      this.#options.meter.count("tardigrade_broker_dropped_total");
      return;
    }
    const bytes =
      typeof payload === "string" ? payload : Buffer.from(payload.buffer, payload.byteOffset, payload.length);
    if (qos === 0) {
      this.#client.publish(topic, bytes, { qos, retain: options.retain ?? false });
      return;
    }
    this.#inFlight += 1;
    this.#client.publish(topic, bytes, { qos, retain: options.retain ?? false }, () => {
      this.#inFlight -= 1;
    });
  }

  async subscribe(filter: string, handler: (delivery: Delivery) => void): Promise<Dispose> {
    const subscription = { matches: topicMatcher(filter), handler };
    this.#subscriptions.add(subscription);
    // The answer comes when the broker is reached, which may be much later than the gateway's start.
    this.#client.subscribe(filter, { qos: 1 }, (error) => {
      if (error)
        this.#options.logger.warn("the broker refused a subscription", { filter, error: error.message });
    });
    return () => this.#subscriptions.delete(subscription);
  }

  onState(listener: (up: boolean) => void): Dispose {
    this.#stateListeners.add(listener);
    listener(this.#up);
    return () => this.#stateListeners.delete(listener);
  }

  async close(): Promise<void> {
    this.#stateListeners.clear();
    this.#subscriptions.clear();
    await this.#client.endAsync(!this.#up);
  }

  #setUp(up: boolean): void {
    if (up === this.#up) return;
    this.#up = up;
    for (const listener of this.#stateListeners) listener(up);
  }
}
