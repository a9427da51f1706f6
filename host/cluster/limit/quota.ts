/**
 * The fleet's account of a rate limit: how far the tokens that were given out reach, by the generic cell rate algorithm (ITU-T I.371, as a virtual
 * schedule), in the fleet's own time (fleet-clock.ts). It stands under one key of the replicated store, and is changed by compare-and-set.
 *
 *   +0 "TFL1" u32   +4 zero u32   +8 fleet's time u64   +16 theoretical arrival time u64      microseconds, little-endian
 *
 * Tokens of grants at fleet times a to b are at most burst + (b - a) x rate, and one for the rounding.
 */
import { BEYOND_U53, putU32, putU53, u32At, u53At } from "../bytes.ts";

export interface Quota {
  /** At the last grant. */
  readonly fleetUs: number;
  /** Until when the rate is spoken for. */
  readonly arrivalUs: number;
}

export interface QuotaLimits {
  /** Tokens a period. */
  readonly limit: number;
  readonly periodUs: number;
  /** Tokens after a quiet time. */
  readonly burst: number;
}

export interface Grant {
  readonly tokens: number;
  /** After it. */
  readonly quota: Quota;
  /** Without tokens: until `least` of them may be had. */
  readonly waitUs: number;
}

export const FIRST_QUOTA: Quota = { fleetUs: 0, arrivalUs: 0 };
const MAGIC = 0x314c_4654;
const BYTES = 24;

/**
 * Up to `wanted` tokens, but half of what there is at most, so that something is left for who comes next; `least` all the same where they are
 * there, and none where they are not.
 */
export function grantOf(
  before: Quota,
  { limit, periodUs, burst }: QuotaLimits,
  ask: { readonly nowUs: number; readonly wanted: number; readonly least: number },
): Grant {
  const fleetUs = Math.max(before.fleetUs, ask.nowUs);
  const arrivalUs = Math.max(before.arrivalUs, fleetUs);
  const costUs = (tokens: number): number => Math.ceil((tokens * periodUs) / limit);
  const roomUs = costUs(burst) - (arrivalUs - fleetUs);
  const available = Math.min(burst, Math.floor((roomUs * limit) / periodUs));
  if (available < ask.least) return { tokens: 0, quota: before, waitUs: costUs(ask.least) - roomUs };
  const tokens = Math.max(ask.least, Math.min(ask.wanted, Math.ceil(available / 2)));
  return { tokens, quota: { fleetUs, arrivalUs: arrivalUs + costUs(tokens) }, waitUs: 0 };
}

export function encodeQuota({ fleetUs, arrivalUs }: Quota): Uint8Array {
  const bytes = new Uint8Array(BYTES);
  putU32(bytes, 0, MAGIC);
  putU53(bytes, 8, fleetUs);
  putU53(bytes, 16, arrivalUs);
  return bytes;
}

/** Undefined for bytes that are none, or a later version's. */
export function decodeQuota(bytes: Uint8Array): Quota | undefined {
  if (bytes.length !== BYTES || u32At(bytes, 0) !== MAGIC || u32At(bytes, 4) !== 0) return undefined;
  const [fleetUs, arrivalUs] = [u53At(bytes, 8), u53At(bytes, 16)];
  return fleetUs === BEYOND_U53 || arrivalUs === BEYOND_U53 ? undefined : { fleetUs, arrivalUs };
}
