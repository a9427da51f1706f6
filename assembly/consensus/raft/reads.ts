/**
 * Reads that do not go through the log (thesis 6.4). A read is answered with an index: whoever has applied the log so far may answer it from its
 * own state, and sees every write that was acknowledged before the read was asked.
 *
 * ReadIndex: the leader notes its commit index, begins a round, and answers when a quorum has confirmed that round, by answers to heartbeats that were sent
 * after the read came. Rounds are numbered, and numbers are never used again within a term (etcd #20418: an answer to an earlier
 * attempt confirmed a later one). All reads that come before a round is sent share it.
 *
 * Lease: without a round, when a quorum answered a heartbeat that was sent less than LEASE_US ago. Who answered votes for nobody for
 * an election time after it heard that heartbeat, so no other leader can be elected meanwhile, as long as clocks do not drift apart by more than the
 * caller took off the election time (thesis 6.4.1). Not after this leader asked another to campaign: those votes ignore the lease.
 *
 *   read    +0 context u64   +8 index u64   +16 round u64   +24 from u32 (0: asked here)
 *   ready   +0 context u64   +8 index u64
 */
import { QUEUE_FULL, RAFT_NO_LEADER, RAFT_NOT_READY } from "../../errors/codes.generated";
import {
  COMMIT,
  hasFlag,
  ID,
  LEADER,
  LEADING,
  LEASE_REVOKED,
  LEASE_US,
  MEMBER_COUNT,
  MEMBERS_AT,
  NOW,
  READ_BYTES,
  READ_ROUND,
  READ_SENT,
  READS_AT,
  READS_COUNT,
  READS_MAX,
  READY_BYTES,
  READY_COUNT,
  ROLE,
  TERM_START,
} from "./layout";
import { MEMBER_HEARD, MEMBER_ROUND } from "./member-layout";
import { selfOf } from "./members";
import { MESSAGE_CONTEXT, MESSAGE_INDEX, outboxTake, READ, READ_ANSWER } from "./message";
import { quorumReached } from "./quorum";

const READ_INDEX: usize = 8;
const READ_OF_ROUND: usize = 16;
const READ_FROM: usize = 24;

/** What this leader knows of itself: it hears itself now, and confirms every round. */
export function touchSelf(at: usize): void {
  const self = selfOf(at);
  if (self == 0) return;
  store<u64>(self, load<u64>(at, NOW), MEMBER_HEARD);
  store<u64>(self, load<u64>(at, READ_ROUND), MEMBER_ROUND);
}

/** Time of the newest heartbeat that a quorum has answered. */
export function heardByQuorum(at: usize): u64 {
  touchSelf(at);
  return quorumReached(at + MEMBERS_AT, load<u32>(at, MEMBER_COUNT), MEMBER_HEARD);
}

export function leaseHolds(at: usize): bool {
  const leaseUs = <u64>load<u32>(at, LEASE_US);
  if (leaseUs == 0 || load<u8>(at, ROLE) != LEADING || hasFlag(at, LEASE_REVOKED)) return false;
  if (load<u64>(at, COMMIT) < load<u64>(at, TERM_START)) return false;
  return load<u64>(at, NOW) < heardByQuorum(at) + leaseUs;
}

/** Asks for an index to read at. 0, or -RAFT_NO_LEADER, -RAFT_NOT_READY (a new leader has committed nothing yet), -QUEUE_FULL. */
export function readBegin(at: usize, context: u64): i32 {
  if (load<u8>(at, ROLE) == LEADING) return readFor(at, context, 0);
  const leader = load<u32>(at, LEADER);
  if (leader == 0) return -RAFT_NO_LEADER;
  const message = outboxTake(at, READ, leader, 0);
  if (message == 0) return -QUEUE_FULL;
  store<u64>(message, context, MESSAGE_CONTEXT);
  return 0;
}

/** A read at the leader, asked here (`from` 0) or by a follower. */
export function readFor(at: usize, context: u64, from: u32): i32 {
  const commit = load<u64>(at, COMMIT);
  // Before that it may not know yet what the leaders before it have committed (thesis 6.4, step 1).
  if (commit < load<u64>(at, TERM_START)) return -RAFT_NOT_READY;
  if (leaseHolds(at)) return answer(at, context, commit, from);
  const count = load<u32>(at, READS_COUNT);
  if (count == load<u32>(at, READS_MAX)) return -QUEUE_FULL;
  if (load<u64>(at, READ_ROUND) == load<u64>(at, READ_SENT)) {
    store<u64>(at, load<u64>(at, READ_ROUND) + 1, READ_ROUND);
  }
  const read = <usize>load<u32>(at, READS_AT) + <usize>count * READ_BYTES;
  store<u64>(read, context);
  store<u64>(read, commit, READ_INDEX);
  store<u64>(read, load<u64>(at, READ_ROUND), READ_OF_ROUND);
  store<u32>(read, from, READ_FROM);
  store<u32>(at, count + 1, READS_COUNT);
  return 0;
}

/** Answers the reads whose round a quorum has confirmed. */
export function readsConfirm(at: usize): void {
  const count = load<u32>(at, READS_COUNT);
  if (count == 0) return;
  touchSelf(at);
  const round = quorumReached(at + MEMBERS_AT, load<u32>(at, MEMBER_COUNT), MEMBER_ROUND);
  const reads = <usize>load<u32>(at, READS_AT);
  let done: u32 = 0;
  while (done < count) {
    const read = reads + <usize>done * READ_BYTES;
    // A round that was not sent is confirmed by nobody else; alone, this node needs nobody.
    if (load<u64>(read, READ_OF_ROUND) > round) break;
    if (answer(at, load<u64>(read), load<u64>(read, READ_INDEX), load<u32>(read, READ_FROM)) < 0) break;
    ++done;
  }
  if (done == 0) return;
  memory.copy(reads, reads + <usize>done * READ_BYTES, <usize>(count - done) * READ_BYTES);
  store<u32>(at, count - done, READS_COUNT);
}

/** An index to read at, for the caller to fetch. */
export function readReady(at: usize, context: u64, index: u64): i32 {
  const count = load<u32>(at, READY_COUNT);
  if (count == load<u32>(at, READS_MAX)) return -QUEUE_FULL;
  const ready = readyAt(at, count);
  store<u64>(ready, context);
  store<u64>(ready, index, READ_INDEX);
  store<u32>(at, count + 1, READY_COUNT);
  return 0;
}

/** Address of the reads to answer; there are READY_COUNT. */
export function readyAt(at: usize, index: u32): usize {
  return (
    <usize>load<u32>(at, READS_AT) + <usize>load<u32>(at, READS_MAX) * READ_BYTES + <usize>index * READY_BYTES
  );
}

function answer(at: usize, context: u64, index: u64, from: u32): i32 {
  if (from == 0 || from == load<u32>(at, ID)) return readReady(at, context, index);
  const message = outboxTake(at, READ_ANSWER, from, 0);
  if (message == 0) return -QUEUE_FULL;
  store<u64>(message, context, MESSAGE_CONTEXT);
  store<u64>(message, index, MESSAGE_INDEX);
  return 0;
}
