/**
 * The retained JSON states, published when a device changed, at most once in an interval for each: a device that sends a
 * thousand readings a second is still one small publish every quarter of a second.
 */
import type { Clock, Dispose } from "../io/seams.ts";

export class StateTopics {
  readonly #clock: Clock;
  readonly #intervalMs: number;
  readonly #publish: (device: string) => void;
  readonly #dirty = new Set<string>();
  #timer: Dispose | undefined;

  constructor(options: {
    readonly clock: Clock;
    readonly intervalMs: number;
    readonly publish: (device: string) => void;
  }) {
    this.#clock = options.clock;
    this.#intervalMs = options.intervalMs;
    this.#publish = options.publish;
  }

  changed(device: string): void {
    this.#dirty.add(device);
    this.#timer ??= this.#clock.alarm(this.#intervalMs, () => {
      this.#timer = undefined;
      this.flush();
    });
  }

  flush(): void {
    const devices = [...this.#dirty];
    this.#dirty.clear();
    for (const device of devices) this.#publish(device);
  }

  close(): void {
    this.#timer?.();
    this.#timer = undefined;
    this.flush();
  }
}
