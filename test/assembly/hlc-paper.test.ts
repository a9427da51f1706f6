/**
 * The hybrid logical clock held to its paper (Kulkarni, Demirbas, Madappa, Avva, Leone, "Logical Physical Clocks", OPODIS 2014), by the theorems' numbers.
 * l is a stamp's milliseconds, c its logical part, pt the wall clock of the node at the event, epsilon the most that two wall clocks differ by.
 */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ERRORS } from "../../protocols/table.ts";
import { openTestCore } from "../support/core.ts";

const { raw } = openTestCore();
const DRIFT = -ERRORS.CLOCK_DRIFT.number;
const u64 = (value: bigint) => BigInt.asUintN(64, value);
const l = (stamp: bigint) => Number(stamp >> 16n);
const c = (stamp: bigint) => Number(stamp & 0xffffn);
const COUNTERS = 65_536;

interface Event {
  readonly stamp: bigint;
  readonly ptMs: number;
  /** All that happened before it and that its node has heard of, and itself. */
  readonly history: ReadonlySet<Event>;
}

class Node {
  readonly clock: number;
  offsetMs = 0;
  last: Event | undefined;
  constructor(driftMsMax: number) {
    this.clock = raw.clockCreate(driftMsMax, 0n);
  }
  /** A local event, a send, or the receipt of what another sent. Undefined where that is refused. */
  happens(trueMs: number, heard?: Event): Event | undefined {
    const ptMs = trueMs + this.offsetMs;
    if (heard !== undefined && raw.clockReceive(this.clock, ptMs, heard.stamp) !== 0) return undefined;
    const history = new Set<Event>([...(this.last?.history ?? []), ...(heard?.history ?? [])]);
    const event: Event = { stamp: u64(raw.clockTick(this.clock, ptMs)), ptMs, history };
    history.add(event);
    this.last = event;
    return event;
  }
}

const EPSILON_MS = 100;
const NODES = 4;
const step = fc.record({
  node: fc.nat(NODES - 1),
  afterMs: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(40) }),
  /** The node's clock is set, forwards or back, within what NTP holds. */
  offsetMs: fc.option(fc.integer({ min: -EPSILON_MS / 2, max: EPSILON_MS / 2 }), { freq: 3 }),
  /** Receives the message that waits longest, or one in the middle: the network reorders. */
  receives: fc.boolean(),
  picks: fc.nat(),
});

/** Runs the steps; `judge` sees every event. Node `rogue` has a clock far ahead. */
function network(
  steps: readonly (typeof step extends fc.Arbitrary<infer T> ? T : never)[],
  judge: (event: Event, heard: Event | undefined) => void,
  rogue?: number,
): { readonly refused: number } {
  const nodes = Array.from({ length: NODES }, () => new Node(EPSILON_MS));
  let trueMs = 1_000_000;
  let refused = 0;
  const underWay: { to: number; from: number; event: Event }[] = [];
  for (const { node, afterMs, offsetMs, receives, picks } of steps) {
    trueMs += afterMs;
    const one = nodes[node] as Node;
    if (node === rogue) one.offsetMs = 3_600_000;
    else if (offsetMs !== null) one.offsetMs = offsetMs;
    const waiting = underWay.filter((it) => it.to === node);
    const message = receives ? waiting[picks % Math.max(waiting.length, 1)] : undefined;
    if (message !== undefined) underWay.splice(underWay.indexOf(message), 1);
    const event = one.happens(trueMs, message?.event);
    if (event === undefined) {
      refused += 1;
      expect(message?.from).toBe(rogue);
      continue;
    }
    if (node !== rogue) judge(event, message?.event);
    underWay.push({ to: picks % NODES, from: node, event });
  }
  for (const { clock } of nodes) raw.clockFree(clock);
  return { refused };
}

describe("over a network of four nodes whose clocks jump within epsilon", () => {
  test("theorems 1 to 4 and their corollaries hold, and nothing is refused", () => {
    let [ahead, counted] = [0, 0];
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
        const { refused } = network(steps, (event, heard) => {
          const past = [...event.history].filter((it) => it !== event);
          // Theorem 1: what happened before has the smaller stamp.
          if (heard !== undefined) expect(event.stamp).toBeGreaterThan(heard.stamp);
          for (const it of past) expect(event.stamp).toBeGreaterThan(it.stamp);
          // Theorem 2: l >= pt.
          expect(l(event.stamp)).toBeGreaterThanOrEqual(event.ptMs);
          // Theorem 3: l is the highest wall clock that the node has heard of.
          expect(l(event.stamp)).toBe(Math.max(...[...event.history].map((it) => it.ptMs)));
          // Corollary 1: l - pt <= epsilon.
          expect(l(event.stamp) - event.ptMs).toBeLessThanOrEqual(EPSILON_MS);
          // Theorem 4: c counts events of the same l, each before the next, so there are no fewer of them.
          const alike = past.filter((it) => l(it.stamp) === l(event.stamp));
          expect(c(event.stamp)).toBeLessThanOrEqual(alike.length);
          ahead += l(event.stamp) > event.ptMs ? 1 : 0;
          counted += c(event.stamp) > 0 ? 1 : 0;
        });
        expect(refused).toBe(0);
      }),
      { numRuns: 1000 },
    );
    expect(ahead).toBeGreaterThan(1000);
    expect(counted).toBeGreaterThan(1000);
  });

  test("a node an hour ahead is refused, and moves nobody else's clock", () => {
    let refusals = 0;
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
        refusals += network(
          steps,
          (event) => expect(l(event.stamp) - event.ptMs).toBeLessThanOrEqual(EPSILON_MS),
          3,
        ).refused;
      }),
      { numRuns: 500 },
    );
    expect(refusals).toBeGreaterThan(500);
  });
});

test("a clock set back by more than epsilon is waited for: l - pt is at most the step back and epsilon", () => {
  const clock = raw.clockCreate(EPSILON_MS, 0n);
  const behind = 1_000_000;
  raw.clockTick(clock, behind + 3_600_000);
  // Refused by the clock that was set back, though it was right an hour ago: it goes by what it has now.
  expect(raw.clockReceive(clock, behind, BigInt(behind + 3_600_000) << 16n)).toBe(DRIFT);
  for (let ms = 0; ms < 1000; ms += 1) {
    const stamp = u64(raw.clockTick(clock, behind + ms));
    expect(l(stamp) - (behind + ms)).toBeLessThanOrEqual(3_600_000 + EPSILON_MS);
  }
  expect(l(u64(raw.clockTick(clock, behind + 3_600_001)))).toBe(behind + 3_600_001);
});

test("c is bounded by 65,535: beyond, it carries into l, which then leads pt by a millisecond for each 65,536 stamps", () => {
  const clock = raw.clockCreate(EPSILON_MS, 0n);
  const standing = 5_000_000;
  let last = 0n;
  for (let count = 0; count < 5 * COUNTERS; count += 1) {
    const stamp = u64(raw.clockTick(clock, standing));
    if (stamp <= last) throw new Error("went back");
    if (l(stamp) - standing !== Math.floor(count / COUNTERS) || c(stamp) !== count % COUNTERS)
      throw new Error("carried otherwise");
    last = stamp;
  }
  // As soon as the wall clock has passed it, l is pt again.
  expect(u64(raw.clockTick(clock, standing + 5))).toBe(BigInt(standing + 5) << 16n);
});

test("over kills at any moment and wall clocks that jump, no stamp repeats or goes back", () => {
  const action = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constant("tick" as const), ms: fc.integer({ min: -50, max: 200 }) }),
    },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("persist" as const), ms: fc.constant(0) }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constant("kill" as const),
        ms: fc.integer({ min: -4_000_000, max: 4_000_000 }),
      }),
    },
  );
  let [given, withheld] = [0, 0];
  fc.assert(
    fc.property(fc.array(action, { maxLength: 80, size: "max" }), (actions) => {
      let wallMs = 10_000_000;
      let kept = 0n;
      let highest = 0n;
      let clock = 0;
      const start = () => {
        clock = raw.clockCreate(1000, kept);
        raw.clockBoundSet(clock, kept);
      };
      start();
      for (const { kind, ms } of actions) {
        wallMs = Math.max(0, wallMs + ms);
        if (kind === "persist") {
          // On disk first, then told.
          kept = u64(raw.clockReserve(clock, wallMs, 300));
          raw.clockBoundSet(clock, kept);
        } else if (kind === "kill") {
          raw.clockFree(clock);
          start();
        } else {
          const stamp = u64(raw.clockTick(clock, wallMs));
          if (stamp === 0n) {
            withheld += 1;
            continue;
          }
          expect(stamp).toBeGreaterThan(highest);
          expect(stamp).toBeLessThanOrEqual(kept);
          highest = stamp;
          given += 1;
        }
      }
      raw.clockFree(clock);
    }),
    { numRuns: 1000 },
  );
  expect(given).toBeGreaterThan(5000);
  expect(withheld).toBeGreaterThan(1000);
});
