/**
 * The canonical ABI of protocols/wit/plugin.wit, by hand: lifts arguments into objects, lowers answers into memory. Texts are UTF-16, which
 * both sides have. boards/toolchain/plugin.ts writes the exports that call this.
 *
 * Arguments are allocated by the host through `realloc` and freed here once lifted. An answer is one static area; what it points at is
 * held by the roots and tables below until the host has read it and calls the post-return. Offsets in bytes:
 *
 *   result<option<decoded>, string>      +0 u8 error      +4 u8 some      +8 decoded        (error: +4 text)
 *   decoded      +0 device   +8 u8 some, +12 version   +20 readings   +28 states   +36 u8 some, +37 presence
 *   reading      +0 metric   +8 unit   +16 f64                                                         24 bytes
 *   state        +0 key      +8 u8 kind   +16 bool, f64 or text                                        24 bytes
 *   result<option<publish>, string>      +0 u8 error      +4 u8 some      +8 topic   +16 payload
 *
 * A text or list is its address and its length.
 */
import { BOOLEAN, Decoded, NUMBER, PRESENCE_ONLINE, PRESENCE_UNTOLD, Publish, State, Value } from "./index";

const AREA: usize = memory.data(48, 8);
const ROW: usize = 24;

/** Roots for the collector: what the host is reading, until the post-return. */
const keptDecoded: Decoded[] = [];
const keptPublish: Publish[] = [];
let readingTable: usize = 0;
let stateTable: usize = 0;

export function realloc(old: usize, oldBytes: usize, align: usize, bytes: usize): usize {
  if (bytes == 0) return align;
  const at = heap.alloc(bytes);
  if (oldBytes != 0) {
    memory.copy(at, old, min(oldBytes, bytes));
    heap.free(old);
  }
  return at;
}

export function liftText(at: usize, units: usize): string {
  if (units == 0) return "";
  const text = String.UTF16.decodeUnsafe(at, units << 1);
  heap.free(at);
  return text;
}

export function liftBytes(at: usize, bytes: usize): Uint8Array {
  const list = new Uint8Array(<i32>bytes);
  if (bytes == 0) return list;
  memory.copy(list.dataStart, at, bytes);
  heap.free(at);
  return list;
}

/** A variant's cases share their flat words: the first is an i64 that holds a boolean, the bits of a number or an address. */
export function liftValue(kind: u32, word: u64, length: u32): Value {
  if (kind == BOOLEAN) return Value.boolean(<u32>word != 0);
  if (kind == NUMBER) return Value.number(reinterpret<f64>(word));
  return Value.text(liftText(<usize>word, length));
}

export function lowerDecoded(decoded: Decoded | null): usize {
  memory.fill(AREA, 0, 48);
  if (decoded === null) return AREA;
  keptDecoded.push(decoded);
  if (decoded.refusal.length > 0) {
    store<u8>(AREA, 1);
    lowerText(AREA + 4, decoded.refusal);
    return AREA;
  }
  store<u8>(AREA, 1, 4);
  const at = AREA + 8;
  lowerText(at, decoded.device);
  store<u8>(at, decoded.firmware.length > 0 ? 1 : 0, 8);
  lowerText(at + 12, decoded.firmware);
  const readings = decoded.readings;
  readingTable = tableOf(at + 20, readings.length);
  for (let index = 0; index < readings.length; ++index) {
    const row = readingTable + <usize>index * ROW;
    const reading = readings[index];
    lowerText(row, reading.metric);
    lowerText(row + 8, reading.unit);
    store<f64>(row, reading.value, 16);
  }
  const states = decoded.states;
  stateTable = tableOf(at + 28, states.length);
  for (let index = 0; index < states.length; ++index) {
    lowerState(stateTable + <usize>index * ROW, states[index]);
  }
  store<u8>(at, decoded.presence != PRESENCE_UNTOLD ? 1 : 0, 36);
  store<u8>(at, decoded.presence == PRESENCE_ONLINE ? 1 : 0, 37);
  return AREA;
}

export function lowerPublish(publish: Publish | null): usize {
  memory.fill(AREA, 0, 48);
  if (publish === null) return AREA;
  keptPublish.push(publish);
  if (publish.refusal.length > 0) {
    store<u8>(AREA, 1);
    lowerText(AREA + 4, publish.refusal);
    return AREA;
  }
  store<u8>(AREA, 1, 4);
  lowerText(AREA + 8, publish.topic);
  store<usize>(AREA, publish.payload.dataStart, 16);
  store<u32>(AREA, publish.payload.length, 20);
  return AREA;
}

/** The host has read the answer. */
export function release(): void {
  keptDecoded.length = 0;
  keptPublish.length = 0;
  if (readingTable != 0) heap.free(readingTable);
  if (stateTable != 0) heap.free(stateTable);
  readingTable = 0;
  stateTable = 0;
}

function tableOf(at: usize, rows: i32): usize {
  store<u32>(at, rows, 4);
  // An address of nothing must be aligned all the same.
  store<usize>(at, ROW);
  if (rows == 0) return 0;
  const table = heap.alloc(<usize>rows * ROW);
  store<usize>(at, table);
  return table;
}

function lowerState(row: usize, state: State): void {
  lowerText(row, state.key);
  const value = state.value;
  store<u8>(row, <u8>value.kind, 8);
  if (value.kind == BOOLEAN) store<u8>(row, value.boolean ? 1 : 0, 16);
  else if (value.kind == NUMBER) store<f64>(row, value.number, 16);
  else lowerText(row + 16, value.text);
}

function lowerText(at: usize, text: string): void {
  store<usize>(at, changetype<usize>(text));
  store<u32>(at, text.length, 4);
}
