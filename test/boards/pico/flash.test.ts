/** Flash of the emulated Pico: what the boot ROM's functions do to it, how long, and what a power cut leaves. */
import { describe, expect, test } from "vitest";
import type { FlashCut, FlashOperation } from "../../../boards/simulators/pico/flash.ts";
import { lab, labImage } from "./lab.ts";

const SECTOR = 0x8_0000;
const COUNT_BOOTS = 4;
const PROGRAM_TWICE = 5;
const ERASE_WITH_ALARMS = 6;
const page = (boot: number) => Uint8Array.from({ length: 256 }, (_, at) => at + boot);

/** Boots that each leave a page, with the power cut as told; the flash at the end. */
function boots(count: number, cut: (operation: FlashOperation) => FlashCut | undefined, seed = 1) {
  const operations: FlashOperation[] = [];
  const made = lab([COUNT_BOOTS], {
    seed,
    onFlashOperation: (operation) => {
      operations.push(operation);
      return cut(operation);
    },
  });
  for (let boot = 0; boot < count; boot += 1) {
    made.board.powerOn();
    made.board.advance(200_000);
    made.board.powerCut();
  }
  return { ...made, operations, image: made.board.flashImage() };
}

describe("the boot ROM's functions", () => {
  test("program pages that outlive power cuts and resets", () => {
    const { board, kept, operations, image } = boots(3, () => undefined);
    expect(kept(1)).toBe(2);
    expect(operations.map(({ index, kind, offset, length }) => [index, kind, offset, length])).toEqual([
      [0, "program", SECTOR, 256],
      [1, "program", SECTOR + 256, 256],
      [2, "program", SECTOR + 512, 256],
    ]);
    for (const boot of [0, 1, 2])
      expect(image.slice(SECTOR + 256 * boot, SECTOR + 256 * boot + 256)).toEqual(page(boot));
    board.powerOn();
    board.advance(20_000);
    board.reset();
    board.advance(20_000);
    expect(kept(1)).toBe(4);
  });

  test("erase before the sector is used again", () => {
    const { operations, image } = boots(34, () => undefined);
    expect(operations.slice(32).map(({ kind, offset, length }) => [kind, offset, length])).toEqual([
      ["erase", SECTOR, 4096],
      ["erase", SECTOR + 4096, 4096],
      ["program", SECTOR, 256],
      ["program", SECTOR + 256, 256],
    ]);
    expect(image.slice(SECTOR, SECTOR + 256)).toEqual(page(0));
    expect(image[SECTOR + 512]).toBe(0xff);
  });

  test("programming only clears bits; a block of 64 KB is erased at once", () => {
    const operations: string[] = [];
    const { board, kept } = lab([PROGRAM_TWICE], {
      onFlashOperation: ({ kind, length }) => void operations.push(`${kind} ${length}`),
    });
    board.advance(400_000);
    expect(kept(1)).toBe(0x3c3c_3c3c & 0x5a5a_5a5a);
    expect(kept(3)).toBe(0xffff_ffff);
    expect(operations).toEqual(["erase 4096", "program 256", "program 256", "erase 65536", "erase 4096"]);
    // 150 ms and 45 ms.
    expect(kept(2)).toBeGreaterThanOrEqual(195_000);
    expect(kept(2)).toBeLessThan(196_000);
  });

  test("waiting for flash executes next to nothing", () => {
    const { board } = lab([ERASE_WITH_ALARMS, 1]);
    board.advance(10_000);
    const before = board.instructions;
    board.advance(30_000);
    expect(board.instructions - before).toBeLessThan(20);
    expect(board.nextEventUs()).toBeGreaterThan(board.nowUs);
  });
});

describe("interrupts while a sector is erased", () => {
  test("are handled when vectors and handler are in RAM", () => {
    const { board, kept } = lab([ERASE_WITH_ALARMS, 0]);
    board.advance(100_000);
    expect(kept(2)).toBe(4);
  });
  test("stay pending while masked", () => {
    const { board, kept } = lab([ERASE_WITH_ALARMS, 1]);
    board.advance(60_000);
    expect([kept(2), kept(3)]).toEqual([0, 1]);
  });
  test("are a violation when their vector or handler is in flash", () => {
    const { board } = lab([ERASE_WITH_ALARMS, 2]);
    expect(() => board.advance(100_000)).toThrowError(/flash is busy/);
    expect(board.nowUs).toBeGreaterThan(10_000);
    expect(board.nowUs).toBeLessThan(20_000);
  });
});

describe("a power cut", () => {
  /** 32 pages were used; then the erase of the first sector is cut. */
  const atErase = (cut: FlashCut, seed = 1) =>
    boots(33, ({ index }) => (index === 32 ? cut : undefined), seed);
  const sector = (image: Uint8Array) => image.slice(SECTOR, SECTOR + 4096);
  const full = Uint8Array.from({ length: 4096 }, (_, at) => (at % 256) + Math.floor(at / 256));
  const blank = new Uint8Array(4096).fill(0xff);

  test("before an erase leaves the sector as it was", () => {
    const { image, operations, kept } = atErase("cut-before");
    expect(sector(image)).toEqual(full);
    expect(operations.length).toBe(33);
    expect(kept(255)).not.toBe(0xd09e);
  });
  test("after an erase leaves it blank, and nothing more is done", () => {
    const { image, operations } = atErase("cut-after");
    expect(sector(image)).toEqual(blank);
    expect(operations.length).toBe(33);
  });
  test("during an erase leaves bits between the two, otherwise by each seed", () => {
    const torn = [1, 2].map((seed) => sector(atErase("cut-during", seed).image));
    for (const image of torn) {
      expect(image).not.toEqual(full);
      expect(image).not.toEqual(blank);
      expect(image.every((byte, at) => (byte & (full[at] as number)) === full[at])).toBe(true);
    }
    expect(torn[0]).not.toEqual(torn[1]);
    expect(sector(atErase("cut-during", 1).image)).toEqual(torn[0]);
  });

  test.each(["cut-before", "cut-during", "cut-after"] as const)("%s a program", (cut) => {
    const { image, board } = boots(1, () => cut);
    const left = image.slice(SECTOR, SECTOR + 256);
    const written = page(0);
    const untouched = new Uint8Array(256).fill(0xff);
    if (cut === "cut-before") expect(left).toEqual(untouched);
    else if (cut === "cut-after") expect(left).toEqual(written);
    else {
      expect(left).not.toEqual(untouched);
      expect(left).not.toEqual(written);
      expect(left.every((byte, at) => (byte & (written[at] as number)) === written[at])).toBe(true);
    }
    expect(board.state).toBe("off");
  });

  test("by the host in the middle of an erase tears it as well", () => {
    const { board } = lab([ERASE_WITH_ALARMS, 1], { flash: withSector(0) });
    board.advance(30_000);
    board.powerCut();
    const left = sector(board.flashImage());
    expect(left).not.toEqual(new Uint8Array(4096));
    expect(left).not.toEqual(blank);
  });
});

test("a reset during an erase lets it finish before the ROM boots again", () => {
  const { board } = lab([ERASE_WITH_ALARMS, 1], { flash: withSector(0) });
  board.advance(30_000);
  board.reset("watchdog");
  board.advance(1000);
  expect(board.flashImage()[SECTOR]).toBe(0);
  board.advance(25_000);
  expect(board.flashImage().subarray(SECTOR, SECTOR + 4096)).toEqual(new Uint8Array(4096).fill(0xff));
});

/** The experiment's image with its sector full of a byte. */
function withSector(byte: number): Uint8Array {
  const flash = new Uint8Array(SECTOR + 4096).fill(0xff);
  flash.set(labImage(ERASE_WITH_ALARMS, 1));
  return flash.fill(byte, SECTOR);
}
