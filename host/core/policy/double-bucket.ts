/**
 * The core's token bucket (assembly/resilience/token-bucket.ts) in JavaScript's numbers, where they are exact: while a full bucket's level, burst times the
 * period in microseconds, stays below 2^53. A rate check is small enough that the call into WebAssembly is most of its cost. Same numbers, same
 * decisions: the decision traces and a property test hold the two together. A refill above 2^53 is rounded, but stays above the capacity, which bounds it.
 * Where the numbers would not be exact, rate-limit.ts asks the core.
 */
import { ERRORS } from "../../../protocols/table.ts";
import type { PolicyClock } from "./policy.ts";

const LIMITED = -ERRORS.RATE_LIMITED.number;
const ARGUMENT = -ERRORS.ARGUMENT.number;
const US_PER_MS = 1000;
/** As in assembly/raw/time.ts. */
const MS_MAX = 9.0e12;

const LEVEL = 0;
const LAST_US = 1;

export interface BucketOptions {
  readonly limit: number;
  readonly periodUs: number;
  readonly burst: number;
}

export function isExact({ limit, periodUs, burst }: BucketOptions): boolean {
  return burst * periodUs + limit <= Number.MAX_SAFE_INTEGER;
}

export class DoubleBucket {
  readonly #clock: Pick<PolicyClock, "monotonicMs">;
  readonly #limit: number;
  readonly #periodUs: number;
  readonly #burst: number;
  readonly #capacity: number;
  /** Level and time of the last take: an array of doubles, since a field would be a new heap object each time. */
  readonly #state: Float64Array<ArrayBuffer> = new Float64Array(2);

  constructor(clock: Pick<PolicyClock, "monotonicMs">, { limit, periodUs, burst }: BucketOptions) {
    this.#clock = clock;
    this.#limit = limit;
    this.#periodUs = periodUs;
    this.#burst = burst;
    this.#capacity = burst * periodUs;
    this.#state[LEVEL] = this.#capacity;
    this.#state[LAST_US] = microseconds(clock.monotonicMs());
  }

  /** 0 or the negative of a code's number. In one piece, clock and all: a time that is handed over or back may be a heap number each time. */
  take(tokens: number): number {
    const nowMs = this.#clock.monotonicMs();
    if (!(nowMs >= 0 && nowMs <= MS_MAX)) return ARGUMENT;
    const cost = (tokens >>> 0) * this.#periodUs;
    if (cost > this.#capacity) return ARGUMENT;
    const state = this.#state;
    const nowUs = Math.floor(nowMs * US_PER_MS + 0.5);
    const elapsedUs = nowUs - (state[LAST_US] as number);
    let level = state[LEVEL] as number;
    if (elapsedUs > 0) {
      state[LAST_US] = nowUs;
      // One way to the sum: where several meet, V8 may keep the level as a heap number each time.
      level = Math.min(level + elapsedUs * this.#limit, this.#capacity);
    }
    if (cost > level) {
      state[LEVEL] = level;
      return LIMITED;
    }
    state[LEVEL] = level - cost;
    return 0;
  }

  remaining(nowMs: number): number {
    return Math.floor(this.#levelAt(microseconds(nowMs)) / this.#periodUs);
  }

  /** Infinity for more than it can ever give at once. */
  waitMs(tokens: number, nowMs: number): number {
    if (tokens >>> 0 > this.#burst) return Number.POSITIVE_INFINITY;
    const cost = (tokens >>> 0) * this.#periodUs;
    const level = this.#levelAt(microseconds(nowMs));
    if (cost <= level) return 0;
    return (Math.floor((cost - level - 1) / this.#limit) + 1) / US_PER_MS;
  }

  resetMs(nowMs: number): number {
    return this.waitMs(this.#burst, nowMs);
  }

  #levelAt(nowUs: number): number {
    const level = this.#state[LEVEL] as number;
    const elapsedUs = nowUs - (this.#state[LAST_US] as number);
    if (elapsedUs <= 0) return level;
    return Math.min(level + elapsedUs * this.#limit, this.#capacity);
  }
}

function microseconds(ms: number): number {
  return Math.floor(ms * US_PER_MS + 0.5);
}
