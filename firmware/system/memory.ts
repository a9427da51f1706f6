/**
 * The system's memory: everything has a fixed place, nothing allocates.
 *
 *   0 ............ data and globals of the compiler
 *   arena          scratch buffers and tables, handed out once at start by `reserve`
 *   RETAINED_BASE  what survives a warm reset: outbox header, twice, and its ring (outbox.ts draws it)
 *   RETAINED_END
 *
 * The retained region lies at a fixed address above everything the start-up code initialises; a board keeps those bytes
 * over a warm reset (the virtual board copies them, a processor's start-up leaves them alone).
 */
export const RETAINED_BASE: usize = 0x5000;
export const RETAINED_BYTES: usize = 0x2000;
export const RETAINED_END: usize = RETAINED_BASE + RETAINED_BYTES;

let next: usize = 0;

/** Hands out a zeroed, 8-byte aligned piece of the arena at start; traps when the arena is too small, which a build shows. */
export function reserve(bytes: usize): usize {
  if (next == 0) next = (__heap_base + 15) & ~15;
  const at = next;
  next = (next + bytes + 7) & ~7;
  if (next > RETAINED_BASE) unreachable();
  return at;
}
