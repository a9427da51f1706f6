/** What the gateway takes from the core through a narrow door. */

/** Stamps of the hybrid logical clock, each above the one before. */
export interface Stamps {
  /** Throws QUEUE_FULL while the bound of the stamps is not on disk. */
  next(): bigint;
  /** The highest given or taken in. */
  last(): bigint;
  /** Takes in a device's stamp, so that the next is above it. False for one that is too far ahead, of which nothing is taken in. */
  receive(stamp: bigint): boolean;
}

/** A clock whose stamps are given up to a bound that is on disk; host/core/hybrid-clock.ts is one. */
export interface StampClock {
  /** Throws CLOCK_DRIFT at the bound. */
  tick(): bigint;
  last(): bigint;
  /** Takes in a stamp of another machine. How far ahead it may be is judged by the caller. */
  receive(stamp: bigint): void;
  boundPersisted(bound: bigint): void;
}
