/**
 * A member of the configuration, and what a leader knows of it.
 *
 *   +0  match u64      up to here its log is known to be the leader's, and durable there
 *   +8  next u64       first entry to send it
 *   +16 heard u64      time of this leader's newest message that it has answered, by this leader's clock
 *   +24 round u64      newest round of reads that it has confirmed
 *   +32 sent commit u64   what it was told of the commit index
 *   +40 retry at u64   when what was sent is taken for lost
 *   +48 snapshot u64   index of the snapshot that is on its way to it
 *   +56 offset u64     bytes of it that have arrived there
 *   +64 id u32   +68 flags u8   +69 vote u8   +70 progress u8   +71 unused
 *   +72 seen u64       how far its log matched at the last answer to a heartbeat   +80 still u32   answers since then in which it was no further
 *
 * Flags. A member may vote in the incoming configuration, in the outgoing one (thesis 4.3), or learn only; a voter that is to become a learner
 * keeps its outgoing vote until the joint configuration is left. A witness votes and acknowledges like a voter but holds no payloads
 * and never leads.
 */
export const MEMBER_MATCH: usize = 0;
export const MEMBER_NEXT: usize = 8;
export const MEMBER_HEARD: usize = 16;
export const MEMBER_ROUND: usize = 24;
export const MEMBER_SENT_COMMIT: usize = 32;
export const MEMBER_RETRY_AT: usize = 40;
export const MEMBER_SNAPSHOT: usize = 48;
export const MEMBER_OFFSET: usize = 56;
export const MEMBER_ID: usize = 64;
export const MEMBER_FLAGS: usize = 68;
export const MEMBER_VOTE: usize = 69;
export const MEMBER_PROGRESS: usize = 70;
export const MEMBER_SEEN: usize = 72;
export const MEMBER_STILL: usize = 80;

export const VOTER_IN: u8 = 1;
export const VOTER_OUT: u8 = 2;
export const LEARNER: u8 = 4;
export const WITNESS: u8 = 8;
export const MEMBER_FLAGS_ALL: u8 = 15;

export const VOTE_NONE: u8 = 0;
export const VOTE_YES: u8 = 1;
export const VOTE_NO: u8 = 2;

/** One message at a time until its log and ours are known to meet. */
export const PROBE: u8 = 0;
/** Entries are sent ahead of acknowledgements. */
export const REPLICATE: u8 = 1;
/** It needs entries that are no longer there. */
export const SNAPSHOT: u8 = 2;
