import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ERRORS } from "../../protocols/table.ts";
import { openTestCore } from "../support/core.ts";

const core = openTestCore();
const { raw } = core;
const LIMITED = -ERRORS.RATE_LIMITED.number;
const ARGUMENT = -ERRORS.ARGUMENT.number;

/** The obvious bucket: an exact fraction of tokens, as a numerator over the period. */
class Model {
  #scaled: bigint;
  #lastUs: bigint;
  readonly limit: bigint;
  readonly periodUs: bigint;
  readonly burst: bigint;
  constructor(limit: number, periodUs: number, burst: number, nowUs: bigint) {
    [this.limit, this.periodUs, this.burst] = [BigInt(limit), BigInt(periodUs), BigInt(burst)];
    this.#scaled = this.burst * this.periodUs;
    this.#lastUs = nowUs;
  }
  take(tokens: number, nowUs: bigint): boolean {
    if (nowUs > this.#lastUs) {
      const refilled = this.#scaled + (nowUs - this.#lastUs) * this.limit;
      const full = this.burst * this.periodUs;
      this.#scaled = refilled > full ? full : refilled;
      this.#lastUs = nowUs;
    }
    const cost = BigInt(tokens) * this.periodUs;
    if (cost > this.#scaled) return false;
    this.#scaled -= cost;
    return true;
  }
}

const TOKEN_BUCKET = 0;
const bucketCreate = (limit: number, periodUs: number, burst: number, nowMs: number): number =>
  raw.limiterCreate(TOKEN_BUCKET, limit, periodUs, burst, 0, nowMs);

describe("a token bucket", () => {
  test("begins full, refuses when empty, refills at its rate", () => {
    const handle = bucketCreate(10, 1_000_000, 5, 0);
    for (let index = 0; index < 5; index += 1) expect(raw.limiterTake(handle, 1, 0)).toBe(0);
    expect(raw.limiterTake(handle, 1, 0)).toBe(LIMITED);
    expect(raw.limiterWaitMs(handle, 1, 0)).toBe(100);
    expect(raw.limiterTake(handle, 1, 99.999)).toBe(LIMITED);
    expect(raw.limiterTake(handle, 1, 100)).toBe(0);
    expect(raw.limiterWaitMs(handle, 2, 150)).toBe(150);
    expect(raw.limiterWaitMs(handle, 0, 150)).toBe(0);
  });

  test("never holds more than its burst", () => {
    const handle = bucketCreate(10, 1_000_000, 5, 0);
    expect(raw.limiterTake(handle, 5, 1e9)).toBe(0);
    expect(raw.limiterTake(handle, 1, 1e9)).toBe(LIMITED);
    expect(raw.limiterTake(handle, 6, 2e9)).toBe(ARGUMENT);
  });

  test("a clock that goes back brings nothing and takes nothing", () => {
    const handle = bucketCreate(1, 1_000_000, 2, 10_000);
    expect(raw.limiterTake(handle, 1, 10_000)).toBe(0);
    expect(raw.limiterTake(handle, 1, 5_000)).toBe(0);
    expect(raw.limiterTake(handle, 1, 10_999)).toBe(LIMITED);
    expect(raw.limiterTake(handle, 1, 11_000)).toBe(0);
  });

  test("refuses zeros and handles that are gone", () => {
    expect(bucketCreate(0, 1, 1, 0)).toBe(ARGUMENT);
    expect(bucketCreate(1, 0, 1, 0)).toBe(ARGUMENT);
    expect(bucketCreate(1, 1, 0, 0)).toBe(ARGUMENT);
    const handle = bucketCreate(1, 1, 1, 0);
    expect(raw.limiterFree(handle)).toBe(0);
    expect(raw.limiterFree(handle)).toBe(ARGUMENT);
    expect(raw.limiterTake(handle, 1, 0)).toBe(ARGUMENT);
    expect(raw.limiterWaitMs(handle, 1, 0)).toBe(ARGUMENT);
  });

  test("a batch decides as its calls would one by one", () => {
    const shared = bucketCreate(1, 1_000_000, 3, 0);
    const at = core.allocate(64);
    new Uint32Array(core.bytes().buffer, at, 4).set([shared, shared, 0, shared]);
    new Uint32Array(core.bytes().buffer, at + 16, 4).set([2, 2, 1, 1]);
    expect(raw.limiterTakeBatch(at, at + 16, 4, at + 32, 0)).toBe(2);
    expect([...new Int32Array(core.bytes().buffer, at + 32, 4)]).toEqual([0, LIMITED, ARGUMENT, 0]);
  });

  test("decides as the exact model does, over seconds, days and years", () => {
    const amount = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 2 ** 32 - 1 }));
    const waitUs = fc.oneof(
      fc.nat(2_000),
      fc.nat(5_000_000),
      fc.integer({ min: 0, max: 90_000_000_000 }),
      // A hundred of them stay below 2^42 ms (139 years), to where a clock in double milliseconds tells one microsecond from the next.
      fc.integer({ min: 0, max: 4e13 }),
    );
    const history = fc.array(fc.record({ waitUs, tokens: fc.double({ min: 0, max: 1, noNaN: true }) }), {
      size: "+1",
      maxLength: 100,
    });
    let [granted, refused] = [0, 0];
    fc.assert(
      fc.property(amount, amount, amount, history, (limit, periodUs, burst, steps) => {
        const handle = bucketCreate(limit, periodUs, burst, 0);
        const model = new Model(limit, periodUs, burst, 0n);
        let nowUs = 0;
        for (const step of steps) {
          nowUs += step.waitUs;
          const tokens = Math.ceil(step.tokens * burst);
          const taken = raw.limiterTake(handle, tokens, nowUs / 1000);
          expect(taken).toBe(model.take(tokens, BigInt(nowUs)) ? 0 : LIMITED);
          if (taken === 0) granted += 1;
          else {
            refused += 1;
            // It says when, to the microsecond.
            const waitMs = raw.limiterWaitMs(handle, tokens, nowUs / 1000);
            expect(waitMs).toBeGreaterThan(0);
          }
        }
        raw.limiterFree(handle);
      }),
      { numRuns: 5_000 },
    );
    expect(Math.min(granted, refused)).toBeGreaterThan(1_000);
  });

  test("loses nothing in a year of asking every 0.7 s for what comes every third of a second", () => {
    const handle = bucketCreate(3, 1_000_000, 3, 0);
    let granted = 0;
    const asks = 200_000;
    for (let ask = 1; ask <= asks; ask += 1) {
      while (raw.limiterTake(handle, 1, ask * 700) === 0) granted += 1;
    }
    // The burst at first, then 2.1 tokens an ask, exactly.
    expect(granted).toBe(3 + Math.floor(2.1 * (asks - 1)));
  });
});
