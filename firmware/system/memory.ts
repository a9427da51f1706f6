/**
 * The system's memory: everything has a fixed place, nothing allocates.
 *
 *   0 ............ data and globals of the compiler
 *   arena          scratch buffers and tables, handed out once at start by `reserve`
 *   RETAINED_BASE  what survives a warm reset: outbox header, twice, the open batch, the error monitor, the outbox's ring
 *                  (outbox.ts draws them)
 *   + retainedBytes(), which is the board's to say: the more, the longer an outage the outbox covers
 *
 * The retained region lies at a fixed address above everything the start-up code initialises; a board keeps those bytes
 * over a warm reset (the virtual board copies them, a processor's start-up leaves them alone).
 */
import { hal_retained_bytes } from "./hal";

export const RETAINED_BASE: usize = 0x2b40;
/** Two headers and a ring that holds a few messages of the greatest length. */
const RETAINED_MIN: u32 = 0x1000;
const RETAINED_MAX: u32 = 0xc000;

let next: usize = 0;
let retained: u32 = 0;

/** Bytes from RETAINED_BASE on that the board gives; traps when it gives too few. */
export function retainedBytes(): u32 {
  if (retained == 0) {
    retained = hal_retained_bytes() & ~7;
    if (retained < RETAINED_MIN || retained > RETAINED_MAX) unreachable();
  }
  return retained;
}

/** Hands out a zeroed, 8-byte aligned piece of the arena at start; traps when the arena is too small, which a build shows. */
export function reserve(bytes: usize): usize {
  if (next == 0) next = (__heap_base + 15) & ~15;
  const at = next;
  next = (next + bytes + 7) & ~7;
  if (next > RETAINED_BASE) unreachable();
  return at;
}
