/** The stream of what happens: live, or first from the log for a listener that resumes. */
import type { Dispose } from "../io/seams.ts";
import type { SegmentLog } from "../store/segment-log.ts";
import { type DeviceRow, readingsOf, timeOf } from "./device-row.ts";
import { type Applied, toldOf } from "./projection.ts";
import { decodeRecord } from "./record.ts";
import type { GatewayEvent } from "./service.ts";

export const LISTENERS_MAX = 256;
/** Records replayed for one listener; beyond it the oldest are left out. */
export const REPLAY_MAX = 10_000;
/** Live events held back while a replay runs; beyond it the listener misses the oldest of them. */
const HELD_MAX = 10_000;
const READ_BYTES = 1024 * 1024;

type Listener = (event: GatewayEvent) => void;

export class EventHub {
  readonly #listeners = new Set<Listener>();
  readonly #log: SegmentLog;
  readonly #row: (device: string) => DeviceRow | undefined;
  readonly #onError: (error: unknown) => void;

  constructor(options: {
    readonly log: SegmentLog;
    readonly row: (device: string) => DeviceRow | undefined;
    readonly onError: (error: unknown) => void;
  }) {
    this.#log = options.log;
    this.#row = options.row;
    this.#onError = options.onError;
  }

  get isWatched(): boolean {
    return this.#listeners.size > 0;
  }

  emit(event: GatewayEvent): void {
    for (const listener of this.#listeners) {
      try {
        listener(event);
      } catch (error) {
        this.#onError(error);
      }
    }
  }

  /** Beyond LISTENERS_MAX the listener gets nothing; callers bound their own clients below that. */
  listen(listener: Listener, from: number | undefined): Dispose {
    if (this.#listeners.size >= LISTENERS_MAX) {
      this.#onError(new RangeError(`There are ${LISTENERS_MAX} listeners to events already.`));
      return () => {};
    }
    if (from === undefined) {
      this.#listeners.add(listener);
      return () => this.#listeners.delete(listener);
    }
    return this.#resume(listener, from);
  }

  #resume(listener: Listener, from: number): Dispose {
    const held: GatewayEvent[] = [];
    let open = true;
    let current: Listener = (event) => {
      held.push(event);
      if (held.length > HELD_MAX) held.shift();
    };
    const hold: Listener = (event) => current(event);
    this.#listeners.add(hold);
    const end = this.#log.syncedEnd;
    const replay = async (): Promise<void> => {
      let last = from;
      for await (const event of this.#replay(from, end)) {
        if (!open) return;
        last = event.offset;
        listener(event);
      }
      for (const event of held) if (open && (event.offset > last || event.offset < 0)) listener(event);
      current = listener;
    };
    replay().catch((error: unknown) => {
      current = listener;
      this.#onError(error);
    });
    return () => {
      open = false;
      this.#listeners.delete(hold);
    };
  }

  async *#replay(from: number, end: number): AsyncGenerator<GatewayEvent> {
    let next = Math.max(from, this.#log.start);
    let count = 0;
    while (next < end && count < REPLAY_MAX) {
      const page = await this.#log.read(next, READ_BYTES);
      if (page.records.length === 0) return;
      for (const { offset, payload } of page.records) {
        if (offset <= from || offset >= end || count >= REPLAY_MAX) continue;
        count += 1;
        const event = this.#event(offset, payload);
        if (event !== undefined) yield event;
      }
      next = page.next;
    }
  }

  #event(offset: number, payload: Uint8Array): GatewayEvent | undefined {
    const { device, stamp, body } = decodeRecord(payload);
    if (body.type === "alert") return { type: "alert", offset, alert: body.alert };
    const row = this.#row(device);
    if (row === undefined || body.type !== "message") return undefined;
    const { message } = body;
    if (message.kind === "telemetry")
      return { type: "readings", offset, device, readings: readingsOf(row, message) };
    if (message.kind !== "event" && message.kind !== "log" && message.kind !== "error") return undefined;
    const timeMs = timeOf(row, message.boot, message.uptimeUs);
    return toldEvent({ ...toldOf(message, stamp), offset, row, timeMs });
  }
}

/** What a device said, as listeners hear it. */
export function toldEvent(told: Extract<Applied, { type: "event" | "log" | "error" }>): GatewayEvent {
  const { type, offset, row, timeMs, hlc, hlcFrom, severity, name, text, value } = told;
  const words = text === undefined ? {} : { text };
  const what = value === undefined ? {} : { value };
  return { type, offset, device: row.id, timeMs, hlc, hlcFrom, severity, name, ...words, ...what };
}
