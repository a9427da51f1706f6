/** What the boot ROM's breakpoints do: boot2 is loaded, flash is erased and programmed, with the time it takes. */
import { BOOT2_ADDRESS, BOOT2_BYTES, boot2Valid, HOOKS } from "./bootrom.ts";
import type { VirtualClock } from "./clock.ts";
import {
  ERASE_NANOS,
  FLASH_BYTES,
  type FlashCut,
  type FlashOperation,
  type NorFlash,
  PAGE_BYTES,
  SECTOR_BYTES,
} from "./flash.ts";
import type { Violations } from "./violation.ts";
import type { Xip } from "./xip.ts";

/** The part of a processor that a hook touches. */
export interface HookedCore {
  readonly registers: Uint32Array;
  PC: number;
}

export interface FlashRomOptions {
  readonly clock: VirtualClock;
  readonly flash: NorFlash;
  readonly xip: Xip;
  readonly violations: Violations;
  readonly sram: Uint8Array;
  readonly readByte: (address: number) => number;
  readonly onOperation: (operation: FlashOperation) => FlashCut | undefined;
  readonly cutPower: () => void;
  readonly usbBoot: (noBoot: boolean) => void;
}

interface Step {
  readonly kind: "erase" | "program";
  readonly offset: number;
  readonly length: number;
  /** Where a program's data lies; read page by page, as the real one does. */
  readonly source?: number;
}

const ERASE_BLOCKS: Readonly<Record<number, number>> = { 216: 64 * 1024, 82: 32 * 1024 };

export class FlashRom {
  readonly #options: FlashRomOptions;
  #steps: Step[] = [];
  #cutAfter = false;
  #cutting = false;

  /** Set while the ROM waits for flash; the run loop jumps there instead of executing the wait. */
  waitUntilNanos: number | undefined;

  constructor(options: FlashRomOptions) {
    this.#options = options;
  }

  /** Runs the breakpoint that `core` has just executed. False when the ROM has no such number. */
  hook(number: number, core: HookedCore): boolean {
    const { xip, usbBoot } = this.#options;
    const [r0 = 0, r1 = 0, r2 = 0, r3 = 0] = core.registers;
    if (number === HOOKS.loadBoot2) this.#loadBoot2(core);
    else if (number === HOOKS.connect) xip.connect();
    else if (number === HOOKS.exitXip) xip.exit();
    else if (number === HOOKS.erase) this.#erase(r0, r1, r2, r3);
    else if (number === HOOKS.wait) this.#wait(core);
    else if (number === HOOKS.program) this.#program(r0, r1, r2);
    else if (number === HOOKS.flushCache) xip.flush();
    else if (number === HOOKS.enterXip) xip.enter();
    else if (number === HOOKS.usbBoot) usbBoot(false);
    else return false;
    return true;
  }

  #loadBoot2(core: HookedCore): void {
    const { flash, sram, xip, usbBoot } = this.#options;
    // A chip that was erasing when the processor was reset goes on erasing; the ROM tries again until it answers.
    if (flash.busyUntilNanos !== undefined) {
      if (!this.#completed(flash.busyUntilNanos)) {
        this.#again(core, flash.busyUntilNanos);
        return;
      }
      flash.complete();
    }
    this.waitUntilNanos = undefined;
    xip.connect();
    const boot2 = flash.bytes.subarray(0, BOOT2_BYTES);
    if (!boot2Valid(boot2)) usbBoot(true);
    else sram.set(boot2, BOOT2_ADDRESS - 0x2000_0000);
  }

  #erase(offset: number, count: number, blockBytes: number, command: number): void {
    if (!this.#allowed("flash_range_erase", offset, count, SECTOR_BYTES)) return;
    const block = ERASE_BLOCKS[command] === blockBytes ? blockBytes : 0;
    if (block === 0 && blockBytes !== 0 && blockBytes < FLASH_BYTES)
      this.#options.violations.report(
        "flash-operation",
        `erase command ${command} is not for ${blockBytes} bytes`,
      );
    for (let at = offset; at < offset + count; ) {
      const whole = block > 0 && at % block === 0 && offset + count - at >= block;
      const length = whole ? block : SECTOR_BYTES;
      if (ERASE_NANOS[length] !== undefined) this.#steps.push({ kind: "erase", offset: at, length });
      at += length;
    }
  }

  #program(offset: number, source: number, count: number): void {
    if (!this.#allowed("flash_range_program", offset, count, PAGE_BYTES)) return;
    for (let at = 0; at < count; at += PAGE_BYTES)
      this.#steps.push({ kind: "program", offset: offset + at, length: PAGE_BYTES, source: source + at });
  }

  #allowed(name: string, offset: number, count: number, unit: number): boolean {
    const { violations, xip } = this.#options;
    const wrong = (what: string): boolean => {
      violations.report("flash-operation", `${name}: ${what}`, offset);
      return false;
    };
    this.#steps = [];
    if (!xip.takesCommands)
      return wrong("flash is not in command mode: connect_internal_flash, flash_exit_xip");
    if (offset % unit !== 0 || count % unit !== 0)
      return wrong(`${count} bytes are not whole units of ${unit}`);
    if (offset + count > FLASH_BYTES)
      return wrong("beyond the end of flash (offsets begin at 0, not 0x10000000)");
    return true;
  }

  #wait(core: HookedCore): void {
    const { flash, xip } = this.#options;
    const busy = flash.busyUntilNanos;
    if (busy !== undefined) {
      if (!this.#completed(busy)) {
        this.#again(core, busy);
        return;
      }
      flash.complete();
      xip.busy = false;
      if (this.#cutAfter) this.#cut();
    }
    const step = this.#cutting ? undefined : this.#steps.shift();
    this.waitUntilNanos = undefined;
    if (step !== undefined) this.#begin(step, core);
  }

  #begin(step: Step, core: HookedCore): void {
    const { clock, flash, xip, onOperation, readByte } = this.#options;
    const { kind, offset, length, source } = step;
    const data =
      source === undefined ? undefined : Uint8Array.from({ length }, (_, at) => readByte(source + at));
    const operation = flash.begin({ kind, offset, length, ...(data ? { data } : {}) }, clock.nanos);
    const endNanos = flash.busyUntilNanos as number;
    xip.busy = true;
    const cut = onOperation(operation);
    this.#cutAfter = cut === "cut-after";
    if (cut === "cut-before") {
      flash.abandon();
      this.#cut();
      return;
    }
    if (cut === "cut-during") clock.createAlarm(() => this.#cut()).schedule((endNanos - clock.nanos) / 2);
    this.#again(core, endNanos);
  }

  #cut(): void {
    this.#cutting = true;
    this.#options.cutPower();
  }
  #completed(endNanos: number): boolean {
    return this.#options.clock.nanos >= endNanos;
  }
  /** The same breakpoint once more, at the end or after an interrupt. */
  #again(core: HookedCore, endNanos: number): void {
    core.PC -= 2;
    this.waitUntilNanos = endNanos;
  }
}
