/**
 * Hands leadership over (thesis 3.10): the leader takes no more proposals, brings the other's log up to its own, and asks it to campaign at once.
 * After an election time without success it leads on. From the first request on there are no lease reads in this term: whoever was asked may
 * still be elected, and its votes ignore the lease.
 */
import { ARGUMENT, RAFT_NOT_LEADER, RAFT_TRANSFERRING } from "../../errors/codes.generated";
import {
  ELECTION_US,
  HEARTBEAT_US,
  ID,
  LAST,
  LEADING,
  LEASE_REVOKED,
  NOW,
  ROLE,
  setFlag,
  TRANSFER_TO,
  TRANSFER_UNTIL,
} from "./layout";
import { MEMBER_FLAGS, MEMBER_MATCH, MEMBER_RETRY_AT, VOTER_IN } from "./member-layout";
import { isWitness, memberOf } from "./members";
import { CAMPAIGN, outboxTake } from "./message";

/** 0, or -RAFT_NOT_LEADER, -RAFT_TRANSFERRING, -ARGUMENT (itself, no voter, or a witness). */
export function transferTo(at: usize, id: u32): i32 {
  if (load<u8>(at, ROLE) != LEADING) return -RAFT_NOT_LEADER;
  if (load<u32>(at, TRANSFER_TO) != 0) return -RAFT_TRANSFERRING;
  const member = memberOf(at, id);
  if (member == 0 || id == load<u32>(at, ID) || isWitness(member)) return -ARGUMENT;
  if ((load<u8>(member, MEMBER_FLAGS) & VOTER_IN) == 0) return -ARGUMENT;
  store<u32>(at, id, TRANSFER_TO);
  store<u64>(at, load<u64>(at, NOW) + <u64>load<u32>(at, ELECTION_US), TRANSFER_UNTIL);
  return 0;
}

/** Asks the target once its log is whole. Asked again with each heartbeat until the transfer ends: the request may be lost. */
export function transferDue(at: usize): void {
  const id = load<u32>(at, TRANSFER_TO);
  if (id == 0) return;
  const member = memberOf(at, id);
  if (member == 0 || load<u64>(member, MEMBER_MATCH) != load<u64>(at, LAST)) return;
  const now = load<u64>(at, NOW);
  if (now < load<u64>(member, MEMBER_RETRY_AT)) return;
  store<u64>(member, now + <u64>load<u32>(at, HEARTBEAT_US), MEMBER_RETRY_AT);
  setFlag(at, LEASE_REVOKED);
  outboxTake(at, CAMPAIGN, id, 0);
}
