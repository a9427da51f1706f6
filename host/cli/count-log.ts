/**
 * Counts what a gateway's segment log holds, record by record: the raw truth, not a table that overwrites by key. The
 * gateway must have ended.
 */

import { decodeRecord } from "../gateway/record.ts";
import { systemClock } from "../io/clock.ts";
import { nodeDisk } from "../io/disk.ts";
import type { Logger, Meter } from "../io/seams.ts";
import { openSegmentLog } from "../store/segment-log.ts";

export interface LogCount {
  /** Readings, each identity (device, boot, sequence) once. */
  readonly stored: number;
  readonly duplicated: number;
  /** Readings that the devices' drop records state. */
  readonly dropped: number;
  /** Sequence numbers that power cuts may have taken. */
  readonly possibleGaps: number;
  readonly records: number;
  /** Readings of the devices that are counted apart, in no other figure but `duplicated`. */
  readonly apart: number;
}

const READ_BYTES = 1024 * 1024;

const silentMeter: Meter = { count() {}, gauge() {}, duration() {} };
const silentLogger: Logger = { debug() {}, info() {}, warn() {}, error() {} };

export async function countLog(
  dataFolder: string,
  options: { readonly folder?: string; readonly apart?: ReadonlySet<string> } = {},
): Promise<LogCount> {
  const log = await openSegmentLog({
    disk: nodeDisk(dataFolder),
    folder: options.folder ?? "log",
    clock: systemClock(),
    meter: silentMeter,
    logger: silentLogger,
  });
  const seen = new Set<string>();
  const count = { stored: 0, duplicated: 0, dropped: 0, possibleGaps: 0, records: 0, apart: 0 };
  try {
    for (let at = log.start; at < log.syncedEnd; ) {
      const { records, next } = await log.read(at, READ_BYTES);
      for (const { payload } of records) {
        count.records += 1;
        add(count, seen, payload, options.apart);
      }
      if (next <= at) break;
      at = next;
    }
  } finally {
    await log.close();
  }
  return count;
}

function add(
  count: { -readonly [K in keyof LogCount]: number },
  seen: Set<string>,
  payload: Uint8Array,
  apart: ReadonlySet<string> | undefined,
): void {
  const { device, body } = decodeRecord(payload);
  if (body.type === "hello") for (const gap of body.gaps) count.possibleGaps += gap.to - gap.from + 1;
  if (body.type === "gap") count.possibleGaps += body.gap.to - body.gap.from + 1;
  if (body.type !== "message") return;
  const { message } = body;
  if (message.kind !== "telemetry" && message.kind !== "drop") return;
  const readings = message.kind === "telemetry" ? message.readings.length : message.readings;
  const key = `${device}/${message.boot}/${message.seq}`;
  if (seen.has(key)) count.duplicated += readings;
  else if (apart?.has(device) === true) count.apart += message.kind === "drop" ? 0 : readings;
  else if (message.kind === "drop") count.dropped += readings;
  else count.stored += readings;
  seen.add(key);
}
