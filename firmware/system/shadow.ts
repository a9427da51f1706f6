/**
 * The device's half of its shadow. An app declares desired keys with a default; the gateway sends the whole desired state; what
 * fits a declared key by name and type is applied, handed to the app, and reported with the desired version. Keys the
 * app does not declare and values of another type are left alone, so the gateway's delta shows them.
 */
import { KIND_SHADOW, NAME_BYTES_MAX, SHADOW_ENTRIES_MAX } from "../../assembly/codec/schema.generated";
import { ARGUMENT, POOL_FULL } from "../../assembly/errors/codes.generated";
import {
  buildElement,
  buildEnd,
  buildList,
  buildStart,
  buildText,
  buildUint,
  buildValue,
  built,
  VALUE_BOOL,
  VALUE_NUMBER,
} from "./build";
import { clockStamp } from "./clock";
import { hal_app_read } from "./hal";
import { linkSend } from "./link";
import { reserve } from "./memory";
import { parseFind, parseLength, parsePointer, parseUint, parseValue, parseValueType } from "./parse";

/** Each slot: +0 value f64, +8 type u32, +12 name length u32, +16 name. */
const SLOT_BYTES: usize = 40;
const slots: usize = reserve(<usize>SHADOW_ENTRIES_MAX * SLOT_BYTES);
let slotCount: u32 = 0;
let version: u32 = 0;
let unreported: bool = true;

export function shadowClear(): void {
  slotCount = 0;
  unreported = true;
}

/** Slot of a new key. Type: VALUE_BOOL or VALUE_NUMBER. */
export function shadowDeclare(name: usize, length: i32, type: u32, value: f64): i32 {
  if (length < 1 || length > NAME_BYTES_MAX || (type != VALUE_BOOL && type != VALUE_NUMBER)) return -ARGUMENT;
  if (slotCount == SHADOW_ENTRIES_MAX) return -POOL_FULL;
  const at = slots + <usize>slotCount * SLOT_BYTES;
  const status = hal_app_read(name, at + 16, length);
  if (status != 0) return status;
  store<f64>(at, value);
  store<u32>(at, type, 8);
  store<u32>(at, <u32>length, 12);
  slotCount += 1;
  return <i32>(slotCount - 1);
}

export function shadowValue(slot: u32): f64 {
  return slot < slotCount ? load<f64>(slots + <usize>slot * SLOT_BYTES) : NaN;
}

export function shadowReport(slot: u32, value: f64): i32 {
  if (slot >= slotCount) return -ARGUMENT;
  const at = slots + <usize>slot * SLOT_BYTES;
  if (load<f64>(at) == value) return 0;
  store<f64>(at, value);
  unreported = true;
  return 0;
}

/** Applies a parsed desired state. True when a slot changed. */
export function shadowApply(): bool {
  const list = parseFind(3);
  if (list < 0) return false;
  let changed = false;
  const entries = <i32>parseLength(list);
  for (let entry = 0; entry < entries; entry += 1) {
    const name = list + entry * 3 + 2;
    const slot = find(parsePointer(name), parseLength(name));
    if (slot == 0 || load<u32>(slot, 8) != parseValueType(name + 1)) continue;
    const value = parseValue(name + 1);
    if (load<f64>(slot) == value) continue;
    store<f64>(slot, value);
    changed = true;
  }
  version = <u32>parseUint(2);
  unreported = true;
  return changed;
}

function find(name: usize, length: u32): usize {
  for (let index: u32 = 0; index < slotCount; index += 1) {
    const at = slots + <usize>index * SLOT_BYTES;
    if (load<u32>(at, 12) == length && memory.compare(at + 16, name, length) == 0) return at;
  }
  return 0;
}

export function shadowAnnounce(): void {
  unreported = true;
}
export function shadowUnreported(): bool {
  return unreported;
}

/** Sends the reported state when it is due and the link takes it. */
export function shadowSend(): void {
  if (!unreported) return;
  buildStart(KIND_SHADOW);
  buildUint(1, 1);
  buildUint(2, version);
  buildList(3, slotCount);
  for (let index: u32 = 0; index < slotCount; index += 1) {
    const at = slots + <usize>index * SLOT_BYTES;
    buildElement();
    buildText(0, at + 16, <i32>load<u32>(at, 12));
    buildValue(1, load<u32>(at, 8), load<f64>(at));
  }
  clockStamp();
  const length = buildEnd();
  if (length < 0 || linkSend(built(), length) == 0) unreported = false;
}
