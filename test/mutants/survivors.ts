/**
 * Faults by rule that no test catches, and why that is right. A row names its fault by the line's text and the change, so that it survives
 * lines that come and go; test/mutants/operators.test.ts fails for a row whose fault is no more.
 */
import type { GeneratedMutant } from "./operators.ts";

export interface Survivor {
  readonly file: string;
  /** The line as it stands, trimmed. */
  readonly text: string;
  readonly from: string;
  readonly to: string;
  readonly reason: string;
}

export const SURVIVORS: readonly Survivor[] = [
  {
    file: "assembly/resilience/token-bucket.ts",
    text: "if (elapsed >= load<u64>(at, FULL_US)) return capacity;",
    from: ">=",
    to: ">",
    reason: "a bucket that was idle for exactly fullUs is full by the refill as well",
  },
  {
    file: "assembly/resilience/token-bucket.ts",
    text: "if (nowUs > load<u64>(at, LAST_US)) store<u64>(at, nowUs, LAST_US);",
    from: ">",
    to: ">=",
    reason: "stores the number that is there",
  },
  {
    file: "assembly/clock/hlc.ts",
    text: "return base > UNBOUNDED - ahead ? UNBOUNDED : base + ahead;",
    from: ">",
    to: ">=",
    reason: "where they are equal the sum is UNBOUNDED",
  },
  {
    file: "assembly/stats/anomaly.ts",
    text: "store<u64>(at, quietUntilUs < nowUs ? u64.MAX_VALUE : quietUntilUs, 32);",
    from: "<",
    to: "<=",
    reason: "differs only for alarms that need not be apart, at the very same time",
  },
  {
    file: "assembly/resilience/throttle.ts",
    text: "while (requests > REQUESTS_EXACT_MAX) {",
    from: ">",
    to: ">=",
    reason: "halves both numbers once more than it must, at one count of a million: the share is the same",
  },
  {
    file: "assembly/resilience/throttle.ts",
    text: "while (requests > REQUESTS_EXACT_MAX) {",
    from: "REQUESTS_EXACT_MAX",
    to: "(REQUESTS_EXACT_MAX + 1)",
    reason: "the products have room for some millions more",
  },
  {
    file: "assembly/stats/p2.ts",
    text: "if (value < height(at, 0)) setHeight(at, 0, value);",
    from: "<",
    to: "<=",
    reason: "sets the height that is there; the cell is the first in both",
  },
  {
    file: "assembly/resilience/last-good.ts",
    text: "return nowUs > storedUs ? nowUs - storedUs : 0;",
    from: ">",
    to: ">=",
    reason: "the difference of equal times is 0",
  },
  {
    file: "assembly/hash/jump.ts",
    text: "return bucket < 0 ? 0 : <i32>bucket;",
    from: "<",
    to: "<=",
    reason: "bucket 0 is 0 either way",
  },
  {
    file: "assembly/codec/cbor.ts",
    text: "if (major < 0) return major;",
    from: "<",
    to: "<=",
    reason: "an item of major type 0 is its head alone: the next line says so as well",
  },
  {
    file: "assembly/errors/facts.ts",
    text: "if (number < code) low = middle + 1;",
    from: "<",
    to: "<=",
    reason: "what is equal has returned",
  },
  {
    file: "assembly/stats/histogram.ts",
    text: "if (value < (<u32>1) << bits) return value;",
    from: "1",
    to: "2",
    reason: "the first shift is 0: both forms give the value",
  },
  {
    file: "assembly/stats/histogram.ts",
    text: "if (bucket < (<u32>1) << bits) return bucket;",
    from: "1",
    to: "2",
    reason: "the first shift is 0: both forms give the bucket",
  },
  {
    file: "assembly/lockfree/byte-ring.ts",
    text: "store<u32>(at, 0);",
    from: "0",
    to: "1",
    reason: "neither is the magic number",
  },
  {
    file: "assembly/lockfree/byte-ring.ts",
    text: "while (whole < count) {",
    from: "<",
    to: "<=",
    reason: "after the last record no bytes are left, which ends it too",
  },
  {
    file: "assembly/hash/jump.ts",
    text: "let bucket: i64 = -1;",
    from: "1",
    to: "2",
    reason: "says that there is none, as every number below 0",
  },
  {
    file: "assembly/resilience/token-bucket.ts",
    text: "return refill >= capacity - level ? capacity : level + refill;",
    from: ">=",
    to: ">",
    reason: "where they are equal the sum is the capacity",
  },
  {
    file: "assembly/clock/lamport.ts",
    text: "if (remote <= last) return 0;",
    from: "<=",
    to: "<",
    reason: "stores the number that is there",
  },
  {
    file: "assembly/resilience/retry-budget.ts",
    text: "return earned > used ? <u32>min<u64>(earned - used, <u64>u32.MAX_VALUE) : 0;",
    from: ">",
    to: ">=",
    reason: "the difference of equal numbers is 0",
  },
  {
    file: "assembly/resilience/throttle.ts",
    text: "while (requests > REQUESTS_EXACT_MAX) {",
    from: "REQUESTS_EXACT_MAX",
    to: "(REQUESTS_EXACT_MAX - 1)",
    reason: "halves both numbers once more than it must, at one count of a million: the share is the same",
  },
  {
    file: "assembly/resilience/throttle.ts",
    text: "return asked > served ? asked - served : 0;",
    from: ">",
    to: ">=",
    reason: "the difference of equal numbers is 0",
  },
  {
    file: "assembly/resilience/timer-wheel.ts",
    text: "if (next == 0 && slot != SLOT_DUE) {",
    from: "SLOT_DUE",
    to: "(SLOT_DUE + 1)",
    reason: "clears a bit of the word behind the bitmaps, which nobody uses",
  },
  {
    file: "assembly/resilience/outcomes.ts",
    text: "if (nowUs - start >= slotUs * <u64>slots) {",
    from: ">=",
    to: ">",
    reason: "after just the whole span every slot is passed and emptied one by one",
  },
  {
    file: "assembly/memory/pool.ts",
    text: "if (index >= load<u32>(at, 8)) return 0;",
    from: ">=",
    to: ">",
    reason: "the word behind the last item is the heap's, and 0, which is no handle",
  },
  {
    file: "assembly/stats/histogram.ts",
    text: "if (value < load<u32>(at, 24)) store<u32>(at, value, 24);",
    from: "<",
    to: "<=",
    reason: "stores the number that is there",
  },
  {
    file: "assembly/stats/histogram.ts",
    text: "if (value > load<u32>(at, 28)) store<u32>(at, value, 28);",
    from: ">",
    to: ">=",
    reason: "stores the number that is there",
  },
  {
    file: "assembly/hash/maglev.ts",
    text: "if (slots < count || slots > SLOTS_MAX || !isPrime(slots)) return 0;",
    from: ">",
    to: ">=",
    reason: "2^24 is no prime",
  },
  {
    file: "assembly/hash/maglev.ts",
    text: "if (slots < count || slots > SLOTS_MAX || !isPrime(slots)) return 0;",
    from: "SLOTS_MAX",
    to: "(SLOTS_MAX + 1)",
    reason: "2^24 + 1 is no prime",
  },
  {
    file: "assembly/hash/maglev.ts",
    text: "if (slots < count || slots > SLOTS_MAX || !isPrime(slots)) return 0;",
    from: "SLOTS_MAX",
    to: "(SLOTS_MAX - 1)",
    reason: "2^24 is no prime",
  },
  {
    file: "assembly/hash/rendezvous.ts",
    text: "let highest: f64 = -1;",
    from: "1",
    to: "2",
    reason: "below every score, as any number below 0",
  },
  {
    file: "assembly/memory/pool.ts",
    text: "for (let offset: usize = 0; offset < kept; offset += 8) store<u64>(items + offset, load<u64>(old + offset));",
    from: "<",
    to: "<=",
    reason: "the head of the next item, which is written after it",
  },
  {
    file: "assembly/resilience/gcra.ts",
    text: "return tatUs + part <= nowUs ? 0 : tatUs + part - nowUs;",
    from: "<=",
    to: "<",
    reason: "the difference of equal times is 0",
  },
  {
    file: "assembly/hash/jump.ts",
    text: "return bucket < 0 ? 0 : <i32>bucket;",
    from: "0",
    to: "1",
    reason: "bucket 0 is 0 either way",
  },
  {
    file: "assembly/resilience/timer-wheel.ts",
    text: "for (let offset: usize = 0; offset < TIMERS; offset += 8) store<u64>(at + offset, 0);",
    from: "TIMERS",
    to: "(TIMERS + 1)",
    reason: "the links of the first timer, which are written after it",
  },
  {
    file: "assembly/hash/rendezvous.ts",
    text: "let owner: i32 = 0;",
    from: "0",
    to: "1",
    reason: "the first node's score is above -1, and it takes its place",
  },
];

export function isOf({ file, text, from, to }: Survivor, mutant: GeneratedMutant): boolean {
  return file === mutant.file && text === mutant.text && from === mutant.from && to === mutant.to;
}

export function reasonFor(mutant: GeneratedMutant): string | undefined {
  return SURVIVORS.find((row) => isOf(row, mutant))?.reason;
}
