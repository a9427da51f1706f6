/**
 * Timers of the app. A callback runs with the time of its deadline, not of the moment it got the processor, so the same app
 * computes the same on every board. A deadline that lies more than a period back (the board slept, or a callback took
 * too long) is skipped forward: a backlog of calls would only add to the overload.
 */
import { POOL_FULL } from "../../assembly/errors/codes.generated";
import { reserve } from "./memory";

export const TIMERS_MAX: u32 = 8;
export const NEVER: u64 = u64.MAX_VALUE;

/** Each timer: +0 period u64, +8 deadline u64. */
const table: usize = reserve(<usize>TIMERS_MAX * 16);
let count: u32 = 0;

export function timerAdd(periodUs: u64, now: u64): i32 {
  if (count == TIMERS_MAX) return -POOL_FULL;
  const at = table + <usize>count * 16;
  store<u64>(at, periodUs);
  store<u64>(at, now + periodUs, 8);
  count += 1;
  return <i32>(count - 1);
}

/** Forgets all timers: the app starts again. */
export function timersClear(): void {
  count = 0;
}

/** Earliest deadline. */
export function timerDeadline(): u64 {
  let earliest = NEVER;
  for (let id: u32 = 0; id < count; id += 1) {
    const deadline = load<u64>(table + <usize>id * 16, 8);
    if (deadline < earliest) earliest = deadline;
  }
  return earliest;
}

/** Id of a timer whose deadline has come, earliest first, lowest id first; -1 when none has. */
export function timerDue(now: u64): i32 {
  let due = -1;
  let earliest = NEVER;
  for (let id: u32 = 0; id < count; id += 1) {
    const deadline = load<u64>(table + <usize>id * 16, 8);
    if (deadline <= now && deadline < earliest) {
      earliest = deadline;
      due = <i32>id;
    }
  }
  return due;
}

/** Takes the deadline of a due timer and sets its next. */
export function timerTake(id: i32, now: u64): u64 {
  const at = table + <usize>id * 16;
  const period = load<u64>(at);
  const deadline = load<u64>(at, 8);
  const next = deadline + period;
  store<u64>(at, next + period > now ? next : now + period, 8);
  return deadline;
}
