/**
 * Snapshots (thesis chapter 5). A node compacts its log behind what it has applied; who needs older entries gets the state instead, in chunks, one at a
 * time, each acknowledged by the offset that is wanted next. The state's bytes are the caller's on both sides; its index, its term and its configuration are Raft's.
 *
 *     leader                                          follower
 *     chunk at 0 ------------------------------------>  taken     <- the caller keeps the bytes, then raftSnapshotTaken()
 *                <----------------- next offset wanted
 *     ... last chunk -------------------------------->  whole     <- the caller makes it its state, durably, then raftSnapshotInstalled()
 *                <----------- append answer: index of the snapshot
 */
import { ARGUMENT, QUEUE_FULL } from "../../errors/codes.generated";
import {
  ACK_DUE,
  APPLIED,
  COMMIT,
  ELECTION_US,
  FIRST,
  HEARTBEAT_US,
  INCOMING_BYTES,
  INCOMING_INDEX,
  INCOMING_TERM,
  LAST,
  LEADER,
  LEADING,
  MATCHED,
  MEMBER_COUNT,
  MESSAGE_BYTES,
  NOW,
  ROLE,
  setFlag,
} from "./layout";
import { logCompact, logReset, logTerm } from "./log";
import {
  MEMBER_ID,
  MEMBER_OFFSET,
  MEMBER_PROGRESS,
  MEMBER_RETRY_AT,
  MEMBER_SNAPSHOT,
  SNAPSHOT,
} from "./member-layout";
import {
  configBytes,
  configFromLog,
  configIndexBelow,
  configIsSound,
  configOf,
  configSave,
  memberAt,
  memberOf,
} from "./members";
import {
  COMPLETE,
  MESSAGE_BODY,
  MESSAGE_COMMIT,
  MESSAGE_CONTEXT,
  MESSAGE_FLAGS,
  MESSAGE_FROM,
  MESSAGE_HEADER_BYTES,
  MESSAGE_INDEX,
  MESSAGE_LENGTH,
  MESSAGE_LOG_TERM,
  outboxTake,
  SNAPSHOT_ANSWER,
  SNAPSHOT_CHUNK,
} from "./message";

/** Given to the caller for a chunk that it must keep. */
export const CHUNK_TAKEN: i32 = 1;

/** Forgets entries up to `index`: they are applied, and the state that holds them is durable. 0 or -ARGUMENT. */
export function compact(at: usize, index: u64): i32 {
  if (index < load<u64>(at, FIRST)) return 0;
  if (index > load<u64>(at, APPLIED)) return -ARGUMENT;
  configSave(at, configOf(at, configIndexBelow(at, index)));
  logCompact(at, index);
  return 0;
}

// ---- the leader

/** A peer that waits for a chunk, or 0. */
export function snapshotDue(at: usize): u32 {
  if (load<u8>(at, ROLE) != LEADING) return 0;
  const count = load<u32>(at, MEMBER_COUNT);
  for (let index: u32 = 0; index < count; ++index) {
    const member = memberAt(at, index);
    if (load<u8>(member, MEMBER_PROGRESS) != SNAPSHOT) continue;
    if (load<u64>(at, NOW) >= load<u64>(member, MEMBER_RETRY_AT)) return load<u32>(member, MEMBER_ID);
  }
  return 0;
}

/** The offset that a peer wants next of the snapshot of `index`. Another one than before begins anew. */
export function snapshotOffset(at: usize, id: u32, index: u64): u64 {
  const member = memberOf(at, id);
  if (member == 0) return 0;
  if (load<u64>(member, MEMBER_SNAPSHOT) != index) {
    store<u64>(member, index, MEMBER_SNAPSHOT);
    store<u64>(member, 0, MEMBER_OFFSET);
  }
  return load<u64>(member, MEMBER_OFFSET);
}

/**
 * Sends `length` bytes from `chunk`, which stand at the peer's offset, of a snapshot of `bytes` in all. `config`: its configuration. 0, -ARGUMENT for a peer that wants no
 * snapshot or a chunk that is too long, -QUEUE_FULL.
 */
export function snapshotSend(
  at: usize,
  id: u32,
  index: u64,
  term: u64,
  config: usize,
  bytes: u64,
  chunk: usize,
  length: u32,
): i32 {
  const member = memberOf(at, id);
  if (member == 0 || load<u8>(member, MEMBER_PROGRESS) != SNAPSHOT) return -ARGUMENT;
  const offset = snapshotOffset(at, id, index);
  const head = configBytes(load<u32>(config));
  if (offset + <u64>length > bytes || length > load<u32>(at, MESSAGE_BYTES) - MESSAGE_HEADER_BYTES - head)
    return -ARGUMENT;
  const message = outboxTake(at, SNAPSHOT_CHUNK, id, head + length);
  if (message == 0) return -QUEUE_FULL;
  store<u64>(message, index, MESSAGE_INDEX);
  store<u64>(message, term, MESSAGE_LOG_TERM);
  store<u64>(message, bytes, MESSAGE_COMMIT);
  store<u64>(message, offset, MESSAGE_CONTEXT);
  const isLast = offset + <u64>length == bytes;
  if (isLast) store<u8>(message, COMPLETE, MESSAGE_FLAGS);
  memory.copy(message + MESSAGE_BODY, config, <usize>head);
  memory.copy(message + MESSAGE_BODY + <usize>head, chunk, <usize>length);
  // The last is answered when the whole is installed, which may take its time.
  const waitUs = isLast ? load<u32>(at, ELECTION_US) : load<u32>(at, HEARTBEAT_US) * 2;
  store<u64>(member, load<u64>(at, NOW) + <u64>waitUs, MEMBER_RETRY_AT);
  return 0;
}

export function onSnapshotAnswer(at: usize, message: usize): void {
  const member = memberOf(at, load<u32>(message, MESSAGE_FROM));
  if (member == 0 || load<u8>(member, MEMBER_PROGRESS) != SNAPSHOT) return;
  if (load<u64>(message, MESSAGE_INDEX) != load<u64>(member, MEMBER_SNAPSHOT)) return;
  const offset = load<u64>(message, MESSAGE_CONTEXT);
  const isSame = offset == load<u64>(member, MEMBER_OFFSET);
  store<u64>(member, offset, MEMBER_OFFSET);
  if (!isSame) store<u64>(member, load<u64>(at, NOW), MEMBER_RETRY_AT);
}

// ---- the follower

/** CHUNK_TAKEN when the caller must keep the chunk, else 0. */
export function onSnapshotChunk(at: usize, message: usize): i32 {
  const index = load<u64>(message, MESSAGE_INDEX);
  if (index <= load<u64>(at, COMMIT)) {
    // Committed here is the same as there: it may go on from our log.
    store<u64>(at, max<u64>(load<u64>(at, MATCHED), load<u64>(at, COMMIT)), MATCHED);
    setFlag(at, ACK_DUE);
    return 0;
  }
  if (!chunkIsSound(message)) return 0;
  const term = load<u64>(message, MESSAGE_LOG_TERM);
  if (index != load<u64>(at, INCOMING_INDEX) || term != load<u64>(at, INCOMING_TERM)) {
    store<u64>(at, index, INCOMING_INDEX);
    store<u64>(at, term, INCOMING_TERM);
    store<u64>(at, 0, INCOMING_BYTES);
  }
  const offset = load<u64>(message, MESSAGE_CONTEXT);
  const isOver = load<u64>(message, MESSAGE_COMMIT) == load<u64>(at, INCOMING_BYTES) && offset != 0;
  if (offset == load<u64>(at, INCOMING_BYTES) && !isOver) return CHUNK_TAKEN;
  answerChunk(at, load<u32>(message, MESSAGE_FROM));
  return 0;
}

function chunkIsSound(message: usize): bool {
  const body = load<u32>(message, MESSAGE_LENGTH) - MESSAGE_HEADER_BYTES;
  if (body < 8) return false;
  const config = message + MESSAGE_BODY;
  const head = configBytes(load<u32>(config));
  if (head > body || !configIsSound(config, head) || load<u64>(message, MESSAGE_LOG_TERM) == 0) return false;
  const end = load<u64>(message, MESSAGE_CONTEXT) + <u64>(body - head);
  const isComplete = (load<u8>(message, MESSAGE_FLAGS) & COMPLETE) != 0;
  return (
    end <= load<u64>(message, MESSAGE_COMMIT) && isComplete == (end == load<u64>(message, MESSAGE_COMMIT))
  );
}

/** The caller keeps the snapshot of `index` up to `bytes`. */
export function snapshotTaken(at: usize, index: u64, bytes: u64): void {
  if (index != load<u64>(at, INCOMING_INDEX)) return;
  store<u64>(at, bytes, INCOMING_BYTES);
  const leader = load<u32>(at, LEADER);
  if (leader != 0) answerChunk(at, leader);
}

/** What came of the snapshot was no use: from the beginning, please. */
export function snapshotRefused(at: usize): void {
  store<u64>(at, 0, INCOMING_INDEX);
}

function answerChunk(at: usize, to: u32): void {
  const answer = outboxTake(at, SNAPSHOT_ANSWER, to, 0);
  if (answer == 0) return;
  store<u64>(answer, load<u64>(at, INCOMING_INDEX), MESSAGE_INDEX);
  store<u64>(answer, load<u64>(at, INCOMING_BYTES), MESSAGE_CONTEXT);
}

/**
 * The caller's state is the snapshot's, durably. The log stays where it goes on from there, and is emptied where it does not. 0, or -ARGUMENT when the
 * log is that far already, or the configuration is none.
 */
export function snapshotInstalled(at: usize, index: u64, term: u64, config: usize, bytes: u32): i32 {
  if (index <= load<u64>(at, COMMIT) || !configIsSound(config, bytes)) return -ARGUMENT;
  if (index <= load<u64>(at, LAST) && logTerm(at, index) == term) logCompact(at, index);
  else logReset(at, index, term);
  store<u64>(at, index, COMMIT);
  store<u64>(at, index, APPLIED);
  configSave(at, config);
  configFromLog(at);
  if (load<u64>(at, INCOMING_INDEX) == index) {
    // It came from the leader of this term, whose log has it.
    store<u64>(at, max<u64>(load<u64>(at, MATCHED), index), MATCHED);
    store<u64>(at, 0, INCOMING_INDEX);
    setFlag(at, ACK_DUE);
  }
  return 0;
}
