/** Figures of a stream without keeping it, over the core's: one quantile (assembly/stats/p2.ts), mean and variance (assembly/stats/welford.ts). */
import type { Core } from "./core.ts";
import { argument, Struct } from "./struct.ts";

const P2_BYTES = 96;
const WELFORD_BYTES = 24;

export interface QuantileEstimator extends Disposable {
  /** A value that is not finite is passed over. */
  update(value: number): void;
  /** NaN before the first value; exact up to five, then an estimate without a bound on its error: where one is needed, take a histogram. */
  readonly value: number;
  readonly count: number;
}

/** quantile: above 0, below 1. Throws ARGUMENT. */
export function createQuantileEstimator(
  core: Core,
  { quantile }: { readonly quantile: number },
): QuantileEstimator {
  const { raw } = core;
  const struct = new Struct(core, P2_BYTES, "quantile");
  struct.check(raw.p2Init(struct.at, quantile), "A quantile lies above 0 and below 1.");
  return {
    update: (value) => raw.p2Update(struct.at, value),
    get value() {
      return raw.p2Value(struct.at);
    },
    get count() {
      return Number(raw.p2Count(struct.at));
    },
    [Symbol.dispose]: () => struct[Symbol.dispose](),
  };
}

export interface Summary extends Disposable {
  /** A value that is not finite is passed over. */
  update(value: number): void;
  /** Adds what another has seen. */
  merge(other: Summary): void;
  readonly count: number;
  /** 0 when there is none. */
  readonly mean: number;
  /** Of the sample (divided by count - 1); 0 for less than two values. */
  readonly variance: number;
  readonly deviation: number;
  reset(): void;
}

const summaries = new WeakMap<Summary, Struct>();

export function createSummary(core: Core): Summary {
  const { raw } = core;
  const struct = new Struct(core, WELFORD_BYTES, "summary");
  raw.welfordInit(struct.at);
  const summary: Summary = {
    update: (value) => raw.welfordUpdate(struct.at, value),
    merge: (other) => {
      const theirs = summaries.get(other);
      if (theirs?.core !== core)
        throw argument("summary", "Summaries of the same entry point can be merged.");
      raw.welfordMerge(struct.at, theirs.at);
    },
    get count() {
      return Number(raw.welfordCount(struct.at));
    },
    get mean() {
      return raw.welfordMean(struct.at);
    },
    get variance() {
      return raw.welfordVariance(struct.at);
    },
    get deviation() {
      return Math.sqrt(raw.welfordVariance(struct.at));
    },
    reset: () => raw.welfordInit(struct.at),
    [Symbol.dispose]: () => struct[Symbol.dispose](),
  };
  summaries.set(summary, struct);
  return summary;
}
