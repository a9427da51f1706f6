/**
 * Token bucket: lets `limit` tokens through each `periodUs`, and saved-up bursts of at most `burst`.
 *
 * The usual form divides elapsed time by the time of a token. Here the level is kept in units of which a token is
 * `periodUs` and a microsecond brings `limit`: refilling is one multiplication, taking is one, nothing is rounded, and no
 * rate drifts however long it runs. A bucket idle for longer than `fullUs` (divided once, at init) is simply full, which
 * also keeps the product within 64 bits.
 *
 *   +0 level u64   +8 lastUs u64   +16 capacity u64   +24 fullUs u64   +32 limit u32   +36 periodUs u32
 */
import { ARGUMENT, RATE_LIMITED } from "../errors/codes.generated";

export const BUCKET_BYTES: usize = 40;

const LEVEL: usize = 0;
const LAST_US: usize = 8;
const CAPACITY: usize = 16;
const FULL_US: usize = 24;
const LIMIT: usize = 32;
const PERIOD_US: usize = 36;

/** A full bucket. 0, or -ARGUMENT when a number is 0. */
export function bucketInit(at: usize, limit: u32, periodUs: u32, burst: u32, nowUs: u64): i32 {
  if (limit == 0 || periodUs == 0 || burst == 0) return -ARGUMENT;
  const capacity = <u64>burst * <u64>periodUs;
  store<u64>(at, capacity, LEVEL);
  store<u64>(at, nowUs, LAST_US);
  store<u64>(at, capacity, CAPACITY);
  store<u64>(at, capacity / <u64>limit + 1, FULL_US);
  store<u32>(at, limit, LIMIT);
  store<u32>(at, periodUs, PERIOD_US);
  return 0;
}

/** Takes `tokens` at once. 0, -RATE_LIMITED (nothing is taken), or -ARGUMENT when the bucket can never hold so many. */
export function bucketTake(at: usize, tokens: u32, nowUs: u64): i32 {
  const cost = costOf(at, tokens);
  if (cost > load<u64>(at, CAPACITY)) return -ARGUMENT;
  const level = levelAt(at, nowUs);
  // A clock read earlier than the last one brings nothing and takes nothing back.
  if (nowUs > load<u64>(at, LAST_US)) store<u64>(at, nowUs, LAST_US);
  if (cost > level) {
    store<u64>(at, level, LEVEL);
    return -RATE_LIMITED;
  }
  store<u64>(at, level - cost, LEVEL);
  return 0;
}

/** Microseconds until `tokens` could be taken, 0 when now. Divides: for messages to people, not for decisions. */
export function bucketWaitUs(at: usize, tokens: u32, nowUs: u64): u64 {
  const cost = costOf(at, tokens);
  const level = levelAt(at, nowUs);
  if (cost <= level) return 0;
  return (cost - level - 1) / <u64>load<u32>(at, LIMIT) + 1;
}

/** Whole tokens in the bucket now. Divides. */
export function bucketTokens(at: usize, nowUs: u64): u32 {
  return <u32>(levelAt(at, nowUs) / <u64>load<u32>(at, PERIOD_US));
}

/** One token, the common case, needs no product of 64 bits, which costs a Cortex-M0+ a call. */
function costOf(at: usize, tokens: u32): u64 {
  const period = load<u32>(at, PERIOD_US);
  return tokens == 1 ? <u64>period : <u64>tokens * <u64>period;
}

function levelAt(at: usize, nowUs: u64): u64 {
  const last = load<u64>(at, LAST_US);
  const level = load<u64>(at, LEVEL);
  if (nowUs <= last) return level;
  const capacity = load<u64>(at, CAPACITY);
  const elapsed = nowUs - last;
  if (elapsed >= load<u64>(at, FULL_US)) return capacity;
  // elapsed * limit is at most the capacity here.
  const refill = elapsed * <u64>load<u32>(at, LIMIT);
  return refill >= capacity - level ? capacity : level + refill;
}
