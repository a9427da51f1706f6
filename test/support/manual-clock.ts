/** A clock that stands until it is moved, with its alarms. */
import type { PolicyClock } from "../../host/core/policy/policy.ts";

export class ManualClock implements PolicyClock {
  nowMs = 0;
  reads = 0;
  readonly #alarms = new Set<{ readonly atMs: number; readonly call: () => void }>();

  monotonicMs(): number {
    this.reads += 1;
    return this.nowMs;
  }

  alarm(delayMs: number, call: () => void): () => void {
    const entry = { atMs: this.nowMs + delayMs, call };
    this.#alarms.add(entry);
    return () => {
      this.#alarms.delete(entry);
    };
  }

  #due(): { readonly atMs: number; readonly call: () => void } | undefined {
    const due = [...this.#alarms].filter((entry) => entry.atMs <= this.nowMs);
    return due.sort((a, b) => a.atMs - b.atMs)[0];
  }

  get waiting(): readonly number[] {
    return [...this.#alarms].map((entry) => entry.atMs - this.nowMs);
  }

  /** Moves on, calls what is due, and lets the promises that hang on it run. */
  async advance(ms: number): Promise<void> {
    this.nowMs += ms;
    for (let entry = this.#due(); entry !== undefined; entry = this.#due()) {
      this.#alarms.delete(entry);
      entry.call();
    }
    await settle();
  }
}

/** Lets every promise that can go on do so. */
export function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
