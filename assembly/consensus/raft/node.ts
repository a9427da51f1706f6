/**
 * One Raft node: what the caller calls. layout.ts draws its memory; the other files of this folder are its parts.
 *
 * A round of the caller:
 *   1. give what came: raftStep() for messages, raftPropose(), raftRead(), raftSaved() for what storage has done, raftTick() when time has passed
 *   2. raftFlush(): makes the messages that all of that calls for
 *   3. send what outboxFirst() gives; store entries from raftUnsaved() on, and term and vote when they changed, without waiting
 *   4. apply entries up to raftApplicable(), then raftApplied(); answer the reads that are ready and whose index is applied
 * Steps 3 and 4 may overlap the next rounds. What is stored must become durable in the order it was given.
 */
import { ARGUMENT } from "../../errors/codes.generated";
import { electionTick, ownVote } from "./election";
import {
  APPLIED,
  CANDIDATE,
  COMMIT,
  CONFIG_BYTES_MAX,
  DICE,
  ELECTION_US,
  ENTRIES_MASK,
  HANDED,
  HEARTBEAT_US,
  ID,
  IN_FLIGHT_BYTES,
  IN_FLIGHT_ENTRIES,
  LAST,
  LEADING,
  LEASE_US,
  MESSAGE_BYTES,
  NOW,
  OUTBOX_AT,
  OUTBOX_BYTES,
  PAYLOAD_MASK,
  PAYLOADS_AT,
  QUIET_UNTIL,
  READ_BYTES,
  READS_AT,
  READS_MAX,
  READY_BYTES,
  READY_COUNT,
  ROLE,
  SAVED,
  SCRATCH_AT,
  STATE_SAVED,
  STATE_SEQUENCE,
  TERM,
  TERM_ENTRY_BYTES,
  TERMS_AT,
  TERMS_START,
  VOTE,
} from "./layout";
import { CONFIGURATION, ENTRY_HEADER_BYTES, entryBytes, logAppend, logReset, logTerm, runCount } from "./log";
import { configFromLog, configIsSound, configSave } from "./members";
import { MESSAGE_HEADER_BYTES } from "./message";
import { readyAt } from "./reads";
import { acknowledge, advanceCommit, sendDue } from "./replication";
import { resetElection } from "./role";
import { transferDue } from "./transfer";

export const ENTRIES_MIN: u32 = 16;
export const ENTRIES_MAX: u32 = 1 << 22;
export const PAYLOAD_BYTES_MIN: u32 = 1 << 10;
export const PAYLOAD_BYTES_MAX: u32 = 1 << 30;
/** A configuration of as many members as there may be, and a snapshot's first bytes, fit. */
export const MESSAGE_BYTES_MIN: u32 =
  MESSAGE_HEADER_BYTES + <u32>CONFIG_BYTES_MAX + <u32>ENTRY_HEADER_BYTES + 8;

/**
 * Bytes that a node takes: `entries` and `payloadBytes` of the log, powers of two; `reads` that may wait at once; the outbox; the longest message. 0 for sizes that are not
 * allowed.
 */
export function raftBytes(
  entries: u32,
  payloadBytes: u32,
  reads: u32,
  outboxBytes: u32,
  messageBytes: u32,
): u32 {
  if (entries < ENTRIES_MIN || entries > ENTRIES_MAX || popcnt(entries) != 1) return 0;
  if (payloadBytes < PAYLOAD_BYTES_MIN || payloadBytes > PAYLOAD_BYTES_MAX || popcnt(payloadBytes) != 1)
    return 0;
  if (reads == 0 || reads > 0xffff || messageBytes < MESSAGE_BYTES_MIN || messageBytes > payloadBytes)
    return 0;
  if (outboxBytes < messageBytes * 2 || (outboxBytes & 7) != 0 || (messageBytes & 7) != 0) return 0;
  return <u32>(outboxAt(0, entries, payloadBytes, reads) + <usize>outboxBytes + CONFIG_BYTES_MAX + 7);
}

/**
 * A follower of nobody, with an empty log, in memory of raftBytes(). `id` is not 0. Then raftConfigure(), what was stored by raftRestore() and raftRestoreEntries(), and
 * raftBegin(). 0 or -ARGUMENT.
 */
export function raftInit(
  at: usize,
  id: u32,
  entries: u32,
  payloadBytes: u32,
  reads: u32,
  outboxBytes: u32,
  messageBytes: u32,
): i32 {
  if (id == 0 || raftBytes(entries, payloadBytes, reads, outboxBytes, messageBytes) == 0) return -ARGUMENT;
  memory.fill(at, 0, TERMS_START);
  store<u32>(at, id, ID);
  store<u32>(at, entries - 1, ENTRIES_MASK);
  store<u32>(at, payloadBytes - 1, PAYLOAD_MASK);
  store<u32>(at, reads, READS_MAX);
  store<u32>(at, outboxBytes, OUTBOX_BYTES);
  store<u32>(at, messageBytes, MESSAGE_BYTES);
  store<u32>(at, <u32>(at + TERMS_START), TERMS_AT);
  const payloads = at + TERMS_START + <usize>entries * TERM_ENTRY_BYTES;
  store<u32>(at, <u32>payloads, PAYLOADS_AT);
  store<u32>(at, <u32>(payloads + <usize>payloadBytes), READS_AT);
  const outbox = outboxAt(at, entries, payloadBytes, reads);
  store<u32>(at, <u32>outbox, OUTBOX_AT);
  store<u32>(at, <u32>(outbox + <usize>outboxBytes), SCRATCH_AT);
  store<u32>(at, payloadBytes >> 1, IN_FLIGHT_BYTES);
  store<u32>(at, entries >> 1, IN_FLIGHT_ENTRIES);
  logReset(at, 0, 0);
  return 0;
}

/**
 * Times in microseconds. electionUs: a follower campaigns one to two of them after it last heard a leader. heartbeatUs: at most a third of that. leaseUs: how long after a heartbeat a
 * leader reads without asking, electionUs less what clocks may drift apart in that time; 0 never. In flight to a peer: at most so many entries and, at
 * the next message, so many bytes. 0 or -ARGUMENT.
 */
export function raftConfigure(
  at: usize,
  electionUs: u32,
  heartbeatUs: u32,
  leaseUs: u32,
  inFlightEntries: u32,
  inFlightBytes: u32,
): i32 {
  if (heartbeatUs == 0 || heartbeatUs > electionUs / 3 || electionUs > 0x3fff_ffff) return -ARGUMENT;
  if (leaseUs >= electionUs || inFlightEntries == 0 || inFlightBytes == 0) return -ARGUMENT;
  store<u32>(at, electionUs, ELECTION_US);
  store<u32>(at, heartbeatUs, HEARTBEAT_US);
  store<u32>(at, leaseUs, LEASE_US);
  store<u32>(at, inFlightEntries, IN_FLIGHT_ENTRIES);
  store<u32>(at, inFlightBytes, IN_FLIGHT_BYTES);
  return 0;
}

/** What was durable: term, vote, and the snapshot, of index 0 when there is none; its configuration is then the cluster's first. 0 or -ARGUMENT. */
export function raftRestore(
  at: usize,
  term: u64,
  vote: u32,
  index: u64,
  snapshotTerm: u64,
  config: usize,
  bytes: u32,
): i32 {
  if (!configIsSound(config, bytes) || snapshotTerm > term) return -ARGUMENT;
  store<u64>(at, term, TERM);
  store<u32>(at, vote, VOTE);
  logReset(at, index, snapshotTerm);
  store<u64>(at, index, COMMIT);
  store<u64>(at, index, APPLIED);
  configSave(at, config);
  configFromLog(at);
  return 0;
}

/** A run of durable entries behind what is there. 0, or -ARGUMENT when it is none or does not fit. */
export function raftRestoreEntries(at: usize, run: usize, bytes: u32): i32 {
  const count = runCount(run, bytes);
  if (count < 0) return -ARGUMENT;
  let entry = run;
  for (let left = count; left > 0; --left) {
    const length = load<u32>(entry, 8);
    const term = load<u64>(entry);
    if (term > load<u64>(at, TERM) || term < logTerm(at, load<u64>(at, LAST))) return -ARGUMENT;
    const kind = load<u8>(entry, 12);
    const payload = entry + ENTRY_HEADER_BYTES;
    if (kind == CONFIGURATION && !configIsSound(payload, length)) return -ARGUMENT;
    if (!logAppend(at, term, kind, payload, length)) return -ARGUMENT;
    entry += <usize>entryBytes(length);
  }
  store<u64>(at, load<u64>(at, LAST), SAVED);
  store<u64>(at, load<u64>(at, LAST), HANDED);
  configFromLog(at);
  return 0;
}

/** Entries up to `index` are applied and durable in the caller's state; it may be above the snapshot. 0 or -ARGUMENT. */
export function raftRestoreApplied(at: usize, index: u64): i32 {
  if (index < load<u64>(at, APPLIED) || index > load<u64>(at, LAST)) return -ARGUMENT;
  store<u64>(at, index, APPLIED);
  // What was applied was committed.
  store<u64>(at, max<u64>(load<u64>(at, COMMIT), index), COMMIT);
  return 0;
}

/** Starts at `nowUs`. For an election time it votes for nobody: before a restart it may have promised a leader to. */
export function raftBegin(at: usize, nowUs: u64, dice: u32): void {
  store<u64>(at, nowUs, NOW);
  store<u32>(at, dice, DICE);
  store<u64>(at, nowUs + <u64>load<u32>(at, ELECTION_US), QUIET_UNTIL);
  resetElection(at);
}

/** Time, which does not go back; it is given before whatever happens at it. `dice`: 32 random bits. */
export function raftTick(at: usize, nowUs: u64, dice: u32): void {
  raftNow(at, nowUs);
  store<u32>(at, dice, DICE);
  electionTick(at);
}

/** Time alone, before a message or a read that comes between two ticks. */
export function raftNow(at: usize, nowUs: u64): void {
  if (nowUs > load<u64>(at, NOW)) store<u64>(at, nowUs, NOW);
}

/** Makes the messages that are due. */
export function raftFlush(at: usize): void {
  if (load<u8>(at, ROLE) == LEADING) {
    sendDue(at);
    transferDue(at);
  } else acknowledge(at);
}

/** Index of the first entry that storage has not been given, 0 for none. */
export function raftUnsaved(at: usize): u64 {
  const handed = load<u64>(at, HANDED);
  return handed < load<u64>(at, LAST) ? handed + 1 : 0;
}

/** Storage was given entries up to `index`. */
export function raftHanded(at: usize, index: u64): void {
  store<u64>(at, min<u64>(index, load<u64>(at, LAST)), HANDED);
}

/**
 * Durable now: entries up to `index`, of which the last has `term` (what was cut away meanwhile no longer counts), and the change of term and vote of
 * number `sequence`.
 */
export function raftSaved(at: usize, index: u64, term: u64, sequence: u32): void {
  if (<i32>(sequence - load<u32>(at, STATE_SAVED)) > 0) store<u32>(at, sequence, STATE_SAVED);
  if (index > load<u64>(at, SAVED) && index <= load<u64>(at, LAST) && logTerm(at, index) == term) {
    store<u64>(at, index, SAVED);
    if (load<u8>(at, ROLE) == LEADING) advanceCommit(at);
  }
  if (load<u8>(at, ROLE) == CANDIDATE) ownVote(at);
}

/** Number of the newest change of term and vote; it is to be stored while it is not the number that was stored last. */
export function raftStateSequence(at: usize): u32 {
  return load<u32>(at, STATE_SEQUENCE);
}

/** Entries up to here are committed, durable here, and may be applied. */
export function raftApplicable(at: usize): u64 {
  return min<u64>(load<u64>(at, COMMIT), load<u64>(at, SAVED));
}

export function raftApplied(at: usize, index: u64): void {
  if (index > load<u64>(at, APPLIED) && index <= raftApplicable(at)) store<u64>(at, index, APPLIED);
}

/** Takes `count` of the reads that are ready away. */
export function raftReadsDrop(at: usize, count: u32): void {
  const left = load<u32>(at, READY_COUNT) - min<u32>(count, load<u32>(at, READY_COUNT));
  memory.copy(readyAt(at, 0), readyAt(at, load<u32>(at, READY_COUNT) - left), <usize>left * READY_BYTES);
  store<u32>(at, left, READY_COUNT);
}

function outboxAt(at: usize, entries: u32, payloadBytes: u32, reads: u32): usize {
  return (
    at +
    TERMS_START +
    <usize>entries * TERM_ENTRY_BYTES +
    <usize>payloadBytes +
    <usize>reads * (READ_BYTES + READY_BYTES)
  );
}
