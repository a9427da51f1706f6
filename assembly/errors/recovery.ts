/**
 * What to do about an error: one of seven strategies by its code and severity, and a stronger one when that did not help.
 *
 *   retry -> fallback -> degrade -> restart -> isolate -> escalate        ignore
 *                the ladder: `limit` tries of a rung within a period, then the next     beside it
 *
 * A component's state is 24 bytes of the caller's memory:
 *   +0 began u64   time of the rung's first try in this period       +16 tries u16   of the rung, within it
 *   +8 last u64    time of the last try                              +18 strategy u8
 *
 * The rule is the one of systemd's start limit (StartLimitBurst within StartLimitIntervalSec): a period begins with a try and is over
 * after its length, so the tries of two periods may stand close together. A whole period without an error heals: the ladder begins
 * again at the error's own rung. host/core/recovery.ts is the same in TypeScript; a test holds the two together.
 */
import { RECOVERY_ESCALATE, RECOVERY_IGNORE, SEVERITY_CRITICAL } from "./codes.generated";
import { errorRecovery, errorSeverity } from "./facts";

export const RECOVERY_BYTES: usize = 24;

/** Four bits a strategy, lowest first: the next rung, and the place on the ladder. */
const NEXT: u32 = 0x6525341;
const PLACES: u32 = 0x6524310;

/** The next stronger strategy; escalate and ignore stay what they are. */
export function recoveryClimb(strategy: u32): u32 {
  return (NEXT >> (strategy << 2)) & 15;
}
function place(strategy: u32): u32 {
  return (PLACES >> (strategy << 2)) & 15;
}

/**
 * By code and severity: the code's own strategy; a rung more for each step that this error is worse than its code says. What is to be
 * ignored is so, unless it turned critical.
 */
export function recoveryOf(code: u32, severity: u32): u32 {
  let strategy = errorRecovery(code);
  const own = errorSeverity(code);
  if (strategy == RECOVERY_IGNORE)
    return severity > own && severity >= SEVERITY_CRITICAL ? RECOVERY_ESCALATE : RECOVERY_IGNORE;
  for (let step = own; step < severity; step += 1) strategy = recoveryClimb(strategy);
  return strategy;
}

export function recoveryReset(at: usize): void {
  store<u64>(at, 0);
  store<u64>(at, 0, 8);
  store<u64>(at, 0, 16);
}

/** Another error of a component, to which `strategy` is the answer: that one, or the rung the ladder stands at. Times in us. */
export function recoveryNext(at: usize, strategy: u32, limit: u32, periodUs: u64, now: u64): u32 {
  if (strategy == RECOVERY_IGNORE) return RECOVERY_IGNORE;
  let tries = <u32>load<u16>(at, 16);
  let rung = <u32>load<u8>(at, 18);
  if (tries == 0 || now - load<u64>(at, 8) >= periodUs || place(strategy) > place(rung)) {
    rung = strategy;
    tries = 0;
  } else if (now - load<u64>(at) >= periodUs) tries = 0;
  if (tries >= limit && rung != RECOVERY_ESCALATE) {
    rung = recoveryClimb(rung);
    tries = 0;
  }
  if (tries == 0) store<u64>(at, now);
  if (tries < u16.MAX_VALUE) tries += 1;
  store<u64>(at, now, 8);
  store<u16>(at, <u16>tries, 16);
  store<u8>(at, <u8>rung, 18);
  return rung;
}
