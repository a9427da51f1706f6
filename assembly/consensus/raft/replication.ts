/**
 * Replication (thesis 3.5, 10.2.1). What a leader sends a peer depends on what it knows of the peer's log:
 *
 *              an answer says where the logs meet                 nothing lost
 *     PROBE ----------------------------------------> REPLICATE ----------------> REPLICATE
 *      ^  |  one message at a time                    |  |   entries ahead of answers, up to so many bytes and entries in flight
 *      |  |                                           |  |
 *      |  |  the entries it needs are compacted       |  |
 *      |  +----------------------> SNAPSHOT <---------+  |
 *      |                               | arrived         |
 *      +-------------------------------+                 |
 *      +------ refused, or the peer's log stands still --+
 *
 * What is in flight is known from the log itself: from `match` to `next`. A peer whose log stands still while it answers heartbeats is probed again: entries
 * or their answers were lost, and heartbeats must not hide that (hashicorp/raft #612).
 *
 * A leader's own entries count for the quorum once they are durable here, and are sent before (thesis 10.2.1). A follower answers when
 * what it was sent is durable: one answer for all that was synced together.
 */
import {
  ACK_DUE,
  ACKED,
  COMMIT,
  CONFIG_INDEX,
  clearFlag,
  countUp,
  FIRST,
  HEARTBEAT_AT,
  HEARTBEAT_US,
  hasFlag,
  ID,
  IN_FLIGHT_BYTES,
  IN_FLIGHT_ENTRIES,
  LAST,
  LEADER,
  LEADING,
  MALFORMED,
  MATCHED,
  MEMBER_COUNT,
  MEMBERS_AT,
  MESSAGE_BYTES,
  NOW,
  READ_ROUND,
  READ_SENT,
  READS_COUNT,
  ROLE,
  SAVED,
  setFlag,
  TERM,
  VIOLATIONS,
} from "./layout";
import {
  CONFIGURATION,
  ENTRY_HEADER_BYTES,
  entryBytes,
  logAppend,
  logEnd,
  logRun,
  logTerm,
  logTruncate,
  runCount,
} from "./log";
import {
  MEMBER_HEARD,
  MEMBER_ID,
  MEMBER_MATCH,
  MEMBER_NEXT,
  MEMBER_PROGRESS,
  MEMBER_RETRY_AT,
  MEMBER_ROUND,
  MEMBER_SEEN,
  MEMBER_SENT_COMMIT,
  MEMBER_SNAPSHOT,
  MEMBER_STILL,
  PROBE,
  REPLICATE,
  SNAPSHOT,
} from "./member-layout";
import { configFromLog, configIsSound, isWitness, memberAt, memberOf, selfOf } from "./members";
import { settleMembers } from "./membership";
import {
  APPEND,
  APPEND_ANSWER,
  HEARTBEAT,
  HEARTBEAT_ANSWER,
  MESSAGE_BODY,
  MESSAGE_COMMIT,
  MESSAGE_CONTEXT,
  MESSAGE_FLAGS,
  MESSAGE_FROM,
  MESSAGE_HEADER_BYTES,
  MESSAGE_INDEX,
  MESSAGE_LENGTH,
  MESSAGE_LOG_TERM,
  MESSAGE_TIME,
  outboxFits,
  outboxShrink,
  outboxTake,
  REFUSED,
} from "./message";
import { quorumReached } from "./quorum";
import { readsConfirm } from "./reads";

/** Answers to heartbeats in which a peer's log stands still while entries are in flight, until they are taken for lost. */
const STILL_MAX: u32 = 2;

// ---- the leader

/** Sends each peer what is due: entries, a round of reads, a heartbeat. */
export function sendDue(at: usize): void {
  const now = load<u64>(at, NOW);
  const isBeat = now >= load<u64>(at, HEARTBEAT_AT);
  if (isBeat) store<u64>(at, now + <u64>load<u32>(at, HEARTBEAT_US), HEARTBEAT_AT);
  const isRound = load<u32>(at, READS_COUNT) != 0 && load<u64>(at, READ_ROUND) != load<u64>(at, READ_SENT);
  const count = load<u32>(at, MEMBER_COUNT);
  const self = load<u32>(at, ID);
  for (let index: u32 = 0; index < count; ++index) {
    const member = memberAt(at, index);
    if (load<u32>(member, MEMBER_ID) == self) continue;
    if (isBeat || isRound) sendHeartbeat(at, member);
    sendEntries(at, member);
  }
  if (!isRound) return;
  store<u64>(at, load<u64>(at, READ_ROUND), READ_SENT);
  // Alone, nobody else is asked.
  readsConfirm(at);
}

function sendHeartbeat(at: usize, member: usize): void {
  const message = outboxTake(at, HEARTBEAT, load<u32>(member, MEMBER_ID), 0);
  if (message == 0) return;
  store<u64>(message, min<u64>(load<u64>(at, COMMIT), load<u64>(member, MEMBER_MATCH)), MESSAGE_COMMIT);
  store<u64>(message, load<u64>(at, READ_ROUND), MESSAGE_CONTEXT);
  store<u64>(message, load<u64>(at, NOW), MESSAGE_TIME);
}

function sendEntries(at: usize, member: usize): void {
  const last = load<u64>(at, LAST);
  if (load<u8>(member, MEMBER_PROGRESS) == PROBE) {
    if (load<u64>(at, NOW) >= load<u64>(member, MEMBER_RETRY_AT)) sendAppend(at, member);
    return;
  }
  while (load<u8>(member, MEMBER_PROGRESS) == REPLICATE) {
    const next = load<u64>(member, MEMBER_NEXT);
    if (next > last) {
      // All is sent; that it is committed is news.
      if (load<u64>(member, MEMBER_SENT_COMMIT) < load<u64>(at, COMMIT)) sendAppend(at, member);
      return;
    }
    if (!mayFly(at, member, next) || !sendAppend(at, member)) return;
  }
}

function mayFly(at: usize, member: usize, next: u64): bool {
  const match = load<u64>(member, MEMBER_MATCH);
  return (
    next - 1 - match < <u64>load<u32>(at, IN_FLIGHT_ENTRIES) &&
    logEnd(at, next - 1) - logEnd(at, match) < load<u32>(at, IN_FLIGHT_BYTES)
  );
}

/** One message with as many entries as it takes. False when nothing could be sent. */
function sendAppend(at: usize, member: usize): bool {
  const previous = load<u64>(member, MEMBER_NEXT) - 1;
  if (previous + 1 < load<u64>(at, FIRST)) {
    store<u8>(member, SNAPSHOT, MEMBER_PROGRESS);
    store<u64>(member, 0, MEMBER_SNAPSHOT);
    store<u64>(member, load<u64>(at, NOW), MEMBER_RETRY_AT);
    return false;
  }
  const capacity = load<u32>(at, MESSAGE_BYTES) - MESSAGE_HEADER_BYTES;
  const isProbe = load<u8>(member, MEMBER_PROGRESS) == PROBE;
  const room = outboxFits(at, capacity) ? capacity : 0;
  // Without room for entries, an empty message is worth its while only where it asks something.
  if (room == 0 && !isProbe && previous < load<u64>(at, LAST)) return false;
  const message = outboxTake(at, APPEND, load<u32>(member, MEMBER_ID), room);
  if (message == 0) return false;
  const last = load<u64>(at, LAST);
  const bytes = logRun(at, previous + 1, last, message + MESSAGE_BODY, room, isWitness(member));
  outboxShrink(at, message, bytes);
  store<u64>(message, previous, MESSAGE_INDEX);
  store<u64>(message, logTerm(at, previous), MESSAGE_LOG_TERM);
  store<u64>(message, load<u64>(at, COMMIT), MESSAGE_COMMIT);
  store<u64>(member, load<u64>(at, COMMIT), MEMBER_SENT_COMMIT);
  if (isProbe) store<u64>(member, load<u64>(at, NOW) + <u64>load<u32>(at, HEARTBEAT_US), MEMBER_RETRY_AT);
  else store<u64>(member, previous + 1 + <u64>runCount(message + MESSAGE_BODY, bytes), MEMBER_NEXT);
  return bytes != 0 || previous == last;
}

export function onAppendAnswer(at: usize, message: usize): void {
  const member = memberOf(at, load<u32>(message, MESSAGE_FROM));
  if (member == 0) return;
  const index = load<u64>(message, MESSAGE_INDEX);
  const matched = load<u64>(message, MESSAGE_LOG_TERM);
  if ((load<u8>(message, MESSAGE_FLAGS) & REFUSED) != 0) {
    onRefused(at, member, message);
    return;
  }
  const last = load<u64>(at, LAST);
  if (index > last || matched > last || matched < index) {
    countUp(at + MALFORMED);
    return;
  }
  onProgress(at, member, index, matched);
}

/** A peer has everything up to `index` on its disk, and up to `matched` in its memory. */
function onProgress(at: usize, member: usize, index: u64, matched: u64): void {
  const isNews = index > load<u64>(member, MEMBER_MATCH);
  if (isNews) store<u64>(member, index, MEMBER_MATCH);
  const next = max<u64>(load<u64>(member, MEMBER_MATCH), matched) + 1;
  const progress = load<u8>(member, MEMBER_PROGRESS);
  if (progress == PROBE) store<u64>(member, next, MEMBER_NEXT);
  if (progress != REPLICATE) {
    // A snapshot is through when the peer's log reaches where ours begins.
    if (next >= load<u64>(at, FIRST) && matched >= load<u64>(member, MEMBER_SNAPSHOT)) {
      store<u8>(member, REPLICATE, MEMBER_PROGRESS);
      store<u64>(member, next, MEMBER_NEXT);
      store<u64>(member, 0, MEMBER_SNAPSHOT);
      store<u32>(member, 0, MEMBER_STILL);
    }
  } else if (load<u64>(member, MEMBER_NEXT) < next) store<u64>(member, next, MEMBER_NEXT);
  if (isNews) advanceCommit(at);
}

function onRefused(at: usize, member: usize, message: usize): void {
  const previous = load<u64>(message, MESSAGE_COMMIT);
  const progress = load<u8>(member, MEMBER_PROGRESS);
  // An answer to what was sent before what is known now.
  if (previous <= load<u64>(member, MEMBER_MATCH) || progress == SNAPSHOT) return;
  if (progress == PROBE && previous + 1 != load<u64>(member, MEMBER_NEXT)) return;
  const hintTerm = load<u64>(message, MESSAGE_LOG_TERM);
  let hint = min<u64>(load<u64>(message, MESSAGE_INDEX), load<u64>(at, LAST));
  // Below its hint the peer has terms up to the hint's; where ours are higher the logs cannot meet (thesis 3.5, fast back-up).
  while (hint >= load<u64>(at, FIRST) && logTerm(at, hint) > hintTerm) --hint;
  store<u64>(
    member,
    max<u64>(load<u64>(member, MEMBER_MATCH), min<u64>(hint, previous - 1)) + 1,
    MEMBER_NEXT,
  );
  probe(at, member);
}

function probe(at: usize, member: usize): void {
  store<u8>(member, PROBE, MEMBER_PROGRESS);
  store<u64>(member, load<u64>(at, NOW), MEMBER_RETRY_AT);
  store<u32>(member, 0, MEMBER_STILL);
}

export function onHeartbeatAnswer(at: usize, message: usize): void {
  const member = memberOf(at, load<u32>(message, MESSAGE_FROM));
  if (member == 0) return;
  const last = load<u64>(at, LAST);
  const index = load<u64>(message, MESSAGE_INDEX);
  const matched = load<u64>(message, MESSAGE_LOG_TERM);
  const time = load<u64>(message, MESSAGE_TIME);
  const round = load<u64>(message, MESSAGE_CONTEXT);
  if (index > matched || matched > last || time > load<u64>(at, NOW) || round > load<u64>(at, READ_SENT)) {
    countUp(at + MALFORMED);
    return;
  }
  if (time > load<u64>(member, MEMBER_HEARD)) store<u64>(member, time, MEMBER_HEARD);
  if (round > load<u64>(member, MEMBER_ROUND)) store<u64>(member, round, MEMBER_ROUND);
  readsConfirm(at);
  if (index > load<u64>(member, MEMBER_MATCH)) onProgress(at, member, index, max<u64>(index, matched));
  if (load<u8>(at, ROLE) != LEADING || load<u8>(member, MEMBER_PROGRESS) != REPLICATE) return;
  const isStill = matched == load<u64>(member, MEMBER_SEEN) && matched + 1 < load<u64>(member, MEMBER_NEXT);
  store<u64>(member, matched, MEMBER_SEEN);
  store<u32>(member, isStill ? load<u32>(member, MEMBER_STILL) + 1 : 0, MEMBER_STILL);
  if (load<u32>(member, MEMBER_STILL) < STILL_MAX) return;
  store<u64>(member, max<u64>(load<u64>(member, MEMBER_MATCH), min<u64>(matched, last)) + 1, MEMBER_NEXT);
  probe(at, member);
}

/** Commits what a quorum has, when it is of this term: entries of earlier terms are committed by what stands above them, never by counting (thesis 3.6.2). */
export function advanceCommit(at: usize): void {
  const self = selfOf(at);
  if (self != 0) store<u64>(self, load<u64>(at, SAVED), MEMBER_MATCH);
  const index = quorumReached(at + MEMBERS_AT, load<u32>(at, MEMBER_COUNT), MEMBER_MATCH);
  if (index <= load<u64>(at, COMMIT) || logTerm(at, index) != load<u64>(at, TERM)) return;
  store<u64>(at, index, COMMIT);
  settleMembers(at);
}

// ---- the follower

export function onAppend(at: usize, message: usize): void {
  const previous = load<u64>(message, MESSAGE_INDEX);
  const bytes = load<u32>(message, MESSAGE_LENGTH) - MESSAGE_HEADER_BYTES;
  const body = message + MESSAGE_BODY;
  const count = runCount(body, bytes);
  if (count < 0) {
    countUp(at + MALFORMED);
    return;
  }
  const first = load<u64>(at, FIRST);
  // What is below the log's beginning is committed, hence the leader's too.
  if (previous + 1 >= first && !meets(at, previous, load<u64>(message, MESSAGE_LOG_TERM))) {
    refuse(at, message, previous);
    return;
  }
  const end = takeEntries(at, previous + 1, body, count);
  const matched = max<u64>(load<u64>(at, MATCHED), min<u64>(end, load<u64>(at, LAST)));
  store<u64>(at, matched, MATCHED);
  raiseCommit(at, load<u64>(message, MESSAGE_COMMIT));
  setFlag(at, ACK_DUE);
}

function meets(at: usize, index: u64, term: u64): bool {
  return index <= load<u64>(at, LAST) && logTerm(at, index) == term;
}

/** Takes a run from `index` on; the index of the last that matches now. */
function takeEntries(at: usize, index: u64, run: usize, count: i32): u64 {
  let isConfigured = true;
  let entry = run;
  let position = index;
  for (let left = count; left > 0; --left, ++position) {
    const term = load<u64>(entry);
    const length = load<u32>(entry, 8);
    const kind = load<u8>(entry, 12);
    const payload = entry + ENTRY_HEADER_BYTES;
    entry += <usize>entryBytes(length);
    if (position < load<u64>(at, FIRST)) continue;
    if (position <= load<u64>(at, LAST)) {
      if (logTerm(at, position) == term) continue;
      if (position <= load<u64>(at, COMMIT)) {
        countUp(at + VIOLATIONS);
        break;
      }
      logTruncate(at, position);
      if (load<u64>(at, CONFIG_INDEX) >= position) isConfigured = false;
    }
    if (kind == CONFIGURATION) {
      if (!configIsSound(payload, length)) {
        countUp(at + MALFORMED);
        break;
      }
      isConfigured = false;
    }
    if (!logAppend(at, term, kind, payload, length)) break;
  }
  if (!isConfigured) configFromLog(at);
  return position - 1;
}

function refuse(at: usize, message: usize, previous: u64): void {
  const answer = outboxTake(at, APPEND_ANSWER, load<u32>(message, MESSAGE_FROM), 0);
  if (answer == 0) return;
  const term = load<u64>(message, MESSAGE_LOG_TERM);
  let hint = min<u64>(previous, load<u64>(at, LAST));
  while (hint >= load<u64>(at, FIRST) && logTerm(at, hint) > term) --hint;
  store<u8>(answer, REFUSED, MESSAGE_FLAGS);
  store<u64>(answer, hint, MESSAGE_INDEX);
  store<u64>(answer, logTerm(at, hint), MESSAGE_LOG_TERM);
  store<u64>(answer, previous, MESSAGE_COMMIT);
}

/** The leader's commit index, as far as our log is known to be the leader's. */
export function raiseCommit(at: usize, commit: u64): void {
  const known = min<u64>(commit, load<u64>(at, MATCHED));
  if (known > load<u64>(at, COMMIT)) store<u64>(at, known, COMMIT);
}

/** Acknowledges what has become durable. */
export function acknowledge(at: usize): void {
  if (!hasFlag(at, ACK_DUE)) return;
  const matched = load<u64>(at, MATCHED);
  const durable = min<u64>(matched, load<u64>(at, SAVED));
  const isAll = durable == matched;
  const leader = load<u32>(at, LEADER);
  if ((!isAll && durable <= load<u64>(at, ACKED)) || leader == 0) return;
  const answer = outboxTake(at, APPEND_ANSWER, leader, 0);
  if (answer == 0) return;
  store<u64>(answer, durable, MESSAGE_INDEX);
  store<u64>(answer, matched, MESSAGE_LOG_TERM);
  store<u64>(at, durable, ACKED);
  if (isAll) clearFlag(at, ACK_DUE);
}

export function onHeartbeat(at: usize, message: usize): void {
  raiseCommit(at, load<u64>(message, MESSAGE_COMMIT));
  const answer = outboxTake(at, HEARTBEAT_ANSWER, load<u32>(message, MESSAGE_FROM), 0);
  if (answer == 0) return;
  const matched = load<u64>(at, MATCHED);
  store<u64>(answer, min<u64>(matched, load<u64>(at, SAVED)), MESSAGE_INDEX);
  store<u64>(answer, matched, MESSAGE_LOG_TERM);
  store<u64>(answer, load<u64>(message, MESSAGE_CONTEXT), MESSAGE_CONTEXT);
  store<u64>(answer, load<u64>(message, MESSAGE_TIME), MESSAGE_TIME);
}
