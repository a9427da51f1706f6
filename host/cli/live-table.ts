/** A table of the fleet that redraws itself, fed by the retained state topics of any broker. */
import type { MqttClient } from "mqtt";
import { parseDeviceTopic, stateTopic } from "../../protocols/topic.ts";
import { systemClock } from "../io/clock.ts";
import { age, bold, dim, green, print, red, table, yellow } from "./output.ts";

export interface DeviceState {
  readonly state?: string;
  readonly app?: string;
  readonly version?: string;
  readonly lastSeen?: number;
  readonly metrics?: Readonly<
    Record<string, { readonly value?: number; readonly unit?: string; readonly timeMs?: number }>
  >;
}

const REDRAW_MS = 1_000;
const METRICS_SHOWN = 3;
const STATE_BYTES_MAX = 64 * 1024;
const DEVICES_MAX = 10_000;
const CLEAR = "\u001b[H\u001b[J";

export class LiveTable {
  readonly #client: MqttClient;
  readonly #site: string;
  readonly #clock = systemClock();
  readonly #devices = new Map<string, DeviceState>();
  #cancel: () => void = () => {};
  #status: () => string = () => "";

  constructor(client: MqttClient, site: string) {
    this.#client = client;
    this.#site = site;
  }

  get devices(): ReadonlyMap<string, DeviceState> {
    return this.#devices;
  }

  /** Follows the topics; draws each second when `status` is given. */
  async open(status?: () => string): Promise<void> {
    this.#client.on("message", this.#take);
    await this.#client.subscribeAsync(stateTopic(this.#site, "+"), { qos: 1 });
    if (status === undefined) return;
    this.#status = status;
    this.#draw();
  }

  async close(): Promise<void> {
    this.#cancel();
    this.#client.removeListener("message", this.#take);
    if (this.#client.connected)
      await this.#client.unsubscribeAsync(stateTopic(this.#site, "+")).catch(() => undefined);
  }

  readonly #take = (topic: string, payload: Buffer): void => {
    const parsed = parseDeviceTopic(topic);
    if (parsed === undefined || parsed.channel !== undefined || payload.length > STATE_BYTES_MAX) return;
    if (payload.length === 0) {
      this.#devices.delete(parsed.device);
      return;
    }
    if (this.#devices.size >= DEVICES_MAX && !this.#devices.has(parsed.device)) return;
    try {
      this.#devices.set(parsed.device, JSON.parse(payload.toString()) as DeviceState);
    } catch {
      // Somebody else's retained payload on our topic; the next state replaces it.
    }
  };

  #draw(): void {
    const rows = Math.max(5, (process.stdout.rows ?? 40) - 6);
    print(
      `${CLEAR}${bold(`site ${this.#site}`)}  ${this.summary()}\n\n${this.render(rows)}\n\n${dim(this.#status())}`,
    );
    this.#cancel = this.#clock.alarm(REDRAW_MS, () => this.#draw());
  }

  summary(): string {
    const states = [...this.#devices.values()].map((device) => device.state);
    const online = states.filter((state) => state === "online").length;
    return `${online} of ${states.length} devices online`;
  }

  render(rowsMax: number): string {
    if (this.#devices.size === 0) {
      return `No device has spoken on tardi/${this.#site}/ yet. Devices appear when they say hello to a gateway of this site.`;
    }
    const nowMs = this.#clock.wallMs();
    const ids = [...this.#devices.keys()].sort();
    const rows = ids.slice(0, rowsMax).map((id) => rowOf(id, this.#devices.get(id) ?? {}, nowMs));
    const more = ids.length > rowsMax ? `\n${dim(`and ${ids.length - rowsMax} more`)}` : "";
    return table(["device", "state", "app", "seen", "readings"], rows) + more;
  }
}

function rowOf(id: string, device: DeviceState, nowMs: number): readonly string[] {
  const paint = device.state === "online" ? green : device.state === "offline" ? red : yellow;
  const metrics = Object.entries(device.metrics ?? {}).slice(0, METRICS_SHOWN);
  const readings = metrics.map(([name, { value, unit }]) =>
    `${dim(name)} ${value === undefined ? "–" : round(value)} ${unit ?? ""}`.trimEnd(),
  );
  const seen = device.lastSeen === undefined ? "never" : `${age(nowMs - device.lastSeen)} ago`;
  return [
    id,
    paint(device.state ?? "unknown"),
    `${device.app ?? "?"} ${device.version ?? ""}`,
    seen,
    readings.join("  "),
  ];
}

function round(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(1);
}
