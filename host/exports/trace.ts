/**
 * tardigrade/trace: which traces are kept, decided alike on device and host.
 *
 *     using sampler = ratioSampler({ ratio: 0.1 });
 *     sampler.sampleTrace("0af7651916cd43dd8448eb211c80319c");
 */
import { type Core, openCore } from "../core/core.ts";
import { readCoreBytes } from "../core/core-bytes.ts";
import {
  type AdaptiveSamplerOptions,
  createAdaptiveSampler,
  createRateSampler,
  createRatioSampler,
  type RateSamplerOptions,
  type RatioSamplerOptions,
  type Sampler,
} from "../core/samplers.ts";
import { turnClock } from "../core/turn-clock.ts";
import { systemClock } from "../io/clock.ts";

export { isTardigradeError, TardigradeError } from "../../protocols/error.ts";
export type {
  AdaptiveSamplerOptions,
  RateSamplerOptions,
  RatioSamplerOptions,
  Sampler,
} from "../core/samplers.ts";

export interface SamplerTime {
  /** Default the system's monotonic clock, read once a turn of the event loop. */
  readonly clock?: { monotonicMs(): number };
}

let shared: Core | undefined;
function core(): Core {
  shared ??= openCore(readCoreBytes());
  return shared;
}
let machine: { monotonicMs(): number } | undefined;
function clockOf({ clock }: SamplerTime): { monotonicMs(): number } {
  if (clock !== undefined) return clock;
  machine ??= turnClock(systemClock());
  return machine;
}

/** Keeps a share of all traces. Throws ARGUMENT. */
export function ratioSampler(options: RatioSamplerOptions): Sampler {
  return createRatioSampler(core(), options);
}
/** Keeps a share, and never more than a rate. Throws ARGUMENT. */
export function rateSampler(options: RateSamplerOptions & SamplerTime): Sampler {
  return createRateSampler(core(), clockOf(options), options);
}
/** Keeps about so many traces a period. Throws ARGUMENT. */
export function adaptiveSampler(options: AdaptiveSamplerOptions & SamplerTime): Sampler {
  return createAdaptiveSampler(core(), clockOf(options), options);
}
