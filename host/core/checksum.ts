/** CRC-32 and COBS by the core: what tests compare protocols/ with. Inputs are bounded by one scratch buffer each way. */
import type { ErrorCode } from "../../protocols/table.ts";
import { type Core, codeOfStatus } from "./core.ts";

export const SCRATCH_BYTES = 65_536;

export interface CoreBytesCodec {
  crc32(bytes: Uint8Array): number;
  cobsEncode(bytes: Uint8Array): Uint8Array<ArrayBuffer> | ErrorCode;
  cobsDecode(bytes: Uint8Array): Uint8Array<ArrayBuffer> | ErrorCode;
}

export function createBytesCodec(core: Core): CoreBytesCodec {
  const { raw } = core;
  const input = core.allocate(SCRATCH_BYTES);
  const output = core.allocate(SCRATCH_BYTES);
  const load = (bytes: Uint8Array): void => {
    if (bytes.length > SCRATCH_BYTES)
      throw new RangeError(`at most ${SCRATCH_BYTES} bytes, not ${bytes.length}`);
    core.bytes().set(bytes, input);
  };
  const taken = (status: number): Uint8Array<ArrayBuffer> | ErrorCode =>
    status < 0 ? codeOfStatus(status) : core.bytes().slice(output, output + status);
  return {
    crc32: (bytes) => {
      load(bytes);
      return raw.crc32(input, bytes.length) >>> 0;
    },
    cobsEncode: (bytes) => {
      load(bytes);
      return taken(raw.cobsEncode(input, bytes.length, output, SCRATCH_BYTES));
    },
    cobsDecode: (bytes) => {
      load(bytes);
      return taken(raw.cobsDecode(input, bytes.length, output, SCRATCH_BYTES));
    },
  };
}
