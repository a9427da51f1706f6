/** Frames out of a stream, for who listens to a wire: payloads of those that are whole. */
import { crc32 } from "../../../protocols/crc.ts";
import { cobsDecode } from "../../../protocols/frame.ts";

const HEADER_BYTES = 9;
const CRC_BYTES = 4;

export function createDeframer(): (bytes: Uint8Array) => readonly Uint8Array[] {
  let held: number[] = [];
  return (bytes) => {
    const payloads: Uint8Array[] = [];
    for (const byte of bytes) {
      if (byte !== 0) {
        held.push(byte);
        continue;
      }
      const raw = cobsDecode(Uint8Array.from(held));
      held = [];
      if (raw === undefined || raw.length < HEADER_BYTES + CRC_BYTES) continue;
      const end = raw.length - CRC_BYTES;
      const stated = new DataView(raw.buffer).getUint32(end, true);
      if (crc32(raw.subarray(0, end)) === stated) payloads.push(raw.slice(HEADER_BYTES, end));
    }
    return payloads;
  };
}
