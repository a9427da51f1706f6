/** What both threads of bench/lockfree.ts share: records, and loops that send and receive. */
import { SharedEvent } from "../host/concurrency/event.ts";
import type { Schema, View } from "../host/concurrency/schema.ts";
import { ITEMS_EVENT, ROOM_EVENT } from "../host/concurrency/shared-exports.ts";
import { type Handle, Space } from "../host/concurrency/space.ts";

/** 100 bytes: a time, eleven statistics and a number. */
export const RECORD = {
  when: "f64",
  ...{ v0: "f64", v1: "f64", v2: "f64", v3: "f64", v4: "f64", v5: "f64" },
  ...{ v6: "f64", v7: "f64", v8: "f64", v9: "f64", v10: "f64" },
  id: "u32",
} as const satisfies Schema;
export type RecordView = View<typeof RECORD>;

/** Writes all of a record. */
export function fillRecord(record: RecordView, id: number): void {
  record.id = id;
  record.when = id;
  record.v0 = record.v1 = record.v2 = record.v3 = record.v4 = record.v5 = 1;
  record.v6 = record.v7 = record.v8 = record.v9 = record.v10 = 2;
}
/** Reads all of it. */
export function sumRecord(record: RecordView): number {
  const { v0, v1, v2, v3, v4, v5, v6, v7, v8, v9, v10 } = record;
  return record.id + record.when + v0 + v1 + v2 + v3 + v4 + v5 + v6 + v7 + v8 + v9 + v10;
}

export interface Loops {
  spscSendBatch(at: number, next: number, end: number, spins: number, own: number, batch: number): number;
  spscReceiveBatch(at: number, most: number, sum: number, spins: number, own: number, batch: number): number;
  spscSend(at: number, next: number, end: number, spins: number, own: number, batch: number): number;
  spscReceive(at: number, most: number, sum: number, spins: number, own: number, batch: number): number;
  mpmcSendBatch(at: number, next: number, end: number, spins: number, own: number, batch: number): number;
  mpmcReceiveBatch(at: number, most: number, sum: number, spins: number, own: number, batch: number): number;
  mpmcSend(at: number, next: number, end: number, spins: number, own: number, batch: number): number;
  mpmcReceive(at: number, most: number, sum: number, spins: number, own: number, batch: number): number;
}

/** Ways of sending numbers; the batches are of 64. */
export const KINDS = {
  spsc: ["spscSend", "spscReceive"],
  batch: ["spscSendBatch", "spscReceiveBatch"],
  mpmc: ["mpmcSend", "mpmcReceive"],
  rows: ["mpmcSendBatch", "mpmcReceiveBatch"],
} as const;
export type Kind = keyof typeof KINDS;

const BATCH = 64;
const SPINS = 100;

/** Numbers through a queue by loops in wasm; sleeping on full and on empty is JavaScript's. */
export class Numbers {
  readonly #loops: Loops;
  readonly #space: Space;
  readonly #at: number;
  readonly #kind: Kind;
  readonly #items: SharedEvent;
  readonly #room: SharedEvent;
  readonly #capacity: number;
  readonly #own: number;

  constructor(module: WebAssembly.Module, handle: Handle, kind: Kind, capacity: number) {
    this.#space = Space.of(handle);
    const { memory } = this.#space;
    this.#loops = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as Loops;
    this.#at = handle.at;
    this.#kind = kind;
    this.#capacity = capacity;
    this.#own = this.#space.allocate(64);
    this.#items = new SharedEvent(this.#space, handle.at + ITEMS_EVENT);
    this.#room = new SharedEvent(this.#space, handle.at + ROOM_EVENT);
  }

  send(count: number): void {
    const send = this.#loops[KINDS[this.#kind][0]];
    let next = 0;
    while (next < count) {
      next = send(this.#at, next, count, SPINS, this.#own, BATCH) >>> 0;
      if (next < count) this.#room.waitSync(() => this.#used() < this.#capacity);
    }
  }

  receive(count: number): number {
    const receive = this.#loops[KINDS[this.#kind][1]];
    Atomics.store(this.#space.words, this.#own >>> 2, 0);
    let got = 0;
    while (got < count) {
      got += receive(this.#at, count - got, this.#own, SPINS, this.#own + 4, BATCH);
      if (got < count) this.#items.waitSync(() => this.#used() > 0);
    }
    return Atomics.load(this.#space.words, this.#own >>> 2) >>> 0;
  }

  #used(): number {
    const { raw } = this.#space;
    return this.#kind === "mpmc" || this.#kind === "rows" ? raw.mpmcCount(this.#at) : raw.spscCount(this.#at);
  }
}
