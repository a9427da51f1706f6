/**
 * The core as the host sees it: one WebAssembly instance, its memory and its raw exports, typed.
 *
 * Whoever has the module's bytes gives them; this file reads no disk. The instance is synchronous and belongs to one
 * thread. Creating a pool item may grow the memory, which detaches every view of it: ask `bytes()` anew after creating.
 */
import { errorCodeOf, TardigradeError } from "../../protocols/error.ts";
import type { ErrorCode } from "../../protocols/table.ts";

/** Raw exports of assembly/index.ts. Handles are above 0; a negative result is the negative of an error's number. */
export interface CoreExports {
  readonly memory: WebAssembly.Memory;
  allocate(bytes: number): number;
  crc32(from: number, length: number): number;
  crc32Update(crc: number, from: number, length: number): number;
  cobsEncode(from: number, length: number, to: number, capacity: number): number;
  cobsDecode(from: number, length: number, to: number, capacity: number): number;
  decodeMessage(input: number, length: number, tokens: number, tokensMax: number): number;
  decodedKind(): number;
  encodeMessage(kind: number, tokens: number, count: number, output: number, capacity: number): number;
  retryInit(at: number, baseUs: number, capUs: number, attemptsMax: number, jitter: number): number;
  retryNext(at: number, failures: number, random: number): bigint;
  backoffUs(baseUs: number, capUs: number, failures: number, jitter: number, random: number): number;
  breakerCreate(
    openMs: number,
    probeMs: number,
    consecutive: number,
    calls: number,
    rateMilli: number,
    callsMin: number,
    permits: number,
    successesMin: number,
  ): number;
  /** Addresses of the structs that the modules of assembly/ draw, 0 for a handle that names nothing. */
  breakerAt(handle: number): number;
  bucketAt(handle: number): number;
  breakerFree(handle: number): number;
  breakerAcquire(handle: number, nowMs: number): number;
  breakerReturn(handle: number, permit: number, outcome: number, nowMs: number): number;
  breakerState(handle: number, nowMs: number): number;
  breakerWaitMs(handle: number, nowMs: number): number;
  breakerAcquireBatch(handles: number, count: number, permits: number, nowMs: number): number;
  breakerReturnBatch(
    handles: number,
    permits: number,
    outcomes: number,
    count: number,
    nowMs: number,
  ): number;
  bucketCreate(limit: number, periodUs: number, burst: number, nowMs: number): number;
  bucketFree(handle: number): number;
  bucketTake(handle: number, tokens: number, nowMs: number): number;
  bucketWaitMs(handle: number, tokens: number, nowMs: number): number;
  bucketTakeBatch(handles: number, tokens: number, count: number, results: number, nowMs: number): number;
  limiterCreate(
    kind: number,
    limit: number,
    periodUs: number,
    burst: number,
    entries: number,
    nowMs: number,
  ): number;
  limiterFree(handle: number): number;
  limiterTake(handle: number, tokens: number, nowMs: number): number;
  limiterTakeAtUs(handle: number, tokens: number, nowUs: bigint): number;
  limiterReserve(handle: number, tokens: number, nowMs: number): number;
  limiterRemaining(handle: number, nowMs: number): number;
  limiterResetMs(handle: number, nowMs: number): number;
  limiterWaitMs(handle: number, tokens: number, nowMs: number): number;
  lamportInit(at: number, last: bigint): void;
  lamportLast(at: number): bigint;
  lamportTick(at: number): bigint;
  lamportReceive(at: number, remote: bigint): number;
  vectorBytes(capacity: number): number;
  vectorInit(at: number, capacity: number): number;
  vectorCount(at: number): number;
  vectorNode(at: number, index: number): bigint;
  vectorGet(at: number, node: bigint): bigint;
  vectorRaise(at: number, node: bigint, counter: bigint, nowMs: bigint): number;
  vectorTick(at: number, node: bigint, nowMs: bigint): number;
  vectorMerge(at: number, other: number, nowMs: bigint): number;
  vectorCompare(at: number, other: number): number;
  vectorPrune(at: number, keep: number, beforeMs: bigint): number;
  dotsBytes(capacity: number): number;
  dotsInit(at: number, capacity: number): number;
  dotsCount(at: number): number;
  dotNode(at: number, index: number): bigint;
  dotCounter(at: number, index: number): bigint;
  dotsWrite(at: number, seen: number, context: number, node: bigint, nowMs: bigint): number;
  dotsSync(at: number, seen: number, other: number, otherSeen: number, nowMs: bigint): number;
  cusumInit(at: number, target: number, slack: number, threshold: number): number;
  cusumReset(at: number): void;
  cusumUpdate(at: number, reading: number): number;
  histogramBytes(bits: number): number;
  histogramInit(at: number, bits: number): number;
  histogramReset(at: number): void;
  histogramRecord(at: number, value: number, times: number): void;
  histogramMerge(at: number, other: number): number;
  histogramTotal(at: number): bigint;
  histogramMean(at: number): number;
  /** u32, which JavaScript gets as i32: `>>> 0`. */
  histogramLowest(at: number): number;
  histogramHighest(at: number): number;
  histogramQuantile(at: number, thousandths: number): number;
  madBytes(window: number): number;
  madInit(at: number, window: number, z: number, deviationMin: number): number;
  madUpdate(at: number, reading: number): number;
  madMedian(at: number): number;
  madDeviation(at: number): number;
  p2Init(at: number, quantile: number): number;
  p2Count(at: number): bigint;
  p2Update(at: number, value: number): void;
  p2Value(at: number): number;
  welfordInit(at: number): void;
  welfordCount(at: number): bigint;
  welfordUpdate(at: number, value: number): void;
  welfordMerge(at: number, other: number): void;
  welfordMean(at: number): number;
  welfordVariance(at: number): number;
  xxh64(from: number, length: number, seed: bigint): bigint;
  jumpHash(key: bigint, buckets: number): number;
  jumpOwnerOf(key: number, length: number, buckets: number): number;
  rendezvousOwnerOf(nodes: number, count: number, key: number, length: number): number;
  rendezvousRankOf(
    nodes: number,
    count: number,
    key: number,
    length: number,
    wanted: number,
    to: number,
    scores: number,
  ): number;
  hashRingBytes(nodes: number, count: number, points: number): number;
  hashRingBuild(at: number, capacity: number, nodes: number, count: number, points: number): number;
  hashRingOwnerOf(ring: number, key: number, length: number): number;
  hashRingOwnersOf(ring: number, key: number, length: number, wanted: number, to: number): number;
  maglevBytes(slots: number, count: number): number;
  maglevBuild(at: number, capacity: number, slots: number, nodes: number, count: number): number;
  maglevOwnerOf(table: number, key: number, length: number): number;
  ewmaCreate(alpha: number, z: number, deviationMin: number, warmup: number): number;
  ewmaFree(handle: number): number;
  ewmaUpdate(handle: number, reading: number): number;
  ewmaMean(handle: number): number;
  ewmaVariance(handle: number): number;
  ewmaZ(handle: number): number;
  clockCreate(driftMsMax: number, floor: bigint): number;
  clockFree(handle: number): number;
  clockTick(handle: number, wallMs: number): bigint;
  clockReceive(handle: number, wallMs: number, remote: bigint): number;
  clockLast(handle: number): bigint;
  clockReserve(handle: number, wallMs: number, aheadMs: number): bigint;
  clockBoundSet(handle: number, bound: bigint): number;
  ringInit(at: number, bytes: number): number;
  ringRecover(at: number, bytes: number): number;
  ringPush(at: number, from: number, length: number): number;
  ringPushDropping(at: number, from: number, length: number): number;
  ringPeek(at: number, to: number, capacity: number): number;
  ringPop(at: number, to: number, capacity: number): number;
  ringDrop(at: number): number;
  ringRelease(at: number): number;
  ringNext(at: number, cursor: number): number;
  ringRead(at: number, cursor: number, to: number, capacity: number): number;
  ringCount(at: number): number;
  ringUsed(at: number): number;
  ringCapacity(at: number): number;
  ringDropped(at: number): number;
  errorSeverity(code: number): number;
  errorCategory(code: number): number;
  errorRecovery(code: number): number;
  recoveryOf(code: number, severity: number): number;
  recoveryClimb(strategy: number): number;
  recoveryReset(at: number): void;
  recoveryNext(at: number, strategy: number, limit: number, periodUs: bigint, nowUs: bigint): number;
  monitorInit(at: number, boot: number): void;
  monitorRecover(at: number, boot: number): number;
  monitorRecord(
    at: number,
    code: number,
    severity: number,
    name: number,
    length: number,
    detail: bigint,
    nowUs: bigint,
  ): number;
  monitorRate(at: number, code: number, name: number, length: number, nowUs: bigint): number;
  monitorTotal(at: number): number;
  monitorEvicted(at: number): number;
  monitorCrashes(at: number): number;
  monitorCrashesSet(at: number, crashes: number): void;
  monitorRow(at: number, index: number): number;
  monitorRowCount(row: number): number;
  monitorRowName(row: number): number;
  monitorRowNameLength(row: number): number;
  monitorCode(slot: number): number;
  monitorEntry(at: number, age: number): number;
  monitorEntryRow(entry: number): number;
  monitorEntryUptime(entry: number): bigint;
  monitorEntryDetail(entry: number): bigint;
}

export interface Core {
  readonly raw: CoreExports;
  /** All of the memory as it is now; stale after anything is created or allocated. */
  bytes(): Uint8Array<ArrayBuffer>;
  /** Takes memory for a buffer, for as long as the core lives. */
  allocate(bytes: number): number;
}

/** Instantiates the bytes of build/core.wasm. */
export function openCore(wasm: Uint8Array<ArrayBuffer>): Core {
  return coreOf(new WebAssembly.Instance(new WebAssembly.Module(wasm)));
}

/** Wraps an instance made elsewhere, as the typed plane makes one. */
export function coreOf(instance: WebAssembly.Instance): Core {
  const raw = instance.exports as unknown as CoreExports;
  let view = new Uint8Array(raw.memory.buffer as ArrayBuffer);
  return {
    raw,
    bytes: () => {
      if (view.buffer !== raw.memory.buffer) view = new Uint8Array(raw.memory.buffer as ArrayBuffer);
      return view;
    },
    allocate: (bytes) => raw.allocate(bytes),
  };
}

/** The name of a negative status. */
export function codeOfStatus(status: number): ErrorCode {
  return errorCodeOf(-status) ?? "INTERNAL";
}

/** A handle as it is, or the error its negative means. */
export function checkHandle(status: number, message: string): number {
  if (status > 0) return status;
  throw new TardigradeError(codeOfStatus(status), message, { context: { component: "core" } });
}
