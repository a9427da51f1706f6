/** The gateway's subscriptions: a topic and a payload from anybody become calls, or a code in the error monitor. */
import { isTardigradeError } from "../../protocols/error.ts";
import type { ErrorCode } from "../../protocols/table.ts";
import { isDeviceId, TOPIC_ROOT } from "../../protocols/topic.ts";
import type { Broker, Delivery, Dispose, Refusal } from "../io/seams.ts";
import type { Audit } from "./access/audit.ts";
import { parseObject } from "./bridge.ts";
import type { ErrorMonitor } from "./error-monitor.ts";
import type { Patch } from "./shadows.ts";

export const SET_BYTES_MAX = 4096;
/** Longest word on an availability topic. */
const WORD_BYTES_MAX = 16;

export interface InboxOptions {
  readonly site: string;
  readonly monitor: ErrorMonitor;
  readonly receive: (device: string, payload: Uint8Array) => void;
  /** Another gateway hears the others. */
  readonly serves: (device: string) => boolean;
  /** The gateway speaks for the device; nobody else may. */
  readonly isProxied: (device: string) => boolean;
  readonly availability: (device: string, word: string) => void;
  readonly patch: (device: string, patch: Patch) => Promise<unknown>;
  readonly get: (device: string) => void;
  readonly request: (topic: string, payload: Uint8Array, sender: string | undefined) => void;
  /** The broker itself refused a publish. */
  readonly refused: () => void;
  readonly audit?: Pick<Audit, "add"> | undefined;
}

export class Inbox {
  readonly #options: InboxOptions;
  readonly #prefix: string;

  constructor(options: InboxOptions) {
    this.#options = options;
    this.#prefix = `${TOPIC_ROOT}/${options.site}/`;
  }

  async subscribe(broker: Broker): Promise<Dispose[]> {
    const { receive, isProxied, availability, get, request } = this.#options;
    const words = new TextDecoder();
    const disposers: Dispose[] = [];
    const channel = async (
      name: string,
      handle: (device: string, delivery: Delivery) => void,
      own: boolean,
    ): Promise<void> => {
      disposers.push(
        await broker.subscribe(`${this.#prefix}+/${name}`, (delivery) =>
          this.#guard(delivery, () => {
            const device = delivery.topic.slice(this.#prefix.length, -name.length - 1);
            if (!isDeviceId(device)) return this.#refuse("DEVICE_ID_INVALID", delivery, device);
            if (own && !isOwner(delivery, device)) return this.#refuse("TOPIC_FOREIGN", delivery, device);
            if (!this.#options.serves(device)) return;
            handle(device, delivery);
          }),
        ),
      );
    };
    await channel(
      "up",
      (device, delivery) => {
        if (isProxied(device)) return this.#refuse("TOPIC_FOREIGN", delivery, device);
        receive(device, delivery.payload);
      },
      true,
    );
    await channel(
      "availability",
      (device, { payload }) => {
        // Of a proxied device it is the gateway's own, which an external broker sends back.
        if (payload.length <= WORD_BYTES_MAX && !isProxied(device))
          availability(device, words.decode(payload));
      },
      true,
    );
    await channel("set", (device, delivery) => this.#set(device, delivery), false);
    await channel("get", (device) => get(device), false);
    disposers.push(
      await broker.subscribe(`${this.#prefix}bridge/request/#`, (delivery) => {
        if (!delivery.retain)
          this.#guard(delivery, () => request(delivery.topic, delivery.payload, delivery.sender));
      }),
    );
    const refusals = broker.onRefused?.((refusal) => this.#refusedByBroker(refusal));
    if (refusals !== undefined) disposers.push(refusals);
    return disposers;
  }

  #refusedByBroker({ code, topic, clientId }: Refusal): void {
    const client = clientId.slice(0, 40);
    const message = `Client "${client}" may not publish on "${topic.slice(0, 80)}".`;
    this.#options.refused();
    this.#options.monitor.report(code, { component: "broker", message, context: { client } });
  }

  #set(device: string, delivery: Delivery): void {
    // A retained /set would be applied again at every start of the gateway.
    if (delivery.retain) return;
    if (delivery.payload.length > SET_BYTES_MAX) {
      return this.#report(
        "PAYLOAD_OVERSIZE",
        device,
        `A patch of a shadow has at most ${SET_BYTES_MAX} bytes.`,
      );
    }
    const patch = parseObject(delivery.payload, "A patch of a shadow") as Patch;
    const who = delivery.sender ?? "somebody";
    this.#options.audit?.add({ who, via: "mqtt", action: "set", target: device, outcome: "asked" });
    this.#options.patch(device, patch).catch((error: unknown) => this.#caught(error, device));
  }

  #guard(delivery: Delivery, work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#caught(error, delivery.topic.slice(this.#prefix.length).split("/", 1)[0] ?? "");
    }
  }

  #caught(error: unknown, device: string): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#report(isTardigradeError(error) ? error.code : "INTERNAL", device, message);
  }

  #refuse(code: ErrorCode, delivery: Delivery, device: string): void {
    const who = delivery.clientId === undefined ? "Somebody" : `Client "${delivery.clientId.slice(0, 40)}"`;
    this.#report(code, device.slice(0, 40), `${who} may not publish on "${delivery.topic.slice(0, 80)}".`);
  }

  #report(code: ErrorCode, device: string, message: string): void {
    this.#options.monitor.report(code, { component: "inbox", device, message });
  }
}

/** The gateway's own echo on an external broker has no client id; there the ACL guards the topic. */
function isOwner(delivery: Delivery, device: string): boolean {
  return delivery.clientId === undefined || delivery.clientId === device || delivery.clientId === "gateway";
}
