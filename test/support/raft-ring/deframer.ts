/** Frames out of a stream, for who listens to a wire: payloads of those that are whole, and what was so when their first byte came. */
import { crc32 } from "../../../protocols/crc.ts";
import { cobsDecode } from "../../../protocols/frame.ts";

const HEADER_BYTES = 9;
const CRC_BYTES = 4;

export interface Overheard<T> {
  readonly payload: Uint8Array;
  readonly begun: T;
}
export type Deframer<T> = (bytes: Uint8Array) => readonly Overheard<T>[];

export function createDeframer<T>(begin: () => T): Deframer<T> {
  let held: number[] = [];
  let begun: T | undefined;
  return (bytes) => {
    const payloads: Overheard<T>[] = [];
    for (const byte of bytes) {
      if (byte !== 0) {
        if (held.length === 0) begun = begin();
        held.push(byte);
        continue;
      }
      const raw = cobsDecode(Uint8Array.from(held));
      held = [];
      if (raw === undefined || raw.length < HEADER_BYTES + CRC_BYTES) continue;
      const end = raw.length - CRC_BYTES;
      const stated = new DataView(raw.buffer).getUint32(end, true);
      if (crc32(raw.subarray(0, end)) === stated)
        payloads.push({ payload: raw.slice(HEADER_BYTES, end), begun: begun as T });
    }
    return payloads;
  };
}
