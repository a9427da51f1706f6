/**
 * Whether the ends of a structure are taken, and still there: a word of flags. An end closes when it is done, and is called gone when its thread ended without saying so; then another thread may
 * take it over.
 */
export const PRODUCER_CLOSED: u32 = 1;
export const CONSUMER_CLOSED: u32 = 2;
/** Its thread ended in the middle of something, perhaps. */
export const PRODUCER_GONE: u32 = 4;
export const CONSUMER_GONE: u32 = 8;

/** A thread has the end: there is one producer, one consumer. */
export const PRODUCER_TAKEN: u32 = 16;
export const CONSUMER_TAKEN: u32 = 32;

/** The flags that were set before. */
export function endsSet(at: usize, flags: u32): u32 {
  return atomic.or<u32>(at, flags);
}

export function endsOf(at: usize): u32 {
  return atomic.load<u32>(at);
}

/** Takes flags away. The flags that were set before. */
export function endsClear(at: usize, flags: u32): u32 {
  return atomic.and<u32>(at, ~flags);
}
