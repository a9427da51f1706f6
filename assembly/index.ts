/**
 * The hot plane: exports that take numbers and pointers, for callers who decide millions of times a second.
 *
 * Times are f64 milliseconds here, and here only: a BigInt for each call would cost more than the decision. Inside they are
 * u64 microseconds. What is configured has a handle into a pool; codecs, rings and backoff work on memory the caller took
 * with `allocate`. Functions give 0 or a positive number, or the negative of a code from errors/.
 */
export {
  dotCounter,
  dotNode,
  dotsBytes,
  dotsCount,
  dotsInit,
  dotsSync,
  dotsWrite,
} from "./clock/dotted";
export { lamportInit, lamportLast, lamportReceive, lamportTick } from "./clock/lamport";
export {
  vectorBytes,
  vectorCompare,
  vectorCount,
  vectorGet,
  vectorInit,
  vectorMerge,
  vectorNode,
  vectorPrune,
  vectorRaise,
  vectorTick,
} from "./clock/vector";
export { cobsDecode, cobsEncode } from "./codec/cobs";
export { crc32, crc32Update } from "./codec/crc32";
export { decodedKind, decodeMessage, encodeMessage } from "./codec/message";
export { errorCategory, errorRecovery, errorSeverity } from "./errors/facts";
export {
  monitorCode,
  monitorCrashes,
  monitorCrashesSet,
  monitorEntry,
  monitorEntryDetail,
  monitorEntryRow,
  monitorEntryUptime,
  monitorEvicted,
  monitorInit,
  monitorRate,
  monitorRecord,
  monitorRecover,
  monitorRow,
  monitorRowCount,
  monitorRowName,
  monitorRowNameLength,
  monitorTotal,
} from "./errors/monitor";
export { recoveryClimb, recoveryNext, recoveryOf, recoveryReset } from "./errors/recovery";
export { jumpHash } from "./hash/jump";
export { maglevBuild, maglevBytes } from "./hash/maglev";
export { ringBuild as hashRingBuild, ringBytes as hashRingBytes } from "./hash/ring";
export { xxh64 } from "./hash/xxh64";
export {
  ringCapacity,
  ringCount,
  ringDrop,
  ringDropped,
  ringInit,
  ringNext,
  ringPeek,
  ringPop,
  ringPush,
  ringPushDropping,
  ringRead,
  ringRecover,
  ringRelease,
  ringUsed,
} from "./memory/byte-ring";
export * from "./raw/anomalies";
export * from "./raw/averages";
export * from "./raw/breakers";
export * from "./raw/budgets";
export * from "./raw/bulkheads";
export * from "./raw/clocks";
export * from "./raw/concurrencies";
export * from "./raw/histograms";
export * from "./raw/last-goods";
export * from "./raw/latencies";
export * from "./raw/limiters";
export * from "./raw/placement";
export * from "./raw/rafts";
export * from "./raw/samplers";
export * from "./raw/throttles";
export * from "./raw/wheels";
export { adaptiveAttempts, backoffUs, retryInit, retryNext } from "./resilience/retry";
export { anomalyBaseline, anomalyBytes } from "./stats/anomaly";
export { CUSUM_BYTES, cusumInit, cusumReset, cusumUpdate } from "./stats/cusum";
export {
  histogramBytes,
  histogramHighest,
  histogramInit,
  histogramLowest,
  histogramMean,
  histogramMerge,
  histogramQuantile,
  histogramRecord,
  histogramReset,
  histogramTotal,
} from "./stats/histogram";
export { histogramForget, histogramWholeBytes, histogramWrite } from "./stats/histogram-bytes";
export { madBytes, madDeviation, madInit, madMedian, madUpdate } from "./stats/mad";
export { P2_BYTES, p2Count, p2Init, p2Update, p2Value } from "./stats/p2";
export {
  seasonalBytes,
  seasonalDeviation,
  seasonalIsWarm,
  seasonalMean,
  seasonalSkipped,
  seasonalVisitZ,
  seasonalZ,
} from "./stats/seasonal";
export {
  WELFORD_BYTES,
  welfordCount,
  welfordInit,
  welfordMean,
  welfordMerge,
  welfordUpdate,
  welfordVariance,
} from "./stats/welford";
export {
  samplerRateInit,
  samplerRatio,
  samplerRatioInit,
  samplerShare,
  samplerThreshold,
} from "./trace/sampler";

/** Memory for a caller's buffers, aligned to 16 and never given back. */
export function allocate(bytes: i32): usize {
  return heap.alloc(<usize>bytes);
}
