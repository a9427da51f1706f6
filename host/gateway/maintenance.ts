/** What is done now and then: history beyond its retention is removed, and log that no reader needs any more. */
import type { Clock, Dispose } from "../io/seams.ts";
import type { History } from "../store/history.ts";
import type { SegmentLog } from "../store/segment-log.ts";
import type { StateStore } from "../store/state-store.ts";

export const TICK_MS = 10_000;

export interface MaintenanceOptions {
  readonly clock: Clock;
  readonly log: SegmentLog;
  readonly state: StateStore;
  readonly history: History;
  readonly logBytesMax: number;
  /** Offset of the last record applied, -1 before the first. */
  readonly applied: () => number;
  /** Where the forwarder reads next. */
  readonly forwarded: () => number;
  readonly onTick: () => void;
  readonly onError: (error: unknown) => void;
}

export class Maintenance {
  readonly #options: MaintenanceOptions;
  #stop: Dispose;
  #running: Promise<void> | undefined;

  constructor(options: MaintenanceOptions) {
    this.#options = options;
    this.#stop = this.#arm();
  }

  async close(): Promise<void> {
    this.#stop();
    await this.#running;
  }

  async run(): Promise<void> {
    const { clock, log, state, history, logBytesMax, applied, forwarded } = this.#options;
    await state.transaction((transaction) => {
      history.expire(transaction, clock.wallMs());
    });
    if (log.end - log.start <= logBytesMax) return;
    // The state may only lean on a log that it has outlived: what is removed must be in the store, on disk.
    const upTo = Math.min(applied(), forwarded(), log.end - logBytesMax);
    if (upTo <= log.start) return;
    await state.flush();
    await log.removeBefore(upTo);
  }

  #arm(): Dispose {
    return this.#options.clock.alarm(
      TICK_MS,
      () => {
        this.#options.onTick();
        this.#running ??= this.run()
          .catch(this.#options.onError)
          .finally(() => {
            this.#running = undefined;
          });
        this.#stop = this.#arm();
      },
      { background: true },
    );
  }
}
