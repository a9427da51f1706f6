/** Balance and disruption of each placement in numbers: who owns how much, and what moves when nodes come, go or change. */
import { describe, expect, test } from "vitest";
import {
  createPlacement,
  KEY_BYTES_MAX,
  migrationPlan,
  type Node,
  type Placement,
  type PlacementKind,
  type PlacementOptions,
} from "../../../host/core/placement.ts";
import { openTestCore } from "../../support/core.ts";

const core = openTestCore();
const KEYS = Array.from({ length: 50_000 }, (_, index) => `device-${index}`);
const named = (count: number): Node[] =>
  Array.from({ length: count }, (_, index) => ({ id: `gateway-${index}` }));

function placed(
  kind: PlacementKind,
  nodes: readonly Node[],
  more: Partial<PlacementOptions> = {},
): Placement {
  return createPlacement(core, { kind, nodes, ...more });
}
function shares(placement: Placement): Record<string, number> {
  const counts: Record<string, number> = Object.fromEntries(placement.nodes.map((id) => [id, 0]));
  for (const key of KEYS) {
    const owner = placement.owner(key);
    counts[owner] = (counts[owner] as number) + 1 / KEYS.length;
  }
  return counts;
}
/** The largest share beside the mean. */
const peak = (placement: Placement) => Math.max(...Object.values(shares(placement))) * placement.nodes.length;

// A fair draw of 50,000 keys gives each of ten nodes its share to within 1.3 % (one sigma); the largest of ten lies at some two sigma.
describe("balance of ten nodes, largest share beside the mean", () => {
  test.each([
    ["ring", 1.25],
    ["maglev", 1.05],
    ["rendezvous", 1.05],
    ["jump", 1.05],
  ] as const)("%s: %d at most", (kind, most) => {
    using placement = placed(kind, named(10));
    expect(peak(placement)).toBeLessThan(most);
  });
});

describe("disruption", () => {
  test.each(["ring", "rendezvous"] as const)(
    "%s: a node that leaves moves its own keys and no others",
    (kind) => {
      using before = placed(kind, named(10));
      using after = placed(
        kind,
        named(10).filter(({ id }) => id !== "gateway-3"),
      );
      const moves = migrationPlan(KEYS, before, after);
      expect(moves.length).toBe(KEYS.filter((key) => before.owner(key) === "gateway-3").length);
      expect(new Set(moves.map(({ from }) => from))).toEqual(new Set(["gateway-3"]));
      // And not all to one other.
      expect(new Set(moves.map(({ to }) => to)).size).toBe(9);
      // The way back is the same.
      const back = migrationPlan(KEYS, after, before);
      expect(back).toEqual(moves.map(({ key, from, to }) => ({ key, from: to, to: from })));
    },
  );

  test("maglev: 3 % of the others' keys move too, at most", () => {
    using before = placed("maglev", named(10));
    using after = placed("maglev", named(9));
    const moves = migrationPlan(KEYS, before, after);
    const own = moves.filter(({ from }) => from === "gateway-9").length;
    expect(own).toBe(KEYS.filter((key) => before.owner(key) === "gateway-9").length);
    expect((moves.length - own) / KEYS.length).toBeLessThan(0.03);
  });

  test("jump: a bucket more takes its share from all, and only it gains", () => {
    using before = placed("jump", named(9));
    using after = placed("jump", named(10));
    const moves = migrationPlan(KEYS, before, after);
    expect(new Set(moves.map(({ to }) => to))).toEqual(new Set(["gateway-9"]));
    expect(moves.length / KEYS.length).toBeCloseTo(0.1, 2);
  });

  test("rendezvous: a weight that rises only gains", () => {
    using before = placed("rendezvous", named(5));
    using after = placed("rendezvous", [...named(4), { id: "gateway-4", weight: 2 }]);
    const moves = migrationPlan(KEYS, before, after);
    expect(new Set(moves.map(({ to }) => to))).toEqual(new Set(["gateway-4"]));
    expect(shares(after)["gateway-4"]).toBeCloseTo(2 / 6, 1.7);
  });
});

describe("weights", () => {
  test.each([
    ["ring", 0.06],
    ["maglev", 0.01],
    ["rendezvous", 0.01],
  ] as const)("%s: shares of 1, 2 and 5 to within %d", (kind, within) => {
    const nodes = [
      { id: "a", weight: 1 },
      { id: "b", weight: 2 },
      { id: "c", weight: 5 },
    ];
    using placement = placed(kind, nodes);
    const { a, b, c } = shares(placement);
    for (const [share, weight] of [
      [a, 1],
      [b, 2],
      [c, 5],
    ] as const) {
      expect(Math.abs((share as number) - weight / 8)).toBeLessThan(within);
    }
  });
});

test.each(["ring", "maglev", "rendezvous"] as const)("%s: the order of the members means nothing", (kind) => {
  using one = placed(kind, named(7));
  using other = placed(kind, named(7).reverse());
  expect(migrationPlan(KEYS.slice(0, 5000), one, other)).toEqual([]);
});

test.each(["ring", "rendezvous"] as const)("%s: deputies are different nodes, the owner first", (kind) => {
  using placement = placed(kind, named(5));
  using without = placed(kind, named(5).slice(1));
  for (const key of KEYS.slice(0, 500)) {
    const owners = placement.owners(key, 3);
    expect(owners[0]).toBe(placement.owner(key));
    expect(new Set(owners).size).toBe(3);
    // When the owner goes, its first deputy takes over.
    if (owners[0] === "gateway-0") expect(without.owner(key)).toBe(owners[1]);
  }
  expect([...placement.owners("x", 99)].sort()).toEqual(placement.nodes);
});

test("a ring owns as a slow, obvious one does", () => {
  const nodes = named(4);
  using ring = placed("ring", nodes, { points: 3 });
  const owners = new Map<string, string>();
  for (const key of KEYS.slice(0, 2000)) owners.set(key, ring.owner(key));
  // 12 points: a key's owner follows the order of the hashes, so there are at most 12 runs around the circle.
  const at = core.allocate(64);
  const hashOf = (key: string) => {
    core.bytes().set(new TextEncoder().encode(key), at);
    return BigInt.asUintN(64, core.raw.xxh64(at, key.length, 0n));
  };
  const sorted = [...owners.keys()].sort((a, b) => (hashOf(a) < hashOf(b) ? -1 : 1));
  let runs = 0;
  for (const [index, key] of sorted.entries()) {
    if (owners.get(key) !== owners.get(sorted[index - 1] ?? (sorted.at(-1) as string))) runs += 1;
  }
  expect(runs).toBeLessThanOrEqual(12);
  expect(runs).toBeGreaterThan(3);
});

test("keys of any letters, by their UTF-8", () => {
  using placement = placed("maglev", named(3));
  for (const key of ["Gewächshaus", "温室", "🐻", "", "x".repeat(KEY_BYTES_MAX)]) {
    expect(placement.nodes).toContain(placement.owner(key));
  }
  for (const key of ["x".repeat(KEY_BYTES_MAX + 1), "ä".repeat(KEY_BYTES_MAX / 2 + 1)]) {
    expect(() => placement.owner(key)).toThrow(/at most 1024 bytes/);
  }
});

test.each([
  ["no node", { kind: "ring", nodes: [] }, /1 to 4096 nodes/],
  ["a node twice", { kind: "ring", nodes: [{ id: "a" }, { id: "a" }] }, /stands twice/],
  ["no name", { kind: "ring", nodes: [{ id: "" }] }, /1 to 1024 bytes/],
  ["no weight", { kind: "ring", nodes: [{ id: "a", weight: 0 }] }, /above 0/],
  ["weights for jump", { kind: "jump", nodes: [{ id: "a", weight: 2 }] }, /no weights/],
  ["slots that are no prime", { kind: "maglev", nodes: [{ id: "a" }], slots: 100 }, /are a prime/],
  ["half a point", { kind: "ring", nodes: [{ id: "a" }], points: 0.5 }, /points a unit/],
] as const)("refuses %s", (_what, options, message) => {
  expect(() => createPlacement(core, options as PlacementOptions)).toThrow(message);
});

test("memory is used again, and a placement that was disposed of says so", () => {
  placed("maglev", named(5))[Symbol.dispose]();
  const before = core.bytes().length;
  for (let round = 0; round < 200; round += 1) placed("maglev", named(5))[Symbol.dispose]();
  expect(core.bytes().length).toBe(before);
  const gone = placed("ring", named(2));
  gone[Symbol.dispose]();
  gone[Symbol.dispose]();
  expect(() => gone.owner("x")).toThrow(/disposed/);
  expect(() => gone.owners("x", 1)).toThrow(/disposed/);
  using jump = placed("jump", named(2));
  expect(() => jump.owners("x", 2)).toThrow(/no deputies/);
  using ring = placed("ring", named(2));
  expect(() => ring.owners("x", 0)).toThrow(/At least one/);
});
