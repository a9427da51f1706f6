/**
 * Who is in the cluster. A configuration is an entry of the log and counts from the moment it stands there, committed or not (thesis 4.1): a
 * node that waited until it is applied could decide by a majority that the others have left behind (etcd #12359). When the entry is cut away, the
 * configuration before it counts again.
 *
 *   configuration   +0 members u32   +4 unused u32   +8 member * members       member  +0 id u32   +4 flags u32 (member-layout.ts)
 */
import {
  CONFIG_BYTES_MAX,
  CONFIG_INDEX,
  FIRST,
  ID,
  LAST,
  MEMBER_BYTES,
  MEMBER_COUNT,
  MEMBERS_AT,
  MEMBERS_MAX,
  NOW,
  SAVED_CONFIG_AT,
  SCRATCH_AT,
} from "./layout";
import { CONFIGURATION, logKind, logLength, logPayload } from "./log";
import {
  LEARNER,
  MEMBER_FLAGS,
  MEMBER_FLAGS_ALL,
  MEMBER_ID,
  MEMBER_NEXT,
  MEMBER_PROGRESS,
  MEMBER_RETRY_AT,
  PROBE,
  VOTER_IN,
  VOTER_OUT,
  WITNESS,
} from "./member-layout";

export const CONFIG_HEADER_BYTES: usize = 8;
export const CONFIG_MEMBER_BYTES: usize = 8;

export function memberAt(at: usize, index: u32): usize {
  return at + MEMBERS_AT + <usize>index * MEMBER_BYTES;
}

/** A member by its id, or 0. */
export function memberOf(at: usize, id: u32): usize {
  const count = load<u32>(at, MEMBER_COUNT);
  for (let index: u32 = 0; index < count; ++index) {
    const member = memberAt(at, index);
    if (load<u32>(member, MEMBER_ID) == id) return member;
  }
  return 0;
}

export function selfOf(at: usize): usize {
  return memberOf(at, load<u32>(at, ID));
}

export function isVoter(member: usize): bool {
  return member != 0 && (load<u8>(member, MEMBER_FLAGS) & (VOTER_IN | VOTER_OUT)) != 0;
}

export function isWitness(member: usize): bool {
  return member != 0 && (load<u8>(member, MEMBER_FLAGS) & WITNESS) != 0;
}

/** Whether two majorities decide. */
export function isJoint(at: usize): bool {
  const count = load<u32>(at, MEMBER_COUNT);
  for (let index: u32 = 0; index < count; ++index) {
    if ((load<u8>(memberAt(at, index), MEMBER_FLAGS) & VOTER_OUT) != 0) return true;
  }
  return false;
}

export function configBytes(count: u32): u32 {
  return <u32>(CONFIG_HEADER_BYTES + <usize>count * CONFIG_MEMBER_BYTES);
}

/** Whether bytes are a configuration: ids differ and are not 0, flags make sense, and somebody votes. An empty one is sound too: nobody knows yet. */
export function configIsSound(from: usize, bytes: u32): bool {
  if (bytes < <u32>CONFIG_HEADER_BYTES) return false;
  const count = load<u32>(from);
  if (count > MEMBERS_MAX || configBytes(count) != bytes) return false;
  let voters: u32 = 0;
  for (let index: u32 = 0; index < count; ++index) {
    const id = configId(from, index);
    const flags = configFlags(from, index);
    if (id == 0 || flags > <u32>MEMBER_FLAGS_ALL || (flags & 7) == 0) return false;
    if ((flags & VOTER_IN) != 0) {
      if ((flags & LEARNER) != 0) return false;
      ++voters;
    }
    for (let other: u32 = 0; other < index; ++other) if (configId(from, other) == id) return false;
  }
  return count == 0 || voters > 0;
}

export function configId(config: usize, index: u32): u32 {
  return load<u32>(config + CONFIG_HEADER_BYTES + <usize>index * CONFIG_MEMBER_BYTES);
}
export function configFlags(config: usize, index: u32): u32 {
  return load<u32>(config + CONFIG_HEADER_BYTES + <usize>index * CONFIG_MEMBER_BYTES, 4);
}

/** Adds a member to the configuration at `config`, whose room is CONFIG_BYTES_MAX; false when it has too many. */
export function configAdd(config: usize, id: u32, flags: u32): bool {
  const count = load<u32>(config);
  if (count == MEMBERS_MAX) return false;
  const member = config + CONFIG_HEADER_BYTES + <usize>count * CONFIG_MEMBER_BYTES;
  store<u32>(member, id);
  store<u32>(member, flags, 4);
  store<u32>(config, count + 1);
  return true;
}

/** Takes the newest configuration of the log, or the snapshot's, into force. */
export function configFromLog(at: usize): void {
  const index = configIndexBelow(at, load<u64>(at, LAST));
  store<u64>(at, index, CONFIG_INDEX);
  configUse(at, configOf(at, index));
}

/** Index of the newest configuration at or below `limit`; below FIRST it is the snapshot's. */
export function configIndexBelow(at: usize, limit: u64): u64 {
  const first = load<u64>(at, FIRST);
  let index = limit;
  while (index >= first && logKind(at, index) != CONFIGURATION) --index;
  return index < first ? first - 1 : index;
}

/** The configuration of such an index; it may stand in the scratch. */
export function configOf(at: usize, index: u64): usize {
  if (index < load<u64>(at, FIRST)) return at + SAVED_CONFIG_AT;
  const scratch = <usize>load<u32>(at, SCRATCH_AT);
  if (logLength(at, index) > <u32>CONFIG_BYTES_MAX) return at + SAVED_CONFIG_AT;
  logPayload(at, index, scratch);
  return scratch;
}

/** Keeps a configuration as the snapshot's. */
export function configSave(at: usize, config: usize): void {
  memory.copy(at + SAVED_CONFIG_AT, config, <usize>configBytes(load<u32>(config)));
}

/** Makes the member table say what `config` says, and keeps what is known of members that stay. */
export function configUse(at: usize, config: usize): void {
  const wanted = load<u32>(config);
  let count = load<u32>(at, MEMBER_COUNT);
  for (let index: u32 = 0; index < count; ) {
    const member = memberAt(at, index);
    if (configFlagsOf(config, load<u32>(member, MEMBER_ID)) != 0) {
      ++index;
      continue;
    }
    --count;
    if (index < count) memory.copy(member, memberAt(at, count), MEMBER_BYTES);
  }
  store<u32>(at, count, MEMBER_COUNT);
  for (let index: u32 = 0; index < wanted; ++index) {
    const id = configId(config, index);
    let member = memberOf(at, id);
    if (member == 0) {
      member = memberAt(at, count);
      memory.fill(member, 0, MEMBER_BYTES);
      store<u32>(member, id, MEMBER_ID);
      store<u64>(member, load<u64>(at, LAST) + 1, MEMBER_NEXT);
      store<u8>(member, PROBE, MEMBER_PROGRESS);
      store<u64>(member, load<u64>(at, NOW), MEMBER_RETRY_AT);
      ++count;
      store<u32>(at, count, MEMBER_COUNT);
    }
    store<u8>(member, <u8>configFlags(config, index), MEMBER_FLAGS);
  }
}

/** Flags of a member by its id, 0 for who is none. */
export function configFlagsOf(config: usize, id: u32): u32 {
  const count = load<u32>(config);
  for (let index: u32 = 0; index < count; ++index)
    if (configId(config, index) == id) return configFlags(config, index);
  return 0;
}
