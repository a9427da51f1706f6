/**
 * What to do about an error: one of seven strategies by its code and severity, and a stronger one when that did not help. The ladder, its
 * rule and its source are drawn in assembly/errors/recovery.ts, which devices run; a test holds the two together.
 *
 *     const ladder = new RecoveryLadder({ nowMs, limit: 5, periodMs: 60_000 });
 *     recover(error, { retry: again, restart: startAnew, isolate: leaveOut }, { ladder, component: "camera" });
 */
import { isTardigradeError, type TardigradeError } from "../../protocols/error.ts";
import { ERRORS, type ErrorCode, type Recovery, SEVERITIES, type Severity } from "../../protocols/table.ts";

/** From the weakest to the strongest; `ignore` stands beside it. */
export const RECOVERY_LADDER = ["retry", "fallback", "degrade", "restart", "isolate", "escalate"] as const;
const CRITICAL = SEVERITIES.indexOf("critical");
/** Components whose rung is remembered; the one that was quiet for longest makes room, and begins at the bottom when it fails again. */
export const COMPONENTS_MAX = 256;

export type RecoveryOverrides = Partial<Readonly<Record<ErrorCode, Recovery>>>;

/** What recoveryOf() wants to know of an error: a TardigradeError, or a record of a device whose severity may differ from its code's. */
export interface Recoverable {
  readonly code: ErrorCode;
  readonly severity: Severity;
}

/** The next stronger strategy; escalate and ignore stay what they are. */
export function climb(strategy: Recovery): Recovery {
  if (strategy === "ignore") return strategy;
  return RECOVERY_LADDER[RECOVERY_LADDER.indexOf(strategy) + 1] ?? "escalate";
}

/**
 * By code and severity: the code's own strategy, or the one of `overrides`; a rung more for each step that this error is worse than its
 * code says. What is to be ignored is so, unless it turned critical.
 */
export function recoveryOf(error: Recoverable, overrides: RecoveryOverrides = {}): Recovery {
  const row = ERRORS[error.code];
  let strategy: Recovery = overrides[error.code] ?? row.recovery;
  const own = SEVERITIES.indexOf(row.severity);
  const told = SEVERITIES.indexOf(error.severity);
  if (strategy === "ignore") return told > own && told >= CRITICAL ? "escalate" : "ignore";
  for (let step = own; step < told; step += 1) strategy = climb(strategy);
  return strategy;
}

export interface LadderOptions {
  /** Monotonic. */
  readonly nowMs: () => number;
  /** Tries of a strategy within a period before the next stronger one; 1 to 65,535. Default 5. */
  readonly limit?: number;
  /** Default a minute. */
  readonly periodMs?: number;
  readonly overrides?: RecoveryOverrides;
}

interface Rung {
  strategy: Recovery;
  tries: number;
  beganMs: number;
  lastMs: number;
}

/** Remembers for each component which strategy its errors have come to. */
export class RecoveryLadder {
  readonly #nowMs: () => number;
  readonly #limit: number;
  readonly #periodMs: number;
  readonly #overrides: RecoveryOverrides;
  /** In the order of their last error. */
  readonly #rungs = new Map<string, Rung>();

  constructor(options: LadderOptions) {
    const { nowMs, limit = 5, periodMs = 60_000, overrides = {} } = options;
    if (!Number.isInteger(limit) || limit < 1 || limit > 65_535) throw new RangeError("limit: 1 to 65535");
    if (!(periodMs > 0)) throw new RangeError("periodMs: more than 0");
    this.#nowMs = nowMs;
    this.#limit = limit;
    this.#periodMs = periodMs;
    this.#overrides = overrides;
  }

  /** The strategy for another error of a component. */
  next(component: string, error: Recoverable): Recovery {
    const strategy = recoveryOf(error, this.#overrides);
    if (strategy === "ignore") return strategy;
    const nowMs = this.#nowMs();
    const rung = this.#rungs.get(component) ?? { strategy, tries: 0, beganMs: nowMs, lastMs: nowMs };
    this.#rungs.delete(component);
    if (rung.tries === 0 || nowMs - rung.lastMs >= this.#periodMs || place(strategy) > place(rung.strategy)) {
      rung.strategy = strategy;
      rung.tries = 0;
    } else if (nowMs - rung.beganMs >= this.#periodMs) rung.tries = 0;
    if (rung.tries >= this.#limit && rung.strategy !== "escalate") {
      rung.strategy = climb(rung.strategy);
      rung.tries = 0;
    }
    if (rung.tries === 0) rung.beganMs = nowMs;
    rung.tries += 1;
    rung.lastMs = nowMs;
    this.#rungs.set(component, rung);
    for (const [quietest] of this.#rungs) {
      if (this.#rungs.size <= COMPONENTS_MAX) break;
      this.#rungs.delete(quietest);
    }
    return rung.strategy;
  }

  /** The component works again, or was replaced: its ladder begins at the bottom. */
  reset(component: string): void {
    this.#rungs.delete(component);
  }
}

function place(strategy: Recovery): number {
  return (RECOVERY_LADDER as readonly Recovery[]).indexOf(strategy);
}

export type RecoveryHandlers<T> = Partial<Readonly<Record<Recovery, (error: TardigradeError) => T>>>;

/**
 * Runs the handler of the error's strategy, or of the next stronger one that there is a handler for, and returns what it returns. Without
 * any the error is thrown, as `escalate` is; `ignore` without a handler returns undefined. What is no TardigradeError is a bug and is
 * thrown as it is.
 */
export function recover<T>(
  error: unknown,
  handlers: RecoveryHandlers<T>,
  options: {
    readonly ladder?: RecoveryLadder;
    readonly component?: string;
    readonly overrides?: RecoveryOverrides;
  } = {},
): T | undefined {
  if (!isTardigradeError(error)) throw error;
  const { ladder, component = error.context.component ?? "", overrides } = options;
  let strategy = ladder === undefined ? recoveryOf(error, overrides) : ladder.next(component, error);
  if (strategy === "ignore") return handlers.ignore?.(error);
  while (handlers[strategy] === undefined && strategy !== "escalate") strategy = climb(strategy);
  const handler = handlers[strategy];
  if (handler === undefined) throw error;
  return handler(error);
}
