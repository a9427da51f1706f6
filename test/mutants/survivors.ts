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
    file: "assembly/resilience/gcra.ts",
    text: "const PERIOD_US: usize = 40;",
    from: "40",
    to: "41",
    reason: "the field moves into the struct's unused end",
  },
  {
    file: "assembly/resilience/retry-budget.ts",
    text: "const WINDOW: usize = 16;",
    from: "16",
    to: "17",
    reason: "the window moves as a whole; the room for it is rounded up",
  },
  {
    file: "assembly/stats/ewma.ts",
    text: "export const EWMA_BYTES: usize = 32;",
    from: "32",
    to: "33",
    reason: "a byte that nobody uses",
  },
  {
    file: "assembly/hash/jump.ts",
    text: "return bucket < 0 ? 0 : <i32>bucket;",
    from: "<",
    to: "<=",
    reason: "bucket 0 is 0 either way",
  },
];

export function isOf({ file, text, from, to }: Survivor, mutant: GeneratedMutant): boolean {
  return file === mutant.file && text === mutant.text && from === mutant.from && to === mutant.to;
}

export function reasonFor(mutant: GeneratedMutant): string | undefined {
  return SURVIVORS.find((row) => isOf(row, mutant))?.reason;
}
