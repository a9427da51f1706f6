/**
 * The hot plane: exports that take numbers and pointers, for callers who decide millions of times a second.
 *
 * Times are f64 milliseconds here, and here only: a BigInt for each call would cost more than the decision. Inside they are
 * u64 microseconds. What is configured has a handle into a pool; codecs, rings and backoff work on memory the caller took
 * with `allocate`. Functions give 0 or a positive number, or the negative of a code from errors/.
 */
import { HLC_BYTES, hlcBoundSet, hlcInit, hlcLast, hlcReceive, hlcReserve, hlcTick } from "./clock/hlc";
import { ARGUMENT } from "./errors/codes.generated";
import { jumpHash } from "./hash/jump";
import { maglevOwner } from "./hash/maglev";
import { rendezvousOwner, rendezvousRank } from "./hash/rendezvous";
import { ringOwner, ringOwners } from "./hash/ring";
import { xxh64 } from "./hash/xxh64";
import { POOL_BYTES, poolAt, poolGive, poolInit, poolTake } from "./memory/pool";
import {
  breakerAcquire as acquire,
  BREAKER_BYTES,
  breakerInit,
  breakerProbes,
  breakerTripConsecutive,
  breakerTripRate,
  breakerWaitUs,
  breakerReturn as giveBack,
  breakerState as stateOf,
} from "./resilience/breaker";
import {
  LIMITER_BYTES,
  limiterInit,
  limiterResetUs,
  limiterWaitUs,
  limiterRemaining as remainingOf,
  limiterReserve as reserve,
  limiterTake as takeOf,
} from "./resilience/limiter";
import { BUCKET_BYTES, bucketInit, bucketWaitUs, bucketTake as take } from "./resilience/token-bucket";
import {
  EWMA_BYTES,
  ewmaInit,
  ewmaMean as meanOf,
  ewmaUpdate as update,
  ewmaVariance as varianceOf,
  ewmaZ as zOf,
} from "./stats/ewma";

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
} from "./lockfree/byte-ring";
export { backoffUs, retryInit, retryNext } from "./resilience/retry";
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
export { madBytes, madDeviation, madInit, madMedian, madUpdate } from "./stats/mad";
export { P2_BYTES, p2Count, p2Init, p2Update, p2Value } from "./stats/p2";
export {
  WELFORD_BYTES,
  welfordCount,
  welfordInit,
  welfordMean,
  welfordMerge,
  welfordUpdate,
  welfordVariance,
} from "./stats/welford";

const POOL_START: u32 = 32;
const US_PER_MS: f64 = 1000.0;
/** 285 years of microseconds: beyond it a time is a mistake, and a conversion to u64 may trap. */
const MS_MAX: f64 = 9.0e12;

const BREAKERS: usize = memory.data(POOL_BYTES, 8);
const BUCKETS: usize = memory.data(POOL_BYTES, 8);
const LIMITERS: usize = memory.data(POOL_BYTES, 8);
const AVERAGES: usize = memory.data(POOL_BYTES, 8);
const CLOCKS: usize = memory.data(POOL_BYTES, 8);
poolInit(BREAKERS, BREAKER_BYTES, POOL_START);
poolInit(BUCKETS, BUCKET_BYTES, POOL_START);
poolInit(LIMITERS, LIMITER_BYTES, POOL_START);
poolInit(AVERAGES, EWMA_BYTES, POOL_START);
poolInit(CLOCKS, HLC_BYTES, POOL_START);

/** Milliseconds as microseconds; NaN and what is before the origin are 0. */
export function microseconds(ms: f64): u64 {
  if (!(ms > 0)) return 0;
  return <u64>(min<f64>(ms, MS_MAX) * US_PER_MS + 0.5);
}

/** Memory for a caller's buffers, aligned to 16 and never given back. */
export function allocate(bytes: i32): usize {
  return heap.alloc(<usize>bytes);
}

/** The pool of a kind of handle, for inspection: 0 breakers, 1 buckets, 2 averages, 3 clocks. */
export function poolOf(kind: i32): usize {
  if (kind == 0) return BREAKERS;
  if (kind == 1) return BUCKETS;
  return kind == 2 ? AVERAGES : CLOCKS;
}

/** Address of a breaker's struct, 0 for a handle that names none. */
export function breakerAt(handle: u32): usize {
  return poolAt(BREAKERS, handle);
}

/** Address of a bucket's struct, 0 for a handle that names none. */
export function bucketAt(handle: u32): usize {
  return poolAt(BUCKETS, handle);
}

/**
 * A breaker. consecutive: failures in a row that open it, 0 none. calls, rateMilli, callsMin: window, failure rate in
 * thousandths and least calls that open it; calls 0: none. A handle, or -ARGUMENT, or -POOL_FULL.
 */
export function breakerCreate(
  openMs: f64,
  probeMs: f64,
  consecutive: u32,
  calls: u32,
  rateMilli: u32,
  callsMin: u32,
  permits: u32,
  successesMin: u32,
): i32 {
  const handle = poolTake(BREAKERS, true);
  if (handle < 0) return handle;
  const at = poolAt(BREAKERS, handle);
  breakerInit(at, microseconds(openMs), microseconds(probeMs));
  breakerTripConsecutive(at, consecutive);
  let status = breakerProbes(at, permits, successesMin);
  if (status == 0 && calls != 0) status = breakerTripRate(at, calls, rateMilli, callsMin);
  if (consecutive == 0 && calls == 0) status = -ARGUMENT;
  if (status == 0) return handle;
  poolGive(BREAKERS, handle);
  return status;
}

export function breakerFree(handle: u32): i32 {
  return poolGive(BREAKERS, handle) ? 0 : -ARGUMENT;
}

export function breakerAcquire(handle: u32, nowMs: f64): i32 {
  const at = poolAt(BREAKERS, handle);
  return at == 0 ? -ARGUMENT : acquire(at, microseconds(nowMs));
}

export function breakerReturn(handle: u32, permit: i32, outcome: u32, nowMs: f64): i32 {
  const at = poolAt(BREAKERS, handle);
  return at == 0 ? -ARGUMENT : giveBack(at, permit, outcome, microseconds(nowMs));
}

export function breakerState(handle: u32, nowMs: f64): i32 {
  const at = poolAt(BREAKERS, handle);
  return at == 0 ? -ARGUMENT : stateOf(at, microseconds(nowMs));
}

export function breakerWaitMs(handle: u32, nowMs: f64): f64 {
  const at = poolAt(BREAKERS, handle);
  return at == 0 ? 0 : <f64>breakerWaitUs(at, microseconds(nowMs)) / US_PER_MS;
}

/** breakerAcquire for `count` handles (u32) at `handles`; permits or codes (i32) go to `permits`. Permits granted. */
export function breakerAcquireBatch(handles: usize, count: i32, permits: usize, nowMs: f64): i32 {
  const nowUs = microseconds(nowMs);
  let granted: i32 = 0;
  for (let index = 0; index < count; ++index) {
    const offset = (<usize>index) << 2;
    const at = poolAt(BREAKERS, load<u32>(handles + offset));
    const permit = at == 0 ? -ARGUMENT : acquire(at, nowUs);
    if (permit > 0) ++granted;
    store<i32>(permits + offset, permit);
  }
  return granted;
}

/** breakerReturn for `count` handles; a permit that is not above 0 is passed over. Outcomes are u8. Permits returned. */
export function breakerReturnBatch(
  handles: usize,
  permits: usize,
  outcomes: usize,
  count: i32,
  nowMs: f64,
): i32 {
  const nowUs = microseconds(nowMs);
  let returned: i32 = 0;
  for (let index = 0; index < count; ++index) {
    const offset = (<usize>index) << 2;
    const at = poolAt(BREAKERS, load<u32>(handles + offset));
    const permit = load<i32>(permits + offset);
    if (at == 0 || permit <= 0) continue;
    if (giveBack(at, permit, <u32>load<u8>(outcomes + <usize>index), nowUs) >= 0) ++returned;
  }
  return returned;
}

/** A bucket of `limit` tokens each `periodUs`, holding `burst`. A handle, or -ARGUMENT, or -POOL_FULL. */
export function bucketCreate(limit: u32, periodUs: u32, burst: u32, nowMs: f64): i32 {
  const handle = poolTake(BUCKETS, true);
  if (handle < 0) return handle;
  const status = bucketInit(poolAt(BUCKETS, handle), limit, periodUs, burst, microseconds(nowMs));
  if (status == 0) return handle;
  poolGive(BUCKETS, handle);
  return status;
}

export function bucketFree(handle: u32): i32 {
  return poolGive(BUCKETS, handle) ? 0 : -ARGUMENT;
}

export function bucketTake(handle: u32, tokens: u32, nowMs: f64): i32 {
  const at = poolAt(BUCKETS, handle);
  return at == 0 ? -ARGUMENT : take(at, tokens, microseconds(nowMs));
}

export function bucketWaitMs(handle: u32, tokens: u32, nowMs: f64): f64 {
  const at = poolAt(BUCKETS, handle);
  return at == 0 ? 0 : <f64>bucketWaitUs(at, tokens, microseconds(nowMs)) / US_PER_MS;
}

/** bucketTake for `count` handles with `tokens` (u32) each; 0 or codes (i32) go to `results`. Requests granted. */
export function bucketTakeBatch(handles: usize, tokens: usize, count: i32, results: usize, nowMs: f64): i32 {
  const nowUs = microseconds(nowMs);
  let granted: i32 = 0;
  for (let index = 0; index < count; ++index) {
    const offset = (<usize>index) << 2;
    const at = poolAt(BUCKETS, load<u32>(handles + offset));
    const status = at == 0 ? -ARGUMENT : take(at, load<u32>(tokens + offset), nowUs);
    if (status == 0) ++granted;
    store<i32>(results + offset, status);
  }
  return granted;
}

/**
 * A rate limiter of a kind of resilience/limiter.ts: 0 token bucket, 1 GCRA, 2 fixed window, 3 sliding counter, 4 sliding log (with `entries`, room
 * for `limit` u64). A handle, or -ARGUMENT, or -POOL_FULL.
 */
export function limiterCreate(
  kind: u32,
  limit: u32,
  periodUs: u32,
  burst: u32,
  entries: usize,
  nowMs: f64,
): i32 {
  const handle = poolTake(LIMITERS, true);
  if (handle < 0) return handle;
  const at = poolAt(LIMITERS, handle);
  const status = limiterInit(at, kind, limit, periodUs, burst, entries, microseconds(nowMs));
  if (status == 0) return handle;
  poolGive(LIMITERS, handle);
  return status;
}

export function limiterFree(handle: u32): i32 {
  return poolGive(LIMITERS, handle) ? 0 : -ARGUMENT;
}

export function limiterTake(handle: u32, tokens: u32, nowMs: f64): i32 {
  const at = poolAt(LIMITERS, handle);
  return at == 0 ? -ARGUMENT : takeOf(at, tokens, microseconds(nowMs));
}

/** limiterTake by exact microseconds: milliseconds as a double tell them apart for 285 years only. */
export function limiterTakeAtUs(handle: u32, tokens: u32, nowUs: u64): i32 {
  const at = poolAt(LIMITERS, handle);
  return at == 0 ? -ARGUMENT : takeOf(at, tokens, nowUs);
}

/** GCRA: milliseconds to wait for the place that was taken, or the negative of a code. */
export function limiterReserve(handle: u32, tokens: u32, nowMs: f64): f64 {
  const at = poolAt(LIMITERS, handle);
  if (at == 0) return -ARGUMENT;
  const waitUs = reserve(at, tokens, microseconds(nowMs));
  return waitUs < 0 ? <f64>waitUs : <f64>waitUs / US_PER_MS;
}

export function limiterRemaining(handle: u32, nowMs: f64): u32 {
  const at = poolAt(LIMITERS, handle);
  return at == 0 ? 0 : remainingOf(at, microseconds(nowMs));
}

export function limiterResetMs(handle: u32, nowMs: f64): f64 {
  const at = poolAt(LIMITERS, handle);
  return at == 0 ? 0 : <f64>limiterResetUs(at, microseconds(nowMs)) / US_PER_MS;
}

/** Infinity for more tokens than it can ever give at once. */
export function limiterWaitMs(handle: u32, tokens: u32, nowMs: f64): f64 {
  const at = poolAt(LIMITERS, handle);
  if (at == 0) return 0;
  const waitUs = limiterWaitUs(at, tokens, microseconds(nowMs));
  return waitUs == u64.MAX_VALUE ? Infinity : <f64>waitUs / US_PER_MS;
}

export function ewmaCreate(alpha: f32, z: f32, deviationMin: f32, warmup: u32): i32 {
  const handle = poolTake(AVERAGES, true);
  if (handle < 0) return handle;
  const status = ewmaInit(poolAt(AVERAGES, handle), alpha, z, deviationMin, warmup);
  if (status == 0) return handle;
  poolGive(AVERAGES, handle);
  return status;
}

export function ewmaFree(handle: u32): i32 {
  return poolGive(AVERAGES, handle) ? 0 : -ARGUMENT;
}

export function ewmaUpdate(handle: u32, reading: f32): i32 {
  const at = poolAt(AVERAGES, handle);
  return at == 0 ? -ARGUMENT : update(at, reading);
}

export function ewmaMean(handle: u32): f32 {
  const at = poolAt(AVERAGES, handle);
  return at == 0 ? 0 : meanOf(at);
}

export function ewmaVariance(handle: u32): f32 {
  const at = poolAt(AVERAGES, handle);
  return at == 0 ? 0 : varianceOf(at);
}

export function ewmaZ(handle: u32): f32 {
  const at = poolAt(AVERAGES, handle);
  return at == 0 ? 0 : zOf(at);
}

export function clockCreate(driftMsMax: u32, floor: u64): i32 {
  const handle = poolTake(CLOCKS, true);
  if (handle > 0) hlcInit(poolAt(CLOCKS, handle), driftMsMax, floor);
  return handle;
}

export function clockFree(handle: u32): i32 {
  return poolGive(CLOCKS, handle) ? 0 : -ARGUMENT;
}

/** Stamps are u64, a BigInt in JavaScript: they travel and are compared, and 53 bits would not do. */
export function clockTick(handle: u32, wallMs: f64): u64 {
  const at = poolAt(CLOCKS, handle);
  return at == 0 ? 0 : hlcTick(at, milliseconds(wallMs));
}

export function clockReceive(handle: u32, wallMs: f64, remote: u64): i32 {
  const at = poolAt(CLOCKS, handle);
  return at == 0 ? -ARGUMENT : hlcReceive(at, milliseconds(wallMs), remote);
}

export function clockLast(handle: u32): u64 {
  const at = poolAt(CLOCKS, handle);
  return at == 0 ? 0 : hlcLast(at);
}

export function clockReserve(handle: u32, wallMs: f64, aheadMs: u32): u64 {
  const at = poolAt(CLOCKS, handle);
  return at == 0 ? 0 : hlcReserve(at, milliseconds(wallMs), aheadMs);
}

export function clockBoundSet(handle: u32, bound: u64): i32 {
  const at = poolAt(CLOCKS, handle);
  if (at == 0) return -ARGUMENT;
  hlcBoundSet(at, bound);
  return 0;
}

/** Placements of the key whose bytes are at `key`: an index into the nodes, or -ARGUMENT. */
export function jumpOwnerOf(key: usize, length: i32, buckets: i32): i32 {
  return buckets > 0 ? jumpHash(xxh64(key, length, 0), buckets) : -ARGUMENT;
}
export function rendezvousOwnerOf(nodes: usize, count: u32, key: usize, length: i32): i32 {
  return rendezvousOwner(nodes, count, xxh64(key, length, 0));
}
export function rendezvousRankOf(
  nodes: usize,
  count: u32,
  key: usize,
  length: i32,
  wanted: u32,
  to: usize,
  scores: usize,
): i32 {
  return rendezvousRank(nodes, count, xxh64(key, length, 0), wanted, to, scores);
}
export function hashRingOwnerOf(ring: usize, key: usize, length: i32): i32 {
  return ringOwner(ring, xxh64(key, length, 0));
}
export function hashRingOwnersOf(ring: usize, key: usize, length: i32, wanted: u32, to: usize): i32 {
  return ringOwners(ring, xxh64(key, length, 0), wanted, to);
}
export function maglevOwnerOf(table: usize, key: usize, length: i32): i32 {
  return maglevOwner(table, xxh64(key, length, 0));
}

function milliseconds(ms: f64): u64 {
  return ms > 0 ? <u64>min<f64>(ms, MS_MAX * US_PER_MS) : 0;
}
