/**
 * Hybrid logical clock (Kulkarni, Demirbas et al., "Logical Physical Clocks", 2014): stamps that follow wall time closely
 * and never go back, whatever the wall clock does, so that events of several machines have one order that respects cause.
 *
 * A stamp is 64 bits: 48 of wall milliseconds (the paper's l), 16 logical (its c). Both parts are one integer, so "the next stamp" is plus one.
 * c is bounded: a full one carries into l. Then l leads the highest wall clock heard of by a millisecond for each 65,536 stamps that were given within
 * one, so l - pt <= epsilon + stamps / 65,536: nothing, for machines that make less than 65 million stamps a second.
 *
 * A remote stamp further ahead of our wall clock than the drift bound is refused: one machine with a wrong clock must not
 * drag all the others along. To stay monotonic over a restart a caller persists an upper bound ahead of time (hlcReserve,
 * then hlcBoundSet when it is on disk) and starts from it; beyond the bound no stamp is given.
 *
 *   +0 last u64   +8 bound u64   +16 driftMsMax u32   +20 reserved u32
 */
import { CLOCK_DRIFT } from "../errors/codes.generated";

export const HLC_BYTES: usize = 24;

const LAST: usize = 0;
const BOUND: usize = 8;
const DRIFT: usize = 16;

const LOGICAL_BITS: u64 = 16;
const WALL_MAX: u64 = 0xffff_ffff_ffff;
const UNBOUNDED: u64 = u64.MAX_VALUE;

/** Starts after `floor`: the persisted bound of the run before, or 0. Without hlcBoundSet no bound applies. */
export function hlcInit(at: usize, driftMsMax: u32, floor: u64): void {
  store<u64>(at, floor, LAST);
  store<u64>(at, UNBOUNDED, BOUND);
  store<u32>(at, driftMsMax, DRIFT);
}

/** The stamp given or seen last. */
export function hlcLast(at: usize): u64 {
  return load<u64>(at, LAST);
}

/** A stamp for an event now, above every one before; 0 when the bound is reached and a new one must be persisted first. */
export function hlcTick(at: usize, wallMs: u64): u64 {
  const stamp = max<u64>(load<u64>(at, LAST) + 1, wallStamp(wallMs));
  if (stamp > load<u64>(at, BOUND)) return 0;
  store<u64>(at, stamp, LAST);
  return stamp;
}

/**
 * Takes in the stamp of a message that arrived; the next tick is above it. 0, or -CLOCK_DRIFT when the remote wall clock is
 * further ahead than the bound, and nothing changes.
 */
export function hlcReceive(at: usize, wallMs: u64, remote: u64): i32 {
  if (remote >> LOGICAL_BITS > min<u64>(wallMs, WALL_MAX) + <u64>load<u32>(at, DRIFT)) return -CLOCK_DRIFT;
  store<u64>(at, max<u64>(load<u64>(at, LAST), remote), LAST);
  return 0;
}

/** A bound `aheadMs` after what is known now, to be persisted and then set. */
export function hlcReserve(at: usize, wallMs: u64, aheadMs: u32): u64 {
  const base = max<u64>(load<u64>(at, LAST), wallStamp(wallMs));
  const ahead = (<u64>aheadMs) << LOGICAL_BITS;
  return base > UNBOUNDED - ahead ? UNBOUNDED : base + ahead;
}

/** Says that `bound` is on disk: stamps up to it may be given. */
export function hlcBoundSet(at: usize, bound: u64): void {
  store<u64>(at, bound, BOUND);
}

function wallStamp(wallMs: u64): u64 {
  return min<u64>(wallMs, WALL_MAX) << LOGICAL_BITS;
}
