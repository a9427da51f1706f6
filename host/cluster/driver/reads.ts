/**
 * Linearizable reads. What is asked in one turn shares one read of Raft (ReadIndex or lease, assembly/consensus/raft/reads.ts), and one is
 * out at a time: what is asked meanwhile shares the next. A read that is not answered is asked again, since the leader that was asked may be
 * gone or too new, by a context of its own, so that a late answer to the first confirms nothing (etcd #20418).
 */
import type { Random } from "../../io/seams.ts";
import { refusal } from "./proposals.ts";

interface Waiter {
  resolve(): void;
  reject(error: Error): void;
}

export class ReadQueue {
  #context: number;
  #next: Waiter[] = [];
  /** When the first of them was asked for. */
  #nextSinceMs = 0;
  #out:
    | {
        readonly context: number;
        readonly askedMs: number;
        readonly sinceMs: number;
        readonly waiters: readonly Waiter[];
      }
    | undefined;
  /** Those that know their index, and wait until it is applied. */
  #indexed: { readonly index: number; readonly waiters: readonly Waiter[] }[] = [];

  /** Contexts begin at random, so that a node that was restarted does not use those of before. */
  constructor(random: Random) {
    this.#context = (random.u32() & 0xfffff) * 2 ** 32 + 1;
  }

  add(nowMs: number): Promise<void> {
    if (this.#next.length === 0) this.#nextSinceMs = nowMs;
    return new Promise((resolve, reject) => this.#next.push({ resolve, reject }));
  }

  /** Asks for those that wait, when none is out. Where `ask` throws nobody can be asked now, and they go on waiting. */
  ask(nowMs: number, ask: (context: number) => void): void {
    if (this.#out !== undefined || this.#next.length === 0) return;
    this.#context += 1;
    try {
      ask(this.#context);
    } catch {
      return;
    }
    this.#out = {
      ...{ context: this.#context, askedMs: nowMs },
      ...{ sinceMs: this.#nextSinceMs, waiters: this.#next },
    };
    this.#next = [];
  }

  answered(context: number, index: number): void {
    const out = this.#out;
    if (out === undefined || out.context !== context) return;
    this.#out = undefined;
    this.#indexed.push({ index, waiters: out.waiters });
  }

  applied(index: number): void {
    if (this.#indexed.length === 0) return;
    const ready = this.#indexed.filter((read) => read.index <= index);
    if (ready.length === 0) return;
    this.#indexed = this.#indexed.filter((read) => read.index > index);
    for (const { waiters } of ready) for (const { resolve } of waiters) resolve();
  }

  /** What was not answered since `retryUntilMs` is asked again, by another context; what was asked for before `untilMs` is given up. */
  expire(untilMs: number, retryUntilMs: number): void {
    const out = this.#out;
    if (out !== undefined && out.askedMs < retryUntilMs) {
      this.#out = undefined;
      this.#next = [...out.waiters, ...this.#next];
      this.#nextSinceMs = out.sinceMs;
    }
    if (this.#next.length === 0 || this.#nextSinceMs >= untilMs) return;
    const waiters = this.#next;
    this.#next = [];
    for (const { reject } of waiters) reject(refusal("RAFT_NO_LEADER"));
  }

  stop(): void {
    const groups = [this.#next, this.#out?.waiters ?? [], ...this.#indexed.map(({ waiters }) => waiters)];
    this.#next = [];
    this.#out = undefined;
    this.#indexed = [];
    for (const { reject } of groups.flat()) reject(refusal("RAFT_STOPPED"));
  }
}
