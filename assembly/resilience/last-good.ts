/**
 * How old the last good value is, and whether it may still stand in for a new one (stale-if-error, RFC 5861, section 4). The value itself is the
 * caller's to keep.
 *
 *   +0 storedUs u64   +8 ageMaxUs u64   +16 has u32   +20 unused
 */
import { NO_FALLBACK } from "../errors/codes.generated";

export const LAST_GOOD_BYTES: usize = 24;

/** Values older than ageMaxUs are of no use; u64.MAX_VALUE: they never age. */
export function lastGoodInit(at: usize, ageMaxUs: u64): void {
  store<u64>(at, 0);
  store<u64>(at, ageMaxUs, 8);
  store<u64>(at, 0, 16);
}

/** A new value was got. */
export function lastGoodStore(at: usize, nowUs: u64): void {
  store<u64>(at, nowUs);
  store<u32>(at, 1, 16);
}

/** 0 when there is a value that is not too old, else -NO_FALLBACK. A clock that went back makes nothing older. */
export function lastGoodCheck(at: usize, nowUs: u64): i32 {
  if (load<u32>(at, 16) == 0) return -NO_FALLBACK;
  return lastGoodAgeUs(at, nowUs) <= load<u64>(at, 8) ? 0 : -NO_FALLBACK;
}

export function lastGoodAgeUs(at: usize, nowUs: u64): u64 {
  const storedUs = load<u64>(at);
  return nowUs > storedUs ? nowUs - storedUs : 0;
}
