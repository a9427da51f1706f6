/**
 * An emulated Raspberry Pi Pico: a flash image runs in process, instruction by instruction, on rp2040js. A plain object without
 * a timer of its own; the caller advances virtual time, so that a test is exact, many boards interleave, and a run repeats to
 * the bit. Strict by default: what silicon would not let pass throws BOARD_STRICT (violation.ts lists what).
 *
 *   receiveUart --> line --> PL011 --> firmware in flash --> PL011 --> onUart
 *   analog, pins.drive ----> ADC, pads      |
 *                                   boot ROM's flash functions --> NOR flash (torn when the power goes)
 */
import { TardigradeError } from "../../../protocols/error.ts";
import type { AnalogSource } from "../virtual/pins.ts";
import { RAM_BYTES } from "./bus.ts";
import { type FlashCut, type FlashOperation, NorFlash } from "./flash.ts";
import { Machine } from "./machine.ts";
import { noise } from "./noise.ts";
import { PicoPins } from "./pins.ts";
import { HAD_POWER_ON, HAD_RUN_PIN } from "./resets.ts";
import { REASON_FORCE, REASON_TIMER, type WatchdogState } from "./ticks.ts";
import { FaultSignal, type OnViolation, type ViolationKind, Violations } from "./violation.ts";

export interface PicoBoardOptions {
  /** From the start of flash; the rest is erased. The board copies it, and keeps its flash across resets and power cuts. */
  readonly flash: Uint8Array;
  /** Channels 0 to 3 are pins 26 to 29, 4 is the temperature sensor. Time is the board's. NaN sets the ADC's error bit. */
  readonly analog?: AnalogSource;
  /** What firmware sent, gathered over one `advance`, in order; a byte counts when its last bit has left. */
  readonly onUart?: (uart: 0 | 1, bytes: Uint8Array) => void;
  /** True: violations throw. False: they are counted, and the board goes on as well as it can. */
  readonly strict?: boolean;
  /** Of a strict board: HardFaults reach the firmware's own handler, as on silicon, instead of throwing. */
  readonly deliverFaults?: boolean;
  /** RAM at power-on, torn flash and the ring oscillator's random bit come from it. */
  readonly seed?: number;
  /** Asked as each erase and program begins; an answer cuts the power. */
  readonly onFlashOperation?: (operation: FlashOperation) => FlashCut | undefined;
}

/** usb-boot: the ROM found no valid boot2, BOOTSEL was held, or firmware asked for it. halted: a violation was thrown. */
export type PicoState = "off" | "running" | "usb-boot" | "halted";

/**
 * software: as SYSRESETREQ. watchdog, forced: as the watchdog's timer or trigger. run: as the RUN pin, which clears the scratch
 * registers. All keep RAM.
 */
export type PicoReset = "software" | "watchdog" | "forced" | "run";

interface Request {
  readonly kind: "reset" | "cut" | "usb-boot";
  readonly reason?: number | undefined;
}

const SCRATCH_WORDS = 8;
const HARD_FAULT = 3;
const NMI = 2;

export class PicoBoard {
  readonly pins = new PicoPins();
  readonly #options: PicoBoardOptions;
  readonly #violations: Violations;
  readonly #flash: NorFlash;
  readonly #ram = new Uint8Array(RAM_BYTES);
  readonly #watchdog: WatchdogState = { reason: 0, scratch: new Uint32Array(SCRATCH_WORDS) };
  readonly #sent: [number[], number[]] = [[], []];
  readonly #seed: number;
  #chipReset = HAD_POWER_ON;
  #boots = 0;
  #state: PicoState = "off";
  #machine: Machine | undefined;
  #request: Request | undefined;
  #failure: TardigradeError | undefined;
  /** Where time stands while the board is off. */
  #nanos = 0;
  /** What `advance` was asked for in all; an instruction may end a little later. */
  #targetNanos = 0;
  #cycles = 0;
  #instructions = 0;

  constructor(options: PicoBoardOptions) {
    this.#options = options;
    this.#seed = options.seed ?? 1;
    const on: OnViolation = options.strict === false ? "count" : options.deliverFaults ? "deliver" : "throw";
    this.#violations = new Violations(on);
    this.#flash = new NorFlash(options.flash, this.#seed);
  }

  get state(): PicoState {
    return this.#state;
  }
  get isPowered(): boolean {
    return this.#state !== "off";
  }
  /** Why it does not run: BOARD_NO_BOOT in usb-boot without a valid boot2, BOARD_STRICT when halted. */
  get failure(): TardigradeError | undefined {
    return this.#failure;
  }
  /** Since the board was made; resets and power cuts do not turn it back. */
  get nowUs(): number {
    return (this.#machine?.clock.nanos ?? this.#nanos) / 1000;
  }
  /** Of executed instructions, as rp2040js counts them; sleep and waits for flash execute none. */
  get cycles(): number {
    return this.#cycles;
  }
  get instructions(): number {
    return this.#instructions;
  }
  /** Boots so far, by power or reset. */
  get boots(): number {
    return this.#boots;
  }
  get violations(): ReadonlyMap<ViolationKind, number> {
    return this.#violations.counts;
  }
  /** Bytes that a UART lost since its reset, because firmware read too late. */
  overruns(uart: 0 | 1): number {
    return this.#machine?.uarts[uart].overruns ?? 0;
  }

  /** Cold: RAM holds noise. With BOOTSEL held it stays in the ROM. */
  powerOn(options: { readonly bootsel?: boolean } = {}): void {
    if (this.isPowered) return;
    const random = noise(this.#seed + this.#boots * 0x1_0001);
    new Uint32Array(this.#ram.buffer).forEach((_, index, words) => {
      words[index] = random();
    });
    this.#watchdog.reason = 0;
    this.#watchdog.scratch.fill(0);
    this.#chipReset = HAD_POWER_ON;
    this.#boot();
    if (options.bootsel) this.#enterUsbBoot(undefined);
  }

  /** What is being erased or programmed stays torn. What waited on the UARTs' lines is lost. */
  powerCut(): void {
    const machine = this.#machine;
    if (machine !== undefined) this.#flash.tear(machine.clock.nanos);
    this.#leave("off");
  }

  /** Warm: RAM stays, and flash goes on with what it does. */
  reset(kind: PicoReset = "software"): void {
    if (!this.isPowered) return;
    if (kind === "run") {
      this.#watchdog.reason = 0;
      this.#watchdog.scratch.fill(0);
      this.#chipReset = HAD_RUN_PIN;
    } else if (kind !== "software") this.#watchdog.reason = kind === "watchdog" ? REASON_TIMER : REASON_FORCE;
    this.#restart();
  }

  /** Puts bytes on the line to a UART; gives how many it took. Lines hold 1 MiB, and nothing while the power is off. */
  receiveUart(uart: 0 | 1, bytes: Uint8Array): number {
    return this.#machine?.uarts[uart].receive(bytes) ?? 0;
  }

  /** Runs until that much more virtual time has passed. Ends early only by throwing. */
  advance(us: number): void {
    if (this.#state === "halted") throw this.#failure;
    this.#targetNanos += us * 1000;
    try {
      while (this.#timeNanos < this.#targetNanos) this.#step(this.#targetNanos);
    } finally {
      this.#flushUarts();
    }
  }

  /** The board's time, in us, until which nothing can happen by itself; now while it executes, Infinity when nothing is set. */
  nextEventUs(): number {
    const machine = this.#machine;
    if (machine === undefined || this.#state !== "running") return Number.POSITIVE_INFINITY;
    return machine.sleeps ? machine.wakeNanos / 1000 : this.nowUs;
  }

  /** A copy of the flash as it is, or of a part of it. */
  flashImage(from = 0, until = this.#flash.bytes.length): Uint8Array {
    return this.#flash.bytes.slice(from, until);
  }
  /** Writes an image as a flasher does, from the start of flash; the rest is erased. The board must be off or in USB boot. */
  flashWrite(image: Uint8Array): void {
    if (this.#state === "running" || this.#state === "halted")
      throw new TardigradeError(
        "BOARD_STRICT",
        "A running Pico cannot be flashed; cut its power or enter USB boot.",
      );
    this.#flash.bytes.fill(0xff).set(image.subarray(0, this.#flash.bytes.length));
  }
  /** A copy of RAM, or of a part of it; what it last held while the power is off. */
  ramImage(from = 0, until = RAM_BYTES): Uint8Array {
    return (this.#machine?.chip.sram ?? this.#ram).slice(from, until);
  }

  get #timeNanos(): number {
    return this.#machine?.clock.nanos ?? this.#nanos;
  }

  #boot(): void {
    this.#boots += 1;
    this.#request = undefined;
    this.#failure = undefined;
    this.#state = "running";
    this.#machine = new Machine({
      nanos: this.#nanos,
      flash: this.#flash,
      ram: this.#ram,
      watchdog: this.#watchdog,
      chipReset: this.#chipReset,
      seed: this.#seed + this.#boots,
      violations: this.#violations,
      analog: this.#options.analog ?? (() => Number.NaN),
      onFlashOperation: (operation) => this.#options.onFlashOperation?.(operation),
      onUartByte: (uart, byte) => void this.#sent[uart].push(byte),
      cutPower: () => this.#ask({ kind: "cut" }),
      usbBoot: (noBoot) => this.#ask({ kind: "usb-boot", reason: noBoot ? 1 : 0 }),
      reset: (reason) => this.#ask({ kind: "reset", reason }),
    });
    this.pins.attach(this.#machine);
  }

  /** The chip's life ends; RAM and time are kept. */
  #leave(state: PicoState): void {
    const machine = this.#machine;
    if (machine !== undefined) {
      this.#nanos = machine.clock.nanos;
      this.#ram.set(machine.chip.sram);
    }
    this.#machine = undefined;
    this.#request = undefined;
    this.#failure = undefined;
    this.#state = state;
    this.pins.attach(undefined);
  }
  #restart(): void {
    this.#leave("off");
    this.#boot();
  }
  #enterUsbBoot(failure: TardigradeError | undefined): void {
    this.#leave("usb-boot");
    this.#failure = failure;
  }

  /** From inside an instruction or alarm: done when it is over. The first wins. */
  #ask(request: Request): void {
    this.#request ??= request;
  }
  #answer(request: Request): void {
    this.#request = undefined;
    if (request.kind === "cut") this.powerCut();
    else if (request.kind === "usb-boot") {
      this.#enterUsbBoot(
        request.reason === 1
          ? new TardigradeError(
              "BOARD_NO_BOOT",
              "The first 252 bytes of flash do not match the CRC after them.",
            )
          : undefined,
      );
    } else {
      if (request.reason !== undefined) this.#watchdog.reason = request.reason;
      this.#restart();
    }
  }

  /** To the next alarm, sleep or request, but not beyond the limit. */
  #step(limitNanos: number): void {
    const machine = this.#machine;
    if (machine === undefined) {
      this.#nanos = limitNanos;
      return;
    }
    const { clock } = machine;
    try {
      if (machine.sleeps) {
        clock.nanos = Math.max(clock.nanos, Math.min(limitNanos, machine.wakeNanos));
        if (clock.nanos >= (machine.flashRom.waitUntilNanos ?? Number.POSITIVE_INFINITY))
          machine.flashRom.waitUntilNanos = undefined;
      } else this.#execute(machine, limitNanos);
      if (this.#request === undefined && clock.dueNanos <= clock.nanos) clock.fire();
      machine.settleSleep();
    } catch (error) {
      this.#fault(machine, error);
    }
    if (this.#request !== undefined) this.#answer(this.#request);
  }

  #execute(machine: Machine, limitNanos: number): void {
    const { clock, flashRom } = machine;
    const { core } = machine.chip;
    flashRom.waitUntilNanos = undefined;
    let count = 0;
    try {
      do {
        const before = core.cycles;
        count += 1;
        core.executeInstruction();
        const cycles = core.cycles - before;
        this.#cycles += cycles;
        clock.nanos += cycles * machine.nanosPerCycle;
      } while (
        clock.nanos < limitNanos &&
        clock.nanos < clock.dueNanos &&
        !core.waiting &&
        this.#request === undefined &&
        flashRom.waitUntilNanos === undefined
      );
    } finally {
      this.#instructions += count;
    }
  }

  /** A HardFault is entered where faults are delivered; a second one within it locks the processor up. */
  #fault(machine: Machine, error: unknown): void {
    const { core } = machine.chip;
    if (error instanceof FaultSignal && core.IPSR !== HARD_FAULT && core.IPSR !== NMI) {
      core.PC = error.pc;
      try {
        core.exceptionEntry(HARD_FAULT);
        return;
      } catch (second) {
        if (!(second instanceof FaultSignal)) throw second;
      }
    }
    const failure = error instanceof FaultSignal ? error.violation : error;
    if (failure instanceof TardigradeError) {
      this.#state = "halted";
      this.#failure = failure;
    }
    this.#targetNanos = machine.clock.nanos;
    throw failure;
  }

  #flushUarts(): void {
    for (const uart of [0, 1] as const) {
      const bytes = this.#sent[uart];
      if (bytes.length === 0) continue;
      this.#sent[uart] = [];
      this.#options.onUart?.(uart, Uint8Array.from(bytes));
    }
  }
}
