/**
 * The bus as real silicon checks it, in place of rp2040js' own: alignment, unmapped addresses, memories that cannot be
 * written, peripherals still in reset. What it lets through goes to memory, to rp2040js' peripherals or to this board's.
 *
 *   0x00000000 ROM 16 K        0x10000000 flash (XIP), four aliases    0x14000000 XIP_CTRL   0x18000000 SSI
 *   0x20000000 SRAM 264 K      0x40000000 APB    0x50000000 AHB        0xd0000000 SIO        0xe0000000 PPB
 */
import type { RP2040 } from "rp2040js";
import { ROM_BYTES } from "./bootrom.ts";
import { FLASH_BYTES } from "./flash.ts";
import { RESET_BITS } from "./resets.ts";
import { hex, type Violations } from "./violation.ts";

export const RAM_START = 0x2000_0000;
export const RAM_BYTES = 264 * 1024;
const FLASH_START = 0x1000_0000;
const FLASH_WINDOW = 0x0400_0000;
const ALIAS_MASK = 0x00ff_ffff;
const SIO_START = 0xd000_0000;
const SIO_BYTES = 0x180;
const PPB_PAGE = 0xe000e;
/** SIO offsets that rp2040js does not have: the mailboxes between the cores, and holes. */
const SIO_HOLES: ReadonlySet<number> = new Set([0x0c, 0x50, 0x54, 0x58, 0x7c]);
const USB_RAM = 0x5010_0000;
const USB_RAM_BYTES = 4096;

export interface BusPeripheral {
  readUint32(offset: number): number;
  writeUint32Atomic(offset: number, value: number, alias: number): void;
}

export interface BusOptions {
  readonly chip: RP2040;
  readonly rom: Uint8Array;
  readonly flash: DataView;
  readonly violations: Violations;
  /** True when flash can be read through its window now. */
  readonly xip: { readonly open: boolean; readonly why: string };
  readonly held: (resetBit: number) => boolean;
  /** By 16 KB page (address >>> 14 << 2), instead of rp2040js'. */
  readonly peripherals: ReadonlyMap<number, BusPeripheral>;
  /** System control registers that rp2040js lacks. */
  readonly systemControl: BusPeripheral & { has(offset: number): boolean };
}

/** Puts the bus into `chip`; DMA and PIO of rp2040js go through it too. */
export function installBus(options: BusOptions): void {
  const { chip, violations, xip, flash } = options;
  const { sram, sramView, core } = chip;
  const rom = new DataView(options.rom.buffer);
  const original = {
    read: chip.readUint32.bind(chip),
    write: [chip.writeUint8.bind(chip), chip.writeUint16.bind(chip), chip.writeUint32.bind(chip)] as const,
  };

  function peripheralAt(address: number, act: string): BusPeripheral | undefined {
    const page = (address >>> 14) << 2;
    const peripheral = options.peripherals.get(page) ?? chip.peripherals[page];
    if (peripheral === undefined) {
      violations.report("unmapped", `${act} where nothing is`, address);
      return undefined;
    }
    const bit = RESET_BITS.get(page);
    if (bit !== undefined && options.held(bit)) {
      violations.report("in-reset", `${act} of a peripheral that RESETS bit ${bit} still holds`, address);
      return undefined;
    }
    return peripheral;
  }
  const isUsbRam = (address: number) => address >= USB_RAM && address < USB_RAM + USB_RAM_BYTES;
  const isSio = (address: number) => address >= SIO_START && address < SIO_START + 0x1000_0000;
  const sioHas = (offset: number) => offset < SIO_BYTES && !SIO_HOLES.has(offset & ~3);

  /** Words outside of memory. */
  function readWord(address: number): number {
    const pc = (core.PC & ~1) >>> 0;
    if (address === (pc & ~3) >>> 0) {
      violations.report("unmapped", "instruction fetch where no memory is", pc);
      return 0xffff_ffff;
    }
    if (isUsbRam(address)) return original.read(address);
    if (address >>> 12 === PPB_PAGE) {
      const offset = address & 0xfff;
      if (options.systemControl.has(offset)) return options.systemControl.readUint32(offset);
      return chip.ppb.readUint32(offset);
    }
    if (isSio(address)) {
      if (sioHas(address - SIO_START)) return original.read(address);
      violations.report("unmodelled", "read of SIO", address);
      return 0;
    }
    return peripheralAt(address, "read")?.readUint32(address & 0xfff) ?? 0;
  }

  function unaligned(address: number, bytes: number, act: string): void {
    violations.report("unaligned", `${act} of ${bytes} bytes at an unaligned address`, address);
  }
  function flashOffset(address: number, bytes: number): number {
    const offset = address & ALIAS_MASK;
    if (!xip.open) violations.report("xip", `flash read, but ${xip.why}`, address);
    if (offset + bytes <= FLASH_BYTES) return offset;
    violations.report("unmapped", "read beyond the end of flash", address);
    return offset % FLASH_BYTES;
  }

  /** One reader a width: memory first, since instructions come through here. */
  function reader(bytes: 1 | 2 | 4): (address: number) => number {
    const get = { 1: "getUint8", 2: "getUint16", 4: "getUint32" } as const;
    const method = get[bytes];
    return (unsigned) => {
      const address = unsigned >>> 0;
      if (address & (bytes - 1)) unaligned(address, bytes, "read");
      const ram = address - RAM_START;
      if (ram >= 0 && ram <= RAM_BYTES - bytes) return sramView[method](ram, true);
      if (address >= FLASH_START && address < FLASH_START + FLASH_WINDOW)
        return flash[method](flashOffset(address, bytes), true);
      if (address <= ROM_BYTES - bytes) return rom[method](address, true);
      const word = readWord((address & ~3) >>> 0);
      if (bytes === 4) return word >>> 0;
      return (word >>> ((address & 3) * 8)) & (bytes === 2 ? 0xffff : 0xff);
    };
  }

  function writeOther(address: number, value: number, bytes: 1 | 2 | 4): void {
    if (address < ROM_BYTES) {
      violations.report("rom-write", `write of ${hex(value)} to the boot ROM`, address);
      return;
    }
    if (address >= FLASH_START && address < FLASH_START + FLASH_WINDOW) {
      violations.report("flash-write", `write of ${hex(value)} to flash`, address);
      return;
    }
    if (isUsbRam(address)) {
      original.write[bytes === 4 ? 2 : bytes === 2 ? 1 : 0](address, value);
      return;
    }
    if (address >>> 12 === PPB_PAGE || isSio(address)) {
      if (bytes !== 4) violations.report("unmodelled", "SIO or system control written in part", address);
      writeCore(address, value);
      return;
    }
    // A narrow write is repeated over the word, and the whole register takes it (RP2040 datasheet 2.1.4).
    const wide =
      bytes === 4 ? value : bytes === 2 ? (value & 0xffff) * 0x10001 : (value & 0xff) * 0x0101_0101;
    peripheralAt(address, `write of ${hex(value)}`)?.writeUint32Atomic(
      address & 0xffc,
      wide >>> 0,
      (address >>> 12) & 3,
    );
  }
  function writeCore(address: number, value: number): void {
    if (isSio(address)) {
      if (sioHas(address - SIO_START)) original.write[2](address, value);
      else violations.report("unmodelled", `write of ${hex(value)} to SIO`, address);
      return;
    }
    const offset = address & 0xfff;
    if (options.systemControl.has(offset)) options.systemControl.writeUint32Atomic(offset, value, 0);
    else chip.ppb.writeUint32(offset, value);
  }

  chip.readUint32 = reader(4);
  chip.readUint16 = reader(2);
  chip.readUint8 = reader(1);
  chip.writeUint32 = (unsigned, value) => {
    const address = unsigned >>> 0;
    if (address & 3) unaligned(address, 4, "write");
    const ram = address - RAM_START;
    if (ram >= 0 && ram <= RAM_BYTES - 4) sramView.setUint32(ram, value, true);
    else writeOther(address, value, 4);
  };
  chip.writeUint16 = (unsigned, value) => {
    const address = unsigned >>> 0;
    if (address & 1) unaligned(address, 2, "write");
    const ram = address - RAM_START;
    if (ram >= 0 && ram <= RAM_BYTES - 2) sramView.setUint16(ram, value, true);
    else writeOther(address, value, 2);
  };
  chip.writeUint8 = (unsigned, value) => {
    const address = unsigned >>> 0;
    const ram = address - RAM_START;
    if (ram >= 0 && ram < RAM_BYTES) sram[ram] = value;
    else writeOther(address, value, 1);
  };
}
