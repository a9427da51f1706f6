/** Of what devices configure by themselves: the last number that is taken and the first that is not, and the shortest times. */
import { expect, test } from "vitest";
import { ERRORS } from "../../protocols/table.ts";
import { openInside } from "../support/inside.ts";

const { bytes, call, call64, constant, dirty, view } = await openInside([
  "hash/jump",
  "resilience/bulkhead",
  "resilience/gcra",
  "resilience/retry-budget",
  "resilience/sliding-log",
  "resilience/throttle",
  "resilience/window",
  "stats/anomaly",
  "stats/ewma",
  "stats/histogram",
  "stats/seasonal",
  "trace/sampler",
]);
const ARGUMENT = -ERRORS.ARGUMENT.number;
const BULKHEAD_FULL = -ERRORS.BULKHEAD_FULL.number;
const POOL_FULL = -ERRORS.POOL_FULL.number;

test("a slot, or a sampler's period, of one microsecond counts from the first reading on", () => {
  const seasonal = dirty(call("seasonalBytes", 4));
  expect([3n, 4n].map((periodUs) => call("seasonalInit", seasonal, periodUs, 4, 0.5, 5, 0, 1))).toEqual([
    ARGUMENT,
    0,
  ]);
  const skipped = [0n, 1n, 6n].map((nowUs) => {
    call("seasonalUpdate", seasonal, nowUs, 20);
    return call("seasonalSkipped", seasonal);
  });
  expect(skipped).toEqual([0, 1, 5]);
  call("seasonalInit", seasonal, 4n, 4, 0.5, 5, 0, 1);
  const late = [0n, 6n].map((nowUs) => {
    call("seasonalUpdate", seasonal, nowUs, 20);
    return call("seasonalSkipped", seasonal);
  });
  expect(late).toEqual([0, 6]);
  const sampler = dirty(constant("ADAPTIVE_BYTES"));
  call("samplerAdaptiveInit", sampler, 1, 1n, 1);
  for (let trace = 0; trace < 100; trace += 1) call("samplerAdaptive", sampler, 0, 0, 0n);
  expect(call64("samplerShare", sampler)).toBe(1n << 32n);
  call("samplerAdaptive", sampler, 0, 0, 1n);
  expect(call64("samplerShare", sampler)).toBe(1n << 31n);
});

test("numbers of a configuration that are still allowed, and the first that are not", () => {
  const at = dirty(constant("THROTTLE_BYTES_MAX") + call("seasonalBytes", 4));
  expect([999, 1000, 100_000, 100_001].map((milli) => call("throttleInit", at, milli, 99, 2, 0n))).toEqual([
    ARGUMENT,
    0,
    0,
    ARGUMENT,
  ]);
  const budget = (shareMilli: number, perSecond: number) =>
    call("budgetInit", at, shareMilli, perSecond, 99, 2, 0n);
  expect([budget(10_000, 1_000_000), budget(10_001, 1), budget(1, 1_000_001)]).toEqual([
    0,
    ARGUMENT,
    ARGUMENT,
  ]);
  const seasonal = (alpha: number, z: number, deviationMin: number, warmup: number) =>
    call("seasonalInit", at, 400n, 4, alpha, z, deviationMin, warmup);
  expect([
    seasonal(1, 1000, 1e15, 1000),
    seasonal(1.001, 5, 0, 1),
    seasonal(1, 1001, 0, 1),
    seasonal(1, 5, 1.1e15, 1),
    seasonal(1, 5, 0, 1001),
    seasonal(1, 5, 0, 0),
    seasonal(0, 5, 0, 1),
    seasonal(1, 0, 0, 1),
  ]).toEqual([0, ...Array(7).fill(ARGUMENT)]);
  seasonal(1, 5, 0, 1);
  expect([1e15, -1e15, 1.001e15, -1.001e15].map((it) => call("seasonalUpdate", at, 1n, it))).toEqual([
    0,
    0,
    ARGUMENT,
    ARGUMENT,
  ]);
  const ewma = (alpha: number, z: number, deviationMin: number) =>
    call("ewmaInit", at, alpha, z, deviationMin, 0);
  const largest = 3.4028234663852886e38;
  expect([ewma(1, 3e38, largest), ewma(1, largest, 0), ewma(1, 1, Number.POSITIVE_INFINITY)]).toEqual([
    0,
    ARGUMENT,
    ARGUMENT,
  ]);
  expect([ewma(1.001, 1, 0), ewma(0, 1, 0), ewma(1, 0, 0), ewma(1, 1, -1)]).toEqual(Array(4).fill(ARGUMENT));
  expect([ewma(0.001, 0.001, 0.001), seasonal(0.001, 0.001, 0.001, 1)]).toEqual([0, 0]);
  ewma(0.5, 3, 0);
  expect([largest, -largest, Number.POSITIVE_INFINITY].map((it) => call("ewmaUpdate", at, it))).toEqual([
    0,
    1,
    ARGUMENT,
  ]);
  const gcra = ([0, 1] as const).flatMap((a) =>
    [0, 1].flatMap((b) => [0, 1].map((c) => call("gcraInit", at, a, b, c))),
  );
  expect(gcra).toEqual([...Array(7).fill(ARGUMENT), 0]);
  expect([call("windowInit", at, 0, 1, 0n), call("windowInit", at, 1, 0, 0n)]).toEqual([ARGUMENT, ARGUMENT]);
  const bulkhead = dirty(call("bulkheadBytes", 65_534));
  const queue = (limit: number, queueMax: number) => call("bulkheadInit", bulkhead, limit, queueMax);
  expect([queue(0, 1), queue(1, 65_535), queue(1, 65_534)]).toEqual([ARGUMENT, ARGUMENT, 0]);
  const share = (priority: number, milli: number) => call("bulkheadShare", bulkhead, priority, milli);
  expect([share(0, 0), share(0, 1001), share(4, 1), share(3, 1), share(3, 1000)]).toEqual([
    ...Array(3).fill(ARGUMENT),
    0,
    0,
  ]);
});

test("a share of 999 thousandths is none of all", () => {
  const at = dirty(call("bulkheadBytes", 0));
  call("bulkheadInit", at, 1000, 0);
  call("bulkheadShare", at, 1, 999);
  for (let count = 0; count < 999; count += 1) expect(call("bulkheadTry", at, 1)).toBe(0);
  expect([call("bulkheadTry", at, 1), call("bulkheadTry", at, 0)]).toEqual([BULKHEAD_FULL, 0]);
});

test("an alarm's detector forgets after a silence of just a period, and not after a slot less", () => {
  const at = dirty(call("anomalyBytes", 4));
  const sums = (gap: bigint) => {
    call("anomalyInit", at, 400n, 4, 0.125, 1000, 1, 1, 0n);
    let nowUs = 0n;
    for (let visit = 0; visit < 40; visit += 1) {
      nowUs += 100n;
      call("anomalyUpdate", at, nowUs, visit < 38 ? 20 : 22.5);
    }
    expect(view().getFloat32(at + 12, true)).toBeGreaterThan(0);
    call("anomalyUpdate", at, nowUs + gap, 22.5);
    return view().getFloat32(at + 12, true);
  };
  expect([sums(300n) > 0, sums(400n)]).toEqual([true, 0]);
});

test("a sampler opens again by a doubling for each period without a trace", () => {
  const at = dirty(constant("ADAPTIVE_BYTES"));
  const after = (gapUs: bigint) => {
    call("samplerAdaptiveInit", at, 1, 100n, 1);
    call("samplerAdaptive", at, 0, 0, 0n);
    // The least share there is, kept by two traces a period.
    view().setBigUint64(at + 24, 1n, true);
    view().setUint32(at + 40, 0xffff_ffff, true);
    call("samplerAdaptive", at, 0, 0, 100n + gapUs);
    return call64("samplerShare", at);
  };
  expect([0n, 99n, 100n, 199n, 200n, 3199n, 3200n, 9000n].map(after)).toEqual([
    1n,
    1n,
    2n,
    2n,
    4n,
    1n << 31n,
    1n << 32n,
    1n << 32n,
  ]);
  // A share that is all already stays so, after as many periods as doublings as well.
  call("samplerAdaptiveInit", at, 1, 100n, 1);
  for (const nowUs of [0n, 3300n]) call("samplerAdaptive", at, 0, 0, nowUs);
  expect(call64("samplerShare", at)).toBe(1n << 32n);
});

test("a pool grows by the one item that is missing to its most, and no further", async () => {
  const alone = await openInside(["memory/pool"]);
  const most = 0xf_fffe;
  // The heap takes what lies below: both rooms for 24 bytes an item.
  const at = alone.dirty(64 << 20) + (64 << 20);
  alone.call("poolInit", at, 8, most - 1);
  for (let item = 1; item < most; item += 1) alone.call("poolTake", at, 0);
  expect([alone.call("poolTake", at, 0), alone.call("poolCapacity", at)]).toEqual([POOL_FULL, most - 1]);
  expect(alone.call("poolTake", at, 1)).toBeGreaterThan(0);
  expect([alone.call("poolTake", at, 1), alone.call("poolCapacity", at)]).toEqual([POOL_FULL, most]);
});

test("jump's longest jump goes beyond every bucket", () => {
  // A key of 0 draws the least number there is: its first jump is 2^31 buckets far.
  expect(call("jumpHash", 0n, 2 ** 31 - 1)).toBe(0);
});

test("the value of a rank beyond all is the highest, whatever lies behind the histogram", () => {
  const at = dirty(call("histogramBytes", 3));
  call("histogramInit", at, 3);
  call("histogramRecord", at, 0xffff_ffff, 1);
  expect([1n, 2n].map((rank) => call("histogramValueAt", at, rank) >>> 0)).toEqual([
    0xffff_ffff, 0xffff_ffff,
  ]);
});

test("a sliding log keeps to its entries, and forgets whatever is asked first", () => {
  const [at, entries] = [dirty(constant("LOG_BYTES")), dirty(4 * 8)];
  const log = (): void => {
    call("logInit", at, 4, 10, entries);
    for (const nowUs of [100n, 100n, 103n, 105n]) call("logTake", at, 1, nowUs);
  };
  log();
  const times = Array.from({ length: 4 }, (_, index) => view().getBigUint64(entries + index * 8, true));
  expect(times).toEqual([100n, 100n, 103n, 105n]);
  expect(bytes()[entries + 32]).toBe(0xff);
  expect(call64("logResetUs", at, 120n)).toBe(0n);
  log();
  expect(call64("logWaitUs", at, 2, 112n)).toBe(0n);
  log();
  expect(call("logRemaining", at, 113n)).toBe(3);
  log();
  expect(call("logTake", at, 4, 115n)).toBe(0);
});

test("alarms are as far apart as the hold, and no further", () => {
  const at = dirty(call("anomalyBytes", 1));
  call("anomalyInit", at, 100n, 1, 0.125, 5, 1, 1, 1000n);
  for (let nowUs = 0n; nowUs < 5000n; nowUs += 50n) call("anomalyUpdate", at, nowUs, 20);
  const alarm = (nowUs: bigint) => Math.min(1, call("anomalyUpdate", at, nowUs, 200));
  expect([5001n, 5002n, 6000n, 6001n, 6002n].map(alarm)).toEqual([1, 0, 0, 1, 0]);
  // Without a hold each is told, and a hold beyond all time ends with it.
  for (const [holdUs, told] of [
    [0n, 1],
    [2n ** 64n - 1n, 0],
  ] as const) {
    call("anomalyInit", at, 100n, 1, 0.125, 5, 1, 1, holdUs);
    for (let nowUs = 0n; nowUs < 5000n; nowUs += 50n) call("anomalyUpdate", at, nowUs, 20);
    expect([5001n, 5002n, 5003n].map(alarm)).toEqual([1, told, told]);
  }
});
