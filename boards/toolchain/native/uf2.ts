/** Images as a UF2 file: what the RPI-RP2 drive of a Pico takes. 256 bytes a block, because the boot ROM programs whole pages. */
import { encodeBlock, UF2Flags } from "uf2";
import type { NativeDefinition } from "../../definitions/definition.ts";
import type { NativeImage } from "./image.ts";

const PAGE = 256;
const BLOCK = 512;

/** A base with its app, or an image that is all of it. */
export interface Flashed {
  readonly base: NativeImage;
  readonly app?: NativeImage;
}
const imagesOf = ({ base, app }: Flashed) => (app === undefined ? [base] : [base, app]);

export function uf2Of(board: NativeDefinition, build: Flashed): Uint8Array<ArrayBuffer> {
  const pages = imagesOf(build).flatMap(({ offset, bytes }) => {
    const count = Math.ceil(bytes.length / PAGE);
    return Array.from({ length: count }, (_, page) => {
      const payload = new Uint8Array(PAGE).fill(0xff);
      payload.set(bytes.subarray(page * PAGE, (page + 1) * PAGE));
      return { flashAddress: board.flash.address + offset + page * PAGE, payload };
    });
  });
  const file = new Uint8Array(pages.length * BLOCK);
  pages.forEach((page, blockNumber) => {
    encodeBlock(
      {
        ...page,
        flags: UF2Flags.familyIDPresent,
        blockNumber,
        totalBlocks: pages.length,
        boardFamily: board.uf2Family,
      },
      file,
      blockNumber * BLOCK,
    );
  });
  return file;
}

/** The whole flash as it is after the drive took the file: what is not in it is blank. */
export function flashOf(board: NativeDefinition, build: Flashed): Uint8Array<ArrayBuffer> {
  const flash = new Uint8Array(board.flash.bytes).fill(0xff);
  for (const { offset, bytes } of imagesOf(build)) flash.set(bytes, offset);
  return flash;
}
