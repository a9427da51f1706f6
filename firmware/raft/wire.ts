/**
 * Raft's messages between boards: point-to-point serial links, two a board, so that three boards stand in a ring, or in a chain. A message is the payload of a frame of
 * ../system/frame.ts; head 0x20 plus the boards it has passed, session the cluster's number, number unused.
 *
 * A peer that was heard over a link of its own is sent to over that link. One that was not is sent to over both, and a board in between passes the frame
 * on: the ring lives with any one wire cut. What comes twice, or not at all, Raft minds; a frame that a flash erase tore is one that did not come.
 */
import {
  MESSAGE_FROM,
  MESSAGE_HEADER_BYTES,
  MESSAGE_LENGTH,
  MESSAGE_TO,
} from "../../assembly/consensus/raft/message";
import { frameBreak, frameHead, frameOpen, frameSeal, frameSend, frameSession } from "../system/frame";
import { reserve } from "../system/memory";
import { hal_link_read, hal_link_select } from "./hal";
import { PEERS } from "./machine";

export const MESSAGE_BYTES: u32 = 256;
const LINKS: u32 = 2;
const HEAD_PEER: u32 = 0x20;
const FRAME_HEADER: usize = 9;
/** Header, message, CRC; COBS adds a byte for each 254 and one, and the zero. */
const ENCODED_BYTES: u32 = 9 + MESSAGE_BYTES + 4 + 3;
/** Boards that may stand between two. */
const HOPS_MAX: u32 = PEERS - 2;
/** A link over which a peer was not heard for so long is not counted on: four heartbeats and a flash erase. */
const ROUTE_US: u64 = 450_000;

/** One byte before a multiple of four, as frame.ts asks, and so are both parts. */
const INCOMING_BYTES: usize = (ENCODED_BYTES + 3) & ~3;
const incoming: usize = reserve(INCOMING_BYTES * LINKS + 4) + 3;
const outgoing: usize = reserve(12 + MESSAGE_BYTES + 4) + 12;
/** When a peer was last heard over each link directly; u64 [peer][link]. */
const heard: usize = reserve(<usize>PEERS * LINKS * 8);
const filled = memory.data(8);
const isDiscarding = memory.data(2);

let cluster: u32 = 0;
let damaged: u32 = 0;

/** Frames that came damaged since boot. */
export function wireDamaged(): u32 {
  return damaged;
}

export function wireOpen(ofCluster: u32): void {
  cluster = ofCluster;
  for (let link: u32 = 0; link < LINKS; ++link) {
    hal_link_select(link);
    frameBreak();
  }
}

function heardAt(peer: u32, link: u32): usize {
  return heard + <usize>(((peer - 1) * LINKS + link) << 3);
}

/** The link to a peer, or LINKS for all of them. */
function linkTo(peer: u32, now: u64): u32 {
  for (let link: u32 = 0; link < LINKS; ++link) {
    const at = load<u64>(heardAt(peer, link));
    if (at != 0 && now - at < ROUTE_US) return link;
  }
  return LINKS;
}

/** Sends a message of a node. False when the line has no room yet. */
export function wireSend(message: usize, now: u64): bool {
  const length = <i32>load<u32>(message, MESSAGE_LENGTH);
  const to = load<u32>(message, MESSAGE_TO);
  // Nobody is there: done.
  if (to == 0 || to > PEERS) return true;
  const link = linkTo(to, now);
  memory.copy(outgoing, message, length);
  const bytes = frameSeal(outgoing, length, HEAD_PEER, cluster, 0);
  if (link < LINKS) return put(link, outgoing, bytes);
  // The line that is full is not waited for: the peer may be gone, and others are not.
  for (let each: u32 = 0; each < LINKS; ++each) put(each, outgoing, bytes);
  return true;
}

function put(link: u32, payload: usize, bytes: i32): bool {
  hal_link_select(link);
  return frameSend(payload - FRAME_HEADER, bytes) == 0;
}

/** Takes the next message for `self` out of what came over a link: its address, which stands until the next call, or 0. Passes on what is for others. */
export function wireNext(link: u32, self: u32, now: u64): usize {
  const buffer = incoming + <usize>link * INCOMING_BYTES;
  for (let length = nextFrame(link, buffer); length != 0; length = nextFrame(link, buffer)) {
    const message = buffer + FRAME_HEADER;
    const head = frameHead(buffer);
    const hops = head - HEAD_PEER;
    if (head < HEAD_PEER || hops > HOPS_MAX || frameSession(buffer) != cluster) continue;
    if (length < <i32>MESSAGE_HEADER_BYTES || <i32>load<u32>(message, MESSAGE_LENGTH) != length) continue;
    const from = load<u32>(message, MESSAGE_FROM);
    if (from == 0 || from > PEERS || from == self) continue;
    if (hops == 0) store<u64>(heardAt(from, link), now);
    if (load<u32>(message, MESSAGE_TO) == self) return message;
    if (hops < HOPS_MAX) put(1 - link, message, frameSeal(message, length, head + 1, cluster, 0));
  }
  return 0;
}

/** Bytes of the payload of the next whole frame, -1 for a damaged one, 0 when there is none. */
function nextFrame(link: u32, buffer: usize): i32 {
  const count = filled + <usize>(link << 2);
  drop(link, buffer);
  let scanned: u32 = 0;
  for (;;) {
    const used = load<u32>(count);
    while (scanned < used && load<u8>(buffer + <usize>scanned) != 0) ++scanned;
    if (scanned < used) break;
    if (used == ENCODED_BYTES) {
      // Longer than any frame: nothing is kept until the next zero.
      store<u8>(isDiscarding + <usize>link, 1);
      store<u32>(count, 0);
      scanned = 0;
      continue;
    }
    const more = hal_link_read(link, buffer + <usize>used, <i32>(ENCODED_BYTES - used));
    if (more == 0) return 0;
    store<u32>(count, used + <u32>more);
  }
  store<u32>(taken + <usize>(link << 2), scanned + 1);
  const isWhole = load<u8>(isDiscarding + <usize>link) == 0;
  store<u8>(isDiscarding + <usize>link, 0);
  if (scanned == 0) return -1;
  const length = isWhole ? frameOpen(buffer, <i32>scanned) : -1;
  if (length <= 0) ++damaged;
  return length <= 0 ? -1 : length;
}

/** Bytes of the frame that nextFrame() gave out, its zero included. */
const taken = memory.data(8);
function drop(link: u32, buffer: usize): void {
  const at = taken + <usize>(link << 2);
  const bytes = load<u32>(at);
  if (bytes == 0) return;
  const left = load<u32>(filled + <usize>(link << 2)) - bytes;
  memory.copy(buffer, buffer + <usize>bytes, left);
  store<u32>(filled + <usize>(link << 2), left);
  store<u32>(at, 0);
}
