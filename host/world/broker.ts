/**
 * An MQTT broker in memory, as far as the Broker seam shows one: filters, retained messages, wills,
 * connections that go up and down, and deliveries that come twice or not at all when the dice say so.
 *
 * The broker is itself the gateway's connection. connect() gives further ones, for devices and other clients,
 * each with a client id that receivers see. A client that is down keeps its QoS 1 publishes, up to a bound,
 * and sends them when it is up again; QoS 0 is dropped. Subscriptions outlive a loss of connection, and what
 * was published to a client while it was down, QoS 1, waits for it up to the same bound, as in a persistent
 * session.
 */
import { TardigradeError } from "../../protocols/error.ts";
import type { Broker, Clock, Delivery, Dispose } from "../io/seams.ts";
import type { SeededRandom } from "./random.ts";
import { topicMatches } from "./topic-filter.ts";

const QUEUE_MESSAGES_MAX_DEFAULT = 10_000;

export interface SimulatedBrokerOptions {
  /** With a clock, deliveries take `latencyMs`; without, a microtask. */
  readonly clock?: Clock;
  readonly latencyMs?: number;
  /** Needed for the two probabilities. */
  readonly random?: SeededRandom;
  /** Share of deliveries that get lost, QoS 0 and 1 alike: a broker proves nothing to us. */
  readonly dropProbability?: number;
  readonly duplicateProbability?: number;
  /** Bound of every queue. */
  readonly queueMessagesMax?: number;
}

export interface Will {
  readonly topic: string;
  readonly payload: Uint8Array | string;
  readonly retain?: boolean;
}

interface Message {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly retain: boolean;
  readonly qos: 0 | 1;
  readonly clientId: string;
}

export class SimulatedBroker implements Broker {
  readonly #options: SimulatedBrokerOptions;
  readonly #retained = new Map<string, Message>();
  readonly #clients = new Set<SimulatedClient>();
  readonly #own: SimulatedClient;
  #dropped = 0;
  #notBeforeMs = 0;

  constructor(options: SimulatedBrokerOptions = {}) {
    this.#options = options;
    this.#own = this.connect({ clientId: "gateway" });
  }

  /** A further client; it is up. */
  connect(options: { readonly clientId: string; readonly will?: Will }): SimulatedClient {
    const client = new SimulatedClient(options, {
      queueMessagesMax: this.#options.queueMessagesMax ?? QUEUE_MESSAGES_MAX_DEFAULT,
      route: (message) => this.#route(message),
      retainedFor: (filter) =>
        [...this.#retained.values()].filter((message) => topicMatches(filter, message.topic)),
      later: (call) => this.#later(call),
      onDropped: () => {
        this.#dropped += 1;
      },
      onClosed: (closed) => this.#clients.delete(closed),
    });
    this.#clients.add(client);
    return client;
  }

  publish(
    topic: string,
    payload: Uint8Array | string,
    options?: { readonly retain?: boolean; readonly qos?: 0 | 1 },
  ): void {
    this.#own.publish(topic, payload, options);
  }
  subscribe(filter: string, handler: (delivery: Delivery) => void): Promise<Dispose> {
    return this.#own.subscribe(filter, handler);
  }
  onState(listener: (up: boolean) => void): Dispose {
    return this.#own.onState(listener);
  }
  close(): Promise<void> {
    return this.#own.close();
  }

  /** Takes the gateway's connection down or brings it back. */
  setUp(up: boolean): void {
    this.#own.setUp(up);
  }

  get up(): boolean {
    return this.#own.up;
  }

  /** Messages lost to dice and full queues. */
  get dropped(): number {
    return this.#dropped;
  }

  /** The retained payload of a topic. */
  retained(topic: string): Uint8Array | undefined {
    return this.#retained.get(topic)?.payload;
  }

  #route(message: Message): void {
    if (message.retain) {
      if (message.payload.length === 0) this.#retained.delete(message.topic);
      else this.#retained.set(message.topic, message);
    }
    const { random, dropProbability = 0, duplicateProbability = 0 } = this.#options;
    for (const client of this.#clients) {
      if (!client.wants(message.topic)) continue;
      if (random?.chance(dropProbability) === true) {
        this.#dropped += 1;
        continue;
      }
      const copies = random?.chance(duplicateProbability) === true ? 2 : 1;
      for (let copy = 0; copy < copies; copy += 1) this.#later(() => client.take(message));
    }
  }

  #later(call: () => void): void {
    const { clock, latencyMs = 0 } = this.#options;
    if (clock === undefined) queueMicrotask(call);
    else {
      // Nothing overtakes what came before, also when the latency falls: MQTT keeps the order of a connection.
      const nowMs = clock.monotonicMs();
      this.#notBeforeMs = Math.max(this.#notBeforeMs, nowMs + latencyMs);
      clock.alarm(this.#notBeforeMs - nowMs, call);
    }
  }
}

interface ClientPort {
  readonly queueMessagesMax: number;
  route(message: Message): void;
  retainedFor(filter: string): Message[];
  later(call: () => void): void;
  onDropped(): void;
  onClosed(client: SimulatedClient): void;
}

export class SimulatedClient implements Broker {
  readonly clientId: string;
  readonly #will: Will | undefined;
  readonly #port: ClientPort;
  readonly #subscriptions = new Set<{
    readonly filter: string;
    readonly handler: (delivery: Delivery) => void;
  }>();
  readonly #stateListeners = new Set<(up: boolean) => void>();
  #outgoing: Message[] = [];
  #incoming: Message[] = [];
  #up = true;
  #closed = false;

  constructor(options: { readonly clientId: string; readonly will?: Will }, port: ClientPort) {
    this.clientId = options.clientId;
    this.#will = options.will;
    this.#port = port;
  }

  get up(): boolean {
    return this.#up;
  }

  publish(
    topic: string,
    payload: Uint8Array | string,
    options?: { readonly retain?: boolean; readonly qos?: 0 | 1 },
  ): void {
    const message: Message = {
      topic,
      payload: typeof payload === "string" ? new TextEncoder().encode(payload) : payload.slice(),
      retain: options?.retain === true,
      qos: options?.qos ?? 0,
      clientId: this.clientId,
    };
    if (this.#up && !this.#closed) this.#port.route(message);
    else if (message.qos === 1 && !this.#closed && this.#outgoing.length < this.#port.queueMessagesMax) {
      this.#outgoing.push(message);
    } else this.#port.onDropped();
  }

  async subscribe(filter: string, handler: (delivery: Delivery) => void): Promise<Dispose> {
    if (this.#closed)
      throw new TardigradeError("BROKER_UNREACHABLE", "The connection to the broker is closed.");
    const subscription = { filter, handler };
    this.#subscriptions.add(subscription);
    for (const message of this.#port.retainedFor(filter)) {
      this.#port.later(() => {
        if (this.#up && this.#subscriptions.has(subscription)) handler(deliveryOf(message, true));
      });
    }
    return () => this.#subscriptions.delete(subscription);
  }

  onState(listener: (up: boolean) => void): Dispose {
    this.#stateListeners.add(listener);
    return () => this.#stateListeners.delete(listener);
  }

  /** Loses the connection, which publishes the will, or gets it back, which sends what waited. */
  setUp(up: boolean): void {
    if (this.#closed || up === this.#up) return;
    this.#up = up;
    const will = this.#will;
    if (!up && will !== undefined) {
      const payload =
        typeof will.payload === "string" ? new TextEncoder().encode(will.payload) : will.payload;
      this.#port.route({
        topic: will.topic,
        payload,
        retain: will.retain === true,
        qos: 1,
        clientId: this.clientId,
      });
    }
    for (const listener of this.#stateListeners) listener(up);
    if (!up) return;
    const { outgoing, incoming } = { outgoing: this.#outgoing, incoming: this.#incoming };
    this.#outgoing = [];
    this.#incoming = [];
    for (const message of incoming) this.#port.later(() => this.take(message));
    for (const message of outgoing) this.#port.route(message);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#up = false;
    this.#subscriptions.clear();
    this.#port.onClosed(this);
  }

  wants(topic: string): boolean {
    for (const subscription of this.#subscriptions) {
      if (topicMatches(subscription.filter, topic)) return true;
    }
    return false;
  }

  /** A delivery from the broker; each matching subscription gets it. */
  take(message: Message): void {
    if (this.#closed) return;
    if (!this.#up) {
      if (message.qos === 1 && this.#incoming.length < this.#port.queueMessagesMax)
        this.#incoming.push(message);
      else this.#port.onDropped();
      return;
    }
    for (const subscription of [...this.#subscriptions]) {
      if (topicMatches(subscription.filter, message.topic)) subscription.handler(deliveryOf(message, false));
    }
  }
}

/** `retain` is set on what was stored before the subscription, as MQTT has it. */
function deliveryOf(message: Message, retain: boolean): Delivery {
  return { topic: message.topic, payload: message.payload, retain, clientId: message.clientId };
}
