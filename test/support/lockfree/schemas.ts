/** Records of the tests of tardigrade/lockfree. */
export const PAIR = { id: "f64", check: "u32" } as const;
export const WIDE = { a: "f64", b: "u32", c: "f64", d: "u32" } as const;
