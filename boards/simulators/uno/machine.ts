/**
 * An Arduino Uno: an ATmega328P at 16 MHz by avr8js, with its serial port, pins and ADC. It runs the same flash image as silicon
 * does, StandardFirmata among others, in virtual time: nothing happens but in advance().
 *
 *   D0-D7 = PORTD 0-7    D8-D13 = PORTB 0-5    A0-A5 = PORTC 0-5 and ADC 0-5
 *
 * Corrected in avr8js 0.21.1: the "data register empty" interrupt is cleared when it is taken, where silicon keeps it until
 * the register is written, so that the Arduino core sends one byte and stops; and a byte that comes before the receiver is on is
 * lost at once, where a person would have sent it later. Bytes arrive one each character time, as on a wire.
 */
import {
  ADCMuxInputType,
  AVRADC,
  AVRIOPort,
  AVRTimer,
  AVRUSART,
  adcConfig,
  avrInstruction,
  CPU,
  PinState,
  portBConfig,
  portCConfig,
  portDConfig,
  timer0Config,
  timer1Config,
  timer2Config,
  usart0Config,
} from "avr8js";

export const CLOCK_HZ = 16_000_000;
export const FLASH_BYTES = 32_768;
export const PINS = 20;
export const ADC_CHANNELS = 6;
/** Bytes on the way to the board; beyond it the wire loses them. */
export const RECEIVE_BYTES_MAX = 4096;

const RAM_BYTES = 2048;
const CYCLES_A_US = CLOCK_HZ / 1_000_000;
const ADC_MAX = 1023;

export interface UnoOptions {
  /** The flash, FLASH_BYTES at most. */
  readonly flash: Uint8Array;
  /** A byte that the board sent. */
  readonly onSerial: (byte: number) => void;
  /** A pin that the program drives has another level. */
  readonly onOutput?: (pin: number, level: 0 | 1) => void;
}

export class UnoMachine {
  readonly #cpu: CPU;
  readonly #usart: AVRUSART;
  readonly #ports: { readonly d: AVRIOPort; readonly b: AVRIOPort; readonly c: AVRIOPort };
  readonly #analog = new Float64Array(ADC_CHANNELS);
  readonly #receiving: number[] = [];
  #lost = 0;

  constructor({ flash, onSerial, onOutput }: UnoOptions) {
    const program = new Uint8Array(FLASH_BYTES).fill(0xff);
    program.set(flash.subarray(0, FLASH_BYTES));
    const cpu = new CPU(new Uint16Array(program.buffer), RAM_BYTES);
    this.#cpu = cpu;
    for (const config of [timer0Config, timer1Config, timer2Config]) new AVRTimer(cpu, config);
    this.#ports = {
      d: new AVRIOPort(cpu, portDConfig),
      b: new AVRIOPort(cpu, portBConfig),
      c: new AVRIOPort(cpu, portCConfig),
    };
    this.#usart = new AVRUSART(cpu, usart0Config, CLOCK_HZ);
    (this.#usart as unknown as { UDRE: { constant: boolean } }).UDRE.constant = true;
    this.#usart.onByteTransmit = onSerial;
    this.#usart.onRxComplete = () => this.#feed();
    this.#usart.onConfigurationChange = () => this.#feed();
    this.#openAdc(cpu);
    if (onOutput !== undefined) this.#listen(onOutput);
  }

  /** Since power-on, microseconds. */
  get nowUs(): number {
    return this.#cpu.cycles / CYCLES_A_US;
  }
  get cycles(): number {
    return this.#cpu.cycles;
  }
  /** Bytes that came faster than RECEIVE_BYTES_MAX holds. */
  get bytesLost(): number {
    return this.#lost;
  }

  /** Runs for so many microseconds of the board's time. */
  advance(us: number): void {
    const cpu = this.#cpu;
    const end = cpu.cycles + us * CYCLES_A_US;
    while (cpu.cycles < end) {
      avrInstruction(cpu);
      cpu.tick();
    }
  }

  /** Bytes for the serial port. */
  receive(bytes: Uint8Array): void {
    for (const byte of bytes) {
      if (this.#receiving.length < RECEIVE_BYTES_MAX) this.#receiving.push(byte);
      else this.#lost += 1;
    }
    this.#feed();
  }

  /** Share of full scale, 0 to 1. */
  setAnalog(channel: number, share: number): void {
    if (channel in this.#analog) this.#analog[channel] = Math.min(1, Math.max(0, share));
  }

  /** What the program drives a pin to; 0 where it drives nothing. */
  level(pin: number): 0 | 1 {
    const { port, bit } = this.#place(pin);
    return port.pinState(bit) === PinState.High ? 1 : 0;
  }

  /** Drives an input from outside. */
  drive(pin: number, level: 0 | 1): void {
    const { port, bit } = this.#place(pin);
    port.setPin(bit, level === 1);
  }

  #feed(): void {
    const next = this.#receiving[0];
    // True when the byte is on the wire; it calls again when it has arrived.
    if (next !== undefined && this.#usart.writeByte(next) === true) this.#receiving.shift();
  }

  #openAdc(cpu: CPU): void {
    const adc = new AVRADC(cpu, adcConfig);
    adc.onADCRead = (input) => {
      const share = input.type === ADCMuxInputType.SingleEnded ? (this.#analog[input.channel] ?? 0) : 0;
      const value = Math.round(share * ADC_MAX);
      cpu.addClockEvent(() => adc.completeADCRead(value), adc.sampleCycles);
    };
  }

  #listen(onOutput: (pin: number, level: 0 | 1) => void): void {
    const levels = new Uint8Array(PINS);
    const look = (first: number, count: number): void => {
      for (let pin = first; pin < first + count; pin += 1) {
        const level = this.level(pin);
        if (level === levels[pin]) continue;
        levels[pin] = level;
        onOutput(pin, level);
      }
    };
    this.#ports.d.addListener(() => look(0, 8));
    this.#ports.b.addListener(() => look(8, 6));
    this.#ports.c.addListener(() => look(14, 6));
  }

  #place(pin: number): { readonly port: AVRIOPort; readonly bit: number } {
    if (pin < 8) return { port: this.#ports.d, bit: pin };
    return pin < 14 ? { port: this.#ports.b, bit: pin - 8 } : { port: this.#ports.c, bit: pin - 14 };
  }
}
