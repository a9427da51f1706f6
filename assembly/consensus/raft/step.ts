/** Messages in. Terms first (thesis 3.3): a higher one makes a follower of anybody, a lower one is answered with ours. */
import { RAFT_MESSAGE } from "../../errors/codes.generated";
import { isQuiet, onCampaign, onVoteAnswer, onVoteRequest, refuseVote } from "./election";
import { countUp, LEADER, LEADING, MALFORMED, ROLE, TERM, VIOLATIONS } from "./layout";
import { COMMAND, logAppend } from "./log";
import {
  APPEND,
  APPEND_ANSWER,
  BY_LEADER,
  CAMPAIGN,
  HEARTBEAT,
  HEARTBEAT_ANSWER,
  MESSAGE_BODY,
  MESSAGE_CONTEXT,
  MESSAGE_FLAGS,
  MESSAGE_FROM,
  MESSAGE_HEADER_BYTES,
  MESSAGE_INDEX,
  MESSAGE_LENGTH,
  MESSAGE_TERM,
  messageIsSound,
  outboxTake,
  PRE,
  PROPOSE,
  READ,
  READ_ANSWER,
  REFUSED,
  SNAPSHOT_ANSWER,
  SNAPSHOT_CHUNK,
  VOTE_ANSWER,
  VOTE_REQUEST,
} from "./message";
import { mayTake } from "./proposal";
import { readFor, readReady } from "./reads";
import { onAppend, onAppendAnswer, onHeartbeat, onHeartbeatAnswer } from "./replication";
import { follow, hearLeader, resetElection } from "./role";
import { onSnapshotAnswer, onSnapshotChunk } from "./snapshot";

/** 0, CHUNK_TAKEN when the caller must keep the snapshot's chunk that came, or -RAFT_MESSAGE. */
export function stepMessage(at: usize, message: usize, bytes: u32): i32 {
  if (!messageIsSound(at, message, bytes)) {
    countUp(at + MALFORMED);
    return -RAFT_MESSAGE;
  }
  const kind = load<u8>(message);
  const term = load<u64>(message, MESSAGE_TERM);
  const own = load<u64>(at, TERM);
  if (term < own) {
    onOldTerm(at, message, kind);
    return 0;
  }
  if (term > own && !isPreVote(message, kind)) {
    // Who hears a leader does not let itself be drawn into another's election (thesis 4.2.3).
    const isByLeader = (load<u8>(message, MESSAGE_FLAGS) & BY_LEADER) != 0;
    if (kind == VOTE_REQUEST && !isByLeader && isQuiet(at)) return 0;
    follow(at, term, isLeaders(kind) ? load<u32>(message, MESSAGE_FROM) : 0);
  }
  return isLeaders(kind) ? onLeaders(at, message, kind) : onOthers(at, message, kind);
}

/** Asking for a pre-vote, and granting one, names a term that nobody is in yet. */
function isPreVote(message: usize, kind: u8): bool {
  const flags = load<u8>(message, MESSAGE_FLAGS);
  if ((flags & PRE) == 0) return false;
  return kind == VOTE_REQUEST || (kind == VOTE_ANSWER && (flags & REFUSED) == 0);
}

/** What only the leader of a term sends. */
function isLeaders(kind: u8): bool {
  return kind == APPEND || kind == HEARTBEAT || kind == SNAPSHOT_CHUNK;
}

function onOldTerm(at: usize, message: usize, kind: u8): void {
  if (kind == VOTE_REQUEST) refuseVote(at, message);
  else if (isLeaders(kind)) {
    // A leader that was replaced, or one that a node with a higher term cannot follow: either learns of the term.
    const answer = outboxTake(at, APPEND_ANSWER, load<u32>(message, MESSAGE_FROM), 0);
    if (answer != 0) store<u8>(answer, REFUSED, MESSAGE_FLAGS);
  }
}

function onLeaders(at: usize, message: usize, kind: u8): i32 {
  const from = load<u32>(message, MESSAGE_FROM);
  const leader = load<u32>(at, LEADER);
  if (load<u8>(at, ROLE) == LEADING || (leader != 0 && leader != from)) {
    countUp(at + VIOLATIONS);
    return 0;
  }
  if (leader == 0) follow(at, load<u64>(at, TERM), from);
  hearLeader(at);
  resetElection(at);
  if (kind == APPEND) onAppend(at, message);
  else if (kind == HEARTBEAT) onHeartbeat(at, message);
  else return onSnapshotChunk(at, message);
  return 0;
}

function onOthers(at: usize, message: usize, kind: u8): i32 {
  if (kind == VOTE_REQUEST) onVoteRequest(at, message);
  else if (kind == VOTE_ANSWER) onVoteAnswer(at, message);
  else if (kind == CAMPAIGN) onCampaign(at, message);
  else if (kind == READ_ANSWER)
    readReady(at, load<u64>(message, MESSAGE_CONTEXT), load<u64>(message, MESSAGE_INDEX));
  else if (load<u8>(at, ROLE) == LEADING) onFollowers(at, message, kind);
  return 0;
}

/** What only a leader has use for; a request that it cannot serve is lost, and asked again. */
function onFollowers(at: usize, message: usize, kind: u8): void {
  if (kind == APPEND_ANSWER) onAppendAnswer(at, message);
  else if (kind == HEARTBEAT_ANSWER) onHeartbeatAnswer(at, message);
  else if (kind == SNAPSHOT_ANSWER) onSnapshotAnswer(at, message);
  else if (kind == READ) readFor(at, load<u64>(message, MESSAGE_CONTEXT), load<u32>(message, MESSAGE_FROM));
  else if (kind == PROPOSE) {
    const length = load<u32>(message, MESSAGE_LENGTH) - MESSAGE_HEADER_BYTES;
    if (mayTake(at, length) == 0) logAppend(at, load<u64>(at, TERM), COMMAND, message + MESSAGE_BODY, length);
  }
}
