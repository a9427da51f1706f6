/**
 * The log of one node in memory: entries from FIRST to LAST, as a ring of terms and a ring of payload bytes.
 *
 *   terms     [index & mask]:  term u64 | end u32 | kind u8          end: where its payload ends, counted on and on (modulo 2^32)
 *   payloads  ... | payload of first | payload of first + 1 | ... | payload of last | free
 *                 PAYLOAD_START                                    end of last
 *
 * What goes out (to a peer, to storage, to be applied) and comes in (from a peer, from storage) is a run of entries in one layout:
 *
 *   +0 term u64   +8 length u32   +12 kind u8   +13 unused   +16 payload, with zeros up to a multiple of 8
 */
import {
  ENTRIES_MASK,
  FIRST,
  HANDED,
  LAST,
  PAYLOAD_MASK,
  PAYLOAD_START,
  PAYLOADS_AT,
  SAVED,
  SNAPSHOT_TERM,
  TERM_ENTRY_BYTES,
  TERMS_AT,
} from "./layout";

export const ENTRY_HEADER_BYTES: usize = 16;
/** The first entry of a leader's term. */
export const NO_OP: u8 = 0;
export const COMMAND: u8 = 1;
export const CONFIGURATION: u8 = 2;
/** No term and no index is above it: f64 must hold them on the host. */
export const TERM_MAX: u64 = 0x1f_ffff_ffff_ffff;

const END: usize = 8;
const KIND: usize = 12;

/** Term of an entry or of the one before the first; 0 for what is not there. */
export function logTerm(at: usize, index: u64): u64 {
  const first = load<u64>(at, FIRST);
  if (index + 1 == first) return load<u64>(at, SNAPSHOT_TERM);
  if (index < first || index > load<u64>(at, LAST)) return 0;
  return load<u64>(slot(at, index));
}

export function logLastTerm(at: usize): u64 {
  return logTerm(at, load<u64>(at, LAST));
}

/** Of an entry that is there. */
export function logKind(at: usize, index: u64): u8 {
  return load<u8>(slot(at, index), KIND);
}

export function logLength(at: usize, index: u64): u32 {
  return logEnd(at, index) - logEnd(at, index - 1);
}

/** Where the payload of an entry, or of the one before the first, ends in the ring. */
export function logEnd(at: usize, index: u64): u32 {
  return index < load<u64>(at, FIRST) ? load<u32>(at, PAYLOAD_START) : load<u32>(slot(at, index), END);
}

/** Entries that there is room for. */
export function logRoom(at: usize): u32 {
  const held = load<u64>(at, LAST) + 1 - load<u64>(at, FIRST);
  return load<u32>(at, ENTRIES_MASK) + 1 - <u32>held;
}

export function logPayloadRoom(at: usize): u32 {
  return load<u32>(at, PAYLOAD_MASK) + 1 - (logEnd(at, load<u64>(at, LAST)) - load<u32>(at, PAYLOAD_START));
}

/** Appends; false when there is no room. */
export function logAppend(at: usize, term: u64, kind: u8, from: usize, length: u32): bool {
  if (logRoom(at) == 0 || logPayloadRoom(at) < length) return false;
  const last = load<u64>(at, LAST);
  const begin = logEnd(at, last);
  const entry = slot(at, last + 1);
  store<u64>(entry, term);
  store<u32>(entry, begin + length, END);
  store<u32>(entry, kind, KIND);
  copyIn(at, begin, from, length);
  store<u64>(at, last + 1, LAST);
  return true;
}

/** Forgets entries from `index` on. */
export function logTruncate(at: usize, index: u64): void {
  const last = index - 1;
  store<u64>(at, last, LAST);
  if (load<u64>(at, SAVED) > last) store<u64>(at, last, SAVED);
  if (load<u64>(at, HANDED) > last) store<u64>(at, last, HANDED);
}

/** Forgets entries up to `index`, which is there. */
export function logCompact(at: usize, index: u64): void {
  const term = logTerm(at, index);
  store<u32>(at, logEnd(at, index), PAYLOAD_START);
  store<u64>(at, term, SNAPSHOT_TERM);
  store<u64>(at, index + 1, FIRST);
}

/** An empty log that begins after `index`. */
export function logReset(at: usize, index: u64, term: u64): void {
  store<u64>(at, index + 1, FIRST);
  store<u64>(at, index, LAST);
  store<u64>(at, index, SAVED);
  store<u64>(at, index, HANDED);
  store<u64>(at, term, SNAPSHOT_TERM);
  store<u32>(at, 0, PAYLOAD_START);
}

/** Bytes of an entry in a run. */
export function entryBytes(length: u32): u32 {
  return <u32>ENTRY_HEADER_BYTES + ((length + 7) & ~7);
}

/**
 * Writes entries from `from` to `until` to `to` as a run, as many as fit into `capacity` bytes. Returns the bytes. `bare` leaves
 * out the payloads of commands.
 */
export function logRun(at: usize, from: u64, until: u64, to: usize, capacity: u32, bare: bool): u32 {
  let used: u32 = 0;
  for (let index = from; index <= until; ++index) {
    const kind = logKind(at, index);
    const length: u32 = bare && kind == COMMAND ? 0 : logLength(at, index);
    const bytes = entryBytes(length);
    if (bytes > capacity - used) break;
    const entry = to + <usize>used;
    store<u64>(entry, load<u64>(slot(at, index)));
    store<u32>(entry, length, 8);
    store<u32>(entry, kind, 12);
    // Before the payload, which covers all of it but the padding.
    if (bytes > <u32>ENTRY_HEADER_BYTES) store<u64>(entry + <usize>bytes - 8, 0);
    copyOut(at, logEnd(at, index - 1), entry + ENTRY_HEADER_BYTES, length);
    used += bytes;
  }
  return used;
}

/** Copies a payload out; its length. The entry is there, and `to` has room for it. */
export function logPayload(at: usize, index: u64, to: usize): u32 {
  const length = logLength(at, index);
  copyOut(at, logEnd(at, index - 1), to, length);
  return length;
}

/** Whether `bytes` from `from` are whole entries of sane terms; their number, or -1. */
export function runCount(from: usize, bytes: u32): i32 {
  let offset: u32 = 0;
  let count: i32 = 0;
  let term: u64 = 0;
  while (offset < bytes) {
    if (bytes - offset < <u32>ENTRY_HEADER_BYTES) return -1;
    const entry = from + <usize>offset;
    const length = load<u32>(entry, 8);
    const left = bytes - offset - <u32>ENTRY_HEADER_BYTES;
    if (length > left || ((length + 7) & ~7) > left) return -1;
    const own = load<u64>(entry);
    if (own == 0 || own > TERM_MAX || own < term || load<u8>(entry, 12) > CONFIGURATION) return -1;
    term = own;
    offset += entryBytes(length);
    ++count;
  }
  return count;
}

function slot(at: usize, index: u64): usize {
  return (
    <usize>load<u32>(at, TERMS_AT) + <usize>(<u32>index & load<u32>(at, ENTRIES_MASK)) * TERM_ENTRY_BYTES
  );
}

function copyIn(at: usize, position: u32, from: usize, length: u32): void {
  const mask = load<u32>(at, PAYLOAD_MASK);
  const ring = <usize>load<u32>(at, PAYLOADS_AT);
  const begin = position & mask;
  const whole = min<u32>(length, mask + 1 - begin);
  memory.copy(ring + <usize>begin, from, <usize>whole);
  // A copy of nothing costs as much as one of an entry.
  if (whole < length) memory.copy(ring, from + <usize>whole, <usize>(length - whole));
}

function copyOut(at: usize, position: u32, to: usize, length: u32): void {
  const mask = load<u32>(at, PAYLOAD_MASK);
  const ring = <usize>load<u32>(at, PAYLOADS_AT);
  const begin = position & mask;
  const whole = min<u32>(length, mask + 1 - begin);
  memory.copy(to, ring + <usize>begin, <usize>whole);
  if (whole < length) memory.copy(to + <usize>whole, ring, <usize>(length - whole));
}
