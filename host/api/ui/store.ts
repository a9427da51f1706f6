/**
 * Brings what happens into the model and tells views to paint, once an animation frame at most. One EventSource for the page:
 * the browser reconnects it with Last-Event-ID; what a longer absence left out is read anew as a whole.
 */
import { useEffect, useReducer } from "preact/hooks";
import type { GatewayEvent } from "../../gateway/service.ts";
import { after, every, nowMs } from "./clock.ts";
import { apply, newModel, type Session, tick } from "./model.ts";

export type Connection = "connecting" | "live" | "lost" | "login";

const REFRESH_MS = 5000;
const RETRY_MS = 2000;
/** Of the log, read at the start so that logs are not empty. */
const REPLAY_BYTES = 200_000;
const TYPES = ["device", "readings", "event", "log", "error", "shadow", "command", "alert"] as const;

type ReadingsEvent = Extract<GatewayEvent, { type: "readings" }>;

export class ApiError extends Error {
  readonly code: string;
  constructor(code: string, message: string) {
    super(message);
    this.code = code;
  }
}

export async function ask<T>(
  path: string,
  options: {
    readonly method?: string;
    readonly body?: unknown;
    readonly headers?: Record<string, string>;
  } = {},
): Promise<T> {
  const { method = "GET", body, headers = {} } = options;
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      headers: body === undefined ? headers : { ...headers, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch {
    throw new ApiError("GATEWAY_UNREACHABLE", "The gateway does not answer; is it running?");
  }
  const json = (await response.json().catch(() => ({}))) as T & { error?: { code: string; message: string } };
  if (response.ok) return json;
  if (response.status === 401) store.lostLogin();
  throw new ApiError(
    json.error?.code ?? "INTERNAL",
    json.error?.message ?? `The gateway answered ${response.status}.`,
  );
}

class Store {
  readonly model = newModel();
  session: Session | undefined;
  connection: Connection = "connecting";
  #source: EventSource | undefined;
  #painters = new Set<() => void>();
  #painting = false;
  readonly #readings = new Set<(event: ReadingsEvent) => void>();
  #tickedMs = nowMs();

  start(): void {
    every(1000, () => this.#tick());
    every(REFRESH_MS, () => {
      if (this.connection === "live") this.#refresh().catch(() => undefined);
    });
    this.open().catch(() => undefined);
  }

  /** Who we are, then everything, then what happens from there. */
  async open(): Promise<void> {
    this.#source?.close();
    try {
      this.session = await ask<Session>("/api/session");
      await this.#refresh();
      this.#listen();
    } catch (error) {
      if (error instanceof ApiError && error.code === "UNAUTHORIZED") return;
      this.#set("lost");
      after(RETRY_MS, () => void this.open());
    }
  }

  lostLogin(): void {
    this.#source?.close();
    this.session = undefined;
    this.#set("login");
  }

  onReadings(listener: (event: ReadingsEvent) => void): () => void {
    this.#readings.add(listener);
    return () => this.#readings.delete(listener);
  }

  onPaint(painter: () => void): () => void {
    this.#painters.add(painter);
    return () => this.#painters.delete(painter);
  }

  changed(): void {
    if (this.#painting) return;
    this.#painting = true;
    requestAnimationFrame(() => {
      this.#painting = false;
      for (const paint of this.#painters) paint();
    });
  }

  #set(connection: Connection): void {
    this.connection = connection;
    this.changed();
  }

  async #refresh(): Promise<void> {
    const { model } = this;
    const [info, health, { errors }, { alerts }] = await Promise.all([
      ask<typeof model.info>("/api/info"),
      ask<typeof model.health>("/api/health"),
      ask<{ errors: typeof model.errors }>("/api/errors"),
      ask<{ alerts: typeof model.alerts }>("/api/alerts"),
    ]);
    Object.assign(model, { info, health, errors, alerts });
    let after = "";
    do {
      const page = await ask<{
        devices: Extract<GatewayEvent, { type: "device" }>["device"][];
        next?: string;
      }>(`/api/devices${after === "" ? "" : `?after=${after}`}`);
      for (const device of page.devices) model.devices.set(device.id, device);
      after = page.next ?? "";
    } while (after !== "");
    this.changed();
  }

  #listen(): void {
    this.model.countFromMs = nowMs();
    const end = this.model.info?.log.syncedOffset ?? 0;
    const source = new EventSource(`/api/events?from=${Math.max(0, end - REPLAY_BYTES)}`);
    this.#source = source;
    source.addEventListener("open", () => {
      const back = this.connection === "lost";
      this.#set("live");
      if (back) this.#refresh().catch(() => undefined);
    });
    for (const type of TYPES) {
      source.addEventListener(type, (message) => {
        // The type `error` is also that of a lost connection, which has no data.
        const { data } = message as MessageEvent<string | undefined>;
        if (data !== undefined) this.#take(JSON.parse(data));
      });
    }
    source.addEventListener("error", (event) => {
      if ((event as MessageEvent<string | undefined>).data !== undefined) return;
      this.#set("lost");
      if (source.readyState !== EventSource.CLOSED) return;
      after(RETRY_MS, () => void this.open());
    });
  }

  #take(event: GatewayEvent): void {
    apply(this.model, event);
    if (event.type === "readings") for (const listener of this.#readings) listener(event);
    this.changed();
  }

  /** Ages grow and rates fall although nothing happens. */
  #tick(): void {
    const now = nowMs();
    tick(this.model, now - this.#tickedMs);
    this.#tickedMs = now;
    this.changed();
  }
}

export const store = new Store();

/** Paints the component again whenever the store has something new. */
export function useStore(): Store {
  const [, paint] = useReducer((count: number) => count + 1, 0);
  useEffect(() => store.onPaint(() => paint(undefined)), []);
  return store;
}
