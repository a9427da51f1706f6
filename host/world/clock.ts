/**
 * The clock of a simulated world. Time stands still until somebody advances it; alarms ring in the order of
 * their time, and of their setting where the time is equal.
 *
 * Between two alarms every promise that can go on must go on, else an alarm would ring while the work that
 * precedes it in a real process still waits. Counting `await`s guesses at how deep the chains are; one turn
 * of the event loop (setImmediate) empties them whatever their depth, costs some microseconds and depends
 * on no time. Where nothing else is waited for (`isPure`), what Node does between two turns is enough.
 */
import { afterPromises } from "../io/after-promises.ts";
import type { Clock, Dispose } from "../io/seams.ts";

/** So that timers and signals of the process have their turn. */
const TURNS_A_LOOP = 1_000;

interface Alarm {
  readonly timeMs: number;
  readonly order: number;
  /** Cleared when the alarm has rung or was disposed of. */
  call: (() => void) | undefined;
}

export class SimulatedClock implements Clock {
  #nowMs: number;
  #wallOffsetMs: number;
  #order = 0;
  /** Binary heap, earliest first. */
  readonly #heap: Alarm[] = [];
  #live = 0;
  readonly #isPure: boolean;
  #turns = 0;

  /** `isPure`: nothing is waited for but promises and this clock's alarms; then it need not go through the event loop. */
  constructor(
    options: { readonly startMs?: number; readonly wallMs?: number; readonly isPure?: boolean } = {},
  ) {
    this.#isPure = options.isPure ?? false;
    this.#nowMs = options.startMs ?? 0;
    this.#wallOffsetMs = (options.wallMs ?? Date.UTC(2026, 0, 1)) - this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  wallMs(): number {
    return Math.floor(this.#nowMs + this.#wallOffsetMs);
  }

  /** Makes the wall clock jump, as a time server or a user does; monotonic time goes on. */
  setWallMs(wallMs: number): void {
    this.#wallOffsetMs = wallMs - this.#nowMs;
  }

  alarm(delayMs: number, call: () => void): Dispose {
    const alarm: Alarm = { timeMs: this.#nowMs + Math.max(delayMs, 0), order: this.#order, call };
    this.#order += 1;
    this.#live += 1;
    this.#push(alarm);
    return () => {
      if (alarm.call === undefined) return;
      alarm.call = undefined;
      this.#live -= 1;
    };
  }

  /** Alarms set and not yet rung. */
  get pendingAlarms(): number {
    return this.#live;
  }

  /** When the next alarm rings; undefined when none is set. */
  get nextAlarmMs(): number | undefined {
    return this.#peek()?.timeMs;
  }

  /** Lets every promise that can go on do so, without time passing. */
  settle(): Promise<void> {
    this.#turns += 1;
    return new Promise((resolve) => {
      if (this.#isPure && this.#turns % TURNS_A_LOOP !== 0) afterPromises(resolve);
      else setImmediate(resolve);
    });
  }

  /** Moves time by `ms`, ringing what falls due on the way, alarms set meanwhile included. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await this.settle();
    while (this.#ringNext(untilMs)) await this.settle();
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  /** Like advance(), for what runs without promises: nothing asynchronous goes on in between. */
  advanceSync(ms: number): void {
    const untilMs = this.#nowMs + ms;
    while (this.#ringNext(untilMs));
    this.#nowMs = Math.max(this.#nowMs, untilMs);
  }

  /**
   * Advances from alarm to alarm until the condition holds. Throws when `limitMs` pass or no alarm is left
   * before it does.
   */
  async runUntil(condition: () => boolean, options: { readonly limitMs?: number } = {}): Promise<void> {
    const limitMs = this.#nowMs + (options.limitMs ?? 3_600_000);
    await this.settle();
    while (!condition()) {
      if (!this.#ringNext(limitMs)) {
        const why = this.#peek() === undefined ? "no alarm is left" : "the limit is reached";
        throw new Error(`The condition did not come true by ${this.#nowMs} ms: ${why}.`);
      }
      await this.settle();
    }
  }

  #ringNext(untilMs: number): boolean {
    const alarm = this.#peek();
    if (alarm === undefined || alarm.timeMs > untilMs) return false;
    this.#pop();
    this.#nowMs = Math.max(this.#nowMs, alarm.timeMs);
    const call = alarm.call;
    alarm.call = undefined;
    this.#live -= 1;
    call?.();
    return true;
  }

  /** The earliest alarm that was not disposed of. */
  #peek(): Alarm | undefined {
    while (this.#heap.length > 0 && this.#heap[0]?.call === undefined) this.#pop();
    return this.#heap[0];
  }

  #push(alarm: Alarm): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(alarm);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(alarm, heap[parent] as Alarm)) break;
      heap[at] = heap[parent] as Alarm;
      at = parent;
    }
    heap[at] = alarm;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = at * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Alarm, heap[child] as Alarm)) child += 1;
      if (!before(heap[child] as Alarm, last)) break;
      heap[at] = heap[child] as Alarm;
      at = child;
    }
    heap[at] = last;
  }
}

function before(a: Alarm, b: Alarm): boolean {
  return a.timeMs < b.timeMs || (a.timeMs === b.timeMs && a.order < b.order);
}
