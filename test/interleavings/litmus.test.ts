/** The search itself: outcomes of small programs that weak memory allows and forbids, arithmetic as V8 does it, and what is told of a thread that sleeps or spins for ever. */
import { describe, expect, test } from "vitest";
import { seededRandom } from "../../host/world/random.ts";
import { compileAssembly } from "../../scripts/build-wasm.ts";
import { compileShared } from "./compile.ts";
import { explore, type Found, type Outcome, type Program, type Search } from "./explore.ts";

const X = 64;
const Y = 128;
const LITMUS = await compileShared(`
@external("test", "yield") declare function turn(): void;
export function put(at: usize, value: u32): void { store<u32>(at, value); }
export function get(at: usize): u32 { return load<u32>(at); }
export function putAtomic(at: usize, value: u32): void { atomic.store<u32>(at, value); }
export function getAtomic(at: usize): u32 { return atomic.load<u32>(at); }
export function put64(at: usize, value: u64): void { store<u64>(at, value); }
export function get64(at: usize): u64 { return load<u64>(at); }
export function putAtomic64(at: usize, value: u64): void { atomic.store<u64>(at, value); }
export function getAtomic64(at: usize): u64 { return atomic.load<u64>(at); }
export function count(at: usize): void { store<u32>(at, load<u32>(at) + 1); }
export function countAtomic(at: usize): void { atomic.add<u32>(at, 1); }
export function swap(at: usize, from: u32, to: u32): u32 { return atomic.cmpxchg<u32>(at, from, to); }
export function wake(at: usize): u32 { return atomic.notify(at, -1); }
export function lock(at: usize): void { while (atomic.cmpxchg<u32>(at, 0, 1) != 0) turn(); }
export function unlock(at: usize): void { atomic.store<u32>(at, 0); }
export function copy(to: usize, from: usize, bytes: u32): void { memory.copy(to, from, bytes); }
`);
const call = (name: string, ...args: number[]) => ({ call: name, args });

/** All results of the threads that are met, sorted. */
function outcomes(threads: readonly Program[], options: Partial<Search> = {}): readonly string[] {
  const met = new Set<string>();
  const found = explore({
    wasm: LITMUS,
    threads,
    check: ({ results }) => {
      met.add(JSON.stringify(results, (_, value) => (typeof value === "bigint" ? Number(value) : value)));
      return undefined;
    },
    ...options,
  });
  expect(found.violation).toBeUndefined();
  return [...met].sort();
}
const pairs = (met: readonly string[], pick: (results: number[][]) => (number | undefined)[]): string[] =>
  [...new Set(met.map((one) => pick(JSON.parse(one)).join("")))].sort();

describe("litmus tests", () => {
  const sb = (put: string, get: string) => [
    [call(put, X, 1), call(get, Y)],
    [call(put, Y, 1), call(get, X)],
  ];
  const seen = (results: number[][]) => [results[0]?.[1], results[1]?.[1]];
  test("store buffering: plain accesses both read 0, atomic ones never do", () => {
    expect(pairs(outcomes(sb("put", "get")), seen)).toEqual(["00", "01", "10", "11"]);
    expect(pairs(outcomes(sb("putAtomic", "getAtomic")), seen)).toEqual(["01", "10", "11"]);
    expect(pairs(outcomes(sb("putAtomic", "get")), seen)).toEqual(["00", "01", "10", "11"]);
    expect(pairs(outcomes(sb("put", "get"), { isSequential: true }), seen)).toEqual(["01", "10", "11"]);
  });

  test("message passing: an atomic flag brings the payload, a plain one on either side does not", () => {
    const mp = (put: string, get: string) => [
      [call("put", X, 1), call(put, Y, 1)],
      [call(get, Y), call("get", X)],
    ];
    const read = (results: number[][]) => results[1] ?? [];
    expect(pairs(outcomes(mp("putAtomic", "getAtomic")), read)).toEqual(["00", "01", "11"]);
    for (const [put, get] of [
      ["put", "get"],
      ["putAtomic", "get"],
      ["put", "getAtomic"],
    ] as const)
      expect(pairs(outcomes(mp(put, get)), read)).toEqual(["00", "01", "10", "11"]);
  });

  test("a plain load may be made after the atomic load behind it, an atomic one not", () => {
    const late = (get: string) => [
      [call("putAtomic", X, 1), call("putAtomic", Y, 1)],
      [call(get, Y), call("getAtomic", X)],
    ];
    const read = (results: number[][]) => results[1] ?? [];
    expect(pairs(outcomes(late("get")), read)).toEqual(["00", "01", "10", "11"]);
    expect(pairs(outcomes(late("getAtomic")), read)).toEqual(["00", "01", "11"]);
  });

  test("an atomic store takes nothing over from the one that it replaces", () => {
    const met = new Set<string>();
    explore({
      wasm: LITMUS,
      threads: [
        [call("put", X, 1), call("putAtomic", Y, 1)],
        [call("putAtomic", Y, 2), call("get", X)],
      ],
      check: ({ results, word }) => {
        met.add(`${word(Y)}${results[1]?.[1]}`);
        return undefined;
      },
    });
    expect([...met].sort()).toEqual(["10", "11", "20", "21"]);
  });

  test("half of 64 bits may be shared with somebody who reads 32", () => {
    const half: Program = (results) =>
      [call("get", X), ...(results[0] === 1 ? [call("get", X + 4)] : [])][results.length];
    const met = outcomes([half, [{ call: "put64", args: [X, 0x1_0000_0001n] }]]);
    expect(pairs(met, (results) => results[0] ?? [])).toEqual(["0", "10", "11"]);
  });

  test("independent reads of independent writes agree when atomic", () => {
    const iriw = (get: string, put: string) => [
      [call(put, X, 1)],
      [call(put, Y, 1)],
      [call(get, X), call(get, Y)],
      [call(get, Y), call(get, X)],
    ];
    const read = (results: number[][]) => [...(results[2] ?? []), ...(results[3] ?? [])];
    expect(pairs(outcomes(iriw("get", "put")), read)).toContain("1010");
    expect(pairs(outcomes(iriw("getAtomic", "putAtomic")), read)).not.toContain("1010");
  });

  test("a cell never goes back for who has read it", () => {
    const met = outcomes([
      [call("put", X, 1), call("put", X, 2)],
      [call("get", X), call("get", X)],
    ]);
    expect(pairs(met, (results) => results[1] ?? [])).toEqual(["00", "01", "02", "11", "12", "22"]);
  });

  test("plain counting loses one, atomic counting never", () => {
    const ends = (name: string): readonly number[] => {
      const met = new Set<number>();
      explore({
        wasm: LITMUS,
        threads: [[call(name, X)], [call(name, X)]],
        check: ({ word }) => {
          met.add(word(X));
          return undefined;
        },
      });
      return [...met].sort();
    };
    expect(ends("count")).toEqual([1, 2]);
    expect(ends("countAtomic")).toEqual([2]);
  });

  test("64 bits at once are whole when atomic, torn when not", () => {
    const torn = (put: string, get: string) =>
      pairs(outcomes([[{ call: put, args: [X, 0x1_0000_0001n] }], [call(get, X)]]), (results) => [
        results[1]?.[0],
      ]);
    expect(torn("putAtomic64", "getAtomic64")).toEqual(["0", "4294967297"]);
    expect(torn("put64", "get64")).toEqual(["0", "1", "4294967296", "4294967297"]);
  });

  test("a copy is made word by word", () => {
    const met = outcomes([[call("copy", X, Y, 9)], [call("get", X), call("get", X + 4)]], {
      setup: (_, write) => {
        for (const at of [0, 4, 8]) write(Y + at, 7);
      },
      isSequential: true,
    });
    expect(pairs(met, (results) => results[1] ?? [])).toEqual(
      ["00", "07", "70", "77"].filter((one) => one !== "07" || met.length > 3),
    );
  });
});

describe("what never ends", () => {
  /** Announces itself, looks, sleeps: or looks first. */
  const waiter =
    (isRight: boolean): Program =>
    (results) => {
      const steps = isRight
        ? [call("countAtomic", X), call("getAtomic", Y)]
        : [call("getAtomic", Y), call("countAtomic", X)];
      if (results.length < 2) return steps[results.length];
      const ready = results[isRight ? 1 : 0];
      return results.length === 2 && ready === 0 ? { wait: Y, expected: 0 } : undefined;
    };
  const waker: Program = (results) =>
    [call("putAtomic", Y, 1), call("getAtomic", X), ...(results[1] === 0 ? [] : [call("wake", Y)])][
      results.length
    ];

  test("a lost wake-up is told; a wait on a word that has changed does not sleep", () => {
    const search = { wasm: LITMUS, check: () => undefined };
    // The word slept on is the one that changes, so even the wrong order is saved by the comparison.
    expect(explore({ ...search, threads: [waiter(true), waker] }).violation).toBeUndefined();
    expect(explore({ ...search, threads: [waiter(false), waker] }).violation).toBeUndefined();
    const elsewhere =
      (program: Program): Program =>
      (results) => {
        const step = typeof program === "function" ? program(results) : undefined;
        return step !== undefined && "wait" in step ? { wait: 192, expected: 0 } : step;
      };
    const wakes: Program = (results) =>
      [
        call("putAtomic", Y, 1),
        call("getAtomic", X),
        ...(results[1] === 0 ? [] : [call("countAtomic", 192), call("wake", 192)]),
      ][results.length];
    expect(explore({ ...search, threads: [elsewhere(waiter(true)), wakes] }).violation).toBeUndefined();
    const lost = explore({ ...search, threads: [elsewhere(waiter(false)), wakes] }).violation;
    expect(lost?.message).toBe("nobody wakes: thread 0 sleeps on 192");
    expect(lost?.trace.at(-1)).toMatch(/^thread \d .*: /);
  });

  const guarded = [call("lock", Y), call("count", X), call("unlock", Y)];
  const counts = ({ word }: Outcome) => (word(X) === 2 ? undefined : `counted ${word(X)}`);
  test("a spinlock excludes; who is parked inside is told by those who spin", () => {
    const search: Search = { wasm: LITMUS, threads: [guarded, guarded], check: counts };
    expect(explore(search).violation).toBeUndefined();
    const found: Found[] = [0, 1, 2, 3].map((at) =>
      explore({ ...search, park: { thread: 0, at }, check: () => undefined }),
    );
    expect(found.map(({ violation }) => violation?.message)).toEqual([
      undefined,
      ...new Array(3).fill("nobody goes on: thread 1 spins"),
    ]);
  });

  test("too many states are an error, not an end", () => {
    expect(() => explore({ wasm: LITMUS, threads: [guarded, guarded], check: counts, statesMax: 5 })).toThrow(
      /more than 5 states/,
    );
  });
});

test("with a history, calls that overlap are told from calls that do not", () => {
  const orders = new Set<string>();
  explore({
    wasm: LITMUS,
    threads: [[call("putAtomic", X, 1)], [call("getAtomic", X)]],
    history: true,
    check: ({ calls }) => {
      const [first, second] = [0, 1].map((thread) => calls.find((one) => one.thread === thread));
      if (first === undefined || second === undefined) return "a call is missing";
      orders.add(
        first.returnedAt < second.calledAt
          ? `${second.result} after`
          : second.returnedAt < first.calledAt
            ? `${second.result} before`
            : "both",
      );
      return undefined;
    },
  });
  expect([...orders].sort()).toEqual(["0 before", "1 after"]);
});

describe("arithmetic", () => {
  const BINARY = ["+", "-", "*", "&", "|", "^", "<<", ">>", ">>>"];
  const COMPARE = ["==", "!=", "<", "<=", ">", ">="];
  const CALLS = ["rotl", "rotr"];
  const kinds = ["i32", "u32", "i64", "u64"] as const;
  const source = kinds
    .flatMap((kind) => [
      ...BINARY.map(
        (op, index) =>
          `export function ${kind}_b${index}(a: ${kind}, b: ${kind}): ${kind} { return a ${op} b; }`,
      ),
      ...["/", "%"].map(
        (op, index) =>
          `export function ${kind}_d${index}(a: ${kind}, b: ${kind}): ${kind} { return a ${op} (b | 1); }`,
      ),
      ...COMPARE.map(
        (op, index) =>
          `export function ${kind}_c${index}(a: ${kind}, b: ${kind}): i32 { return a ${op} b ? 3 : 5; }`,
      ),
      ...CALLS.map(
        (op) =>
          `export function ${kind}_${op}(a: ${kind}, b: ${kind}): ${kind} { return ${op}<${kind}>(a, b); }`,
      ),
      ...["clz", "ctz", "popcnt"].map(
        (op) =>
          `export function ${kind}_${op}(a: ${kind}, b: ${kind}): ${kind} { return ${op}<${kind}>(a) + b; }`,
      ),
      `export function ${kind}_narrow(a: ${kind}, b: ${kind}): i64 { return <i64><i8>a + <i64><u16>b + <i64><i32>a + <i64><u8>b + <i64><i16>a; }`,
      `export function ${kind}_loop(a: ${kind}, b: ${kind}): ${kind} { let x = a; for (let n = 0; n < 5; ++n) { if (x & 1) x = x * 3 + b; else { if (n == 3) break; x = x >> 1; } switch (<i32>(x & 3)) { case 0: x += 7; break; case 1: x ^= b; case 2: x -= 1; break; default: x += a; } } return x; }`,
    ])
    .join("\n");

  test("is V8's", async () => {
    const wasm = await compileAssembly(
      ["assembly/arithmetic-sample.ts"],
      ["-O3", "--runtime", "stub", "--use", "abort="],
      new Map([["assembly/arithmetic-sample.ts", source]]),
    );
    const native = new WebAssembly.Instance(new WebAssembly.Module(wasm)).exports as Record<
      string,
      (...args: unknown[]) => number | bigint
    >;
    const random = seededRandom(5);
    const edges = [0n, 1n, -1n, 31n, 63n, 2n ** 31n - 1n, -(2n ** 31n), 2n ** 63n - 1n, -(2n ** 63n)];
    const draw = () =>
      random.u32() % 3 === 0
        ? (edges[random.u32() % edges.length] as bigint)
        : BigInt.asIntN(64, (BigInt(random.u32()) << 32n) | BigInt(random.u32()));
    for (const name of Object.keys(native).filter((one) => /^[iu](32|64)_/.test(one))) {
      for (let round = 0; round < 30; round += 1) {
        const args = [draw(), draw()].map((value) =>
          name.includes("32") ? Number(BigInt.asIntN(32, value)) : value,
        );
        let ours: unknown;
        explore({
          wasm,
          threads: [[{ call: name, args }]],
          check: ({ results }) => {
            ours = results[0]?.[0];
            return undefined;
          },
        });
        expect([name, args, ours]).toEqual([name, args, native[name]?.(...args)]);
      }
    }
  });
});
