/** Reads one received message as tokens; fields are found by key, list elements by walking. */

import { decodedKind, decodeMessage } from "../../assembly/codec/message";
import {
  TOKEN_BYTES,
  TOKENS_MAX,
  TYPE_BOOL,
  TYPE_FLOAT,
  TYPE_TEXT,
  tokenFloat,
  tokenKey,
  tokenLength,
  tokenPointer,
  tokenType,
  tokenValue,
} from "../../assembly/codec/token";
import { VALUE_BOOL, VALUE_NONE, VALUE_NUMBER } from "./build";
import { STAMP_KEY, tokens } from "./tokens";

let count: i32 = 0;

/** Kind of the message, or the negative of a code. */
export function parse(ptr: usize, length: i32): i32 {
  count = decodeMessage(ptr, length, tokens, TOKENS_MAX);
  return count < 0 ? count : <i32>decodedKind();
}
/** Index of a top-level field, -1 when absent. Keys of list elements come after their list token and never match here. */
export function parseFind(key: u8): i32 {
  for (let index = 0; index < count; index += 1) {
    if (parseIsElement(index)) return -1;
    if (tokenKey(at(index)) == key) return index;
  }
  return -1;
}
function at(index: i32): usize {
  return tokens + <usize>index * TOKEN_BYTES;
}
export function parseIsElement(index: i32): bool {
  return tokenType(at(index)) == 10;
}
export function parseUint(key: u8): u64 {
  const index = parseFind(key);
  return index < 0 ? 0 : tokenValue(at(index));
}
/** The stamp, 0 for none. It is a message's last field, behind its list, where parseFind() does not look. */
export function parseStamp(): u64 {
  const last = at(count - 1);
  return tokenKey(last) == STAMP_KEY ? tokenValue(last) : 0;
}
export function parseLength(index: i32): u32 {
  return tokenLength(at(index));
}
export function parsePointer(index: i32): usize {
  return tokenPointer(at(index));
}
/** Type of a `value` token as an app sees it; texts are none: this firmware's shadows and arguments are numbers. */
export function parseValueType(index: i32): u32 {
  const type = tokenType(at(index));
  if (type == TYPE_TEXT) return VALUE_NONE;
  return type == TYPE_BOOL ? VALUE_BOOL : VALUE_NUMBER;
}
export function parseValue(index: i32): f64 {
  const token = at(index);
  const type = tokenType(token);
  if (type == TYPE_FLOAT) return tokenFloat(token);
  if (type == TYPE_BOOL) return <f64>tokenValue(token);
  return <f64>(<i64>tokenValue(token));
}
