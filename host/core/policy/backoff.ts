/** Waits between attempts, from the core's backoff: for loops that reconnect for ever, and for retry.ts. */
import type { PolicySeams } from "./policy.ts";

export const BACKOFFS = { exponential: 0, constant: 1, linear: 2, fibonacci: 3 } as const;
export const JITTERS = { none: 0, full: 1, equal: 2, decorrelated: 3 } as const;
const US_PER_MS = 1000;

export interface BackoffOptions {
  /** Default `exponential`. */
  readonly backoff?: keyof typeof BACKOFFS;
  readonly baseMs: number;
  readonly capMs: number;
  /** Default `full`. */
  readonly jitter?: keyof typeof JITTERS;
}

/** Milliseconds to wait after `failures` failed attempts (1 at first) and after `lastMs`, the wait before this one. */
export type Backoff = (failures: number, lastMs?: number) => number;

/** Numbers within the ranges of RetryOptions; see there. */
export function createBackoff(
  { core, random }: Omit<PolicySeams, "clock">,
  { backoff = "exponential", baseMs, capMs, jitter = "full" }: BackoffOptions,
): Backoff {
  const [kind, shape] = [BACKOFFS[backoff], JITTERS[jitter]];
  const [baseUs, capUs] = [Math.round(baseMs * US_PER_MS), Math.round(capMs * US_PER_MS)];
  return (failures, lastMs = 0) => {
    const lastUs = lastMs === 0 ? baseUs : Math.min(lastMs * US_PER_MS, capUs);
    return (core.raw.backoffUs(kind, baseUs, capUs, failures, shape, random.u32(), lastUs) >>> 0) / US_PER_MS;
  };
}
