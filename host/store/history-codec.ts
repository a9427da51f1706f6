/**
 * How history stands in the state store. Little-endian.
 *
 *   raw chunk, the readings of one series in one minute, oldest first
 *     for each: milliseconds into the minute u16, value f64
 *   roll-up of one series over one minute or hour
 *     0 count u32   4 milliseconds of the last into the bucket u32
 *     8 min f64     16 max f64   24 sum f64   32 last f64
 */
export const RAW_ENTRY_BYTES = 10;
export const ROLLUP_BYTES = 40;

export interface RawEntry {
  readonly ms: number;
  readonly value: number;
}

export interface Rollup {
  count: number;
  lastMs: number;
  min: number;
  max: number;
  sum: number;
  last: number;
}

/**
 * Adds entries to a chunk; where times are equal the older entry stays first. Entries beyond `entriesMax` are
 * left out.
 */
export function appendRaw(
  chunk: Uint8Array | undefined,
  entries: readonly RawEntry[],
  entriesMax: number,
): { readonly chunk: Uint8Array<ArrayBuffer>; readonly left: number } {
  const held = chunk === undefined ? 0 : Math.floor(chunk.length / RAW_ENTRY_BYTES);
  const taken = entries.slice(0, Math.max(0, entriesMax - held));
  const bytes = new Uint8Array((held + taken.length) * RAW_ENTRY_BYTES);
  if (chunk !== undefined) bytes.set(chunk.subarray(0, held * RAW_ENTRY_BYTES));
  const view = new DataView(bytes.buffer);
  taken.forEach((entry, index) => {
    let at = (held + index) * RAW_ENTRY_BYTES;
    // Mostly the newest comes last; what is late moves back past what is newer.
    while (at > 0 && view.getUint16(at - RAW_ENTRY_BYTES, true) > entry.ms) at -= RAW_ENTRY_BYTES;
    bytes.copyWithin(at + RAW_ENTRY_BYTES, at, (held + index) * RAW_ENTRY_BYTES);
    view.setUint16(at, entry.ms, true);
    view.setFloat64(at + 2, entry.value, true);
  });
  return { chunk: bytes, left: entries.length - taken.length };
}

export function decodeRaw(chunk: Uint8Array): RawEntry[] {
  const view = new DataView(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  const entries: RawEntry[] = [];
  for (let at = 0; at + RAW_ENTRY_BYTES <= chunk.length; at += RAW_ENTRY_BYTES) {
    entries.push({ ms: view.getUint16(at, true), value: view.getFloat64(at + 2, true) });
  }
  return entries;
}

export function emptyRollup(): Rollup {
  return {
    count: 0,
    lastMs: 0,
    min: Number.POSITIVE_INFINITY,
    max: Number.NEGATIVE_INFINITY,
    sum: 0,
    last: 0,
  };
}

/**
 * Adds a reading. Not a number and infinities stay in the raw history only: one of them would spoil a sum for
 * good.
 */
export function addToRollup(rollup: Rollup, ms: number, value: number): void {
  if (!Number.isFinite(value)) return;
  if (rollup.count === 0 || ms >= rollup.lastMs) {
    rollup.lastMs = ms;
    rollup.last = value;
  }
  rollup.count += 1;
  rollup.sum += value;
  if (value < rollup.min) rollup.min = value;
  if (value > rollup.max) rollup.max = value;
}

export function encodeRollup(rollup: Rollup): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(ROLLUP_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, rollup.count, true);
  view.setUint32(4, rollup.lastMs, true);
  view.setFloat64(8, rollup.min, true);
  view.setFloat64(16, rollup.max, true);
  view.setFloat64(24, rollup.sum, true);
  view.setFloat64(32, rollup.last, true);
  return bytes;
}

export function decodeRollup(bytes: Uint8Array): Rollup {
  if (bytes.length < ROLLUP_BYTES) return emptyRollup();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return {
    count: view.getUint32(0, true),
    lastMs: view.getUint32(4, true),
    min: view.getFloat64(8, true),
    max: view.getFloat64(16, true),
    sum: view.getFloat64(24, true),
    last: view.getFloat64(32, true),
  };
}
