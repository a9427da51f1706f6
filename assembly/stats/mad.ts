/**
 * Outliers by the median and the median absolute deviation of the last readings (Hampel, 1974; modified z-score: Iglewicz, Hoaglin, 1993). A mean and a
 * deviation are drawn towards what they should find; half the window may be garbage before a median is.
 *
 *   +0 capacity u32   +4 count u32   +8 next u32   +12 z f32   +16 deviationMin f32   +20 readings f32 * capacity   then sorted f32 * capacity
 */
import { ARGUMENT } from "../errors/codes.generated";

const HEADER_BYTES: usize = 20;
export const MAD_WINDOW_MAX: u32 = 255;
/** Of a normal distribution, the MAD is so much of the standard deviation. */
const MAD_SIGMA: f32 = 0.6745;

/** For a window of 3 to 255 readings; 0 for others. */
export function madBytes(window: u32): u32 {
  return window < 3 || window > MAD_WINDOW_MAX ? 0 : <u32>HEADER_BYTES + (window << 3);
}

/** z: modified deviations that flag, 3.5 is usual. deviationMin: least deviation that counts. 0, or -ARGUMENT. */
export function madInit(at: usize, window: u32, z: f32, deviationMin: f32): i32 {
  if (madBytes(window) == 0 || !(z > 0) || !(deviationMin >= 0) || !isFinite(z) || !isFinite(deviationMin)) {
    return -ARGUMENT;
  }
  store<u32>(at, window);
  store<u64>(at, 0, 4);
  store<f32>(at, z, 12);
  store<f32>(at, deviationMin, 16);
  return 0;
}

/** Judges a reading by those before it, then learns it. 1 for an outlier; 0 until the window is full, and for NaN and infinities. */
export function madUpdate(at: usize, reading: f32): i32 {
  if (!isFinite(reading)) return 0;
  const window = load<u32>(at);
  const isFull = load<u32>(at, 4) == window;
  let isOutlier = false;
  if (isFull) {
    const median = madMedian(at);
    const deviation = max<f32>(deviationOf(at, median), load<f32>(at, 16));
    const off = Mathf.abs(reading - median);
    isOutlier = deviation == 0 ? off > 0 : (MAD_SIGMA * off) / deviation > load<f32>(at, 12);
  }
  const next = load<u32>(at, 8);
  store<f32>(readingAt(at, next), reading);
  store<u32>(at, next + 1 == window ? 0 : next + 1, 8);
  if (!isFull) store<u32>(at, load<u32>(at, 4) + 1, 4);
  return isOutlier ? 1 : 0;
}

/** Median of the readings there are, NaN without any. */
export function madMedian(at: usize): f32 {
  const count = load<u32>(at, 4);
  for (let index: u32 = 0; index < count; ++index) sortIn(at, index, load<f32>(readingAt(at, index)));
  return middle(at, count);
}

/** Median absolute deviation of the readings there are, NaN without any. */
export function madDeviation(at: usize): f32 {
  return deviationOf(at, madMedian(at));
}

function deviationOf(at: usize, median: f32): f32 {
  const count = load<u32>(at, 4);
  for (let index: u32 = 0; index < count; ++index) {
    sortIn(at, index, Mathf.abs(load<f32>(readingAt(at, index)) - median));
  }
  return middle(at, count);
}

function middle(at: usize, count: u32): f32 {
  if (count == 0) return NaN;
  const upper = load<f32>(sortedAt(at, count >> 1));
  return (count & 1) == 1 ? upper : (upper + load<f32>(sortedAt(at, (count >> 1) - 1))) / 2;
}

/** Insertion: windows are short. */
function sortIn(at: usize, count: u32, value: f32): void {
  let index = count;
  while (index > 0 && load<f32>(sortedAt(at, index - 1)) > value) {
    store<f32>(sortedAt(at, index), load<f32>(sortedAt(at, index - 1)));
    --index;
  }
  store<f32>(sortedAt(at, index), value);
}

function readingAt(at: usize, index: u32): usize {
  return at + HEADER_BYTES + ((<usize>index) << 2);
}
function sortedAt(at: usize, index: u32): usize {
  return readingAt(at, load<u32>(at) + index);
}
