/**
 * The link below the session. A message link (MQTT) takes whole messages and is ordered by itself. A byte stream (serial) is
 * framed here: COBS and CRC-32 as protocols/frame.ts draws it, go-back-N over a window of frames, the receiver's
 * credits, receipts outside the window. Go-back-N because a device has no memory to put frames in order.
 *
 *   unreceipted frames, oldest first: [length u16][payload] [length u16][payload] ... up to HELD_BYTES
 */
import { cobsDecode, cobsEncode } from "../../assembly/codec/cobs";
import { crc32 } from "../../assembly/codec/crc32";
import {
  FRAME_BYTES_MAX,
  FRAME_CRC_BYTES,
  FRAME_ENCODED_BYTES_MAX,
  FRAME_HEADER_BYTES,
  KIND_LINK_RECEIPT,
  LINK_WINDOW_FRAMES,
} from "../../assembly/codec/schema.generated";
import { LINK_DOWN, QUEUE_FULL } from "../../assembly/errors/codes.generated";
import { buildEnd, buildStart, buildUint, built } from "./build";
import { hal_link_kind, hal_link_send, hal_now_us } from "./hal";
import { reserve } from "./memory";
import { NEVER } from "./timers";

const STREAM: u32 = 1;
const HEAD_DATA: u32 = 0x10;
const HEAD_CONTROL: u32 = 0x11;
const HELD_BYTES: u32 = 3072;
const RETRY_US: u64 = 250_000;
const HEARTBEAT_US: u64 = 5_000_000;

const raw: usize = reserve(FRAME_BYTES_MAX);
const wire: usize = reserve(FRAME_ENCODED_BYTES_MAX);
const incoming: usize = reserve(FRAME_ENCODED_BYTES_MAX);
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
let heartbeatAt: u64 = NEVER;
let incomingLength: i32 = 0;
let damaged: u32 = 0;

export function linkState(isUp: bool): void {
  up = isUp;
  incomingLength = 0;
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
  heartbeatAt = hal_now_us() + HEARTBEAT_US;
}

/** Sends a message of the session: 0, LINK_DOWN, or QUEUE_FULL until receipts make room. */
export function linkSend(ptr: usize, length: i32): i32 {
  if (!up) return -LINK_DOWN;
  if (hal_link_kind() != STREAM) return hal_link_send(ptr, length);
  if (heldFrames == LINK_WINDOW_FRAMES || heldBytes + 2 + <u32>length > HELD_BYTES) return -QUEUE_FULL;
  const at = held + <usize>heldBytes;
  store<u16>(at, <u16>length);
  memory.copy(at + 2, ptr, length);
  heldBytes += 2 + <u32>length;
  heldFrames += 1;
  pump();
  return 0;
}

/** Sends a message that stands outside the window: hello, receipts. */
export function linkSendControl(ptr: usize, length: i32): i32 {
  if (!up) return -LINK_DOWN;
  if (hal_link_kind() != STREAM) return hal_link_send(ptr, length);
  return sendFrame(HEAD_CONTROL, 0, ptr, length);
}

function sendFrame(head: u32, number: u32, ptr: usize, length: i32): i32 {
  store<u8>(raw, <u8>head);
  store<u32>(raw + 1, session);
  store<u32>(raw + 5, number);
  memory.copy(raw + FRAME_HEADER_BYTES, ptr, length);
  const end = FRAME_HEADER_BYTES + length;
  store<u32>(raw + <usize>end, crc32(raw, end));
  const encoded = cobsEncode(raw, end + FRAME_CRC_BYTES, wire, FRAME_ENCODED_BYTES_MAX - 1);
  if (encoded < 0) return encoded;
  store<u8>(wire + <usize>encoded, 0);
  return hal_link_send(wire, encoded + 1);
}

/** Puts held frames on the wire as far as credits go. */
function pump(): void {
  while (sentFrames < heldFrames && sentFrames < credits) {
    const at = held + <usize>sentBytes;
    const length = <i32>load<u16>(at);
    if (sendFrame(HEAD_DATA, receipted + sentFrames + 1, at + 2, length) != 0) break;
    sentFrames += 1;
    sentBytes += 2 + <u32>length;
    if (retryAt == NEVER) retryAt = hal_now_us() + RETRY_US;
  }
}

/** The other side has everything up to `number` and room for `room` more. */
export function linkReceipt(ofSession: u32, number: u32, room: u32): void {
  if (ofSession != session || number - receipted > heldFrames) return;
  let frames = number - receipted;
  let bytes: u32 = 0;
  for (let frame: u32 = 0; frame < frames; frame += 1) bytes += 2 + <u32>load<u16>(held + <usize>bytes);
  memory.copy(held, held + <usize>bytes, heldBytes - bytes);
  heldBytes -= bytes;
  heldFrames -= frames;
  sentFrames = sentFrames > frames ? sentFrames - frames : 0;
  sentBytes = sentBytes > bytes ? sentBytes - bytes : 0;
  receipted = number;
  credits = room;
  retryAt = sentFrames > 0 ? hal_now_us() + RETRY_US : NEVER;
  pump();
}

export function linkDeadline(): u64 {
  if (!up || hal_link_kind() != STREAM) return NEVER;
  return retryAt < heartbeatAt ? retryAt : heartbeatAt;
}

export function linkPoll(now: u64): void {
  if (!up || hal_link_kind() != STREAM) return;
  if (now >= retryAt) {
    sentFrames = 0;
    sentBytes = 0;
    retryAt = NEVER;
    if (credits == 0) retryAt = now + RETRY_US;
    pump();
  }
  if (receiptDue || now >= heartbeatAt) sendReceipt(now);
}

function sendReceipt(now: u64): void {
  buildStart(KIND_LINK_RECEIPT);
  buildUint(1, session);
  buildUint(2, received);
  buildUint(3, LINK_WINDOW_FRAMES);
  const length = buildEnd();
  if (length > 0 && linkSendControl(built(), length) == 0) receiptDue = false;
  heartbeatAt = now + HEARTBEAT_US;
}

/** Feeds one byte of the stream. Returns the length of a message that is now at `linkMessage()`, 0, or a negative code. */
export function linkByte(byte: u8): i32 {
  if (byte != 0) {
    if (incomingLength < FRAME_ENCODED_BYTES_MAX) store<u8>(incoming + <usize>incomingLength, byte);
    if (incomingLength <= FRAME_ENCODED_BYTES_MAX) incomingLength += 1;
    return 0;
  }
  const length = incomingLength;
  incomingLength = 0;
  if (length == 0) return 0;
  const status = length > FRAME_ENCODED_BYTES_MAX ? -1 : takeFrame(length);
  if (status < 0) damaged += 1;
  return status < 0 ? 0 : status;
}

function takeFrame(encoded: i32): i32 {
  const length = cobsDecode(incoming, encoded, raw, FRAME_BYTES_MAX);
  const end = length - FRAME_CRC_BYTES;
  if (end < FRAME_HEADER_BYTES || crc32(raw, end) != load<u32>(raw + <usize>end)) return -1;
  const head = <u32>load<u8>(raw);
  if (load<u32>(raw + 1) != session) return 0;
  if (head == HEAD_CONTROL) return end - FRAME_HEADER_BYTES;
  if (head != HEAD_DATA) return -1;
  receiptDue = true;
  if (load<u32>(raw + 5) != received + 1) return 0;
  received += 1;
  return end - FRAME_HEADER_BYTES;
}
export function linkMessage(): usize {
  return raw + FRAME_HEADER_BYTES;
}
