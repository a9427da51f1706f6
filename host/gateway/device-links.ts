/**
 * Ways to a device beside the broker. A device that is heard over one gets its messages there; else they go to its topic.
 */
import { TardigradeError } from "../../protocols/error.ts";
import type { Message } from "../../protocols/messages.generated.ts";
import { isDeviceId } from "../../protocols/topic.ts";

/** Ports of one machine; a hub with more boards than this wants a gateway of its own. */
export const LINKS_MAX = 64;

export interface DeviceLink {
  readonly device: string;
  /** The device is heard over it. */
  readonly isUp: boolean;
  open(): void;
  /** Takes the message or drops it: whatever a gateway sends is sent again until it is answered. */
  send(message: Message): void;
  close(): void;
}

/** Which device hangs at which serial port. */
export interface SerialBinding {
  readonly port: string;
  /** Bits a second. */
  readonly baudRate: number;
  readonly device: string;
}

/** Throws CONFIG_INVALID where two links would speak for one device or share a port. */
export function checkBindings(bindings: readonly SerialBinding[]): void {
  const wrong = (message: string): never => {
    throw new TardigradeError("CONFIG_INVALID", message, { context: { component: "serial" } });
  };
  if (bindings.length > LINKS_MAX) wrong(`A gateway has at most ${LINKS_MAX} serial links.`);
  for (const [index, { port, device }] of bindings.entries()) {
    if (!isDeviceId(device)) wrong(`"${device.slice(0, 40)}" at ${port} is no device id.`);
    const before = bindings.slice(0, index);
    if (before.some((other) => other.device === device)) wrong(`${device} has two serial links.`);
    if (before.some((other) => other.port === port)) wrong(`${port} has two devices.`);
  }
}

export class DeviceLinks {
  readonly #links: Map<string, DeviceLink>;
  /** Of the configuration; the others came by add(). */
  readonly #bound: readonly DeviceLink[];

  constructor(links: readonly DeviceLink[]) {
    this.#bound = links;
    this.#links = new Map(links.map((link) => [link.device, link]));
  }

  /** Serial links. */
  get count(): number {
    return this.#bound.length;
  }
  get upCount(): number {
    return this.#bound.filter((link) => link.isUp).length;
  }

  open(): void {
    for (const link of this.#bound) link.open();
  }

  /** A link for good that came later. Throws CONFIG_INVALID when the device has one. */
  add(link: DeviceLink): void {
    const { device } = link;
    if (this.#links.has(device)) {
      const message = `${device} is reached in two ways; give one of them another device id.`;
      throw new TardigradeError("CONFIG_INVALID", message, { context: { component: "links", device } });
    }
    this.#links.set(device, link);
    link.open();
  }

  /** One that came by add(). */
  remove(device: string): void {
    if (!this.isProxied(device)) return;
    this.#links.get(device)?.close();
    this.#links.delete(device);
  }

  /** The gateway itself speaks for the device: whoever says to be it over MQTT is somebody else. */
  isProxied(device: string): boolean {
    const link = this.#links.get(device);
    return link !== undefined && !this.#bound.includes(link);
  }

  /** False when the device is not at a link: the broker is the way to it. */
  send(device: string, message: Message): boolean {
    const link = this.#links.get(device);
    if (link === undefined || !link.isUp) return false;
    link.send(message);
    return true;
  }

  close(): void {
    for (const link of this.#links.values()) link.close();
  }
}
