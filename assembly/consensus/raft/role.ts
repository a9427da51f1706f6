/** Turning follower, and the two times that elections hang on. */
import {
  ACK_DUE,
  ACKED,
  clearFlag,
  countUp,
  DICE,
  ELECTION_AT,
  ELECTION_US,
  FOLLOWER,
  FORCED,
  INCOMING_INDEX,
  LEADER,
  LEADING,
  LEASE_REVOKED,
  MATCHED,
  NOW,
  QUIET_UNTIL,
  READS_COUNT,
  ROLE,
  STATE_SEQUENCE,
  TERM,
  TRANSFER_TO,
  VOTE,
} from "./layout";

/** Follows in `term`, under `leader` when one is known. A change of term forgets the vote. */
export function follow(at: usize, term: u64, leader: u32): void {
  if (term != load<u64>(at, TERM)) {
    store<u64>(at, term, TERM);
    store<u32>(at, 0, VOTE);
    countUp(at + STATE_SEQUENCE);
    store<u64>(at, 0, MATCHED);
    store<u64>(at, 0, ACKED);
    store<u64>(at, 0, INCOMING_INDEX);
    clearFlag(at, ACK_DUE);
  }
  if (load<u8>(at, ROLE) == LEADING) {
    // Who reads through a leader that is none any more asks again, elsewhere.
    store<u32>(at, 0, READS_COUNT);
    store<u64>(at, 0, MATCHED);
    store<u64>(at, 0, ACKED);
  }
  store<u8>(at, FOLLOWER, ROLE);
  store<u32>(at, leader, LEADER);
  store<u32>(at, 0, TRANSFER_TO);
  clearFlag(at, LEASE_REVOKED | FORCED);
  resetElection(at);
}

/** Campaigns no sooner than one to two election times from now, drawn anew (thesis 3.4). */
export function resetElection(at: usize): void {
  const electionUs = <u64>load<u32>(at, ELECTION_US);
  // Dice over 2^32 as a share of the election time, without a division.
  const extra = (electionUs * <u64>load<u32>(at, DICE)) >> 32;
  store<u64>(at, load<u64>(at, NOW) + electionUs + extra, ELECTION_AT);
}

/** A leader was heard: no vote for an election time (thesis 6.2: who hears a leader does not help to remove it). */
export function hearLeader(at: usize): void {
  store<u64>(at, load<u64>(at, NOW) + <u64>load<u32>(at, ELECTION_US), QUIET_UNTIL);
}
