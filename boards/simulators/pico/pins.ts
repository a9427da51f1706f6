/**
 * Pins of the emulated board as the outside sees them, in the terms of ../virtual/pins.ts. rp2040js does not lead a driven
 * pin back to its input; here an input reads the pad: what the pin itself drives, else what drives it from outside, else its pull.
 */
import type { GPIOPin, RP2040 } from "rp2040js";
import type { PinMode } from "../virtual/pins.ts";

export const PIN_COUNT = 30;
const FUNCTION_PWM = 4;
const FUNCTION_SIO = 5;
const FUNCTION_PIO0 = 6;
const FUNCTION_PIO1 = 7;
/** Input on, pull-down, Schmitt trigger, 4 mA (PADS_BANK0 reset value); rp2040js starts with another. */
const PAD_RESET = 0x56;
const LEVEL_LOW = 1;

/** What the machine of one boot offers the pins. */
export interface PinMachine {
  readonly chip: RP2040;
  duty(pin: number): number;
}

export class PicoPins {
  readonly #driven: (0 | 1 | undefined)[] = new Array(PIN_COUNT).fill(undefined);
  #machine: PinMachine | undefined;

  /** Off, input, output or pwm, as firmware set the pin up. */
  mode(pin: number): PinMode {
    const gpio = this.#gpio(pin);
    if (gpio === undefined) return "off";
    if (gpio.functionSelect === FUNCTION_PWM) return "pwm";
    const known = [FUNCTION_SIO, FUNCTION_PIO0, FUNCTION_PIO1].includes(gpio.functionSelect);
    if (known && gpio.outputEnable) return "output";
    return known && gpio.inputEnable ? "input" : "off";
  }

  /** The pad's level, 0 or 1; of a PWM pin its duty, 0 to 65535. */
  level(pin: number): number {
    const gpio = this.#gpio(pin);
    if (gpio === undefined) return this.#driven[pin] ?? 0;
    if (gpio.functionSelect === FUNCTION_PWM) return this.#machine?.duty(pin) ?? 0;
    return this.#pad(gpio);
  }

  /** Drives a pin from outside, over resets and power cuts, until `release`. What the pin itself drives wins. */
  drive(pin: number, level: 0 | 1): void {
    this.#driven[pin] = level;
    this.#refresh(pin);
  }
  release(pin: number): void {
    this.#driven[pin] = undefined;
    this.#refresh(pin);
  }

  /** Of the board: a new boot's chip, or none. */
  attach(machine: PinMachine | undefined): void {
    this.#machine = machine;
    for (const gpio of machine?.chip.gpio ?? []) {
      gpio.padValue = PAD_RESET;
      gpio.setInputValue(this.#pad(gpio) === 1);
      // Levels at power-on are no edges.
      gpio.irqStatus = this.#pad(gpio) === 1 ? LEVEL_LOW << 1 : LEVEL_LOW;
      gpio.addListener(() => this.#refresh(gpio.index));
    }
  }

  #gpio(pin: number): GPIOPin | undefined {
    return this.#machine?.chip.gpio[pin];
  }
  #pad(gpio: GPIOPin): 0 | 1 {
    if (gpio.outputEnable && !gpio.outputDisable) return gpio.outputValue ? 1 : 0;
    return this.#driven[gpio.index] ?? (gpio.pullupEnabled ? 1 : 0);
  }
  #refresh(pin: number): void {
    const gpio = this.#gpio(pin);
    if (gpio === undefined) return;
    const high = this.#pad(gpio) === 1;
    // The status register's INFROMPAD bit is what rp2040js holds now; setting it anew would make an edge of nothing.
    if (((gpio.status >>> 17) & 1) !== (high ? 1 : 0)) gpio.setInputValue(high);
  }
}
