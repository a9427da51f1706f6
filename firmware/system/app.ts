/**
 * The app's side of the system: import module `tardi`. Everything an app may do passes here, is held against its declared
 * capabilities and its range, and answers with a status; a wrong call costs the app a status, never the system.
 */
import {
  CAPABILITY_ADC,
  CAPABILITY_COMMANDS,
  CAPABILITY_EVENTS,
  CAPABILITY_LOG,
  CAPABILITY_PINS,
  CAPABILITY_SHADOW,
  CAPABILITY_TELEMETRY,
} from "../../assembly/codec/schema.generated";
import {
  ARGUMENT,
  CAPABILITY_DENIED,
  SETUP_ONLY,
  SEVERITY_ERROR,
} from "../../assembly/errors/codes.generated";
import { commandAdd, commandResult, commandsClear } from "./commands";
import { hal_capabilities, hal_now_us, hal_random } from "./hal";
import { reserve } from "./memory";
import { adcRead, pinMode, pinRead, pinsClear, pinWrite } from "./pins";
import { shadowClear, shadowDeclare, shadowReport, shadowValue } from "./shadow";
import {
  batchClose,
  errorAdd,
  errorAddOfApp,
  errorOperation,
  eventAdd,
  histogramAdd,
  logAdd,
  metricAdd,
  readingAdd,
  telemetryClear,
} from "./telemetry";
import { timerAdd, timersClear } from "./timers";

const PERIOD_MIN_US: u64 = 1_000;
const PERIOD_MAX_US: u64 = 7 * 24 * 3600 * 1_000_000;
const COMPONENT_APP: usize = memory.data<u8>([0x61, 0x70, 0x70]);

let inSetup: bool = false;
/** Time of the callback that runs: its deadline, so that boards agree. */
let now: u64 = 0;
let denied: u32 = 0;
/** Counts refused calls of an app by capability, so that one record a capability says it all. */
const refusals: usize = reserve(8 * 4);

/** What the app is doing, as an error record names it: length, then the text. */
export const IN_SETUP: usize = memory.data<u8>([0x05, 0x73, 0x65, 0x74, 0x75, 0x70]);
export const IN_TIMER: usize = memory.data<u8>([0x05, 0x74, 0x69, 0x6d, 0x65, 0x72]);
export const IN_COMMAND: usize = memory.data<u8>([0x07, 0x63, 0x6f, 0x6d, 0x6d, 0x61, 0x6e, 0x64]);
export const IN_SHADOW: usize = memory.data<u8>([0x06, 0x73, 0x68, 0x61, 0x64, 0x6f, 0x77]);

export function appEnter(at: u64, operation: usize): void {
  now = at;
  inSetup = operation == IN_SETUP;
  errorOperation(operation);
  if (!inSetup) return;
  // What an app recorded before it trapped was taken with status 0, so it is sent.
  batchClose();
  telemetryClear();
  timersClear();
  shadowClear();
  commandsClear();
  pinsClear();
}
export function appLeave(): void {
  inSetup = false;
  errorOperation(0);
}

function allowed(capability: u32): bool {
  if ((hal_capabilities() & capability) != 0) return true;
  const at = refusals + <usize>(ctz(capability) & 7) * 4;
  store<u32>(at, load<u32>(at) + 1);
  if ((denied & capability) == 0) {
    denied |= capability;
    errorAdd(CAPABILITY_DENIED, SEVERITY_ERROR, COMPONENT_APP, 3, <i64>ctz(capability), now);
  }
  return false;
}

function setupStatus(capability: u32): i32 {
  if (!inSetup) return -SETUP_ONLY;
  return allowed(capability) ? 0 : -CAPABILITY_DENIED;
}

/** Id of a new timer. Period 1 ms to 7 days; in setup only. */
export function every(periodUs: u64): i32 {
  if (!inSetup) return -SETUP_ONLY;
  if (periodUs < PERIOD_MIN_US || periodUs > PERIOD_MAX_US) return -ARGUMENT;
  return timerAdd(periodUs, now);
}
/** Time of the running callback in microseconds since boot: its deadline. */
export function now_us(): u64 {
  return now;
}
/** Exact time, for measuring how long something took. */
export function exact_us(): u64 {
  return hal_now_us();
}
export function random(): u32 {
  return hal_random();
}

export function metric(name: usize, nameLength: i32, unit: usize, unitLength: i32): i32 {
  const status = setupStatus(CAPABILITY_TELEMETRY);
  return status < 0 ? status : metricAdd(name, nameLength, unit, unitLength);
}
export function reading(index: u32, value: f64): i32 {
  return allowed(CAPABILITY_TELEMETRY) ? readingAdd(index, value, now) : -CAPABILITY_DENIED;
}
/** Closes the batch: messages dropped to make room, or the negative of a code. */
export function send_batch(): i32 {
  return allowed(CAPABILITY_TELEMETRY) ? batchClose() : -CAPABILITY_DENIED;
}
/** Bytes of a histogram, as host/core/histogram-bytes.ts draws them: messages dropped to make room, or the negative of a code. */
export function histogram(metric: u32, ptr: usize, length: i32): i32 {
  return allowed(CAPABILITY_TELEMETRY) ? histogramAdd(metric, ptr, length, now) : -CAPABILITY_DENIED;
}
export function event(name: usize, length: i32, severity: u32, type: u32, value: f64): i32 {
  return allowed(CAPABILITY_EVENTS) ? eventAdd(name, length, severity, type, value, now) : -CAPABILITY_DENIED;
}
export function log(level: u32, ptr: usize, length: i32): i32 {
  return allowed(CAPABILITY_LOG) ? logAdd(level, ptr, length, now) : -CAPABILITY_DENIED;
}
/** An error record; allowed without a capability, so that a failing app can always say so. */
export function error(code: u32, severity: u32, name: usize, length: i32, detail: i64): i32 {
  return errorAddOfApp(code, severity, name, length, detail, now);
}

export function shadow_declare(name: usize, length: i32, type: u32, value: f64): i32 {
  const status = setupStatus(CAPABILITY_SHADOW);
  return status < 0 ? status : shadowDeclare(name, length, type, value);
}
export function shadow_value(slot: u32): f64 {
  return shadowValue(slot);
}
export function shadow_report(slot: u32, value: f64): i32 {
  return allowed(CAPABILITY_SHADOW) ? shadowReport(slot, value) : -CAPABILITY_DENIED;
}

export function command(name: usize, length: i32, inbox: usize): i32 {
  const status = setupStatus(CAPABILITY_COMMANDS);
  return status < 0 ? status : commandAdd(name, length, inbox);
}
export function command_result(type: u32, value: f64): void {
  commandResult(type, value);
}

export function pin_mode(pin: u32, mode: u32): i32 {
  return allowed(CAPABILITY_PINS) ? pinMode(pin, mode) : -CAPABILITY_DENIED;
}
export function pin_write(pin: u32, value: u32): i32 {
  return allowed(CAPABILITY_PINS) ? pinWrite(pin, value) : -CAPABILITY_DENIED;
}
export function pin_read(pin: u32): i32 {
  return allowed(CAPABILITY_PINS) ? pinRead(pin) : -CAPABILITY_DENIED;
}
export function adc_read(channel: u32): i32 {
  return allowed(CAPABILITY_ADC) ? adcRead(channel) : -CAPABILITY_DENIED;
}
