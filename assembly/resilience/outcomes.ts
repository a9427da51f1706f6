/**
 * How the last calls ended: how many there were, how many failed, how many were slow. "Last" by count (the last N calls, two bits each) or by
 * time (slots of equal length in a circle; the oldest leaves whole, so that a span of ten slots looks back nine to ten of them).
 * Totals are kept, so asking costs no loop.
 *
 *   +0 kind u16 (1 count, 2 time)   +2 size u16 (calls, or slots)   +4 calls u32   +8 failures u32   +12 slow u32
 *   +16 at u32 (next call, or slot now)
 *   count   +20 unused    +24 a bit a call, 1 for failure, words of 32; then as many for slow
 *   time    +20 slotUs u32   +24 slotStartUs u64   +32 a slot: calls u32, failures u32, slow u32
 */
import { ARGUMENT } from "../errors/codes.generated";

/** By count; by time in slots. */
export const OUTCOMES_CALLS_MAX: u32 = 256;
export const OUTCOMES_SLOTS_MAX: u32 = 16;
/** Room for any kind and size. */
export const OUTCOMES_BYTES_MAX: usize = 32 + 16 * 12;

const BY_COUNT: u32 = 1;
const BY_TIME: u32 = 2;
const SIZE: usize = 2;
const CALLS: usize = 4;
const FAILURES: usize = 8;
const SLOW: usize = 12;
const AT: usize = 16;
const SLOT_US: usize = 20;
const BITS: usize = 24;
const SLOT_START_US: usize = 24;
const SLOTS: usize = 32;
const SLOT_BYTES: usize = 12;

export function outcomesBytesByCount(calls: u32): usize {
  return BITS + (bitWords(calls) << 3);
}
export function outcomesBytesByTime(slots: u32): usize {
  return (SLOTS + <usize>slots * SLOT_BYTES + 7) & ~7;
}

/** The last `calls` calls, 1 to 256. 0 or -ARGUMENT. */
export function outcomesByCount(at: usize, calls: u32): i32 {
  if (calls == 0 || calls > OUTCOMES_CALLS_MAX) return -ARGUMENT;
  store<u16>(at, <u16>BY_COUNT);
  store<u16>(at, <u16>calls, SIZE);
  outcomesReset(at, 0);
  return 0;
}

/** The last `spanUs` (at least a microsecond a slot) in `slots` slots, 2 to 16. 0 or -ARGUMENT. */
export function outcomesByTime(at: usize, spanUs: u32, slots: u32, nowUs: u64): i32 {
  if (slots < 2 || slots > OUTCOMES_SLOTS_MAX || spanUs < slots) return -ARGUMENT;
  store<u16>(at, <u16>BY_TIME);
  store<u16>(at, <u16>slots, SIZE);
  store<u32>(at, spanUs / slots, SLOT_US);
  outcomesReset(at, nowUs);
  return 0;
}

export function outcomesReset(at: usize, nowUs: u64): void {
  store<u32>(at, 0, CALLS);
  store<u32>(at, 0, FAILURES);
  store<u32>(at, 0, SLOW);
  store<u32>(at, 0, AT);
  if (load<u16>(at) == BY_TIME) {
    store<u64>(at, nowUs, SLOT_START_US);
    clearSlots(at);
  }
}

/** Takes in a call that ended. */
export function outcomesRecord(at: usize, failed: bool, slow: bool, nowUs: u64): void {
  if (load<u16>(at) == BY_COUNT) recordCall(at, failed, slow);
  else outcomesAdd(at, 1, failed ? 1 : 0, slow ? 1 : 0, nowUs);
}

/** By time only: adds to what there is in the slot of now. A slot cannot overflow before its calls number four thousand million. */
export function outcomesAdd(at: usize, calls: u32, failures: u32, slow: u32, nowUs: u64): void {
  outcomesRoll(at, nowUs);
  const slot = at + SLOTS + <usize>load<u32>(at, AT) * SLOT_BYTES;
  store<u32>(slot, load<u32>(slot) + calls);
  store<u32>(slot, load<u32>(slot, 4) + failures, 4);
  store<u32>(slot, load<u32>(slot, 8) + slow, 8);
  store<u32>(at, load<u32>(at, CALLS) + calls, CALLS);
  store<u32>(at, load<u32>(at, FAILURES) + failures, FAILURES);
  store<u32>(at, load<u32>(at, SLOW) + slow, SLOW);
}

/** By time: drops what is too old now. A time before the current slot changes nothing. */
export function outcomesRoll(at: usize, nowUs: u64): void {
  if (load<u16>(at) != BY_TIME) return;
  const slotUs = <u64>load<u32>(at, SLOT_US);
  let start = load<u64>(at, SLOT_START_US);
  if (nowUs < start + slotUs) return;
  const slots = <u32>load<u16>(at, SIZE);
  if (nowUs - start >= slotUs * <u64>slots) {
    outcomesReset(at, nowUs);
    return;
  }
  let index = load<u32>(at, AT);
  while (nowUs >= start + slotUs) {
    start += slotUs;
    index = index + 1 == slots ? 0 : index + 1;
    const slot = at + SLOTS + <usize>index * SLOT_BYTES;
    store<u32>(at, load<u32>(at, CALLS) - load<u32>(slot), CALLS);
    store<u32>(at, load<u32>(at, FAILURES) - load<u32>(slot, 4), FAILURES);
    store<u32>(at, load<u32>(at, SLOW) - load<u32>(slot, 8), SLOW);
    store<u32>(slot, 0);
    store<u32>(slot, 0, 4);
    store<u32>(slot, 0, 8);
  }
  store<u32>(at, index, AT);
  store<u64>(at, start, SLOT_START_US);
}

export function outcomesCalls(at: usize): u32 {
  return load<u32>(at, CALLS);
}
export function outcomesFailures(at: usize): u32 {
  return load<u32>(at, FAILURES);
}
export function outcomesSlow(at: usize): u32 {
  return load<u32>(at, SLOW);
}

function bitWords(calls: u32): usize {
  return <usize>((calls + 31) >> 5);
}

function recordCall(at: usize, failed: bool, slow: bool): void {
  const size = <u32>load<u16>(at, SIZE);
  const index = load<u32>(at, AT);
  const isFull = load<u32>(at, CALLS) == size;
  if (!isFull) store<u32>(at, load<u32>(at, CALLS) + 1, CALLS);
  const failureWord = at + BITS + <usize>((index >> 5) << 2);
  const slowWord = failureWord + (bitWords(size) << 2);
  setBit(failureWord, index & 31, failed, isFull, at, FAILURES);
  setBit(slowWord, index & 31, slow, isFull, at, SLOW);
  store<u32>(at, index + 1 == size ? 0 : index + 1, AT);
}

/** Puts a call's bit where the oldest call's stands, which leaves the total. */
function setBit(word: usize, position: u32, value: bool, isFull: bool, at: usize, total: usize): void {
  const bit: u32 = 1 << position;
  const before = load<u32>(word);
  let count = load<u32>(at + total);
  if (isFull && (before & bit) != 0) --count;
  if (value) ++count;
  store<u32>(at + total, count);
  store<u32>(word, value ? before | bit : before & ~bit);
}

function clearSlots(at: usize): void {
  const bytes = <usize>load<u16>(at, SIZE) * SLOT_BYTES;
  for (let offset: usize = 0; offset < bytes; offset += 4) store<u32>(at + SLOTS + offset, 0);
}
