/**
 * Our protocol's side of a device that does not speak it (see proxy-port.ts). It says hello, numbers its messages, keeps each
 * until the durable acknowledgement, and answers shadows and commands, exactly as firmware does, so that ingest has one way in.
 *
 *   reading() --> batch --> queue --> in flight (window) --> ingest --> log
 *                             ^-------------- resend ---------' '--> durableAck: forgotten
 *
 * What cannot be as on a device: nothing outlives the gateway's process. Each start is a new boot, and what the foreign
 * device said while the gateway was away was said to nobody. While the log takes nothing the queue fills; beyond QUEUE_MAX
 * readings are dropped, and a drop record states how many as soon as there is room.
 */
import { isTardigradeError, TardigradeError } from "../../protocols/error.ts";
import { encodeMessage } from "../../protocols/message.ts";
import type { Command, Message, Telemetry, Value } from "../../protocols/messages.generated.ts";
import { CAPABILITIES, ERRORS, LIMITS, PROTOCOL_MAJOR, PROTOCOL_MINOR } from "../../protocols/table.ts";
import type { Clock, Dispose, Meter, Random } from "../io/seams.ts";
import type { DeviceLink } from "./device-links.ts";
import type { ProxyDescription, ProxyHandlers, ProxyPort } from "./proxy-port.ts";
import { problemOf } from "./shadows.ts";

/** Messages without a durable acknowledgement, of one device. */
export const QUEUE_MAX = 256;
/** Readings gather for so long, so that one payload with ten values is one message. */
export const BATCH_MS = 50;
/** Without progress for so long, what is in flight is sent again. */
export const RESEND_MS = 1000;
/** Commands whose answer is remembered: the gateway repeats until it is answered. */
const ANSWERS_MAX = 16;
const REASON_POWER_ON = 0;

const CAPABILITY_BITS =
  (1 << CAPABILITIES.telemetry) | (1 << CAPABILITIES.shadow) | (1 << CAPABILITIES.commands);

export interface ProxyDeviceOptions {
  readonly device: string;
  readonly handlers: ProxyHandlers;
  /** Of the newest hello in the log; this boot is the one after it. */
  readonly lastBoot: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly meter: Meter;
  /** Into ingest. */
  readonly receive: (payload: Uint8Array) => void;
  readonly heard: () => void;
  readonly offline: () => void;
}

interface Queued {
  readonly seq: number;
  readonly payload: Uint8Array;
}

type Reading = Telemetry["readings"][number];

export class ProxyDevice implements DeviceLink, ProxyPort {
  readonly device: string;
  readonly #options: ProxyDeviceOptions;
  readonly #boot: number;
  readonly #startMs: number;
  #description: ProxyDescription | undefined;
  /** Welcome came for the newest hello. */
  #welcomed = false;
  #session = 0;
  #seq = 0;
  readonly #queue: Queued[] = [];
  /** Of the queue, from its front. */
  #inFlight = 0;
  #batch: { readonly uptimeUs: number; readonly readings: Reading[] } | undefined;
  #dropped = 0;
  #desired: { readonly version: number; readonly entries: Readonly<Record<string, Value>> } | undefined;
  #reportedVersion = 0;
  #reported: Readonly<Record<string, Value>> | undefined;
  /** By id; undefined while it is under way. */
  readonly #answers = new Map<number, Message | undefined>();
  readonly #alarms = new Map<string, Dispose>();
  #closed = false;

  constructor(options: ProxyDeviceOptions) {
    this.#options = options;
    this.device = options.device;
    this.#boot = options.lastBoot + 1;
    this.#startMs = options.clock.monotonicMs();
  }

  /** Its messages never go over the broker. */
  get isUp(): boolean {
    return !this.#closed;
  }

  open(): void {}

  close(): void {
    this.#closed = true;
    for (const stop of this.#alarms.values()) stop();
    this.#alarms.clear();
  }

  describe(description: ProxyDescription): void {
    const before = this.#description;
    // Numbers of metrics stay: a message in the log names one by its place.
    const metrics = [...(before?.metrics ?? [])];
    for (const metric of description.metrics) {
      const at = metrics.findIndex(({ name }) => name === metric.name);
      if (at < 0) metrics.push(metric);
      else metrics[at] = metric;
    }
    const next = checked({ ...description, metrics }, this.device);
    if (before !== undefined && JSON.stringify(before) === JSON.stringify(next)) return;
    this.#flushBatch();
    this.#description = next;
    this.#hello();
  }

  reading(metric: string, value: number): void {
    const index = this.#description?.metrics.findIndex(({ name }) => name === metric) ?? -1;
    if (index < 0 || !Number.isFinite(value)) {
      this.#options.meter.count("tardigrade_proxy_readings_refused_total");
      return;
    }
    if (this.#queue.length >= QUEUE_MAX) {
      this.#dropped += 1;
      this.#options.meter.count("tardigrade_proxy_readings_dropped_total");
      return;
    }
    const uptimeUs = this.#uptimeUs();
    this.#batch ??= { uptimeUs, readings: [] };
    this.#batch.readings.push({ metric: index, offsetUs: uptimeUs - this.#batch.uptimeUs, value });
    if (this.#batch.readings.length >= LIMITS.READINGS_MAX) this.#flushBatch();
    else this.#once("batch", BATCH_MS, () => this.#flushBatch());
  }

  /** Sends what waits for more of its kind. */
  flush(): void {
    this.#flushBatch();
  }

  report(entries: Readonly<Record<string, Value>>): void {
    const kept = Object.entries(entries).filter(([key, value]) => problemOf(key, value) === undefined);
    this.#reported = Object.fromEntries(kept.slice(0, LIMITS.SHADOW_ENTRIES_MAX));
    this.#sendReported();
  }

  heard(): void {
    if (this.#welcomed) this.#options.heard();
  }

  offline(): void {
    this.#options.offline();
  }

  /** From the gateway. What follows from it is done in a turn of its own: it may come from inside receive(). */
  send(message: Message): void {
    if (this.#closed) return;
    switch (message.kind) {
      case "welcome":
        if (message.session !== this.#session || message.code !== 0) return;
        this.#welcomed = true;
        this.#inFlight = 0;
        if (message.boot === this.#boot) this.#forget(message.seq);
        return this.#soon("pump", () => {
          this.#sendReported();
          this.#pump();
        });
      case "helloRequest":
        return this.#soon("hello", () => this.#hello());
      case "durableAck":
        if (message.boot !== this.#boot) return;
        this.#forget(message.seq);
        if (message.resend === true) this.#inFlight = 0;
        return this.#soon("pump", () => this.#pump());
      case "shadow":
        return this.#soon("shadow", () => this.#desiredIs(message.version, message.entries));
      case "command":
        return this.#soon(`command ${message.id}`, () => this.#command(message));
      default:
    }
  }

  #hello(): void {
    const description = this.#description;
    if (description === undefined || this.#closed) return;
    this.#session = this.#options.random.u32();
    this.#welcomed = false;
    this.#receive({
      kind: "hello",
      major: PROTOCOL_MAJOR,
      minor: PROTOCOL_MINOR,
      boot: this.#boot,
      session: this.#session,
      uptimeUs: this.#uptimeUs(),
      oldestBoot: this.#boot,
      oldestSeq: this.#queue[0]?.seq ?? this.#seq + 1,
      board: description.board,
      app: description.app,
      version: description.version,
      reason: REASON_POWER_ON,
      capabilities: CAPABILITY_BITS,
      metrics: [...description.metrics],
      commands: description.commands.map((name) => ({ name })),
    });
    // The log may refuse it just now.
    this.#once("resend", RESEND_MS, () => this.#again());
  }

  #flushBatch(): void {
    this.#cancel("batch");
    const batch = this.#batch;
    this.#batch = undefined;
    if (batch === undefined || this.#closed) return;
    this.#enqueue({ kind: "telemetry", boot: this.#boot, seq: this.#seq + 1, ...batch });
    this.#pump();
  }

  #enqueue(message: Message & { readonly seq: number }): void {
    this.#seq = message.seq;
    this.#queue.push({ seq: message.seq, payload: encodeMessage(message) });
  }

  #pump(): void {
    if (!this.#welcomed || this.#closed) return;
    if (this.#dropped > 0 && this.#queue.length < QUEUE_MAX) {
      const seq = this.#seq + 1;
      const readings = this.#dropped;
      this.#dropped = 0;
      this.#enqueue({ kind: "drop", boot: this.#boot, seq, uptimeUs: this.#uptimeUs(), from: seq, readings });
    }
    while (this.#inFlight < Math.min(this.#queue.length, LIMITS.MESSAGE_WINDOW_MAX)) {
      const next = this.#queue[this.#inFlight] as Queued;
      this.#inFlight += 1;
      this.#options.receive(next.payload);
    }
    if (this.#queue.length > 0) this.#once("resend", RESEND_MS, () => this.#again());
    else this.#cancel("resend");
  }

  #again(): void {
    if (!this.#welcomed) return this.#hello();
    this.#inFlight = 0;
    this.#pump();
  }

  #forget(seq: number): void {
    let count = 0;
    while (count < this.#queue.length && (this.#queue[count] as Queued).seq <= seq) count += 1;
    if (count === 0) return;
    this.#queue.splice(0, count);
    this.#inFlight = Math.max(0, this.#inFlight - count);
    this.#cancel("resend");
  }

  #desiredIs(version: number, entries: readonly { readonly key: string; readonly value: Value }[]): void {
    const desired = { version, entries: Object.fromEntries(entries.map(({ key, value }) => [key, value])) };
    this.#desired = desired;
    this.#sendReported();
    if (this.#reportedVersion < version) this.#options.handlers.onDesired(desired.entries);
  }

  #sendReported(): void {
    const reported = this.#reported;
    if (reported === undefined || !this.#welcomed) return;
    const desired = this.#desired;
    if (desired !== undefined && answers(desired.entries, reported)) this.#reportedVersion = desired.version;
    const entries = Object.entries(reported).map(([key, value]) => ({ key, value }));
    this.#receive({ kind: "shadow", role: 1, version: this.#reportedVersion, entries });
  }

  #command(command: Command): void {
    if (this.#answers.has(command.id)) {
      const answer = this.#answers.get(command.id);
      if (answer !== undefined) this.#receive(answer);
      return;
    }
    this.#answers.set(command.id, undefined);
    const oldest = this.#answers.keys().next().value;
    if (this.#answers.size > ANSWERS_MAX && oldest !== undefined) this.#answers.delete(oldest);
    const args = Object.fromEntries(command.args.map(({ key, value }) => [key, value]));
    this.#options.handlers.onCommand(command.name, args).then(
      (result) => this.#answered(command.id, 0, result),
      (error: unknown) => {
        const code = isTardigradeError(error) ? error.code : "COMMAND_FAILED";
        this.#answered(command.id, ERRORS[code].number, undefined);
      },
    );
  }

  #answered(id: number, code: number, result: Value | undefined): void {
    const told = result === undefined || problemOf("result", result) !== undefined ? {} : { result };
    const answer: Message = { kind: "commandResult", id, code, ...told };
    if (this.#answers.has(id)) this.#answers.set(id, answer);
    if (!this.#closed) this.#receive(answer);
  }

  #receive(message: Message): void {
    if (!this.#closed) this.#options.receive(encodeMessage(message));
  }

  #uptimeUs(): number {
    return Math.round((this.#options.clock.monotonicMs() - this.#startMs) * 1000);
  }

  #soon(name: string, call: () => void): void {
    this.#once(name, 0, call);
  }

  /** One alarm a name; a later call with the name of one that waits changes nothing, except that a shadow's newest counts. */
  #once(name: string, delayMs: number, call: () => void): void {
    if (this.#closed) return;
    if (this.#alarms.has(name)) {
      if (name !== "shadow") return;
      this.#cancel(name);
    }
    const stop = this.#options.clock.alarm(
      delayMs,
      () => {
        this.#alarms.delete(name);
        call();
      },
      { background: true },
    );
    this.#alarms.set(name, stop);
  }

  #cancel(name: string): void {
    this.#alarms.get(name)?.();
    this.#alarms.delete(name);
  }
}

/** Of what is desired, everything that the device has is as desired. */
function answers(
  desired: Readonly<Record<string, Value>>,
  reported: Readonly<Record<string, Value>>,
): boolean {
  return Object.entries(desired).every(([key, value]) => !(key in reported) || reported[key] === value);
}

function checked(description: ProxyDescription, device: string): ProxyDescription {
  const wrong = (what: string): never => {
    throw new TardigradeError("REQUEST_INVALID", `${device} cannot be described: ${what}.`, {
      context: { component: "proxy", device },
    });
  };
  const bytes = (text: string): number => new TextEncoder().encode(text).length;
  const { metrics, commands, board, app, version } = description;
  if (metrics.length > LIMITS.METRICS_MAX) wrong(`a device has at most ${LIMITS.METRICS_MAX} metrics`);
  if (commands.length > LIMITS.COMMANDS_MAX) wrong(`a device has at most ${LIMITS.COMMANDS_MAX} commands`);
  for (const name of [board, app, version, ...commands]) {
    if (bytes(name) > LIMITS.NAME_BYTES_MAX) wrong(`"${name}" has more than ${LIMITS.NAME_BYTES_MAX} bytes`);
  }
  for (const { name, unit } of metrics) {
    if (name === "" || bytes(name) > LIMITS.METRIC_NAME_BYTES_MAX) wrong(`"${name}" is no name for a metric`);
    if (bytes(unit) > LIMITS.UNIT_BYTES_MAX) wrong(`the unit "${unit}" is too long`);
  }
  return { board, app, version, metrics, commands: [...commands] };
}
