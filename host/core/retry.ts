/** Retry with the core's backoff; assembly/resilience/retry.ts has the kinds of jitter. */
import { TardigradeError } from "../../protocols/error.ts";
import type { Core } from "./core.ts";
import type { AsyncPolicy, PolicyClock, RunOptions, Work } from "./policy.ts";

const JITTER = { none: 0, full: 1, equal: 2 } as const;
const US_PER_MS = 1000;
const DELAY_MS_MAX = 4_294_967;

export interface RetryOptions {
  /** Attempts in all, the first included, at least 1. Default 5. */
  readonly attempts?: number;
  /** Wait after the first failure; doubles with each one. Default 100. */
  readonly baseMs?: number;
  /** Longest wait, at most 4,294,967. Default 30,000. */
  readonly capMs?: number;
  /** Default "full". */
  readonly jitter?: keyof typeof JITTER;
  /** Which errors are worth another attempt. Default all; an abort never is. */
  readonly retryIf?: (error: unknown, attempt: number) => boolean;
  /** Told before each wait. */
  readonly onRetry?: (error: unknown, attempt: number, delayMs: number) => void;
}

/** The part of the Random seam that retries use. */
export interface PolicyRandom {
  u32(): number;
}

export function createRetry(
  core: Core,
  clock: PolicyClock,
  random: PolicyRandom,
  options: RetryOptions = {},
): AsyncPolicy {
  const { attempts = 5, baseMs = 100, capMs = 30_000, jitter = "full" } = options;
  const retryIf = options.retryIf ?? (() => true);
  const ranged = baseMs * US_PER_MS >= 1 && capMs >= baseMs && capMs <= DELAY_MS_MAX;
  if (!Number.isInteger(attempts) || attempts < 1 || !ranged) {
    throw new TardigradeError(
      "ARGUMENT",
      `A retry needs a whole number of attempts from 1, and 0.001 <= baseMs <= capMs <= ${DELAY_MS_MAX}.`,
      { context: { component: "retry", attempts, baseMs, capMs } },
    );
  }
  const delayMs = (failures: number): number => {
    const [baseUs, capUs] = [Math.round(baseMs * US_PER_MS), Math.round(capMs * US_PER_MS)];
    const delayUs = core.raw.backoffUs(0, baseUs, capUs, failures, JITTER[jitter], random.u32(), baseUs);
    return (delayUs >>> 0) / US_PER_MS;
  };
  const run = async <T>(work: Work<T>, runOptions?: RunOptions): Promise<Awaited<T>> => {
    const signal = runOptions?.signal;
    for (let attempt = 1; ; attempt += 1) {
      signal?.throwIfAborted();
      try {
        return await work({ signal, attempt });
      } catch (error) {
        if (signal?.aborted || !retryIf(error, attempt)) throw error;
        if (attempt >= attempts) throw exhausted(attempts, error);
        const waitMs = delayMs(attempt);
        options.onRetry?.(error, attempt, waitMs);
        await pause(clock, waitMs, signal);
      }
    }
  };
  return { kind: "async", run };
}

function exhausted(attempts: number, cause: unknown): TardigradeError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new TardigradeError("RETRIES_EXHAUSTED", `All ${attempts} attempts failed; the last: ${reason}`, {
    cause,
    context: { component: "retry", attempts },
  });
}

function pause(clock: PolicyClock, delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      cancel();
      reject(signal?.reason);
    };
    const cancel = clock.alarm(delayMs, () => {
      signal?.removeEventListener("abort", abort);
      resolve();
    });
    signal?.addEventListener("abort", abort, { once: true });
  });
}
