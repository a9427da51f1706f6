/**
 * A seasonal baseline: what a reading should be at this hour of the day (or of the week), and how far it usually lies off.
 *
 * The period is cut into equal slots. A slot keeps an exponentially weighted mean and variance (Finch, 2009) of its visits, one visit a period,
 * and a visit counts as the mean of its readings: so what is learnt does not depend on how often the sensor is read, and readings that follow each
 * other closely, and so resemble each other, do not pass for evidence. Two things are judged, before they are learnt:
 *
 *   a reading   flagged when it lies more than z deviations of readings off its slot's mean
 *   a visit     when it ends: how many deviations its mean lay off, for a detector of shifts (anomaly.ts)
 *
 * A visit's variance is half its slot's own, half that of all slots, since a slot's own is known from one value a period only. What is learnt is
 * clipped to CLIP deviations, so that a failure is not soon taken for normal; a lasting change is learnt all the same, over several periods.
 * The first period sets the means, nothing is flagged before `warmup` periods, nor in a slot never visited.
 *
 * f32, not fixed point: an app's readings have any unit and range, and a fixed point would have to be told them. A reading costs one subtraction,
 * one multiplication, two additions and a comparison, no division and no root; those come once a visit. The base's own floating point
 * (docs/decisions/0014) gives the same bits on every board.
 *
 *   +0 slots u32   +4 slot u32   +8 slotUs u64   +16 slotEndUs u64 (0: not begun)   +24 alpha f32   +28 zSquared f32   +32 varianceMin f32
 *   +36 warmupVisits u32   +40 visits u32   +44 readings u32 (of this visit)   +48 sum f32   +52 squares f32 (of differences from the mean)
 *   +56 readingVariance f32   +60 visitVariance f32 (of all slots)   +64 limit f32 (squared difference that flags)   +68 last f32 (difference)
 *   +72 visitZ f32 (of the visit that ended last)   +76 skipped u32 (slots since then)   +80 learnt u32 (visits, not the first of a slot)
 *   +88 mean f32 * slots   variance f32 * slots   seen u8 * slots
 */
import { ARGUMENT } from "../errors/codes.generated";

export const SEASONAL_SLOTS_MAX: u32 = 1024;
const HEADER_BYTES: usize = 88;
/** What is further off would overflow f32 in a sum of squares, and infinities never wear off. */
const READING_MAX: f32 = 1e15;
const Z_MAX: f32 = 1000;
const CLIP: f32 = 3;
/** Least weight of a visit in the variance of all slots: some eight days of hours. */
const POOL_WEIGHT_MIN: f32 = 0.005;
/** Visits learnt before there is a deviation to clip by. */
const CLIP_VISITS: u32 = 8;
/** A visit learns no more readings than this: f32 sums stop growing at 2^24 times what is added. */
const READINGS_MAX: u32 = 1 << 20;

/** Bytes for 1 to 1,024 slots, 0 for others; 24 slots: 304, 168 slots: 1,600. */
export function seasonalBytes(slots: u32): u32 {
  return slots == 0 || slots > SEASONAL_SLOTS_MAX ? 0 : <u32>((HEADER_BYTES + <usize>slots * 9 + 7) & ~7);
}

/**
 * alpha: weight of a new visit in its slot, above 0 and at most 1. z: deviations that flag a reading. deviationMin: least deviation that counts,
 * for example the sensor's resolution. warmup: periods before anything is flagged, 1 to 1,000. z is 1,000 at most, deviationMin 10^15. 0, or -ARGUMENT.
 */
export function seasonalInit(
  at: usize,
  periodUs: u64,
  slots: u32,
  alpha: f32,
  z: f32,
  deviationMin: f32,
  warmup: u32,
): i32 {
  if (seasonalBytes(slots) == 0 || periodUs < <u64>slots || warmup == 0 || warmup > 1000) return -ARGUMENT;
  // Written so that a NaN fails.
  if (!(alpha > 0 && alpha <= 1 && z > 0 && z <= Z_MAX)) return -ARGUMENT;
  if (!(deviationMin >= 0 && deviationMin <= READING_MAX)) return -ARGUMENT;
  for (let offset: usize = 0; offset < <usize>seasonalBytes(slots); offset += 8) store<u64>(at + offset, 0);
  store<u32>(at, slots);
  store<u64>(at, periodUs / <u64>slots, 8);
  store<f32>(at, alpha, 24);
  store<f32>(at, z * z, 28);
  store<f32>(at, deviationMin * deviationMin, 32);
  store<u32>(at, warmup * slots, 36);
  return 0;
}

/**
 * Judges and learns a reading taken at `nowUs`. 1 for one that is flagged, 0, or -ARGUMENT for one beyond 10^15 or not a number (and it is not learnt). A time
 * before the slot of the last reading counts as that slot's.
 */
export function seasonalUpdate(at: usize, nowUs: u64, reading: f32): i32 {
  if (!(abs<f32>(reading) <= READING_MAX)) return -ARGUMENT;
  store<u32>(at, 0, 76);
  if (nowUs >= load<u64>(at, 16)) enter(at, nowUs);
  const difference = reading - load<f32>(meanAt(at, load<u32>(at, 4)));
  store<f32>(at, difference, 68);
  const squared = difference * difference;
  const readings = load<u32>(at, 44);
  if (readings < READINGS_MAX) {
    store<u32>(at, readings + 1, 44);
    store<f32>(at, load<f32>(at, 48) + difference, 48);
    store<f32>(at, load<f32>(at, 52) + squared, 52);
  }
  return squared > load<f32>(at, 64) ? 1 : 0;
}

/** Slots that passed between the reading before and the last one: not 0 exactly when a visit ended with it. */
export function seasonalSkipped(at: usize): u32 {
  return load<u32>(at, 76);
}
/** Deviations by which the visit that ended last lay off, 0 while it could not be judged. */
export function seasonalVisitZ(at: usize): f32 {
  return load<f32>(at, 72);
}
/** What is expected in the slot of the last reading; 0 where it was never visited. */
export function seasonalMean(at: usize): f32 {
  return load<f32>(meanAt(at, load<u32>(at, 4)));
}
/** Deviation of readings; takes a root. */
export function seasonalDeviation(at: usize): f32 {
  return sqrt<f32>(max<f32>(load<f32>(at, 56), load<f32>(at, 32)));
}
/** Deviations of the last reading from what was expected, with its sign; 0 while there is none to measure by. */
export function seasonalZ(at: usize): f32 {
  const deviation = seasonalDeviation(at);
  return load<f32>(at, 64) == Infinity || deviation == 0 ? 0 : load<f32>(at, 68) / deviation;
}
/** Whether the warm-up is over. */
export function seasonalIsWarm(at: usize): bool {
  return load<u32>(at, 40) >= load<u32>(at, 36);
}

/** Ends the visit that was, and begins the one of `nowUs`. */
function enter(at: usize, nowUs: u64): void {
  const slots = load<u32>(at);
  const slotUs = load<u64>(at, 8);
  const endUs = load<u64>(at, 16);
  let slot = load<u32>(at, 4) + 1;
  if (endUs != 0 && nowUs - endUs < slotUs) {
    store<u64>(at, endUs + slotUs, 16);
    store<u32>(at, 1, 76);
  } else {
    const index = nowUs / slotUs;
    if (endUs != 0) store<u32>(at, <u32>min<u64>((nowUs - endUs) / slotUs + 1, u32.MAX_VALUE), 76);
    store<u64>(at, (index + 1) * slotUs, 16);
    slot = <u32>(index % <u64>slots);
  }
  if (load<u32>(at, 44) != 0) learn(at);
  store<u32>(at, slot >= slots ? 0 : slot, 4);
  store<u32>(at, 0, 44);
  store<f32>(at, 0, 48);
  store<f32>(at, 0, 52);
  const isJudged = seasonalIsWarm(at) && load<u8>(seenAt(at, load<u32>(at, 4))) != 0;
  const variance = max<f32>(load<f32>(at, 56), load<f32>(at, 32));
  store<f32>(at, isJudged ? load<f32>(at, 28) * variance : Infinity, 64);
}

/** Judges the visit that ended, and learns it. */
function learn(at: usize): void {
  const slot = load<u32>(at, 4);
  const visits = load<u32>(at, 40);
  if (visits != u32.MAX_VALUE) store<u32>(at, visits + 1, 40);
  const readings = <f32>load<u32>(at, 44);
  let off = load<f32>(at, 48) / readings;
  let squared = load<f32>(at, 52) / readings;
  store<f32>(at, 0, 72);
  const seen = load<u8>(seenAt(at, slot));
  if (seen != u8.MAX_VALUE) store<u8>(seenAt(at, slot), seen + 1);
  const mean = load<f32>(meanAt(at, slot));
  if (seen == 0) return store<f32>(meanAt(at, slot), mean + off);
  const varianceMin = load<f32>(at, 32);
  const own = load<f32>(varianceAt(at, slot));
  const pooled = load<f32>(at, 60);
  const readingVariance = load<f32>(at, 56);
  const deviation = sqrt<f32>(max<f32>((own + pooled) * 0.5, varianceMin));
  if (visits >= load<u32>(at, 36)) store<f32>(at, deviationsOf(off, deviation), 72);
  const learnt = load<u32>(at, 80);
  if (learnt != u32.MAX_VALUE) store<u32>(at, learnt + 1, 80);
  if (learnt >= CLIP_VISITS) {
    // Without any deviation there is nothing to clip by, and a signal that was constant would never be learnt otherwise.
    if (deviation > 0) off = clip(off, CLIP * deviation);
    const most = CLIP * CLIP * max<f32>(readingVariance, varianceMin);
    if (most > 0) squared = min<f32>(squared, most);
  }
  const alpha = load<f32>(at, 24);
  store<f32>(meanAt(at, slot), mean + max<f32>(alpha, 1 / (<f32>seen + 1)) * off);
  store<f32>(varianceAt(at, slot), own + max<f32>(alpha, 1 / <f32>seen) * (off * off - own));
  const weight = max<f32>(POOL_WEIGHT_MIN, 1 / (<f32>learnt + 1));
  store<f32>(at, pooled + weight * (off * off - pooled), 60);
  store<f32>(at, readingVariance + weight * (squared - readingVariance), 56);
}

function deviationsOf(off: f32, deviation: f32): f32 {
  if (off == 0) return 0;
  return deviation > 0 ? clip(off / deviation, f32.MAX_VALUE) : copysign<f32>(f32.MAX_VALUE, off);
}

function clip(value: f32, most: f32): f32 {
  return min<f32>(max<f32>(value, -most), most);
}

function meanAt(at: usize, slot: u32): usize {
  return at + HEADER_BYTES + ((<usize>slot) << 2);
}
function varianceAt(at: usize, slot: u32): usize {
  return meanAt(at, load<u32>(at) + slot);
}
function seenAt(at: usize, slot: u32): usize {
  return meanAt(at, load<u32>(at) << 1) + <usize>slot;
}
