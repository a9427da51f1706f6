/**
 * Snapshots: the machine's whole state as bytes, in chunks. Replicas that applied the same log make the same bytes, so two can be compared.
 *
 * ```
 *    0 "TKVS"  |  4 META_BYTES: the machine's record, kv/m (layout.ts)  |  records  |  CRC-32 of all before u32
 *      record: key bytes u16 | value bytes u32 | key without the prefix kv/ | value
 * ```
 * Records are in the order of their keys, each section's as many as the machine's record says. Chunks cut these bytes anywhere.
 */
import { crc32 } from "../../../protocols/crc.ts";
import { isTardigradeError, TardigradeError } from "../../../protocols/error.ts";
import { compareKeys } from "../../store/ordered-map.ts";
import type { StateReader, StateStore, StateTransaction } from "../../store/state-store.ts";
import { putU16, putU32, u16At, u32At } from "../bytes.ts";
import {
  ATTACHED,
  DATA,
  decodeMeta,
  encodeMeta,
  idAfter,
  type KvMeta,
  LEASES,
  META,
  META_BYTES,
  PREFIX,
  PREFIX_END,
  RECORD_BYTES,
  SESSIONS,
} from "./layout.ts";
import { isLease } from "./leases.ts";
import { KEY_BYTES_MAX, type KvLimits, kvLimits, LIMIT_NAMES, VALUE_BYTES_MAX } from "./limits.ts";
import { isSession } from "./sessions.ts";

const MAGIC = new TextEncoder().encode("TKVS");
export const CHUNK_BYTES_MAX = 16_777_216;
const ROW_HEAD_BYTES = 6;
/** Section, lease and slash before a key. */
const STORED_KEY_BYTES_MAX = 17 + KEY_BYTES_MAX;
const STORED_VALUE_BYTES_MAX = 1_048_576;
const PAGE = 64;
const utf8 = new TextEncoder();
const fromUtf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * The state in chunks of `chunkBytes`, the last one shorter; each is the caller's. Records are read while it is iterated, so that the state
 * never stands in memory twice: no batch may be applied before the last chunk. If one is, the next chunk throws.
 */
export function* snapshotChunks(
  reader: StateReader,
  chunkBytes: number,
): Generator<Uint8Array<ArrayBuffer>, void> {
  if (!Number.isInteger(chunkBytes) || chunkBytes < 1 || chunkBytes > CHUNK_BYTES_MAX)
    throw new RangeError(`chunkBytes: 1 to ${CHUNK_BYTES_MAX}`);
  const stored = reader.get(META);
  if (stored === undefined) throw new Error("a machine that has applied nothing has no snapshot");
  const cutter = new Cutter(chunkBytes);
  cutter.add(MAGIC);
  cutter.add(stored);
  yield* cutter.full();
  const { appliedIndex } = decodeMeta(stored);
  const head = new Uint8Array(ROW_HEAD_BYTES);
  let from = PREFIX;
  for (;;) {
    const now = reader.get(META);
    if (now === undefined || decodeMeta(now).appliedIndex !== appliedIndex)
      throw new Error("the state has moved on while its snapshot was taken");
    const page = [...reader.range({ from, to: PREFIX_END, limit: PAGE })];
    for (const [key, value] of page) {
      if (key === META) continue;
      const name = utf8.encode(key.slice(PREFIX.length));
      putU16(head, 0, name.length);
      putU32(head, 2, value.length);
      cutter.add(head);
      cutter.add(name);
      cutter.add(value);
    }
    yield* cutter.full();
    const last = page.at(-1);
    if (page.length < PAGE || last === undefined) break;
    from = `${last[0]}\u0000`;
  }
  yield* cutter.finish();
}

/** Cuts what is added into chunks and sums it. */
class Cutter {
  readonly #chunkBytes: number;
  #chunk: Uint8Array<ArrayBuffer>;
  #used = 0;
  #full: Uint8Array<ArrayBuffer>[] = [];
  #crc = 0;

  constructor(chunkBytes: number) {
    this.#chunkBytes = chunkBytes;
    this.#chunk = new Uint8Array(chunkBytes);
  }

  add(bytes: Uint8Array): void {
    this.#crc = crc32(bytes, this.#crc);
    this.#append(bytes);
  }

  full(): Uint8Array<ArrayBuffer>[] {
    const full = this.#full;
    this.#full = [];
    return full;
  }

  finish(): Uint8Array<ArrayBuffer>[] {
    const trailer = new Uint8Array(4);
    putU32(trailer, 0, this.#crc);
    this.#append(trailer);
    const rest = this.#used === 0 ? [] : [this.#chunk.slice(0, this.#used)];
    return [...this.full(), ...rest];
  }

  #append(bytes: Uint8Array): void {
    for (let from = 0; from < bytes.length; ) {
      const length = Math.min(bytes.length - from, this.#chunkBytes - this.#used);
      this.#chunk.set(bytes.subarray(from, from + length), this.#used);
      this.#used += length;
      from += length;
      if (this.#used < this.#chunkBytes) continue;
      this.#full.push(this.#chunk);
      this.#chunk = new Uint8Array(this.#chunkBytes);
      this.#used = 0;
    }
  }
}

export interface RestoreOptions {
  /** The machine's; a snapshot of another's is refused. Default: whatever the snapshot says. */
  readonly limits?: KvLimits;
  /** A snapshot of an earlier index is refused. Default 0. */
  readonly minIndex?: number;
  /** Writes in the same transaction, for what must not come apart from the state. Default: nothing. */
  readonly alongside?: (transaction: StateTransaction, meta: KvMeta) => void;
}

/**
 * Replaces the machine's state by a snapshot's, in one transaction. Throws KV_SNAPSHOT, or FORMAT_VERSION, and changes nothing when the
 * chunks are cut, damaged, of another format, or not what the options ask for.
 */
export async function restoreSnapshot(
  store: StateStore,
  chunks: Iterable<Uint8Array>,
  options: RestoreOptions = {},
): Promise<KvMeta> {
  let meta: KvMeta | undefined;
  const restore = (transaction: StateTransaction): void => {
    const source = new Source(chunks);
    meta = readHead(source, options);
    clear(transaction);
    readRows(source, meta, transaction);
    source.finish();
    options.alongside?.(transaction, meta);
  };
  await store.transaction(restore, { isLarge: true });
  return meta as KvMeta;
}

function readHead(source: Source, { limits, minIndex = 0 }: RestoreOptions): KvMeta {
  const magic = source.take(MAGIC.length);
  if (!magic.every((byte, index) => byte === MAGIC[index])) throw refused("it does not begin as one");
  let meta: KvMeta;
  try {
    meta = decodeMeta(source.take(META_BYTES));
  } catch (error) {
    if (isTardigradeError(error) && error.code !== "STATE_CORRUPT") throw error;
    throw refused("its head is damaged", error);
  }
  try {
    kvLimits(meta.limits);
  } catch (error) {
    throw refused("its limits are none", error);
  }
  if (limits !== undefined && LIMIT_NAMES.some((name) => limits[name] !== meta.limits[name]))
    throw refused("it comes from a machine with other limits");
  if (meta.appliedIndex < minIndex) throw refused(`it ends at ${meta.appliedIndex}, before ${minIndex}`);
  return meta;
}

function clear(transaction: StateTransaction): void {
  for (;;) {
    const page = [...transaction.range({ from: PREFIX, to: PREFIX_END, limit: PAGE })];
    for (const [key] of page) transaction.delete(key);
    if (page.length < PAGE) return;
  }
}

function readRows(source: Source, meta: KvMeta, transaction: StateTransaction): void {
  const rows = meta.keys + meta.leasedKeys + meta.leases + meta.sessions;
  const counts: Record<string, number> = { [DATA]: 0, [ATTACHED]: 0, [LEASES]: 0, [SESSIONS]: 0 };
  let before = "";
  for (let row = 0; row < rows; row += 1) {
    const head = source.take(ROW_HEAD_BYTES);
    const keyBytes = u16At(head, 0);
    const valueBytes = u32At(head, 2);
    if (keyBytes > STORED_KEY_BYTES_MAX || valueBytes > STORED_VALUE_BYTES_MAX)
      throw refused(`its record ${row} is too large`);
    const key = PREFIX + textOf(source.take(keyBytes));
    const value = source.take(valueBytes);
    const section = key.slice(0, DATA.length);
    if (compareKeys(before, key) >= 0 || !isRow({ section, key, value }, meta.limits))
      throw refused(`its record ${row} is none`);
    counts[section] = (counts[section] as number) + 1;
    before = key;
    transaction.put(key, value);
  }
  if (counts[DATA] !== meta.keys || counts[ATTACHED] !== meta.leasedKeys || counts[LEASES] !== meta.leases)
    throw refused("its records are not as many as it says");
  transaction.put(META, encodeMeta(meta));
}

function isRow(
  row: { readonly section: string; readonly key: string; readonly value: Uint8Array },
  limits: KvLimits,
): boolean {
  const { section, key, value } = row;
  switch (section) {
    case DATA:
      return (
        key.length > DATA.length &&
        value.length >= RECORD_BYTES &&
        value.length <= RECORD_BYTES + VALUE_BYTES_MAX
      );
    case ATTACHED:
      return value.length === 0 && /^[0-9a-f]{14}\/./su.test(key.slice(ATTACHED.length));
    case LEASES:
      return idAfter(LEASES, key) !== undefined && isLease(value);
    case SESSIONS:
      return idAfter(SESSIONS, key) !== undefined && isSession(value, limits);
    default:
      return false;
  }
}

/** The chunks as one run of bytes. */
class Source {
  readonly #chunks: Iterator<Uint8Array>;
  #chunk: Uint8Array = new Uint8Array(0);
  #at = 0;
  #crc = 0;

  constructor(chunks: Iterable<Uint8Array>) {
    this.#chunks = chunks[Symbol.iterator]();
  }

  /** The next bytes, which hold until the next call. */
  take(length: number): Uint8Array {
    const bytes = this.#next(length);
    this.#crc = crc32(bytes, this.#crc);
    return bytes;
  }

  /** Checks the sum and that nothing follows. */
  finish(): void {
    const crc = this.#crc;
    if (u32At(this.#next(4), 0) !== crc) throw refused("its checksum does not match");
    if (this.#fill()) throw refused("something follows its end");
  }

  #next(length: number): Uint8Array {
    const end = this.#at + length;
    if (end <= this.#chunk.length) {
      const bytes = this.#chunk.subarray(this.#at, end);
      this.#at = end;
      return bytes;
    }
    const bytes = new Uint8Array(length);
    for (let to = 0; to < length; ) {
      if (!this.#fill()) throw refused("it is cut short");
      const part = this.#chunk.subarray(this.#at, this.#at + length - to);
      bytes.set(part, to);
      to += part.length;
      this.#at += part.length;
    }
    return bytes;
  }

  /** False at the end. */
  #fill(): boolean {
    while (this.#at === this.#chunk.length) {
      const next = this.#chunks.next();
      if (next.done === true) return false;
      this.#chunk = next.value;
      this.#at = 0;
    }
    return true;
  }
}

function textOf(bytes: Uint8Array): string {
  try {
    return fromUtf8.decode(bytes);
  } catch (error) {
    throw refused("a key of it is no text", error);
  }
}

function refused(what: string, cause?: unknown): TardigradeError {
  return new TardigradeError(
    "KV_SNAPSHOT",
    `The snapshot of the key-value machine was refused: ${what}. Nothing was changed.`,
    { cause, context: { component: "kv", operation: "restore" } },
  );
}
