/** Each rate limiter beside a slow, obvious model of it, and the token bucket's model over all the time there is. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ERRORS } from "../../protocols/table.ts";
import { openTestCore } from "../support/core.ts";

const core = openTestCore();
const { raw } = core;
const LIMITED = -ERRORS.RATE_LIMITED.number;
const ARGUMENT = -ERRORS.ARGUMENT.number;
const KIND = { bucket: 0, gcra: 1, fixed: 2, sliding: 3, log: 4 } as const;

interface Model {
  /** Whether `tokens` may be taken at `nowUs`; takes them. */
  take(tokens: number, nowUs: bigint): boolean;
}

/** A level that a continuous rate fills, as an exact fraction. */
class BucketModel implements Model {
  readonly #limit: bigint;
  readonly #periodUs: bigint;
  readonly #full: bigint;
  #scaled: bigint;
  #lastUs = 0n;
  constructor(limit: number, periodUs: number, burst: number) {
    [this.#limit, this.#periodUs] = [BigInt(limit), BigInt(periodUs)];
    this.#full = BigInt(burst) * this.#periodUs;
    this.#scaled = this.#full;
  }
  take(tokens: number, nowUs: bigint): boolean {
    if (nowUs > this.#lastUs) {
      const filled = this.#scaled + (nowUs - this.#lastUs) * this.#limit;
      this.#scaled = filled > this.#full ? this.#full : filled;
      this.#lastUs = nowUs;
    }
    const cost = BigInt(tokens) * this.#periodUs;
    if (cost > this.#scaled) return false;
    this.#scaled -= cost;
    return true;
  }
}

/** Every token that was ever taken, counted anew each time. */
class HistoryModel implements Model {
  readonly #taken: bigint[] = [];
  readonly #room: (taken: readonly bigint[], nowUs: bigint) => number;
  constructor(room: (taken: readonly bigint[], nowUs: bigint) => number) {
    this.#room = room;
  }
  take(tokens: number, nowUs: bigint): boolean {
    if (tokens > this.#room(this.#taken, nowUs)) return false;
    for (let token = 0; token < tokens; token += 1) this.#taken.push(nowUs);
    return true;
  }
}
const windowOf = (us: bigint, periodUs: bigint) => us / periodUs;
const fixedModel = (limit: number, periodUs: bigint) =>
  new HistoryModel(
    (taken, now) => limit - taken.filter((it) => windowOf(it, periodUs) === windowOf(now, periodUs)).length,
  );
const slidingModel = (limit: number, periodUs: bigint) =>
  new HistoryModel((taken, now) => {
    const inWindow = (at: bigint) => BigInt(taken.filter((it) => windowOf(it, periodUs) === at).length);
    const at = windowOf(now, periodUs);
    const left = periodUs - (now % periodUs);
    const used = inWindow(at - 1n) * left + inWindow(at) * periodUs;
    const room = BigInt(limit) * periodUs - used;
    return room < 0n ? 0 : Number(room / periodUs);
  });
const logModel = (limit: number, periodUs: bigint) =>
  new HistoryModel((taken, now) => limit - taken.filter((it) => it + periodUs > now).length);

const entries = core.allocate(64 * 8);
const create = (kind: number, limit: number, periodUs: number, burst = limit) =>
  raw.limiterCreate(kind, limit, periodUs, burst, entries, 0);

const smallHistory = fc.array(
  fc.record({
    waitUs: fc.oneof(fc.nat(3), fc.nat(60), fc.nat(5_000)),
    tokens: fc.oneof(fc.constant(1), fc.nat(8)),
  }),
  { size: "+1", maxLength: 120 },
);

describe.each([
  ["a fixed window", KIND.fixed, fixedModel],
  ["a sliding counter", KIND.sliding, slidingModel],
  ["a sliding log", KIND.log, logModel],
] as const)("%s", (_name, kind, modelOf) => {
  test("decides as its model, and says how long until it does not refuse any more", () => {
    let [granted, refused] = [0, 0];
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.integer({ min: 1, max: 1_000 }),
        smallHistory,
        (limit, periodUs, steps) => {
          const handle = create(kind, limit, periodUs);
          const model = modelOf(limit, BigInt(periodUs));
          let nowUs = 0;
          for (const step of steps) {
            nowUs += step.waitUs;
            const tokens = Math.min(step.tokens, limit);
            const remaining = raw.limiterRemaining(handle, nowUs / 1000);
            const waitUs = Math.round(raw.limiterWaitMs(handle, tokens, nowUs / 1000) * 1000);
            expect(remaining >= tokens).toBe(waitUs === 0);
            const status = raw.limiterTake(handle, tokens, nowUs / 1000);
            expect(status).toBe(model.take(tokens, BigInt(nowUs)) ? 0 : LIMITED);
            expect(status === 0).toBe(waitUs === 0);
            if (status === 0) {
              granted += 1;
              continue;
            }
            refused += 1;
            // Not a microsecond sooner, and then at once.
            expect(raw.limiterRemaining(handle, (nowUs + waitUs - 1) / 1000)).toBeLessThan(tokens);
            nowUs += waitUs;
            expect(raw.limiterTake(handle, tokens, nowUs / 1000)).toBe(0);
            expect(model.take(tokens, BigInt(nowUs))).toBe(true);
          }
          const resetUs = Math.round(raw.limiterResetMs(handle, nowUs / 1000) * 1000);
          expect(raw.limiterRemaining(handle, (nowUs + resetUs) / 1000)).toBe(limit);
          raw.limiterFree(handle);
        },
      ),
      { numRuns: 1_000 },
    );
    expect(Math.min(granted, refused)).toBeGreaterThan(1_000);
  });

  test("a clock that goes back gives nothing", () => {
    const handle = create(kind, 2, 1_000_000);
    expect(raw.limiterTake(handle, 2, 500)).toBe(0);
    expect(raw.limiterTake(handle, 1, 10)).toBe(LIMITED);
    expect(raw.limiterTake(handle, 1, 600)).toBe(LIMITED);
    expect(raw.limiterTake(handle, 3, 600)).toBe(ARGUMENT);
    expect(raw.limiterWaitMs(handle, 3, 600)).toBe(Number.POSITIVE_INFINITY);
  });
});

describe("GCRA", () => {
  const rate = fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 2 ** 32 - 1 }));
  const history = fc.array(
    fc.record({
      waitUs: fc.oneof(
        fc.bigInt(0n, 2_000n),
        fc.bigInt(0n, 5_000_000n),
        fc.bigInt(0n, 90_000_000_000n),
        fc.bigInt(0n, 2n ** 56n),
      ),
      tokens: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
    { size: "+1", maxLength: 100 },
  );

  test("decides as an exact token bucket over 2^63 microseconds, whatever rate and burst", () => {
    let [granted, refused] = [0, 0];
    fc.assert(
      fc.property(rate, rate, rate, history, (limit, periodUs, burst, steps) => {
        const handle = raw.limiterCreate(KIND.gcra, limit, periodUs, burst, 0, 0);
        fc.pre(handle > 0);
        const model = new BucketModel(limit, periodUs, burst);
        let nowUs = 0n;
        for (const step of steps) {
          nowUs += step.waitUs;
          const tokens = Math.ceil(step.tokens * burst);
          const status = raw.limiterTakeAtUs(handle, tokens, nowUs);
          expect(status).toBe(model.take(tokens, nowUs) ? 0 : LIMITED);
          if (status === 0) granted += 1;
          else refused += 1;
        }
        raw.limiterFree(handle);
      }),
      { numRuns: 5_000 },
    );
    expect(Math.min(granted, refused)).toBeGreaterThan(1_000);
  });

  test("a schedule does not wrap at the longest burst and the latest time", () => {
    // Twice this burst, and a time, made 2^64 microseconds exactly: the second burst was granted.
    expect(raw.limiterCreate(KIND.gcra, 2, 4_275_673_543, 4_294_967_277, 0, 0)).toBe(ARGUMENT);
    const [periodUs, burst] = [2 ** 31, 2 ** 31 - 1];
    const handle = raw.limiterCreate(KIND.gcra, 1, periodUs, burst, 0, 0);
    for (const nowUs of [1n, 2n ** 62n, 2n ** 63n - 1n]) {
      raw.limiterTakeAtUs(handle, burst, nowUs);
      expect(raw.limiterTakeAtUs(handle, burst, nowUs)).toBe(LIMITED);
    }
    raw.limiterFree(handle);
  });

  test("remaining, wait and reset are the first microseconds at which they hold", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1_000 }),
        fc.integer({ min: 1, max: 10_000 }),
        fc.integer({ min: 1, max: 50 }),
        smallHistory,
        (limit, periodUs, burst, steps) => {
          const handle = create(KIND.gcra, limit, periodUs, burst);
          let nowUs = 0;
          for (const step of steps) {
            nowUs += step.waitUs;
            const tokens = Math.min(step.tokens, burst);
            const remaining = raw.limiterRemaining(handle, nowUs / 1000);
            expect(raw.limiterTake(handle, tokens, nowUs / 1000)).toBe(remaining >= tokens ? 0 : LIMITED);
            if (remaining >= tokens) continue;
            const waitUs = Math.round(raw.limiterWaitMs(handle, tokens, nowUs / 1000) * 1000);
            expect(raw.limiterRemaining(handle, (nowUs + waitUs - 1) / 1000)).toBeLessThan(tokens);
            expect(raw.limiterRemaining(handle, (nowUs + waitUs) / 1000)).toBeGreaterThanOrEqual(tokens);
          }
          const resetUs = Math.round(raw.limiterResetMs(handle, nowUs / 1000) * 1000);
          expect(raw.limiterRemaining(handle, (nowUs + resetUs) / 1000)).toBe(burst);
          raw.limiterFree(handle);
        },
      ),
      { numRuns: 500 },
    );
  });

  test("as a queue, what comes at once leaves evenly", () => {
    const handle = create(KIND.gcra, 3, 1_000_000, 5);
    const waits = Array.from({ length: 6 }, () => raw.limiterReserve(handle, 1, 1000));
    expect(waits.slice(0, 5).map((it) => Math.round(it))).toEqual([0, 333, 667, 1000, 1333]);
    expect(waits[5]).toBe(LIMITED);
    expect(raw.limiterReserve(handle, 6, 1000)).toBe(ARGUMENT);
    expect(raw.limiterReserve(create(KIND.fixed, 1, 1), 1, 0)).toBe(ARGUMENT);
  });
});

test("misuse has a code: zeros, unknown kinds, handles that are gone, times that are none", () => {
  for (const kind of Object.values(KIND)) {
    expect(raw.limiterCreate(kind, 0, 1, 1, entries, 0)).toBe(ARGUMENT);
    expect(raw.limiterCreate(kind, 1, 0, 1, entries, 0)).toBe(ARGUMENT);
    const handle = create(kind, 1, 1_000_000);
    for (const nowMs of [Number.NaN, -5, Number.NEGATIVE_INFINITY, 1e13]) {
      expect(raw.limiterTake(handle, 1, nowMs)).toBe(ARGUMENT);
      expect(raw.limiterReserve(handle, 1, nowMs)).toBe(ARGUMENT);
      expect(raw.limiterCreate(kind, 1, 1, 1, entries, nowMs)).toBe(ARGUMENT);
    }
    expect(raw.limiterFree(handle)).toBe(0);
    expect(raw.limiterFree(handle)).toBe(ARGUMENT);
    expect(raw.limiterTake(handle, 1, 0)).toBe(ARGUMENT);
    expect(raw.limiterReserve(handle, 1, 0)).toBe(ARGUMENT);
    expect([
      raw.limiterRemaining(handle, 0),
      raw.limiterResetMs(handle, 0),
      raw.limiterWaitMs(handle, 1, 0),
    ]).toEqual([0, ARGUMENT, ARGUMENT]);
  }
  expect(raw.limiterCreate(5, 1, 1, 1, entries, 0)).toBe(ARGUMENT);
  expect(raw.limiterCreate(KIND.bucket, 1, 1, 0, 0, 0)).toBe(ARGUMENT);
  expect(raw.limiterCreate(KIND.gcra, 1, 1, 0, 0, 0)).toBe(ARGUMENT);
  expect(raw.limiterCreate(KIND.gcra, 1, 2 ** 32 - 1, 2 ** 32 - 1, 0, 0)).toBe(ARGUMENT);
  expect(raw.limiterCreate(KIND.log, 65_537, 1, 1, entries, 0)).toBe(ARGUMENT);
  expect(raw.limiterCreate(KIND.log, 1, 1, 1, 0, 0)).toBe(ARGUMENT);
  expect(raw.limiterTakeAtUs(create(KIND.gcra, 1, 1), 1, 2n ** 63n)).toBe(ARGUMENT);
});
