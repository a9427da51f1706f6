/**
 * The link below the session. A message link (MQTT) takes whole messages and is ordered by itself. A byte stream (serial) is
 * framed here: frames of frame.ts, go-back-N over a window of frames, the receiver's credits, receipts outside the window.
 * Go-back-N because a device has no memory to put frames in order.
 *
 *   unreceipted frames, oldest first: [length u16, unused u8, raw frame, padding to 4] ... up to HELD_BYTES
 *
 * While the flash journal erases a sector nothing can be received for some 45 ms: the link first gives no credits, lets what is
 * on the way arrive, erases, and gives credits again.
 */
import {
  FRAME_CRC_BYTES,
  FRAME_ENCODED_BYTES_MAX,
  FRAME_HEADER_BYTES,
  KIND_LINK_RECEIPT,
  LINK_WINDOW_FRAMES,
  MESSAGE_BYTES_MAX,
} from "../../assembly/codec/schema.generated";
import { LINK_DOWN, QUEUE_FULL } from "../../assembly/errors/codes.generated";
import { buildEnd, buildStart, buildUint, built } from "./build";
import { frameBreak, frameHead, frameNumber, frameOpen, frameSeal, frameSend, frameSession } from "./frame";
import { hal_journal_due, hal_journal_prepare, hal_link_kind, hal_link_send, hal_now_us } from "./hal";
import { reserve } from "./memory";
import { NEVER } from "./timers";

const STREAM: u32 = 1;
const HEAD_DATA: u32 = 0x10;
const HEAD_CONTROL: u32 = 0x11;
/** A frame of the greatest length, or a window of usual ones. */
const HELD_BYTES: u32 = 1536;
/** Silence after which unreceipted frames are sent again; doubled each time, so that a device nobody hears does not shout. */
const RETRY_US: u64 = 250_000;
const RETRY_MAX_US: u64 = 4_000_000;
const HEARTBEAT_US: u64 = 5_000_000;
/** What the other side sent before it heard of the pause has arrived by then: a window of usual frames at 115200 baud. */
const PAUSE_US: u64 = 30_000;

/** One byte before a multiple of four, as frame.ts asks. */
const incoming: usize = reserve(FRAME_ENCODED_BYTES_MAX + 3) + 3;
const held: usize = reserve(HELD_BYTES);

let up: bool = false;
let session: u32 = 0;
let heldBytes: u32 = 0;
let heldFrames: u32 = 0;
/** Number of the last frame receipted by the other side, frames of `held` on the wire, and where the next one begins. */
let receipted: u32 = 0;
let sentFrames: u32 = 0;
let sentBytes: u32 = 0;
let credits: u32 = 0;
let received: u32 = 0;
let receiptDue: bool = false;
let retryAt: u64 = NEVER;
let retryUs: u64 = RETRY_US;
let heartbeatAt: u64 = NEVER;
let eraseAt: u64 = NEVER;
/** Bytes in `incoming`, how many of them hold no zero, and whether what comes until the next zero is too long to keep. */
let filled: i32 = 0;
let scanned: i32 = 0;
let discarding: bool = false;
let damaged: u32 = 0;

export function linkState(isUp: bool): void {
  up = isUp;
  filled = 0;
  scanned = 0;
  discarding = false;
}
export function linkIsUp(): bool {
  return up;
}
/** Frames that arrived damaged since boot. */
export function linkDamaged(): u32 {
  return damaged;
}

/** A new session numbers its frames from 1. */
export function linkReset(id: u32): void {
  session = id;
  heldBytes = 0;
  heldFrames = 0;
  receipted = 0;
  sentFrames = 0;
  sentBytes = 0;
  received = 0;
  receiptDue = false;
  credits = LINK_WINDOW_FRAMES;
  retryAt = NEVER;
  retryUs = RETRY_US;
  heartbeatAt = hal_now_us() + HEARTBEAT_US;
  if (hal_link_kind() == STREAM) frameBreak();
}

function heldLength(at: u32): u32 {
  return load<u16>(held + <usize>at);
}
function entryBytes(rawLength: u32): u32 {
  return (3 + rawLength + 3) & ~3;
}

/** Sends a message of the session: 0, LINK_DOWN, or QUEUE_FULL until receipts make room. */
export function linkSend(ptr: usize, length: i32): i32 {
  if (!up) return -LINK_DOWN;
  if (hal_link_kind() != STREAM) return hal_link_send(ptr, length);
  const bytes = entryBytes(<u32>(FRAME_HEADER_BYTES + length + FRAME_CRC_BYTES));
  if (heldFrames == LINK_WINDOW_FRAMES || heldBytes + bytes > HELD_BYTES) return -QUEUE_FULL;
  const entry = held + <usize>heldBytes;
  const payload = entry + 3 + FRAME_HEADER_BYTES;
  memory.copy(payload, ptr, length);
  store<u16>(entry, <u16>frameSeal(payload, length, HEAD_DATA, session, receipted + heldFrames + 1));
  heldBytes += bytes;
  heldFrames += 1;
  pump();
  return 0;
}

/** Sends the message that was just built outside the window: hello, receipts. */
export function linkSendControl(ptr: usize, length: i32): i32 {
  if (!up) return -LINK_DOWN;
  if (hal_link_kind() != STREAM) return hal_link_send(ptr, length);
  return frameSend(ptr - FRAME_HEADER_BYTES, frameSeal(ptr, length, HEAD_CONTROL, session, 0));
}

/** Puts held frames on the wire as far as credits go. */
function pump(): void {
  while (sentFrames < heldFrames && sentFrames < credits) {
    const length = heldLength(sentBytes);
    if (frameSend(held + <usize>sentBytes + 3, <i32>length) != 0) break;
    sentFrames += 1;
    sentBytes += entryBytes(length);
    if (retryAt == NEVER) retryAt = hal_now_us() + retryUs;
  }
}

/** The other side has everything up to `number` and room for `room` more. */
export function linkReceipt(ofSession: u32, number: u32, room: u32): void {
  if (ofSession != session || number - receipted > heldFrames) return;
  const frames = number - receipted;
  let bytes: u32 = 0;
  for (let frame: u32 = 0; frame < frames; frame += 1) bytes += entryBytes(heldLength(bytes));
  memory.copy(held, held + <usize>bytes, heldBytes - bytes);
  heldBytes -= bytes;
  heldFrames -= frames;
  sentFrames = sentFrames > frames ? sentFrames - frames : 0;
  sentBytes = sentBytes > bytes ? sentBytes - bytes : 0;
  receipted = number;
  credits = room;
  retryUs = RETRY_US;
  retryAt = sentFrames > 0 ? hal_now_us() + retryUs : NEVER;
  pump();
}

export function linkDeadline(): u64 {
  if (!up || hal_link_kind() != STREAM) return NEVER;
  let deadline = retryAt < heartbeatAt ? retryAt : heartbeatAt;
  if (heldFrames > sentFrames && sentFrames < credits && hal_now_us() + RETRY_US < deadline)
    deadline = hal_now_us() + RETRY_US;
  return eraseAt < deadline ? eraseAt : deadline;
}

export function linkPoll(now: u64): void {
  if (!up || hal_link_kind() != STREAM) return;
  if (now >= retryAt) {
    sentFrames = 0;
    sentBytes = 0;
    retryUs = retryUs * 2 < RETRY_MAX_US ? retryUs * 2 : RETRY_MAX_US;
    retryAt = credits == 0 ? now + retryUs : NEVER;
  }
  pump();
  if (eraseAt == NEVER && hal_journal_due() != 0) {
    eraseAt = now + PAUSE_US;
    receiptDue = true;
  } else if (now >= eraseAt) {
    hal_journal_prepare();
    eraseAt = NEVER;
    receiptDue = true;
  }
  if (receiptDue || now >= heartbeatAt) sendReceipt(now);
}

function sendReceipt(now: u64): void {
  buildStart(KIND_LINK_RECEIPT);
  buildUint(1, session);
  buildUint(2, received);
  buildUint(3, eraseAt == NEVER ? LINK_WINDOW_FRAMES : 0);
  const length = buildEnd();
  if (length > 0 && linkSendControl(built(), length) == 0) receiptDue = false;
  heartbeatAt = now + HEARTBEAT_US;
}

/** Where the port puts received bytes, and how many fit. A stream's are gathered there until a frame is whole. */
export function linkBuffer(): usize {
  return hal_link_kind() == STREAM ? incoming + <usize>filled : incoming;
}
export function linkCapacity(): i32 {
  return hal_link_kind() == STREAM ? FRAME_ENCODED_BYTES_MAX - filled : MESSAGE_BYTES_MAX;
}

/** The port has put `length` more bytes of the stream there. */
export function linkFilled(length: i32): void {
  filled += length;
}

/**
 * Takes the next message out of the stream: its length, 0 when the bytes there make no further one. It lies at `linkMessage()` until
 * linkNext() is called again.
 */
export function linkNext(): i32 {
  drop();
  let message = 0;
  while (message <= 0) {
    while (scanned < filled && load<u8>(incoming + <usize>scanned) != 0) scanned += 1;
    if (scanned == filled) {
      if (filled < FRAME_ENCODED_BYTES_MAX) return 0;
      // Longer than any frame: somebody speaks something else. Nothing is kept until the next zero.
      if (!discarding) damaged += 1;
      discarding = true;
      filled = 0;
      scanned = 0;
      return 0;
    }
    const length = scanned;
    taken = scanned + 1;
    const wasWhole = !discarding;
    discarding = false;
    message = length > 0 && wasWhole ? takeFrame(length) : 0;
    if (message < 0) damaged += 1;
    if (message <= 0) drop();
  }
  return message;
}

/** Bytes of the frame that linkNext() gave out, its zero included. */
let taken: i32 = 0;
function drop(): void {
  if (taken == 0) return;
  memory.copy(incoming, incoming + <usize>taken, filled - taken);
  filled -= taken;
  scanned = 0;
  taken = 0;
}

/** Control frames of session 0 come from a gateway that does not know the session yet: it asks for hello. */
function takeFrame(encoded: i32): i32 {
  const length = frameOpen(incoming, encoded);
  if (length < 0) return -1;
  const head = frameHead(incoming);
  const ofSession = frameSession(incoming);
  if (head == HEAD_CONTROL) return ofSession == session || ofSession == 0 ? length : 0;
  if (head != HEAD_DATA) return -1;
  if (ofSession != session) return 0;
  receiptDue = true;
  if (frameNumber(incoming) != received + 1) return 0;
  received += 1;
  return length;
}
export function linkMessage(): usize {
  return incoming + FRAME_HEADER_BYTES;
}
