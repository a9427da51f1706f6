import { expect, test } from "vitest";
import { Tenure } from "../../../../host/cluster/ownership/tenure.ts";
import { createPlacement } from "../../../../host/core/placement.ts";
import { openTestCore } from "../../../support/core.ts";

const core = openTestCore();
const DEVICES = Array.from({ length: 60 }, (_, number) => `device-${number}`);
const roster = (ids: string, revision: number) => ({
  members: [...ids].map((id) => ({ id, weight: 1 })),
  revision,
});
/** What a roster of those gives to `a`. */
const share = (ids: string): ReadonlySet<string> => {
  const placement = createPlacement(core, { kind: "rendezvous", nodes: [...ids].map((id) => ({ id })) });
  return new Set(DEVICES.filter((device) => placement.owner(device) === "a"));
};
const owned = (tenure: Tenure) => DEVICES.filter((device) => tenure.epoch(device) > 0);

test("what a roster takes goes when it is adopted, what it gives comes when it holds", () => {
  const tenure = new Tenure(core, "a");
  tenure.adopt(roster("ab", 10));
  expect([owned(tenure).length, tenure.isSettled, tenure.owner("device-0") !== undefined]).toEqual([
    0,
    false,
    true,
  ]);
  tenure.settle(12);
  const before = share("ab");
  expect(new Set(owned(tenure))).toEqual(before);
  expect(tenure.epoch([...before][0] as string)).toBe(12);

  tenure.adopt(roster("abc", 20));
  const less = owned(tenure);
  expect(new Set(less)).toEqual(new Set([...before].filter((device) => share("abc").has(device))));
  expect(less.length).toBeLessThan(before.size);
  // `b` goes before that roster holds: what `c` had in between is not served before this one does.
  tenure.adopt(roster("ac", 30));
  expect(owned(tenure)).toEqual(less);
  expect(tenure.epoch(less[0] as string)).toBe(12);
  tenure.settle(33);
  expect(new Set(owned(tenure))).toEqual(share("ac"));
  expect(tenure.epoch(less[0] as string)).toBe(33);
});

test("a roster that does not name it leaves it nothing", () => {
  const tenure = new Tenure(core, "a");
  tenure.adopt(roster("a", 1));
  tenure.settle(2);
  expect(owned(tenure)).toHaveLength(DEVICES.length);
  tenure.adopt(roster("b", 3));
  expect(owned(tenure)).toEqual([]);
  tenure.settle(4);
  expect(owned(tenure)).toEqual([]);
  expect(tenure.owner("device-1")).toBe("b");
});

test("nothing is served when more rosters came than are remembered, until one holds", () => {
  const tenure = new Tenure(core, "a");
  tenure.adopt(roster("a", 1));
  tenure.settle(1);
  for (let revision = 2; revision < 10; revision += 1) tenure.adopt(roster("a", revision));
  expect(owned(tenure)).toHaveLength(DEVICES.length);
  tenure.adopt(roster("a", 10));
  expect(owned(tenure)).toEqual([]);
  tenure.settle(11);
  expect(owned(tenure)).toHaveLength(DEVICES.length);
});

test("ends, and takes no memory of the core with it", () => {
  const tenure = new Tenure(core, "a");
  for (let round = 1; round < 5_000; round += 1) {
    tenure.adopt(roster("abc", round));
    if (round % 3 === 0) tenure.settle(round);
    if (round % 100 === 0) tenure.end();
  }
  tenure.end();
  expect([owned(tenure), tenure.owner("device-1"), tenure.roster]).toEqual([[], undefined, roster("", 0)]);
});
