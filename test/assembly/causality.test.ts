/** Logical clocks beside what really caused what: every event's whole history as a set. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ERRORS } from "../../protocols/table.ts";
import { openTestCore } from "../support/core.ts";

const core = openTestCore();
const { raw } = core;
const ARGUMENT = -ERRORS.ARGUMENT.number;
const FULL = -ERRORS.POOL_FULL.number;
const DRIFT = -ERRORS.CLOCK_DRIFT.number;
const [EQUAL, BEFORE, AFTER, CONCURRENT] = [0, 1, 2, 3];
/** Ids on both sides of the sign bit. */
const NODES = [3n, 7n, 2n ** 63n + 1n, 2n ** 64n - 1n];
const u64 = (value: bigint) => BigInt.asUintN(64, value);

function vector(capacity = 8): number {
  const at = core.allocate(raw.vectorBytes(capacity));
  expect(raw.vectorInit(at, capacity)).toBe(0);
  return at;
}
const entriesOf = (at: number) =>
  Array.from({ length: raw.vectorCount(at) }, (_, index) => {
    const node = u64(raw.vectorNode(at, index));
    return [node, u64(raw.vectorGet(at, node))] as const;
  });
function copyOf(at: number): number {
  const copy = vector();
  expect(raw.vectorMerge(copy, at, 0n)).toBe(0);
  return copy;
}

/** Processes that do things and send each other messages. */
const step = fc.record({
  from: fc.integer({ min: 0, max: 3 }),
  to: fc.integer({ min: 0, max: 3 }),
  delayed: fc.boolean(),
});

describe("over random messages between four processes", () => {
  test("vectors order two events exactly when one is in the other's history; Lamport stamps never disagree", () => {
    let [ordered, concurrent] = [0, 0];
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        const lamport = NODES.map(() => {
          const at = core.allocate(8);
          raw.lamportInit(at, 0n);
          return at;
        });
        const vectors = NODES.map(() => vector());
        const histories = NODES.map(() => new Set<number>());
        const events: { vector: number; stamp: bigint; history: Set<number> }[] = [];
        const happens = (process: number) => {
          const id = events.length;
          raw.vectorTick(vectors[process] as number, NODES[process] as bigint, 0n);
          const history = histories[process] as Set<number>;
          history.add(id);
          events.push({
            vector: copyOf(vectors[process] as number),
            stamp: raw.lamportTick(lamport[process] as number),
            history: new Set(history),
          });
          return id;
        };
        const onTheWay: { to: number; event: number }[] = [];
        const arrives = ({ to, event }: { to: number; event: number }) => {
          const sent = events[event] as (typeof events)[number];
          raw.vectorMerge(vectors[to] as number, sent.vector, 0n);
          expect(raw.lamportReceive(lamport[to] as number, sent.stamp)).toBe(0);
          for (const id of sent.history) histories[to]?.add(id);
          happens(to);
        };
        for (const { from, to, delayed } of steps) {
          const message = { to, event: happens(from) };
          if (delayed) onTheWay.push(message);
          else arrives(message);
        }
        for (const message of onTheWay) arrives(message);
        for (const [a, one] of events.entries()) {
          for (const [b, other] of events.entries()) {
            const isBefore = a !== b && other.history.has(a);
            const isAfter = a !== b && one.history.has(b);
            const expected = a === b ? EQUAL : isBefore ? BEFORE : isAfter ? AFTER : CONCURRENT;
            expect(raw.vectorCompare(one.vector, other.vector)).toBe(expected);
            if (isBefore) expect(u64(one.stamp) < u64(other.stamp)).toBe(true);
            if (expected === CONCURRENT) concurrent += 1;
            else ordered += 1;
          }
        }
      }),
      { numRuns: 150 },
    );
    expect(Math.min(ordered, concurrent)).toBeGreaterThan(1000);
  });
});

describe("a vector", () => {
  test("merges to the higher counters, whatever the order, and once more changes nothing", () => {
    const counters = fc.array(fc.tuple(fc.constantFrom(...NODES), fc.bigInt(1n, 2n ** 64n - 1n)), {
      maxLength: 6,
    });
    fc.assert(
      fc.property(counters, counters, (left, right) => {
        const [a, b] = [vector(), vector()];
        const model = new Map<bigint, bigint>();
        for (const [at, entries] of [
          [a, left],
          [b, right],
        ] as const) {
          for (const [node, counter] of entries) {
            raw.vectorRaise(at, node, counter, 0n);
            if (counter > (model.get(node) ?? 0n)) model.set(node, counter);
          }
        }
        const [ab, ba] = [copyOf(a), copyOf(b)];
        raw.vectorMerge(ab, b, 0n);
        raw.vectorMerge(ba, a, 0n);
        const sorted = [...model].sort(([x], [y]) => (x < y ? -1 : 1));
        expect(entriesOf(ab)).toEqual(sorted);
        expect(raw.vectorCompare(ab, ba)).toBe(EQUAL);
        raw.vectorMerge(ab, a, 0n);
        expect(entriesOf(ab)).toEqual(sorted);
        expect([EQUAL, AFTER]).toContain(raw.vectorCompare(ab, a));
      }),
      { numRuns: 500 },
    );
  });

  test("is bounded: a node too many is refused and nothing changes", () => {
    const [small, large] = [vector(2), vector(4)];
    for (const node of [1n, 2n]) expect(raw.vectorTick(small, node, 0n)).toBe(0);
    expect(raw.vectorTick(small, 3n, 0n)).toBe(FULL);
    for (const node of [2n, 9n]) raw.vectorTick(large, node, 0n);
    raw.vectorRaise(large, 2n, 50n, 0n);
    expect(raw.vectorMerge(small, large, 0n)).toBe(FULL);
    expect(entriesOf(small)).toEqual([
      [1n, 1n],
      [2n, 1n],
    ]);
    expect(raw.vectorInit(small, 0)).toBe(ARGUMENT);
    expect(raw.vectorBytes(5000)).toBe(0);
  });

  test("prunes the entries that grew longest ago, down to what is to be kept, and none that is young", () => {
    const at = vector();
    for (const [node, grownMs] of [
      [1n, 300n],
      [2n, 100n],
      [3n, 200n],
      [4n, 400n],
    ] as const) {
      raw.vectorTick(at, node, grownMs);
    }
    const whole = copyOf(at);
    expect(raw.vectorPrune(at, 3, 1000n)).toBe(1);
    expect(entriesOf(at).map(([node]) => node)).toEqual([1n, 3n, 4n]);
    expect(raw.vectorPrune(at, 0, 300n)).toBe(1);
    expect(entriesOf(at).map(([node]) => node)).toEqual([1n, 4n]);
    // What was dropped counts as 0: it can look older, or concurrent, and never newer.
    expect(raw.vectorCompare(at, whole)).toBe(BEFORE);
    raw.vectorTick(at, 1n, 500n);
    expect(raw.vectorCompare(at, whole)).toBe(CONCURRENT);
  });
});

describe("a vector beside a map", () => {
  const CAPACITY = 4;
  const node = fc.constantFrom(...NODES, 2n, 8n);
  const step = fc.oneof(
    { weight: 5, arbitrary: fc.record({ node, counter: fc.bigInt(0n, 6n), ms: fc.bigInt(0n, 9n) }) },
    { weight: 1, arbitrary: fc.record({ keep: fc.nat(4), beforeMs: fc.bigInt(0n, 11n) }) },
  );
  type Entries = Map<bigint, { counter: bigint; ms: bigint }>;
  const sorted = (entries: Entries) => [...entries].sort(([x], [y]) => (x < y ? -1 : 1));
  /** In memory that was used before; what it held last stays behind the entries. */
  type Step =
    | { readonly node: bigint; readonly counter: bigint; readonly ms: bigint }
    | { readonly keep: number; readonly beforeMs: bigint };
  const filled = (steps: readonly Step[], capacity = CAPACITY) => {
    const bytes = raw.vectorBytes(capacity);
    const at = core.allocate(bytes + 8);
    core.bytes().fill(0xff, at, at + bytes + 8);
    expect(raw.vectorInit(at, capacity)).toBe(0);
    const entries: Entries = new Map();
    for (const one of steps) {
      if ("keep" in one) {
        let dropped = 0;
        while (entries.size > one.keep) {
          const [oldest, entry] = sorted(entries).reduce((a, b) => (b[1].ms < a[1].ms ? b : a));
          if (entry.ms >= one.beforeMs) break;
          entries.delete(oldest);
          dropped += 1;
        }
        expect(raw.vectorPrune(at, one.keep, one.beforeMs)).toBe(dropped);
      } else {
        const before = entries.get(one.node);
        const isFull = one.counter > 0n && before === undefined && entries.size === capacity;
        expect(raw.vectorRaise(at, one.node, one.counter, one.ms)).toBe(isFull ? FULL : 0);
        if (!isFull && one.counter > (before?.counter ?? 0n))
          entries.set(one.node, { counter: one.counter, ms: one.ms });
      }
      expectEntries(at, entries);
    }
    expect(core.bytes()[at + bytes]).toBe(0xff);
    return { at, entries };
  };
  const expectEntries = (at: number, entries: Entries) => {
    const view = new DataView(core.bytes().buffer);
    const told = Array.from({ length: raw.vectorCount(at) }, (_, index) =>
      [0, 8, 16].map((offset) => view.getBigUint64(at + 8 + 24 * index + offset, true)),
    );
    expect(told).toEqual(sorted(entries).map(([name, { counter, ms }]) => [name, counter, ms]));
    for (const name of [...NODES, 2n, 8n, 100n])
      expect(u64(raw.vectorGet(at, name))).toBe(entries.get(name)?.counter ?? 0n);
  };

  test("raises, prunes, merges and compares as the map does", () => {
    const steps = fc.array(step, { maxLength: 14 });
    fc.assert(
      fc.property(steps, steps, fc.bigInt(0n, 9n), (left, right, ms) => {
        const [a, b] = [filled(left), filled(right)];
        const names = [...new Set([...a.entries.keys(), ...b.entries.keys()])];
        const of = (entries: Entries, name: bigint) => entries.get(name)?.counter ?? 0n;
        const isLess = names.some((name) => of(a.entries, name) < of(b.entries, name));
        const isMore = names.some((name) => of(a.entries, name) > of(b.entries, name));
        expect(raw.vectorCompare(a.at, b.at)).toBe(
          isLess ? (isMore ? CONCURRENT : BEFORE) : isMore ? AFTER : EQUAL,
        );
        const fits = names.length <= CAPACITY;
        expect(raw.vectorMerge(a.at, b.at, ms)).toBe(fits ? 0 : FULL);
        if (fits)
          for (const [name, { counter }] of b.entries)
            if (counter > of(a.entries, name)) a.entries.set(name, { counter, ms });
        expectEntries(a.at, a.entries);
        expectEntries(b.at, b.entries);
      }),
      { numRuns: 1000 },
    );
  });

  test("has 1 to 4,096 nodes, and dots 1 to 1,024", () => {
    expect([0, 1, 4096, 4097].map((capacity) => raw.vectorBytes(capacity))).toEqual([0, 32, 98_312, 0]);
    expect([0, 1, 1024, 1025].map((capacity) => raw.dotsBytes(capacity))).toEqual([0, 24, 16_392, 0]);
  });

  test("a writer whose context was pruned needs no room for what was dropped", () => {
    const context = filled([
      { node: 3n, counter: 1n, ms: 1n },
      { node: 7n, counter: 1n, ms: 2n },
      { keep: 1, beforeMs: 2n },
    ]);
    const [seen, dots] = [vector(1), core.allocate(raw.dotsBytes(1))];
    raw.dotsInit(dots, 1);
    expect(raw.dotsWrite(dots, seen, context.at, 7n, 5n)).toBe(0);
    expect([raw.dotNode(dots, 0), raw.dotCounter(dots, 0)]).toEqual([7n, 2n]);
    // Three siblings have no room where there are two, whichever of them is the third.
    const [two, one, seenTwo, seenOne] = [
      core.allocate(raw.dotsBytes(2)),
      core.allocate(raw.dotsBytes(2)),
      vector(),
      vector(),
    ];
    for (const at of [two, one]) raw.dotsInit(at, 2);
    const nothing = vector();
    for (let n = 0; n < 2; n += 1) raw.dotsWrite(two, seenTwo, nothing, 3n, 0n);
    raw.dotsWrite(one, seenOne, nothing, 7n, 0n);
    expect(raw.dotsSync(two, seenTwo, one, seenOne, 0n)).toBe(FULL);
    expect(raw.dotsSync(one, seenOne, two, seenTwo, 0n)).toBe(FULL);
    expect([raw.dotsCount(two), raw.dotsCount(one)]).toEqual([2, 1]);
    // The other replica has as many dots as there is room for, and one of them is here already.
    const other = core.allocate(raw.dotsBytes(1));
    raw.dotsInit(other, 1);
    expect(raw.dotsSync(other, vector(1), dots, seen, 6n)).toBe(0);
    expect([raw.dotsCount(other), raw.dotNode(other, 0), raw.dotCounter(other, 0)]).toEqual([1, 7n, 2n]);
    expect(raw.dotsSync(other, seen, dots, seen, 6n)).toBe(0);
    expect(raw.dotsCount(other)).toBe(1);
  });
});

describe("a Lamport clock", () => {
  test("goes on after what was persisted, refuses a jump that would use it up, and ends rather than begins anew", () => {
    const at = core.allocate(8);
    raw.lamportInit(at, 41n);
    expect(raw.lamportTick(at)).toBe(42n);
    expect(raw.lamportReceive(at, 42n + 2n ** 40n + 1n)).toBe(DRIFT);
    expect(raw.lamportLast(at)).toBe(42n);
    expect(raw.lamportReceive(at, 10n)).toBe(0);
    expect(raw.lamportTick(at)).toBe(43n);
    raw.lamportInit(at, 2n ** 64n - 1n);
    expect(raw.lamportTick(at)).toBe(0n);
    expect(u64(raw.lamportLast(at))).toBe(2n ** 64n - 1n);
  });
});

describe("dotted version vectors", () => {
  const REPLICAS = 3;
  const write = fc.record({
    kind: fc.constantFrom("write", "write", "sync"),
    replica: fc.integer({ min: 0, max: REPLICAS - 1 }),
    other: fc.integer({ min: 0, max: REPLICAS - 1 }),
    client: fc.integer({ min: 0, max: 2 }),
    reads: fc.boolean(),
  });
  const dotsOf = (at: number) =>
    Array.from(
      { length: raw.dotsCount(at) },
      (_, index) => `${u64(raw.dotNode(at, index))}:${u64(raw.dotCounter(at, index))}`,
    );

  test("keep exactly the writes that no later writer had seen, over random clients and replicas", () => {
    let siblings = 0;
    fc.assert(
      fc.property(fc.array(write, { maxLength: 40 }), (steps) => {
        const replicas = Array.from({ length: REPLICAS }, () => {
          const at = core.allocate(raw.dotsBytes(64));
          raw.dotsInit(at, 64);
          // Which writes are shown, and for each the writes that its writer had seen.
          return { at, seen: vector(), shown: new Set<string>(), known: new Set<string>() };
        });
        const past = new Map<string, Set<string>>();
        const clients = Array.from({ length: 3 }, () => ({ context: vector(), known: new Set<string>() }));
        for (const { kind, replica, other, client, reads } of steps) {
          const here = replicas[replica] as (typeof replicas)[number];
          if (kind === "sync") {
            const there = replicas[other] as (typeof replicas)[number];
            if (there === here) continue;
            expect(raw.dotsSync(here.at, here.seen, there.at, there.seen, 0n)).toBe(0);
            const all = new Set([...here.shown, ...there.shown]);
            for (const it of there.known) here.known.add(it);
            // A write is replaced when some write that is known had it in its past.
            here.shown = new Set(
              [...all].filter((it) => ![...here.known].some((later) => past.get(later)?.has(it) === true)),
            );
          } else {
            const who = clients[client] as (typeof clients)[number];
            if (reads) {
              raw.vectorMerge(who.context, here.seen, 0n);
              for (const it of here.known) who.known.add(it);
            }
            expect(raw.dotsWrite(here.at, here.seen, who.context, NODES[replica] as bigint, 0n)).toBe(0);
            const dot = dotsOf(here.at).at(-1) as string;
            past.set(dot, new Set(who.known));
            for (const it of who.known) here.known.add(it);
            here.known.add(dot);
            here.shown = new Set([...here.shown].filter((it) => !who.known.has(it)).concat(dot));
          }
          expect(new Set(dotsOf(here.at))).toEqual(here.shown);
          siblings = Math.max(siblings, here.shown.size);
        }
      }),
      { numRuns: 3_000 },
    );
    expect(siblings).toBeGreaterThan(3);
  });

  test("too many siblings, or nodes, are refused and nothing changes", () => {
    const at = core.allocate(raw.dotsBytes(2));
    raw.dotsInit(at, 2);
    const [seen, nothing] = [vector(1), vector()];
    for (let n = 0; n < 2; n += 1) expect(raw.dotsWrite(at, seen, nothing, 1n, 0n)).toBe(0);
    const before = [dotsOf(at), entriesOf(seen)];
    expect(raw.dotsWrite(at, seen, nothing, 1n, 0n)).toBe(FULL);
    expect([dotsOf(at), entriesOf(seen)]).toEqual(before);
    // Who has seen both replaces both.
    expect(raw.dotsWrite(at, seen, seen, 1n, 0n)).toBe(0);
    expect(dotsOf(at)).toEqual(["1:3"]);
    expect(raw.dotsWrite(at, seen, nothing, 2n, 0n)).toBe(FULL);
    expect(dotsOf(at)).toEqual(["1:3"]);
    // Half a write, seen and not shown, would make others drop what they have.
    const context = vector();
    for (const node of [5n, 6n]) raw.vectorTick(context, node, 0n);
    const roomy = vector(2);
    expect(raw.dotsWrite(at, roomy, context, 7n, 0n)).toBe(FULL);
    expect(raw.vectorCount(roomy)).toBe(0);
    expect(raw.dotsSync(at, seen, at, context, 0n)).toBe(FULL);
    expect([dotsOf(at), entriesOf(seen)]).toEqual([["1:3"], [[1n, 3n]]]);
    expect(raw.dotsInit(at, 0)).toBe(ARGUMENT);
    expect(raw.dotsBytes(2000)).toBe(0);
  });
});
