/**
 * Intel HEX, the text that AVR tools make of a flash image: `:LLAAAATT…CC`, length, address, type, data, and a checksum that
 * makes the sum of all bytes zero (Intel, "Hexadecimal Object File Format Specification", 1988).
 */
import { TardigradeError } from "../../../protocols/error.ts";

const DATA = 0;
const END = 1;
const SEGMENT = 2;
const LINEAR = 4;

/** A flash of `bytes`, 0xff where the text says nothing. Throws FILE_UNREADABLE naming the line. */
export function parseIntelHex(text: string, bytes: number): Uint8Array<ArrayBuffer> {
  const flash = new Uint8Array(bytes).fill(0xff);
  let base = 0;
  let ended = false;
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const line = raw.trim();
    if (line === "" || ended) continue;
    const record = recordOf(line, index + 1);
    const address = ((record[1] as number) << 8) | (record[2] as number);
    const data = record.subarray(4, -1);
    switch (record[3]) {
      case DATA:
        if (base + address + data.length > bytes)
          throw wrong(index + 1, `lies beyond ${bytes} bytes of flash`);
        flash.set(data, base + address);
        break;
      case END:
        ended = true;
        break;
      case SEGMENT:
        base = (((data[0] ?? 0) << 8) | (data[1] ?? 0)) * 16;
        break;
      case LINEAR:
        base = (((data[0] ?? 0) << 8) | (data[1] ?? 0)) * 65_536;
        break;
      default:
      // Start addresses mean nothing to an AVR, which starts at its reset vector.
    }
  }
  if (!ended)
    throw new TardigradeError("FILE_UNREADABLE", "The HEX file ends without an end record; it was cut.");
  return flash;
}

function recordOf(line: string, number: number): Uint8Array {
  if (!/^:(?:[0-9a-fA-F]{2}){5,260}$/.test(line)) throw wrong(number, "is no record");
  const record = Uint8Array.from({ length: (line.length - 1) / 2 }, (_, at) =>
    Number.parseInt(line.slice(1 + at * 2, 3 + at * 2), 16),
  );
  if (record.length !== (record[0] as number) + 5) throw wrong(number, "has another length than it says");
  if ((record.reduce((sum, byte) => sum + byte, 0) & 0xff) !== 0) throw wrong(number, "has a wrong checksum");
  return record;
}

function wrong(line: number, what: string): TardigradeError {
  return new TardigradeError("FILE_UNREADABLE", `Line ${line} of the HEX file ${what}.`);
}
