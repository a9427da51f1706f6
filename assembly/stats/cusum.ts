/**
 * CUSUM, two-sided (Page, "Continuous Inspection Schemes", 1954): sums what readings lie above target + slack, and below target - slack, never less
 * than 0; a sum beyond the threshold says that the mean has shifted. It sees a small shift that lasts, which no single
 * reading shows. Slack is half the shift to find, the threshold some four to five deviations.
 *
 *   +0 target f32   +4 slack f32   +8 threshold f32   +12 above f32   +16 below f32
 */
import { ARGUMENT } from "../errors/codes.generated";

export const CUSUM_BYTES: usize = 20;

/** 0, or -ARGUMENT: slack at least 0, threshold above 0, all finite. */
export function cusumInit(at: usize, target: f32, slack: f32, threshold: f32): i32 {
  if (!isFinite(target) || !isFinite(slack) || !isFinite(threshold) || slack < 0 || threshold <= 0) {
    return -ARGUMENT;
  }
  store<f32>(at, target);
  store<f32>(at, slack, 4);
  store<f32>(at, threshold, 8);
  cusumReset(at);
  return 0;
}

export function cusumReset(at: usize): void {
  store<f32>(at, 0, 12);
  store<f32>(at, 0, 16);
}

/** 1 when the mean has risen, -1 when it has fallen, else 0; after an alarm both sums begin anew. NaN and infinities are passed over. */
export function cusumUpdate(at: usize, reading: f32): i32 {
  if (!isFinite(reading)) return 0;
  const off = reading - load<f32>(at);
  const slack = load<f32>(at, 4);
  const threshold = load<f32>(at, 8);
  const above = max<f32>(0, load<f32>(at, 12) + off - slack);
  const below = max<f32>(0, load<f32>(at, 16) - off - slack);
  store<f32>(at, above, 12);
  store<f32>(at, below, 16);
  if (above <= threshold && below <= threshold) return 0;
  cusumReset(at);
  return above > threshold ? 1 : -1;
}
