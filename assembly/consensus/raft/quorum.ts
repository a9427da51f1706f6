/**
 * Arithmetic of majorities over the member table (thesis 3.3, 4.3). During joint consensus a decision needs the majority of the incoming
 * and of the outgoing voters; an empty set agrees to everything, so a configuration that is not joint is the same case.
 *
 * A value that a quorum has reached is the largest that a majority of values are at or above. The same function says how far entries are
 * committed, which round of reads is confirmed, and since when a leader has been known to lead.
 */
import { MEMBER_BYTES, U64_MAX } from "./layout";
import { MEMBER_FLAGS, MEMBER_VOTE, VOTE_NONE, VOTE_YES, VOTER_IN, VOTER_OUT } from "./member-layout";

export const VOTE_PENDING: i32 = 0;
export const VOTE_WON: i32 = 1;
export const VOTE_LOST: i32 = 2;

/** Largest value of the u64 at `field` that a quorum has reached; all ones where nobody votes. */
export function quorumReached(members: usize, count: u32, field: usize): u64 {
  return min<u64>(
    majorityReached(members, count, field, VOTER_IN),
    majorityReached(members, count, field, VOTER_OUT),
  );
}

/** VOTE_WON, VOTE_LOST, or VOTE_PENDING while either is possible. */
export function quorumVotes(members: usize, count: u32): i32 {
  const incoming = majorityVotes(members, count, VOTER_IN);
  const outgoing = majorityVotes(members, count, VOTER_OUT);
  if (incoming == VOTE_LOST || outgoing == VOTE_LOST) return VOTE_LOST;
  return incoming == VOTE_WON && outgoing == VOTE_WON ? VOTE_WON : VOTE_PENDING;
}

function majorityReached(members: usize, count: u32, field: usize, set: u8): u64 {
  const needed = majorityOf(members, count, set);
  if (needed == 0) return U64_MAX;
  let best: u64 = 0;
  const end = members + <usize>count * MEMBER_BYTES;
  // Sets have a handful of members: counting for each is less code than sorting, and no slower.
  for (let member = members; member < end; member += MEMBER_BYTES) {
    if ((load<u8>(member, MEMBER_FLAGS) & set) == 0) continue;
    const value = load<u64>(member + field);
    if (value <= best) continue;
    let reached: u32 = 0;
    for (let other = members; other < end; other += MEMBER_BYTES) {
      if ((load<u8>(other, MEMBER_FLAGS) & set) != 0 && load<u64>(other + field) >= value) ++reached;
    }
    if (reached >= needed) best = value;
  }
  return best;
}

function majorityVotes(members: usize, count: u32, set: u8): i32 {
  const needed = majorityOf(members, count, set);
  let yes: u32 = 0;
  let missing: u32 = 0;
  for (let index: u32 = 0; index < count; ++index) {
    const member = members + <usize>index * MEMBER_BYTES;
    if ((load<u8>(member, MEMBER_FLAGS) & set) == 0) continue;
    const vote = load<u8>(member, MEMBER_VOTE);
    if (vote == VOTE_YES) ++yes;
    else if (vote == VOTE_NONE) ++missing;
  }
  if (yes >= needed) return VOTE_WON;
  return yes + missing >= needed ? VOTE_PENDING : VOTE_LOST;
}

/** Members of the set that make a majority; 0 for an empty set. */
function majorityOf(members: usize, count: u32, set: u8): u32 {
  let voters: u32 = 0;
  for (let index: u32 = 0; index < count; ++index) {
    if ((load<u8>(members + <usize>index * MEMBER_BYTES, MEMBER_FLAGS) & set) != 0) ++voters;
  }
  return voters == 0 ? 0 : (voters >> 1) + 1;
}
