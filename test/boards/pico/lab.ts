/** Builds the test firmware once, and gives images of it and boards that run them. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PicoBoard, type PicoBoardOptions } from "../../../boards/simulators/pico/board.ts";
import { BOOT2_BYTES, boot2Crc } from "../../../boards/simulators/pico/bootrom.ts";

const FIRMWARE = join(import.meta.dirname, "firmware");
const FLAGS = [
  "-mcpu=cortex-m0plus",
  "-mthumb",
  "-Os",
  "-Wall",
  "-Wextra",
  "-Werror",
  "-ffreestanding",
  "-masm-syntax-unified",
  "--param=min-pagesize=0",
];
const CHOICE = 0x1_0000;
const KEPT = 0x3_0000;

function build(): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), "tardigrade-pico-"));
  try {
    const elf = join(folder, "lab.elf");
    const sources = ["boot2.S", "start.c", "lab.c", "faults.c"].map((name) => join(FIRMWARE, name));
    const link = ["-nostdlib", "-T", join(FIRMWARE, "lab.ld"), "-lgcc"];
    execFileSync("arm-none-eabi-gcc", [...FLAGS, ...sources, ...link, "-o", elf]);
    const bin = join(folder, "lab.bin");
    execFileSync("arm-none-eabi-objcopy", ["-O", "binary", elf, bin]);
    const image = new Uint8Array(readFileSync(bin));
    const crc = boot2Crc(image.subarray(0, BOOT2_BYTES - 4));
    new DataView(image.buffer).setUint32(BOOT2_BYTES - 4, crc, true);
    return image;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

let built: Uint8Array | undefined;

/** The firmware with an experiment chosen; firmware/lab.c and faults.c number them. */
export function labImage(...choice: number[]): Uint8Array {
  built ??= build();
  const image = built.slice();
  const view = new DataView(image.buffer);
  for (const [index, word] of choice.entries()) view.setUint32(CHOICE + 4 * index, word, true);
  return image;
}

export interface Lab {
  readonly board: PicoBoard;
  /** A word that the firmware left in RAM. */
  kept(index: number): number;
  /** What each UART sent so far. */
  readonly sent: readonly [number[], number[]];
}

/** A powered board that runs the experiment. */
export function lab(choice: readonly number[], options: Partial<PicoBoardOptions> = {}): Lab {
  const sent: [number[], number[]] = [[], []];
  const board = new PicoBoard({
    flash: labImage(...choice),
    onUart: (uart, bytes) => void sent[uart].push(...bytes),
    ...options,
  });
  board.powerOn();
  return {
    board,
    sent,
    kept: (index) => new DataView(board.ramImage().buffer).getUint32(KEPT + 4 * index, true),
  };
}
