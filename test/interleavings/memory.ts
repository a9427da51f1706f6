/**
 * Memory as weak as WebAssembly's may be: a machine of views (Kang, Hur, Lahav, Vafeiadis and Dreyer, "A Promising Semantics for Relaxed-Memory Concurrency", 2017) without its promises. Left out, therefore: a store
 * that happens before a load that precedes it in the program (load buffering), and stores that slip in between older ones.
 *
 * Each shared cell of four bytes has messages, the values stored one after the other; each thread a view, the oldest message of each cell that it may still read. A plain store adds a message; a plain load reads any that is not
 * older than the view, so it may be stale, and a later store to another cell may be seen before an earlier one. An atomic access is sequentially consistent: what it stores carries the thread's view, what it loads hands that on
 * (release and acquire), and it reads nothing older than the last atomic store to its cell. That orders atomics among themselves; a plain access beside them may still be stale. A plain load that raced with a store may also
 * have been made late, after the atomic loads that follow it (an acquiring load holds back what comes after it alone): these may then read what was there before.
 *
 * Cells that one thread alone touches, or that nobody writes, need none of that: they have one value. Which cells are shared is found out by the search (explore.ts).
 */
import type { Value } from "./arithmetic.ts";
import type { Access } from "./machine.ts";

interface Message {
  readonly value: number;
  /** Of an atomic store: the view that it hands on. */
  readonly view: readonly number[] | undefined;
  /** Of an atomic store, where racy loads make it matter: the last atomic stores of all cells then. */
  readonly order: readonly number[] | undefined;
}

/** What all states of a search have in common. */
export interface Layout {
  /** Words as the setup left them. */
  readonly initial: Int32Array;
  /** Shared cells (address / 4) and their positions in views. */
  readonly shared: ReadonlyMap<number, number>;
  /** Loads read the newest message only. */
  readonly isSequential: boolean;
  /** Whether there are plain loads that read more than their thread had been told of. */
  readonly hasRaces: boolean;
}

export class Memory {
  readonly #layout: Layout;
  /** Cells that are not shared and were written since the setup. */
  readonly #written: Map<number, number>;
  readonly #messages: Message[][];
  readonly #views: number[][];
  /** The last atomic store of each cell: an atomic load reads none that is older. */
  #atomics: number[];

  /** Of a thread whose plain load raced: the atomic stores that its atomic accesses had seen before. */
  readonly #late: (readonly number[] | undefined)[];
  /** The same of a thread whose plain load did not race, now. */
  readonly #seen: (readonly number[])[];
  /** A plain load has raced, though the layout says that there are none. */
  hasRaced = false;

  constructor(layout: Layout, threads: number, from?: Memory) {
    this.#layout = layout;
    if (from === undefined) {
      const cells = [...layout.shared.keys()];
      this.#written = new Map();
      this.#messages = cells.map((cell) => [
        { value: layout.initial[cell] ?? 0, view: undefined, order: undefined },
      ]);
      this.#views = Array.from({ length: threads }, () => cells.map(() => 0));
      this.#atomics = cells.map(() => 0);
      this.#late = Array.from({ length: threads }, () => undefined);
      this.#seen = Array.from({ length: threads }, () => this.#atomics);
      return;
    }
    this.#written = new Map(from.#written);
    this.#messages = from.#messages.map((list) => list.slice());
    this.#views = from.#views.map((view) => view.slice());
    this.#atomics = from.#atomics.slice();
    this.#late = from.#late.slice();
    this.#seen = from.#seen.slice();
    this.hasRaced = from.hasRaced;
  }

  clone(): Memory {
    return new Memory(this.#layout, 0, this);
  }

  /** Whether somebody else may see the access, so that it matters when it happens. */
  isShared(access: Access): boolean {
    const { shared } = this.#layout;
    const cell = access.address >>> 2;
    return (
      access.kind === "notify" ||
      access.kind === "wait" ||
      access.kind === "yield" ||
      shared.has(cell) ||
      (access.size === 8 && shared.has(cell + 1))
    );
  }

  /** How many ways the access can go: the messages that a load may read. */
  alternatives(thread: number, access: Access): number {
    if (access.kind !== "load" || this.#layout.isSequential) return 1;
    return this.#cells(access).reduce(
      (product, cell) => product * this.#readable(thread, cell, access.isAtomic),
      1,
    );
  }

  #cells({ address, size }: Access): readonly number[] {
    if (address % size !== 0) throw new Error(`an access of ${size} bytes at ${address} is not aligned`);
    const cell = address >>> 2;
    return size === 8 ? [cell, cell + 1] : [cell];
  }

  #oldest(thread: number, position: number, isAtomic: boolean): number {
    const own = this.#views[thread]?.[position] ?? 0;
    if (!isAtomic) return own;
    const told = this.#late[thread] ?? this.#atomics;
    return Math.max(own, told[position] ?? 0);
  }

  #readable(thread: number, cell: number, isAtomic: boolean): number {
    const position = this.#layout.shared.get(cell);
    if (position === undefined) return 1;
    return (this.#messages[position] as Message[]).length - this.#oldest(thread, position, isAtomic);
  }

  /** Makes the access, in one of its ways; gives what is loaded, unextended. */
  perform(thread: number, access: Access, alternative = 0): Value {
    const cells = this.#cells(access);
    if (access.kind === "load") {
      let rest = alternative;
      const parts = cells.map((cell) => {
        const ways = this.#layout.isSequential ? 1 : this.#readable(thread, cell, access.isAtomic);
        const way = rest % ways;
        rest = Math.floor(rest / ways);
        return this.#load(thread, cell, way, access.isAtomic);
      });
      return assembled(access, parts);
    }
    if (access.kind === "store") {
      // What releases comes after all loads before it; it acquires nothing.
      if (access.isAtomic) this.#late[thread] = undefined;
      this.#store(thread, access, cells, access.value);
      return 0;
    }
    const old = assembled(
      access,
      cells.map((cell) => this.#newest(thread, cell, access.isAtomic)),
    );
    if (access.kind === "rmw") this.#store(thread, access, cells, changed(access, old));
    else if (access.kind === "compare-exchange" && isEqual(access, old))
      this.#store(thread, access, cells, access.value);
    return old;
  }

  /** `way` 0 is the newest. */
  #load(thread: number, cell: number, way: number, isAtomic: boolean): number {
    const position = this.#layout.shared.get(cell);
    if (position === undefined) return this.#plain(cell);
    const messages = this.#messages[position] as Message[];
    const index = messages.length - 1 - way;
    const message = messages[index] as Message;
    const view = this.#views[thread] as number[];
    if (!isAtomic && index > (view[position] ?? 0)) this.#race(thread);
    view[position] = Math.max(view[position] ?? 0, index);
    if (!isAtomic) return message.value;
    if (message.view !== undefined) this.#join(thread, message.view);
    const late = this.#late[thread];
    if (late !== undefined) this.#late[thread] = joined(late, message.order ?? []);
    else this.#seen[thread] = this.#atomics;
    return message.value;
  }

  /** The load may be made after the atomic loads that follow it, which are then made where the thread's last atomic access was. */
  #race(thread: number): void {
    this.hasRaced = true;
    if (this.#layout.hasRaces && !this.#layout.isSequential) this.#late[thread] ??= this.#seen[thread];
  }

  /** Of what changes a cell: the newest, and for an atomic one with what it hands on. */
  #newest(thread: number, cell: number, isAtomic: boolean): number {
    const position = this.#layout.shared.get(cell);
    if (position === undefined) return this.#plain(cell);
    if (isAtomic) {
      // What releases comes after all loads before it.
      this.#late[thread] = undefined;
      return this.#load(thread, cell, 0, true);
    }
    return this.#last(position).value;
  }

  #last(position: number): Message {
    return this.#messages[position]?.at(-1) as Message;
  }

  #plain(cell: number): number {
    return this.#written.get(cell) ?? this.#layout.initial[cell] ?? 0;
  }

  #store(thread: number, access: Access, cells: readonly number[], value: Value): void {
    const whole = this.#views[thread] as number[];
    const positions: number[] = [];
    cells.forEach((cell, index) => {
      const position = this.#layout.shared.get(cell);
      const word = wordOf(access, index, value, () =>
        position === undefined ? this.#plain(cell) : this.#last(position).value,
      );
      if (position === undefined) {
        this.#written.set(cell, word);
        return;
      }
      const messages = this.#messages[position] as Message[];
      messages.push({ value: word, view: undefined, order: undefined });
      whole[position] = messages.length - 1;
      positions.push(position);
    });
    if (!access.isAtomic) return;
    this.#seen[thread] = this.#atomics;
    for (const position of positions) {
      const messages = this.#messages[position] as Message[];
      const last = messages.length - 1;
      this.#atomics = this.#atomics.with(position, last);
      const order = this.#layout.hasRaces ? this.#atomics : undefined;
      messages[last] = { value: (messages[last] as Message).value, view: whole.slice(), order };
    }
  }

  #join(thread: number, view: readonly number[]): void {
    const own = this.#views[thread] as number[];
    for (let position = 0; position < own.length; position += 1) {
      const other = view[position] ?? 0;
      if (other > (own[position] ?? 0)) own[position] = other;
    }
  }

  /** Forgets messages that none of the threads which still run can read, so that states that are equal look equal. */
  collect(running: readonly number[]): void {
    const count = this.#messages.length;
    const drop = new Array<number>(count).fill(0);
    let hasAny = false;
    for (let position = 0; position < count; position += 1) {
      const last = (this.#messages[position] as Message[]).length - 1;
      let least = last;
      for (const thread of running) least = Math.min(least, this.#views[thread]?.[position] ?? 0);
      drop[position] = least;
      if (least > 0) hasAny = true;
    }
    if (!hasAny) return;
    const shifted = (view: readonly number[]) =>
      view.map((index, position) => Math.max(0, index - (drop[position] ?? 0)));
    for (let position = 0; position < count; position += 1) {
      const kept = (this.#messages[position] as Message[]).slice(drop[position]);
      this.#messages[position] = kept;
    }
    for (const list of this.#messages) {
      list.forEach((message, index) => {
        if (message.view === undefined) return;
        const order = message.order && shifted(message.order);
        list[index] = { value: message.value, view: shifted(message.view), order };
      });
    }
    this.#views.forEach((view, thread) => {
      this.#views[thread] = shifted(view);
    });
    this.#atomics = shifted(this.#atomics);
    this.#late.forEach((late, thread) => {
      this.#late[thread] = late && shifted(late);
    });
    this.#seen.forEach((seen, thread) => {
      this.#seen[thread] = shifted(seen);
    });
  }

  key(running: readonly number[]): string {
    const written = [...this.#written].sort(([a], [b]) => a - b).join(";");
    const messages = this.#messages
      .map((list) =>
        list
          .map(({ value, view, order }) =>
            view === undefined
              ? value
              : `${value}@${view.join()}${order === undefined ? "" : `^${order.join()}`}`,
          )
          .join(" "),
      )
      .join(";");
    const views = running
      .map(
        (thread) =>
          `${this.#views[thread]?.join()}${this.#layout.hasRaces ? `~${(this.#late[thread] ?? this.#seen[thread])?.join()}${this.#late[thread] === undefined ? "" : "!"}` : ""}`,
      )
      .join(";");
    return `${written}|${messages}|${views}|${this.#atomics.join()}`;
  }

  /** The newest word at an address, when all is over. */
  word(address: number): number {
    const position = this.#layout.shared.get(address >>> 2);
    return position === undefined ? this.#plain(address >>> 2) : this.#last(position).value;
  }

  /** All words, as one thread would see them afterwards. */
  words(): Int32Array {
    const words = this.#layout.initial.slice();
    for (const [cell, value] of this.#written) words[cell] = value;
    for (const cell of this.#layout.shared.keys()) words[cell] = this.word(cell * 4);
    return words;
  }
}

function joined(a: readonly number[], b: readonly number[]): readonly number[] {
  return a.map((value, position) => Math.max(value, b[position] ?? 0));
}

/** The access's bytes out of its cells: unsigned for 1 and 2 bytes, signed for 4, a bigint for 8. */
function assembled({ address, size }: Access, parts: readonly number[]): Value {
  const [low = 0, high = 0] = parts;
  if (size === 8) return BigInt.asIntN(64, (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0));
  if (size === 4) return low;
  return (low >>> ((address & 3) * 8)) & (size === 1 ? 0xff : 0xffff);
}

function wordOf({ address, size }: Access, index: number, value: Value, old: () => number): number {
  if (size === 8) return Number(BigInt.asIntN(32, (value as bigint) >> BigInt(32 * index)));
  const number = typeof value === "bigint" ? Number(BigInt.asIntN(32, value)) : value;
  if (size === 4) return number | 0;
  const shift = (address & 3) * 8;
  const mask = (size === 1 ? 0xff : 0xffff) << shift;
  return (old() & ~mask) | ((number << shift) & mask);
}

/** add, sub, and, or, xor, xchg */
function changed({ change, value, size }: Access, old: Value): Value {
  const [a, b] = [BigInt(old), BigInt(value)];
  const all = [a + b, a - b, a & b, a | b, a ^ b, b];
  const result = all[change] as bigint;
  return size === 8 ? BigInt.asIntN(64, result) : Number(BigInt.asIntN(32, result));
}

function isEqual({ expected, size }: Access, old: Value): boolean {
  if (size === 8) return old === expected;
  const wanted = typeof expected === "bigint" ? Number(BigInt.asIntN(32, expected)) : expected;
  return size === 4 ? old === wanted : old === (wanted & (size === 1 ? 0xff : 0xffff));
}
