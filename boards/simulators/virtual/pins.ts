/** Pins and ADC of a virtual board: what the app drives can be read, what it reads can be driven. */
import { ERRORS } from "../../../protocols/table.ts";

const MODES = ["off", "input", "output", "pwm"] as const;
export type PinMode = (typeof MODES)[number];

/** Share of full scale, 0 to 1, of an ADC channel at a time; NaN reads as an error. */
export type AnalogSource = (channel: number, uptimeUs: number) => number;

export class VirtualPins {
  readonly #count: number;
  readonly #modes: PinMode[];
  readonly #levels: Uint16Array;
  #analog: AnalogSource;

  constructor(options: { readonly pinCount: number; readonly analog: AnalogSource }) {
    this.#count = options.pinCount;
    this.#modes = new Array<PinMode>(options.pinCount).fill("off");
    this.#levels = new Uint16Array(options.pinCount);
    this.#analog = options.analog;
  }

  /** As after a reset: every pin off. */
  reset(): void {
    this.#modes.fill("off");
    this.#levels.fill(0);
  }

  mode(pin: number): PinMode {
    return this.#modes[pin] ?? "off";
  }
  /** Level or duty that the app drives, or that was driven into an input. */
  level(pin: number): number {
    return this.#levels[pin] ?? 0;
  }
  /** Drives an input from outside. */
  drive(pin: number, level: 0 | 1): void {
    if (this.#modes[pin] === "input") this.#levels[pin] = level;
  }
  setAnalog(source: AnalogSource): void {
    this.#analog = source;
  }

  setMode(pin: number, mode: number): number {
    const name = MODES[mode];
    if (pin >= this.#count || name === undefined) return -ERRORS.PIN_INVALID.number;
    this.#modes[pin] = name;
    return 0;
  }
  write(pin: number, value: number): number {
    const mode = this.mode(pin);
    if (mode !== "output" && mode !== "pwm") return -ERRORS.PIN_INVALID.number;
    this.#levels[pin] = mode === "output" ? Math.min(value, 1) : value;
    return 0;
  }
  read(pin: number): number {
    return pin < this.#count && this.mode(pin) !== "off" ? this.level(pin) : -ERRORS.PIN_INVALID.number;
  }
  readAnalog(channel: number, uptimeUs: number): number {
    const share = this.#analog(channel, uptimeUs);
    if (Number.isNaN(share)) return -ERRORS.PIN_INVALID.number;
    return Math.round(Math.min(1, Math.max(0, share)) * 65535);
  }
}
