/** What a new leader must hold. */
import { describe, expect, test } from "vitest";
import { Invariants } from "../../../host/world/cluster/invariants.ts";
import type { Reference } from "../../../host/world/cluster/reference.ts";
import type { SimulatedNode } from "../../../host/world/cluster/simulated-node.ts";
import type { Testimony } from "../../../host/world/cluster/testimony.ts";

/** Entries 1 to 50 were committed in term 16, then two of them and one of its own by the leader of term 18. */
function setUp(): Invariants {
  const termAt = (index: number) => (index <= 52 ? 16 : 18);
  return new Invariants(
    { commits: 53, termAt } as unknown as Reference,
    {
      committed: { index: 53, term: 18 },
      committedBefore: (term: number) => (term > 18 ? 53 : 50),
    } as unknown as Testimony,
  );
}

/** Its log goes to `last`. */
function node(id: number, last: number): SimulatedNode {
  const termAt = (index: number) => (index > last ? 0 : index <= 52 ? 16 : 18);
  return { id, node: { driver: { status: { first: 1, last }, termAt } } } as unknown as SimulatedNode;
}

describe("leader completeness", () => {
  test("a leader holds what was committed before its term", () => {
    expect(setUp().elected(node(4, 53), 19)).toBeUndefined();
    expect(setUp().elected(node(4, 52), 19)).toContain("without the committed entry 53 of term 18");
  });
  test("one whose votes came late may lack what a later term committed, of whatever term it is, and nothing else", () => {
    const invariants = setUp();
    expect(invariants.elected(node(4, 53), 18)).toBeUndefined();
    expect(invariants.elected(node(1, 50), 17)).toBeUndefined();
    const again = setUp();
    again.elected(node(4, 53), 18);
    expect(again.elected(node(1, 49), 17)).toContain("without the committed entry 50 of term 16");
  });
});

test("two leaders in a term are told", () => {
  const invariants = setUp();
  invariants.elected(node(4, 53), 18);
  expect(invariants.elected(node(5, 53), 18)).toBe("election safety: nodes 4 and 5 lead in term 18");
});
