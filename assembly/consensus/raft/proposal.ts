/** Proposals: appended by the leader, forwarded by a follower that knows one. */
import {
  ARGUMENT,
  QUEUE_FULL,
  RAFT_LOG_FULL,
  RAFT_NO_LEADER,
  RAFT_TRANSFERRING,
} from "../../errors/codes.generated";
import {
  CONFIG_BYTES_MAX,
  ENTRIES_MASK,
  LEADER,
  LEADING,
  MESSAGE_BYTES,
  ROLE,
  TERM,
  TRANSFER_TO,
} from "./layout";
import { COMMAND, ENTRY_HEADER_BYTES, logAppend, logPayloadRoom, logRoom } from "./log";
import { MESSAGE_BODY, MESSAGE_HEADER_BYTES, outboxTake, PROPOSE } from "./message";

/** The proposal went to the leader. Whether it arrived shows when it is applied, or does not show. */
export const FORWARDED: i32 = 1;

/** 0 when it stands in this leader's log as its last entry, FORWARDED, or -RAFT_NO_LEADER, -RAFT_LOG_FULL, -RAFT_TRANSFERRING, -QUEUE_FULL, -ARGUMENT (too long). */
export function propose(at: usize, from: usize, length: u32): i32 {
  if (load<u8>(at, ROLE) == LEADING) {
    const status = mayTake(at, length);
    if (status == 0) logAppend(at, load<u64>(at, TERM), COMMAND, from, length);
    return status;
  }
  if (length > longest(at)) return -ARGUMENT;
  const leader = load<u32>(at, LEADER);
  if (leader == 0) return -RAFT_NO_LEADER;
  const message = outboxTake(at, PROPOSE, leader, length);
  if (message == 0) return -QUEUE_FULL;
  memory.copy(message + MESSAGE_BODY, from, <usize>length);
  return FORWARDED;
}

/** Whether this leader takes a command of so many bytes. An eighth of the entries, and a configuration's bytes, stay free for what elections and changes of members append. */
export function mayTake(at: usize, length: u32): i32 {
  if (length > longest(at)) return -ARGUMENT;
  if (load<u32>(at, TRANSFER_TO) != 0) return -RAFT_TRANSFERRING;
  const reserve = (load<u32>(at, ENTRIES_MASK) + 1) >> 3;
  const room = logPayloadRoom(at);
  if (logRoom(at) <= reserve || room < length || room - length < <u32>CONFIG_BYTES_MAX) return -RAFT_LOG_FULL;
  return 0;
}

/** A command must fit into a message of its own. */
function longest(at: usize): u32 {
  return load<u32>(at, MESSAGE_BYTES) - MESSAGE_HEADER_BYTES - <u32>ENTRY_HEADER_BYTES - 8;
}
