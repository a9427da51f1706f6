import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  hybridClock,
  lamportClock,
  nodeId,
  stampMs,
  type VectorEntry,
  type Versioned,
  vectorClock,
  versioned,
} from "../../../host/exports/clock.ts";

const code = (name: string) => expect.objectContaining({ code: name });

test("a Lamport clock is above what it has heard of, and begins after what was kept", () => {
  using clock = lamportClock({ last: 41n });
  expect(clock.tick()).toBe(42n);
  clock.receive(100n);
  clock.receive(7n);
  expect([clock.tick(), clock.last()]).toEqual([101n, 101n]);
  expect(() => clock.receive(101n + 2n ** 40n + 1n)).toThrow(code("CLOCK_DRIFT"));
  expect(clock.last()).toBe(101n);
  for (const bad of [-1n, 2n ** 64n]) {
    expect(() => clock.receive(bad)).toThrow(code("ARGUMENT"));
    expect(() => lamportClock({ last: bad })).toThrow(code("ARGUMENT"));
  }
  using ended = lamportClock({ last: 2n ** 64n - 1n });
  expect(() => ended.tick()).toThrow(code("CLOCK_DRIFT"));
});

test("a hybrid clock follows the machine's, or the one that is given", () => {
  using machine = hybridClock();
  const [first, second] = [machine.tick(), machine.tick()];
  expect(second).toBeGreaterThan(first);
  expect(stampMs(first)).toBeGreaterThan(Date.UTC(2025, 0, 1));
  using given = hybridClock({ clock: { wallMs: () => 5000 }, driftMsMax: 10 });
  expect(stampMs(given.tick())).toBe(5000);
  expect(() => given.receive(6000n << 16n)).toThrow(code("CLOCK_DRIFT"));
});

describe("vector clocks", () => {
  test("tell before, after and concurrent apart, and travel as entries", () => {
    const [a, b] = [nodeId("gateway-a"), nodeId("gateway-b")];
    using mine = vectorClock();
    using theirs = vectorClock();
    expect(mine.compare(theirs)).toBe("equal");
    mine.tick(a);
    expect([mine.compare(theirs), theirs.compare(mine)]).toEqual(["after", "before"]);
    theirs.tick(b);
    expect(mine.compare(theirs)).toBe("concurrent");
    mine.merge(theirs);
    expect(mine.compare(theirs)).toBe("after");
    using copy = vectorClock({ entries: mine.entries() });
    expect(copy.compare(mine)).toBe("equal");
    expect([copy.get(a), copy.get(b), copy.get(5n)]).toEqual([1n, 1n, 0n]);
    expect(copy.entries().map(([node]) => node)).toEqual([a, b].sort((x, y) => (x < y ? -1 : 1)));
  });

  test("are bounded, prune what is old, and refuse what is out of range", () => {
    using clock = vectorClock({ capacity: 2 });
    clock.tick(1n, 1000);
    clock.tick(2n, 2000);
    expect(() => clock.tick(3n)).toThrow(code("POOL_FULL"));
    using wide = vectorClock({
      entries: [
        [8n, 1n],
        [9n, 4n],
      ],
    });
    expect(() => clock.merge(wide)).toThrow(code("POOL_FULL"));
    expect(clock.entries()).toEqual([
      [1n, 1n],
      [2n, 1n],
    ]);
    expect(clock.prune({ keep: 0, beforeMs: 1500 })).toBe(1);
    expect(clock.entries()).toEqual([[2n, 1n]]);
    for (const node of [0n, -1n, 2n ** 64n]) expect(() => clock.tick(node)).toThrow(code("ARGUMENT"));
    for (const ms of [-1, Number.NaN]) expect(() => clock.tick(1n, ms)).toThrow(code("ARGUMENT"));
    for (const capacity of [0, 4097, 1.5]) expect(() => vectorClock({ capacity })).toThrow(code("ARGUMENT"));
    expect(() => vectorClock({ entries: [[1n, -1n]] })).toThrow(code("ARGUMENT"));
    expect(() =>
      vectorClock({
        capacity: 1,
        entries: [
          [1n, 1n],
          [2n, 1n],
        ],
      }),
    ).toThrow(code("POOL_FULL"));
    expect(() => clock.prune({ keep: -1, beforeMs: 0 })).toThrow(code("ARGUMENT"));
    expect(() => clock.compare({} as typeof clock)).toThrow(code("ARGUMENT"));
    expect(() => nodeId("")).toThrow(code("ARGUMENT"));
    expect(nodeId("x")).toBe(nodeId("x"));
  });
});

describe("a versioned value", () => {
  test("keeps both of two writes that did not know of each other, until somebody who saw both decides", () => {
    const [a, b] = [1n, 2n];
    using here = versioned<string>();
    using there = versioned<string>();
    here.write("21 Cel", { node: a });
    there.sync(here);
    here.write("22 Cel", { node: a });
    there.write("19 Cel", { node: b });
    here.sync(there);
    there.sync(here);
    expect(new Set(here.values)).toEqual(new Set(["22 Cel", "19 Cel"]));
    expect(new Set(there.values)).toEqual(new Set(here.values));
    const { context } = there;
    there.write("20 Cel", { node: b, context });
    here.sync(there);
    expect([here.values, there.values]).toEqual([["20 Cel"], ["20 Cel"]]);
  });

  test("whoever wrote with an old context replaces only what he had seen", () => {
    using value = versioned<string>();
    value.write("first", { node: 1n });
    const { context } = value;
    value.write("second", { node: 1n, context });
    value.write("third", { node: 1n, context });
    expect(value.values).toEqual(["second", "third"]);
    value.write("undefined is a value too", { node: 1n });
    using other = versioned<string | undefined>();
    other.write(undefined, { node: 1n });
    expect(other.values).toEqual([undefined]);
  });

  test("over random writes and syncs no replica shows what was replaced, and all agree in the end", () => {
    const step = fc.record({ at: fc.nat(2), from: fc.nat(2), isWrite: fc.boolean(), isBlind: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const replicas = [1n, 2n, 3n].map((node) => ({ node, value: versioned<number>() }));
        // Of each write all writes that its writer had seen.
        const replaced: Set<number>[] = [];
        const known = replicas.map(() => new Set<number>());
        for (const { at, from, isWrite, isBlind } of steps) {
          const { node, value } = replicas[at] as { node: bigint; value: Versioned<number> };
          const mine = known[at] as Set<number>;
          if (isWrite) {
            const id = replaced.length;
            value.write(id, isBlind ? { node, context: [] as VectorEntry[] } : { node });
            replaced.push(isBlind ? new Set() : new Set(mine));
            mine.add(id);
          } else if (at !== from) {
            value.sync(replicas[from]?.value as Versioned<number>);
            for (const id of known[from] as Set<number>) mine.add(id);
          }
          const shown = [...mine].filter((id) => ![...mine].some((other) => replaced[other]?.has(id)));
          expect([...value.values].sort((x, y) => x - y)).toEqual(shown.sort((x, y) => x - y));
        }
        for (const { value } of replicas) value[Symbol.dispose]();
      }),
      { numRuns: 300 },
    );
  });

  test("is bounded, and refuses what is out of range", () => {
    using value = versioned<number>({ siblings: 2, nodes: 2 });
    for (const it of [1, 2]) value.write(it, { node: 1n, context: [] });
    expect(() => value.write(3, { node: 1n, context: [] })).toThrow(code("POOL_FULL"));
    expect(value.values).toEqual([1, 2]);
    value.write(4, { node: 1n });
    expect(value.values).toEqual([4]);
    for (const siblings of [0, 1025, 1.5]) expect(() => versioned({ siblings })).toThrow(code("ARGUMENT"));
    expect(() => versioned({ nodes: 0 })).toThrow(code("ARGUMENT"));
    expect(() => value.write(5, { node: 0n })).toThrow(code("ARGUMENT"));
    expect(() => value.sync({} as typeof value)).toThrow(code("ARGUMENT"));
    value[Symbol.dispose]();
    expect(() => value.write(6, { node: 1n })).toThrow(/disposed/);
  });
});
