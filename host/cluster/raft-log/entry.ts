/**
 * The bytes of Raft's entries, the same in messages, on disk and when they are applied. All numbers are little-endian.
 *
 *   entry   +0 term u64   +8 payload bytes u32   +12 kind u8   +13 flags u8   +14 zero u16   +16 payload, zeros to a multiple of 8
 *   kind    0 no-op   1 command   2 configuration
 *
 * A run is entries one after the other; their indexes follow each other from a first index that stands beside the run. Terms and
 * indexes are u64 in the layout and numbers below 2^53 in the program.
 */
export const ENTRY_HEADER_BYTES = 16;

export const ENTRY_KIND = { noop: 0, command: 1, configuration: 2 } as const;

const WORD = 2 ** 32;
/** The high word of 2^53: at it or above, a number could not hold the value. */
const HIGH_WORD_END = 2 ** 21;

export interface Entry {
  readonly term: number;
  readonly kind: number;
  readonly flags: number;
  /** A view where it was read from a run. */
  readonly payload: Uint8Array;
}

/** What an entry with a payload of so many bytes takes. */
export function entryBytes(payloadBytes: number): number {
  return ENTRY_HEADER_BYTES + Math.ceil(payloadBytes / 8) * 8;
}

/** A run of these entries, in memory of its own. */
export function encodeRun(entries: readonly Entry[]): Uint8Array<ArrayBuffer> {
  const run = new Uint8Array(entries.reduce((sum, { payload }) => sum + entryBytes(payload.length), 0));
  const view = viewOf(run);
  let at = 0;
  for (const { term, kind, flags, payload } of entries) {
    setU64(view, at, term);
    view.setUint32(at + 8, payload.length, true);
    view.setUint8(at + 12, kind);
    view.setUint8(at + 13, flags);
    run.set(payload, at + ENTRY_HEADER_BYTES);
    at += entryBytes(payload.length);
  }
  return run;
}

/** The entries of a whole run, their payloads being views of it. Throws RangeError where it is none. */
export function decodeRun(run: Uint8Array): Entry[] {
  const entries: Entry[] = [];
  const walk = new RunWalk();
  walk.begin(viewOf(run), { from: 0, to: run.length });
  for (let at = 0; walk.next(); at = walk.at) {
    const payloadAt = at + ENTRY_HEADER_BYTES;
    entries.push({
      term: walk.term,
      kind: run[at + 12] as number,
      flags: run[at + 13] as number,
      payload: run.subarray(payloadAt, payloadAt + walk.payloadBytes),
    });
  }
  if (!walk.whole) throw new RangeError(`the run is damaged at byte ${walk.at}`);
  return entries;
}

/** Goes from entry to entry; used again and again, so that a save allocates nothing. */
export class RunWalk {
  /** Position after the entry that next() found. */
  at = 0;
  /** Of that entry. */
  term = 0;
  payloadBytes = 0;
  #view: DataView = new DataView(new ArrayBuffer(0));
  #to = 0;

  begin(view: DataView, range: { readonly from: number; readonly to: number }): void {
    this.#view = view;
    this.at = range.from;
    this.#to = range.to;
    this.term = 0;
    this.payloadBytes = 0;
  }

  /** False at the end of the run, and where no entry can stand; `whole` tells which. */
  next(): boolean {
    const { at } = this;
    if (at + ENTRY_HEADER_BYTES > this.#to) return false;
    const view = this.#view;
    const high = view.getUint32(at + 4, true);
    const payloadBytes = view.getUint32(at + 8, true);
    const end = at + entryBytes(payloadBytes);
    if (high >= HIGH_WORD_END || end > this.#to || view.getUint16(at + 14, true) !== 0) return false;
    this.term = high * WORD + view.getUint32(at, true);
    this.payloadBytes = payloadBytes;
    this.at = end;
    return true;
  }

  /** Nothing is left over. */
  get whole(): boolean {
    return this.at === this.#to;
  }
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function setU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, value / WORD, true);
}

/** Undefined at 2^53 and above. */
export function getU64(view: DataView, at: number): number | undefined {
  const high = view.getUint32(at + 4, true);
  return high >= HIGH_WORD_END ? undefined : high * WORD + view.getUint32(at, true);
}
