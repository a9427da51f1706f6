/**
 * Whether the ends of a structure are taken, and still there: a word of flags, whose meaning is the host's (host/concurrency/ends.ts). An end closes when it is done, and is called gone when its thread ended
 * without saying so; then another thread may take it over.
 */

/** The flags that were set before. */
export function endsSet(at: usize, flags: u32): u32 {
  return atomic.or<u32>(at, flags);
}

export function endsOf(at: usize): u32 {
  return atomic.load<u32>(at);
}
