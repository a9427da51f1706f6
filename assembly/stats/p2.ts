/**
 * The P² algorithm (Jain, Chlamtac, "The P² Algorithm for Dynamic Calculation of Quantiles and Histograms Without Storing Observations", 1985): an
 * estimate of one quantile in five markers. Each marker wants to be at a share of all observations (0, q/2, q, (1+q)/2, 1); when one lags by
 * more than a place it moves, along a parabola through its neighbours where that keeps the order, else along a line. No bound on the error is known: where one
 * is needed, take a histogram.
 *
 *   +0 q f64   +8 count u64   +16 height f64 * 5   +56 place f64 * 5
 */
import { ARGUMENT } from "../errors/codes.generated";

export const P2_BYTES: usize = 96;

const HEIGHTS: usize = 16;
const PLACES: usize = 56;
const MARKERS: u32 = 5;

/** 0, or -ARGUMENT for a quantile that is not between 0 and 1. */
export function p2Init(at: usize, quantile: f64): i32 {
  if (!(quantile > 0 && quantile < 1)) return -ARGUMENT;
  store<f64>(at, quantile);
  store<u64>(at, 0, 8);
  return 0;
}

export function p2Count(at: usize): u64 {
  return load<u64>(at, 8);
}

/** NaN and infinities are passed over. */
export function p2Update(at: usize, value: f64): void {
  if (!isFinite(value)) return;
  const count = load<u64>(at, 8);
  store<u64>(at, count + 1, 8);
  if (count < <u64>MARKERS) return insert(at, <u32>count, value);
  let cell: u32 = 0;
  if (value < height(at, 0)) setHeight(at, 0, value);
  else if (value >= height(at, 4)) {
    setHeight(at, 4, value);
    cell = 3;
  } else while (cell < 3 && value >= height(at, cell + 1)) ++cell;
  for (let marker = cell + 1; marker < MARKERS; ++marker) setPlace(at, marker, place(at, marker) + 1);
  for (let marker: u32 = 1; marker < MARKERS - 1; ++marker) settle(at, marker, <f64>count);
}

/** The estimate; the nearest rank of what there is below five values, NaN without any. */
export function p2Value(at: usize): f64 {
  const count = load<u64>(at, 8);
  if (count == 0) return NaN;
  if (count >= <u64>MARKERS) return height(at, 2);
  const rank = <u32>Math.ceil(load<f64>(at) * <f64>count);
  return height(at, max<u32>(rank, 1) - 1);
}

/** The first five stand sorted. */
function insert(at: usize, count: u32, value: f64): void {
  let index = count;
  while (index > 0 && height(at, index - 1) > value) {
    setHeight(at, index, height(at, index - 1));
    --index;
  }
  setHeight(at, index, value);
  setPlace(at, count, <f64>count);
}

/** Where the marker wants to be among `last` + 1 observations, counted from 0. */
function wanted(at: usize, marker: u32, last: f64): f64 {
  const q = load<f64>(at);
  const share: f64 = marker == 1 ? q / 2 : marker == 2 ? q : (1 + q) / 2;
  return share * last;
}

function settle(at: usize, marker: u32, last: f64): void {
  const here = place(at, marker);
  const lag = wanted(at, marker, last) - here;
  const above = place(at, marker + 1) - here;
  const below = place(at, marker - 1) - here;
  const isUp = lag >= 1 && above > 1;
  if (!isUp && !(lag <= -1 && below < -1)) return;
  const step: f64 = isUp ? 1 : -1;
  const low = height(at, marker - 1);
  const mid = height(at, marker);
  const high = height(at, marker + 1);
  const curve = ((step - below) * (high - mid)) / above + ((above - step) * (mid - low)) / -below;
  let moved = mid + (step / (above - below)) * curve;
  if (!(low < moved && moved < high)) {
    moved = isUp ? mid + (high - mid) / above : mid - (low - mid) / below;
  }
  setHeight(at, marker, moved);
  setPlace(at, marker, here + step);
}

function height(at: usize, marker: u32): f64 {
  return load<f64>(at + HEIGHTS + ((<usize>marker) << 3));
}
function setHeight(at: usize, marker: u32, value: f64): void {
  store<f64>(at + HEIGHTS + ((<usize>marker) << 3), value);
}
function place(at: usize, marker: u32): f64 {
  return load<f64>(at + PLACES + ((<usize>marker) << 3));
}
function setPlace(at: usize, marker: u32, value: f64): void {
  store<f64>(at + PLACES + ((<usize>marker) << 3), value);
}
