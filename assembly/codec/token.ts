/**
 * Tokens: a message in memory, the same for every kind, so that reading one needs no generated code and no objects.
 *
 *   byte  0       1      2          4                 8
 *         +-------+------+----------+-----------------+-----------------------------------------+
 *         | type  | key  | reserved | length u32      | value: u64, i64, f64 bits, or u32 pointer |
 *         +-------+------+----------+-----------------+-----------------------------------------+
 *
 * length: bytes of a text or byte string, elements of a list, else 0. The value of a list or an element is 0. The pointer of a decoded text points into the input.
 * A message is its fields in ascending key order, without the kind; a list token is followed, for each element, by an
 * ELEMENT token and the element's fields; an absent optional field has no token. A field of schema type `value` shows the
 * type it has (bool, int, float, text). Elements have no optional fields, so their end needs no mark.
 */

export const TOKEN_BYTES: usize = 16;

/** Most tokens a message of the schema can have: telemetry, seven fields and 32 readings of four tokens each. */
export const TOKENS_MAX: i32 = 135;

export const TYPE_UINT: u8 = 1;
export const TYPE_INT: u8 = 2;
export const TYPE_U64: u8 = 3;
export const TYPE_FLOAT: u8 = 4;
export const TYPE_BOOL: u8 = 5;
export const TYPE_TEXT: u8 = 6;
export const TYPE_BYTES: u8 = 7;
/** Stands in schema rows only. */
export const TYPE_VALUE: u8 = 8;
export const TYPE_LIST: u8 = 9;
/** Stands in token streams only. */
export const TYPE_ELEMENT: u8 = 10;

/** Writes a token whose value is a number. */
export function tokenStore(at: usize, type: u8, key: u8, length: u32, value: u64): void {
  store<u32>(at, <u32>type | ((<u32>key) << 8));
  store<u32>(at, length, 4);
  store<u64>(at, value, 8);
}

export function tokenType(at: usize): u8 {
  return load<u8>(at);
}

export function tokenKey(at: usize): u8 {
  return load<u8>(at, 1);
}

export function tokenLength(at: usize): u32 {
  return load<u32>(at, 4);
}

export function tokenValue(at: usize): u64 {
  return load<u64>(at, 8);
}

export function tokenFloat(at: usize): f64 {
  return load<f64>(at, 8);
}

/** Address of a text or byte string. */
export function tokenPointer(at: usize): usize {
  return <usize>load<u32>(at, 8);
}
