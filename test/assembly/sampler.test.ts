/** Samplers beside slow models in BigInt, over random trace ids. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ERRORS } from "../../protocols/table.ts";
import { openTestCore } from "../support/core.ts";

const core = openTestCore();
const { raw } = core;
const ARGUMENT = -ERRORS.ARGUMENT.number;
const ALL = 2n ** 56n;
const SHARES = 2n ** 32n;

function ratio(share: number): number {
  const at = core.allocate(8);
  expect(raw.samplerRatioInit(at, share)).toBe(0);
  return at;
}
function adaptive({ target = 100, periodMs = 1000, shareMin = 1 } = {}): number {
  const at = core.allocate(48);
  expect(raw.samplerAdaptiveInit(at, target, periodMs, shareMin)).toBe(0);
  return at;
}
/** A reproducible stream of 32 random bits (xorshift, Marsaglia, 2003). */
function bits(seed: number): () => number {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}
const half = fc.integer({ min: 0, max: 2 ** 32 - 1 });
const randomOf = (high: number, low: number) => (BigInt(high % 2 ** 24) << 32n) | BigInt(low);

describe("a ratio sampler", () => {
  test("keeps a trace exactly when its last 56 bits reach the threshold 2^56 (1 - p)", () => {
    const share = fc.oneof(
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.integer({ min: 0, max: 70 }).map((it) => 2 ** -it),
    );
    fc.assert(
      fc.property(share, half, half, (p, high, low) => {
        const at = ratio(p);
        // Exact: a double times a power of two.
        const kept = BigInt(Math.floor(p * 2 ** 56 + 0.5));
        const threshold = ALL - (kept === 0n && p > 0 ? 1n : kept);
        expect(raw.samplerThreshold(at)).toBe(threshold);
        expect(raw.samplerRatio(at, high, low) === 1).toBe(randomOf(high, low) >= threshold);
        expect(raw.samplerRatio(at, high | 0, low | 0)).toBe(raw.samplerRatio(at, high, low));
      }),
      { numRuns: 5000 },
    );
  });

  test("what is kept at one share is kept at every larger one", () => {
    const samplers = [1e-6, 0.001, 0.01, 0.1, 0.25, 0.5, 0.999, 1].map(ratio);
    const next = bits(7);
    for (let index = 0; index < 100_000; index += 1) {
      const [high, low] = [next(), next()];
      const kept = samplers.map((at) => raw.samplerRatio(at, high, low));
      expect(kept).toEqual([...kept].sort((a, b) => a - b));
    }
  });

  test.each([0.001, 0.01, 0.1, 0.5, 0.9])(
    "a share of %d to within four deviations of a million draws",
    (share) => {
      const at = ratio(share);
      const next = bits(11);
      const draws = 1_000_000;
      let kept = 0;
      for (let index = 0; index < draws; index += 1) kept += raw.samplerRatio(at, next(), next());
      expect(Math.abs(kept - draws * share)).toBeLessThan(4 * Math.sqrt(draws * share * (1 - share)));
    },
  );

  test("thresholds of the specification; all, none, and what is no share", () => {
    const th = (share: number) => raw.samplerThreshold(ratio(share)).toString(16).padStart(14, "0");
    expect([1, 0.5, 0.25, 0.1].map(th)).toEqual([
      "0".repeat(14),
      `8${"0".repeat(13)}`,
      `c${"0".repeat(13)}`,
      "e6666666666666",
    ]);
    const [all, none] = [ratio(1), ratio(0)];
    for (const [high, low] of [
      [0, 0],
      [2 ** 32 - 1, 2 ** 32 - 1],
    ] as const) {
      expect([raw.samplerRatio(all, high, low), raw.samplerRatio(none, high, low)]).toEqual([1, 0]);
    }
    for (const bad of [-0.1, 1.1, Number.NaN])
      expect(raw.samplerRatioInit(core.allocate(8), bad)).toBe(ARGUMENT);
  });
});

describe("a rate sampler", () => {
  test("keeps what the ratio keeps while a token is there, as a bucket would say", () => {
    const at = core.allocate(56);
    expect(raw.samplerRateInit(at, 0.5, 10, 1_000_000, 3)).toBe(0);
    const bare = ratio(0.5);
    const next = bits(5);
    let tokens = 3;
    let lastMs = 0;
    for (let nowMs = 0; nowMs < 200_000; nowMs += 1 + (next() % 100)) {
      const [high, low] = [next(), next()];
      tokens = Math.min(3, tokens + ((nowMs - lastMs) * 10) / 1000);
      lastMs = nowMs;
      const keeps = raw.samplerRatio(bare, high, low) === 1 && tokens >= 1 - 1e-9;
      expect(raw.samplerRate(at, high, low, nowMs)).toBe(keeps ? 1 : 0);
      if (keeps) tokens -= 1;
    }
    expect(raw.samplerRate(at, 0, 0, Number.NaN)).toBe(ARGUMENT);
    expect(raw.samplerRateInit(at, 0.5, 0, 1, 1)).toBe(ARGUMENT);
    expect(raw.samplerRateInit(at, 2, 1, 1, 1)).toBe(ARGUMENT);
  });
});

/** What the module comment says, in BigInt. */
class AdaptiveModel {
  share = SHARES;
  #endMs: number | undefined;
  #seen = 0n;
  readonly #options: { readonly target: number; readonly periodMs: number; readonly shareMin: number };
  constructor(options: { readonly target: number; readonly periodMs: number; readonly shareMin: number }) {
    this.#options = options;
  }
  sample(random: bigint, nowMs: number): boolean {
    const { target, periodMs, shareMin } = this.#options;
    if (this.#endMs === undefined) this.#endMs = nowMs + periodMs;
    if (nowMs >= this.#endMs) {
      const wanted = this.#seen <= BigInt(target) ? SHARES : (BigInt(target) * SHARES) / this.#seen;
      let next = wanted;
      if (next < this.share / 2n) next = this.share / 2n;
      if (next < BigInt(shareMin)) next = BigInt(shareMin);
      if (next > this.share * 2n) next = this.share * 2n;
      for (let idleMs = nowMs - this.#endMs; idleMs >= periodMs && next < SHARES; idleMs -= periodMs)
        next *= 2n;
      this.share = next > SHARES ? SHARES : next;
      this.#endMs = nowMs + periodMs;
      this.#seen = 0n;
    }
    this.#seen += 1n;
    return random >= ALL - (this.share << 24n);
  }
}

describe("an adaptive sampler", () => {
  test("sets its share as the model does, over bursts, silences and clocks that go back", () => {
    const step = fc.record({
      count: fc.oneof(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 200, max: 600 })),
      afterMs: fc.oneof(
        { weight: 8, arbitrary: fc.integer({ min: 0, max: 1500 }) },
        { weight: 1, arbitrary: fc.integer({ min: -2000, max: 60_000 }) },
      ),
      high: half,
      low: half,
    });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 50 }),
        fc.constantFrom(1, 2 ** 20, 2 ** 31),
        fc.array(step, { maxLength: 40 }),
        (target, shareMin, steps) => {
          const options = { target, periodMs: 1000, shareMin };
          const at = adaptive(options);
          const model = new AdaptiveModel(options);
          let nowMs = 5000;
          for (const { count, afterMs, high, low } of steps) {
            nowMs = Math.max(1, nowMs + afterMs);
            for (let index = 0; index < count; index += 1) {
              const expected = model.sample(randomOf(high, low), nowMs);
              if (raw.samplerAdaptive(at, high, low, nowMs) !== (expected ? 1 : 0))
                throw new Error("decides otherwise");
            }
            expect(raw.samplerShare(at)).toBe(model.share);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test.each([200, 1000, 20_000])(
    "of %d traces a second it keeps about 100, and settles within few periods",
    (rate) => {
      const at = adaptive({ target: 100 });
      const next = bits(3);
      const keptBySecond: number[] = [];
      for (let second = 0; second < 60; second += 1) {
        let kept = 0;
        for (let index = 0; index < rate; index += 1) {
          kept += raw.samplerAdaptive(at, next(), next(), 1000 + second * 1000 + (index * 1000) / rate);
        }
        keptBySecond.push(kept);
      }
      // Halving from all to what is wanted.
      const settled = keptBySecond.slice(Math.ceil(Math.log2(rate / 100)) + 1);
      const mean = settled.reduce((a, b) => a + b, 0) / settled.length;
      expect(Math.abs(mean - 100)).toBeLessThan(6);
      expect(Math.max(...settled)).toBeLessThan(160);
    },
  );

  test("the share at most doubles or halves a period; a quiet time opens it again", () => {
    const at = adaptive({ target: 10 });
    const next = bits(9);
    let share = Number(raw.samplerShare(at));
    let nowMs = 1000;
    for (let period = 0; period < 200; period += 1, nowMs += 1000) {
      const count = next() % 3 === 0 ? 1 + (next() % 5) : next() % 3000;
      for (let index = 0; index < count; index += 1)
        raw.samplerAdaptive(at, next(), next(), nowMs + (index * 999) / count);
      const now = Number(raw.samplerShare(at));
      if (count > 0) expect(now / share).toBeGreaterThan(0.499);
      share = now;
    }
    for (let index = 0; index < 3000; index += 1) raw.samplerAdaptive(at, next(), next(), nowMs);
    raw.samplerAdaptive(at, 0, 0, nowMs + 3_600_000);
    expect(raw.samplerShare(at)).toBe(SHARES);
    raw.samplerAdaptive(at, 0, 0, 9e12);
    expect(raw.samplerShare(at)).toBe(SHARES);
  });

  test("never keeps less than its least share, and refuses what is no number", () => {
    const at = adaptive({ target: 1, shareMin: 2 ** 31 });
    const next = bits(13);
    for (let period = 0; period < 10; period += 1) {
      for (let index = 0; index < 500; index += 1)
        raw.samplerAdaptive(at, next(), next(), 1000 + period * 1000);
    }
    expect(raw.samplerShare(at)).toBe(SHARES / 2n);
    expect(raw.samplerAdaptive(at, 1, 1, -1)).toBe(ARGUMENT);
    for (const [target, periodMs, shareMin] of [
      [0, 1000, 1],
      [1, 0, 1],
      [1, Number.NaN, 1],
      [1, 1000, 0],
    ] as const) {
      expect(raw.samplerAdaptiveInit(at, target, periodMs, shareMin)).toBe(ARGUMENT);
    }
  });
});
