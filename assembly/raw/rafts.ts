/**
 * Raft nodes for the host, in memory that the caller took with `allocate`. Terms, indexes and contexts are f64, whole numbers below 2^53, and times f64 milliseconds:
 * assembly/consensus/raft/node.ts says what each function does.
 */

import { ENTRIES_MASK, PAYLOAD_MASK } from "../consensus/raft/layout";
import { logPayloadRoom, logRoom, logRun, logTerm } from "../consensus/raft/log";
import { configBytes, configIndexBelow, configOf } from "../consensus/raft/members";
import { changeMembers } from "../consensus/raft/membership";
import { outboxDrop, outboxFirst } from "../consensus/raft/message";
import {
  raftApplicable as applicable,
  raftApplied as applied,
  raftBegin as begin,
  raftConfigure as configure,
  raftHanded as handed,
  raftNow as passTo,
  raftReadsDrop,
  raftRestore as restore,
  raftRestoreApplied as restoreApplied,
  raftSaved as saved,
  raftTick as tick,
  raftUnsaved as unsaved,
} from "../consensus/raft/node";
import { propose } from "../consensus/raft/proposal";
import { leaseHolds, readBegin, readyAt } from "../consensus/raft/reads";
import {
  compact,
  snapshotDue,
  snapshotInstalled,
  snapshotOffset,
  snapshotRefused,
  snapshotSend,
  snapshotTaken,
} from "../consensus/raft/snapshot";
import { stepMessage } from "../consensus/raft/step";
import { transferTo } from "../consensus/raft/transfer";
import { microseconds } from "./time";

export {
  raftBytes,
  raftFlush,
  raftInit,
  raftRestoreEntries,
  raftStateSequence,
} from "../consensus/raft/node";
export { quorumReached as raftQuorumReached, quorumVotes as raftQuorumVotes } from "../consensus/raft/quorum";
export {
  changeMembers as raftChange,
  outboxDrop as raftMessageDrop,
  outboxFirst as raftMessage,
  propose as raftPropose,
  raftReadsDrop,
  readyAt as raftReadyAt,
  snapshotDue as raftSnapshotDue,
  snapshotRefused as raftSnapshotRefused,
  stepMessage as raftStep,
  transferTo as raftTransfer,
};

/** Times in milliseconds, and at most 17 minutes. */
export function raftConfigure(
  at: usize,
  electionMs: f64,
  heartbeatMs: f64,
  leaseMs: f64,
  inFlightEntries: u32,
  inFlightBytes: u32,
): i32 {
  return configure(
    at,
    <u32>(electionMs * 1000),
    <u32>(heartbeatMs * 1000),
    <u32>(leaseMs * 1000),
    inFlightEntries,
    inFlightBytes,
  );
}
export function raftRestore(
  at: usize,
  term: f64,
  vote: u32,
  index: f64,
  snapshotTerm: f64,
  config: usize,
  bytes: u32,
): i32 {
  return restore(at, <u64>term, vote, <u64>index, <u64>snapshotTerm, config, bytes);
}
export function raftRestoreApplied(at: usize, index: f64): i32 {
  return restoreApplied(at, <u64>index);
}
export function raftBegin(at: usize, nowMs: f64, dice: u32): void {
  begin(at, microseconds(nowMs), dice);
}
export function raftTick(at: usize, nowMs: f64, dice: u32): void {
  tick(at, microseconds(nowMs), dice);
}
export function raftNow(at: usize, nowMs: f64): void {
  passTo(at, microseconds(nowMs));
}
export function raftUnsaved(at: usize): f64 {
  return <f64>unsaved(at);
}
export function raftHanded(at: usize, index: f64): void {
  handed(at, <u64>index);
}
export function raftSaved(at: usize, index: f64, term: f64, sequence: u32): void {
  saved(at, <u64>index, <u64>term, sequence);
}
export function raftApplicable(at: usize): f64 {
  return <f64>applicable(at);
}
export function raftApplied(at: usize, index: f64): void {
  applied(at, <u64>index);
}
export function raftTermAt(at: usize, index: f64): f64 {
  return <f64>logTerm(at, <u64>index);
}
/** The share of the log that is used, by entries or by bytes, whatever is more. */
export function raftFill(at: usize): f64 {
  const entries = <f64>(load<u32>(at, ENTRIES_MASK) + 1);
  const bytes = <f64>(load<u32>(at, PAYLOAD_MASK) + 1);
  return max(1 - <f64>logRoom(at) / entries, 1 - <f64>logPayloadRoom(at) / bytes);
}
/** Copies entries from `from` to `until`, which are there, as many as fit; the bytes. */
export function raftRun(at: usize, from: f64, until: f64, to: usize, capacity: u32): u32 {
  return logRun(at, <u64>from, <u64>until, to, capacity, false);
}
export function raftRead(at: usize, context: f64): i32 {
  return readBegin(at, <u64>context);
}
export function raftLeaseHolds(at: usize): bool {
  return leaseHolds(at);
}
export function raftCompact(at: usize, index: f64): i32 {
  return compact(at, <u64>index);
}
/** Copies the configuration that counts at `index` to `to`, which has room for 136 bytes; its bytes. */
export function raftConfigAt(at: usize, index: f64, to: usize): u32 {
  const config = configOf(at, configIndexBelow(at, <u64>index));
  const bytes = configBytes(load<u32>(config));
  memory.copy(to, config, <usize>bytes);
  return bytes;
}
export function raftSnapshotOffset(at: usize, id: u32, index: f64): f64 {
  return <f64>snapshotOffset(at, id, <u64>index);
}
export function raftSnapshotSend(
  at: usize,
  id: u32,
  index: f64,
  term: f64,
  config: usize,
  bytes: f64,
  chunk: usize,
  length: u32,
): i32 {
  return snapshotSend(at, id, <u64>index, <u64>term, config, <u64>bytes, chunk, length);
}
export function raftSnapshotTaken(at: usize, index: f64, bytes: f64): void {
  snapshotTaken(at, <u64>index, <u64>bytes);
}
export function raftSnapshotInstalled(at: usize, index: f64, term: f64, config: usize, bytes: u32): i32 {
  return snapshotInstalled(at, <u64>index, <u64>term, config, bytes);
}
