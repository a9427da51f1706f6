/**
 * State as a projection of the log: device rows, last values, shadows, counts and history. Records arrive in the log's order,
 * after their sync; a batch of them is one transaction of the state store, with the offset it ends at inside, so a crash leaves
 * the state at one place of the log and the next start goes on from there.
 *
 * A record at or below the applied offset is skipped: applying is idempotent by offset, not by content.
 */
import { errorCodeOf, TardigradeError } from "../../protocols/error.ts";
import type { Message } from "../../protocols/messages.generated.ts";
import { LOG_LEVELS, SEVERITIES } from "../../protocols/table.ts";
import type { Logger, Meter } from "../io/seams.ts";
import type { History, Reading } from "../store/history.ts";
import type { SegmentLog } from "../store/segment-log.ts";
import type { StateStore, StateTransaction } from "../store/state-store.ts";
import { type DeviceError, deviceErrorOf, textOf } from "./device-errors.ts";
import {
  applyCommand,
  applyGap,
  applyHelloRecord,
  applyReadings,
  applySequence,
  type DeviceRow,
  decodeRow,
  encodeRow,
  entriesOf,
  newRow,
  readingsOf,
  timeOf,
} from "./device-row.ts";
import { Histograms } from "./histograms.ts";
import type { Entry } from "./ledger.ts";
import { decodeRecord, type LogRecord, type ShownStamp, shownStamp } from "./record.ts";
import type { AlertView } from "./service.ts";

/** Records in one transaction. */
export const BATCH_MAX = 2000;
/** Above so many records waiting, the log takes no more until they are applied. */
export const BACKLOG_MAX = 20_000;
const READ_BYTES = 4 * 1024 * 1024;
const ALERTS_KEPT = 100;

const APPLIED_KEY = "gateway/applied";
const ALERTS_KEY = "gateway/alerts";
const DEVICE_PREFIX = "gateway/device/";
/** "0" is the character after "/": the end of the range of keys with the prefix. */
const DEVICE_END = "gateway/device0";

type Positioned = LogRecord & { readonly offset: number };

/** What a record did, told after its transaction is committed. */
export type Applied =
  | {
      readonly type: "hello" | "reported" | "desired" | "pins";
      readonly offset: number;
      readonly row: DeviceRow;
    }
  | {
      readonly type: "readings";
      readonly offset: number;
      readonly row: DeviceRow;
      readonly readings: readonly {
        readonly metric: string;
        readonly timeMs: number;
        readonly value: number;
      }[];
    }
  | (Told & {
      readonly offset: number;
      readonly row: DeviceRow;
      readonly timeMs: number;
      readonly error?: DeviceError;
    })
  | { readonly type: "drop"; readonly offset: number; readonly row: DeviceRow }
  /** The message is stored, its histogram counts nowhere. */
  | {
      readonly type: "invalidHistogram";
      readonly offset: number;
      readonly row: DeviceRow;
      readonly problem: string;
    };

/** What a batch of records does beside changing rows. */
interface Effects {
  readonly touched: Set<DeviceRow>;
  readonly applied: Applied[];
  readonly readings: Reading[];
  readonly histograms: Histograms;
}

export interface ProjectionOptions {
  readonly log: SegmentLog;
  readonly state: StateStore;
  readonly history: History;
  readonly meter: Meter;
  readonly logger: Logger;
  readonly onApplied: (applied: readonly Applied[]) => void;
  /** Called with true when the projection falls too far behind, with false when it has caught up. */
  readonly onBehind: (behind: boolean) => void;
  readonly onFailed: (error: unknown) => void;
  readonly duplicatesOf: (device: string) => number;
}

export class Projection {
  readonly #options: ProjectionOptions;
  readonly rows = new Map<string, DeviceRow>();
  readonly histograms = new Histograms();
  /** Counted in this life and not in the row that was read at the start. */
  readonly #duplicatesBefore = new Map<string, number>();
  alerts: AlertView[] = [];
  /** Offset of the last record applied; -1 before the first. */
  applied = -1;
  #backlog: Entry[] = [];
  #running: Promise<void> | undefined;
  #behind = false;
  #failed = false;
  #closed = false;

  constructor(options: ProjectionOptions) {
    this.#options = options;
  }

  get failed(): boolean {
    return this.#failed;
  }

  get backlogCount(): number {
    return this.#backlog.length;
  }

  /** Reads the last checkpoint and applies the log after it. To be awaited before any device is served. */
  async restore(): Promise<void> {
    const { state, log, logger } = this.#options;
    this.#load();
    if (this.applied >= log.syncedEnd) {
      logger.warn(
        "the state is ahead of the log, which was replaced or lost; it is built anew from the log",
        {
          code: "STATE_CORRUPT",
          applied: this.applied,
          logEnd: log.syncedEnd,
        },
      );
      await this.#wipe();
    } else if (this.applied >= 0 && this.applied < log.start) {
      logger.warn("the log no longer reaches back to the state's last record", { applied: this.applied });
    }
    let next = Math.max(this.applied, log.start);
    let count = 0;
    while (next < log.syncedEnd) {
      const { records, next: following } = await log.read(next, READ_BYTES);
      if (records.length === 0) break;
      const batch = records
        .filter((record) => record.offset > this.applied)
        .map((record): Positioned => ({ ...decodeRecord(record.payload), offset: record.offset }));
      if (batch.length > 0) await this.#commit(batch);
      count += batch.length;
      next = following;
    }
    await state.flush();
    if (count > 0) logger.info("the log after the last checkpoint was applied", { records: count });
  }

  /** Follows what the ledger hands on. */
  push(entries: readonly Entry[]): void {
    if (this.#failed || this.#closed) return;
    for (const entry of entries) this.#backlog.push(entry);
    if (this.#backlog.length > BACKLOG_MAX && !this.#behind) {
      this.#behind = true;
      this.#options.onBehind(true);
    }
    this.#running ??= this.#pump();
  }

  /** Resolves when everything pushed so far is applied. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  async close(): Promise<void> {
    await this.idle();
    this.#closed = true;
  }

  duplicates(row: DeviceRow): number {
    return (this.#duplicatesBefore.get(row.id) ?? 0) + this.#options.duplicatesOf(row.id);
  }

  async #pump(): Promise<void> {
    try {
      while (this.#backlog.length > 0) {
        const batch = this.#backlog.splice(0, BATCH_MAX);
        const applied = await this.#commit(batch);
        if (this.#behind && this.#backlog.length < BACKLOG_MAX / 2) {
          this.#behind = false;
          this.#options.onBehind(false);
        }
        this.#options.onApplied(applied);
      }
    } catch (error) {
      // Rows in memory are ahead of the store now; only a restart, which reads the log again, mends that.
      this.#failed = true;
      this.#backlog = [];
      this.#options.onBehind(true);
      this.#options.onFailed(error);
    } finally {
      this.#running = undefined;
    }
  }

  async #commit(batch: readonly Positioned[]): Promise<Applied[]> {
    const applied: Applied[] = [];
    const touched = new Set<DeviceRow>();
    const readings: Reading[] = [];
    const effects = { touched, applied, readings, histograms: this.histograms };
    await this.#options.state.transaction((transaction) => {
      for (const record of batch) {
        if (record.offset <= this.applied) continue;
        this.#apply(transaction, record, effects);
        this.applied = record.offset;
      }
      this.#options.history.appendAll(transaction, readings);
      this.histograms.save(transaction);
      for (const row of touched) {
        row.counts.duplicates = this.duplicates(row);
        transaction.put(DEVICE_PREFIX + row.id, encodeRow(row));
      }
      transaction.put(APPLIED_KEY, encodeJson(this.applied));
    });
    if (readings.length > 0) {
      this.#options.meter.count("tardigrade_readings_total", undefined, readings.length);
    }
    return applied;
  }

  #apply(transaction: StateTransaction, record: Positioned, effects: Effects): void {
    const { body, offset } = record;
    if (body.type === "alert") {
      this.alerts = [body.alert, ...this.alerts.filter((alert) => !isSame(alert, body.alert))].slice(
        0,
        ALERTS_KEPT,
      );
      transaction.put(ALERTS_KEY, encodeJson(this.alerts));
      return;
    }
    const row = this.#row(record.device);
    effects.touched.add(row);
    if (record.wallMs > row.lastSeenMs) row.lastSeenMs = record.wallMs;
    switch (body.type) {
      case "message":
        return applyMessage(row, body.message, record, effects);
      case "hello":
        for (const gap of body.gaps) applyGap(row, gap);
        applyHelloRecord(row, body, record.wallMs);
        effects.applied.push({ type: "hello", offset, row });
        return;
      case "gap":
        return applyGap(row, body.gap);
      case "desired":
        row.desired = { version: body.shadow.version, entries: entriesOf(body.shadow.entries) };
        effects.applied.push({ type: "desired", offset, row });
        return;
      case "command":
        return applyCommand(row, body.command);
      case "commandEnd":
        return;
    }
  }

  #row(device: string): DeviceRow {
    let row = this.rows.get(device);
    if (row === undefined) {
      row = newRow(device);
      this.rows.set(device, row);
    }
    return row;
  }

  #load(): void {
    const { state } = this.#options;
    try {
      this.applied = Number(decodeJson(state.get(APPLIED_KEY)) ?? -1);
      this.alerts = (decodeJson(state.get(ALERTS_KEY)) ?? []) as AlertView[];
      for (const [, value] of state.range({ from: DEVICE_PREFIX, to: DEVICE_END })) {
        const row = decodeRow(value);
        this.rows.set(row.id, row);
        this.#duplicatesBefore.set(row.id, row.counts.duplicates);
      }
      this.histograms.load(state);
    } catch (cause) {
      throw new TardigradeError(
        "STATE_CORRUPT",
        "The state store holds what no gateway wrote; remove its file, it is rebuilt from the log.",
        { cause },
      );
    }
  }

  async #wipe(): Promise<void> {
    const { state } = this.#options;
    this.rows.clear();
    this.histograms.clear();
    this.alerts = [];
    this.applied = -1;
    for (;;) {
      let removed = 0;
      await state.transaction((transaction) => {
        const keys = [...transaction.range({ from: "", to: "\u{10ffff}", limit: 1000 })].map(([key]) => key);
        for (const key of keys) transaction.delete(key);
        removed = keys.length;
      });
      if (removed === 0) return;
    }
  }
}

function applyMessage(
  row: DeviceRow,
  message: Message,
  { offset, stamp }: Positioned,
  effects: Effects,
): void {
  switch (message.kind) {
    case "telemetry": {
      if (!applySequence(row, message)) return;
      const readings = readingsOf(row, message);
      applyReadings(row, readings);
      for (const { metric, timeMs, value } of readings) {
        effects.readings.push({ device: row.id, metric, timeMs, value });
      }
      if (readings.length > 0) effects.applied.push({ type: "readings", offset, row, readings });
      const problem = effects.histograms.apply(row, message, offset);
      if (problem !== undefined) effects.applied.push({ type: "invalidHistogram", offset, row, problem });
      return;
    }
    case "drop":
      if (!applySequence(row, message)) return;
      row.counts.dropped += message.readings;
      effects.applied.push({ type: "drop", offset, row });
      return;
    case "event":
    case "log":
    case "error": {
      if (!applySequence(row, message)) return;
      if (message.kind === "error") row.counts.errors += 1;
      const timeMs = timeOf(row, message.boot, message.uptimeUs);
      const error = message.kind === "error" ? { error: deviceErrorOf(message, stamp) } : {};
      effects.applied.push({ offset, row, timeMs, ...toldOf(message, stamp), ...error });
      return;
    }
    case "shadow":
      row.reported = { version: message.version, entries: entriesOf(message.entries) };
      effects.applied.push({ type: "reported", offset, row });
      return;
    case "pinStatus":
      row.pins = message.pins;
      effects.applied.push({ type: "pins", offset, row });
      return;
    default:
      return;
  }
}

/** An event, log line or error record in words. */
export interface Told extends ShownStamp {
  readonly type: "event" | "log" | "error";
  readonly severity: string;
  readonly name: string;
  readonly text?: string;
  readonly value?: boolean | number | string;
  readonly code?: number;
  readonly count?: number;
}

/** `stamp` is the one of the log's record. */
export function toldOf(message: Extract<Message, { kind: "event" | "log" | "error" }>, stamp: bigint): Told {
  const shown = shownStamp(message.hlc, stamp);
  switch (message.kind) {
    case "event": {
      const severity = SEVERITIES[message.severity] ?? "info";
      const value = message.value === undefined ? {} : { value: message.value };
      return { type: "event", severity, name: message.name, ...value, ...shown };
    }
    case "log": {
      const severity = LOG_LEVELS[message.level] ?? "info";
      return { type: "log", severity, name: "log", text: message.text, ...shown };
    }
    case "error":
      return {
        type: "error",
        severity: SEVERITIES[message.severity] ?? "error",
        name: errorCodeOf(message.code) ?? String(message.code),
        text: textOf(message),
        code: message.code,
        count: message.count,
        ...shown,
      };
  }
}

function isSame(a: AlertView, b: AlertView): boolean {
  return a.id === b.id && a.raisedMs === b.raisedMs;
}

function encodeJson(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}

function decodeJson(bytes: Uint8Array | undefined): unknown {
  return bytes === undefined ? undefined : JSON.parse(new TextDecoder().decode(bytes));
}
