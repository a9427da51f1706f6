/**
 * Messages: a definite-length CBOR map {0: kind, 1: ..., ...}, keys ascending, to and from tokens (token.ts draws them),
 * driven by the rows of schema.generated.ts, so that a new message costs rows and no code.
 *
 * Decoding walks the map's pairs and the kind's rows side by side, both ascending by key: a row that is passed over must be
 * optional, a pair without a row is skipped. Nothing is allocated and nothing is looked at twice; recursion is as deep as
 * the schema (map, list, map) and, in skipped values, as CBOR_SKIP_DEPTH_MAX. Encoding checks the same rules, so a message
 * that was encoded can always be decoded. One message at a time: the cursor is the reader's of cbor.ts.
 */
import {
  CBOR_KEY_ORDER,
  CBOR_NONCANONICAL,
  CBOR_RANGE,
  CBOR_TOKENS,
  CBOR_TRAILING,
  CBOR_TRUNCATED,
  CBOR_TYPE,
  MESSAGE_FIELD,
  MESSAGE_KIND,
  MESSAGE_OVERSIZE,
  MESSAGE_SPACE,
} from "../errors/codes.generated";
import {
  isReducible,
  MAJOR_BYTES,
  MAJOR_LIST,
  MAJOR_MAP,
  MAJOR_NEGATIVE,
  MAJOR_SIMPLE,
  MAJOR_TEXT,
  MAJOR_UINT,
  readArgument,
  readerLeft,
  readerStart,
  readFloatBits,
  readFloatStatus,
  readHead,
  readInfo,
  readSpan,
  SAFE_INTEGER_MAX,
  SIMPLE_FALSE,
  SIMPLE_TRUE,
  skipItem,
  utf8Status,
  writeBool,
  writeFloat,
  writeHead,
  writeInteger,
  writerAt,
  writerStart,
  writeSpan,
} from "./cbor";
import {
  MESSAGE_BYTES_MAX,
  SCHEMA_KIND_COUNT,
  SCHEMA_KINDS,
  SCHEMA_ROWS,
  TEXT_VALUE_BYTES_MAX,
} from "./schema.generated";
import {
  TOKEN_BYTES,
  TYPE_BOOL,
  TYPE_BYTES,
  TYPE_ELEMENT,
  TYPE_FLOAT,
  TYPE_INT,
  TYPE_LIST,
  TYPE_TEXT,
  TYPE_U64,
  TYPE_UINT,
  TYPE_VALUE,
  tokenFloat,
  tokenKey,
  tokenLength,
  tokenPointer,
  tokenStore,
  tokenType,
  tokenValue,
} from "./token";

const ROW_BYTES: usize = 16;
const KIND_BYTES: usize = 12;
const KEY_MAX: u64 = 255;
/** A map of more pairs would need a longer head than the byte kept for it; no kind comes near. */
const PAIRS_MAX: u32 = 23;

let lastKind: u32 = 0;
let tokenAt: usize = 0;
let tokenEnd: usize = 0;

/** Kind of the message that `decodeMessage` read last. */
export function decodedKind(): u32 {
  return lastKind;
}

/**
 * Decodes `length` bytes at `input` into at most `tokensMax` tokens at `tokens`. Tokens written, or the negative of
 * MESSAGE_OVERSIZE, CBOR_* (but CBOR_TOKENS means our room), MESSAGE_KIND, MESSAGE_FIELD. Never reads beyond the input.
 */
export function decodeMessage(input: usize, length: i32, tokens: usize, tokensMax: i32): i32 {
  lastKind = 0;
  if (length > MESSAGE_BYTES_MAX) return -MESSAGE_OVERSIZE;
  readerStart(input, length < 0 ? 0 : length);
  tokenAt = tokens;
  tokenEnd = tokens + <usize>tokensMax * TOKEN_BYTES;

  const pairs = decodeMapHead();
  if (pairs < 0) return pairs;
  if (pairs == 0) return -MESSAGE_FIELD;
  const first = decodeKey(-1);
  if (first < 0) return first;
  if (first != 0) return -MESSAGE_FIELD;
  const major = readHead();
  if (major < 0) return major;
  if (major != MAJOR_UINT) return -CBOR_TYPE;
  if (readArgument() > SAFE_INTEGER_MAX) return -CBOR_RANGE;
  const kind = findKind(readArgument());
  if (kind == 0) return -MESSAGE_KIND;

  const row = rowAddress(load<u32>(kind, 4));
  const status = decodeFields(row, row + <usize>load<u32>(kind, 8) * ROW_BYTES, pairs - 1, 0);
  if (status < 0) return status;
  if (readerLeft() != 0) return -CBOR_TRAILING;
  lastKind = load<u32>(kind);
  return <i32>((tokenAt - tokens) / TOKEN_BYTES);
}

/**
 * Encodes `count` tokens as a message of `kind` into at most `capacity` bytes at `output`. Bytes written, or the negative
 * of MESSAGE_KIND, MESSAGE_FIELD (a field is missing or none of this kind), CBOR_TYPE, CBOR_RANGE, CBOR_UTF8,
 * CBOR_KEY_ORDER, MESSAGE_OVERSIZE, MESSAGE_SPACE. Texts are read where their tokens point.
 */
export function encodeMessage(kind: u32, tokens: usize, count: i32, output: usize, capacity: i32): i32 {
  const found = findKind(<u64>kind);
  if (found == 0) return -MESSAGE_KIND;
  const room = capacity < MESSAGE_BYTES_MAX ? capacity : MESSAGE_BYTES_MAX;
  writerStart(output, room < 0 ? 0 : room);
  tokenAt = tokens;
  tokenEnd = tokens + <usize>count * TOKEN_BYTES;
  const row = rowAddress(load<u32>(found, 4));
  let status = encodeMap(row, row + <usize>load<u32>(found, 8) * ROW_BYTES, <i32>kind);
  if (status == 0 && tokenAt != tokenEnd) status = -MESSAGE_FIELD;
  if (status == -MESSAGE_SPACE && capacity >= MESSAGE_BYTES_MAX) return -MESSAGE_OVERSIZE;
  return status < 0 ? status : <i32>(writerAt() - output);
}

function findKind(kind: u64): usize {
  for (let index = 0; index < SCHEMA_KIND_COUNT; ++index) {
    const at = SCHEMA_KINDS + <usize>index * KIND_BYTES;
    if (<u64>load<u32>(at) == kind) return at;
  }
  return 0;
}

function rowAddress(index: u32): usize {
  return SCHEMA_ROWS + <usize>index * ROW_BYTES;
}

function rowKey(row: usize): i32 {
  return <i32>load<u8>(row);
}

function rowType(row: usize): u8 {
  return load<u8>(row, 1);
}

function rowOptional(row: usize): bool {
  return (load<u8>(row, 2) & 1) != 0;
}

function rowMax(row: usize): u64 {
  return load<u64>(row, 8);
}

/** Pairs of the map whose head comes next. */
function decodeMapHead(): i32 {
  const major = readHead();
  if (major < 0) return major;
  if (major != MAJOR_MAP) return -CBOR_TYPE;
  // A pair takes at least two bytes.
  if (readArgument() > <u64>(readerLeft() >> 1)) return -CBOR_TRUNCATED;
  return <i32>readArgument();
}

/** The next key, which must be above `previous`. */
function decodeKey(previous: i32): i32 {
  const major = readHead();
  if (major < 0) return major;
  if (major != MAJOR_UINT) return -CBOR_TYPE;
  if (readArgument() > KEY_MAX) return -CBOR_RANGE;
  const key = <i32>readArgument();
  return key > previous ? key : -CBOR_KEY_ORDER;
}

function decodeFields(firstRow: usize, rowEnd: usize, pairs: i32, firstPrevious: i32): i32 {
  let row = firstRow;
  let previous = firstPrevious;
  // Said only at the end, so that damage later in the map is reported as what it is.
  let missing = false;
  for (let pair = 0; pair < pairs; ++pair) {
    const key = decodeKey(previous);
    if (key < 0) return key;
    previous = key;
    while (row < rowEnd && rowKey(row) < key) {
      if (!rowOptional(row)) missing = true;
      row += ROW_BYTES;
    }
    let status: i32 = 0;
    if (row < rowEnd && rowKey(row) == key) {
      status = decodeField(row);
      row += ROW_BYTES;
    } else {
      status = skipItem();
    }
    if (status < 0) return status;
  }
  for (; row < rowEnd; row += ROW_BYTES) {
    if (!rowOptional(row)) missing = true;
  }
  return missing ? -MESSAGE_FIELD : 0;
}

function pushToken(type: u8, row: usize, length: u32, value: u64): i32 {
  if (tokenAt >= tokenEnd) return -CBOR_TOKENS;
  tokenStore(tokenAt, type, <u8>rowKey(row), length, value);
  tokenAt += TOKEN_BYTES;
  return 0;
}

function decodeField(row: usize): i32 {
  const major = readHead();
  if (major < 0) return major;
  const type = rowType(row);
  switch (type) {
    case TYPE_UINT:
      if (major != MAJOR_UINT) return -CBOR_TYPE;
      if (readArgument() > rowMax(row)) return -CBOR_RANGE;
      return pushToken(type, row, 0, readArgument());
    case TYPE_U64:
      if (major != MAJOR_UINT) return -CBOR_TYPE;
      return pushToken(type, row, 0, readArgument());
    case TYPE_INT:
      if (major > MAJOR_NEGATIVE) return -CBOR_TYPE;
      return decodeInteger(row, major);
    case TYPE_FLOAT:
      if (major != MAJOR_SIMPLE) return -CBOR_TYPE;
      return decodeFloat(row);
    case TYPE_BOOL:
      if (major != MAJOR_SIMPLE) return -CBOR_TYPE;
      return decodeBool(row);
    case TYPE_TEXT:
      if (major != MAJOR_TEXT) return -CBOR_TYPE;
      return decodeSpan(row, type, rowMax(row));
    case TYPE_BYTES:
      if (major != MAJOR_BYTES) return -CBOR_TYPE;
      return decodeSpan(row, type, rowMax(row));
    case TYPE_VALUE:
      if (major <= MAJOR_NEGATIVE) return decodeInteger(row, major);
      if (major == MAJOR_TEXT) return decodeSpan(row, TYPE_TEXT, <u64>TEXT_VALUE_BYTES_MAX);
      if (major != MAJOR_SIMPLE) return -CBOR_TYPE;
      if (readInfo() == SIMPLE_FALSE || readInfo() == SIMPLE_TRUE) return decodeBool(row);
      if (readFloatStatus() == 0 && isReducible(reinterpret<f64>(readFloatBits()))) return -CBOR_NONCANONICAL;
      return decodeFloat(row);
    default:
      if (major != MAJOR_LIST) return -CBOR_TYPE;
      return decodeList(row);
  }
}

function decodeInteger(row: usize, major: i32): i32 {
  const argument = readArgument();
  if (major == MAJOR_UINT) {
    if (argument > SAFE_INTEGER_MAX) return -CBOR_RANGE;
    return pushToken(TYPE_INT, row, 0, argument);
  }
  if (argument >= SAFE_INTEGER_MAX) return -CBOR_RANGE;
  return pushToken(TYPE_INT, row, 0, ~argument);
}

function decodeBool(row: usize): i32 {
  const info = readInfo();
  if (info != SIMPLE_FALSE && info != SIMPLE_TRUE) return -CBOR_TYPE;
  return pushToken(TYPE_BOOL, row, 0, info == SIMPLE_TRUE ? 1 : 0);
}

function decodeFloat(row: usize): i32 {
  const status = readFloatStatus();
  return status < 0 ? status : pushToken(TYPE_FLOAT, row, 0, readFloatBits());
}

function decodeSpan(row: usize, type: u8, max: u64): i32 {
  const length = readArgument();
  const at = readSpan(length);
  if (at == 0) return -CBOR_TRUNCATED;
  if (length > max) return -CBOR_RANGE;
  if (type == TYPE_TEXT) {
    const status = utf8Status(at, <u32>length);
    if (status < 0) return status;
  }
  return pushToken(type, row, <u32>length, <u64>at);
}

function decodeList(row: usize): i32 {
  const count = readArgument();
  if (count > <u64>readerLeft()) return -CBOR_TRUNCATED;
  if (count > rowMax(row)) return -CBOR_RANGE;
  let status = pushToken(TYPE_LIST, row, <u32>count, 0);
  const first = rowAddress(load<u32>(row, 4));
  const end = first + <usize>load<u8>(row, 3) * ROW_BYTES;
  for (let element: u32 = 0; status == 0 && element < <u32>count; ++element) {
    const pairs = decodeMapHead();
    if (pairs < 0) return pairs;
    status = pushToken(TYPE_ELEMENT, row, 0, 0);
    if (status == 0) status = decodeFields(first, end, pairs, -1);
  }
  return status;
}

/** Writes the fields of `rows` from the tokens, after the kind unless it is -1, which stands for an element. */
function encodeMap(firstRow: usize, rowEnd: usize, kind: i32): i32 {
  const headAt = writerAt();
  let status = writeHead(MAJOR_MAP, 0);
  let pairs: u32 = 0;
  let previous: i32 = -1;
  if (status == 0 && kind >= 0) {
    status = writeHead(MAJOR_UINT, 0);
    if (status == 0) status = writeHead(MAJOR_UINT, <u64>kind);
    pairs = 1;
    previous = 0;
  }
  for (let row = firstRow; status == 0 && row < rowEnd; row += ROW_BYTES) {
    const present = tokenAt < tokenEnd && tokenType(tokenAt) != TYPE_ELEMENT;
    const key = present ? <i32>tokenKey(tokenAt) : -1;
    if (present && key == rowKey(row)) {
      if (++pairs > PAIRS_MAX) return -CBOR_RANGE;
      status = writeHead(MAJOR_UINT, <u64>key);
      if (status == 0) status = encodeField(row);
      previous = key;
    } else if (present && key <= previous) {
      return -CBOR_KEY_ORDER;
    } else if (!rowOptional(row)) {
      return -MESSAGE_FIELD;
    }
  }
  if (status == 0) store<u8>(headAt, <u8>(((<u32>MAJOR_MAP) << 5) | pairs));
  return status;
}

function encodeField(row: usize): i32 {
  const token = tokenAt;
  tokenAt += TOKEN_BYTES;
  const type = tokenType(token);
  const declared = rowType(row);
  if (declared == TYPE_VALUE) {
    if (type != TYPE_INT && type != TYPE_FLOAT && type != TYPE_BOOL && type != TYPE_TEXT) return -CBOR_TYPE;
  } else if (type != declared) {
    return -CBOR_TYPE;
  }
  const value = tokenValue(token);
  switch (type) {
    case TYPE_UINT:
      return value > rowMax(row) ? -CBOR_RANGE : writeHead(MAJOR_UINT, value);
    case TYPE_U64:
      return writeHead(MAJOR_UINT, value);
    case TYPE_INT: {
      const magnitude = <i64>value < 0 ? 0 - value : value;
      return magnitude > SAFE_INTEGER_MAX ? -CBOR_RANGE : writeInteger(<i64>value);
    }
    case TYPE_FLOAT: {
      const float = tokenFloat(token);
      return declared == TYPE_VALUE && isReducible(float) ? writeInteger(<i64>float) : writeFloat(float);
    }
    case TYPE_BOOL:
      return value > 1 ? -CBOR_RANGE : writeBool(value == 1);
    case TYPE_TEXT:
    case TYPE_BYTES: {
      const max = declared == TYPE_VALUE ? <u64>TEXT_VALUE_BYTES_MAX : rowMax(row);
      const length = tokenLength(token);
      if (<u64>length > max) return -CBOR_RANGE;
      const at = tokenPointer(token);
      const status = type == TYPE_TEXT ? utf8Status(at, length) : 0;
      return status < 0 ? status : writeSpan(type == TYPE_TEXT ? MAJOR_TEXT : MAJOR_BYTES, at, length);
    }
    default:
      return encodeList(row, tokenLength(token));
  }
}

function encodeList(row: usize, count: u32): i32 {
  if (<u64>count > rowMax(row)) return -CBOR_RANGE;
  const first = rowAddress(load<u32>(row, 4));
  const end = first + <usize>load<u8>(row, 3) * ROW_BYTES;
  let status = writeHead(MAJOR_LIST, <u64>count);
  for (let element: u32 = 0; status == 0 && element < count; ++element) {
    if (tokenAt >= tokenEnd || tokenType(tokenAt) != TYPE_ELEMENT) return -MESSAGE_FIELD;
    tokenAt += TOKEN_BYTES;
    status = encodeMap(first, end, -1);
  }
  return status;
}
