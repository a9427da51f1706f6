/**
 * What goes up in sequence: the batch of readings, events, log lines, error records. A message gets its number when it
 * enters the outbox; from then on it is acknowledged, or stated as dropped.
 */
import {
  HISTOGRAM_BYTES_MAX,
  KIND_ERROR,
  KIND_EVENT,
  KIND_LOG,
  KIND_TELEMETRY,
  LOG_BYTES_MAX,
  METRIC_NAME_BYTES_MAX,
  METRICS_MAX,
  NAME_BYTES_MAX,
  READINGS_MAX,
  UNIT_BYTES_MAX,
} from "../../assembly/codec/schema.generated";
import { ARGUMENT, POOL_FULL } from "../../assembly/errors/codes.generated";
import { monitorRate, monitorRecord } from "../../assembly/errors/monitor";
import { bootNumber, bootReserve } from "./boot";
import {
  buildBytes,
  buildElement,
  buildEnd,
  buildFloat,
  buildInt,
  buildList,
  buildSpare,
  buildStart,
  buildText,
  buildUint,
  buildValue,
  built,
  VALUE_NONE,
} from "./build";
import { clockStamp } from "./clock";
import { hal_app_read } from "./hal";
import { reserve } from "./memory";
import { BATCH, MONITOR, outboxNextSequence, outboxPush } from "./outbox";

/** Each metric: +0 name length u8, +1 unit length u8, +2 name, +26 unit. */
const METRIC_BYTES: usize = 34;
const metrics: usize = reserve(<usize>METRICS_MAX * METRIC_BYTES);
let metricCount: u32 = 0;

/**
 * The open batch lies in the retained region: +0 count u32, +4 its complement, +8 sequence number it is being closed under, 0
 * before, +16 start u64, +32 readings of 16 bytes: +0 value f64, +8 metric u32, +12 offset u32. The count is written last, so a reset
 * anywhere leaves whole readings; a batch whose number the outbox has given out already is in the outbox.
 */
const READING_BYTES: usize = 16;
const readings: usize = BATCH + 32;
let produced: u64 = 0;

function batchCount(): u32 {
  return load<u32>(BATCH);
}
function setBatchCount(count: u32): void {
  store<u32>(BATCH, count);
  store<u32>(BATCH, ~count, 4);
}

/** What the app is doing while it runs, 0 when it does not: length u8, then the text. */
let operation: usize = 0;

/** Of one code and component in the monitor's window of some 67 s, each told of. */
const ERRORS_A_WINDOW: u32 = 8;

const text: usize = reserve(LOG_BYTES_MAX);
const component: usize = reserve(NAME_BYTES_MAX);

export function telemetryClear(): void {
  metricCount = 0;
  setBatchCount(0);
}
export function readingsProduced(): u64 {
  return produced;
}
export function readingsBatched(): u32 {
  return batchCount();
}

/** After a reset, before the boot's number rises: what the boot before had gathered becomes its last message. */
export function batchRecover(): void {
  const count = batchCount();
  if (count != ~load<u32>(BATCH, 4) || count > <u32>READINGS_MAX) return setBatchCount(0);
  const closing = load<u32>(BATCH, 8);
  if (closing != 0 && closing < outboxNextSequence()) return setBatchCount(0);
  batchClose();
}

/** Index of a new metric, or the negative of a code. */
export function metricAdd(name: usize, nameLength: i32, unit: usize, unitLength: i32): i32 {
  if (nameLength < 1 || nameLength > METRIC_NAME_BYTES_MAX || unitLength < 0 || unitLength > UNIT_BYTES_MAX)
    return -ARGUMENT;
  if (metricCount == METRICS_MAX) return -POOL_FULL;
  const at = metrics + <usize>metricCount * METRIC_BYTES;
  let status = hal_app_read(name, at + 2, nameLength);
  if (status == 0) status = hal_app_read(unit, at + 26, unitLength);
  if (status != 0) return status;
  store<u8>(at, <u8>nameLength);
  store<u8>(at, <u8>unitLength, 1);
  metricCount += 1;
  return <i32>(metricCount - 1);
}

export function helloMetrics(): void {
  buildList(13, metricCount);
  for (let index: u32 = 0; index < metricCount; index += 1) {
    const at = metrics + <usize>index * METRIC_BYTES;
    buildElement();
    buildText(0, at + 2, load<u8>(at));
    buildText(1, at + 26, load<u8>(at, 1));
  }
}

/** Adds a reading to the batch; a full batch is closed first. */
export function readingAdd(metric: u32, value: f64, now: u64): i32 {
  if (metric >= metricCount) return -ARGUMENT;
  if (batchCount() == READINGS_MAX || (batchCount() > 0 && now - load<u64>(BATCH, 16) > u32.MAX_VALUE)) {
    const status = batchClose();
    if (status < 0) return status;
  }
  const count = batchCount();
  if (count == 0) {
    store<u32>(BATCH, 0, 8);
    store<u64>(BATCH, now, 16);
  }
  const at = readings + <usize>count * READING_BYTES;
  store<f64>(at, value);
  store<u32>(at, metric, 8);
  store<u32>(at, <u32>(now - load<u64>(BATCH, 16)), 12);
  setBatchCount(count + 1);
  produced += 1;
  return 0;
}

/** Begins a message of the sequence. */
export function sequencedStart(kind: u32, uptimeUs: u64): void {
  bootReserve();
  buildStart(kind);
  buildUint(1, bootNumber());
  buildUint(2, outboxNextSequence());
  buildUint(3, uptimeUs);
}

/** Ends it: the number of messages dropped to make room, or the negative of a code. */
export function sequencedEnd(readings: u32): i32 {
  clockStamp();
  const length = buildEnd();
  return length < 0 ? length : outboxPush(built(), <u32>length, readings);
}

/** Puts the batch into the outbox. */
export function batchClose(): i32 {
  const count = batchCount();
  if (count == 0) return 0;
  sequencedStart(KIND_TELEMETRY, load<u64>(BATCH, 16));
  buildList(4, count);
  for (let index: u32 = 0; index < count; index += 1) {
    const at = readings + <usize>index * READING_BYTES;
    buildElement();
    buildUint(0, load<u32>(at, 8));
    buildUint(1, load<u32>(at, 12));
    buildFloat(2, load<f64>(at));
  }
  store<u32>(BATCH, outboxNextSequence(), 8);
  const status = sequencedEnd(count);
  setBatchCount(0);
  return status;
}

/** A histogram's bytes, which lie in the app's arena; the gateway reads them. */
export function histogramAdd(metric: u32, ptr: usize, length: i32, now: u64): i32 {
  if (metric >= metricCount || length < 1 || length > HISTOGRAM_BYTES_MAX) return -ARGUMENT;
  const status = hal_app_read(ptr, buildSpare(), length);
  if (status != 0) return status;
  sequencedStart(KIND_TELEMETRY, now);
  buildList(4, 0);
  buildUint(5, metric);
  buildBytes(6, buildSpare(), length);
  return sequencedEnd(0);
}

export function eventAdd(name: usize, length: i32, severity: u32, type: u32, value: f64, now: u64): i32 {
  if (length < 1 || length > NAME_BYTES_MAX || severity > 4) return -ARGUMENT;
  const status = hal_app_read(name, text, length);
  if (status != 0) return status;
  sequencedStart(KIND_EVENT, now);
  buildText(4, text, length);
  buildUint(5, severity);
  if (type != VALUE_NONE) buildValue(6, type, value);
  return sequencedEnd(0);
}

export function logAdd(level: u32, ptr: usize, length: i32, now: u64): i32 {
  if (length < 0 || length > LOG_BYTES_MAX || level > 5) return -ARGUMENT;
  const status = hal_app_read(ptr, text, length);
  if (status != 0) return status;
  sequencedStart(KIND_LOG, now);
  buildUint(4, level);
  buildText(5, text, length);
  return sequencedEnd(0);
}

/** An error record of the app; the component's name is in the app's arena. */
export function errorAddOfApp(
  code: u32,
  severity: u32,
  name: usize,
  length: i32,
  detail: i64,
  now: u64,
): i32 {
  if (length < 1 || length > NAME_BYTES_MAX || severity > 4 || code > 65535) return -ARGUMENT;
  const status = hal_app_read(name, component, length);
  if (status != 0) return status;
  return errorAdd(code, severity, component, length, detail, now);
}

export function errorOperation(doing: usize): void {
  operation = doing;
}

/** In the monitor alone: how often this code and component had an error since the boot. */
export function errorCount(code: u32, severity: u32, name: usize, length: i32, detail: i64, now: u64): u32 {
  return monitorRecord(MONITOR, code, severity, name, length, detail, now);
}

/**
 * Counts an error and tells of it. Of a pair of code and component that has many, each power of two is told: the record says the count, and
 * a flood of errors does not push the readings out of the ring.
 */
export function errorAdd(code: u32, severity: u32, name: usize, length: i32, detail: i64, now: u64): i32 {
  const count = errorCount(code, severity, name, length, detail, now);
  if ((count & (count - 1)) != 0 && monitorRate(MONITOR, code, name, length, now) > ERRORS_A_WINDOW) return 0;
  sequencedStart(KIND_ERROR, now);
  buildUint(4, code);
  buildUint(5, severity);
  buildText(6, name, length);
  if (operation != 0) buildText(7, operation + 1, load<u8>(operation));
  if (detail != 0) buildInt(8, detail);
  buildUint(9, count);
  return sequencedEnd(0);
}
