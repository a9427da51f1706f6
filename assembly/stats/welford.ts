/**
 * Mean and variance in one pass without cancellation (Welford, 1962), and of two halves (Chan, Golub, LeVeque, 1979).
 *
 *   +0 count u64   +8 mean f64   +16 squares f64 (sum of squared differences from the mean)
 */
export const WELFORD_BYTES: usize = 24;

export function welfordInit(at: usize): void {
  store<u64>(at, 0);
  store<f64>(at, 0, 8);
  store<f64>(at, 0, 16);
}

/** NaN and infinities are passed over. */
export function welfordUpdate(at: usize, value: f64): void {
  if (!isFinite(value)) return;
  const count = load<u64>(at) + 1;
  const before = value - load<f64>(at, 8);
  const mean = load<f64>(at, 8) + before / <f64>count;
  store<u64>(at, count);
  store<f64>(at, mean, 8);
  store<f64>(at, load<f64>(at, 16) + before * (value - mean), 16);
}

export function welfordMerge(at: usize, other: usize): void {
  const mine = <f64>load<u64>(at);
  const theirs = <f64>load<u64>(other);
  if (theirs == 0) return;
  const total = mine + theirs;
  const apart = load<f64>(other, 8) - load<f64>(at, 8);
  store<f64>(at, load<f64>(at, 8) + (apart * theirs) / total, 8);
  store<f64>(at, load<f64>(at, 16) + load<f64>(other, 16) + (apart * apart * mine * theirs) / total, 16);
  store<u64>(at, load<u64>(at) + load<u64>(other));
}

export function welfordCount(at: usize): u64 {
  return load<u64>(at);
}
export function welfordMean(at: usize): f64 {
  return load<f64>(at, 8);
}
/** Of the sample (divided by count - 1); 0 for less than two values. */
export function welfordVariance(at: usize): f64 {
  const count = load<u64>(at);
  return count < 2 ? 0 : load<f64>(at, 16) / <f64>(count - 1);
}
