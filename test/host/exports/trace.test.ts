import { describe, expect, test } from "vitest";
import { adaptiveSampler, rateSampler, ratioSampler } from "../../../host/exports/trace.ts";

const code = expect.objectContaining({ code: "ARGUMENT" });
const ID = "0af7651916cd43dd8448eb211c80319c";
const bytesOf = (hex: string) => Uint8Array.from(hex.match(/../g) ?? [], (it) => Number.parseInt(it, 16));
function ids(count: number, seed: number): string[] {
  let state = seed;
  const word = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0).toString(16).padStart(8, "0");
  };
  return Array.from({ length: count }, () => word() + word() + word() + word());
}

describe("a ratio sampler", () => {
  test("takes an id as digits, bytes, or halves, and an explicit randomness in its place", () => {
    using sampler = ratioSampler({ ratio: 0.25 });
    expect([sampler.ratio, sampler.threshold]).toEqual([0.25, "c"]);
    const random = BigInt("0x48eb211c80319c");
    expect(random >= 0xc0n << 48n).toBe(false);
    let kept = 0;
    for (const id of ids(4000, 3)) {
      const expected = BigInt(`0x${id.slice(-14)}`) >= 0xc0n << 48n;
      const answers = [
        sampler.sampleTrace(id),
        sampler.sampleTrace(bytesOf(id)),
        sampler.sampleTrace(id.slice(-14)),
        sampler.sampleTrace(bytesOf(id.slice(-14))),
        sampler.sample(Number.parseInt(id.slice(16, 24), 16), Number.parseInt(id.slice(24), 16)),
      ];
      expect(answers).toEqual(answers.map(() => expected));
      kept += expected ? 1 : 0;
    }
    expect(Math.abs(kept - 1000)).toBeLessThan(4 * Math.sqrt(4000 * 0.25 * 0.75));
    expect(sampler.sampleTrace(ID)).toBe(false);
  });

  test("says its threshold as tracestate has it", () => {
    const said = [1, 0.5, 0.1, 2 ** -56, 0].map((ratio) => {
      using sampler = ratioSampler({ ratio });
      return sampler.threshold;
    });
    expect(said).toEqual(["0", "8", "e6666666666666", "ffffffffffffff", undefined]);
  });

  test("refuses what is no id and no share", () => {
    using sampler = ratioSampler({ ratio: 1 });
    for (const id of ["", "xyz", ID.toUpperCase(), ID.slice(1), `${ID}0`]) {
      expect(() => sampler.sampleTrace(id)).toThrow(code);
    }
    for (const length of [0, 6, 8, 15, 17])
      expect(() => sampler.sampleTrace(new Uint8Array(length))).toThrow(code);
    for (const ratio of [-1, 1.5, Number.NaN]) expect(() => ratioSampler({ ratio })).toThrow(code);
    sampler[Symbol.dispose]();
    expect(() => sampler.sample(0, 0)).toThrow(/disposed/);
  });
});

test("a rate sampler keeps no more than its rate, and a share of that", () => {
  const clock = { nowMs: 5000, monotonicMs: () => clock.nowMs };
  using sampler = rateSampler({ limit: 10, burst: 2, clock });
  let kept = 0;
  for (let index = 0; index < 10_000; index += 1) {
    clock.nowMs += 1;
    if (sampler.sample(index * 7919, index)) kept += 1;
  }
  expect(Math.abs(kept - 100)).toBeLessThan(4);
  expect([sampler.ratio, sampler.threshold]).toEqual([1, "0"]);
  for (const bad of [
    { limit: 0 },
    { limit: 1.5 },
    { limit: 1, burst: 0 },
    { limit: 1, periodMs: 0 },
    { limit: 1, ratio: 2 },
    { limit: 1, periodMs: 5e6 },
  ]) {
    expect(() => rateSampler(bad), JSON.stringify(bad)).toThrow(code);
  }
});

test("an adaptive sampler finds its share", () => {
  const clock = { nowMs: 5000, monotonicMs: () => clock.nowMs };
  using sampler = adaptiveSampler({ target: 50, clock });
  expect(sampler.ratio).toBe(1);
  for (const id of ids(30_000, 5)) {
    clock.nowMs += 1;
    sampler.sampleTrace(id);
  }
  expect(Math.abs(sampler.ratio - 0.05)).toBeLessThan(0.001);
  using floored = adaptiveSampler({ target: 1, ratioMin: 0.5, periodMs: 10, clock });
  for (const id of ids(5000, 6)) {
    clock.nowMs += 0.1;
    floored.sampleTrace(id);
  }
  expect(floored.ratio).toBe(0.5);
  using machine = adaptiveSampler({ target: 1000 });
  expect(machine.sampleTrace(ID)).toBe(true);
  for (const bad of [
    { target: 0 },
    { target: 1, periodMs: 0 },
    { target: 1, ratioMin: 0 },
    { target: 1, ratioMin: 2 },
  ]) {
    expect(() => adaptiveSampler(bad), JSON.stringify(bad)).toThrow(code);
  }
});
