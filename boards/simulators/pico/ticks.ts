/**
 * The watchdog's tick generator, the timer that counts it, and the watchdog itself. rp2040js' timer runs whether or not
 * firmware started the tick, and its alarms may come a microsecond early; its watchdog resets nothing. Here time stands
 * still until WATCHDOG_TICK is set up, as on silicon (RP2040 datasheet 4.7.2).
 */
import type { Alarm, VirtualClock } from "./clock.ts";
import { READ_ONLY, RegisterBlock } from "./registers.ts";
import type { Violations } from "./violation.ts";

const TICK_ENABLE = 1 << 9;
const TICK_RUNNING = 1 << 10;
const TICK_CYCLES = 0x1ff;
/** A nanosecond: a double holds nanoseconds to within that for months. */
const ROUNDING_TICKS = 0.001;

/** Counts clk_ref down to a tick, meant to be one microsecond. */
export class Ticks {
  readonly #clock: VirtualClock;
  readonly #refHz: () => number;
  readonly #listeners: (() => void)[] = [];
  #control = TICK_ENABLE;
  #nanosPerTick = Number.POSITIVE_INFINITY;
  #count = 0;
  #sinceNanos: number;

  constructor(clock: VirtualClock, refHz: () => number) {
    this.#clock = clock;
    this.#refHz = refHz;
    this.#sinceNanos = clock.nanos;
  }

  get control(): number {
    return this.#control | (this.#nanosPerTick === Number.POSITIVE_INFINITY ? 0 : TICK_RUNNING);
  }
  setControl(value: number): void {
    this.#control = value & (TICK_ENABLE | TICK_CYCLES);
    this.update();
  }

  /** Whole ticks since the board's reset. */
  get count(): number {
    return this.#count + Math.floor(this.#partial());
  }
  /** Nanoseconds from now until `count` has reached this; Infinity while nothing ticks. */
  nanosUntil(count: number): number {
    if (this.#nanosPerTick === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
    const due = this.#sinceNanos + (count - this.#count) * this.#nanosPerTick;
    return Math.max(0, due - this.#clock.nanos);
  }
  onChange(call: () => void): void {
    this.#listeners.push(call);
  }

  /** clk_ref or the control register changed. */
  update(): void {
    const cycles = this.#control & TICK_CYCLES;
    const hz = this.#refHz();
    const runs = (this.#control & TICK_ENABLE) !== 0 && cycles > 0 && hz > 0;
    const nanosPerTick = runs ? (cycles * 1e9) / hz : Number.POSITIVE_INFINITY;
    if (nanosPerTick === this.#nanosPerTick) return;
    this.#count = this.count;
    this.#sinceNanos = this.#clock.nanos;
    this.#nanosPerTick = nanosPerTick;
    for (const call of this.#listeners) call();
  }

  #partial(): number {
    if (this.#nanosPerTick === Number.POSITIVE_INFINITY) return 0;
    // Rounding must not keep a count from being reached at the very alarm that was set for it.
    return (this.#clock.nanos - this.#sinceNanos) / this.#nanosPerTick + ROUNDING_TICKS;
  }
}

const ALARMS = 4;
const WORD = 2 ** 32;

/** TIMER: 64 bits of ticks, four alarms on the lower 32. */
export class TimerBlock {
  readonly registers: RegisterBlock;
  readonly #ticks: Ticks;
  readonly #setInterrupt: (irq: number, value: boolean) => void;
  readonly #alarms: Alarm[] = [];
  readonly #targets = new Uint32Array(ALARMS);
  #armed = 0;
  #raw = 0;
  #enabled = 0;
  #forced = 0;
  /** Difference between the timer and the tick count: firmware may set the time. */
  #offset = 0;
  #latchedHigh = 0;
  #writtenLow = 0;

  constructor(options: {
    readonly clock: VirtualClock;
    readonly ticks: Ticks;
    readonly violations: Violations;
    readonly setInterrupt: (irq: number, value: boolean) => void;
  }) {
    const { clock, ticks, violations } = options;
    this.#ticks = ticks;
    this.#setInterrupt = options.setInterrupt;
    this.#offset = -ticks.count;
    for (let index = 0; index < ALARMS; index += 1)
      this.#alarms.push(clock.createAlarm(() => this.#ring(index)));
    ticks.onChange(() => this.#schedule());
    const alarm = (index: number) => ({
      read: () => this.#targets[index] as number,
      write: (value: number) => this.#arm(index, value),
    });
    const low = () => this.#now % WORD;
    const high = () => Math.floor(this.#now / WORD);
    this.registers = new RegisterBlock(
      "TIMER",
      {
        0: { write: (value) => this.#setTime(value) },
        4: { write: (value) => this.#setLow(value) },
        8: { mask: READ_ONLY, read: () => this.#latchedHigh },
        12: {
          mask: READ_ONLY,
          read: () => {
            this.#latchedHigh = high();
            return low();
          },
        },
        16: alarm(0),
        20: alarm(1),
        24: alarm(2),
        28: alarm(3),
        32: { read: () => this.#armed, write: (_, raw) => this.#disarm(raw) },
        36: { mask: READ_ONLY, read: high },
        40: { mask: READ_ONLY, read: low },
        44: { reset: 7 },
        48: {
          write: (value) => {
            if (value & 1) violations.report("unmodelled", "TIMER_PAUSE");
          },
        },
        52: { read: () => this.#raw, write: (_, raw) => this.#signal(this.#raw & ~raw) },
        56: {
          read: () => this.#enabled,
          write: (value) => {
            this.#enabled = value & 15;
            this.#signal(this.#raw);
          },
        },
        60: {
          read: () => this.#forced,
          write: (value) => {
            this.#forced = value & 15;
            this.#signal(this.#raw);
          },
        },
        64: { mask: READ_ONLY, read: () => (this.#raw & this.#enabled) | this.#forced },
      },
      violations,
    );
  }

  reset(): void {
    this.registers.reset();
    this.#disarm(15);
    this.#offset = -this.#ticks.count;
    this.#enabled = 0;
    this.#forced = 0;
    this.#signal(0);
  }

  get #now(): number {
    return this.#ticks.count + this.#offset;
  }
  #setTime(high: number): void {
    this.#offset = high * WORD + this.#writtenLow - this.#ticks.count;
    this.#schedule();
  }
  #setLow(value: number): void {
    this.#writtenLow = value;
  }
  #arm(index: number, target: number): void {
    this.#targets[index] = target;
    this.#armed |= 1 << index;
    this.#schedule();
  }
  #disarm(bits: number): void {
    this.#armed &= ~bits;
    this.#schedule();
  }

  /** An alarm matches when the lower word becomes equal: one set for a time just gone waits for the next round. */
  #schedule(): void {
    for (const [index, alarm] of this.#alarms.entries()) {
      alarm.cancel();
      if (!(this.#armed & (1 << index))) continue;
      const now = this.#now;
      const ahead = ((this.#targets[index] as number) - (now % WORD) + WORD) % WORD;
      const nanos = this.#ticks.nanosUntil(now + ahead - this.#offset);
      if (nanos !== Number.POSITIVE_INFINITY) alarm.schedule(nanos);
    }
  }
  #ring(index: number): void {
    this.#armed &= ~(1 << index);
    this.#signal(this.#raw | (1 << index));
  }
  #signal(raw: number): void {
    this.#raw = raw & 15;
    const status = (this.#raw & this.#enabled) | this.#forced;
    for (let index = 0; index < ALARMS; index += 1) this.#setInterrupt(index, (status & (1 << index)) !== 0);
  }
}

export const REASON_TIMER = 1;
export const REASON_FORCE = 2;
const TRIGGER = 0x8000_0000;
const ENABLE = 0x4000_0000;
const PAUSE = 0x0700_0000;
const LOAD_MAX = 0xff_ffff;
/** Erratum RP2040-E1: the counter goes down twice a tick. */
const STEPS_PER_TICK = 2;

/** What outlives a warm reset. */
export interface WatchdogState {
  reason: number;
  readonly scratch: Uint32Array;
}

export class Watchdog {
  readonly registers: RegisterBlock;
  readonly #ticks: Ticks;
  readonly #alarm: Alarm;
  readonly #fire: (reason: number) => void;
  #pause = PAUSE;
  #enabled = false;
  /** Counter's value at `#atTick`. */
  #value = 0;
  #atTick = 0;

  constructor(options: {
    readonly clock: VirtualClock;
    readonly ticks: Ticks;
    readonly violations: Violations;
    readonly state: WatchdogState;
    readonly fire: (reason: number) => void;
  }) {
    const { ticks, state } = options;
    this.#ticks = ticks;
    this.#fire = options.fire;
    this.#alarm = options.clock.createAlarm(() => this.#expire());
    ticks.onChange(() => this.#schedule());
    const scratch = (index: number) => ({
      read: () => state.scratch[index] as number,
      write: (value: number) => void state.scratch.fill(value, index, index + 1),
    });
    this.registers = new RegisterBlock(
      "WATCHDOG",
      {
        0: {
          read: () => (this.#enabled ? ENABLE : 0) | this.#pause | this.#left(),
          write: (value) => this.#control(value),
        },
        4: { write: (value) => this.#load(value & LOAD_MAX) },
        8: { mask: READ_ONLY, read: () => state.reason },
        ...Object.fromEntries([...state.scratch.keys()].map((index) => [12 + 4 * index, scratch(index)])),
        44: { read: () => ticks.control, write: (value) => ticks.setControl(value) },
      },
      options.violations,
    );
  }

  #left(): number {
    if (!this.#enabled) return this.#value;
    return Math.max(0, this.#value - STEPS_PER_TICK * (this.#ticks.count - this.#atTick));
  }
  #load(value: number): void {
    this.#value = value;
    this.#atTick = this.#ticks.count;
    this.#schedule();
  }
  #control(value: number): void {
    this.#value = this.#left();
    this.#atTick = this.#ticks.count;
    this.#pause = value & PAUSE;
    this.#enabled = (value & ENABLE) !== 0;
    this.#schedule();
    if (value & TRIGGER) this.#fire(REASON_FORCE);
  }
  #schedule(): void {
    this.#alarm.cancel();
    if (!this.#enabled) return;
    const nanos = this.#ticks.nanosUntil(this.#atTick + Math.ceil(this.#value / STEPS_PER_TICK));
    if (nanos !== Number.POSITIVE_INFINITY) this.#alarm.schedule(nanos);
  }
  #expire(): void {
    if (this.#left() > 0) this.#schedule();
    else this.#fire(REASON_TIMER);
  }
}
