/**
 * Elections (thesis 3.4), with a round that promises nothing first (PreVote, 9.6) and a leader that steps down when it hears no quorum (CheckQuorum, 6.2).
 *
 *                  no leader for its election time          a quorum would vote          a quorum voted
 *     FOLLOWER ------------------------------> PRE-CANDIDATE -------------> CANDIDATE -----------------> LEADING
 *        ^                                       |    ^                       |                             |
 *        |  another leads, or would not vote     |    |  its time is over     |  another leads, or          |  a higher term, or no
 *        +---------------------------------------+    +-----------------------+  a quorum refused           |  quorum for an election time
 *        +--------------------------------------------------------------------+-----------------------------+
 *
 * Nobody votes within an election time of hearing a leader, or of starting: what was heard before a restart is forgotten, and the lease of a leader
 * (reads.ts) rests on it. That a pre-candidate no longer counts as hearing a leader is why two of them can elect each other (etcd #9586).
 *
 * A vote counts when it is durable, the candidate's own too.
 */
import {
  ACK_DUE,
  ACKED,
  CANDIDATE,
  clearFlag,
  countUp,
  ELECTION_AT,
  ELECTION_US,
  FORCED,
  HEARTBEAT_AT,
  hasFlag,
  ID,
  INCOMING_INDEX,
  LAST,
  LEADER,
  LEADING,
  LEASE_REVOKED,
  LED_SINCE,
  MATCHED,
  MEMBER_COUNT,
  MEMBERS_AT,
  NOW,
  PRE_CANDIDATE,
  QUIET_UNTIL,
  READ_ROUND,
  READ_SENT,
  READS_COUNT,
  ROLE,
  SAVED,
  STATE_SAVED,
  STATE_SEQUENCE,
  setFlag,
  TERM,
  TERM_START,
  TRANSFER_TO,
  TRANSFER_UNTIL,
  VOTE,
} from "./layout";
import { logAppend, logLastTerm, NO_OP, TERM_MAX } from "./log";
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
  MEMBER_VOTE,
  PROBE,
  VOTE_NO,
  VOTE_NONE,
  VOTE_YES,
} from "./member-layout";
import { isVoter, isWitness, memberAt, memberOf, selfOf } from "./members";
import {
  BY_LEADER,
  MESSAGE_FLAGS,
  MESSAGE_FROM,
  MESSAGE_INDEX,
  MESSAGE_LOG_TERM,
  MESSAGE_TERM,
  outboxTake,
  PRE,
  REFUSED,
  VOTE_ANSWER,
  VOTE_REQUEST,
} from "./message";
import { quorumVotes, VOTE_LOST, VOTE_PENDING } from "./quorum";
import { heardByQuorum } from "./reads";
import { follow, resetElection } from "./role";

/** What time does: a follower without a leader campaigns, a leader without a quorum steps down. */
export function electionTick(at: usize): void {
  const now = load<u64>(at, NOW);
  if (load<u8>(at, ROLE) == LEADING) {
    if (load<u32>(at, TRANSFER_TO) != 0 && now >= load<u64>(at, TRANSFER_UNTIL))
      store<u32>(at, 0, TRANSFER_TO);
    const heard = max<u64>(heardByQuorum(at), load<u64>(at, LED_SINCE));
    if (now - min<u64>(heard, now) >= <u64>load<u32>(at, ELECTION_US)) follow(at, load<u64>(at, TERM), 0);
    return;
  }
  if (now < load<u64>(at, ELECTION_AT)) return;
  store<u32>(at, 0, LEADER);
  // The leader asked for one election, in its own term: another may lead by now, whose lease this must not break.
  clearFlag(at, FORCED);
  if (mayLead(at)) campaign(at, true);
  else resetElection(at);
}

export function mayLead(at: usize): bool {
  const self = selfOf(at);
  return isVoter(self) && !isWitness(self) && load<u64>(at, TERM) < TERM_MAX;
}

export function campaign(at: usize, pre: bool): void {
  const count = load<u32>(at, MEMBER_COUNT);
  for (let index: u32 = 0; index < count; ++index) store<u8>(memberAt(at, index), VOTE_NONE, MEMBER_VOTE);
  store<u32>(at, 0, LEADER);
  if (pre) store<u8>(at, PRE_CANDIDATE, ROLE);
  else {
    store<u64>(at, load<u64>(at, TERM) + 1, TERM);
    store<u32>(at, load<u32>(at, ID), VOTE);
    countUp(at + STATE_SEQUENCE);
    store<u8>(at, CANDIDATE, ROLE);
    store<u64>(at, 0, MATCHED);
    store<u64>(at, 0, ACKED);
    store<u64>(at, 0, INCOMING_INDEX);
    clearFlag(at, ACK_DUE);
  }
  resetElection(at);
  askForVotes(at, pre);
  // Nothing is promised by it, so it needs no disk; ownVote() is called for the other when its disk is done.
  if (pre) ownVote(at);
}

function askForVotes(at: usize, pre: bool): void {
  const count = load<u32>(at, MEMBER_COUNT);
  for (let index: u32 = 0; index < count; ++index) {
    const member = memberAt(at, index);
    if (!isVoter(member) || load<u32>(member, MEMBER_ID) == load<u32>(at, ID)) continue;
    const message = outboxTake(at, VOTE_REQUEST, load<u32>(member, MEMBER_ID), 0);
    if (message == 0) return;
    if (pre) store<u64>(message, load<u64>(at, TERM) + 1, MESSAGE_TERM);
    store<u8>(message, (pre ? PRE : 0) | (hasFlag(at, FORCED) ? BY_LEADER : 0), MESSAGE_FLAGS);
    store<u64>(message, load<u64>(at, LAST), MESSAGE_INDEX);
    store<u64>(message, logLastTerm(at), MESSAGE_LOG_TERM);
  }
}

/** A candidate's vote for itself, once it is durable. */
export function ownVote(at: usize): void {
  const role = load<u8>(at, ROLE);
  const isDurable = load<u32>(at, STATE_SAVED) == load<u32>(at, STATE_SEQUENCE);
  if (role != PRE_CANDIDATE && !(role == CANDIDATE && isDurable)) return;
  const self = selfOf(at);
  if (self == 0) return;
  store<u8>(self, VOTE_YES, MEMBER_VOTE);
  countVotes(at);
}

function countVotes(at: usize): void {
  const verdict = quorumVotes(at + MEMBERS_AT, load<u32>(at, MEMBER_COUNT));
  if (verdict == VOTE_PENDING) return;
  if (verdict == VOTE_LOST) follow(at, load<u64>(at, TERM), 0);
  else if (load<u8>(at, ROLE) == PRE_CANDIDATE) campaign(at, false);
  else lead(at);
}

/** Whether a vote is out of the question because a leader lives, or may live. */
export function isQuiet(at: usize): bool {
  return load<u8>(at, ROLE) == LEADING || load<u64>(at, NOW) < load<u64>(at, QUIET_UNTIL);
}

/** A request in this node's term, or for a pre-vote in any. */
export function onVoteRequest(at: usize, message: usize): void {
  const flags = load<u8>(message, MESSAGE_FLAGS);
  const isPre = (flags & PRE) != 0;
  if ((flags & BY_LEADER) == 0 && isQuiet(at)) return;
  const from = load<u32>(message, MESSAGE_FROM);
  const term = load<u64>(message, MESSAGE_TERM);
  const vote = load<u32>(at, VOTE);
  const isFree = isPre
    ? term > load<u64>(at, TERM)
    : vote == from || (vote == 0 && load<u32>(at, LEADER) == 0);
  if (!isFree || !isUpToDate(at, message)) {
    refuseVote(at, message);
    return;
  }
  if (!isPre && vote == 0) {
    store<u32>(at, from, VOTE);
    countUp(at + STATE_SEQUENCE);
    resetElection(at);
  }
  const answer = outboxTake(at, VOTE_ANSWER, from, 0);
  if (answer == 0) return;
  store<u8>(answer, isPre ? PRE : 0, MESSAGE_FLAGS);
  store<u64>(answer, term, MESSAGE_TERM);
}

/** Says no, with the term of who says it, so that a candidate from the past learns of it. */
export function refuseVote(at: usize, message: usize): void {
  const answer = outboxTake(at, VOTE_ANSWER, load<u32>(message, MESSAGE_FROM), 0);
  if (answer != 0) store<u8>(answer, REFUSED | (load<u8>(message, MESSAGE_FLAGS) & PRE), MESSAGE_FLAGS);
}

/** Thesis 3.6.1: the log whose last entry has the higher term, or of the same term the longer one. */
function isUpToDate(at: usize, message: usize): bool {
  const own = logLastTerm(at);
  const term = load<u64>(message, MESSAGE_LOG_TERM);
  return term > own || (term == own && load<u64>(message, MESSAGE_INDEX) >= load<u64>(at, LAST));
}

/** An answer of this term, or for a pre-vote a granted one of the next. */
export function onVoteAnswer(at: usize, message: usize): void {
  const flags = load<u8>(message, MESSAGE_FLAGS);
  const isPre = (flags & PRE) != 0;
  if (load<u8>(at, ROLE) != (isPre ? PRE_CANDIDATE : CANDIDATE)) return;
  const isGranted = (flags & REFUSED) == 0;
  if (isPre && isGranted && load<u64>(message, MESSAGE_TERM) != load<u64>(at, TERM) + 1) return;
  const member = memberOf(at, load<u32>(message, MESSAGE_FROM));
  if (member == 0) return;
  store<u8>(member, isGranted ? VOTE_YES : VOTE_NO, MEMBER_VOTE);
  countVotes(at);
}

function lead(at: usize): void {
  const term = load<u64>(at, TERM);
  const last = load<u64>(at, LAST);
  // An entry of its own term is what lets a leader commit at all (thesis 3.6.2).
  if (!logAppend(at, term, NO_OP, 0, 0)) {
    follow(at, term, 0);
    return;
  }
  store<u8>(at, LEADING, ROLE);
  store<u32>(at, load<u32>(at, ID), LEADER);
  store<u64>(at, load<u64>(at, NOW), LED_SINCE);
  store<u64>(at, load<u64>(at, NOW), HEARTBEAT_AT);
  store<u64>(at, load<u64>(at, READ_ROUND), READ_SENT);
  store<u32>(at, 0, READS_COUNT);
  store<u32>(at, 0, TRANSFER_TO);
  store<u64>(at, last + 1, TERM_START);
  clearFlag(at, LEASE_REVOKED | FORCED);
  const count = load<u32>(at, MEMBER_COUNT);
  for (let index: u32 = 0; index < count; ++index) {
    const member = memberAt(at, index);
    store<u64>(member, last + 1, MEMBER_NEXT);
    store<u64>(member, 0, MEMBER_MATCH);
    store<u64>(member, 0, MEMBER_HEARD);
    store<u64>(member, 0, MEMBER_ROUND);
    store<u64>(member, 0, MEMBER_SENT_COMMIT);
    store<u64>(member, 0, MEMBER_RETRY_AT);
    store<u64>(member, 0, MEMBER_SNAPSHOT);
    store<u64>(member, 0, MEMBER_SEEN);
    store<u32>(member, 0, MEMBER_STILL);
    store<u8>(member, PROBE, MEMBER_PROGRESS);
  }
  const self = selfOf(at);
  if (self != 0) store<u64>(self, load<u64>(at, SAVED), MEMBER_MATCH);
}

/** The leader asks this node to campaign at once (thesis 3.10); only the leader of its term may. */
export function onCampaign(at: usize, message: usize): void {
  if (load<u32>(message, MESSAGE_FROM) != load<u32>(at, LEADER) || !mayLead(at)) return;
  setFlag(at, FORCED);
  campaign(at, false);
}
