/** What devices link and the raw plane does not export: pools, windows of any size, counters that a status line shows. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ERRORS } from "../../protocols/table.ts";
import { openInside } from "../support/inside.ts";

const inside = await openInside([
  "memory/pool",
  "resilience/breaker",
  "resilience/bulkhead",
  "resilience/gcra",
  "resilience/limiter",
  "resilience/outcomes",
  "resilience/retry-budget",
  "resilience/sliding-log",
  "resilience/throttle",
  "resilience/timer-wheel",
  "resilience/token-bucket",
  "resilience/window",
  "stats/ewma",
  "stats/seasonal",
]);
const { call, call64, constant, dirty, view } = inside;
const [ARGUMENT, POOL_FULL, LIMITED, BUDGET, THROTTLED, OPEN, BULKHEAD_FULL] = (
  [
    "ARGUMENT",
    "POOL_FULL",
    "RATE_LIMITED",
    "RETRY_BUDGET",
    "THROTTLED",
    "BREAKER_OPEN",
    "BULKHEAD_FULL",
  ] as const
).map((code) => -ERRORS[code].number);

test("sizes are what apps reserve, and keep the next struct of an array aligned", () => {
  expect(
    ["BUCKET_BYTES", "GCRA_BYTES", "WINDOW_BYTES", "LOG_BYTES", "LIMITER_BYTES", "EWMA_BYTES"].map(constant),
  ).toEqual([40, 48, 24, 24, 64, 32]);
  expect(
    ["BREAKER_BYTES", "OUTCOMES_BYTES_MAX", "BUDGET_BYTES_MAX", "THROTTLE_BYTES_MAX", "POOL_BYTES"].map(
      constant,
    ),
  ).toEqual([64, 224, 240, 232, 20]);
  expect([1, 32, 33, 256].map((calls) => call("outcomesBytesByCount", calls))).toEqual([32, 32, 40, 88]);
  expect([2, 3, 16].map((slots) => call("outcomesBytesByTime", slots))).toEqual([56, 72, 224]);
});

describe("a pool", () => {
  const STRUCT_BYTES = 24;
  const made = (capacity: number): number => {
    const at = dirty(constant("POOL_BYTES"));
    call("poolInit", at, STRUCT_BYTES, capacity);
    return at;
  };

  test("takes and gives as a list would, and its structs keep their bytes when it grows", () => {
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fc.constant("take"), fc.nat(30)), { maxLength: 80 }),
        fc.integer({ min: 1, max: 5 }),
        (steps, first) => {
          const at = made(first);
          let capacity = first;
          const held: number[] = [];
          const given = new Set<number>([0, 0xf_ffff, (1 << 20) | 10_000]);
          for (const step of steps) {
            if (step === "take") {
              if (held.length === capacity) {
                expect(call("poolTake", at, 0)).toBe(POOL_FULL);
                capacity *= 2;
              }
              const handle = call("poolTake", at, 1);
              expect(handle).toBeGreaterThan(0);
              expect([...held, ...given]).not.toContain(handle);
              const struct = call("poolAt", at, handle);
              for (let word = 0; word < STRUCT_BYTES; word += 4)
                view().setUint32(struct + word, handle + word, true);
              held.push(handle);
            } else {
              const [handle] = held.splice(step, 1);
              if (handle === undefined) continue;
              expect(call("poolGive", at, handle)).toBe(1);
              expect(call("poolGive", at, handle)).toBe(0);
              given.add(handle);
            }
            expect([call("poolUsed", at), call("poolCapacity", at)]).toEqual([held.length, capacity]);
            for (const handle of held) {
              const struct = call("poolAt", at, handle);
              for (let word = 0; word < STRUCT_BYTES; word += 4)
                expect(view().getUint32(struct + word, true)).toBe(handle + word);
            }
            for (const handle of given) expect(call("poolAt", at, handle)).toBe(0);
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  test("a place has 2,048 handles before one comes again, the first after 2,047 that are not", () => {
    const at = made(1);
    const handles = Array.from({ length: 2049 }, () => {
      const handle = call("poolTake", at, 0);
      expect(call("poolGive", at, handle)).toBe(1);
      return handle;
    });
    expect(handles[0]).toBe((1 << 20) | 1);
    expect(new Set(handles.slice(0, 2048)).size).toBe(2048);
    expect(handles[2048]).toBe(handles[0]);
  });
});

describe("a window of outcomes", () => {
  test("has 1 to 256 calls, or 2 to 16 slots of a microsecond at least", () => {
    const at = dirty(constant("OUTCOMES_BYTES_MAX"));
    expect([0, 1, 256, 257].map((calls) => call("outcomesByCount", at, calls))).toEqual([
      ARGUMENT,
      0,
      0,
      ARGUMENT,
    ]);
    expect([1, 2, 16, 17].map((slots) => call("outcomesByTime", at, 1000, slots, 0n))).toEqual([
      ARGUMENT,
      0,
      0,
      ARGUMENT,
    ]);
    expect([2, 3].map((spanUs) => call("outcomesByTime", at, spanUs, 3, 0n))).toEqual([ARGUMENT, 0]);
    // Breaker, throttle and budget say so too.
    expect(call("breakerWindowByTime", at, 1000, 17, 0n)).toBe(ARGUMENT);
    expect(call("throttleInit", at, 2000, 1000, 17, 0n)).toBe(ARGUMENT);
    expect(call("budgetInit", at, 200, 10, 1000, 17, 0n)).toBe(ARGUMENT);
  });

  const outcome = fc.record({
    afterUs: fc.oneof(fc.nat(3), fc.nat(12), fc.nat(200)),
    failed: fc.boolean(),
    slow: fc.boolean(),
  });
  const totals = (at: number) =>
    ["outcomesCalls", "outcomesFailures", "outcomesSlow"].map((it) => call(it, at));
  const totalsOf = (calls: readonly { failed: boolean; slow: boolean }[]) => [
    calls.length,
    calls.filter(({ failed }) => failed).length,
    calls.filter(({ slow }) => slow).length,
  ];

  test("by count: the last so many, whatever lay in its memory", () => {
    fc.assert(
      fc.property(
        fc.oneof(fc.integer({ min: 1, max: 70 }), fc.constantFrom(32, 64, 256)),
        fc.array(outcome, { maxLength: 300, size: "max" }),
        (size, steps) => {
          const bytes = call("outcomesBytesByCount", size);
          const at = dirty(bytes);
          call("outcomesByCount", at, size);
          for (const [index, { failed, slow }] of steps.entries()) {
            call("outcomesRecord", at, Number(failed), Number(slow), 0n);
            expect(totals(at)).toEqual(totalsOf(steps.slice(Math.max(0, index + 1 - size), index + 1)));
          }
          call("outcomesRoll", at, 1n << 40n);
          expect(totals(at)).toEqual(totalsOf(steps.slice(-size)));
          expect(inside.bytes()[at + bytes]).toBe(0xff);
          call("outcomesReset", at, 0n);
          expect(totals(at)).toEqual([0, 0, 0]);
        },
      ),
      { numRuns: 150 },
    );
  });

  test("by time: the slots that are not too old, and a silence of the whole span begins anew", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 2, max: 16 }),
        fc.integer({ min: 1, max: 7 }),
        fc.array(outcome, { maxLength: 80 }),
        (slots, slotUs, steps) => {
          const bytes = call("outcomesBytesByTime", slots);
          const at = dirty(bytes);
          call("outcomesByTime", at, slots * slotUs + slots - 1, slots, 100n);
          let calls: { slot: number; failed: boolean; slow: boolean }[] = [];
          let [nowUs, startUs, slot] = [100, 100, 0];
          for (const { afterUs, failed, slow } of steps) {
            nowUs += afterUs;
            if (nowUs - startUs >= slots * slotUs) [calls, startUs] = [[], nowUs];
            for (; nowUs >= startUs + slotUs; startUs += slotUs) slot += 1;
            calls = calls.filter((one) => one.slot > slot - slots);
            call("outcomesRoll", at, BigInt(nowUs));
            expect(totals(at)).toEqual(totalsOf(calls));
            call("outcomesRecord", at, Number(failed), Number(slow), BigInt(nowUs));
            calls.push({ slot, failed, slow });
            expect(totals(at)).toEqual(totalsOf(calls));
            // A clock that goes back changes nothing.
            call("outcomesRoll", at, BigInt(startUs - 1));
            expect(totals(at)).toEqual(totalsOf(calls));
          }
          expect(inside.bytes()[at + slots * 12 + 32 + 8]).toBe(0xff);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe("counters", () => {
  test("a limiter's, of tokens granted and requests refused", () => {
    const at = dirty(constant("LIMITER_BYTES"));
    call("limiterInit", at, 2, 5, 1000, 0, 0, 0n);
    for (const tokens of [3, 3, 2, 1, 6]) call("limiterTake", at, tokens, 10n);
    expect([call("limiterGranted", at), call("limiterRefused", at)]).toEqual([5, 2]);
  });

  test("a retry budget's and a throttle's, of what was refused", () => {
    const budget = dirty(constant("BUDGET_BYTES_MAX"));
    call("budgetInit", budget, 500, 1, 1_000_000, 10, 0n);
    for (let n = 0; n < 4; n += 1) call("budgetCall", budget, 0n);
    const asked = Array.from({ length: 6 }, () => call("budgetRetry", budget, 0n));
    expect(asked).toEqual([0, 0, 0, BUDGET, BUDGET, BUDGET]);
    expect(call("budgetRefused", budget)).toBe(3);
    const windowOf = (at: number) => ["Calls", "Failures", "Slow"].map((it) => call(`outcomes${it}`, at));
    expect(windowOf(budget + 16)).toEqual([4, 3, 0]);
    const throttle = dirty(constant("THROTTLE_BYTES_MAX"));
    call("throttleInit", throttle, 1000, 1_000_000, 10, 0n);
    const asks = (random: number) => call("throttleAdmit", throttle, random, 0n);
    // Nothing is known, so the first two pass whatever the dice say; once one has failed, the next pass with a half, a third ...
    expect([asks(0), asks(0)]).toEqual([0, 0]);
    call("throttleRejected", throttle, 0n);
    expect(windowOf(throttle + 8)).toEqual([1, 0, 0]);
    expect([asks(0), asks(0), asks(0)]).toEqual([THROTTLED, THROTTLED, THROTTLED]);
    expect(call("throttleRefused", throttle)).toBe(3);
    call("throttleAccepted", throttle, 0n);
    expect(windowOf(throttle + 8)).toEqual([5, 1, 0]);
  });

  test("a breaker's, of permits, refusals, openings and what its window holds", () => {
    const at = dirty(constant("BREAKER_BYTES") + constant("OUTCOMES_BYTES_MAX"));
    const counts = () =>
      ["Granted", "Refused", "OpenedCount", "InFlight", "ProbesOut"].map((it) => call(`breaker${it}`, at));
    const window = () => ["Calls", "Failures", "Slow"].map((it) => call(`breakerWindow${it}`, at));
    call("breakerInit", at, 10, 20);
    expect(window()).toEqual([0, 0, 0]);
    call("breakerTripConsecutive", at, 2);
    call("breakerWindowByTime", at, 1_000_000, 2, 0n);
    call("breakerTripRates", at, 1000, 1000, 5, 100);
    const permits = [1, 2, 3].map(() => call("breakerAcquire", at, 0n));
    expect(counts()).toEqual([3, 0, 0, 3, 0]);
    call("breakerReturn", at, permits[0] ?? 0, 1, 4, 0n);
    expect(window()).toEqual([1, 1, 0]);
    call("breakerReturn", at, permits[1] ?? 0, 1, 5, 0n);
    expect(counts()).toEqual([3, 0, 1, 1, 0]);
    expect(call("breakerAcquire", at, 9_999n)).toBe(OPEN);
    expect([call64("breakerWaitUs", at, 9_999n), call("breakerState", at, 9_999n)]).toEqual([1n, 1]);
    expect([call64("breakerWaitUs", at, 10_000n), call("breakerState", at, 10_000n)]).toEqual([0n, 2]);
    expect(call("breakerAcquire", at, 10_000n)).toBeGreaterThan(0);
    expect(counts()).toEqual([4, 1, 1, 2, 1]);
    call("breakerWindowRoll", at, 3_000_000n);
    expect(window()).toEqual([0, 0, 0]);
  });

  test("a bulkhead's, of calls let in, refused and shed", () => {
    const at = dirty(call("bulkheadBytes", 1));
    call("bulkheadInit", at, 1, 1);
    const entered = [2, 2, 2, 1].map((priority, index) => call("bulkheadEnter", at, priority, index + 1));
    expect(entered.map((it) => Math.min(it, 1))).toEqual([0, 1, BULKHEAD_FULL, 1]);
    expect(call("bulkheadTry", at, 0)).toBe(BULKHEAD_FULL);
    expect(call("bulkheadShed", at)).toBe(2);
    expect(
      ["Granted", "Refused", "ShedCount", "InFlight", "Queued"].map((it) => call(`bulkhead${it}`, at)),
    ).toEqual([1, 2, 1, 1, 1]);
  });

  test("an average's, of readings", () => {
    const at = dirty(constant("EWMA_BYTES"));
    call("ewmaInit", at, 0.5, 3, 0, 0);
    for (const reading of [1, 2, Number.NaN, 3]) call("ewmaUpdate", at, reading);
    expect(call("ewmaCount", at)).toBe(3);
    // It stops at its end, and does not learn a first reading anew.
    view().setUint32(at + 20, 0xffff_fffe, true);
    for (const reading of [2, 2, 2]) call("ewmaUpdate", at, reading);
    expect(call("ewmaCount", at) >>> 0).toBe(0xffff_ffff);
  });

  test("an average's, of deviations that the last reading lay off, however small they are", () => {
    const at = dirty(constant("EWMA_BYTES"));
    const z = (deviationMin: number, ...readings: readonly number[]) => {
      call("ewmaInit", at, 0.5, 3, deviationMin, 0);
      for (const reading of readings) call("ewmaUpdate", at, reading);
      return call("ewmaZ", at);
    };
    expect([z(0.125, 4, 4.25), z(0, 4, 4), z(2, 4, 10)]).toEqual([2, 0, 3]);
    // Where there is no deviation at all, any is beyond measure.
    expect(z(0, 4, 4.5)).toBe(Math.fround(Math.sqrt(3.4028234663852886e38)));
  });

  test("a wheel's, of timers that run and that it has room for", () => {
    const at = dirty(call("wheelBytes", 2));
    call("wheelInit", at, 2, 0n);
    expect([1, 2, 3].map((tag) => Math.min(call("wheelAdd", at, 5000n, tag), 1))).toEqual([1, 1, POOL_FULL]);
    expect([call("wheelUsed", at), call("wheelCapacity", at)]).toEqual([2, 2]);
  });
});

describe("rates", () => {
  test("GCRA tells what comes too soon from what can never come", () => {
    const at = dirty(constant("GCRA_BYTES"));
    // Ten a microsecond, three at once: four take less than a microsecond too.
    expect(call("gcraInit", at, 10, 1, 3)).toBe(0);
    expect([3, 1, 3, 4, 10].map((tokens) => call("gcraTake", at, tokens, 50n))).toEqual([
      0,
      LIMITED,
      LIMITED,
      ARGUMENT,
      ARGUMENT,
    ]);
    expect([call("gcraTake", at, 1, (1n << 63n) - 1n), call("gcraTake", at, 1, 1n << 63n)]).toEqual([
      0,
      ARGUMENT,
    ]);
    expect(call("gcraInit", at, 10, 1, 3)).toBe(0);
    expect([call("gcraTake", at, 1, 50n), call("gcraRemaining", at, 50n)]).toEqual([0, 2]);
    // No tokens are always there, and take no place.
    expect(call("gcraTake", at, 0, 60n)).toBe(0);
    expect(call64("gcraReserve", at, 1, 1n << 63n)).toBe(BigInt.asUintN(64, BigInt(ARGUMENT ?? 0)));
    // A span beyond all time is no rate.
    expect(call("gcraInit", at, 1, 2 ** 32 - 1, 2 ** 30)).toBe(0);
    expect(call("gcraInit", at, 1, 2 ** 32 - 1, 2 ** 30 + 1)).toBe(ARGUMENT);
    // The first that is too long, 2^62 - 1.
    expect(call("gcraInit", at, 1, 2 ** 31 + 1, 2 ** 31 - 1)).toBe(ARGUMENT);
  });

  test("a place in GCRA's queue waits for the fraction of a microsecond too", () => {
    const at = dirty(constant("GCRA_BYTES"));
    call("gcraInit", at, 3, 10, 3);
    expect([0n, 3n, 6n, 9n].map((nowUs) => call64("gcraReserve", at, 1, nowUs))).toEqual([0n, 1n, 1n, 1n]);
    expect([call("gcraRemaining", at, 13n), call64("gcraResetUs", at, 13n)]).toEqual([2, 1n]);
    expect([call("gcraRemaining", at, 14n), call64("gcraResetUs", at, 14n)]).toEqual([3, 0n]);
  });

  test.each(["fixed", "sliding"])(
    "a %s window's limit holds just two periods after it was used up",
    (kind) => {
      const at = dirty(constant("WINDOW_BYTES"));
      call("windowInit", at, 3, 100, 7n);
      const take = (nowUs: bigint) => call(`${kind}Take`, at, 3, nowUs);
      expect([take(7n), take(8n)]).toEqual([0, LIMITED]);
      expect([take(207n), take(207n), take(207n)]).toEqual([0, LIMITED, LIMITED]);
      expect(call(`${kind}Remaining`, at, 306n)).toBe(0);
      expect(call(`${kind}Remaining`, at, 507n)).toBe(3);
    },
  );

  test("a sliding log of one place, over and over, stays in its memory", () => {
    const [at, entries] = [dirty(constant("LOG_BYTES")), dirty(8)];
    expect(call("logInit", at, 1, 10, entries)).toBe(0);
    for (let nowUs = 0n; nowUs < 100n; nowUs += 10n) {
      expect(call("logTake", at, 1, nowUs)).toBe(0);
      expect(call("logTake", at, 1, nowUs + 9n)).toBe(LIMITED);
      expect([call64("logWaitUs", at, 1, nowUs + 9n), call64("logResetUs", at, nowUs + 9n)]).toEqual([
        1n,
        1n,
      ]);
    }
    expect(inside.bytes()[entries + 8]).toBe(0xff);
    expect([call("logInit", at, 65_536, 1, entries), call("logInit", at, 65_537, 1, entries)]).toEqual([
      0,
      ARGUMENT,
    ]);
  });
});

describe("a breaker's rates", () => {
  const CALLS_EXACT_MAX = 0x3f_ffff;
  const state = (calls: number, failures: number, milli: number) => {
    const at = dirty(constant("BREAKER_BYTES") + constant("OUTCOMES_BYTES_MAX"));
    call("breakerInit", at, 10, 20);
    call("breakerWindowByTime", at, 1_000_000, 2, 0n);
    call("breakerTripRates", at, milli, 0, 0, 1);
    // All but one failure that is told.
    call("outcomesAdd", at + 64, calls - 1, failures - 1, 0, 0n);
    return call("breakerReturn", at, call("breakerAcquire", at, 0n), 1, 0, 0n);
  };

  test("are exact up to four million calls, and to a thousandth of them beyond", () => {
    for (const calls of [1000, 1_000_000, CALLS_EXACT_MAX]) {
      for (const milli of [1, 333, 500, 1000]) {
        const least = Math.ceil((calls * milli) / 1000);
        expect([state(calls, least - 1, milli), state(calls, least, milli)]).toEqual([0, 1]);
      }
    }
    for (const calls of [CALLS_EXACT_MAX + 1, 2 ** 31, 2 ** 32 - 1024]) {
      const least = Math.ceil((calls * 333) / 1000);
      expect([state(calls, least - 2048, 333), state(calls, least + 2048, 333)]).toEqual([0, 1]);
      expect([state(calls, 1, 1000), state(calls, calls, 1000)]).toEqual([0, 1]);
    }
  });

  test("time that ends never wraps around", () => {
    const at = dirty(constant("BREAKER_BYTES"));
    call("breakerInit", at, 2 ** 32 - 1, 1);
    call("breakerForce", at, 1, 2n ** 64n - 10n);
    expect([call("breakerState", at, 2n ** 64n - 2n), call("breakerAcquire", at, 5n)]).toEqual([1, OPEN]);
    expect(call64("breakerWaitUs", at, 0n)).toBe(2n ** 64n - 1n);
  });
});

test("a visit of a seasonal baseline begins with no sums of the one before", () => {
  const at = dirty(call("seasonalBytes", 4));
  call("seasonalInit", at, 400n, 4, 0.125, 5, 0, 1);
  const f32 = (offset: number) => view().getFloat32(at + offset, true);
  for (let nowUs = 0n; nowUs < 4000n; nowUs += 20n) {
    const isFirst = nowUs % 100n === 0n;
    call("seasonalUpdate", at, nowUs, 20.123 + Number(nowUs % 77n) / 3);
    if (!isFirst) continue;
    expect(view().getUint32(at + 44, true)).toBe(1);
    expect(f32(48)).toBe(f32(68));
    expect(f32(52)).toBe(Math.fround(f32(68) ** 2));
  }
  // Slots passed since the reading before, as an alarm's detector counts them.
  const skipped = (nowUs: bigint) => {
    call("seasonalUpdate", at, nowUs, 20);
    return call("seasonalSkipped", at);
  };
  expect([4000n, 4099n, 4100n, 4299n, 4399n, 4700n, 5099n, 5100n, 5300n].map(skipped)).toEqual([
    1, 0, 1, 1, 1, 4, 3, 1, 2,
  ]);
  // Of a visit that would not end only the first 2^20 readings are learnt.
  view().setUint32(at + 44, (1 << 20) - 1, true);
  for (let n = 0; n < 2; n += 1) call("seasonalUpdate", at, 5310n, 20);
  expect(view().getUint32(at + 44, true)).toBe(1 << 20);
});
