/**
 * Every struct begins as its module draws it, whatever lay in the memory before, and nothing behind it is touched: others (host/core, the firmware,
 * a crash log's reader) read fields where the drawings say.
 */
import { expect, test } from "vitest";
import { openInside } from "../support/inside.ts";

const inside = await openInside([
  "clock/dotted",
  "clock/hlc",
  "clock/lamport",
  "clock/vector",
  "errors/monitor",
  "errors/recovery",
  "memory/byte-ring",
  "resilience/breaker",
  "resilience/bulkhead",
  "resilience/concurrency",
  "resilience/gcra",
  "resilience/last-good",
  "resilience/latency",
  "resilience/limiter",
  "resilience/outcomes",
  "resilience/retry",
  "resilience/retry-budget",
  "resilience/sliding-log",
  "resilience/throttle",
  "resilience/timer-wheel",
  "resilience/token-bucket",
  "resilience/window",
  "stats/anomaly",
  "stats/cusum",
  "stats/ewma",
  "stats/histogram",
  "stats/mad",
  "stats/p2",
  "stats/seasonal",
  "stats/welford",
  "trace/sampler",
]);
const { call, constant, dirty, view } = inside;
const NOW = 0x0102_0304_0506n;

/** A field by its place and type, as the drawings write it: "+8 u32" or, for some in a row, "+8 u32 * 5". */
type Fields = Readonly<Record<string, number | bigint>>;
type Begin = (at: number) => number;

function read(at: number, type: string): number | bigint {
  switch (type) {
    case "u8":
      return view().getUint8(at);
    case "u16":
      return view().getUint16(at, true);
    case "u32":
      return view().getUint32(at, true);
    case "u64":
      return view().getBigUint64(at, true);
    case "f32":
      return view().getFloat32(at, true);
    default:
      return view().getFloat64(at, true);
  }
}
const SIZES: Readonly<Record<string, number>> = { u8: 1, u16: 2, u32: 4, u64: 8, f32: 4, f64: 8 };

function expectDrawn(at: number, bytes: number, fields: Fields): void {
  for (const [field, value] of Object.entries(fields)) {
    const [, place = "", type = "", count = "1"] = /^\+(\d+) (\w+)(?: \* (\d+))?$/.exec(field) ?? [];
    for (let index = 0; index < Number(count); index += 1) {
      const told = read(at + Number(place) + index * (SIZES[type] ?? 0), type);
      expect([field, told]).toEqual([field, type === "f32" ? Math.fround(Number(value)) : value]);
    }
  }
  const behind = inside.bytes().subarray(at + bytes, at + bytes + 64);
  expect(
    behind.findIndex((byte) => byte !== 0xff),
    "a byte behind it",
  ).toBe(-1);
}

const windowByTime = (from: number, slots: number, slotUs: number): Fields => ({
  [`+${from} u16`]: 2,
  [`+${from + 2} u16`]: slots,
  [`+${from + 4} u32 * 4`]: 0,
  [`+${from + 20} u32`]: slotUs,
  [`+${from + 24} u64`]: NOW,
  [`+${from + 32} u32 * ${3 * slots}`]: 0,
});

const STRUCTS: readonly (readonly [name: string, bytes: () => number, begin: Begin, fields: Fields])[] = [
  [
    "HLC",
    () => constant("HLC_BYTES"),
    (at) => call("hlcInit", at, 7, 5n),
    { "+0 u64": 5n, "+8 u64": 2n ** 64n - 1n, "+16 u32": 7 },
  ],
  ["Lamport", () => constant("LAMPORT_BYTES"), (at) => call("lamportInit", at, 5n), { "+0 u64": 5n }],
  ["vector", () => call("vectorBytes", 2), (at) => call("vectorInit", at, 2), { "+0 u32": 0, "+4 u32": 2 }],
  ["dots", () => call("dotsBytes", 2), (at) => call("dotsInit", at, 2), { "+0 u32": 0, "+4 u32": 2 }],
  [
    "monitor",
    () => constant("MONITOR_BYTES"),
    (at) => call("monitorInit", at, 9),
    { "+0 u32": 0x4d4f_4e31, "+8 u32": 9, "+12 u32 * 84": 0 },
  ],
  ["ladder", () => constant("RECOVERY_BYTES"), (at) => call("recoveryReset", at), { "+0 u64 * 3": 0n }],
  [
    "byte ring",
    () => 64,
    (at) => call("ringInit", at, 64),
    {
      "+0 u32": 0x474e_4952,
      "+4 u32": 16,
      "+8 u32 * 3": 0,
      "+24 u32 * 3": 0,
      "+40 u32": 0,
    },
  ],
  [
    "breaker",
    () => constant("BREAKER_BYTES"),
    (at) => {
      call("breakerInit", at, 100, 200);
      call("breakerTripConsecutive", at, 3);
      call("breakerProbes", at, 4, 5);
      return call("breakerTripRates", at, 600, 700, 800, 9);
    },
    {
      "+0 u64": 0n,
      "+8 u32": 100,
      "+12 u32": 200,
      "+16 u32": 800,
      "+20 u32": 0,
      "+24 u8 * 2": 0,
      "+26 u16": 9,
      "+28 u16": 4,
      "+30 u16": 5,
      "+32 u16 * 2": 0,
      "+36 u16": 3,
      "+38 u16": 0,
      "+40 u16": 600,
      "+42 u16": 700,
      "+48 u32 * 4": 0,
    },
  ],
  [
    "breaker with a window",
    () => constant("BREAKER_BYTES") + call("outcomesBytesByTime", 3),
    (at) => {
      call("breakerInit", at, 100, 200);
      return call("breakerWindowByTime", at, 30, 3, NOW);
    },
    { "+25 u8": 1, "+28 u16 * 2": 1, ...windowByTime(64, 3, 10) },
  ],
  [
    "outcomes by count",
    () => call("outcomesBytesByCount", 40),
    (at) => call("outcomesByCount", at, 40),
    { "+0 u16": 1, "+2 u16": 40, "+4 u32 * 4": 0 },
  ],
  [
    "outcomes by time",
    () => call("outcomesBytesByTime", 16),
    (at) => call("outcomesByTime", at, 160, 16, NOW),
    windowByTime(0, 16, 10),
  ],
  [
    "throttle",
    () => call("throttleBytes", 4),
    (at) => call("throttleInit", at, 2000, 40, 4, NOW),
    { "+0 u32": 2000, "+4 u32": 0, ...windowByTime(8, 4, 10) },
  ],
  [
    "retry budget",
    () => call("budgetBytes", 4),
    (at) => call("budgetInit", at, 200, 7, 3_000_000, 4, NOW),
    { "+0 u32": 200, "+4 u32": 21, "+8 u32": 0, ...windowByTime(16, 4, 750_000) },
  ],
  [
    "bulkhead",
    () => call("bulkheadBytes", 2),
    (at) => call("bulkheadInit", at, 5, 2),
    {
      "+0 u32": 5,
      "+4 u32": 0,
      "+8 u32": 2,
      "+12 u32": 0,
      "+16 u32": 1,
      "+20 u32 * 11": 0,
      "+64 u16 * 4": 1000,
      "+72 u32": 0,
      "+80 u32": 2,
      "+92 u16": 0xffff,
      "+94 u16": 0,
      "+96 u32": 0,
      "+108 u16": 0xffff,
      "+110 u16": 0,
    },
  ],
  [
    "bulkhead without a queue",
    () => call("bulkheadBytes", 0),
    (at) => call("bulkheadInit", at, 5, 0),
    { "+0 u32": 5, "+8 u32 * 14": 0, "+64 u16 * 4": 1000 },
  ],
  [
    "concurrency",
    () => constant("CONCURRENCY_BYTES"),
    (at) => {
      call("concurrencyInit", at, 1, 3, 2, 4, 500, NOW);
      call("concurrencyAimd", at, 800, 900);
      return call("concurrencyBaseline", at, 600, 1700, NOW);
    },
    {
      "+0 u16": 1,
      "+2 u16": 0,
      "+4 u32": 3 * 256,
      "+8 u32": 2,
      "+12 u32": 4,
      "+16 u32": 500,
      "+20 u32": 900,
      "+24 u16": 800,
      "+26 u16": 1700,
      "+28 u32": 0,
      "+32 u64": NOW + 500n,
      "+40 u64": 0n,
      "+48 u32 * 4": 0,
      "+64 u64": NOW + 600n,
      "+72 u32": 600,
      "+76 u32": 0,
    },
  ],
  [
    "concurrency, at first",
    () => constant("CONCURRENCY_BYTES"),
    (at) => call("concurrencyInit", at, 2, 3, 3, 3, 500, NOW),
    { "+24 u16": 900, "+26 u16": 1500, "+20 u32": 0, "+64 u64": 0n },
  ],
  [
    "GCRA",
    () => 44,
    (at) => call("gcraInit", at, 7, 0x0100_0003, 4),
    {
      "+0 u64": 0n,
      "+8 u64": BigInt(Math.floor(0x0100_0003 / 7)),
      "+16 u64": BigInt(Math.floor((4 * 0x0100_0003) / 7)),
      "+24 u32": 0,
      "+28 u32": 0x0100_0003 % 7,
      "+32 u32": (4 * 0x0100_0003) % 7,
      "+36 u32": 7,
      "+40 u32": 0x0100_0003,
    },
  ],
  [
    "token bucket",
    () => constant("BUCKET_BYTES"),
    (at) => call("bucketInit", at, 7, 0x0100_0003, 4, NOW),
    {
      "+0 u64": 4n * 0x0100_0003n,
      "+8 u64": NOW,
      "+16 u64": 4n * 0x0100_0003n,
      "+24 u64": BigInt(Math.floor((4 * 0x0100_0003) / 7) + 1),
      "+32 u32": 7,
      "+36 u32": 0x0100_0003,
    },
  ],
  [
    "window",
    () => constant("WINDOW_BYTES"),
    (at) => call("windowInit", at, 7, 0x0100_0003, NOW),
    { "+0 u64": NOW, "+8 u32": 7, "+12 u32": 0x0100_0003, "+16 u32 * 2": 0 },
  ],
  [
    "sliding log",
    () => 20,
    (at) => call("logInit", at, 7, 0x0100_0003, 4096),
    { "+0 u32": 4096, "+4 u32": 7, "+8 u32": 0x0100_0003, "+12 u32 * 2": 0 },
  ],
  [
    "limiter",
    () => constant("LIMITER_BYTES"),
    (at) => call("limiterInit", at, 0, 7, 0x0100_0003, 4, 0, NOW),
    { "+0 u32": 0, "+4 u32 * 2": 0, "+12 u32": 4, "+24 u64": NOW },
  ],
  [
    "limiter of a log",
    () => constant("LIMITER_BYTES"),
    (at) => call("limiterInit", at, 4, 7, 3, 4, 4096, NOW),
    { "+0 u32": 4, "+12 u32": 7, "+16 u32": 4096 },
  ],
  [
    "last good",
    () => constant("LAST_GOOD_BYTES"),
    (at) => call("lastGoodInit", at, 77n),
    { "+0 u64": 0n, "+8 u64": 77n, "+16 u32": 0 },
  ],
  [
    "latency",
    () => constant("LATENCY_BYTES"),
    (at) => call("latencyInit", at, 500),
    { "+0 u64": 0n, "+8 u32": 0, "+12 u32": 512 },
  ],
  [
    "retry",
    () => constant("RETRY_BYTES"),
    (at) => call("retryInit", at, 3, 100, 200, 9, 2),
    { "+0 u32": 100, "+4 u32": 200, "+8 u32": 9, "+12 u16": 3, "+14 u16": 2, "+16 u32": 100 },
  ],
  [
    "timer wheel",
    () => call("wheelBytes", 2),
    (at) => call("wheelInit", at, 2, NOW),
    {
      "+0 u32": 2,
      "+4 u32": 1,
      "+8 u64": NOW >> 10n,
      "+16 u32 * 7": 0,
      "+48 u32 * 160": 0,
      "+688 u32": 2,
      "+708 u16": 0xffff,
      "+710 u16": 0,
      "+712 u32": 0,
      "+732 u16": 0xffff,
      "+734 u16": 0,
    },
  ],
  [
    "CUSUM",
    () => constant("CUSUM_BYTES"),
    (at) => call("cusumInit", at, 1.5, 2.5, 3.5),
    { "+0 f32": 1.5, "+4 f32": 2.5, "+8 f32": 3.5, "+12 f32 * 2": 0 },
  ],
  [
    "EWMA",
    () => constant("EWMA_BYTES"),
    (at) => call("ewmaInit", at, 0.25, 3, 0.5, 7),
    {
      "+0 f32 * 2": 0,
      "+8 f32": 0.25,
      "+12 f32": 9,
      "+16 f32": 0.25,
      "+20 u32": 0,
      "+24 u32": 7,
      "+28 f32": 0,
    },
  ],
  [
    "histogram",
    () => call("histogramBytes", 1),
    (at) => call("histogramInit", at, 1),
    {
      "+0 u32": 1,
      "+4 u32": 64,
      "+8 u64 * 2": 0n,
      "+24 u32": 2 ** 32 - 1,
      "+28 u32": 0,
      "+32 u32 * 64": 0,
    },
  ],
  [
    "MAD",
    () => call("madBytes", 3),
    (at) => call("madInit", at, 3, 3.5, 0.5),
    { "+0 u32": 3, "+4 u32 * 2": 0, "+12 f32": 3.5, "+16 f32": 0.5 },
  ],
  ["P2", () => constant("P2_BYTES"), (at) => call("p2Init", at, 0.25), { "+0 f64": 0.25, "+8 u64": 0n }],
  [
    "Welford",
    () => constant("WELFORD_BYTES"),
    (at) => call("welfordInit", at),
    { "+0 u64": 0n, "+8 f64 * 2": 0 },
  ],
  [
    "seasonal baseline",
    () => call("seasonalBytes", 5),
    (at) => call("seasonalInit", at, 5003n, 5, 0.25, 3, 0.5, 2),
    {
      "+0 u32": 5,
      "+4 u32": 0,
      "+8 u64": 1000n,
      "+16 u64": 0n,
      "+24 f32": 0.25,
      "+28 f32": 9,
      "+32 f32": 0.25,
      "+36 u32": 10,
      "+40 u32 * 11": 0,
      "+88 u32 * 10": 0,
      "+128 u8 * 5": 0,
    },
  ],
  [
    "anomaly monitor",
    () => call("anomalyBytes", 5),
    (at) => call("anomalyInit", at, 5003n, 5, 0.25, 3, 0.5, 2, 77n),
    {
      "+0 f32": 0,
      "+4 f32": 1.75,
      "+8 f32": 9,
      "+12 f32 * 2": 0,
      "+24 u64": 77n,
      "+32 u64": 0n,
      "+40 u32": 5,
      "+48 u64": 1000n,
    },
  ],
  [
    "ratio sampler",
    () => constant("RATIO_BYTES"),
    (at) => call("samplerRatioInit", at, 0.25),
    { "+0 u64": 3n << 54n },
  ],
  [
    "rate sampler",
    () => constant("RATE_BYTES"),
    (at) => call("samplerRateInit", at, 0.25, 7, 30, 4),
    { "+0 u64": 3n << 54n, "+8 u64": 0n, "+44 u32": 7, "+48 u32": 30 },
  ],
  [
    "adaptive sampler",
    () => constant("ADAPTIVE_BYTES"),
    (at) => call("samplerAdaptiveInit", at, 7, 5000n, 9),
    {
      "+0 u64": 0n,
      "+8 u64": 5000n,
      "+16 u64": 0n,
      "+24 u64": 1n << 32n,
      "+32 u32": 7,
      "+36 u32": 9,
      "+40 u32": 0,
    },
  ],
];

test.each(STRUCTS)("%s", (_name, bytes, begin, fields) => {
  const at = dirty(bytes());
  expect(begin(at) || 0).toBe(0);
  expectDrawn(at, bytes(), fields);
});
