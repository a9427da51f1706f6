/** Alerts into the log, later where it takes none now: that the disk is full is told in a record when it no longer is. */
import { isTardigradeError } from "../../protocols/error.ts";
import type { Ledger } from "./ledger.ts";
import type { AlertView } from "./service.ts";

/** Waiting for the log; beyond it the oldest are only in memory. */
export const WAITING_MAX = 100;

export class AlertLog {
  readonly #ledger: Ledger;
  readonly #waiting: AlertView[] = [];

  readonly #onError: (error: unknown) => void;

  constructor(ledger: Ledger, onError: (error: unknown) => void) {
    this.#ledger = ledger;
    this.#onError = onError;
  }

  add(alert: AlertView): void {
    this.#waiting.push(alert);
    if (this.#waiting.length > WAITING_MAX) this.#waiting.shift();
    this.flush();
  }

  flush(): void {
    try {
      for (let alert = this.#waiting[0]; alert !== undefined; alert = this.#waiting[0]) {
        this.#ledger.append({ type: "alert", alert }, { device: "" });
        this.#waiting.shift();
      }
    } catch (error) {
      // Full or failed, which has an alert of its own; anything else is a bug.
      if (!isTardigradeError(error)) this.#onError(error);
    }
  }
}
