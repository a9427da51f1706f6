/**
 * PWM by arithmetic. rp2040js sets three alarms a period and slice, so that a board that dims a lamp never sleeps; here a counter
 * is worked out when somebody looks, and an alarm exists only for a slice whose wrap interrupt is on.
 */
import type { Alarm, VirtualClock } from "./clock.ts";
import { READ_ONLY, type Register, RegisterBlock } from "./registers.ts";
import type { Violations } from "./violation.ts";

const SLICES = 8;
const SLICE_BYTES = 0x14;
const CSR = 0;
const DIV = 4;
const CC = 12;
const TOP = 16;
const CSR_ENABLE = 1 << 0;
const CSR_PHASE_CORRECT = 1 << 1;
const CSR_INVERT_A = 1 << 2;
const CSR_INVERT_B = 1 << 3;
const CSR_MODELLED = CSR_ENABLE | CSR_PHASE_CORRECT | CSR_INVERT_A | CSR_INVERT_B;
const PINS = 30;

interface Slice {
  /** Counts run so far at `sinceNanos`, as a fraction. */
  counts: number;
  sinceNanos: number;
  /** Wraps that INTR was cleared for. */
  seenWraps: number;
  readonly alarm: Alarm;
}

export class Pwm {
  readonly registers: RegisterBlock;
  /** Read by rp2040js' pins: every pin given to PWM is driven. */
  readonly gpioDirection = 0xffff_ffff;
  /** rp2040js walks these when clk_sys changes; there are none of its kind. */
  readonly channels: readonly never[] = [];
  readonly #clock: VirtualClock;
  readonly #systemHz: () => number;
  readonly #setInterrupt: (value: boolean) => void;
  readonly #violations: Violations;
  readonly #slices: readonly Slice[];
  #enabled = 0;
  #forced = 0;

  constructor(options: {
    readonly clock: VirtualClock;
    readonly violations: Violations;
    readonly systemHz: () => number;
    readonly setInterrupt: (value: boolean) => void;
  }) {
    this.#clock = options.clock;
    this.#violations = options.violations;
    this.#systemHz = options.systemHz;
    this.#setInterrupt = options.setInterrupt;
    this.#slices = Array.from({ length: SLICES }, () => ({
      counts: 0,
      sinceNanos: options.clock.nanos,
      seenWraps: 0,
      alarm: options.clock.createAlarm(() => this.#update()),
    }));
    this.registers = this.#table();
  }

  reset(): void {
    this.registers.reset();
    this.#enabled = 0;
    this.#forced = 0;
    for (const slice of this.#slices) {
      slice.counts = 0;
      slice.seenWraps = 0;
    }
    this.#update();
  }

  /** Share of full scale, 0 to 65535, that a pin given to PWM is high. */
  duty(pin: number): number {
    const slice = (pin >>> 1) & 7;
    const { high, period } = this.#shape(slice, pin & 1);
    return this.#get(slice, CSR) & CSR_ENABLE ? Math.round((high / period) * 65_535) : 0;
  }

  /** clk_sys is about to change: what was counted at the old rate is kept. */
  settle(): void {
    for (const [index, slice] of this.#slices.entries()) this.#settle(index, slice);
  }
  /** clk_sys changed. */
  resume(): void {
    this.#update();
  }

  /** Levels of all pins at this moment, as rp2040js reads them. */
  get gpioValue(): number {
    let levels = 0;
    for (let pin = 0; pin < PINS; pin += 1) {
      const slice = (pin >>> 1) & 7;
      const { high, invert } = this.#shape(slice, pin & 1);
      if (this.#counter(slice) < (invert ? this.#top(slice) + 1 - high : high) !== invert) levels |= 1 << pin;
    }
    return levels;
  }
  get clockFreq(): number {
    return this.#systemHz();
  }
  gpioOnInput(): void {
    // Counting by an input is refused when CSR is written.
  }

  #get(slice: number, register: number): number {
    return this.registers.get(slice * SLICE_BYTES + register);
  }
  #top(slice: number): number {
    return this.#get(slice, TOP);
  }
  #shape(slice: number, channel: number): { high: number; period: number; invert: boolean } {
    const period = this.#top(slice) + 1;
    const compare = Math.min(period, (this.#get(slice, CC) >>> (16 * channel)) & 0xffff);
    const invert = (this.#get(slice, CSR) & (channel === 0 ? CSR_INVERT_A : CSR_INVERT_B)) !== 0;
    return { high: invert ? period - compare : compare, period, invert };
  }
  /** Counts a second. */
  #rate(slice: number): number {
    const divider = (this.#get(slice, DIV) & 0xfff) / 16;
    return this.#get(slice, CSR) & CSR_ENABLE ? this.#systemHz() / (divider < 1 ? 256 : divider) : 0;
  }
  #counts(index: number): number {
    const slice = this.#slices[index] as Slice;
    return slice.counts + ((this.#clock.nanos - slice.sinceNanos) / 1e9) * this.#rate(index);
  }
  #period(slice: number): number {
    const top = this.#top(slice);
    return this.#get(slice, CSR) & CSR_PHASE_CORRECT ? Math.max(1, 2 * top) : top + 1;
  }
  #counter(slice: number): number {
    const at = Math.floor(this.#counts(slice) + 1e-6) % this.#period(slice);
    return at > this.#top(slice) ? this.#period(slice) - at : at;
  }
  #settle(index: number, slice: Slice): void {
    slice.counts = this.#counts(index);
    slice.sinceNanos = this.#clock.nanos;
  }
  #wraps(slice: number): number {
    return Math.floor((this.#counts(slice) + 1e-6) / this.#period(slice));
  }

  get #raw(): number {
    let bits = 0;
    for (const [index, slice] of this.#slices.entries())
      if (this.#wraps(index) > slice.seenWraps) bits |= 1 << index;
    return bits;
  }
  /** Interrupt line, and an alarm at the next wrap of each slice that interrupts. */
  #update(): void {
    const raw = this.#raw;
    for (const [index, slice] of this.#slices.entries()) {
      slice.alarm.cancel();
      const rate = this.#rate(index);
      if (!(this.#enabled & (1 << index)) || raw & (1 << index) || rate === 0) continue;
      const counts = (this.#wraps(index) + 1) * this.#period(index) - this.#counts(index);
      slice.alarm.schedule((counts * 1e9) / rate);
    }
    this.#setInterrupt(((raw & this.#enabled) | this.#forced) !== 0);
  }

  #table(): RegisterBlock {
    const registers: Record<number, Register> = {};
    for (let index = 0; index < SLICES; index += 1) {
      const change = (register: number, mask: number) => ({
        write: (value: number) => this.#change(index, () => this.#write(index, register, value & mask)),
      });
      const base = index * SLICE_BYTES;
      registers[base + CSR] = change(CSR, 0xff);
      registers[base + DIV] = { reset: 0x10, ...change(DIV, 0xfff) };
      registers[base + 8] = {
        read: () => this.#counter(index),
        write: (value) =>
          this.#change(index, () => {
            (this.#slices[index] as Slice).counts = value & 0xffff;
          }),
      };
      registers[base + CC] = change(CC, 0xffff_ffff);
      registers[base + TOP] = { reset: 0xffff, ...change(TOP, 0xffff) };
    }
    return new RegisterBlock(
      "PWM",
      {
        ...registers,
        160: {
          read: () => this.#running,
          write: (value) => {
            for (let index = 0; index < SLICES; index += 1) {
              const csr = this.#get(index, CSR) & ~CSR_ENABLE;
              this.#change(index, () => this.#write(index, CSR, csr | ((value >>> index) & 1)));
            }
          },
        },
        164: {
          read: () => this.#raw,
          write: (_, raw) => {
            for (const [index, slice] of this.#slices.entries())
              if (raw & (1 << index)) slice.seenWraps = this.#wraps(index);
            this.#update();
          },
        },
        168: {
          read: () => this.#enabled,
          write: (value) => {
            this.#enabled = value & 0xff;
            this.#update();
          },
        },
        172: {
          read: () => this.#forced,
          write: (value) => {
            this.#forced = value & 0xff;
            this.#update();
          },
        },
        176: { mask: READ_ONLY, read: () => (this.#raw & this.#enabled) | this.#forced },
      },
      this.#violations,
    );
  }

  get #running(): number {
    let bits = 0;
    for (let index = 0; index < SLICES; index += 1) bits |= (this.#get(index, CSR) & CSR_ENABLE) << index;
    return bits;
  }
  /** Keeps what was counted under the old settings: the phase, and whether a wrap is still to be seen. */
  #change(index: number, act: () => void): void {
    const slice = this.#slices[index] as Slice;
    const unseen = this.#wraps(index) > slice.seenWraps;
    this.#settle(index, slice);
    slice.counts %= this.#period(index);
    act();
    slice.counts %= this.#period(index);
    slice.seenWraps = unseen ? -1 : 0;
    this.#update();
  }
  #write(slice: number, register: number, value: number): void {
    if (register === CSR && value & ~CSR_MODELLED)
      this.#violations.report("unmodelled", "PWM counting by an input, or a phase step");
    this.registers.set(slice * SLICE_BYTES + register, value);
  }
}
