/**
 * Forwards what is stored to another MQTT broker, each message exactly once across crashes of this process: QoS 2 with the
 * packets and the cursor in a journal (forwarder-journal.ts). It follows the log behind the projection, which knows the names
 * and times of readings; while the other side takes nothing, the backlog is the log itself and nothing is buffered.
 *
 * Exactly once ends where the receiving broker forgets its side of a flow (a restart without persistence): what was in flight
 * then may arrive twice. MQTT has no means against that.
 */
import type { Telemetry } from "../../protocols/messages.generated.ts";
import { deviceTopic } from "../../protocols/topic.ts";
import type {
  Clock,
  Disk,
  Dispose,
  ExactlyOnceLink,
  Logger,
  Meter,
  PacketStore,
  Random,
} from "../io/seams.ts";
import type { SegmentLog } from "../store/segment-log.ts";
import { type DeviceRow, readingsOf, reportOriginOf, timeOf } from "./device-row.ts";
import type { ErrorMonitor } from "./error-monitor.ts";
import { type ForwarderJournal, openForwarderJournal } from "./forwarder-journal.ts";
import { toldOf } from "./projection.ts";
import { decodeRecord, type LogRecord } from "./record.ts";
import type { GatewayInfo } from "./service.ts";

export const IN_FLIGHT_MAX = 64;
/** Nothing completed for so long, with something to send: blocked. */
export const BLOCKED_MS = 10_000;
const READ_BYTES = 256 * 1024;

export interface ForwarderOptions {
  readonly link: (store: PacketStore) => ExactlyOnceLink;
  /** Shown to people; no credentials in it. */
  readonly target: string;
  readonly folder?: string;
  readonly inFlightMax?: number;
  readonly site: string;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: SegmentLog;
  /** Offset up to which rows are up to date. */
  readonly applied: () => number;
  readonly row: (device: string) => DeviceRow | undefined;
  readonly monitor: ErrorMonitor;
  readonly meter: Meter;
  readonly logger: Logger;
}

export async function openForwarder(options: ForwarderOptions): Promise<Forwarder> {
  const { disk, clock, random, log, logger, monitor } = options;
  let forwarder: Forwarder | undefined;
  const journal = await openForwarderJournal({
    disk,
    folder: options.folder ?? "forwarder",
    clock,
    random,
    onRemoved: () => forwarder?.completed(),
    onFailed: (error) =>
      monitor.report("DISK_SYNC", {
        component: "forwarder",
        message: `The forwarder stopped: ${error.message}`,
      }),
  });
  forwarder = new Forwarder(options, journal);
  logger.info("forwarder follows the log", {
    target: options.target,
    from: journal.lastOffset,
    outstanding: journal.outstandingCount,
    logEnd: log.syncedEnd,
  });
  return forwarder;
}

export class Forwarder {
  readonly #options: ForwarderOptions;
  readonly #journal: ForwarderJournal;
  readonly #link: ExactlyOnceLink;
  readonly #inFlightMax: number;
  /** Where the log is read next, and the newest offset that was looked at. */
  #next: number;
  #seen: number;
  #page: { readonly offset: number; readonly record: LogRecord }[] = [];
  #up = false;
  #reading = false;
  #closed = false;
  #forwarded = 0;
  #progressMs: number;
  #stop: Dispose;
  readonly #stopState: Dispose;

  constructor(options: ForwarderOptions, journal: ForwarderJournal) {
    const { log, clock, logger } = options;
    this.#options = options;
    this.#journal = journal;
    this.#inFlightMax = options.inFlightMax ?? IN_FLIGHT_MAX;
    this.#seen = journal.lastOffset;
    if (this.#seen >= log.syncedEnd && this.#seen >= 0) {
      logger.warn(
        "the forwarder's cursor is beyond the log, which was replaced; it begins at the log's start",
        {
          cursor: this.#seen,
        },
      );
      this.#seen = -1;
    }
    this.#next = Math.max(this.#seen, log.start);
    this.#progressMs = clock.monotonicMs();
    this.#link = options.link(journal);
    this.#stopState = this.#link.onState((up) => {
      this.#up = up;
      if (up) this.wake();
    });
    this.#stop = this.#watch();
  }

  /** The log is needed from here on; what is below has become packets, which the journal keeps. */
  get cursor(): number {
    return this.#page[0]?.offset ?? this.#next;
  }

  /** Packets whose flow is not complete. */
  get outstandingCount(): number {
    return this.#journal.outstandingCount;
  }

  info(): NonNullable<GatewayInfo["forwarder"]> {
    return {
      target: this.#options.target,
      connected: this.#up,
      cursor: this.cursor,
      backlogBytes: Math.max(this.#options.log.syncedEnd - this.cursor, 0),
      forwarded: this.#forwarded,
    };
  }

  /** There may be something to send. */
  wake(): void {
    if (this.#closed || !this.#up) return;
    this.#send();
    if (this.#page.length === 0 && !this.#reading && this.#next <= this.#options.applied()) this.#read();
  }

  /** The journal's call: a flow is complete. */
  completed(): void {
    this.#forwarded += 1;
    this.#progressMs = this.#options.clock.monotonicMs();
    this.#options.meter.count("tardigrade_forwarded_total");
    this.#options.monitor.clear("forward");
    this.wake();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stop();
    this.#stopState();
    await this.#link.close();
    await this.#journal.close();
  }

  #read(): void {
    this.#reading = true;
    const { log, monitor } = this.#options;
    log
      .read(this.#next, READ_BYTES)
      .then(({ records, next }) => {
        const applied = this.#options.applied();
        for (const { offset, payload } of records) {
          // Rows are not there yet for what follows; it is read again.
          if (offset > applied) {
            this.#next = offset;
            return;
          }
          if (offset > this.#seen) this.#page.push({ offset, record: decodeRecord(payload) });
        }
        this.#next = next;
      })
      .catch((error: unknown) => {
        const message = error instanceof Error ? error.message : String(error);
        monitor.report("DISK_IO", { component: "forwarder", message });
      })
      .finally(() => {
        this.#reading = false;
        if (this.#page.length > 0 || this.#next <= this.#options.applied()) this.wake();
      });
  }

  #send(): void {
    while (this.#up && this.#page.length > 0 && this.#journal.outstandingCount < this.#inFlightMax) {
      const { offset, record } = this.#page.shift() as { offset: number; record: LogRecord };
      this.#seen = offset;
      const json = this.#json(offset, record);
      if (json === undefined) continue;
      const topic = deviceTopic(this.#options.site, record.device, "telemetry");
      this.#link.publish(topic, new TextEncoder().encode(json), offset);
    }
  }

  /** One publish for a stored message; hellos, shadows and alerts stay at home. */
  #json(offset: number, record: LogRecord): string | undefined {
    const { device, stamp, body } = record;
    const row = this.#options.row(device);
    if (row === undefined) return undefined;
    if (body.type === "gap") return JSON.stringify({ type: "gap", device, ...body.gap, offset });
    if (body.type === "hello") {
      return body.gaps.length === 0
        ? undefined
        : JSON.stringify({ type: "gap", device, gaps: body.gaps, offset });
    }
    if (body.type !== "message") return undefined;
    const { message } = body;
    switch (message.kind) {
      case "telemetry": {
        const { boot, seq } = message;
        return JSON.stringify({
          type: "telemetry",
          device,
          boot,
          seq,
          readings: readingsOf(row, message),
          ...forwardedHistogram(row, message),
          offset,
        });
      }
      case "drop": {
        const { boot, seq, from, readings } = message;
        return JSON.stringify({ type: "drop", device, boot, from, seq, readings, offset });
      }
      case "event":
      case "log":
      case "error": {
        const { boot, seq } = message;
        const timeMs = timeOf(row, boot, message.uptimeUs);
        return JSON.stringify({ ...toldOf(message, stamp), device, boot, seq, timeMs, offset });
      }
      default:
        return undefined;
    }
  }

  #watch(): Dispose {
    const { clock, monitor, target } = this.#options;
    return clock.alarm(
      BLOCKED_MS / 2,
      () => {
        const waits = this.#journal.outstandingCount > 0 || this.#next <= this.#options.applied();
        if (!waits) this.#progressMs = clock.monotonicMs();
        else if (clock.monotonicMs() - this.#progressMs >= BLOCKED_MS) {
          monitor.raise("forward", {
            code: "FORWARD_BLOCKED",
            message: `${target} takes nothing; ${this.info().backlogBytes} bytes of the log wait for it.`,
          });
        }
        this.wake();
        this.#stop = this.#watch();
      },
      { background: true },
    );
  }
}

/** A device's histogram as it came, for a program with tardigrade/stats: histogramFromBytes(Buffer.from(bytes, "hex")). */
function forwardedHistogram(row: DeviceRow, message: Telemetry): { readonly histogram?: unknown } {
  const { histogram, histogramMetric } = message;
  if (histogram === undefined || histogramMetric === undefined) return {};
  const bytes = Array.from(histogram, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const { metric, unit, timeMs } = reportOriginOf(row, message, histogramMetric);
  return { histogram: { metric, unit, timeMs, bytes } };
}
