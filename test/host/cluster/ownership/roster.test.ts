import { describe, expect, test } from "vitest";
import type { KvItem } from "../../../../host/cluster/kv/read.ts";
import {
  encodeMember,
  encodeRoster,
  isAdopted,
  isMemberId,
  type LiveMember,
  MEMBERS_MAX,
  memberKey,
  nextMembers,
  type RosterView,
  readRoster,
  rosterKey,
} from "../../../../host/cluster/ownership/roster.ts";
import { codeOf } from "../../../support/policy-rig.ts";

const utf8 = new TextEncoder();
const item = (key: string, value: Uint8Array, revision: number, lease = 0): KvItem => ({
  ...{ key, value, createRevision: revision, modRevision: revision, version: 1, lease },
});
const live = (id: string, more: Partial<LiveMember> = {}): LiveMember => ({
  ...{ id, weight: 1, serving: 0, local: [], lease: 1, revision: 1, ...more },
});
const view = (members: readonly string[], those: readonly LiveMember[]): RosterView => ({
  roster: { members: members.map((id) => ({ id, weight: 1 })), revision: 9 },
  live: those,
  revision: 20,
});

describe("records", () => {
  test("come back as they were put, in the order of their ids", () => {
    const members = [
      { id: "b", weight: 2.5 },
      { id: "a", weight: 1 },
    ];
    const items = [
      item(memberKey("site", "b"), encodeMember({ weight: 2.5, serving: 7, local: ["uno"] }), 8, 3),
      item(memberKey("site", "a"), encodeMember({ weight: 1, serving: 0, local: [] }), 4, 2),
      item(rosterKey("site"), encodeRoster(members), 7),
      item("site/of/others", utf8.encode("?"), 5),
    ];
    expect(readRoster("site", { items, revision: 9 })).toEqual({
      roster: { members: [members[1], members[0]], revision: 7 },
      live: [
        { id: "a", weight: 1, serving: 0, local: [], lease: 2, revision: 4 },
        { id: "b", weight: 2.5, serving: 7, local: ["uno"], lease: 3, revision: 8 },
      ],
      revision: 9,
    });
    const none = readRoster("site", { items: [], revision: 0 });
    expect(none).toEqual({ roster: { members: [], revision: 0 }, live: [], revision: 0 });
  });

  test.each([
    ["no JSON", rosterKey("s"), "{"],
    ["no members", rosterKey("s"), "{}"],
    ["a member without weight", rosterKey("s"), '{"members":[{"id":"a"}]}'],
    ["a weight of 0", rosterKey("s"), '{"members":[{"id":"a","weight":0}]}'],
    ["a member twice", rosterKey("s"), '{"members":[{"id":"a","weight":1},{"id":"a","weight":1}]}'],
    ["an id that is none", rosterKey("s"), '{"members":[{"id":"a/b","weight":1}]}'],
    ["a list", memberKey("s", "a"), "[]"],
    ["a fraction of a revision", memberKey("s", "a"), '{"weight":1,"serving":1.5}'],
    ["a local device that is none", memberKey("s", "a"), '{"weight":1,"serving":1,"local":[7]}'],
    ["a weight without end", memberKey("s", "a"), '{"weight":1e9,"serving":1}'],
    ["a key that names nobody", memberKey("s", "a/b"), '{"weight":1,"serving":1}'],
  ])("%s is refused by name", (_, key, text) => {
    expect(codeOf(() => readRoster("s", { items: [item(key, utf8.encode(text), 1)], revision: 1 }))).toBe(
      "FORMAT_VERSION",
    );
  });

  test("ids", () => {
    for (const id of ["a", "Gateway-1.attic_2", "9", "x".repeat(63)]) expect(isMemberId(id)).toBe(true);
    for (const id of ["", "-a", ".", "a/b", "a b", "é", "x".repeat(64)]) expect(isMemberId(id)).toBe(false);
  });
});

describe("the next roster", () => {
  test("is none while those who live are those who are named", () => {
    expect(nextMembers(view(["a", "b"], [live("a"), live("b")]))).toBeUndefined();
    expect(nextMembers(view([], []))).toBeUndefined();
  });
  test("names who came, not who went, and new weights", () => {
    const next = nextMembers(view(["a", "b"], [live("b", { weight: 3 }), live("c")]));
    expect(next?.map(({ id, weight }) => [id, weight])).toEqual([
      ["b", 3],
      ["c", 1],
    ]);
    expect(nextMembers(view(["a"], [live("a", { weight: 2 })]))).toHaveLength(1);
  });
  test("has no room for newcomers when it is full, whatever their ids", () => {
    const named = Array.from({ length: MEMBERS_MAX }, (_, n) => `m${String(n).padStart(3, "0")}`);
    const all = [live("a"), ...named.map((id) => live(id))];
    expect(nextMembers(view(named, all))).toBeUndefined();
    const next = nextMembers(view(named, all.toSpliced(7, 1)));
    expect(next).toHaveLength(MEMBERS_MAX);
    expect(next?.map(({ id }) => id)).toContain("a");
  });
});

describe("a roster is adopted", () => {
  const serving = (id: string, revision: number) => live(id, { serving: revision });
  test("when everyone who lives serves by it", () => {
    expect(isAdopted(view(["a", "b"], [serving("a", 9), serving("b", 9)]))).toBe(true);
    expect(isAdopted(view(["a", "b"], [serving("a", 9)]))).toBe(true);
    expect(isAdopted(view(["a", "b"], [serving("a", 9), serving("b", 8)]))).toBe(false);
  });
  test("not by one who is not named and lives, nor by one who went on to a later one", () => {
    expect(isAdopted(view(["a"], [serving("a", 9), serving("b", 0)]))).toBe(false);
    expect(isAdopted(view(["a", "b"], [serving("a", 9), serving("b", 10)]))).toBe(false);
  });
});
