/**
 * Builds one message at a time as tokens in a fixed table (assembly/codec/token.ts draws a token) and encodes it.
 */

import { isReducible } from "../../assembly/codec/cbor";
import { encodeMessage } from "../../assembly/codec/message";
import {
  FRAME_CRC_BYTES,
  HISTOGRAM_BYTES_MAX,
  MESSAGE_BYTES_MAX,
} from "../../assembly/codec/schema.generated";
import {
  TOKEN_BYTES,
  TOKENS_MAX,
  TYPE_BOOL,
  TYPE_BYTES,
  TYPE_ELEMENT,
  TYPE_FLOAT,
  TYPE_INT,
  TYPE_LIST,
  TYPE_TEXT,
  TYPE_U64,
  TYPE_UINT,
  tokenStore,
} from "../../assembly/codec/token";
import { FRAME_HEAD_ROOM } from "./frame";
import { reserve } from "./memory";
import { tokens } from "./tokens";

/** With room around the message, so that a frame is made of it in place. */
const output: usize = reserve(FRAME_HEAD_ROOM + MESSAGE_BYTES_MAX + FRAME_CRC_BYTES) + FRAME_HEAD_ROOM;
let count: i32 = 0;
let kind: u32 = 0;

/** Value types as an app passes them. */
export const VALUE_NONE: u32 = 0;
export const VALUE_BOOL: u32 = 1;
export const VALUE_NUMBER: u32 = 2;

function put(type: u8, key: u8, length: u32, value: u64): void {
  if (count >= TOKENS_MAX) unreachable();
  tokenStore(tokens + <usize>count * TOKEN_BYTES, type, key, length, value);
  count += 1;
}

export function buildStart(ofKind: u32): void {
  kind = ofKind;
  count = 0;
}
export function buildUint(key: u8, value: u64): void {
  put(TYPE_UINT, key, 0, value);
}
export function buildU64(key: u8, value: u64): void {
  put(TYPE_U64, key, 0, value);
}
export function buildInt(key: u8, value: i64): void {
  put(TYPE_INT, key, 0, <u64>value);
}
export function buildText(key: u8, ptr: usize, length: i32): void {
  put(TYPE_TEXT, key, <u32>length, <u64>ptr);
}
export function buildBytes(key: u8, ptr: usize, length: i32): void {
  put(TYPE_BYTES, key, <u32>length, <u64>ptr);
}
/** Room for a histogram's bytes while their message is built: the output's end, which that message does not reach. */
export function buildSpare(): usize {
  return output + MESSAGE_BYTES_MAX - HISTOGRAM_BYTES_MAX;
}
export function buildFloat(key: u8, value: f64): void {
  put(TYPE_FLOAT, key, 0, reinterpret<u64>(value));
}
/** A `value` field; numbers that are integers travel as integers. */
export function buildValue(key: u8, type: u32, value: f64): void {
  if (type == VALUE_BOOL) put(TYPE_BOOL, key, 0, value != 0 ? 1 : 0);
  else if (isReducible(value)) put(TYPE_INT, key, 0, <u64>(<i64>value));
  else buildFloat(key, value);
}
export function buildList(key: u8, elements: u32): void {
  put(TYPE_LIST, key, elements, 0);
}
export function buildElement(): void {
  put(TYPE_ELEMENT, 0, 0, 0);
}
/** Bytes at `built()`, or the negative of a code. */
export function buildEnd(): i32 {
  return encodeMessage(kind, tokens, count, output, MESSAGE_BYTES_MAX);
}
export function built(): usize {
  return output;
}
