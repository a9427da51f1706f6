/**
 * Plain MQTT devices: whatever a decoder recognises becomes a device of the fleet when it is first heard. Its metrics are described as
 * they appear, its states are the reported shadow, and what is desired is published on its own topics until it reports it.
 *
 * A retained message tells what was, not when: its states count, its readings do not, or every restart of the gateway would
 * store the last reading again with a new time.
 */
import { isTardigradeError, TardigradeError } from "../../../protocols/error.ts";
import type { Value } from "../../../protocols/messages.generated.ts";
import { type ErrorCode, LIMITS } from "../../../protocols/table.ts";
import type { Delivery, Dispose } from "../../io/seams.ts";
import type { ProxyHost, ProxyPort, ProxySource } from "../proxy-port.ts";
import type { Decoded, Decoder } from "./decoder.ts";

export const PAYLOAD_BYTES_MAX = 16_384;
/** Devices that were refused are remembered, so that each is reported once. */
const REFUSED_MAX = 256;
/** Commands that wait for their state, of one device. */
const WAITING_MAX = 8;
/** Messages being decoded by a decoder that takes time; beyond it its messages are left out and counted. */
const DECODING_MAX = 256;

interface Waiting {
  readonly state: string;
  readonly value: Value;
  readonly resolve: () => void;
}

interface PlainDevice {
  readonly name: string;
  readonly decoder: Decoder;
  readonly port: ProxyPort;
  readonly metrics: Map<string, string>;
  version: string;
  states: Record<string, Value>;
  readonly waiting: Waiting[];
}

export class PlainSource implements ProxySource {
  readonly #decoders: readonly Decoder[];
  readonly #devices = new Map<string, PlainDevice>();
  readonly #refused = new Set<string>();
  readonly #disposers: Dispose[] = [];
  #host!: ProxyHost;
  readonly #decoding = new Map<Decoder, number>();

  constructor(decoders: readonly Decoder[]) {
    this.#decoders = decoders;
  }

  async open(host: ProxyHost): Promise<void> {
    this.#host = host;
    for (const decoder of this.#decoders) {
      for (const filter of decoder.filters) {
        this.#disposers.push(
          await host.broker.subscribe(filter, (delivery) => this.#heard(decoder, delivery)),
        );
      }
    }
  }

  close(): void {
    for (const dispose of this.#disposers.splice(0)) dispose();
  }

  #heard(decoder: Decoder, { topic, payload, retain }: Delivery): void {
    if (topic.startsWith("tardi/")) return;
    if (payload.length > PAYLOAD_BYTES_MAX) {
      const message = `A payload on "${topic.slice(0, 80)}" has ${payload.length} bytes; ${PAYLOAD_BYTES_MAX} are read.`;
      return this.#report("PAYLOAD_OVERSIZE", message);
    }
    if ((this.#decoding.get(decoder) ?? 0) >= DECODING_MAX) {
      this.#host.meter.count("tardigrade_plain_left_out_total");
      return;
    }
    try {
      const decoded = decoder.decode(topic, payload);
      if (!(decoded instanceof Promise)) return this.#take(decoder, decoded, retain);
      decoded
        .then((it) => this.#take(decoder, it, retain))
        .catch((error: unknown) => this.#caught(decoder, error))
        .finally(() => this.#decoding.set(decoder, (this.#decoding.get(decoder) ?? 1) - 1));
      this.#decoding.set(decoder, (this.#decoding.get(decoder) ?? 0) + 1);
    } catch (error) {
      this.#caught(decoder, error);
    }
  }

  #take(decoder: Decoder, decoded: Decoded | undefined, retained: boolean): void {
    if (decoded === undefined || !this.#host.serves(decoded.device)) return;
    const device = this.#devices.get(decoded.device) ?? this.#welcome(decoder, decoded);
    if (device === undefined) return;
    if (device.name !== decoded.name) {
      const message = `"${decoded.name.slice(0, 40)}" and "${device.name}" are both ${decoded.device}; rename one.`;
      return this.#refuse(`${decoded.device} ${decoded.name}`, "DEVICE_ID_INVALID", message);
    }
    this.#describe(device, decoded);
    if (decoded.presence === "offline") {
      if (!retained) device.port.offline();
      return;
    }
    device.port.heard();
    if (!retained) for (const { metric, value } of decoded.readings) device.port.reading(metric, value);
    if (Object.keys(decoded.states).length === 0) return;
    device.states = { ...device.states, ...decoded.states };
    device.port.report(device.states);
    for (const one of device.waiting.filter(({ state, value }) => device.states[state] === value)) {
      device.waiting.splice(device.waiting.indexOf(one), 1);
      one.resolve();
    }
  }

  /** A device that was never heard. Undefined when the gateway does not take it. */
  #welcome(decoder: Decoder, decoded: Decoded): PlainDevice | undefined {
    const { device: id, name } = decoded;
    // The last will of a device that is gone makes no device.
    if (decoded.presence === "offline" || this.#refused.has(id)) return undefined;
    try {
      const port = this.#host.device(
        id,
        {
          onDesired: (entries) => this.#desired(id, entries),
          onCommand: (command, args) => this.#command(id, command, args),
          onReleased: () => this.#devices.delete(id),
        },
        // It speaks when it likes; its last will is the judge.
        { silenceMs: Number.POSITIVE_INFINITY },
      );
      const device = { name, decoder, port, metrics: new Map(), version: "", states: {}, waiting: [] };
      this.#devices.set(id, device);
      return device;
    } catch (error) {
      const code = isTardigradeError(error) ? error.code : "INTERNAL";
      this.#refuse(id, code, error instanceof Error ? error.message : String(error));
      return undefined;
    }
  }

  #describe(device: PlainDevice, { readings, board, app, version }: Decoded): void {
    for (const { metric, unit } of readings) {
      if (device.metrics.has(metric)) continue;
      if (device.metrics.size >= LIMITS.METRICS_MAX) {
        this.#host.meter.count("tardigrade_plain_metrics_left_out_total");
        continue;
      }
      device.metrics.set(metric, unit);
    }
    if (version !== undefined) device.version = version;
    const metrics = [...device.metrics].map(([name, unit]) => ({ name, unit }));
    device.port.describe({ board, app, version: device.version, metrics, commands: ["set"] });
  }

  #desired(id: string, entries: Readonly<Record<string, Value>>): void {
    const device = this.#devices.get(id);
    if (device === undefined) return;
    for (const [state, value] of Object.entries(entries)) {
      if (device.states[state] === value) continue;
      this.#publish(device, state, value).catch((error: unknown) => this.#caught(device.decoder, error));
    }
  }

  /** `set power=true`: published, and done when the device says that it is so; else the command times out. */
  async #command(
    id: string,
    command: string,
    args: Readonly<Record<string, Value>>,
  ): Promise<Value | undefined> {
    const device = this.#devices.get(id);
    if (device === undefined || command !== "set")
      throw new TardigradeError("COMMAND_UNKNOWN", "There is only `set`.");
    const wanted = Object.entries(args);
    if (wanted.length === 0 || device.waiting.length + wanted.length > WAITING_MAX) {
      throw new TardigradeError("ARGUMENT", "Say what to set, such as power=true; few at a time.");
    }
    await Promise.all(
      wanted.map(async ([state, value]) => {
        const done = Promise.withResolvers<void>();
        const waiting = { state, value, resolve: done.resolve };
        device.waiting.push(waiting);
        try {
          if (!(await this.#publish(device, state, value))) {
            throw new TardigradeError(
              "ARGUMENT",
              `${id} has no control "${state}" that takes ${String(value)}.`,
            );
          }
        } catch (error) {
          const at = device.waiting.indexOf(waiting);
          if (at >= 0) device.waiting.splice(at, 1);
          throw error;
        }
        await done.promise;
      }),
    );
    return wanted.length === 1 ? wanted[0]?.[1] : undefined;
  }

  async #publish(device: PlainDevice, state: string, value: Value): Promise<boolean> {
    const publish = await device.decoder.encode(device.name, state, value);
    if (publish === undefined) return false;
    this.#host.broker.publish(publish.topic, publish.payload, { qos: 1 });
    return true;
  }

  #refuse(key: string, code: ErrorCode, message: string): void {
    if (this.#refused.has(key)) return;
    if (this.#refused.size < REFUSED_MAX) this.#refused.add(key);
    this.#report(code, message);
  }

  #caught(decoder: Decoder, error: unknown): void {
    this.#report(
      isTardigradeError(error) ? error.code : "INTERNAL",
      error instanceof Error ? error.message : String(error),
      decoder.component,
    );
  }

  #report(code: ErrorCode, message: string, component = "plain"): void {
    this.#host.monitor.report(code, { component, message });
  }
}
