/**
 * Lamport clock (Lamport, "Time, Clocks, and the Ordering of Events in a Distributed System", 1978): a counter that grows with each event and
 * jumps above every stamp received, so that a cause always has the smaller stamp. The reverse does not hold: a smaller stamp may be
 * of an event that nobody heard of; vector.ts tells those apart.
 *
 *   +0 last u64
 */
import { CLOCK_DRIFT } from "../errors/codes.generated";

export const LAMPORT_BYTES: usize = 8;
/** A stamp that jumps further than this is a mistake or an attack: it would use up the counter for everybody. */
const JUMP_MAX: u64 = 1 << 40;

/** Starts after `last`, what was persisted. */
export function lamportInit(at: usize, last: u64): void {
  store<u64>(at, last);
}
export function lamportLast(at: usize): u64 {
  return load<u64>(at);
}
/** The stamp of an event here; 0 when there is none left, after 2^64 of them. */
export function lamportTick(at: usize): u64 {
  const stamp = load<u64>(at) + 1;
  if (stamp != 0) store<u64>(at, stamp);
  return stamp;
}
/** Takes in a stamp that came with a message. 0, or -CLOCK_DRIFT when it lies 2^40 ahead, and nothing changes. */
export function lamportReceive(at: usize, remote: u64): i32 {
  const last = load<u64>(at);
  if (remote <= last) return 0;
  if (remote - last > JUMP_MAX) return -CLOCK_DRIFT;
  store<u64>(at, remote);
  return 0;
}
