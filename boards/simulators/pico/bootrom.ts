/**
 * A boot ROM of our own, as far as firmware sees it: the vector table, the pointers at 0x14, 0x16 and 0x18, the function table
 * with its two-letter codes, and an entry that loads the second stage from flash, checks its CRC and jumps to it. The work
 * itself is TypeScript, reached by `bkpt #HOOK`; everything around it is Thumb code, so that calls, interrupts and stack behave.
 *
 *   0x00  initial SP, reset, NMI, HardFault        0x10  'M' 'u' 1, version
 *   0x14  halfword: function table                 0x16  halfword: data table
 *   0x18  halfword: lookup(table, code)            0x20  code, then the tables
 */

/** Numbers of the breakpoints. */
export const HOOKS = {
  /** Copies boot2 to BOOT2_ADDRESS when its CRC is right, else stays in USB boot. */
  loadBoot2: 0,
  connect: 1,
  exitXip: 2,
  /** r0 offset, r1 count, r2 block size, r3 block command: begins; `wait` does. */
  erase: 3,
  /** Until nothing is left of what was begun; comes back to itself meanwhile, so that interrupts are taken. */
  wait: 4,
  /** r0 offset, r1 data, r2 count. */
  program: 5,
  flushCache: 6,
  enterXip: 7,
  usbBoot: 8,
} as const;

export const ROM_BYTES = 16 * 1024;
/** Where the ROM puts boot2: the last 256 bytes of the six SRAM banks. */
export const BOOT2_ADDRESS = 0x2004_1f00;
export const BOOT2_BYTES = 256;
const ROM_VERSION = 3;
const CODE_START = 0x20;

const BX_LR = 0x4770;
/** b . */
const FOREVER = 0xe7fe;
const bkpt = (hook: number): number => 0xbe00 | hook;
const code = (name: string): number => name.charCodeAt(0) | (name.charCodeAt(1) << 8);

/** The 16 KB of ROM. */
export function bootRom(): Uint8Array {
  const bytes = new Uint8Array(ROM_BYTES);
  const view = new DataView(bytes.buffer);
  let at = CODE_START;
  /** Puts halfwords at the next word and gives their address. */
  const place = (...halfwords: number[]): number => {
    at = (at + 3) & ~3;
    const address = at;
    for (const halfword of halfwords) {
      view.setUint16(at, halfword, true);
      at += 2;
    }
    return address;
  };
  const hook = (number: number): number => place(bkpt(number), BX_LR);

  const entry = place(
    bkpt(HOOKS.loadBoot2),
    0x4802, // ldr r0, [pc, #8]
    0x2100, // movs r1, #0
    0x468e, // mov lr, r1: boot2 reads that it was not called
    0x4700, // bx r0
    0xbf00, // nop, so that the literal is aligned to what ldr computes
    (BOOT2_ADDRESS & 0xffff) | 1,
    BOOT2_ADDRESS >>> 16,
  );
  const fault = place(FOREVER);
  // lookup(r0 table, r1 code): entries of code and pointer, a zero code ends them
  const lookup = place(
    0x8802, // loop: ldrh r2, [r0, #0]
    0x2a00, // cmp r2, #0
    0xd005, // beq none
    0x428a, // cmp r2, r1
    0xd001, // beq found
    0x3004, // adds r0, #4
    0xe7f8, // b loop
    0x8840, // found: ldrh r0, [r0, #2]
    0xe000, // b out
    0x2000, // none: movs r0, #0
    BX_LR, // out:
  );
  const functions: readonly (readonly [string, number])[] = [
    ["IF", hook(HOOKS.connect)],
    ["EX", hook(HOOKS.exitXip)],
    ["RE", place(bkpt(HOOKS.erase), bkpt(HOOKS.wait), BX_LR)],
    ["RP", place(bkpt(HOOKS.program), bkpt(HOOKS.wait), BX_LR)],
    ["FC", hook(HOOKS.flushCache)],
    ["CX", hook(HOOKS.enterXip)],
    ["UB", place(bkpt(HOOKS.usbBoot), FOREVER)],
  ];
  const functionTable = place(...functions.flatMap(([name, address]) => [code(name), address | 1]), 0);
  const dataTable = place(0);

  view.setUint32(0x00, BOOT2_ADDRESS, true);
  view.setUint32(0x04, entry | 1, true);
  view.setUint32(0x08, fault | 1, true);
  view.setUint32(0x0c, fault | 1, true);
  bytes.set([0x4d, 0x75, 1, ROM_VERSION], 0x10);
  view.setUint16(0x14, functionTable, true);
  view.setUint16(0x16, dataTable, true);
  view.setUint16(0x18, lookup | 1, true);
  return bytes;
}

/** CRC-32/MPEG-2: polynomial 04c11db7, start ffffffff, not reflected, no final inversion. */
export function boot2Crc(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) {
    crc ^= byte << 24;
    for (let bit = 0; bit < 8; bit += 1)
      crc = crc < 0 || crc >= 0x8000_0000 ? (crc << 1) ^ 0x04c1_1db7 : crc << 1;
  }
  return crc >>> 0;
}

/** True when the first 252 bytes carry their CRC in the four that follow. */
export function boot2Valid(flash: Uint8Array): boolean {
  if (flash.length < BOOT2_BYTES) return false;
  const stored = new DataView(flash.buffer, flash.byteOffset).getUint32(BOOT2_BYTES - 4, true);
  return boot2Crc(flash.subarray(0, BOOT2_BYTES - 4)) === stored;
}
