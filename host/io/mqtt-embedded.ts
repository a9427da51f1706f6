/**
 * The embedded broker: aedes on a TCP server of ours, behind the Broker seam.
 *
 * Messages for the gateway do not travel through aedes' router. Its `publish` method, which every client's PUBLISH ends in
 * after its PUBACK, is replaced on the instance: what the policy marks "take" goes straight to our handlers and nowhere else
 * (one topic lookup in the router's trie, one promise and two closures a message less), what it refuses goes nowhere.
 *
 * aedes' own emitter lets one stalled subscriber hold back every publish once `concurrency` of them wait, so there is no such
 * limit here; instead a client whose socket has too much queued gets nothing more until it has read.
 *
 * aedes drops a delivery whose broker counter is not above the last one's, to spare clients with overlapping subscriptions a
 * second copy. The counter is given before the asynchronous part of a publish, which is longer for QoS 1 and for retained
 * messages, so a QoS 1 message that a QoS 0 one overtakes there is lost (2.0.0-beta.1). Its memory of counters is replaced
 * by one that forgets: overlapping subscriptions get a copy each, as MQTT 3.1.1 (3.3.5) allows.
 */
import { createServer, type Server, type Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { Aedes, type AedesPublishPacket, type Client, type PublishPacket } from "aedes";
import { isTardigradeError, TardigradeError } from "../../protocols/error.ts";
import { ERRORS, type ErrorCode } from "../../protocols/table.ts";
import { topicMatcher } from "./mqtt-match.ts";
import { boundQueues, type OutgoingQueues } from "./mqtt-queue-bound.ts";
import type { Broker, BrokerLogin, BrokerRules, Delivery, Dispose, Logger, Meter, Refusal } from "./seams.ts";
import { commonNameOf, type ServerTls, tlsOptions } from "./tls.ts";

export interface EmbeddedBrokerOptions<P> {
  readonly host?: string;
  /** 0 takes a free one. */
  readonly port: number;
  readonly rules: BrokerRules<P>;
  /** Who the client is, or the code that refuses it. */
  readonly authenticate: (login: BrokerLogin) => P | ErrorCode | Promise<P | ErrorCode>;
  /** TLS 1.2 or later; with `ca`, clients may show certificates. */
  readonly tls?: ServerTls;
  readonly limits?: Partial<EmbeddedBrokerLimits>;
  readonly meter: Meter;
  readonly logger: Logger;
}

export interface EmbeddedBrokerLimits {
  readonly clientsMax: number;
  readonly packetBytesMax: number;
  /** Queued for one client before QoS 0 publishes to it are dropped and counted. */
  readonly clientQueueBytesMax: number;
  /** Kept for one persistent session until its client acknowledges; further ones are dropped for it and counted. */
  readonly sessionMessagesMax: number;
  /** A client that does not read for so long is disconnected. */
  readonly drainTimeoutMs: number;
  readonly topicLevelsMax: number;
}

const DEFAULT_LIMITS: EmbeddedBrokerLimits = {
  clientsMax: 5000,
  packetBytesMax: 65_536,
  clientQueueBytesMax: 1024 * 1024,
  sessionMessagesMax: 1000,
  drainTimeoutMs: 30_000,
  topicLevelsMax: 16,
};

export interface EmbeddedBroker<P = unknown> extends Broker {
  readonly port: number;
  clientCount(): number;
  /** Ends the connections of those for whom `isOver` says true, and tells how many they were. */
  endWhere(isOver: (principal: P) => boolean): number;
}

interface Subscription {
  readonly matches: (topic: string) => boolean;
  readonly handler: (delivery: Delivery) => void;
}

/** Rejects with PORT_IN_USE. */
export async function openEmbeddedBroker<P>(options: EmbeddedBrokerOptions<P>): Promise<EmbeddedBroker<P>> {
  const limits = { ...DEFAULT_LIMITS, ...options.limits };
  const principals = new WeakMap<Client, P>();
  const refusedListeners = new Set<(refusal: Refusal) => void>();
  const subscriptions = new Set<Subscription>();
  const { rules, meter } = options;
  const whoIs = (client: Client) => ({ id: client.id, principal: principals.get(client) as P });

  const refuse = (code: ErrorCode, clientId: string, topic: string): void => {
    for (const listener of refusedListeners) listener({ code, clientId, topic });
  };
  const decide = (client: Client, topic: string): "take" | "route" | "refused" => {
    const decision = rules.publish(whoIs(client), topic);
    if (decision === "take" || decision === "route") return decision;
    refuse(decision, client.id, topic);
    return "refused";
  };

  const aedes = new Aedes({
    concurrency: 0,
    drainTimeout: limits.drainTimeoutMs,
    maximumPacketSize: limits.packetBytesMax,
    maxTopicLevels: limits.topicLevelsMax,
    maxClientsIdLength: 128,
    pendingSessionsLimit: limits.clientsMax,
    sessionExpiryIntervalLimit: 86_400,
    preConnect: (_client, _packet, done) => done(null, aedes.connectedClients < limits.clientsMax),
    authenticate: (client, username, password, done) => {
      const asked = options.authenticate(loginOf(client, username, password));
      Promise.resolve(asked)
        .catch((error: unknown) => (isTardigradeError(error) ? error.code : "INTERNAL"))
        .then((who) => {
          if (isErrorCode(who)) {
            refuse(who, client.id, "");
            return done(null, false);
          }
          principals.set(client, who as P);
          done(null, true);
        });
    },
    // The answer to a refused one is 0x80 (MQTT 3.1.1, 3.9.3); the connection lives.
    authorizeSubscribe: (client, subscription, done) => {
      const code = client === null ? undefined : rules.subscribe(whoIs(client), subscription.topic);
      if (code !== undefined && client !== null) refuse(code, client.id, subscription.topic);
      done(null, code === undefined ? subscription : null);
    },
    // MQTT 5 answers a refused publish with 0x87. For MQTT 3 an error here would end the connection and every message in
    // it; those publishes are dropped below instead.
    authorizePublish: (client, packet, done) => {
      if (client === null || client.version !== 5) return done(null);
      done(decide(client, packet.topic) === "refused" ? new Error("topic not allowed") : null);
    },
    authorizeForward: (client, packet) => {
      if (!rules.receive(whoIs(client), packet.topic)) return null;
      const queued = (client.conn as unknown as Socket).writableLength ?? 0;
      if (queued <= limits.clientQueueBytesMax) return packet;
      meter.count("tardigrade_broker_dropped_total");
      return null;
    },
  });
  await aedes.listen();
  boundQueues((aedes as unknown as { persistence: OutgoingQueues }).persistence, {
    messagesMax: limits.sessionMessagesMax,
    onDropped: () => meter.count("tardigrade_broker_dropped_total"),
  });

  const route = aedes.publish.bind(aedes) as unknown as PublishMethod;
  const intercepted: PublishMethod = (packet, client, done) => {
    if (client === null || typeof client !== "object") return route(packet, client, done);
    const who = whoIs(client);
    const decision = rules.publish(who, packet.topic);
    if (decision === "take" || decision === "route") {
      deliver(subscriptions, packet, { clientId: client.id, sender: rules.name(who.principal) });
      if (decision === "route") return route(packet, client, done);
    } else refuse(decision, client.id, packet.topic);
    done?.();
  };
  (aedes as unknown as { publish: PublishMethod }).publish = intercepted;
  const noCounters = Object.defineProperty({}, aedes.id, { get: () => 0, set: ignore });
  aedes.on("client", (client) => {
    (client as unknown as { duplicates: object }).duplicates = noCounters;
  });
  const connected = new Set<Client>();
  aedes.on("client", (client) => connected.add(client));
  aedes.on("clientDisconnect", (client) => connected.delete(client));
  aedes.on("clientError", () => meter.count("tardigrade_broker_client_errors_total"));
  aedes.on("connectionError", () => meter.count("tardigrade_broker_client_errors_total"));

  const handle = (socket: Socket): void => void aedes.handle(socket);
  const server =
    options.tls === undefined
      ? createServer({ noDelay: true }, handle)
      : createTlsServer(tlsOptions(options.tls), handle);
  // A failed handshake is the client's trouble.
  server.on("tlsClientError", () => meter.count("tardigrade_broker_client_errors_total"));
  let port: number;
  try {
    port = await listen(server, options.host ?? "127.0.0.1", options.port);
  } catch (error) {
    await new Promise<void>((resolve) => aedes.close(resolve));
    throw error;
  }
  options.logger.info("embedded broker listens", { host: options.host ?? "127.0.0.1", port });

  return {
    port,
    clientCount: () => aedes.connectedClients,
    endWhere: (isOver) => {
      const over = [...connected].filter((client) => isOver(principals.get(client) as P));
      for (const client of over) {
        // At once, and not when a last message is through.
        connected.delete(client);
        client.close();
      }
      return over.length;
    },
    publish: (topic, payload, publishOptions) => {
      const packet = {
        cmd: "publish" as const,
        topic,
        payload: toBuffer(payload),
        qos: publishOptions?.qos ?? 0,
        retain: publishOptions?.retain ?? false,
        dup: false,
      };
      route(packet as unknown as PublishPacket, undefined, ignore);
    },
    subscribe: async (filter, handler) => {
      const subscription: Subscription = { matches: topicMatcher(filter), handler };
      subscriptions.add(subscription);
      return () => subscriptions.delete(subscription);
    },
    onState: (listener): Dispose => {
      listener(true);
      return ignore;
    },
    onRefused: (listener) => {
      refusedListeners.add(listener);
      return () => refusedListeners.delete(listener);
    },
    close: async () => {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      await new Promise<void>((resolve) => aedes.close(resolve));
      await closed;
    },
  };
}

function loginOf(client: Client, username: unknown, password: unknown): BrokerLogin {
  const socket = client.conn as unknown as Socket;
  const text = (value: unknown): string | undefined =>
    value === undefined || value === null ? undefined : String(value);
  return {
    clientId: client.id,
    username: text(username),
    password: text(password),
    address: socket.remoteAddress ?? "unknown",
    commonName: commonNameOf(socket),
  };
}

function isErrorCode(value: unknown): value is ErrorCode {
  return typeof value === "string" && value in ERRORS;
}

type PublishMethod = (
  packet: PublishPacket | AedesPublishPacket,
  client: Client | null | undefined,
  done?: (error?: Error) => void,
) => void;

function deliver(
  subscriptions: ReadonlySet<Subscription>,
  packet: PublishPacket | AedesPublishPacket,
  from: { readonly clientId: string; readonly sender: string },
): void {
  for (const subscription of subscriptions) {
    if (!subscription.matches(packet.topic)) continue;
    subscription.handler({
      topic: packet.topic,
      payload: packet.payload as Uint8Array,
      // What is passed on to a subscription that was there is new, whatever its sender wants kept (MQTT 3.1.1, 3.3.1.3).
      retain: false,
      ...from,
    });
  }
}

function toBuffer(payload: Uint8Array | string): Buffer {
  return typeof payload === "string"
    ? Buffer.from(payload)
    : Buffer.from(payload.buffer, payload.byteOffset, payload.length);
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const inUse = cause.code === "EADDRINUSE";
      const message = inUse
        ? `Port ${port} on ${host} is in use; stop what listens there or choose another port.`
        : `The broker cannot listen on ${host}:${port}: ${cause.message}.`;
      reject(new TardigradeError(inUse ? "PORT_IN_USE" : "BROKER_UNREACHABLE", message, { cause }));
    });
    server.listen(port, host, () => {
      const address = server.address();
      resolve(typeof address === "object" && address !== null ? address.port : port);
    });
  });
}

function ignore(): void {}
