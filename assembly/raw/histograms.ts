/** A histogram's value by rank, which a double counts up to 2^53. */
import { histogramValueAt as valueAt } from "../stats/histogram";

const RANK_MAX: f64 = 9007199254740992.0;

export function histogramValueAt(at: usize, rank: f64): u32 {
  return valueAt(at, rank >= 1 ? <u64>min<f64>(rank, RANK_MAX) : 1);
}
