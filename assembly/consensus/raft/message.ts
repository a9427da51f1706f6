/**
 * Messages between nodes, and the outbox they wait in until the caller sends them.
 *
 *   +0  kind u8      +1 flags u8     +2 unused u16     +4 bytes u32, of all of it
 *   +8  from u32     +12 to u32      +16 term u64
 *   +24 index u64    +32 log term u64                  +40 commit u64
 *   +48 context u64  +56 time u64    +64 body
 *
 *                    index                  log term         commit          context           time            body
 *   VOTE             last of candidate      its term         -               -                 -               -
 *   VOTE_ANSWER      -                      -                -               -                 -               -
 *   APPEND           before the entries     its term         leader's        round of reads    leader's clock  entries
 *   APPEND_ANSWER    durable and matching,  matching, or     refused: what   round             echoed          -
 *                    or refused: hint       term at hint     is not there
 *   HEARTBEAT        -                      -                leader's, bounded by the match    as APPEND       -
 *   HEARTBEAT_ANSWER durable and matching   matching         -               round             echoed          -
 *   SNAPSHOT         its last entry         term of that     bytes in all    offset            leader's clock  configuration, chunk
 *   SNAPSHOT_ANSWER  its last entry         -                -               next offset       echoed          -
 *   CAMPAIGN         -                      -                -               -                 -               -
 *   PROPOSE          -                      -                -               -                 -               one command
 *   READ             -                      -                -               reader's own      -               -
 *   READ_ANSWER      commit index to read at                 -               reader's own      -               -
 *
 * Outbox: messages one after the other, each as above. One that was made after a change of term or vote waits, and with it all behind it, until that
 * change is durable (thesis 3.8): a vote that is forgotten can be given twice. `unused` holds nothing on the wire.
 */
import {
  countUp,
  ID,
  MESSAGE_BYTES,
  OUTBOX_AT,
  OUTBOX_BYTES,
  OUTBOX_DROPPED,
  OUTBOX_HEAD,
  OUTBOX_TAIL,
  STATE_SAVED,
  STATE_SEQUENCE,
  TERM,
} from "./layout";
import { TERM_MAX } from "./log";

export const MESSAGE_KIND: usize = 0;
export const MESSAGE_FLAGS: usize = 1;
export const MESSAGE_LENGTH: usize = 4;
export const MESSAGE_FROM: usize = 8;
export const MESSAGE_TO: usize = 12;
export const MESSAGE_TERM: usize = 16;
export const MESSAGE_INDEX: usize = 24;
export const MESSAGE_LOG_TERM: usize = 32;
export const MESSAGE_COMMIT: usize = 40;
export const MESSAGE_CONTEXT: usize = 48;
export const MESSAGE_TIME: usize = 56;
export const MESSAGE_BODY: usize = 64;
export const MESSAGE_HEADER_BYTES: u32 = 64;

export const VOTE_REQUEST: u8 = 1;
export const VOTE_ANSWER: u8 = 2;
export const APPEND: u8 = 3;
export const APPEND_ANSWER: u8 = 4;
export const HEARTBEAT: u8 = 5;
export const HEARTBEAT_ANSWER: u8 = 6;
export const SNAPSHOT_CHUNK: u8 = 7;
export const SNAPSHOT_ANSWER: u8 = 8;
export const CAMPAIGN: u8 = 9;
export const PROPOSE: u8 = 10;
export const READ: u8 = 11;
export const READ_ANSWER: u8 = 12;

/** Of a vote's request and answer: nothing is promised yet (thesis 9.6). */
export const PRE: u8 = 1;
export const REFUSED: u8 = 2;
/** The leader asked for this election: it goes before the lease. */
export const BY_LEADER: u8 = 4;
/** The last chunk. */
export const COMPLETE: u8 = 8;

/** Before each message in the outbox: the change of state that must be durable first, and unused. */
const GATE_BYTES: u32 = 8;

/** Room for a message with `bodyBytes` behind its header, cleared; 0 when the outbox is full, which is counted. */
export function outboxTake(at: usize, kind: u8, to: u32, bodyBytes: u32): usize {
  const bytes = MESSAGE_HEADER_BYTES + bodyBytes;
  if (!outboxFits(at, bodyBytes)) {
    countUp(at + OUTBOX_DROPPED);
    return 0;
  }
  const gate = <usize>load<u32>(at, OUTBOX_AT) + <usize>load<u32>(at, OUTBOX_TAIL);
  store<u32>(gate, load<u32>(at, STATE_SEQUENCE));
  const message = gate + <usize>GATE_BYTES;
  for (let offset: usize = 0; offset < <usize>MESSAGE_HEADER_BYTES; offset += 8)
    store<u64>(message + offset, 0);
  store<u8>(message, kind);
  store<u32>(message, bytes, MESSAGE_LENGTH);
  store<u32>(message, load<u32>(at, ID), MESSAGE_FROM);
  store<u32>(message, to, MESSAGE_TO);
  store<u64>(message, load<u64>(at, TERM), MESSAGE_TERM);
  store<u32>(at, load<u32>(at, OUTBOX_TAIL) + GATE_BYTES + ((bytes + 7) & ~7), OUTBOX_TAIL);
  return message;
}

/** The message taken last becomes shorter: a body was not filled. */
export function outboxShrink(at: usize, message: usize, bodyBytes: u32): void {
  const bytes = MESSAGE_HEADER_BYTES + bodyBytes;
  store<u32>(message, bytes, MESSAGE_LENGTH);
  const end = <u32>(message - <usize>load<u32>(at, OUTBOX_AT)) + ((bytes + 7) & ~7);
  store<u32>(at, end, OUTBOX_TAIL);
}

/** Whether a message with such a body has room. Moves what waits to the front when that is needed. */
export function outboxFits(at: usize, bodyBytes: u32): bool {
  const needed = GATE_BYTES + ((MESSAGE_HEADER_BYTES + bodyBytes + 7) & ~7);
  const bytes = load<u32>(at, OUTBOX_BYTES);
  const head = load<u32>(at, OUTBOX_HEAD);
  const tail = load<u32>(at, OUTBOX_TAIL);
  if (needed <= bytes - tail) return true;
  if (needed > bytes - (tail - head)) return false;
  const outbox = <usize>load<u32>(at, OUTBOX_AT);
  memory.copy(outbox, outbox + <usize>head, <usize>(tail - head));
  store<u32>(at, 0, OUTBOX_HEAD);
  store<u32>(at, tail - head, OUTBOX_TAIL);
  return true;
}

/** The oldest message that may be sent now, or 0. It stands until outboxDrop(), or until the node is given something else. */
export function outboxFirst(at: usize): usize {
  const head = load<u32>(at, OUTBOX_HEAD);
  if (head == load<u32>(at, OUTBOX_TAIL)) return 0;
  const gate = <usize>load<u32>(at, OUTBOX_AT) + <usize>head;
  // Sequences are compared by distance, so that they may wrap.
  if (<i32>(load<u32>(gate) - load<u32>(at, STATE_SAVED)) > 0) return 0;
  return gate + <usize>GATE_BYTES;
}

export function outboxDrop(at: usize): void {
  const message = outboxFirst(at);
  if (message == 0) return;
  const head = load<u32>(at, OUTBOX_HEAD) + GATE_BYTES + ((load<u32>(message, MESSAGE_LENGTH) + 7) & ~7);
  const isEmpty = head == load<u32>(at, OUTBOX_TAIL);
  store<u32>(at, isEmpty ? 0 : head, OUTBOX_HEAD);
  if (isEmpty) store<u32>(at, 0, OUTBOX_TAIL);
}

/** Whether bytes from outside are a message to this node that can be read without looking beyond them. */
export function messageIsSound(at: usize, message: usize, bytes: u32): bool {
  if (bytes < MESSAGE_HEADER_BYTES || bytes > load<u32>(at, MESSAGE_BYTES)) return false;
  const kind = load<u8>(message);
  // Sums with them must not wrap, and hosts have them as f64.
  if (load<u64>(message, MESSAGE_TERM) > TERM_MAX || load<u64>(message, MESSAGE_LOG_TERM) > TERM_MAX)
    return false;
  if (load<u64>(message, MESSAGE_INDEX) > TERM_MAX || load<u64>(message, MESSAGE_COMMIT) > TERM_MAX)
    return false;
  return (
    load<u32>(message, MESSAGE_LENGTH) == bytes &&
    kind >= VOTE_REQUEST &&
    kind <= READ_ANSWER &&
    load<u32>(message, MESSAGE_TO) == load<u32>(at, ID) &&
    load<u32>(message, MESSAGE_FROM) != 0 &&
    load<u32>(message, MESSAGE_FROM) != load<u32>(at, ID)
  );
}
