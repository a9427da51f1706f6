/**
 * Exactly-once by client sessions (Ongaro, "Consensus: Bridging Theory and Practice", 2014, section 6.3). A client that does not hear how a
 * command ended sends it again, and it may then stand in the log twice. The machine therefore keeps, for each session, the results of the
 * commands that the client has not acknowledged, and answers the second with the result of the first.
 *
 * Bounded: a session has at most `sessionWindow` commands outstanding, because results below the acknowledged sequence are dropped; there
 * are at most `sessions`, and the one whose last command lies furthest back in the log makes room for a new one. Its client is told
 * SESSION_EXPIRED: nothing was applied, and it cannot know what became of the commands before.
 *
 * Results stand in a ring, sequence modulo capacity; the capacity is a power of two that grows with what is outstanding. What changed in a
 * batch is written once, at its end, into the batch's transaction:
 *
 * ```
 *   kv/s/<session>   0 last used index u64 | 8 acknowledged below u32 | 12 results u32 | 16 results, each: sequence u32, 24 bytes (result.ts)
 * ```
 */
import type { StateReader, StateTransaction } from "../../store/state-store.ts";
import { BEYOND_U53, copyBytes, putU32, putU53, u32At, u53At } from "../bytes.ts";
import { corrupt, idAfter, idText, SESSIONS, SESSIONS_END } from "./layout.ts";
import type { KvLimits } from "./limits.ts";
import { KV_CODES, RESULT_BYTES } from "./result.ts";

const HEAD_BYTES = 16;
const ROW_BYTES = 4 + RESULT_BYTES;
const CAPACITY_MIN = 4;
/** What admit() says of a command that was applied before; its result is then to be had by repeat(). */
export const REPEATED = 256;

class Session {
  readonly id: number;
  lastIndex: number;
  /** From 1: there is no sequence 0. */
  acknowledgedBelow = 1;
  /** Highest sequence that has a result. */
  highest = 0;
  capacity = CAPACITY_MIN;
  /** Which sequence's result stands in a slot; 0 none. */
  sequences = new Uint32Array(CAPACITY_MIN);
  results = new Uint8Array(CAPACITY_MIN * RESULT_BYTES);
  changed = false;
  gone = false;

  constructor(id: number, index: number) {
    this.id = id;
    this.lastIndex = index;
  }

  has(sequence: number): boolean {
    return this.sequences[sequence & (this.capacity - 1)] === sequence;
  }

  keep(sequence: number, from: Uint8Array, at: number): void {
    if (sequence - this.acknowledgedBelow >= this.capacity) this.#grow(sequence);
    const slot = sequence & (this.capacity - 1);
    this.sequences[slot] = sequence;
    copyBytes(from, { from: at, length: RESULT_BYTES }, this.results, slot * RESULT_BYTES);
    if (sequence > this.highest) this.highest = sequence;
  }

  #grow(sequence: number): void {
    const { sequences, results, capacity } = this;
    while (sequence - this.acknowledgedBelow >= this.capacity) this.capacity *= 2;
    this.sequences = new Uint32Array(this.capacity);
    this.results = new Uint8Array(this.capacity * RESULT_BYTES);
    for (let slot = 0; slot < capacity; slot += 1) {
      const old = sequences[slot] as number;
      if (old >= this.acknowledgedBelow) this.keep(old, results, slot * RESULT_BYTES);
    }
  }
}

export class Sessions {
  readonly #limits: KvLimits;
  readonly #sessions = new Map<number, Session>();
  #changed: Session[] = [];
  /** Of the last command that was admitted. */
  #current: Session | undefined;
  #scratch = new Uint8Array(HEAD_BYTES + 8 * ROW_BYTES);

  constructor(limits: KvLimits) {
    this.#limits = limits;
  }

  get count(): number {
    return this.#sessions.size;
  }

  /** OK: apply the command, and keep() its result. REPEATED: repeat() it. Else the code of a refusal. */
  admit(
    command: { readonly session: number; readonly sequence: number; readonly acknowledgedBelow: number },
    index: number,
  ): number {
    const { session: id, sequence, acknowledgedBelow } = command;
    let session = this.#current;
    if (session === undefined || session.id !== id) {
      session = this.#sessions.get(id);
      if (session === undefined) return KV_CODES.SESSION_EXPIRED;
      this.#current = session;
    }
    session.lastIndex = index;
    this.#touch(session);
    if (acknowledgedBelow > session.acknowledgedBelow) session.acknowledgedBelow = acknowledgedBelow;
    if (sequence < session.acknowledgedBelow) return KV_CODES.SESSION_STALE;
    if (session.has(sequence)) return REPEATED;
    return sequence - session.acknowledgedBelow < this.#limits.sessionWindow
      ? KV_CODES.OK
      : KV_CODES.SESSION_WINDOW;
  }

  /** Puts the result of the admitted command's first try into `target`. */
  repeat(sequence: number, target: Uint8Array, at: number): void {
    const session = this.#current as Session;
    const slot = sequence & (session.capacity - 1);
    copyBytes(session.results, { from: slot * RESULT_BYTES, length: RESULT_BYTES }, target, at);
  }

  keep(sequence: number, result: Uint8Array, at: number): void {
    (this.#current as Session).keep(sequence, result, at);
  }

  /** The index of the entry that opens a session is its id. */
  open(index: number): number {
    if (this.#sessions.size >= this.#limits.sessions) this.#evict();
    const session = new Session(index, index);
    this.#sessions.set(index, session);
    this.#touch(session);
    return index;
  }

  close(id: number): boolean {
    const session = this.#sessions.get(id);
    if (session === undefined) return false;
    this.#remove(session);
    return true;
  }

  /** Writes what has changed since the last time. */
  flush(transaction: StateTransaction): void {
    for (const session of this.#changed) {
      session.changed = false;
      if (session.gone) transaction.delete(SESSIONS + idText(session.id));
      else transaction.put(SESSIONS + idText(session.id), this.#encode(session));
    }
    this.#changed = [];
  }

  /** Forgets everything, then reads what is stored. */
  load(reader: StateReader): void {
    this.#sessions.clear();
    this.#changed = [];
    this.#current = undefined;
    for (const [key, bytes] of reader.range({ from: SESSIONS, to: SESSIONS_END })) {
      const id = idAfter(SESSIONS, key);
      const session = id === undefined ? undefined : decode(id, bytes, this.#limits);
      if (session === undefined) throw corrupt("a session's record is no session");
      this.#sessions.set(session.id, session);
    }
  }

  #touch(session: Session): void {
    if (session.changed) return;
    session.changed = true;
    this.#changed.push(session);
  }

  #remove(session: Session): void {
    session.gone = true;
    this.#sessions.delete(session.id);
    if (this.#current === session) this.#current = undefined;
    this.#touch(session);
  }

  /** Opening is rare, so that an order of use is not kept; indexes are unique, so that all replicas evict the same. */
  #evict(): void {
    let oldest: Session | undefined;
    for (const session of this.#sessions.values())
      if (oldest === undefined || session.lastIndex < oldest.lastIndex) oldest = session;
    if (oldest !== undefined) this.#remove(oldest);
  }

  /** Bytes that hold until the next call; a store copies them. */
  #encode(session: Session): Uint8Array {
    const first = session.acknowledgedBelow;
    const bytesMax = HEAD_BYTES + Math.max(0, session.highest - first + 1) * ROW_BYTES;
    if (this.#scratch.length < bytesMax) this.#scratch = new Uint8Array(bytesMax * 2);
    const bytes = this.#scratch;
    let at = HEAD_BYTES;
    for (let sequence = first; sequence <= session.highest; sequence += 1) {
      if (!session.has(sequence)) continue;
      const slot = sequence & (session.capacity - 1);
      putU32(bytes, at, sequence);
      copyBytes(session.results, { from: slot * RESULT_BYTES, length: RESULT_BYTES }, bytes, at + 4);
      at += ROW_BYTES;
    }
    putU53(bytes, 0, session.lastIndex);
    putU32(bytes, 8, session.acknowledgedBelow);
    putU32(bytes, 12, (at - HEAD_BYTES) / ROW_BYTES);
    return bytes.subarray(0, at);
  }
}

/** Whether the bytes are a session's record. */
export function isSession(bytes: Uint8Array, limits: KvLimits): boolean {
  return decode(1, bytes, limits) !== undefined;
}

function decode(id: number, bytes: Uint8Array, limits: KvLimits): Session | undefined {
  if (bytes.length < HEAD_BYTES) return undefined;
  const count = u32At(bytes, 12);
  const lastIndex = u53At(bytes, 0);
  if (lastIndex === BEYOND_U53 || bytes.length !== HEAD_BYTES + count * ROW_BYTES) return undefined;
  const session = new Session(id, lastIndex);
  session.acknowledgedBelow = u32At(bytes, 8);
  if (session.acknowledgedBelow < 1) return undefined;
  for (let at = HEAD_BYTES; at < bytes.length; at += ROW_BYTES) {
    const sequence = u32At(bytes, at);
    if (sequence <= session.highest || sequence < session.acknowledgedBelow) return undefined;
    if (sequence - session.acknowledgedBelow >= limits.sessionWindow) return undefined;
    session.keep(sequence, bytes, at + 4);
  }
  return session;
}
