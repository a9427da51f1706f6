/**
 * The RPI-RP2 drive of a Pico in USB boot, as a folder: what looks for the drive finds INFO_UF2.TXT, and a .uf2 that is copied in
 * becomes flash. Nothing watches; the caller polls with `take`. A file is taken whole or not at all.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { blockSize, decodeBlock, type UF2BlockData, UF2DecodeError, UF2Flags } from "uf2";
import { TardigradeError } from "../../../protocols/error.ts";
import { FLASH_BYTES, PAGE_BYTES, SECTOR_BYTES } from "./flash.ts";

const FAMILY_RP2040 = 0xe48b_ff56;
const FLASH_START = 0x1000_0000;
/** As the drive of a real Pico says it. */
const INFO = "UF2 Bootloader v3.0\r\nModel: Raspberry Pi RP2\r\nBoard-ID: RPI-RP2\r\n";
const INDEX =
  '<html><head><meta http-equiv="refresh" content="0;URL=\'https://raspberrypi.com/device/RP2?version=E0C912952D54\'"/></head></html>\n';
/** More cannot be a flash's worth of blocks; a larger file is not read. */
const FILE_BYTES_MAX = (FLASH_BYTES / PAGE_BYTES) * blockSize;

export interface TakenImage {
  readonly name: string;
  /** The flash after it: sectors that the file touches are erased and written, the rest is as before. */
  readonly flash: Uint8Array;
}

/** Checks a UF2 file whole, and gives `flash` with it written. Throws UF2_INVALID. */
export function applyUf2(file: Uint8Array, flash: Uint8Array): Uint8Array {
  const blocks = decodeFile(file);
  const result = new Uint8Array(FLASH_BYTES).fill(0xff);
  result.set(flash.subarray(0, FLASH_BYTES));
  for (const { flashAddress } of blocks) {
    const sector = Math.floor((flashAddress - FLASH_START) / SECTOR_BYTES) * SECTOR_BYTES;
    result.fill(0xff, sector, sector + SECTOR_BYTES);
  }
  for (const { flashAddress, payload } of blocks) result.set(payload, flashAddress - FLASH_START);
  return result;
}

function refuse(why: string, cause?: unknown): never {
  throw new TardigradeError("UF2_INVALID", `The UF2 file is refused: ${why.replace(/\.$/, "")}.`, {
    cause,
    context: { component: "fake-drive" },
  });
}

function decodeFile(file: Uint8Array): readonly UF2BlockData[] {
  if (file.length === 0 || file.length % blockSize !== 0)
    refuse(`${file.length} bytes are not whole blocks of ${blockSize}`);
  if (file.length > FILE_BYTES_MAX) refuse("it is larger than the flash");
  const all: UF2BlockData[] = [];
  for (let at = 0; at < file.length; at += blockSize) {
    try {
      all.push(decodeBlock(file.subarray(at, at + blockSize)));
    } catch (error) {
      if (!(error instanceof UF2DecodeError)) throw error;
      refuse(`block ${at / blockSize}: ${error.message}`, error);
    }
  }
  const blocks = all.filter(({ flags }) => !(flags & UF2Flags.notMainFlash));
  const total = blocks[0]?.totalBlocks;
  const seen = new Set<number>();
  for (const { flags, boardFamily, flashAddress, payload, blockNumber, totalBlocks } of blocks) {
    const offset = flashAddress - FLASH_START;
    if (!(flags & UF2Flags.familyIDPresent) || boardFamily !== FAMILY_RP2040)
      refuse(`block ${blockNumber} is for family 0x${boardFamily.toString(16)}, not the RP2040`);
    if (payload.length !== PAGE_BYTES || offset % PAGE_BYTES !== 0)
      refuse(`block ${blockNumber} is no page of flash`);
    if (offset < 0 || offset + PAGE_BYTES > FLASH_BYTES) refuse(`block ${blockNumber} lies outside of flash`);
    if (totalBlocks !== total || blockNumber >= totalBlocks || seen.has(blockNumber))
      refuse(`block ${blockNumber} does not belong to the others`);
    seen.add(blockNumber);
  }
  if (total === undefined || seen.size !== total) refuse(`it has ${seen.size} of ${total ?? 0} blocks`);
  return blocks;
}

export class FakeDrive {
  readonly folder: string;

  /** Makes the folder, which is the drive. */
  constructor(folder: string) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "INFO_UF2.TXT"), INFO);
    writeFileSync(join(folder, "INDEX.HTM"), INDEX);
  }

  /**
   * Looks once. Undefined without a .uf2 file. One that is refused throws UF2_INVALID and stays, since it may still be in the
   * middle of being copied; one that is taken is removed, as the drive vanishes when a Pico starts what it was given.
   */
  take(flash: Uint8Array): TakenImage | undefined {
    const name = readdirSync(this.folder)
      .sort()
      .find((entry) => entry.toLowerCase().endsWith(".uf2"));
    if (name === undefined) return undefined;
    const path = join(this.folder, name);
    const image = applyUf2(readFileSync(path), flash);
    rmSync(path);
    return { name, flash: image };
  }

  /** The drive vanishes. */
  close(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}
