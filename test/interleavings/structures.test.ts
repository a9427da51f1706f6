/**
 * The shipped structures, compiled as they are shipped: small uses in every interleaving and with every value that weak memory allows a load to read; each thread parked for ever before each of its accesses; and bugs
 * planted in their sources, each of which must be found.
 */
import { describe, expect, test } from "vitest";
import { CASES, type Case } from "./cases.ts";
import { compileShared } from "./compile.ts";
import { explore } from "./explore.ts";
import { HARNESS } from "./harness.ts";
import { hunt, PLANTED } from "./planted.ts";

const LONG_MS = 600_000;
const DEEP = process.env.TARDIGRADE_DEEP === "1";
const wasm = await compileShared(HARNESS);
const named = (one: Case) => `${one.structure}: ${one.name}`;

describe("every interleaving", () => {
  test.each(CASES.map((one) => [named(one), one] as const))("%s", (_, { search }) => {
    const { violation, states, ends } = explore({ ...search, wasm });
    expect(violation).toBeUndefined();
    expect(states).toBeGreaterThan(50);
    expect(ends).toBeGreaterThan(1);
  });
});

describe("a thread parked for ever before any of its accesses: the others end, and what they were told holds", () => {
  // Of the sleeper below.
  const others = CASES.filter(({ structure }) => structure !== "event");
  test.each(others.map((one) => [named(one), one] as const))(
    "%s",
    (_, { search, whenParked }) => {
      const { accesses } = explore({ ...search, wasm });
      const check = whenParked ?? (search.history ? search.check : () => undefined);
      const violations: string[] = [];
      accesses.forEach((count, thread) => {
        // The long ones of growth: a fifth of them, unless there is time.
        const stride = count > 40 && !DEEP ? 5 : 1;
        for (let at = 0; at < count; at += stride) {
          const { violation } = explore({ ...search, wasm, check, park: { thread, at } });
          if (violation !== undefined) violations.push(`thread ${thread} at ${at}: ${violation.message}`);
        }
      });
      expect(violations).toEqual([]);
    },
    LONG_MS,
  );

  test("a sleeper beside a producer that stopped sleeps on: closing and abandoning are what wakes it", () => {
    const sleeper = CASES.find(({ structure }) => structure === "event") as Case;
    const { violation } = explore({ ...sleeper.search, wasm, park: { thread: 0, at: 0 } });
    expect(violation?.message).toMatch(/^nobody wakes: thread 1 sleeps/);
  });
});

describe("planted bugs", () => {
  test.each(PLANTED.map((bug) => [`${bug.structure}: ${bug.name}`, bug] as const))("%s", async (_, bug) => {
    const { violation } = await hunt(bug);
    expect(violation).toBeDefined();
    expect(violation?.trace.length).toBeGreaterThan(2);
  });
});
