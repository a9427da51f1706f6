/**
 * A streaming quantile of latencies in sixteen bytes, for timeouts that follow what is usual and for hedges (Yazidi, Hammer, "Multiplicative Update
 * Methods for Incremental Quantile Estimation", IEEE Trans. Cybernetics 2017): above the estimate it grows by a share of itself, below it shrinks by
 * another, in the ratio that holds them in balance where the share q of all latencies lies below. It follows drift, keeps no samples and takes one
 * multiplication. Its noise is a few times its step, a 32nd; where an error bound is needed take a histogram.
 *
 *   +0 estimate u64 (microseconds * 256)   +8 count u32   +12 q u32 (in 1/1024)
 */
import { ARGUMENT } from "../errors/codes.generated";

export const LATENCY_BYTES: usize = 16;
/** Before so many samples there is no estimate to go by. */
export const LATENCY_SAMPLES_MIN: u32 = 16;

const FRACTION_BITS: u64 = 8;
const Q_ONE: u32 = 1024;
const STEP_BITS: u64 = 5;
/** Steps of a quarter at first, so that a wrong first sample is soon left behind. */
const QUICK_STEP_BITS: u64 = 2;

/** qMilli: the quantile in thousandths, 1 to 999. 0 or -ARGUMENT. */
export function latencyInit(at: usize, qMilli: u32): i32 {
  if (qMilli == 0 || qMilli > 999) return -ARGUMENT;
  store<u64>(at, 0);
  store<u32>(at, 0, 8);
  // 1 to 999 thousandths are 1 to 1,023 of 1,024 when rounded: neither step is 0.
  store<u32>(at, (qMilli * Q_ONE + 500) / 1000, 12);
  return 0;
}

export function latencyRecord(at: usize, tookUs: u32): void {
  const count = load<u32>(at, 8);
  const sample = (<u64>tookUs) << FRACTION_BITS;
  if (count != u32.MAX_VALUE) store<u32>(at, count + 1, 8);
  if (count == 0) {
    store<u64>(at, sample);
    return;
  }
  const estimate = load<u64>(at);
  const bits = 10 + (count < LATENCY_SAMPLES_MIN ? QUICK_STEP_BITS : STEP_BITS);
  const q = load<u32>(at, 12);
  if (sample > estimate) {
    store<u64>(at, min<u64>(estimate + max<u64>((estimate * <u64>q) >> bits, 1), sample));
  } else if (sample < estimate) {
    store<u64>(
      at,
      max<u64>(estimate - min<u64>(max<u64>((estimate * <u64>(Q_ONE - q)) >> bits, 1), estimate), sample),
    );
  }
}

/** The estimate in microseconds; 0 before LATENCY_SAMPLES_MIN samples. */
export function latencyUs(at: usize): u32 {
  if (load<u32>(at, 8) < LATENCY_SAMPLES_MIN) return 0;
  return <u32>min<u64>(load<u64>(at) >> FRACTION_BITS, <u64>u32.MAX_VALUE);
}

/** A timeout of `factorMilli` thousandths of the estimate within minUs and maxUs; maxUs before there is an estimate. */
export function latencyTimeoutUs(at: usize, factorMilli: u32, minUs: u32, maxUs: u32): u32 {
  const estimateUs = latencyUs(at);
  if (estimateUs == 0) return maxUs;
  const timeoutUs = (<u64>estimateUs * <u64>factorMilli) / 1000;
  return <u32>min<u64>(max<u64>(timeoutUs, <u64>minUs), <u64>maxUs);
}
