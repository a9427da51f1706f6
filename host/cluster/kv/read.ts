/**
 * Reads of the machine's keys. They are no commands: whoever wants a linearizable one first makes sure, by Raft's ReadIndex, that the machine
 * has applied far enough. A read is one moment's: what it returns was all there at the revision that it says.
 */
import type { StateReader } from "../../store/state-store.ts";
import { u53At } from "../bytes.ts";
import { DATA, DATA_END, decodeMeta, META, RECORD_BYTES } from "./layout.ts";

export const READ_KEYS_MAX = 10_000;
/** Values of one read; the entry that reaches it is the last. */
export const READ_BYTES_MAX = 4_194_304;
/** Entries that are fetched at a time, so that no read holds much more than it returns. */
const PAGE = 64;

export interface KvItem {
  readonly key: string;
  readonly value: Uint8Array;
  readonly createRevision: number;
  readonly modRevision: number;
  /** Puts since it was created. */
  readonly version: number;
  /** 0: none. */
  readonly lease: number;
}

export interface KvRange {
  readonly items: readonly KvItem[];
  /** There are more in the range; go on behind (reversed: before) the last key. */
  readonly more: boolean;
  readonly revision: number;
}

/** Keys with from <= key < to in the order of their UTF-8; an empty `to`, or none, is the end. */
export interface KvRangeOptions {
  readonly from: string;
  readonly to?: string;
  /** 1 to READ_KEYS_MAX, its default. */
  readonly limit?: number;
  /** From the last down. */
  readonly reverse?: boolean;
}

/** Revision of the store; what watching goes on from is one more. */
export function revisionOf(reader: StateReader): number {
  const stored = reader.get(META);
  return stored === undefined ? 0 : decodeMeta(stored).revision;
}

export function readKey(reader: StateReader, key: string): KvItem | undefined {
  const record = reader.get(DATA + key);
  return record === undefined ? undefined : itemOf(key, record);
}

export function readRange(reader: StateReader, options: KvRangeOptions): KvRange {
  const { limit = READ_KEYS_MAX, reverse = false } = options;
  if (!Number.isInteger(limit) || limit < 1 || limit > READ_KEYS_MAX)
    throw new RangeError(`limit: 1 to ${READ_KEYS_MAX}`);
  const items: KvItem[] = [];
  const revision = revisionOf(reader);
  let bytes = 0;
  let from = DATA + options.from;
  let to = options.to === undefined || options.to === "" ? DATA_END : DATA + options.to;
  for (;;) {
    const page = Math.min(PAGE, limit - items.length);
    const found = [...reader.range({ from, to, limit: page + 1, reverse })];
    for (const [index, [stored, record]] of found.entries()) {
      if (index === page) break;
      const item = itemOf(stored.slice(DATA.length), record);
      items.push(item);
      bytes += item.value.length;
      if (items.length === limit || bytes >= READ_BYTES_MAX)
        return { items, more: index + 1 < found.length, revision };
    }
    const last = found[page - 1]?.[0];
    if (found.length <= page || last === undefined) return { items, more: false, revision };
    if (reverse) to = last;
    // The least text behind it.
    else from = `${last}\u0000`;
  }
}

/** The end of the range of all keys that begin with `prefix`, as `to` in ranges: "" (the end) when nothing comes behind them. */
export function prefixEnd(prefix: string): string {
  const points = [...prefix].map((character) => character.codePointAt(0) as number);
  for (;;) {
    const last = points.pop();
    if (last === undefined) return "";
    if (last === 0x10_ffff) continue;
    // Surrogates are no characters of their own.
    points.push(last === 0xd7ff ? 0xe000 : last + 1);
    return String.fromCodePoint(...points);
  }
}

function itemOf(key: string, record: Uint8Array): KvItem {
  return {
    key,
    value: record.subarray(RECORD_BYTES),
    createRevision: u53At(record, 0),
    modRevision: u53At(record, 8),
    version: u53At(record, 16),
    lease: u53At(record, 24),
  };
}
