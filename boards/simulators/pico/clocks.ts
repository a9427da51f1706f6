/**
 * Where clocks come from: crystal, ring oscillator and PLLs with the times they need, and the multiplexers checked. rp2040js'
 * are stable and locked at once, whatever was written; here a start-up sequence must wait, and a processor that is
 * switched to a clock that does not run is a violation instead of a board that hangs.
 */
import type { RP2040 } from "rp2040js";
import type { VirtualClock } from "./clock.ts";
import { noise } from "./noise.ts";
import { READ_ONLY, RegisterBlock } from "./registers.ts";
import type { Violations } from "./violation.ts";

const CRYSTAL_HZ = 12_000_000;
const XOSC_ENABLE = 0xfab;
const XOSC_DISABLE = 0xd1e;
const XOSC_STABLE = 0x8000_0000;
const XOSC_ENABLED = 1 << 12;
/** STARTUP counts units of 256 crystal cycles. */
const STARTUP_UNIT = 256;

export class Crystal {
  readonly registers: RegisterBlock;
  readonly #clock: VirtualClock;
  /** When it is stable; Infinity while it is off. */
  #stableNanos = Number.POSITIVE_INFINITY;

  constructor(clock: VirtualClock, violations: Violations, changed: () => void) {
    this.#clock = clock;
    this.registers = new RegisterBlock(
      "XOSC",
      {
        0: {
          write: (value) => {
            const enable = (value >>> 12) & 0xfff;
            if ((value & 0xfff) !== 0xaa0) violations.report("clock", "XOSC_CTRL FREQ_RANGE is not 1-15 MHz");
            if (enable === XOSC_ENABLE) this.#start();
            else if (enable === XOSC_DISABLE) this.#stableNanos = Number.POSITIVE_INFINITY;
            // Zero changes nothing: the usual first write sets the range alone.
            else if (enable !== 0) violations.report("clock", "XOSC_CTRL ENABLE is neither fab nor d1e");
            this.registers.set(0, value);
            changed();
          },
        },
        4: {
          mask: READ_ONLY,
          read: () =>
            (this.hz > 0 ? XOSC_STABLE : 0) |
            (this.#stableNanos === Number.POSITIVE_INFINITY ? 0 : XOSC_ENABLED),
        },
        12: { reset: 0xc4, mask: 0x10_3fff },
      },
      violations,
    );
  }

  /** 0 until it is stable. */
  get hz(): number {
    return this.#clock.nanos >= this.#stableNanos ? CRYSTAL_HZ : 0;
  }

  #start(): void {
    if (this.#stableNanos !== Number.POSITIVE_INFINITY) return;
    const startup = this.registers.get(12);
    const cycles = (startup & 0x3fff) * STARTUP_UNIT * (startup & 0x10_0000 ? 4 : 1);
    this.#stableNanos = this.#clock.nanos + (cycles * 1e9) / CRYSTAL_HZ;
  }
}

const PLL_LOCK = 0x8000_0000;
const PLL_BYPASS = 1 << 8;
const PLL_OFF_MAIN = 1 << 0;
const PLL_OFF_POST = 1 << 3;
const PLL_OFF_VCO = 1 << 5;
/** The datasheet gives no time; 100 us is longer than what is seen on boards. */
const PLL_LOCK_NANOS = 100_000;
const POWER = 0x04;
const POST = 0x0c;
const VCO_MHZ = { low: 750, high: 1600 } as const;

export class Pll {
  readonly registers: RegisterBlock;
  readonly #clock: VirtualClock;
  readonly #crystal: Crystal;
  readonly #violations: Violations;
  #lockNanos = Number.POSITIVE_INFINITY;

  constructor(options: {
    readonly name: string;
    readonly clock: VirtualClock;
    readonly crystal: Crystal;
    readonly violations: Violations;
    readonly changed: () => void;
  }) {
    this.#clock = options.clock;
    this.#crystal = options.crystal;
    this.#violations = options.violations;
    const write = (offset: number, mask: number) => ({
      write: (value: number) => {
        const changed = this.registers.get(offset) ^ (value & mask);
        this.registers.set(offset, value & mask);
        if (changed & (offset === POST ? 0 : offset === POWER ? PLL_OFF_MAIN | PLL_OFF_VCO : -1))
          this.#relock();
        options.changed();
      },
    });
    this.registers = new RegisterBlock(
      options.name,
      {
        0: {
          reset: 1,
          read: () => this.registers.get(0) | (this.#locked ? PLL_LOCK : 0),
          ...write(0, PLL_BYPASS | 0x3f),
        },
        4: { reset: 0x2d, ...write(4, 0x2d) },
        8: write(8, 0xfff),
        12: { reset: 0x77_000, ...write(12, 0x77_000) },
      },
      options.violations,
    );
  }

  reset(): void {
    this.registers.reset();
    this.#lockNanos = Number.POSITIVE_INFINITY;
  }

  /** rp2040js' clock tree reads this name. 0 unless locked and powered. */
  get frequency(): number {
    const reference = this.#crystal.hz / (this.registers.get(0) & 0x3f || 1);
    if (this.registers.get(0) & PLL_BYPASS) return reference;
    if (!this.#locked || this.registers.get(4) & PLL_OFF_POST) return 0;
    const post = this.registers.get(12);
    const divide = ((post >>> 16) & 7) * ((post >>> 12) & 7);
    return (reference * this.registers.get(8)) / (divide || 1);
  }

  get #locked(): boolean {
    return this.#clock.nanos >= this.#lockNanos;
  }
  #relock(): void {
    this.#lockNanos = Number.POSITIVE_INFINITY;
    const feedback = this.registers.get(8);
    if (this.registers.get(4) & (PLL_OFF_MAIN | PLL_OFF_VCO) || feedback === 0) return;
    const reference = this.#crystal.hz / (this.registers.get(0) & 0x3f || 1) / 1e6;
    const vco = reference * feedback;
    if (reference === 0)
      this.#violations.report("clock", `${this.registers.name} started without a stable crystal`);
    else if (reference < 5 || feedback < 16 || feedback > 320 || vco < VCO_MHZ.low || vco > VCO_MHZ.high)
      this.#violations.report("clock", `${this.registers.name} oscillator at ${vco} MHz is out of its range`);
    this.#lockNanos = this.#clock.nanos + PLL_LOCK_NANOS;
  }
}

/** The ring oscillator: always on here. Its random bit is the board's seed. */
export function ringOscillator(seed: number, violations: Violations): RegisterBlock {
  const random = noise(seed);
  return new RegisterBlock(
    "ROSC",
    {
      0: { reset: 0xfab_aa0, mask: 0xff_ffff },
      4: {},
      8: {},
      16: { reset: 0xaa0 },
      20: { reset: 8 },
      24: { reset: 0x8000_1000, mask: READ_ONLY },
      28: { mask: READ_ONLY, read: () => random() >>> 31 },
      32: {},
    },
    violations,
  );
}

const CLK_REF_CTRL = 0x30;
const CLK_SYS_CTRL = 0x3c;
const CLK_ADC_CTRL = 0x60;
const CLK_ADC_DIV = 0x64;
const AUXILIARY = 7 << 5;

/** rp2040js' CLOCKS, with what would stop or glitch the processor checked at each write. */
export class CheckedClocks {
  readonly #chip: RP2040;
  readonly #violations: Violations;
  readonly #changed: () => void;
  #adcDivider = 0x100;

  constructor(chip: RP2040, violations: Violations, changed: () => void) {
    this.#chip = chip;
    this.#violations = violations;
    this.#changed = changed;
  }

  readUint32(offset: number): number {
    // rp2040js masks this one with the wrong bits.
    return offset === CLK_ADC_DIV ? this.#adcDivider : this.#chip.clocks.readUint32(offset);
  }
  writeUint32(offset: number, value: number): void {
    this.writeUint32Atomic(offset, value, 0);
  }
  writeUint32Atomic(offset: number, raw: number, alias: number): void {
    const { clocks } = this.#chip;
    const before = clocks.readUint32(offset);
    clocks.writeUint32Atomic(offset, raw, alias);
    if (offset === CLK_ADC_DIV) this.#adcDivider = raw & 0x300;
    const after = clocks.readUint32(offset);
    const usesAuxiliary =
      (offset === CLK_SYS_CTRL && (after & 1) === 1) || (offset === CLK_REF_CTRL && (after & 3) === 1);
    if (usesAuxiliary && (before & 3) === (after & 3) && (before ^ after) & AUXILIARY)
      this.#violations.report("clock", "AUXSRC changed while it is in use: the clock glitches");
    this.#changed();
  }

  /** clk_adc in Hz, 0 while it is off. */
  get adcHz(): number {
    const { clocks, pllUsb, pllSys } = this.#chip;
    const control = clocks.readUint32(CLK_ADC_CTRL);
    if (!(control & (1 << 11)) || control & (1 << 10)) return 0;
    const divide = this.#adcDivider >>> 8 || 4;
    const sources = [pllUsb.frequency, pllSys.frequency, this.#chip.roscFreq, this.#chip.xoscFreq];
    return (sources[(control >>> 5) & 7] ?? 0) / divide;
  }
}
