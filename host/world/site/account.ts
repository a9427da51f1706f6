/** The books of a gateway's log: which messages of a device it holds, how often, and which it says are missing. */
import { decodeMessage } from "../../../protocols/message.ts";
import type { LogRecord } from "../../gateway/record.ts";

interface Range {
  readonly boot: number;
  readonly from: number;
  readonly toBoot: number;
  readonly to: number;
}

export class DeviceAccount {
  /** By "boot seq": the readings of each copy that is stored. */
  readonly #stored = new Map<string, number[]>();
  readonly #ranges: Range[] = [];

  constructor(records: Iterable<LogRecord>, device: string) {
    for (const record of records) if (record.device === device) this.#add(record);
  }

  #add({ body }: LogRecord): void {
    if (body.type === "hello") this.#ranges.push(...body.gaps);
    if (body.type === "gap") this.#ranges.push(body.gap);
    if (body.type !== "message") return;
    const { message } = body;
    if (message.kind === "drop") {
      const { boot, from, seq } = message;
      this.#ranges.push({ boot, from, toBoot: boot, to: seq });
    } else if ("seq" in message && "boot" in message) {
      const key = `${message.boot} ${message.seq}`;
      const readings = message.kind === "telemetry" ? message.readings.length : 0;
      this.#stored.set(key, [...(this.#stored.get(key) ?? []), readings]);
    }
  }

  /** Readings of each stored copy of the message. */
  copies(boot: number, seq: number): readonly number[] {
    return this.#stored.get(`${boot} ${seq}`) ?? [];
  }
  /** A record says that it is not here: dropped by the device, or lost with its power. */
  isStated(boot: number, seq: number): boolean {
    return this.#ranges.some(
      ({ boot: first, from, toBoot, to }) =>
        (boot > first || (boot === first && seq >= from)) &&
        (boot < toBoot || (boot === toBoot && seq <= to)),
    );
  }
  get messages(): number {
    return this.#stored.size;
  }
  get readings(): number {
    let sum = 0;
    for (const copies of this.#stored.values()) for (const readings of copies) sum += readings;
    return sum;
  }
}

/** Number and readings of a message as a device sends it; undefined for those that have no number. */
export function numbered(
  bytes: Uint8Array,
): { readonly boot: number; readonly seq: number; readonly readings: number } | undefined {
  const decoded = decodeMessage(bytes);
  if (!decoded.ok || !("seq" in decoded.message) || decoded.message.kind === "drop") return undefined;
  const { message } = decoded;
  if (!("uptimeUs" in message)) return undefined;
  return {
    boot: message.boot,
    seq: message.seq,
    readings: message.kind === "telemetry" ? message.readings.length : 0,
  };
}
