/**
 * Frames on a stream, as protocols/frame.ts draws them: head u8, session u32, number u32, payload, CRC-32; then COBS and a zero.
 * A frame is built around its payload in place and encoded straight into the port's ring, group by group, so a device needs no
 * second buffer.
 *
 * A raw frame begins one byte before a multiple of four: its words and its payload are aligned then, as a Cortex-M0+ wants.
 */
import { cobsDecode } from "../../assembly/codec/cobs";
import { crc32 } from "../../assembly/codec/crc32";
import { FRAME_BYTES_MAX, FRAME_CRC_BYTES, FRAME_HEADER_BYTES } from "../../assembly/codec/limits.generated";
import { QUEUE_FULL } from "../../assembly/errors/codes.generated";
import { hal_link_room, hal_link_send } from "./hal";
import { reserve } from "./memory";

/** Bytes before a payload at a multiple of four: three unused, then the header. */
export const FRAME_HEAD_ROOM: usize = 12;
const GROUP_BYTES_MAX: i32 = 254;
const mark: usize = reserve(8);

/** Writes header and CRC around the payload. Returns the length of the raw frame, which begins at `payload - FRAME_HEADER_BYTES`. */
export function frameSeal(payload: usize, length: i32, head: u32, session: u32, number: u32): i32 {
  const raw = payload - FRAME_HEADER_BYTES;
  store<u8>(raw, <u8>head);
  store<u32>(raw, session, 1);
  store<u32>(raw, number, 5);
  const end = FRAME_HEADER_BYTES + length;
  const crc = crc32(raw, end);
  for (let byte: usize = 0; byte < 4; byte += 1)
    store<u8>(payload + <usize>length + byte, <u8>(crc >> (<u32>byte * 8)));
  return end + FRAME_CRC_BYTES;
}

/** Encodes a sealed frame into the port's ring: 0, or QUEUE_FULL when it has no room for all of it. */
export function frameSend(raw: usize, length: i32): i32 {
  if (hal_link_room() < <u32>(length + length / GROUP_BYTES_MAX + 2)) return -QUEUE_FULL;
  let at = raw;
  const end = raw + <usize>length;
  for (;;) {
    let run = 0;
    while (at + <usize>run < end && run < GROUP_BYTES_MAX && load<u8>(at + <usize>run) != 0) run += 1;
    put(<u32>run + 1);
    if (run > 0) hal_link_send(at, run);
    at += <usize>run;
    if (at >= end) break;
    // A full group stands for no zero; any other one does.
    if (run < GROUP_BYTES_MAX) {
      at += 1;
      if (at >= end) {
        put(1);
        break;
      }
    }
  }
  put(0);
  return 0;
}
/** Ends whatever a reset cut off in the middle, so that it does not take the next frame with it. */
export function frameBreak(): void {
  put(0);
}
function put(byte: u32): void {
  store<u8>(mark, <u8>byte);
  hal_link_send(mark, 1);
}

/** Decodes in place. Length of the payload, which then begins at `raw + FRAME_HEADER_BYTES`, or -1 for a damaged frame. */
export function frameOpen(raw: usize, encoded: i32): i32 {
  const length = cobsDecode(raw, encoded, raw, FRAME_BYTES_MAX);
  const end = length - FRAME_CRC_BYTES;
  if (end < FRAME_HEADER_BYTES) return -1;
  let stated: u32 = 0;
  for (let byte: usize = 0; byte < 4; byte += 1)
    stated |= (<u32>load<u8>(raw + <usize>end + byte)) << (<u32>byte * 8);
  return crc32(raw, end) == stated ? end - FRAME_HEADER_BYTES : -1;
}
export function frameHead(raw: usize): u32 {
  return load<u8>(raw);
}
export function frameSession(raw: usize): u32 {
  return load<u32>(raw, 1);
}
export function frameNumber(raw: usize): u32 {
  return load<u32>(raw, 5);
}
