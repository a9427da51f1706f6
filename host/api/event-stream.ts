/**
 * What happens, as server-sent events (WHATWG HTML, section 9.2). An event's id is its log offset, so a client that lost its
 * connection says Last-Event-ID and goes on with the record after it.
 *
 * One record may cause several events of one offset. Only the last of them carries the id: a connection cut between them resumes
 * before that record and tells it again; one cut after them resumes behind it. So nothing is missed, and what is told twice is
 * told twice only after a cut in that spot. Events that come in one go are written in one go, which is also how the run of
 * one offset is seen.
 *
 * A client that reads slower than things happen is not waited for: at QUEUE_BYTES_MAX waiting in its socket it is told why and
 * closed. It comes back with Last-Event-ID and has lost nothing that the log still holds.
 */
import type { ServerResponse } from "node:http";
import { TardigradeError } from "../../protocols/error.ts";
import type { GatewayEvent, GatewayService } from "../gateway/service.ts";
import type { Clock, Dispose, Logger, Meter } from "../io/seams.ts";

export const CLIENTS_MAX = 64;
export const QUEUE_BYTES_MAX = 1024 * 1024;
/** Events between two writes; replay may tell many in one go. */
export const QUEUE_EVENTS_MAX = 10_000;
/** Below the 30 to 60 seconds after which proxies drop an idle connection. */
export const HEARTBEAT_MS = 15_000;
/** How long a browser waits before it connects again. */
const RETRY_MS = 2000;
/** Given to a closed client to read the reason. */
const LINGER_MS = 1000;

export type CloseReason = "client" | "slow" | "shutdown" | "revoked" | "error";

export interface EventStreams {
  /** Answers a request with the stream. Throws QUEUE_FULL when there are CLIENTS_MAX. */
  open(response: ServerResponse, options: StreamOptions): void;
  readonly clients: number;
  /** Ends all of them. */
  close(): void;
}

export interface StreamOptions {
  readonly from?: number;
  /** Asked at each heartbeat: a revoked token's stream ends. */
  readonly isAllowed?: () => boolean;
}

interface EventStreamOptions {
  readonly service: Pick<GatewayService, "events">;
  readonly clock: Clock;
  readonly meter: Meter;
  readonly logger: Logger;
}

export function eventStreams(options: EventStreamOptions): EventStreams {
  const open = new Set<EventStream>();
  const tell = (): void => options.meter.gauge("sse_clients", open.size);
  return {
    open: (response, { from, isAllowed = () => true }) => {
      if (open.size >= CLIENTS_MAX) {
        throw new TardigradeError(
          "QUEUE_FULL",
          `${CLIENTS_MAX} clients follow the events already; try later.`,
        );
      }
      const stream = new EventStream({ ...options, isAllowed }, response, (reason) => {
        open.delete(stream);
        options.meter.count("sse_closed", { reason });
        tell();
      });
      open.add(stream);
      tell();
      stream.start(from);
    },
    get clients() {
      return open.size;
    },
    close: () => {
      for (const stream of open) stream.end("shutdown", "SHUTDOWN", "The gateway is stopping.");
    },
  };
}

class EventStream {
  readonly #options: EventStreamOptions & { readonly isAllowed: () => boolean };
  readonly #response: ServerResponse;
  readonly #onEnd: (reason: CloseReason) => void;
  #pending: GatewayEvent[] = [];
  #flushing = false;
  #ended = false;
  /** Highest id written; ids never go back. */
  #lastId = -1;
  #unsubscribe: Dispose = () => undefined;
  #stopHeartbeat: Dispose = () => undefined;

  constructor(
    options: EventStreamOptions & { readonly isAllowed: () => boolean },
    response: ServerResponse,
    onEnd: (reason: CloseReason) => void,
  ) {
    this.#options = options;
    this.#response = response;
    this.#onEnd = onEnd;
  }

  start(from: number | undefined): void {
    const response = this.#response;
    response.on("close", () => this.#finish("client"));
    response.on("error", () => this.#finish("client"));
    response.writeHead(200, {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store",
      "x-accel-buffering": "no",
      // Nothing follows a stream, and a client that was closed should see that it was.
      connection: "close",
      "x-content-type-options": "nosniff",
    });
    response.write(`retry: ${RETRY_MS}\n\n`);
    this.#armHeartbeat();
    try {
      const unsubscribe = this.#options.service.events(
        (event) => this.#take(event),
        from === undefined ? {} : { from },
      );
      if (this.#ended) unsubscribe();
      else this.#unsubscribe = unsubscribe;
    } catch (error) {
      this.#options.logger.error("the event stream could not begin", { error });
      this.end("error", "INTERNAL", "The stream could not begin.");
    }
  }

  /** Says why, then closes. */
  end(reason: CloseReason, code: string, message: string): void {
    if (this.#ended) return;
    const response = this.#response;
    this.#finish(reason);
    response.end(`event: closed\ndata: ${JSON.stringify({ error: { code, message } })}\n\n`);
    const { clock } = this.#options;
    const stop = clock.alarm(LINGER_MS, () => response.destroy(), { background: true });
    response.on("close", stop);
  }

  #take(event: GatewayEvent): void {
    if (this.#ended) return;
    this.#pending.push(event);
    if (this.#pending.length > QUEUE_EVENTS_MAX) return this.#tooSlow();
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      this.#flush();
    });
  }

  #flush(): void {
    const events = this.#pending;
    if (this.#ended || events.length === 0) return;
    this.#pending = [];
    let text = "";
    for (let at = 0; at < events.length; at += 1) {
      const event = events[at] as GatewayEvent;
      const endsRecord = events[at + 1]?.offset !== event.offset;
      if (endsRecord && event.offset > this.#lastId) {
        this.#lastId = event.offset;
        text += `id: ${event.offset}\n`;
      }
      // JSON has no raw line feed, so one data line holds it.
      text += `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
    }
    this.#options.meter.count("sse_events", undefined, events.length);
    this.#response.write(text);
    if (this.#response.writableLength > QUEUE_BYTES_MAX) this.#tooSlow();
  }

  #tooSlow(): void {
    this.#options.logger.warn("a client of the event stream reads too slowly and was closed", {
      code: "QUEUE_FULL",
    });
    this.end(
      "slow",
      "QUEUE_FULL",
      "This client reads slower than events happen; connect again with Last-Event-ID.",
    );
  }

  #armHeartbeat(): void {
    this.#stopHeartbeat = this.#options.clock.alarm(
      HEARTBEAT_MS,
      () => {
        if (!this.#options.isAllowed()) {
          return this.end("revoked", "UNAUTHORIZED", "The token or log-in has expired or was revoked.");
        }
        this.#response.write(": heartbeat\n\n");
        this.#armHeartbeat();
      },
      { background: true },
    );
  }

  #finish(reason: CloseReason): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#pending = [];
    this.#unsubscribe();
    this.#stopHeartbeat();
    this.#onEnd(reason);
  }
}
