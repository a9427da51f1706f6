/** What the gateway takes from the core through a narrow door. */

/** Stamps of the hybrid logical clock, each above the one before. */
export interface Stamps {
  /** Throws QUEUE_FULL while the bound of the stamps is not on disk. */
  next(): bigint;
}

/** A clock whose stamps are given up to a bound that is on disk; host/core/hybrid-clock.ts is one. */
export interface StampClock {
  /** Throws CLOCK_DRIFT at the bound. */
  tick(): bigint;
  last(): bigint;
  /** A bound so far ahead of what is known now. */
  reserve(aheadMs: number): bigint;
  boundPersisted(bound: bigint): void;
}
