/** Sleeping until another thread has changed a structure: assembly/lockfree/event.ts has the protocol. */
import { sleep, sleepClockMs, sleepSync } from "../io/thread-sleep.ts";
import type { Space } from "./space.ts";

/** Looks before sleeping: a peer that is at work answers within a microsecond, and a sleep costs several. More of them only take its processor. */
const SPINS = 100;

export class SharedEvent {
  readonly #space: Space;
  readonly #at: number;

  constructor(space: Space, at: number) {
    this.#space = space;
    this.#at = at;
  }

  /** Blocks this thread until `isReady`; false when that took longer than `timeoutMs`. */
  waitSync(isReady: () => boolean, timeoutMs = Number.POSITIVE_INFINITY): boolean {
    for (let spin = 0; spin < SPINS; spin += 1) if (isReady()) return true;
    const { raw, words } = this.#space;
    const deadline = sleepClockMs() + timeoutMs;
    while (true) {
      const count = raw.eventAnnounce(this.#at);
      const isDone = isReady();
      const leftMs = deadline - sleepClockMs();
      if (!isDone && leftMs > 0) sleepSync(words, this.#at >>> 2, count, leftMs);
      raw.eventLeave(this.#at);
      if (isDone || isReady()) return true;
      if (!(leftMs > 0)) return false;
    }
  }

  /** Waits until `isReady` without blocking the thread; false when that took longer than `timeoutMs`. */
  async wait(isReady: () => boolean, timeoutMs = Number.POSITIVE_INFINITY): Promise<boolean> {
    for (let spin = 0; spin < SPINS; spin += 1) if (isReady()) return true;
    const { raw, words } = this.#space;
    const deadline = sleepClockMs() + timeoutMs;
    while (true) {
      const count = raw.eventAnnounce(this.#at);
      const isDone = isReady();
      const leftMs = deadline - sleepClockMs();
      if (!isDone && leftMs > 0) await sleep(words, this.#at >>> 2, count, leftMs);
      raw.eventLeave(this.#at);
      if (isDone || isReady()) return true;
      if (!(leftMs > 0)) return false;
    }
  }

  /** Wakes all, also those about to sleep. */
  wake(): void {
    this.#space.raw.eventWake(this.#at);
  }
}
