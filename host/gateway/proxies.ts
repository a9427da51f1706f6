/** The gateway's proxied devices: what its sources (Firmata, plain MQTT) get of it, and one ProxyDevice for each device. */
import { TardigradeError } from "../../protocols/error.ts";
import { checkDeviceId } from "../../protocols/topic.ts";
import type { Broker, Clock, Logger, Meter, Random } from "../io/seams.ts";
import type { DeviceLinks } from "./device-links.ts";
import type { ErrorMonitor } from "./error-monitor.ts";
import type { Ingest } from "./ingest.ts";
import type { PresenceBoard } from "./presence.ts";
import { ProxyDevice } from "./proxy-device.ts";
import type { ProxyHandlers, ProxyHost, ProxySource } from "./proxy-port.ts";
import type { SharedSite } from "./shared-site.ts";

export interface ProxiesOptions {
  readonly site: string;
  readonly broker: Broker;
  readonly clock: Clock;
  readonly random: Random;
  readonly monitor: ErrorMonitor;
  readonly meter: Meter;
  readonly logger: Logger;
  readonly links: DeviceLinks;
  readonly ingest: Ingest;
  readonly presence: PresenceBoard;
  readonly shared: SharedSite;
  readonly devicesMax: number;
  /** Of the device's newest hello, 0 before the first. */
  readonly lastBoot: (device: string) => number;
  readonly onError: (error: unknown) => void;
}

export class Proxies {
  readonly #options: ProxiesOptions;
  #sources: readonly ProxySource[] = [];
  readonly #devices = new Map<string, { readonly device: ProxyDevice; readonly handlers: ProxyHandlers }>();

  constructor(options: ProxiesOptions) {
    this.#options = options;
  }

  async open(sources: readonly ProxySource[]): Promise<void> {
    const host = this.#host();
    this.#sources = sources;
    for (const source of sources) await source.open(host);
  }

  async close(): Promise<void> {
    for (const source of this.#sources) {
      try {
        await source.close();
      } catch (error) {
        this.#options.onError(error);
      }
    }
  }

  /** What it heard of the device goes to the log now. */
  flush(id: string): void {
    this.#devices.get(id)?.device.flush();
  }

  /** Another gateway speaks for it from now on. */
  release(id: string): void {
    const proxied = this.#devices.get(id);
    if (proxied === undefined) return;
    this.#devices.delete(id);
    this.#options.links.remove(id);
    proxied.handlers.onReleased?.();
  }

  #host(): ProxyHost {
    const { site, broker, clock, random, monitor, meter, logger, links, ingest, presence, shared } =
      this.#options;
    return {
      ...{ site, broker, clock, random, monitor, meter, logger },
      serves: (id) => shared.serves(id),
      device: (id, handlers, { silenceMs, isLocal = false } = {}) => {
        checkDeviceId(id);
        if (this.#devices.size >= this.#options.devicesMax) {
          throw new TardigradeError(
            "DEVICE_LIMIT",
            `The gateway holds ${this.#devices.size} devices already.`,
          );
        }
        const device = new ProxyDevice({
          ...{ device: id, handlers, clock, random, meter },
          lastBoot: this.#options.lastBoot(id),
          receive: (payload) => {
            try {
              ingest.receive(id, payload);
            } catch (error) {
              this.#options.onError(error);
            }
          },
          heard: () => {
            if (ingest.sessions.get(id)?.open) presence.heard(id);
          },
          offline: () => presence.hint(id, "offline"),
        });
        links.add(device);
        if (isLocal) shared.keepLocal(id);
        this.#devices.set(id, { device, handlers });
        if (silenceMs !== undefined) presence.setSilence(id, silenceMs);
        return device;
      },
    };
  }
}
