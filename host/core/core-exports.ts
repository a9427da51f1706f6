/**
 * Raw exports of assembly/index.ts. Handles are above 0; a negative result is the negative of an error's number. Times are milliseconds as
 * doubles: one that is negative, not a number or beyond 285 years is answered with -ARGUMENT.
 */
export interface CoreExports
  extends MemoryExports,
    CodecExports,
    PolicyExports,
    ClockExports,
    StatisticsExports,
    PlacementExports,
    RingExports,
    ErrorExports,
    AnomalyExports,
    RaftExports,
    TraceExports {}

interface MemoryExports {
  readonly memory: WebAssembly.Memory;
  allocate(bytes: number): number;
}

/** assembly/codec. */
interface CodecExports {
  crc32(from: number, length: number): number;
  crc32Update(crc: number, from: number, length: number): number;
  cobsEncode(from: number, length: number, to: number, capacity: number): number;
  cobsDecode(from: number, length: number, to: number, capacity: number): number;
  decodeMessage(input: number, length: number, tokens: number, tokensMax: number): number;
  decodedKind(): number;
  encodeMessage(kind: number, tokens: number, count: number, output: number, capacity: number): number;
}

/** assembly/resilience, by handle. */
interface PolicyExports {
  retryInit(
    at: number,
    backoff: number,
    baseUs: number,
    capUs: number,
    attemptsMax: number,
    jitter: number,
  ): number;
  retryNext(at: number, failures: number, random: number): bigint;
  backoffUs(
    backoff: number,
    baseUs: number,
    capUs: number,
    failures: number,
    jitter: number,
    random: number,
    lastUs: number,
  ): number;
  adaptiveAttempts(attemptsMax: number, calls: number, failures: number, callsMin: number): number;
  throttleCreate(kMilli: number, windowMs: number, nowMs: number): number;
  throttleFree(handle: number): number;
  throttleAdmit(handle: number, random: number, nowMs: number): number;
  throttleAccepted(handle: number, nowMs: number): number;
  throttleRejected(handle: number, nowMs: number): number;
  throttleMilli(handle: number, nowMs: number): number;
  budgetCreate(shareMilli: number, perSecond: number, spanMs: number, nowMs: number): number;
  budgetFree(handle: number): number;
  budgetCall(handle: number, nowMs: number): number;
  budgetRetry(handle: number, nowMs: number): number;
  budgetLeft(handle: number, nowMs: number): number;
  latencyCreate(qMilli: number): number;
  latencyFree(handle: number): number;
  latencyRecord(handle: number, tookMs: number): number;
  latencyMs(handle: number): number;
  latencyTimeoutMs(handle: number, factorMilli: number, minMs: number, maxMs: number): number;
  lastGoodCreate(ageMaxMs: number): number;
  lastGoodFree(handle: number): number;
  lastGoodStore(handle: number, nowMs: number): number;
  lastGoodCheck(handle: number, nowMs: number): number;
  concurrencyCreate(
    kind: number,
    limit: number,
    limitMin: number,
    limitMax: number,
    windowMs: number,
    decreaseMilli: number,
    slowMs: number,
    measureEveryMs: number,
    toleranceMilli: number,
    nowMs: number,
  ): number;
  concurrencyFree(handle: number): number;
  concurrencySample(
    handle: number,
    startedMs: number,
    inFlight: number,
    dropped: number,
    nowMs: number,
  ): number;
  concurrencyLimit(handle: number): number;
  concurrencyBaselineMs(handle: number): number;
  bulkheadBytes(queueMax: number): number;
  bulkheadCreate(limit: number, queueMax: number, memory: number): number;
  bulkheadFree(handle: number): number;
  bulkheadShare(handle: number, priority: number, shareMilli: number): number;
  bulkheadLimit(handle: number, limit: number): number;
  bulkheadTry(handle: number, priority: number): number;
  bulkheadEnter(handle: number, priority: number, ticket: number): number;
  bulkheadLeave(handle: number): number;
  bulkheadNext(handle: number): number;
  bulkheadCancel(handle: number, place: number): number;
  bulkheadShed(handle: number): number;
  bulkheadInFlight(handle: number): number;
  bulkheadQueued(handle: number): number;
  wheelBytes(capacity: number): number;
  wheelCreate(capacity: number, memory: number, nowMs: number): number;
  wheelFree(handle: number): number;
  wheelGrow(handle: number, capacity: number, memory: number): number;
  wheelAdd(handle: number, delayMs: number, tag: number, nowMs: number): number;
  wheelCancel(handle: number, timer: number): number;
  wheelPop(handle: number, nowMs: number): number;
  wheelNextMs(handle: number): number;
  wheelUsed(handle: number): number;
  breakerCreate(
    openMs: number,
    halfOpenMs: number,
    consecutive: number,
    windowCalls: number,
    windowMs: number,
    failureMilli: number,
    slowMilli: number,
    slowMs: number,
    callsMin: number,
    permits: number,
    successesMin: number,
    nowMs: number,
  ): number;
  breakerForce(handle: number, state: number, nowMs: number): number;
  /** Addresses of the structs that the modules of assembly/ draw, 0 for a handle that names nothing. */
  breakerAt(handle: number): number;
  limiterAt(handle: number): number;
  breakersPool(): number;
  breakerFree(handle: number): number;
  breakerAcquire(handle: number, nowMs: number): number;
  breakerReturn(handle: number, permit: number, outcome: number, tookMs: number, nowMs: number): number;
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
  limiterTakeBatch(handles: number, tokens: number, count: number, results: number, nowMs: number): number;
  limiterTakeAtUs(handle: number, tokens: number, nowUs: bigint): number;
  limiterReserve(handle: number, tokens: number, nowMs: number): number;
  limiterRemaining(handle: number, nowMs: number): number;
  limiterResetMs(handle: number, nowMs: number): number;
  limiterWaitMs(handle: number, tokens: number, nowMs: number): number;
}

/** assembly/clock. Stamps and counters are u64, BigInts here. */
interface ClockExports {
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
  clockCreate(driftMsMax: number, floor: bigint): number;
  clockFree(handle: number): number;
  clockTick(handle: number, wallMs: number): bigint;
  clockReceive(handle: number, wallMs: number, remote: bigint): number;
  clockLast(handle: number): bigint;
  clockReserve(handle: number, wallMs: number, aheadMs: number): bigint;
  clockBoundSet(handle: number, bound: bigint): number;
}

/** assembly/stats. */
interface StatisticsExports {
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
  histogramValueAt(at: number, rank: number): number;
  histogramWholeBytes(at: number): number;
  histogramWrite(at: number, out: number, room: number): number;
  histogramForget(at: number): void;
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
  ewmaCreate(alpha: number, z: number, deviationMin: number, warmup: number): number;
  ewmaFree(handle: number): number;
  ewmaUpdate(handle: number, reading: number): number;
  ewmaMean(handle: number): number;
  ewmaVariance(handle: number): number;
  ewmaZ(handle: number): number;
}

/** assembly/hash. */
interface PlacementExports {
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
}

/** assembly/lockfree. */
interface RingExports {
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
}

/** assembly/errors: what codes mean, recovery, and the monitor of devices. */
interface ErrorExports {
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

/** assembly/stats/seasonal.ts and anomaly.ts. */
interface AnomalyExports {
  seasonalBytes(slots: number): number;
  seasonalInit(
    at: number,
    periodMs: number,
    slots: number,
    alpha: number,
    z: number,
    deviationMin: number,
    warmup: number,
  ): number;
  seasonalUpdate(at: number, nowMs: number, reading: number): number;
  seasonalSkipped(at: number): number;
  seasonalVisitZ(at: number): number;
  seasonalMean(at: number): number;
  seasonalDeviation(at: number): number;
  seasonalZ(at: number): number;
  seasonalIsWarm(at: number): number;
  anomalyBytes(slots: number): number;
  anomalyBaseline(at: number): number;
  anomalyInit(
    at: number,
    periodMs: number,
    slots: number,
    alpha: number,
    z: number,
    deviationMin: number,
    warmup: number,
    holdMs: number,
  ): number;
  anomalyUpdate(at: number, nowMs: number, reading: number): number;
}

/** assembly/trace. Halves of a trace id may be given as i32 or u32. */
interface TraceExports {
  samplerRatioInit(at: number, ratio: number): number;
  samplerRatio(at: number, high: number, low: number): number;
  samplerThreshold(at: number): bigint;
  samplerRateInit(at: number, ratio: number, limit: number, periodUs: number, burst: number): number;
  samplerRate(at: number, high: number, low: number, nowMs: number): number;
  samplerAdaptiveInit(at: number, target: number, periodMs: number, shareMin: number): number;
  samplerAdaptive(at: number, high: number, low: number, nowMs: number): number;
  samplerShare(at: number): bigint;
}

/** assembly/consensus/raft, by address. Terms, indexes and contexts are whole numbers below 2^53, times milliseconds. */
export interface RaftExports {
  raftBytes(
    entries: number,
    payloadBytes: number,
    reads: number,
    outboxBytes: number,
    messageBytes: number,
  ): number;
  raftInit(
    at: number,
    id: number,
    entries: number,
    payloadBytes: number,
    reads: number,
    outboxBytes: number,
    messageBytes: number,
  ): number;
  raftConfigure(
    at: number,
    electionMs: number,
    heartbeatMs: number,
    leaseMs: number,
    inFlightEntries: number,
    inFlightBytes: number,
  ): number;
  raftRestore(
    at: number,
    term: number,
    vote: number,
    index: number,
    snapshotTerm: number,
    config: number,
    bytes: number,
  ): number;
  raftRestoreEntries(at: number, run: number, bytes: number): number;
  raftRestoreApplied(at: number, index: number): number;
  raftBegin(at: number, nowMs: number, dice: number): void;
  raftTick(at: number, nowMs: number, dice: number): void;
  raftNow(at: number, nowMs: number): void;
  raftFlush(at: number): void;
  raftStep(at: number, message: number, bytes: number): number;
  raftPropose(at: number, from: number, length: number): number;
  raftRead(at: number, context: number): number;
  raftLeaseHolds(at: number): number;
  raftReadyAt(at: number, index: number): number;
  raftReadsDrop(at: number, count: number): void;
  raftMessage(at: number): number;
  raftMessageDrop(at: number): void;
  raftUnsaved(at: number): number;
  raftHanded(at: number, index: number): void;
  raftStateSequence(at: number): number;
  raftSaved(at: number, index: number, term: number, sequence: number): void;
  raftApplicable(at: number): number;
  raftApplied(at: number, index: number): void;
  raftTermAt(at: number, index: number): number;
  raftFill(at: number): number;
  raftRun(at: number, from: number, until: number, to: number, capacity: number): number;
  raftCompact(at: number, index: number): number;
  raftConfigAt(at: number, index: number, to: number): number;
  raftChange(at: number, config: number, bytes: number): number;
  raftTransfer(at: number, id: number): number;
  raftSnapshotDue(at: number): number;
  raftSnapshotOffset(at: number, id: number, index: number): number;
  raftSnapshotSend(
    at: number,
    id: number,
    index: number,
    term: number,
    config: number,
    bytes: number,
    chunk: number,
    length: number,
  ): number;
  raftSnapshotTaken(at: number, index: number, bytes: number): void;
  raftSnapshotRefused(at: number): void;
  raftSnapshotInstalled(at: number, index: number, term: number, config: number, bytes: number): number;
  /** Largest u64 at `field` of the members that a quorum has reached. */
  raftQuorumReached(members: number, count: number, field: number): bigint;
  /** 0 pending, 1 won, 2 lost. */
  raftQuorumVotes(members: number, count: number): number;
}
