/**
 * Time that a fleet agrees on without trusting any member's wall clock: it is carried in a record, and between two records each member lets it run by
 * its own monotonic clock. Who reads a time knows that it was written before it was read, so the fleet's time is at least that; of all that a member has read it
 * keeps what brings its own clock furthest. So the fleet's time never runs ahead of the fastest of their clocks, whatever clocks are set to and however
 * long messages are under way. A member that has read only what lay there for a while is behind by that while, until it reads something newer.
 */
const US_PER_MS = 1000;

export class FleetClock {
  /** The fleet's time less this machine's. */
  #offsetUs = Number.NEGATIVE_INFINITY;

  /** A record of this time was read, at `nowMs` at the latest. */
  observe(fleetUs: number, nowMs: number): void {
    this.#offsetUs = Math.max(this.#offsetUs, fleetUs - nowMs * US_PER_MS);
  }

  /** A whole number; -Infinity before anything was observed. */
  nowUs(nowMs: number): number {
    return Math.floor(nowMs * US_PER_MS + this.#offsetUs);
  }
}
