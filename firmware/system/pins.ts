/** Pins and ADC of the app, and the pin status message: sent when something changed, at most once a second. */
import { KIND_PIN_STATUS, PINS_MAX } from "../../assembly/codec/schema.generated";
import { ARGUMENT, POOL_FULL } from "../../assembly/errors/codes.generated";
import { bootNumber } from "./boot";
import { buildElement, buildEnd, buildList, buildStart, buildUint, built } from "./build";
import { hal_adc_read, hal_pin_mode, hal_pin_read, hal_pin_write } from "./hal";
import { linkSend } from "./link";
import { reserve } from "./memory";
import { NEVER } from "./timers";

const STATUS_US: u64 = 1_000_000;
const MODE_OFF: u32 = 0;
export const MODE_INPUT: u32 = 1;
export const MODE_OUTPUT: u32 = 2;
export const MODE_PWM: u32 = 3;
export const MODE_ANALOG: u32 = 4;
/** Pin numbers of ADC channels in the status, apart from the digital ones. */
const ANALOG_BASE: u32 = 128;

/** Each pin in use: +0 pin u32, +4 mode u32, +8 value u32. */
const table: usize = reserve(<usize>PINS_MAX * 12);
let count: u32 = 0;
let changed: bool = false;
let statusAt: u64 = 0;

export function pinsClear(): void {
  count = 0;
  changed = true;
}
/** Every pin of the app off, which floats it: what stops the app must not leave a heater on. */
export function pinsOff(): void {
  for (let index: u32 = 0; index < count; index += 1) {
    const at = table + <usize>index * 12;
    if (load<u32>(at) < ANALOG_BASE) hal_pin_mode(load<u32>(at), MODE_OFF);
    store<u32>(at, MODE_OFF, 4);
    store<u32>(at, 0, 8);
  }
  changed = true;
}
export function pinsAnnounce(): void {
  changed = true;
}

function find(pin: u32): usize {
  for (let index: u32 = 0; index < count; index += 1) {
    const at = table + <usize>index * 12;
    if (load<u32>(at) == pin) return at;
  }
  return 0;
}

function note(at: usize, value: u32): void {
  if (load<u32>(at, 8) == value) return;
  store<u32>(at, value, 8);
  changed = true;
}

function use(pin: u32, mode: u32): usize {
  let at = find(pin);
  if (at == 0) {
    if (count == PINS_MAX) return 0;
    at = table + <usize>count * 12;
    count += 1;
    store<u32>(at, pin);
    store<u32>(at, 0, 8);
  }
  store<u32>(at, mode, 4);
  changed = true;
  return at;
}

export function pinMode(pin: u32, mode: u32): i32 {
  if (pin >= ANALOG_BASE || mode > MODE_PWM) return -ARGUMENT;
  const status = hal_pin_mode(pin, mode);
  if (status != 0) return status;
  return use(pin, mode) == 0 ? -POOL_FULL : 0;
}

/** Level 0 or 1; with MODE_PWM a share of full scale, 0 to 65535. */
export function pinWrite(pin: u32, value: u32): i32 {
  const at = find(pin);
  if (at == 0 || load<u32>(at, 4) < MODE_OUTPUT || value > 65535) return -ARGUMENT;
  const status = hal_pin_write(pin, value);
  if (status == 0) note(at, value);
  return status;
}

export function pinRead(pin: u32): i32 {
  const at = find(pin);
  if (at == 0) return -ARGUMENT;
  const level = hal_pin_read(pin);
  if (level >= 0) note(at, <u32>level);
  return level;
}

/** Not in the status by its value: a reading is telemetry, and noise would send a status a second. */
export function adcRead(channel: u32): i32 {
  if (channel >= ANALOG_BASE) return -ARGUMENT;
  if (find(ANALOG_BASE + channel) == 0) use(ANALOG_BASE + channel, MODE_ANALOG);
  return hal_adc_read(channel);
}

export function pinsDeadline(): u64 {
  return changed && count > 0 ? statusAt : NEVER;
}

export function pinsSend(now: u64): void {
  if (!changed || count == 0 || now < statusAt) return;
  buildStart(KIND_PIN_STATUS);
  buildUint(1, bootNumber());
  buildUint(3, now);
  buildList(4, count);
  for (let index: u32 = 0; index < count; index += 1) {
    const at = table + <usize>index * 12;
    buildElement();
    buildUint(0, load<u32>(at));
    buildUint(1, load<u32>(at, 4));
    buildUint(2, load<u32>(at, 8));
  }
  const length = buildEnd();
  if (length < 0 || linkSend(built(), length) == 0) changed = false;
  statusAt = now + STATUS_US;
}
