/** How translated C is compiled, whatever for: what keeps WebAssembly's meaning, and the base's own sources that every port has. */
export const MEANING_FLAGS: readonly string[] = [
  "-std=gnu11",
  "-fno-strict-aliasing",
  "-fwrapv",
  // A constant or a product must not be computed otherwise than WebAssembly says.
  "-ffp-contract=off",
  "-fno-math-errno",
  // A recursion without end must end at the stack's limit, not become a loop.
  "-fno-optimize-sibling-calls",
  "-Wall",
  "-Wno-unused",
  // The translation holds accesses against the arena itself.
  "-Wno-array-bounds",
];

/** In firmware/port/common. */
export const COMMON_SOURCES: readonly string[] = ["base.c", "crc32.c", "journal.c"];
