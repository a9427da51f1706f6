/**
 * The gateway's own topics: `bridge/request/<verb>` answered on `bridge/response/<verb>` with the same `transaction`, and the
 * retained `bridge/state`, `info`, `devices`, `health`. Whoever can speak MQTT can ask what HTTP answers.
 */
import { isTardigradeError, TardigradeError } from "../../protocols/error.ts";
import { wireErrorJson } from "../../protocols/error-json.ts";
import type { Value } from "../../protocols/messages.generated.ts";
import { ERRORS } from "../../protocols/table.ts";
import { bridgeTopic } from "../../protocols/topic.ts";
import type { Broker, Dispose } from "../io/seams.ts";
import type { Audit } from "./access/audit.ts";
import type { ErrorMonitor } from "./error-monitor.ts";
import type { GatewayService } from "./service.ts";
import type { SharedSite } from "./shared-site.ts";

export const REQUEST_BYTES_MAX = 16_384;
/** Requests being answered; commands may take long. */
export const REQUESTS_MAX = 64;
const HISTORY_POINTS_MAX = 10_000;

type Request = Readonly<Record<string, unknown>>;

export class Bridge {
  readonly #site: string;
  readonly #broker: Broker;
  readonly #service: GatewayService;
  readonly #monitor: ErrorMonitor;
  readonly #audit: Pick<Audit, "add"> | undefined;
  readonly #shared: Pick<SharedSite, "isShared" | "isSpokesman" | "isLast" | "serves">;
  #running = 0;

  constructor(options: {
    readonly site: string;
    readonly broker: Broker;
    readonly service: GatewayService;
    readonly monitor: ErrorMonitor;
    readonly audit?: Pick<Audit, "add"> | undefined;
    readonly shared: Pick<SharedSite, "isShared" | "isSpokesman" | "isLast" | "serves">;
  }) {
    this.#shared = options.shared;
    this.#audit = options.audit;
    this.#site = options.site;
    this.#broker = options.broker;
    this.#service = options.service;
    this.#monitor = options.monitor;
  }

  /** A publish on bridge/request/<verb>. Never throws. */
  request(topic: string, payload: Uint8Array, sender = "somebody"): void {
    if (!this.#isAsked(payload)) return;
    const verb = topic.slice(bridgeTopic(this.#site, "request/").length);
    if (!/^[a-z]+(\/[a-z]+)?$/.test(verb)) {
      const message = `"${verb.slice(0, 40)}" is no request; ask for one of ${VERBS.join(", ")}.`;
      this.#monitor.report("REQUEST_UNKNOWN", { component: "bridge", message });
      return;
    }
    let transaction: unknown;
    try {
      if (this.#running >= REQUESTS_MAX) {
        throw new TardigradeError(
          "QUEUE_FULL",
          `${REQUESTS_MAX} requests are being answered; try again soon.`,
        );
      }
      const request = parse(payload);
      transaction = request.transaction;
      if (!(READING_VERBS as readonly string[]).includes(verb)) this.#audited(verb, request, sender);
      const answer = this.#answer(verb, request);
      if (!(answer instanceof Promise)) return this.#respond(verb, transaction, answer);
      this.#running += 1;
      answer
        .then(
          (data) => this.#respond(verb, transaction, data),
          (error: unknown) => this.#fail(verb, transaction, error),
        )
        .finally(() => {
          this.#running -= 1;
        });
    } catch (error) {
      this.#fail(verb, transaction, error);
    }
  }

  /** Of a device the gateway that serves it; of anything else the one that speaks for the site. */
  #isAsked(payload: Uint8Array): boolean {
    if (!this.#shared.isShared) return true;
    try {
      const { device } = parse(payload);
      if (typeof device === "string") return this.#shared.serves(device);
    } catch {
      // What cannot be read is answered by one.
    }
    return this.#shared.isSpokesman;
  }

  announce(): void {
    this.#retain("state", "online");
    this.#retain("info", JSON.stringify(this.#service.info()));
    this.devices();
    this.health();
  }

  devices(): void {
    const devices = this.#service
      .devices()
      .map(({ id, state, board, app, version }) => ({ id, state, board, app, version }));
    this.#retain("devices", JSON.stringify(devices));
  }

  /**
   * Every gateway's connection has a last will that says that the site is offline, and one may have just ended: who speaks for the site says that it is
   * not.
   */
  watchState(): Promise<Dispose> {
    return this.#broker.subscribe(bridgeStateTopic(this.#site), ({ payload }) => {
      if (new TextDecoder().decode(payload.subarray(0, 16)) !== "online") this.#retain("state", "online");
    });
  }

  health(): void {
    this.#retain("health", JSON.stringify(this.#service.health()));
  }

  /** The last gateway of a site says it, whoever spoke for the site. */
  offline(): void {
    if (this.#shared.isLast) this.#publish("state", "offline");
  }

  #retain(path: string, payload: string): void {
    if (this.#shared.isSpokesman) this.#publish(path, payload);
  }

  #publish(path: string, payload: string): void {
    this.#broker.publish(bridgeTopic(this.#site, path), payload, { retain: true, qos: 1 });
  }

  #answer(verb: string, request: Request): unknown {
    const service = this.#service;
    switch (verb) {
      case "health":
        return service.health();
      case "info":
        return service.info();
      case "devices":
        return service.devices();
      case "errors":
        return service.errors();
      case "alerts":
        return service.alerts();
      case "device": {
        const id = text(request, "device");
        const device = service.device(id);
        if (device === undefined) throw new TardigradeError("DEVICE_UNKNOWN", `There is no device "${id}".`);
        return device;
      }
      case "history":
        return service.history({
          device: text(request, "device"),
          metric: text(request, "metric"),
          fromMs: number(request, "fromMs", 0),
          toMs: number(request, "toMs", Number.MAX_SAFE_INTEGER),
          resolution: resolution(request.resolution),
          limit: Math.min(number(request, "limit", 1000), HISTORY_POINTS_MAX),
        });
      case "shadow/get":
        return service.shadow(text(request, "device"));
      case "shadow/set": {
        const ifVersion = request.ifVersion;
        return service.setDesired(
          text(request, "device"),
          values(request, "desired") as Readonly<Record<string, Value | null>>,
          typeof ifVersion === "number" ? { ifVersion } : {},
        );
      }
      case "command": {
        const timeoutMs = request.timeoutMs;
        const args = request.args === undefined ? {} : { args: values(request, "args") };
        return service.command(text(request, "device"), {
          name: text(request, "name"),
          ...(args as { readonly args?: Readonly<Record<string, Value>> }),
          ...(typeof timeoutMs === "number" ? { timeoutMs } : {}),
        });
      }
      default:
        throw new TardigradeError(
          "REQUEST_UNKNOWN",
          `There is no request "${verb}"; ask for ${VERBS.join(", ")}.`,
        );
    }
  }

  /** Asked, whatever comes of it: how it ended is in the log with the command itself. */
  #audited(verb: string, { device, name }: Request, who: string): void {
    const what = typeof name === "string" ? `${verb} ${name}` : verb;
    this.#audit?.add({ who, via: "mqtt", action: what, target: String(device ?? ""), outcome: "asked" });
  }

  #respond(verb: string, transaction: unknown, data: unknown): void {
    this.#send(verb, { status: "ok", ...withTransaction(transaction), data });
  }

  #fail(verb: string, transaction: unknown, error: unknown): void {
    const code = isTardigradeError(error) ? error.code : "INTERNAL";
    const message = error instanceof Error ? error.message : String(error);
    // What the device or the shadow answered is no fault of the bridge and is counted where it happened.
    if (
      code.startsWith("REQUEST") ||
      code === "INTERNAL" ||
      code === "QUEUE_FULL" ||
      code === "PAYLOAD_OVERSIZE"
    ) {
      this.#monitor.report(code, { component: "bridge", message });
    }
    // Of a bug nothing but that there is one: its message may hold anything.
    const told =
      isTardigradeError(error) && code !== "INTERNAL"
        ? error
        : new TardigradeError("INTERNAL", ERRORS.INTERNAL.help);
    this.#send(verb, { status: "error", ...withTransaction(transaction), error: wireErrorJson(told) });
  }

  #send(verb: string, answer: unknown): void {
    this.#broker.publish(bridgeTopic(this.#site, `response/${verb}`), JSON.stringify(answer), { qos: 1 });
  }
}

/** Where the bridge says whether it is there; the last will of an external broker's client. */
export function bridgeStateTopic(site: string): string {
  return bridgeTopic(site, "state");
}

export const VERBS = [
  "health",
  "info",
  "devices",
  "device",
  "history",
  "shadow/get",
  "shadow/set",
  "command",
  "errors",
  "alerts",
] as const;

/** Those that change nothing; the others need the role operator. */
export const READING_VERBS = [
  "health",
  "info",
  "devices",
  "device",
  "history",
  "shadow/get",
  "errors",
  "alerts",
] as const;

function withTransaction(transaction: unknown): { readonly transaction?: unknown } {
  return transaction === undefined ? {} : { transaction };
}

function parse(payload: Uint8Array): Request {
  if (payload.length > REQUEST_BYTES_MAX) {
    throw new TardigradeError("PAYLOAD_OVERSIZE", `A request has at most ${REQUEST_BYTES_MAX} bytes.`);
  }
  if (payload.length === 0) return {};
  return parseObject(payload, "A request");
}

/** A JSON object from outside. Throws REQUEST_INVALID. */
export function parseObject(payload: Uint8Array, what: string): Request {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(payload));
  } catch (cause) {
    throw new TardigradeError("REQUEST_INVALID", `${what} must be JSON in UTF-8.`, { cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new TardigradeError("REQUEST_INVALID", `${what} must be a JSON object.`);
  }
  return value as Request;
}

function text(request: Request, key: string): string {
  const value = request[key];
  if (typeof value === "string" && value.length > 0 && value.length <= 128) return value;
  throw new TardigradeError("REQUEST_INVALID", `"${key}" must be a text of 1 to 128 characters.`);
}

function number(request: Request, key: string, otherwise: number): number {
  const value = request[key] ?? otherwise;
  if (typeof value === "number" && Number.isFinite(value) && value >= 0) return value;
  throw new TardigradeError("REQUEST_INVALID", `"${key}" must be a number of at least 0.`);
}

function values(request: Request, key: string): Request {
  const value = request[key];
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Request;
  throw new TardigradeError("REQUEST_INVALID", `"${key}" must be an object of names and values.`);
}

function resolution(value: unknown): "raw" | "minute" | "hour" {
  if (value === undefined) return "raw";
  if (value === "raw" || value === "minute" || value === "hour") return value;
  throw new TardigradeError("REQUEST_INVALID", '"resolution" must be raw, minute or hour.');
}
