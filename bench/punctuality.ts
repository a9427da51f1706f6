/**
 * How late readings reach the gateway. A board stamps a reading with its uptime at the timer's deadline; the gateway stamps the
 * record when it comes. The two clocks differ by an unknown constant a board, taken from its fastest message (as NTP's minimum
 * filter does), so what is told is the delay above the least one: of a timer that fired late, of the link, of a busy gateway.
 */
import type { LogRecord } from "../host/gateway/record.ts";

interface Arrival {
  readonly uptimeMs: number;
  readonly wallMs: number;
}

export interface Punctuality {
  readonly stored: number;
  /** Due in the window and on time, of those that were due. */
  readonly onTimeShare: number;
  readonly lateMsMedian: number;
  readonly lateMsP99: number;
  readonly lateMsMax: number;
}

export interface PunctualityOptions {
  readonly fromWallMs: number;
  readonly toWallMs: number;
  readonly periodMs: number;
  readonly boards: number;
}

export class ArrivalBook {
  readonly #boards = new Map<string, Arrival[]>();
  #stored = 0;

  add({ device, wallMs, body }: LogRecord): void {
    if (body.type !== "message" || body.message.kind !== "telemetry") return;
    const { uptimeUs, readings } = body.message;
    const arrivals = this.#boards.get(device) ?? [];
    this.#boards.set(device, arrivals);
    for (const { offsetUs } of readings) {
      arrivals.push({ uptimeMs: (uptimeUs + offsetUs) / 1000, wallMs });
      this.#stored += 1;
    }
  }

  /** A reading is on time when it came before the next one was due. */
  judge({ fromWallMs, toWallMs, periodMs, boards }: PunctualityOptions): Punctuality {
    const late: number[] = [];
    for (const arrivals of this.#boards.values()) {
      const origin = arrivals.reduce((least, one) => Math.min(least, one.wallMs - one.uptimeMs), Infinity);
      for (const { uptimeMs, wallMs } of arrivals) {
        const dueMs = origin + uptimeMs;
        if (dueMs >= fromWallMs && dueMs < toWallMs) late.push(wallMs - dueMs);
      }
    }
    late.sort((a, b) => a - b);
    const expected = (boards * (toWallMs - fromWallMs)) / periodMs;
    const onTime = late.filter((ms) => ms < periodMs).length;
    const at = (share: number): number =>
      late[Math.min(late.length - 1, Math.floor(late.length * share))] ?? Infinity;
    return {
      stored: this.#stored,
      // Where the window begins and ends within a period, a board may have one reading more or less.
      onTimeShare: Math.min(1, onTime / expected),
      lateMsMedian: at(0.5),
      lateMsP99: at(0.99),
      lateMsMax: late.at(-1) ?? Infinity,
    };
  }
}
