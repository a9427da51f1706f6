/**
 * A clock read once a turn of the event loop: the first reader of a turn pays for the system's clock (some 150 ns), those
 * after it get the same number. Good for decisions that shape load; leases read the clock itself.
 */
import type { PolicyClock } from "./policy/policy.ts";

export function turnClock(clock: PolicyClock): PolicyClock {
  let nowMs = 0;
  let fresh = false;
  const expire = (): void => {
    fresh = false;
  };
  return {
    monotonicMs: () => {
      if (!fresh) {
        nowMs = clock.monotonicMs();
        fresh = true;
        clock.alarm(0, expire, { background: true });
      }
      return nowMs;
    },
    alarm: (delayMs, call, options) => clock.alarm(delayMs, call, options),
  };
}
