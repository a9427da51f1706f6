/**
 * Little-endian integers in plain bytes. Commands come as slices of the log's buffers: a DataView for each would cost more than the loads.
 * A u53 is a u64 whose value a number holds exactly (up to 2^53 - 1): indexes, revisions, ids and times.
 */
export const U53_BYTES = 8;
/** What u53At() says of a u64 beyond 2^53 - 1. */
export const BEYOND_U53 = -1;
const HIGH_MAX = 0x1f_ffff;

export function u16At(bytes: Uint8Array, at: number): number {
  return (bytes[at] as number) | ((bytes[at + 1] as number) << 8);
}

export function u32At(bytes: Uint8Array, at: number): number {
  return (
    ((bytes[at] as number) |
      ((bytes[at + 1] as number) << 8) |
      ((bytes[at + 2] as number) << 16) |
      ((bytes[at + 3] as number) << 24)) >>>
    0
  );
}

export function u53At(bytes: Uint8Array, at: number): number {
  const high = u32At(bytes, at + 4);
  return high > HIGH_MAX ? BEYOND_U53 : high * 0x1_0000_0000 + u32At(bytes, at);
}

export function putU16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
}

export function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

export function putU53(bytes: Uint8Array, at: number, value: number): void {
  const high = Math.floor(value / 0x1_0000_0000);
  putU32(bytes, at, value - high * 0x1_0000_0000);
  putU32(bytes, at + 4, high);
}

/** Bytes [from, from + length) of `a` and the whole of `b`. */
export function equalBytes(a: Uint8Array, from: number, b: Uint8Array): boolean {
  for (let at = 0; at < b.length; at += 1) if (a[from + at] !== b[at]) return false;
  return true;
}

const COPY_BY_HAND_MAX = 96;

/** Copies; by hand where a call into the engine would cost more. */
export function copyBytes(
  source: Uint8Array,
  span: { readonly from: number; readonly length: number },
  target: Uint8Array,
  to: number,
): void {
  const { from, length } = span;
  if (length <= COPY_BY_HAND_MAX) {
    for (let at = 0; at < length; at += 1) target[to + at] = source[from + at] as number;
  } else target.set(source.subarray(from, from + length), to);
}
