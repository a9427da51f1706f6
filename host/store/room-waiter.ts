/**
 * What the log does on a full disk: it waits and tries again, by the clock. The spare segment may wait long
 * before anybody needs it, so only a commit that waits, itself or for the spare, makes the log's state
 * `full`.
 */
import type { Clock, Dispose } from "../io/seams.ts";

export type Waiting = "spare" | "commit";

export class RoomWaiter {
  readonly #clock: Clock;
  readonly #retryMs: number;
  readonly #onChange: () => void;
  readonly #waits = new Map<Waiting, () => void>();
  #closing = false;

  constructor(options: { readonly clock: Clock; readonly retryMs: number; readonly onChange: () => void }) {
    this.#clock = options.clock;
    this.#retryMs = options.retryMs;
    this.#onChange = options.onChange;
  }

  isWaiting(who: Waiting): boolean {
    return this.#waits.has(who);
  }

  /** Resolves when it is time to try again; throws `error` once the log closes. */
  async wait(who: Waiting, error: unknown): Promise<void> {
    if (this.#closing) throw error;
    await new Promise<void>((resolve) => {
      let alarm: Dispose = () => undefined;
      const wake = (): void => {
        alarm();
        resolve();
      };
      alarm = this.#clock.alarm(this.#retryMs, wake);
      this.#waits.set(who, wake);
      this.#onChange();
    });
  }

  /** The one who waited got through. */
  done(who: Waiting): void {
    if (this.#waits.delete(who)) this.#onChange();
  }

  /** Ends every wait: each tries once more, and gives up when there still is no room. */
  close(): void {
    this.#closing = true;
    for (const wake of this.#waits.values()) wake();
  }
}
