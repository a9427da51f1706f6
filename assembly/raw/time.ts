/**
 * Times as JavaScript has them (f64 milliseconds), into and out of the core's u64 microseconds. What is no time (NaN, negative, infinite, beyond
 * 285 years) is refused by the raw plane with -ARGUMENT: a conversion to u64 would trap on it, or mean something else. A time earlier than the
 * last one is no mistake, since callers read clocks in turns: each machine says what it makes of it, and none gives back what it had taken.
 */

const US_PER_MS: f64 = 1000.0;
const MS_MAX: f64 = 9.0e12;

export function isTime(ms: f64): bool {
  return ms >= 0 && ms <= MS_MAX;
}

/** How long something lasts; what is beyond 285 years lasts for ever. */
export function isSpan(ms: f64): bool {
  return ms >= 0;
}

export function spanMicroseconds(ms: f64): u64 {
  return ms <= MS_MAX ? microseconds(ms) : u64.MAX_VALUE;
}

/** A span as the core's 32 bits have it: what is beyond 71 minutes is 71 minutes, and what is above 0 at least a microsecond. */
export function u32Microseconds(ms: f64): u32 {
  const us = ms * US_PER_MS;
  if (us >= <f64>u32.MAX_VALUE) return u32.MAX_VALUE;
  return us > 0 && us < 1 ? 1 : <u32>(us + 0.5);
}

/** Of a time. */
export function microseconds(ms: f64): u64 {
  // Times are below 2^63: converted as signed, which processors do in one step.
  return <u64>(<i64>(ms * US_PER_MS + 0.5));
}

export function milliseconds(us: u64): f64 {
  return <f64>us / US_PER_MS;
}

/** Of a wall clock, in whole milliseconds. One that gives no time lies at the origin: logical stamps go on, and follow none but themselves. */
export function wallMilliseconds(ms: f64): u64 {
  return ms > 0 ? <u64>min<f64>(ms, MS_MAX * US_PER_MS) : 0;
}
