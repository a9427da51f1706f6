/**
 * Stamps where the core's hybrid logical clock is not loaded: wall milliseconds in the upper 48 bits, a counter below, never
 * going back. One gateway alone needs no more; a cluster passes the core's clock.
 */
import type { Clock } from "../io/seams.ts";
import type { Stamps } from "./ports.ts";

export function wallStamps(clock: Clock): Stamps {
  let last = 0n;
  return {
    next: () => {
      const now = BigInt(clock.wallMs()) << 16n;
      last = now > last ? now : last + 1n;
      return last;
    },
  };
}
