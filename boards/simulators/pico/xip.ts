/**
 * Flash as memory: the SSI that reads it, the cache, and when the window at 0x10000000 may be looked through. On silicon an
 * access at the wrong moment gives garbage or hangs the bus; here it is a violation that says why.
 */
import { READ_ONLY, RegisterBlock } from "./registers.ts";
import type { Violations } from "./violation.ts";

const CTRLR0 = 0x00;
const CTRLR1 = 0x04;
const SSIENR = 0x08;
const SER = 0x10;
const BAUDR = 0x14;
const SPI_CTRLR0 = 0xf4;
/** Standard SPI, EEPROM read (send command and address, then receive), frames of 32 bits. */
const CTRLR0_READ = (31 << 16) | (3 << 8);
const CTRLR0_CHECKED = (3 << 21) | (31 << 16) | (3 << 8);
/** Command 03h of 8 bits, 24 bits of address, no wait cycles, all on one wire. */
const SPI_READ = (0x03 << 24) | (2 << 8) | (6 << 2);
/** W25Q16JV: command 03h up to 50 MHz. */
const READ_HZ_MAX = 50_000_000;
const STATUS_IDLE = 6;
const BAUDR_SLOW = 12;

export class Xip {
  readonly ssi: RegisterBlock;
  readonly control: RegisterBlock;
  /** True when the window shows the array. The bus reads it at every access, so it is a field. */
  open = false;
  readonly #violations: Violations;
  readonly #systemHz: () => number;
  #commands = false;
  #connected = false;
  #busy = false;
  #stale = false;

  constructor(violations: Violations, systemHz: () => number) {
    this.#violations = violations;
    this.#systemHz = systemHz;
    const write = (offset: number) => ({
      write: (value: number) => {
        if (this.#enabled && offset !== SSIENR && offset !== SER)
          violations.report("xip", "SSI register written while SSIENR is 1");
        this.ssi.set(offset, value);
        this.#update();
      },
    });
    this.ssi = new RegisterBlock(
      "SSI",
      {
        [CTRLR0]: write(CTRLR0),
        [CTRLR1]: write(CTRLR1),
        [SSIENR]: {
          write: (value) => {
            this.ssi.set(SSIENR, value & 1);
            // Set up by hand, as boot2 does, it leaves the ROM's command mode.
            if (value & 1) {
              this.#commands = false;
              this.#check();
            }
            this.#update();
          },
        },
        [SER]: write(SER),
        [BAUDR]: write(BAUDR),
        32: { mask: READ_ONLY },
        36: { mask: READ_ONLY },
        40: { mask: READ_ONLY, read: () => STATUS_IDLE },
        88: { reset: 0x5153_5049, mask: READ_ONLY },
        92: { reset: 0x3430_312a, mask: READ_ONLY },
        240: write(240),
        [SPI_CTRLR0]: { reset: 0x0300_0000, ...write(SPI_CTRLR0) },
        248: write(248),
      },
      violations,
    );
    this.control = new RegisterBlock(
      "XIP_CTRL",
      {
        0: { reset: 3, mask: 0xb },
        4: { read: () => 0, write: () => this.flush() },
        8: { mask: READ_ONLY, read: () => 6 },
        12: {},
        16: {},
      },
      violations,
    );
  }

  /** Why the window is closed. */
  get why(): string {
    if (this.#busy) return "flash is busy erasing or programming";
    if (this.#commands)
      return "flash is in command mode (flash_exit_xip without flash_enter_cmd_xip or boot2)";
    if (!this.#enabled) return "the SSI is off";
    if (this.#stale) return "flash changed and the cache was not flushed (flash_flush_cache)";
    return "the SSI is not set up to read flash";
  }

  /** The ROM's functions, in the order in which firmware must call them. */
  connect(): void {
    this.ssi.reset();
    this.ssi.set(SER, 1);
    this.#commands = false;
    this.#connected = true;
    this.#update();
  }
  exit(): void {
    if (!this.#connected)
      this.#violations.report("flash-operation", "flash_exit_xip before connect_internal_flash");
    this.#commands = true;
    this.#update();
  }
  get takesCommands(): boolean {
    return this.#commands && !this.#busy;
  }
  set busy(value: boolean) {
    this.#busy = value;
    if (value) this.#stale = true;
    this.#update();
  }
  flush(): void {
    this.#stale = false;
    this.#update();
  }
  enter(): void {
    this.ssi.set(SSIENR, 1);
    this.ssi.set(BAUDR, BAUDR_SLOW);
    this.ssi.set(CTRLR0, CTRLR0_READ);
    this.ssi.set(CTRLR1, 0);
    this.ssi.set(SPI_CTRLR0, SPI_READ);
    this.#commands = false;
    this.#connected = false;
    this.#update();
  }

  /** clk_sys changed: the flash's clock is a fraction of it. */
  clockChanged(): void {
    if (this.open) this.#check();
  }

  get #enabled(): boolean {
    return (this.ssi.get(SSIENR) & 1) !== 0;
  }
  get #reads(): boolean {
    return (
      this.#enabled &&
      (this.ssi.get(CTRLR0) & CTRLR0_CHECKED) === CTRLR0_READ &&
      this.ssi.get(SPI_CTRLR0) === SPI_READ &&
      this.ssi.get(CTRLR1) === 0 &&
      this.ssi.get(SER) === 1
    );
  }
  #update(): void {
    this.open = this.#reads && !this.#commands && !this.#busy && !this.#stale;
  }
  #check(): void {
    const divider = this.ssi.get(BAUDR);
    if (!this.#reads) {
      this.#violations.report("unmodelled", "SSI set up for another read than 03h, 24 bits, 32-bit frames");
    } else if (divider < 2 || divider % 2 !== 0)
      this.#violations.report("xip", `SSI BAUDR ${divider} is not an even divider`);
    else if (this.#systemHz() / divider > READ_HZ_MAX)
      this.#violations.report(
        "xip",
        `flash command 03h at ${this.#systemHz() / divider / 1e6} MHz; it reads up to 50 MHz`,
      );
  }
}
