/**
 * Memory of one Raft node. The algorithm is Diego Ongaro's ("Consensus: Bridging Theory and Practice", Stanford 2014, called "the thesis"
 * in this folder), as a machine without IO: messages, time, proposals and completions of storage go in; messages, entries to store, entries
 * to apply and reads to answer come out. The caller gives time (microseconds of a monotonic clock) and dice, and owns disk and network.
 *
 *   node      header (below)
 *             members    MEMBERS_MAX * 96    who is in the configuration, and what a leader knows of each (members.ts)
 *             saved      MEMBERS_MAX * 8 + 4 configuration at the snapshot
 *             terms      entries * 16        ring: term u64 | end of the payload u32 | kind u8 | unused (log.ts)
 *             payloads   payloadBytes        ring of bytes
 *             reads      reads * (32 + 16)   reads that wait for a quorum, and reads to answer (reads.ts)
 *             outbox     outboxBytes         messages to send, oldest first (outbox.ts)
 *             scratch    messageBytes        a configuration being made
 *
 * Bounds, and what happens at them: entries and payloads (a proposal is refused with -RAFT_LOG_FULL until the caller compacts; a follower takes what
 * fits and says how far it came), reads (-QUEUE_FULL), outbox (a message is left out and counted; Raft sends again), members
 * (-ARGUMENT), bytes and entries in flight to a peer (it waits for acknowledgements).
 */

// What lasts: on disk before a message that says so leaves.
export const TERM: usize = 0;
export const COMMIT: usize = 8;
export const APPLIED: usize = 16;
/** Index of the oldest entry held; below it is the snapshot. */
export const FIRST: usize = 24;
export const LAST: usize = 32;
/** Entries up to here are durable on this node. */
export const SAVED: usize = 40;
/** Entries up to here were handed to storage. */
export const HANDED: usize = 48;
/** Term of the entry before the first. */
export const SNAPSHOT_TERM: usize = 56;
export const NOW: usize = 64;
/** When a follower campaigns, when a leader looks whether it has its quorum. */
export const ELECTION_AT: usize = 72;
/** Until then no vote is given, whatever comes: a leader was heard, or this node has only just begun. */
export const QUIET_UNTIL: usize = 80;
export const HEARTBEAT_AT: usize = 88;
/** Number of the last round of reads that was begun, and of the last that was sent to the peers. */
export const READ_ROUND: usize = 96;
export const READ_SENT: usize = 104;
/** Index of the configuration in force: the newest in the log, committed or not (thesis 4.1). */
export const CONFIG_INDEX: usize = 112;
export const TRANSFER_UNTIL: usize = 120;
/** Index of the first entry of this leader's term. */
export const TERM_START: usize = 128;
/** A follower: up to here its log is known to be the leader's of this term. */
export const MATCHED: usize = 136;
/** What the leader of this term was told last: no acknowledgement is repeated for nothing. */
export const ACKED: usize = 144;
/** A snapshot on its way here: its index and term, and how many bytes have come. */
export const INCOMING_INDEX: usize = 152;
export const INCOMING_TERM: usize = 160;
export const INCOMING_BYTES: usize = 168;
export const LED_SINCE: usize = 176;

export const ID: usize = 192;
export const VOTE: usize = 196;
/** Who leads in this term, 0 while nobody is known. */
export const LEADER: usize = 200;
export const TRANSFER_TO: usize = 204;
/** Counts changes of term and vote: a message waits until the change before it is durable. */
export const STATE_SEQUENCE: usize = 208;
export const STATE_SAVED: usize = 212;
export const ELECTION_US: usize = 216;
export const HEARTBEAT_US: usize = 220;
/** How long after a round that a quorum acknowledged the leader may read without asking; 0: never. */
export const LEASE_US: usize = 224;
export const DICE: usize = 228;
export const ENTRIES_MASK: usize = 232;
export const PAYLOAD_MASK: usize = 236;
/** End of the payload of the entry before the first. */
export const PAYLOAD_START: usize = 240;
export const READS_MAX: usize = 244;
export const READS_COUNT: usize = 248;
export const OUTBOX_BYTES: usize = 252;
export const OUTBOX_HEAD: usize = 256;
export const OUTBOX_TAIL: usize = 260;
export const OUTBOX_DROPPED: usize = 264;
export const IN_FLIGHT_BYTES: usize = 268;
export const IN_FLIGHT_ENTRIES: usize = 272;
export const MESSAGE_BYTES: usize = 276;
export const MEMBER_COUNT: usize = 280;
export const ROLE: usize = 284;
export const FLAGS: usize = 285;
/** Messages that were no messages. */
export const MALFORMED: usize = 288;
/** What Raft rules out and was seen: two leaders of a term, or another entry where one is committed. Somebody lost what it had promised to keep. */
export const VIOLATIONS: usize = 292;
export const READY_COUNT: usize = 296;
export const TERMS_AT: usize = 300;
export const PAYLOADS_AT: usize = 304;
export const READS_AT: usize = 308;
export const OUTBOX_AT: usize = 312;
export const SCRATCH_AT: usize = 316;
export const HEADER_BYTES: usize = 320;

export const FOLLOWER: u8 = 0;
export const PRE_CANDIDATE: u8 = 1;
export const CANDIDATE: u8 = 2;
export const LEADING: u8 = 3;

/** In FLAGS. This leader once asked another to campaign: who did may be elected against the lease, so there is none in this term. */
export const LEASE_REVOKED: u8 = 2;
/** The election that runs was asked for by the leader. */
export const FORCED: u8 = 4;
/** An acknowledgement to the leader is due. */
export const ACK_DUE: u8 = 8;

export const MEMBERS_MAX: u32 = 16;
export const MEMBER_BYTES: usize = 96;
export const MEMBERS_AT: usize = HEADER_BYTES;
export const CONFIG_BYTES_MAX: usize = 8 + <usize>MEMBERS_MAX * 8;
export const SAVED_CONFIG_AT: usize = MEMBERS_AT + <usize>MEMBERS_MAX * MEMBER_BYTES;
export const TERMS_START: usize = SAVED_CONFIG_AT + CONFIG_BYTES_MAX;
export const TERM_ENTRY_BYTES: usize = 16;
export const READ_BYTES: usize = 32;
export const READY_BYTES: usize = 16;

export const U64_MAX: u64 = u64.MAX_VALUE;

export function hasFlag(at: usize, flag: u8): bool {
  return (load<u8>(at, FLAGS) & flag) != 0;
}
export function setFlag(at: usize, flag: u8): void {
  store<u8>(at, load<u8>(at, FLAGS) | flag, FLAGS);
}
export function clearFlag(at: usize, flag: u8): void {
  store<u8>(at, load<u8>(at, FLAGS) & ~flag, FLAGS);
}
export function countUp(at: usize): void {
  store<u32>(at, load<u32>(at) + 1);
}
