/**
 * One life of the chip, from a reset to the next: an rp2040js RP2040 with this board's bus, clocks, UARTs, timer, watchdog,
 * PWM and boot ROM in it. What outlives it (flash, RAM, scratch registers, driven pins) belongs to the board.
 */
import { RP2040 } from "rp2040js";
import type { AnalogSource } from "../virtual/pins.ts";
import { bootRom } from "./bootrom.ts";
import { type BusPeripheral, installBus } from "./bus.ts";
import { VirtualClock } from "./clock.ts";
import { CheckedClocks, Crystal, Pll, ringOscillator } from "./clocks.ts";
import { installCore, strictLogger, wakes } from "./core.ts";
import type { FlashCut, FlashOperation, NorFlash } from "./flash.ts";
import { FlashRom } from "./flash-rom.ts";
import { Pwm } from "./pwm.ts";
import { RegisterBlock } from "./registers.ts";
import { chipReset, Resets } from "./resets.ts";
import { Ticks, TimerBlock, Watchdog, type WatchdogState } from "./ticks.ts";
import { Uart } from "./uart.ts";
import type { Violations } from "./violation.ts";
import { Xip } from "./xip.ts";

export interface MachineOptions {
  readonly nanos: number;
  readonly flash: NorFlash;
  readonly ram: Uint8Array;
  readonly watchdog: WatchdogState;
  readonly chipReset: number;
  readonly seed: number;
  readonly violations: Violations;
  readonly analog: AnalogSource;
  readonly onFlashOperation: (operation: FlashOperation) => FlashCut | undefined;
  readonly onUartByte: (uart: 0 | 1, byte: number) => void;
  readonly cutPower: () => void;
  readonly usbBoot: (noBoot: boolean) => void;
  /** `reason` is the watchdog's REASON; undefined for SYSRESETREQ, which leaves it. */
  readonly reset: (reason: number | undefined) => void;
}

const ROM = bootRom();
const ROSC_HZ = 6_500_000;
const IRQ_PWM = 4;
const IRQ_UART0 = 20;
const FUNCTION_UART = 2;
/** Pins a UART can have (RP2040 datasheet 1.4.3): the first of each four-pin group sends, the next receives. */
const UART_PINS = {
  transmit: [
    [0, 12, 16, 28],
    [4, 8, 20, 24],
  ],
  receive: [
    [1, 13, 17, 29],
    [5, 9, 21, 25],
  ],
};
const ADC_CYCLES = 96;
const ADC_FULL_SCALE = 4095;
const ADC_START_ONE = 1 << 2;
const AIRCR = 0xd0c;
const AIRCR_KEY = 0x05fa;
const AIRCR_RESET = 1 << 2;
const PSM_WDSEL = 8;
/** The processors' bit: a watchdog that does not select it leaves them running. */
const PSM_PROCESSOR = 1 << 15;

export class Machine {
  readonly chip: RP2040;
  readonly clock: VirtualClock;
  readonly uarts: readonly [Uart, Uart];
  readonly flashRom: FlashRom;
  nanosPerCycle: number;
  readonly #options: MachineOptions;
  readonly #violations: Violations;
  readonly #pwm: Pwm;
  readonly #timer: TimerBlock;
  readonly #watchdog: Watchdog;
  readonly #ticks: Ticks;
  readonly #xip: Xip;
  readonly #clocks: CheckedClocks;
  readonly #plls: readonly [Pll, Pll];
  readonly #crystal: Crystal;
  #systemHz = ROSC_HZ;

  constructor(options: MachineOptions) {
    this.#options = options;
    const { violations } = options;
    this.#violations = violations;
    const clock = new VirtualClock(options.nanos);
    this.clock = clock;
    const chip = new RP2040(clock);
    this.chip = chip;
    chip.sram.set(options.ram);
    const setInterrupt = (irq: number) => (value: boolean) => chip.setInterrupt(irq, value);
    const clocksChanged = () => this.#clocksChanged();

    this.#crystal = new Crystal(clock, violations, clocksChanged);
    const pll = (name: string) =>
      new Pll({ name, clock, crystal: this.#crystal, violations, changed: clocksChanged });
    this.#plls = [pll("PLL_SYS"), pll("PLL_USB")];
    this.#clocks = new CheckedClocks(chip, violations, clocksChanged);
    this.#ticks = new Ticks(clock, () => chip.clocks.refFreq);
    this.#timer = new TimerBlock({
      clock,
      ticks: this.#ticks,
      violations,
      setInterrupt: (irq, value) => chip.setInterrupt(irq, value),
    });
    this.#watchdog = new Watchdog({
      clock,
      ticks: this.#ticks,
      violations,
      state: options.watchdog,
      fire: (reason) => this.#watchdogFired(reason),
    });
    this.#pwm = new Pwm({
      clock,
      violations,
      systemHz: () => this.#systemHz,
      setInterrupt: setInterrupt(IRQ_PWM),
    });
    this.uarts = [this.#uart(0), this.#uart(1)];
    this.#xip = new Xip(violations, () => this.#systemHz);
    this.flashRom = new FlashRom({
      clock,
      flash: options.flash,
      xip: this.#xip,
      violations,
      sram: chip.sram,
      readByte: (address) => chip.readUint8(address),
      onOperation: options.onFlashOperation,
      cutPower: options.cutPower,
      usbBoot: options.usbBoot,
    });
    this.nanosPerCycle = 1e9 / ROSC_HZ;
    this.#install();
  }

  /** True while the processor executes nothing: WFI, WFE, or the ROM waiting for flash. */
  get sleeps(): boolean {
    const { core } = this.chip;
    if (core.waiting) return true;
    return this.flashRom.waitUntilNanos !== undefined && !core.interruptsUpdated;
  }
  /** When it goes on by itself; Infinity without an alarm. */
  get wakeNanos(): number {
    return Math.min(this.clock.dueNanos, this.flashRom.waitUntilNanos ?? Number.POSITIVE_INFINITY);
  }
  duty(pin: number): number {
    return this.#pwm.duty(pin);
  }

  /** After a WFI: an interrupt that was pending already must not be slept through. */
  settleSleep(): void {
    const { core } = this.chip;
    if (!core.waiting || !wakes(core)) return;
    core.waiting = false;
    core.interruptsUpdated = true;
  }

  #install(): void {
    const { chip } = this;
    const violations = this.#violations;
    const resets = new Resets(violations, (bits) => this.#enterReset(bits));
    resets.releaseFlashPins();
    const peripherals = new Map<number, BusPeripheral>([
      [0x14000, this.#xip.control],
      [0x18000, this.#xip.ssi],
      [0x40008, this.#clocks],
      [0x4000c, resets.registers],
      [0x40014, this.#pinFunctions()],
      [0x40018, flashPins(violations)],
      [0x40024, this.#crystal.registers],
      [0x40028, this.#plls[0].registers],
      [0x4002c, this.#plls[1].registers],
      [0x40034, this.uarts[0].registers],
      [0x40038, this.uarts[1].registers],
      [0x40050, this.#pwm.registers],
      [0x40054, this.#timer.registers],
      [0x40058, this.#watchdog.registers],
      [0x40060, ringOscillator(this.#options.seed, violations)],
      [0x40064, chipReset(this.#options.chipReset, violations)],
    ]);
    // Assigned, not constructed: rp2040js builds its own, and its clock tree and pins look these up by name.
    Object.assign(chip, {
      pllSys: this.#plls[0],
      pllUsb: this.#plls[1],
      pwm: this.#pwm,
      flash: new Uint8Array(0),
      flash16: new Uint16Array(0),
      flashView: new DataView(new ArrayBuffer(0)),
    });
    Object.defineProperty(chip, "xoscFreq", { get: () => this.#crystal.hz });
    chip.roscFreq = ROSC_HZ;
    chip.logger = strictLogger(chip, violations);
    chip.onBreak = (number) => this.#breakpoint(number);
    chip.adc.onADCRead = (channel) => this.#convert(channel);
    chip.addClockListener((hz) => this.#systemClock(hz));
    const control = this.#systemControl();
    installBus({
      chip,
      rom: ROM,
      flash: this.#options.flash.view,
      violations,
      xip: this.#xip,
      held: (bit) => resets.holds(bit),
      peripherals,
      systemControl: control,
    });
    violations.pc = installCore(chip, violations);
    chip.core.VTOR = 0;
    chip.core.reset();
    chip.updateClocks();
  }

  #uart(index: 0 | 1): Uart {
    const { chip, clock } = this;
    return new Uart({
      name: `UART${index}`,
      clock,
      violations: this.#violations,
      peripheralHz: () => chip.clocks.periFreq,
      connected: (side) =>
        (UART_PINS[side][index] as number[]).some((pin) => chip.gpio[pin]?.functionSelect === FUNCTION_UART),
      setInterrupt: (value) => chip.setInterrupt(IRQ_UART0 + index, value),
      sent: (byte) => this.#options.onUartByte(index, byte),
    });
  }

  /** rp2040js' IO_BANK0; a UART that gets its pin may take up what waits on the line. */
  #pinFunctions(): BusPeripheral {
    const block = this.chip.peripherals[0x40014] as BusPeripheral;
    return {
      readUint32: (offset) => block.readUint32(offset),
      writeUint32Atomic: (offset, value, alias) => {
        block.writeUint32Atomic(offset, value, alias);
        for (const uart of this.uarts) uart.poke();
      },
    };
  }

  #systemControl(): BusPeripheral & { has(offset: number): boolean } {
    const violations = this.#violations;
    const block = new RegisterBlock(
      "SCB",
      {
        [AIRCR]: {
          reset: 0xfa05_0000,
          write: (value) => {
            if (value >>> 16 === AIRCR_KEY && value & AIRCR_RESET) this.#options.reset(undefined);
          },
        },
        // SLEEPONEXIT and SLEEPDEEP are not modelled; SEVONPEND makes no difference to firmware that sleeps by WFI.
        3344: {
          write: (value) => {
            if (value & 6) violations.report("unmodelled", "SCR SLEEPONEXIT or SLEEPDEEP");
            block.set(0xd10, value & 0x10);
          },
        },
        3348: { reset: 0x208, mask: 0 },
      },
      violations,
    );
    const offsets = new Set([AIRCR, 0xd10, 0xd14]);
    return {
      has: (offset) => offsets.has(offset),
      readUint32: (offset) => block.readUint32(offset),
      writeUint32Atomic: (offset, value, alias) => block.writeUint32Atomic(offset, value, alias),
    };
  }

  #breakpoint(number: number): void {
    const { core } = this.chip;
    const inRom = core.PC <= ROM.length && this.chip.readUint16(core.PC - 2) >>> 8 === 0xbe;
    if (inRom && this.flashRom.hook(number, core)) return;
    this.#violations.report("hard-fault", "breakpoint or udf without a debugger");
  }

  #convert(channel: number): void {
    const { chip, clock } = this;
    const hz = this.#clocks.adcHz;
    if (hz === 0) {
      // On silicon the conversion never ends.
      this.#violations.report("clock", "ADC conversion started while clk_adc is off");
      return;
    }
    clock
      .createAlarm(() => {
        const share = this.#options.analog(channel, Math.round(clock.nanos / 1000));
        const value = Math.round(Math.min(1, Math.max(0, share || 0)) * ADC_FULL_SCALE);
        // rp2040js leaves it set: the next write through an alias would convert once more.
        chip.adc.cs &= ~ADC_START_ONE;
        chip.adc.completeADCRead(value, Number.isNaN(share));
      })
      .schedule((ADC_CYCLES * 1e9) / hz);
  }

  #clocksChanged(): void {
    const { chip } = this;
    if (chip.clocks.sysFreq === 0)
      this.#violations.report("clock", "clk_sys was switched to a source that does not run");
    chip.updateClocks();
    this.#ticks.update();
    for (const uart of this.uarts) uart.poke();
  }
  #systemClock(hz: number): void {
    this.#pwm.settle();
    this.#systemHz = hz;
    this.nanosPerCycle = 1e9 / hz;
    this.#pwm.resume();
    this.#xip.clockChanged();
  }

  #enterReset(bits: number): void {
    if (bits & (1 << 22)) this.uarts[0].reset();
    if (bits & (1 << 23)) this.uarts[1].reset();
    if (bits & (1 << 21)) this.#timer.reset();
    if (bits & (1 << 14)) this.#pwm.reset();
    if (bits & (1 << 12)) this.#plls[0].reset();
    if (bits & (1 << 13)) this.#plls[1].reset();
    if (bits & ((1 << 12) | (1 << 13))) this.#clocksChanged();
  }

  #watchdogFired(reason: number): void {
    const selected = this.chip.peripherals[0x40010]?.readUint32(PSM_WDSEL) ?? 0;
    if (!(selected & PSM_PROCESSOR))
      this.#violations.report("watchdog", "the watchdog fired, but PSM_WDSEL does not select the processors");
    this.#options.reset(reason);
  }
}

/** IO_QSPI: function and overrides of the flash's pins, held as written. */
function flashPins(violations: Violations): RegisterBlock {
  const registers: Record<number, { reset?: number; mask?: number }> = {};
  for (let pin = 0; pin < 6; pin += 1) {
    registers[8 * pin] = { mask: 0 };
    registers[8 * pin + 4] = { reset: 0 };
  }
  return new RegisterBlock("IO_QSPI", registers, violations);
}
