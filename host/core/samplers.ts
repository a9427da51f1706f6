/**
 * Which traces are kept, decided as every machine decides that sees the same trace: consistent probability sampling (OpenTelemetry, OTEP 235) over
 * the last 56 bits of a W3C trace id; assembly/trace/sampler.ts has the algorithms.
 */
import type { Core } from "./core.ts";
import { argument, Struct } from "./struct.ts";

const RATIO_BYTES = 8;
const RATE_BYTES = 56;
const ADAPTIVE_BYTES = 48;
const PERIOD_MS_MAX = 4_294_967;
const U32_MAX = 0xffff_ffff;
const SHARES = 2 ** 32;
const THRESHOLD_DIGITS = 14;
const NEVER = 1n << 56n;
/** A trace id of 32 digits, or the 14 of explicit randomness (`rv`). */
const NO_DIGIT = 16;
/** Of hexadecimal, by character: parsing by pieces of text costs ten times as much as the decision. */
const DIGITS: Uint8Array = Uint8Array.from({ length: 128 }, (_, code) => {
  const digit = "0123456789abcdef".indexOf(String.fromCharCode(code));
  return digit < 0 ? NO_DIGIT : digit;
});

export interface Sampler extends Disposable {
  /** Whether the trace is kept, by the last 64 bits of its id in two halves. Allocates nothing. */
  sample(high: number, low: number): boolean;
  /**
   * The same of a whole id: 32 lower-case hexadecimal digits or 16 bytes; or of `rv`, 14 digits or 7 bytes, which stands for the id's random part
   * where tracestate has it. Throws ARGUMENT for another shape.
   */
  sampleTrace(id: string | Uint8Array): boolean;
  /** Share of traces that is kept now, 0 to 1. */
  readonly ratio: number;
  /** What tracestate says of it (`ot=th:c`), undefined where nothing is kept. Of a rate sampler only the ratio's. */
  readonly threshold: string | undefined;
}

export interface RatioSamplerOptions {
  /** Share of traces to keep, 0 to 1. */
  readonly ratio: number;
}

/** Keeps a share of all traces; who keeps a larger share keeps these too. Throws ARGUMENT. */
export function createRatioSampler(core: Core, { ratio }: RatioSamplerOptions): Sampler {
  const { raw } = core;
  const struct = new Struct(core, RATIO_BYTES, "sampler");
  struct.check(raw.samplerRatioInit(struct.at, ratio), "A sampler's ratio is from 0 to 1.");
  return samplerOf(core, struct, (high, low) => raw.samplerRatio(struct.at, high, low) === 1);
}

interface SamplerClock {
  monotonicMs(): number;
}

export interface RateSamplerOptions {
  /** Most traces to keep each period, 1 to 2^32 - 1. */
  readonly limit: number;
  /** 0.001 to 4,294,967. Default 1,000. */
  readonly periodMs?: number;
  /** Traces that may be kept at once after a quiet time. Default `limit`. */
  readonly burst?: number;
  /** Share of traces that are asked for a token at all. Default 1. */
  readonly ratio?: number;
}

/** Keeps a share, and never more than a rate: for traces that begin here, since others know nothing of its tokens. Throws ARGUMENT. */
export function createRateSampler(core: Core, clock: SamplerClock, options: RateSamplerOptions): Sampler {
  const { raw } = core;
  const { limit, periodMs = 1000, burst = limit, ratio = 1 } = options;
  const periodUs = Math.round(periodMs * 1000);
  const inRange = isCount(limit) && isCount(burst) && periodUs >= 1 && periodMs <= PERIOD_MS_MAX;
  const message =
    "A rate sampler has a limit and a burst of 1 to 2^32 - 1, a period of 0.001 to 4,294,967 ms and a ratio from 0 to 1.";
  if (!inRange) throw argument("sampler", message);
  const struct = new Struct(core, RATE_BYTES, "sampler");
  struct.check(raw.samplerRateInit(struct.at, ratio, limit, periodUs, burst), message);
  return samplerOf(
    core,
    struct,
    (high, low) => raw.samplerRate(struct.at, high, low, clock.monotonicMs()) === 1,
  );
}

export interface AdaptiveSamplerOptions {
  /** Traces to keep each period, about; 1 to 2^32 - 1. */
  readonly target: number;
  /** How often the share is set. Default 1,000. */
  readonly periodMs?: number;
  /** Least share, above 0. Default 2^-32. */
  readonly ratioMin?: number;
}

/** Keeps about `target` traces a period, however many there are: the share at most doubles or halves each period. Throws ARGUMENT. */
export function createAdaptiveSampler(
  core: Core,
  clock: SamplerClock,
  { target, periodMs = 1000, ratioMin = 1 / SHARES }: AdaptiveSamplerOptions,
): Sampler {
  const { raw } = core;
  const message =
    "An adaptive sampler has a target of 1 to 2^32 - 1 traces a period, a period above 0 ms and 0 < ratioMin <= 1.";
  if (!isCount(target) || !(ratioMin > 0 && ratioMin <= 1)) throw argument("sampler", message);
  const struct = new Struct(core, ADAPTIVE_BYTES, "sampler");
  const shareMin = Math.min(Math.max(Math.round(ratioMin * SHARES), 1), U32_MAX);
  struct.check(raw.samplerAdaptiveInit(struct.at, target, periodMs, shareMin), message);
  return samplerOf(
    core,
    struct,
    (high, low) => raw.samplerAdaptive(struct.at, high, low, clock.monotonicMs()) === 1,
  );
}

function samplerOf({ raw }: Core, struct: Struct, sample: (high: number, low: number) => boolean): Sampler {
  const threshold = () => BigInt.asUintN(64, raw.samplerThreshold(struct.at));
  return {
    sample,
    sampleTrace: (id) => {
      if (typeof id === "string") {
        if (id.length !== 32 && id.length !== 14) throw argument("sampler", ID_HELP);
        let [high, low, all] = [0, 0, 0];
        for (let index = 0; index < id.length; index += 1) {
          const digit = DIGITS[id.charCodeAt(index)] ?? NO_DIGIT;
          all |= digit;
          high = (high << 4) | (low >>> 28);
          low = (low << 4) | digit;
        }
        if (all >= NO_DIGIT) throw argument("sampler", ID_HELP);
        return sample(high, low);
      }
      if (id.length !== 16 && id.length !== 7) throw argument("sampler", ID_HELP);
      const at = id.length - 7;
      return sample(((id[at] ?? 0) << 16) | pair(id, at + 1), (pair(id, at + 3) << 16) | pair(id, at + 5));
    },
    get ratio() {
      return Number(NEVER - threshold()) / 2 ** 56;
    },
    get threshold() {
      const value = threshold();
      if (value === NEVER) return undefined;
      return value
        .toString(16)
        .padStart(THRESHOLD_DIGITS, "0")
        .replace(/(?<=.)0+$/, "");
    },
    [Symbol.dispose]: () => struct[Symbol.dispose](),
  };
}

const ID_HELP =
  "A trace id has 32 lower-case hexadecimal digits or 16 bytes, an explicit randomness 14 digits or 7 bytes.";

function pair(bytes: Uint8Array, at: number): number {
  return ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
}

function isCount(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && value <= U32_MAX;
}
