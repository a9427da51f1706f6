/** One suite for every Random. */
import { describe, expect, test } from "vitest";
import { systemRandom } from "../../host/io/random.ts";
import type { Random } from "../../host/io/seams.ts";
import { seededRandom } from "../../host/world/random.ts";

const RANDOMS: Record<string, () => Random> = { system: systemRandom, seeded: () => seededRandom(42) };
const DRAWS = 20_000;

describe.each(Object.entries(RANDOMS))("Random: %s", (_name, make) => {
  test("words are u32, and every bit is set half of the time", () => {
    const random = make();
    const set = new Array<number>(32).fill(0);
    for (let draw = 0; draw < DRAWS; draw += 1) {
      const word = random.u32();
      expect(word >>> 0).toBe(word);
      for (let bit = 0; bit < 32; bit += 1) set[bit] = (set[bit] as number) + ((word >>> bit) & 1);
    }
    // Eight standard deviations of a fair coin.
    for (const count of set) expect(Math.abs(count - DRAWS / 2)).toBeLessThan(8 * Math.sqrt(DRAWS / 4));
  });

  test("unit is in [0, 1) and spread evenly", () => {
    const random = make();
    const tenths = new Array<number>(10).fill(0);
    for (let draw = 0; draw < DRAWS; draw += 1) {
      const unit = random.unit();
      expect(unit >= 0 && unit < 1).toBe(true);
      const tenth = Math.floor(unit * 10);
      tenths[tenth] = (tenths[tenth] as number) + 1;
    }
    for (const count of tenths)
      expect(Math.abs(count - DRAWS / 10)).toBeLessThan(8 * Math.sqrt(DRAWS * 0.09));
  });

  test("bytes have the length asked for and differ from draw to draw", () => {
    const random = make();
    expect(random.bytes(0).length).toBe(0);
    const first = random.bytes(32);
    expect(first.length).toBe(32);
    expect(first).not.toEqual(random.bytes(32));
    expect(new Set(random.bytes(4096)).size).toBeGreaterThan(200);
  });
});

test("one seed gives one sequence, another seed another, and forks are independent", () => {
  const draw = (random: Random) => Array.from({ length: 8 }, () => random.u32());
  expect(draw(seededRandom(7))).toEqual(draw(seededRandom(7)));
  expect(draw(seededRandom(7))).not.toEqual(draw(seededRandom(8)));
  const parent = seededRandom(7);
  const before = draw(parent.fork("disk"));
  parent.u32();
  expect(draw(parent.fork("disk"))).toEqual(before);
  expect(draw(parent.fork("network"))).not.toEqual(before);
  for (let count = 0; count < 1000; count += 1) expect(parent.below(3)).toBeLessThan(3);
  expect([parent.chance(0), parent.chance(1)]).toEqual([false, true]);
});
