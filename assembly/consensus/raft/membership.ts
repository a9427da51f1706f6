/**
 * Changes of the configuration (thesis chapter 4). At most one voter more, less or other: the new configuration at once, for majorities of both overlap (4.1). More: a
 * joint configuration, in which both majorities decide (4.3), and which the leader leaves by itself once it is committed.
 *
 * One change at a time, and none before the leader has committed an entry of its term: without that rule two leaders in a row can each change
 * one server against the other's change, and their majorities do not overlap (Ongaro, raft-dev, 10 July 2015).
 */
import {
  ARGUMENT,
  RAFT_CHANGE_PENDING,
  RAFT_LOG_FULL,
  RAFT_NOT_LEADER,
  RAFT_NOT_READY,
} from "../../errors/codes.generated";
import {
  COMMIT,
  CONFIG_INDEX,
  LEADING,
  MEMBER_COUNT,
  ROLE,
  SCRATCH_AT,
  TERM,
  TERM_START,
  TRANSFER_TO,
} from "./layout";
import { CONFIGURATION, logAppend } from "./log";
import { LEARNER, MEMBER_FLAGS, MEMBER_ID, VOTER_IN, VOTER_OUT, WITNESS } from "./member-layout";
import {
  configAdd,
  configBytes,
  configFlags,
  configFlagsOf,
  configFromLog,
  configId,
  configIsSound,
  isJoint,
  isVoter,
  memberAt,
  memberOf,
  selfOf,
} from "./members";
import { follow } from "./role";

/**
 * Makes the configuration at `target` (without outgoing voters) the cluster's. 0 when the change stands in the log, or -RAFT_NOT_LEADER, -RAFT_NOT_READY (nothing
 * committed in this term), -RAFT_CHANGE_PENDING, -ARGUMENT (no configuration, too many members on the way, or a witness that is to hold data: it has none; remove it and add it
 * again), -RAFT_LOG_FULL.
 */
export function changeMembers(at: usize, target: usize, bytes: u32): i32 {
  if (load<u8>(at, ROLE) != LEADING) return -RAFT_NOT_LEADER;
  if (!configIsSound(target, bytes) || load<u32>(target) == 0) return -ARGUMENT;
  if (load<u64>(at, COMMIT) < load<u64>(at, TERM_START)) return -RAFT_NOT_READY;
  if (load<u64>(at, CONFIG_INDEX) > load<u64>(at, COMMIT) || isJoint(at) || load<u32>(at, TRANSFER_TO) != 0) {
    return -RAFT_CHANGE_PENDING;
  }
  let changed: u32 = 0;
  const scratch = <usize>load<u32>(at, SCRATCH_AT);
  store<u64>(scratch, 0);
  const wanted = load<u32>(target);
  for (let index: u32 = 0; index < wanted; ++index) {
    const id = configId(target, index);
    const flags = configFlags(target, index);
    if ((flags & <u32>VOTER_OUT) != 0) return -ARGUMENT;
    const member = memberOf(at, id);
    const was: u32 = member == 0 ? 0 : <u32>load<u8>(member, MEMBER_FLAGS);
    if (was != 0 && ((was ^ flags) & <u32>WITNESS) != 0) return -ARGUMENT;
    if (((was ^ flags) & <u32>VOTER_IN) != 0) ++changed;
    configAdd(scratch, id, flags);
  }
  const count = load<u32>(at, MEMBER_COUNT);
  for (let index: u32 = 0; index < count; ++index) {
    const member = memberAt(at, index);
    if (isVoter(member) && configFlagsOf(target, load<u32>(member, MEMBER_ID)) == 0) ++changed;
  }
  if (changed > 1 && !addOutgoing(at, scratch)) return -ARGUMENT;
  return append(at, scratch);
}

/** What follows from a configuration that is committed. Called whenever the commit index has moved. */
export function settleMembers(at: usize): void {
  if (load<u8>(at, ROLE) != LEADING || load<u64>(at, CONFIG_INDEX) > load<u64>(at, COMMIT)) return;
  if (isJoint(at)) {
    leave(at);
    return;
  }
  // A leader that was removed leads until its removal is committed, and no longer (thesis 4.2.2).
  if (!isVoter(selfOf(at))) follow(at, load<u64>(at, TERM), 0);
}

/** Marks the voters in force as outgoing; false when there are too many members. */
function addOutgoing(at: usize, config: usize): bool {
  const count = load<u32>(at, MEMBER_COUNT);
  for (let index: u32 = 0; index < count; ++index) {
    const member = memberAt(at, index);
    if (!isVoter(member)) continue;
    const id = load<u32>(member, MEMBER_ID);
    const witness = <u32>(load<u8>(member, MEMBER_FLAGS) & WITNESS);
    if (configFlagsOf(config, id) == 0) {
      if (!configAdd(config, id, <u32>VOTER_OUT | witness)) return false;
      continue;
    }
    const members = load<u32>(config);
    for (let other: u32 = 0; other < members; ++other) {
      if (configId(config, other) != id) continue;
      store<u32>(config + 8 + <usize>other * 8, configFlags(config, other) | <u32>VOTER_OUT, 4);
    }
  }
  return true;
}

function leave(at: usize): void {
  const scratch = <usize>load<u32>(at, SCRATCH_AT);
  store<u64>(scratch, 0);
  const count = load<u32>(at, MEMBER_COUNT);
  for (let index: u32 = 0; index < count; ++index) {
    const member = memberAt(at, index);
    const flags = load<u8>(member, MEMBER_FLAGS);
    if ((flags & (VOTER_IN | LEARNER)) != 0)
      configAdd(scratch, load<u32>(member, MEMBER_ID), <u32>(flags & ~VOTER_OUT));
  }
  append(at, scratch);
}

function append(at: usize, config: usize): i32 {
  if (!logAppend(at, load<u64>(at, TERM), CONFIGURATION, config, configBytes(load<u32>(config))))
    return -RAFT_LOG_FULL;
  configFromLog(at);
  return 0;
}
