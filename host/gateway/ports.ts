/** What the gateway takes from the core through a narrow door. */

/** Stamps of the hybrid logical clock, each above the one before. */
export interface Stamps {
  next(): bigint;
}
