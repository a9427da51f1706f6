/** Histograms over the core's: log-linear buckets, so that a value is known to within one part of 2^bits; see assembly/stats/histogram.ts. */
import { TardigradeError } from "../../protocols/error.ts";
import { type Core, codeOfStatus } from "./core.ts";
import { decodeHistogram, encodeHistogram } from "./histogram-bytes.ts";
import { argument, Struct } from "./struct.ts";

export const HISTOGRAM_VALUE_MAX = 0xffff_ffff;
/** 3.1 % in 3,616 bytes. */
const BITS_DEFAULT = 5;

export interface HistogramOptions {
  /** Precision, 1 to 10: a quantile is at most 1 / 2^bits too high and never too low. Default 5; memory doubles with each. */
  readonly bits?: number;
}

export interface Histogram extends Disposable {
  readonly bits: number;
  /**
   * Records a value, `times` over (once by default, up to 2^32 - 1). 0 to 2^32 - 1 in a unit of your own; a fraction is cut off, so take a unit that
   * is fine enough (microseconds, not milliseconds). Throws ARGUMENT for what is beyond, or no number.
   */
  record(value: number, times?: number): void;
  /** Adds what another has recorded. Throws ARGUMENT when its bits are others. */
  merge(other: Histogram): void;
  /** The value that a share of all, 0 to 1, does not exceed: 0.5 for the median. 0 when nothing was recorded. Throws ARGUMENT. */
  quantile(share: number): number;
  /** Values recorded. */
  readonly total: number;
  /** 0 when nothing was recorded. */
  readonly mean: number;
  /** Exact; undefined when nothing was recorded. */
  readonly min: number | undefined;
  readonly max: number | undefined;
  reset(): void;
  /** For another machine, which loads it and merges: buckets in use only, some 3 bytes each. */
  toBytes(): Uint8Array<ArrayBuffer>;
}

/** Of each histogram its struct, so that one can be merged into another. */
const structs = new WeakMap<Histogram, Struct>();

/** Throws ARGUMENT. Dispose of it, or its memory stays taken. */
export function createHistogram(core: Core, { bits = BITS_DEFAULT }: HistogramOptions = {}): Histogram {
  const bytes = Number.isInteger(bits) && bits > 0 ? core.raw.histogramBytes(bits) : 0;
  if (bytes === 0) throw argument("histogram", "A histogram has 1 to 10 bits.");
  const struct = new Struct(core, bytes, "histogram");
  const { raw } = core;
  raw.histogramInit(struct.at, bits);
  const total = () => Number(BigInt.asUintN(64, raw.histogramTotal(struct.at)));
  const histogram: Histogram = {
    bits,
    record: (value, times = 1) => {
      // Written so that a NaN fails.
      if (!(value >= 0 && value <= HISTOGRAM_VALUE_MAX && times >= 0 && times <= HISTOGRAM_VALUE_MAX)) {
        throw argument("histogram", "A histogram records numbers from 0 to 2^32 - 1; choose a coarser unit.");
      }
      raw.histogramRecord(struct.at, value, times);
    },
    merge: (other) => {
      const theirs = structs.get(other);
      if (theirs === undefined || theirs.core !== core) {
        mergeBytes(core, histogram, other.toBytes());
        return;
      }
      const status = raw.histogramMerge(struct.at, theirs.at);
      if (status === 0) return;
      throw new TardigradeError(
        codeOfStatus(status),
        `Histograms of ${bits} and ${other.bits} bits cannot be merged.`,
        { context: { component: "histogram" } },
      );
    },
    quantile: (share) => {
      if (!(share >= 0 && share <= 1)) throw argument("histogram", "A quantile's share is from 0 to 1.");
      const count = total();
      // 0.07 * 100 is a little above 7 in doubles, and would be the rank after.
      const rank = Math.ceil(share * count * (1 - 4 * Number.EPSILON));
      return count === 0 ? 0 : raw.histogramValueAt(struct.at, Math.max(rank, 1)) >>> 0;
    },
    get total() {
      return total();
    },
    get mean() {
      return raw.histogramMean(struct.at);
    },
    get min() {
      return total() === 0 ? undefined : raw.histogramLowest(struct.at) >>> 0;
    },
    get max() {
      return total() === 0 ? undefined : raw.histogramHighest(struct.at) >>> 0;
    },
    reset: () => raw.histogramReset(struct.at),
    toBytes: () => encodeHistogram(core.bytes().subarray(struct.at, struct.at + bytes)),
    [Symbol.dispose]: () => struct[Symbol.dispose](),
  };
  structs.set(histogram, struct);
  return histogram;
}

/** Of what toBytes gave, here or elsewhere. Throws ARGUMENT for bytes that no histogram gives. */
export function loadHistogram(core: Core, bytes: Uint8Array): Histogram {
  const decoded = decodeHistogram(bytes);
  const histogram = createHistogram(core, { bits: decoded.bits });
  core.bytes().set(decoded.struct, (structs.get(histogram) as Struct).at);
  return histogram;
}

function mergeBytes(core: Core, into: Histogram, bytes: Uint8Array): void {
  using loaded = loadHistogram(core, bytes);
  into.merge(loaded);
}
