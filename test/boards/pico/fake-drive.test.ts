/** The drive of a Pico in USB boot, as a folder: what it shows, what it takes, what it refuses. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeBlock, UF2Flags } from "uf2";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { FakeDrive } from "../../../boards/simulators/pico/fake-drive.ts";
import { lab, labImage } from "./lab.ts";

const RP2040 = 0xe48b_ff56;
const START = 0x1000_0000;

interface Shape {
  readonly family?: number;
  readonly flags?: number;
  readonly address?: number;
  readonly total?: number;
}
/** A UF2 file of an image, a page a block. */
function uf2(image: Uint8Array, shape: Shape = {}): Uint8Array {
  const pages = Math.ceil(image.length / 256);
  const file = new Uint8Array(pages * 512);
  for (let page = 0; page < pages; page += 1) {
    const payload = new Uint8Array(256);
    payload.set(image.subarray(256 * page, 256 * page + 256));
    const block = {
      flags: shape.flags ?? UF2Flags.familyIDPresent,
      flashAddress: (shape.address ?? START) + 256 * page,
      payload,
      blockNumber: page,
      totalBlocks: shape.total ?? pages,
      boardFamily: shape.family ?? RP2040,
    };
    encodeBlock(block, file, 512 * page);
  }
  return file;
}

let parent: string;
let drive: FakeDrive;
beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), "tardigrade-drive-"));
  drive = new FakeDrive(join(parent, "RPI-RP2"));
});
afterEach(() => rmSync(parent, { recursive: true }));
const copy = (name: string, bytes: Uint8Array) => writeFileSync(join(drive.folder, name), bytes);

describe("the drive", () => {
  test("says what it is", () => {
    const info = readFileSync(join(drive.folder, "INFO_UF2.TXT"), "utf8");
    expect(info).toMatch(/^UF2 Bootloader v3\.0\r?\nModel: Raspberry Pi RP2\r?\nBoard-ID: RPI-RP2\r?\n$/);
  });

  test("takes a file once, and a board runs it", () => {
    const { board, kept } = lab([11]);
    board.advance(20_000);
    expect(board.state).toBe("usb-boot");
    expect(drive.take(board.flashImage())).toBeUndefined();
    copy("blink.UF2", uf2(labImage(2)));
    const taken = drive.take(board.flashImage());
    expect(taken?.name).toBe("blink.UF2");
    expect(existsSync(join(drive.folder, "blink.UF2"))).toBe(false);
    expect(drive.take(board.flashImage())).toBeUndefined();
    board.flashWrite(taken?.flash as Uint8Array);
    board.reset("watchdog");
    board.advance(20_000);
    expect(board.state).toBe("running");
    expect(kept(3)).toBe(1);
  });

  test("erases the sectors it touches and no other", () => {
    const flash = new Uint8Array(2 * 1024 * 1024).fill(0x11);
    copy("part.uf2", uf2(new Uint8Array(300).fill(0x22), { address: START + 0x3000 }));
    const image = drive.take(flash)?.flash as Uint8Array;
    expect(image.subarray(0x2fff, 0x3002)).toEqual(new Uint8Array([0x11, 0x22, 0x22]));
    expect(image[0x3000 + 512]).toBe(0xff);
    expect(image.subarray(0x3fff, 0x4001)).toEqual(new Uint8Array([0xff, 0x11]));
    expect(flash.every((byte) => byte === 0x11)).toBe(true);
  });
});

describe("refused, and left in place", () => {
  const image = new Uint8Array(1000).fill(7);
  const whole = uf2(image);
  const twice = whole.slice();
  twice.set(whole.subarray(0, 512), 512);
  const damaged = whole.slice();
  damaged[512] = 0;
  const fat = whole.slice();
  new DataView(fat.buffer).setUint32(16, 500, true);
  test.each([
    ["half copied", "not whole blocks", whole.subarray(0, 1024 + 100)],
    ["short of blocks", "2 of 4 blocks", whole.subarray(0, 1024)],
    ["empty", "0 bytes", new Uint8Array(0)],
    ["damaged", "Invalid magic", damaged],
    ["with a block twice", "block 0 does not belong", twice],
    ["for another family", "0xada52840", uf2(image, { family: 0xada5_2840 })],
    ["without a family", "family", uf2(image, { flags: 0 })],
    ["outside of flash", "outside of flash", uf2(image, { address: 0x2000_0000 })],
    [
      "beyond the end of flash",
      "block 1 lies outside",
      uf2(image, { address: START + 2 * 1024 * 1024 - 256 }),
    ],
    ["off a page", "no page", uf2(image, { address: START + 16 })],
    [
      "of nothing for flash",
      "0 of 0",
      uf2(image, { flags: UF2Flags.notMainFlash | UF2Flags.familyIDPresent }),
    ],
    ["too large", "larger than the flash", new Uint8Array(4 * 1024 * 1024 + 512)],
    ["with a payload too long", "Invalid payload size", fat],
  ])("a file %s", (_, why, bytes) => {
    const flash = new Uint8Array(2 * 1024 * 1024).fill(0x33);
    copy("it.uf2", bytes);
    expect(() => drive.take(flash)).toThrowError(
      expect.objectContaining({ code: "UF2_INVALID", message: expect.stringContaining(why) }),
    );
    expect(existsSync(join(drive.folder, "it.uf2"))).toBe(true);
    expect(flash.every((byte) => byte === 0x33)).toBe(true);
  });

  test("but taken once the copy is complete", () => {
    const flash = new Uint8Array(2 * 1024 * 1024).fill(0xff);
    copy("it.uf2", whole.subarray(0, 700));
    expect(() => drive.take(flash)).toThrow();
    copy("it.uf2", whole);
    expect(drive.take(flash)?.flash.subarray(0, 1000)).toEqual(image);
  });

  test("the drive vanishes when closed", () => {
    drive.close();
    expect(existsSync(drive.folder)).toBe(false);
  });
});
