/**
 * Listeners and waiters of the log. A listener that throws is a bug, which ends the process instead of
 * looking like a bad disk.
 */
import type { Dispose } from "../io/seams.ts";

export class Listeners<T> {
  readonly #calls = new Set<(value: T) => void>();

  add(call: (value: T) => void): Dispose {
    // A wrapper, so that one function added twice is two listeners.
    const own = (value: T): void => call(value);
    this.#calls.add(own);
    return () => this.#calls.delete(own);
  }

  tell(value: T): void {
    for (const call of this.#calls) {
      try {
        call(value);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}

interface Waiter {
  readonly offset: number;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** Promises for offsets, in ascending order; mostly they are asked for in that order too. */
export class OffsetWaiters {
  #waiters: Waiter[] = [];

  wait(offset: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiters = this.#waiters;
      let at = waiters.length;
      while (at > 0 && (waiters[at - 1] as Waiter).offset > offset) at -= 1;
      if (at === waiters.length) waiters.push({ offset, resolve, reject });
      else waiters.splice(at, 0, { offset, resolve, reject });
    });
  }

  /** Resolves those below `end`. */
  reached(end: number): void {
    const waiters = this.#waiters;
    if (waiters.length === 0 || (waiters[0] as Waiter).offset >= end) return;
    let count = 0;
    while (count < waiters.length && (waiters[count] as Waiter).offset < end) count += 1;
    this.#waiters = waiters.slice(count);
    for (let at = 0; at < count; at += 1) (waiters[at] as Waiter).resolve();
  }

  rejectAll(error: unknown): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter.reject(error);
  }
}
