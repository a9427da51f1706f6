/** A budget that retries and hedges draw on; assembly/resilience/retry-budget.ts has the rule. One budget may serve many policies. */
import { checkHandle } from "../core.ts";
import { milli, type PolicySeams, whole } from "./policy.ts";

export interface RetryBudgetOptions {
  /** Retries for each call, 0 to 10. Default 0.2. */
  readonly share?: number;
  /** Retries a second besides, 0 to 1,000,000. Default 10. */
  readonly perSecond?: number;
  /** What is looked back on, up to 4,294,967. Default 10,000. */
  readonly spanMs?: number;
}

export interface RetryBudget extends Disposable {
  /** A call is made; not its retries. */
  call(): void;
  /** Whether a retry may be made now; then it is counted. */
  tryRetry(): boolean;
  /** Retries that could be made now. */
  readonly left: number;
  close(): void;
}

export function createRetryBudget(
  { core, clock }: Omit<PolicySeams, "random">,
  { share = 0.2, perSecond = 10, spanMs = 10_000 }: RetryBudgetOptions = {},
): RetryBudget {
  const { raw } = core;
  const name = "retry-budget";
  const handle = checkHandle(
    raw.budgetCreate(
      milli(name, "share", share, { min: 0, max: 10 }),
      whole(name, "perSecond", perSecond, { min: 0, max: 1_000_000 }),
      spanMs,
      clock.monotonicMs(),
    ),
    "A retry budget needs a spanMs of 0.01 to 4,294,967.",
  );
  const close = (): void => {
    raw.budgetFree(handle);
  };
  return {
    call: () => {
      raw.budgetCall(handle, clock.monotonicMs());
    },
    tryRetry: () => raw.budgetRetry(handle, clock.monotonicMs()) === 0,
    get left() {
      return raw.budgetLeft(handle, clock.monotonicMs()) >>> 0;
    },
    close,
    [Symbol.dispose]: close,
  };
}
