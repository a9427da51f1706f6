/**
 * Adaptive concurrency: finds how many calls at once the other side takes well, from how long they take and whether they were dropped (timed out or
 * refused for overload), a window of samples at a time.
 *
 *   0 AIMD      plus one a window, times `decreaseMilli` when a call was dropped or the mean is above `slowUs` (Chiu, Jain 1989; TCP)
 *   1 Vegas     keeps an estimated queue, limit * (1 - baseline / mean), between 3 and 6 log10 of the limit (Brakmo, Peterson 1995); a tenth less when dropped
 *   2 gradient  limit * gradient, and sqrt(limit) for growth while there is no congestion; gradient = tolerance * baseline / mean within 1/2 and 1
 *               (Netflix concurrency-limits; Envoy's adaptive concurrency filter)
 *
 * Three known ways to run away, and what stands against each here:
 *   - growth while the mean is above the baseline, since the room for growth is added whatever the gradient is (concurrency-limits #134): it is added only
 *     when the gradient is 1;
 *   - calls that all time out have a steady latency, which looks like health (concurrency-limits #137): dropped calls are no latency samples, lower the limit
 *     by themselves, and never enter the baseline;
 *   - a baseline measured while earlier calls still crowd the other side climbs with each measurement (Envoy #11579): while it is measured the limit
 *     is `limitMin`, and only calls that began after the last one of before had left count.
 * And a limit that nobody comes near is not raised, as nothing says that it would hold.
 *
 * Fixed point, 256ths of a call. A division a window, none a sample.
 *
 *   +0 kind u16   +2 phase u16 (0 steady, 1 draining, 2 measuring)   +4 limit u32 (256ths)   +8 limitMin u32   +12 limitMax u32
 *   +16 windowUs u32   +20 slowUs u32   +24 decreaseMilli u16   +26 toleranceMilli u16   +28 baselineUs u32
 *   +32 windowEndUs u64   +40 sumUs u64   +48 samples u32   +52 dropped u32   +56 inFlightMax u32   +60 measuredUs u32
 *   +64 phaseUs u64 (next measurement, or begin of the phase)   +72 measureEveryUs u32   +76 measured u32
 */
import { ARGUMENT } from "../errors/codes.generated";

export const CONCURRENCY_BYTES: usize = 80;

export const CONCURRENCY_AIMD: u32 = 0;
export const CONCURRENCY_VEGAS: u32 = 1;
export const CONCURRENCY_GRADIENT: u32 = 2;

/** Samples that a window needs before it is judged, and that make a baseline. */
export const CONCURRENCY_SAMPLES_MIN: u32 = 10;
const LIMIT_MAX: u32 = 100_000;

const STEADY: u32 = 0;
const DRAINING: u32 = 1;
const MEASURING: u32 = 2;

const PHASE: usize = 2;
const LIMIT: usize = 4;
const LIMIT_LOW: usize = 8;
const LIMIT_HIGH: usize = 12;
const WINDOW_US: usize = 16;
const SLOW_US: usize = 20;
const DECREASE_MILLI: usize = 24;
const TOLERANCE_MILLI: usize = 26;
const BASELINE_US: usize = 28;
const WINDOW_END_US: usize = 32;
const SUM_US: usize = 40;
const SAMPLES: usize = 48;
const DROPPED: usize = 52;
const IN_FLIGHT_MAX: usize = 56;
const MEASURED_US: usize = 60;
const PHASE_US: usize = 64;
const MEASURE_EVERY_US: usize = 72;
const MEASURED: usize = 76;

const ONE: u32 = 256;
/** Windows that a measurement may take; then the baseline of before stands, so that no phase is for ever. */
const PHASE_WINDOWS_MAX: u64 = 16;

/** Begins at `limit`; limitMin and limitMax (1 to 100,000) bound it; windowUs: how often it may change. 0 or -ARGUMENT. */
export function concurrencyInit(
  at: usize,
  kind: u32,
  limit: u32,
  limitMin: u32,
  limitMax: u32,
  windowUs: u32,
  nowUs: u64,
): i32 {
  if (kind > CONCURRENCY_GRADIENT || limitMin == 0 || limit < limitMin || limitMax < limit) return -ARGUMENT;
  if (limitMax > LIMIT_MAX || windowUs == 0) return -ARGUMENT;
  for (let offset: usize = 0; offset < CONCURRENCY_BYTES; offset += 8) store<u64>(at + offset, 0);
  store<u16>(at, <u16>kind);
  store<u32>(at, limit * ONE, LIMIT);
  store<u32>(at, limitMin, LIMIT_LOW);
  store<u32>(at, limitMax, LIMIT_HIGH);
  store<u32>(at, windowUs, WINDOW_US);
  store<u16>(at, 900, DECREASE_MILLI);
  store<u16>(at, 1500, TOLERANCE_MILLI);
  store<u64>(at, nowUs + <u64>windowUs, WINDOW_END_US);
  return 0;
}

/** AIMD: the share kept at a decrease (500 to 999, 900 at first) and the mean that counts as congestion (0: none does). 0 or -ARGUMENT. */
export function concurrencyAimd(at: usize, decreaseMilli: u32, slowUs: u32): i32 {
  if (decreaseMilli < 500 || decreaseMilli > 999) return -ARGUMENT;
  store<u16>(at, <u16>decreaseMilli, DECREASE_MILLI);
  store<u32>(at, slowUs, SLOW_US);
  return 0;
}

/**
 * Vegas and gradient: how often the baseline is measured anew (0: never, it is the least ever seen) and, of gradient, how far above it is still
 * no congestion (1,000 to 10,000 thousandths, 1,500 at first). 0 or -ARGUMENT.
 */
export function concurrencyBaseline(at: usize, measureEveryUs: u32, toleranceMilli: u32, nowUs: u64): i32 {
  if (toleranceMilli < 1000 || toleranceMilli > 10_000) return -ARGUMENT;
  store<u16>(at, <u16>toleranceMilli, TOLERANCE_MILLI);
  store<u32>(at, measureEveryUs, MEASURE_EVERY_US);
  store<u64>(at, nowUs + <u64>measureEveryUs, PHASE_US);
  return 0;
}

/** Calls that may be under way now. */
export function concurrencyLimit(at: usize): u32 {
  return load<u16>(at, PHASE) == STEADY ? load<u32>(at, LIMIT) / ONE : load<u32>(at, LIMIT_LOW);
}

/** What a call takes when the other side is not crowded, as far as is known; 0 at first. */
export function concurrencyBaselineUs(at: usize): u32 {
  return load<u32>(at, BASELINE_US);
}

/** Takes in a call that ended: when it began, calls under way with it, whether it was dropped. True when the limit may have changed. */
export function concurrencySample(at: usize, startedUs: u64, inFlight: u32, dropped: bool, nowUs: u64): bool {
  const before = concurrencyLimit(at);
  const tookUs = nowUs > startedUs ? <u32>min<u64>(nowUs - startedUs, <u64>u32.MAX_VALUE) : 0;
  if (load<u16>(at, PHASE) == STEADY) steady(at, tookUs, inFlight, dropped, nowUs);
  else measure(at, startedUs, tookUs, inFlight, dropped, nowUs);
  return concurrencyLimit(at) != before;
}

function steady(at: usize, tookUs: u32, inFlight: u32, dropped: bool, nowUs: u64): void {
  if (dropped) store<u32>(at, load<u32>(at, DROPPED) + 1, DROPPED);
  else {
    store<u64>(at, load<u64>(at, SUM_US) + <u64>tookUs, SUM_US);
    store<u32>(at, load<u32>(at, SAMPLES) + 1, SAMPLES);
    const baseline = load<u32>(at, BASELINE_US);
    if (baseline == 0 || tookUs < baseline) store<u32>(at, max<u32>(tookUs, 1), BASELINE_US);
  }
  if (inFlight > load<u32>(at, IN_FLIGHT_MAX)) store<u32>(at, inFlight, IN_FLIGHT_MAX);
  if (nowUs < load<u64>(at, WINDOW_END_US)) return;
  if (load<u32>(at, SAMPLES) + load<u32>(at, DROPPED) < CONCURRENCY_SAMPLES_MIN) return;
  adjust(at);
  openWindow(at, nowUs);
  const measureEvery = load<u32>(at, MEASURE_EVERY_US);
  if (load<u16>(at) == CONCURRENCY_AIMD || measureEvery == 0 || nowUs < load<u64>(at, PHASE_US)) return;
  enter(at, DRAINING, nowUs);
}

function openWindow(at: usize, nowUs: u64): void {
  store<u64>(at, nowUs + <u64>load<u32>(at, WINDOW_US), WINDOW_END_US);
  store<u64>(at, 0, SUM_US);
  store<u64>(at, 0, SAMPLES); // And the dropped.
  store<u32>(at, 0, IN_FLIGHT_MAX);
}

function enter(at: usize, phase: u32, nowUs: u64): void {
  store<u16>(at, <u16>phase, PHASE);
  store<u64>(at, nowUs, PHASE_US);
  store<u32>(at, 0, MEASURED);
  store<u32>(at, u32.MAX_VALUE, MEASURED_US);
}

/** Draining until no more calls are under way than the least limit allows; then the first calls that begin are the measurement. */
function measure(at: usize, startedUs: u64, tookUs: u32, inFlight: u32, dropped: bool, nowUs: u64): void {
  const phaseUs = load<u64>(at, PHASE_US);
  const lasted = nowUs > phaseUs ? nowUs - phaseUs : 0;
  if (load<u16>(at, PHASE) == DRAINING) {
    if (inFlight <= load<u32>(at, LIMIT_LOW)) enter(at, MEASURING, nowUs);
    else if (lasted > PHASE_WINDOWS_MAX * <u64>load<u32>(at, WINDOW_US)) settle(at, nowUs);
    return;
  }
  if (startedUs >= phaseUs && !dropped) {
    const measured = load<u32>(at, MEASURED) + 1;
    store<u32>(at, measured, MEASURED);
    if (tookUs < load<u32>(at, MEASURED_US)) store<u32>(at, tookUs, MEASURED_US);
    if (measured >= CONCURRENCY_SAMPLES_MIN) {
      store<u32>(at, max<u32>(load<u32>(at, MEASURED_US), 1), BASELINE_US);
      settle(at, nowUs);
      return;
    }
  }
  if (lasted > PHASE_WINDOWS_MAX * <u64>load<u32>(at, WINDOW_US)) settle(at, nowUs);
}

function settle(at: usize, nowUs: u64): void {
  store<u16>(at, <u16>STEADY, PHASE);
  store<u64>(at, nowUs + <u64>load<u32>(at, MEASURE_EVERY_US), PHASE_US);
  openWindow(at, nowUs);
}

function adjust(at: usize): void {
  const kind = <u32>load<u16>(at);
  const limit = load<u32>(at, LIMIT);
  const samples = load<u32>(at, SAMPLES);
  const dropped = load<u32>(at, DROPPED) != 0;
  const meanUs = samples == 0 ? u32.MAX_VALUE : <u32>(load<u64>(at, SUM_US) / <u64>samples);
  const isUsed = load<u32>(at, IN_FLIGHT_MAX) * 2 * ONE >= limit;
  let next = limit;
  if (kind == CONCURRENCY_AIMD) next = aimd(at, limit, meanUs, dropped);
  else if (kind == CONCURRENCY_VEGAS) next = vegas(at, limit, meanUs, dropped);
  else next = gradient(at, limit, meanUs, dropped);
  if (next > limit && !isUsed) next = limit;
  next = min<u32>(max<u32>(next, load<u32>(at, LIMIT_LOW) * ONE), load<u32>(at, LIMIT_HIGH) * ONE);
  store<u32>(at, next, LIMIT);
}

function aimd(at: usize, limit: u32, meanUs: u32, dropped: bool): u32 {
  const slowUs = load<u32>(at, SLOW_US);
  if (!dropped && (slowUs == 0 || meanUs <= slowUs)) return limit + ONE;
  return <u32>((<u64>limit * <u64>load<u16>(at, DECREASE_MILLI)) / 1000);
}

function vegas(at: usize, limit: u32, meanUs: u32, dropped: bool): u32 {
  const step = logarithm(limit / ONE) * ONE;
  if (dropped) return limit - min<u32>(max<u32>(step, limit / 10), limit);
  const baseline = min<u32>(load<u32>(at, BASELINE_US), meanUs);
  // A mean of 0 has no queue.
  const queue: u32 = meanUs == 0 ? 0 : <u32>((<u64>limit * <u64>(meanUs - baseline)) / <u64>meanUs);
  if (queue <= step) return limit + 6 * step;
  if (queue < 3 * step) return limit + step;
  if (queue <= 6 * step) return limit;
  return limit > step ? limit - step : 0;
}

function gradient(at: usize, limit: u32, meanUs: u32, dropped: bool): u32 {
  const half = limit >> 1;
  let target = half;
  if (!dropped) {
    const allowed = (<u64>load<u32>(at, BASELINE_US) * <u64>load<u16>(at, TOLERANCE_MILLI)) / 1000;
    if (allowed >= <u64>meanUs) return limit + root(limit / ONE) * ONE;
    target = max<u32>(<u32>((<u64>limit * allowed) / <u64>meanUs), half);
  }
  // Smoothed, as one window's latencies say little: a fifth of the way.
  return limit - (limit - target) / 5;
}

/** Decimal logarithm, at least 1. */
function logarithm(value: u32): u32 {
  let digits: u32 = 0;
  for (let rest = value; rest >= 10; rest /= 10) ++digits;
  return max<u32>(digits, 1);
}

/** Integer square root, at least 1. */
function root(value: u32): u32 {
  let result: u32 = 1;
  while ((result + 1) * (result + 1) <= value) ++result;
  return result;
}
