/** RESETS and the registers that say why the chip started. A peripheral that is still in reset does not answer. */
import { READ_ONLY, RegisterBlock } from "./registers.ts";
import type { Violations } from "./violation.ts";

/** Bits of RESETS by the 16 KB page of the peripheral's address (RP2040 datasheet 2.14). */
export const RESET_BITS: ReadonlyMap<number, number> = new Map([
  [0x40000, 19], // SYSINFO
  [0x40004, 18], // SYSCFG
  [0x40014, 5], // IO_BANK0
  [0x40018, 6], // IO_QSPI
  [0x4001c, 8], // PADS_BANK0
  [0x40020, 9], // PADS_QSPI
  [0x40028, 12], // PLL_SYS
  [0x4002c, 13], // PLL_USB
  [0x40030, 1], // BUSCTRL
  [0x40034, 22], // UART0
  [0x40038, 23], // UART1
  [0x4003c, 16], // SPI0
  [0x40040, 17], // SPI1
  [0x40044, 3], // I2C0
  [0x40048, 4], // I2C1
  [0x4004c, 0], // ADC
  [0x40050, 14], // PWM
  [0x40054, 21], // TIMER
  [0x4005c, 15], // RTC
  [0x4006c, 20], // TBMAN
  [0x50000, 2], // DMA
  [0x50100, 24], // USB
  [0x50104, 24],
  [0x50108, 24],
  [0x5010c, 24],
  [0x50110, 24],
  [0x50200, 10], // PIO0
  [0x50300, 11], // PIO1
]);
const ALL = 0x1ff_ffff;
const IO_QSPI = 1 << 6;
const PADS_QSPI = 1 << 9;

export class Resets {
  readonly registers: RegisterBlock;
  #held = ALL;

  /** `entered` gets the bits of blocks that firmware puts back into reset. */
  constructor(violations: Violations, entered: (bits: number) => void) {
    this.registers = new RegisterBlock(
      "RESETS",
      {
        0: {
          read: () => this.#held,
          write: (value) => {
            const now = value & ALL;
            const fresh = now & ~this.#held;
            this.#held = now;
            if (fresh !== 0) entered(fresh);
          },
        },
        4: { mask: ALL },
        8: { mask: READ_ONLY, read: () => ALL & ~this.#held },
      },
      violations,
    );
  }

  holds(bit: number): boolean {
    return (this.#held & (1 << bit)) !== 0;
  }
  /** The boot ROM needs the flash's pins. */
  releaseFlashPins(): void {
    this.#held &= ~(IO_QSPI | PADS_QSPI);
  }
}

export const HAD_POWER_ON = 1 << 8;
export const HAD_RUN_PIN = 1 << 16;

/** VREG_AND_CHIP_RESET: what the last reset of the whole chip was; a watchdog's or software's leaves it as it is. */
export function chipReset(cause: number, violations: Violations): RegisterBlock {
  return new RegisterBlock(
    "VREG_AND_CHIP_RESET",
    {
      0: { reset: 0x10b1, mask: 0xf3 },
      4: { reset: 0x91, mask: 0xf1 },
      8: { reset: cause, mask: 1 << 24 },
    },
    violations,
  );
}
