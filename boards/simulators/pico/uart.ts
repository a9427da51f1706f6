/**
 * A PL011 UART as the RP2040 has it. rp2040js sends a byte in no time, calls for more always, and interrupts at every byte;
 * firmware that works there can hang on silicon. This one has both FIFOs, bytes that take their time on the line,
 * trigger levels, the receive time-out, and overrun.
 *
 * Two traps of the real one that are kept: divisors act when LCR_H is written, and the transmit interrupt comes when the FIFO
 * drains *through* its trigger level, so that one who waits for it must have filled the FIFO above that level first.
 *
 * The line towards the board: bytes wait until the UART receives (enabled, a pin connected), then come one a character
 * time, whether or not there is room: a FIFO that firmware leaves full loses them (overrun), as in hardware.
 */
import type { Alarm, VirtualClock } from "./clock.ts";
import { READ_ONLY, RegisterBlock } from "./registers.ts";
import type { Violations } from "./violation.ts";

const FIFO_DEPTH = 32;
/** Trigger levels in bytes, by the three bits of UARTIFLS: 1/8, 1/4, 1/2, 3/4, 7/8. */
const TRIGGERS = [4, 8, 16, 24, 28] as const;
/** Bytes that may wait on the line; beyond it `receive` takes no more. */
export const LINE_BYTES_MAX = 1 << 20;

const DATA_OVERRUN = 1 << 11;
const FLAG_BUSY = 1 << 3;
const FLAG_RX_EMPTY = 1 << 4;
const FLAG_TX_FULL = 1 << 5;
const FLAG_RX_FULL = 1 << 6;
const FLAG_TX_EMPTY = 1 << 7;
const LINE_PARITY = 1 << 1;
const LINE_TWO_STOP = 1 << 3;
const LINE_FIFO = 1 << 4;
const CONTROL_ENABLE = 1 << 0;
const CONTROL_TRANSMIT = 1 << 8;
const CONTROL_RECEIVE = 1 << 9;
const CONTROL_MODELLED = CONTROL_ENABLE | CONTROL_TRANSMIT | CONTROL_RECEIVE;
const INTERRUPT_RECEIVE = 1 << 4;
const INTERRUPT_TRANSMIT = 1 << 5;
const INTERRUPT_TIMEOUT = 1 << 6;
const INTERRUPT_OVERRUN = 1 << 10;
/** Receive time-out, in bit times. */
const TIMEOUT_BITS = 32;

const BAUD_INT = 0x24;
const BAUD_FRACTION = 0x28;
const LINE_CONTROL = 0x2c;
const CONTROL = 0x30;
const TRIGGER_SELECT = 0x34;
const MASK = 0x38;

export interface UartOptions {
  readonly name: string;
  readonly clock: VirtualClock;
  readonly violations: Violations;
  readonly peripheralHz: () => number;
  /** True while a pin is given to this UART's side. */
  readonly connected: (side: "transmit" | "receive") => boolean;
  readonly setInterrupt: (value: boolean) => void;
  readonly sent: (byte: number) => void;
}

export class Uart {
  readonly registers: RegisterBlock;
  readonly #options: UartOptions;
  readonly #receiveFifo: number[] = [];
  readonly #transmitFifo: number[] = [];
  readonly #line: Uint8Array[] = [];
  #lineAt = 0;
  #lineBytes = 0;
  #shifting: number | undefined;
  readonly #transmitAlarm: Alarm;
  readonly #receiveAlarm: Alarm;
  readonly #timeoutAlarm: Alarm;
  #arriving = false;
  #overrun = false;
  /** Bytes were lost before the next one; that one carries the flag. */
  #gap = false;
  #status = 0;
  #divisor = 0;

  constructor(options: UartOptions) {
    this.#options = options;
    const { clock } = options;
    this.#transmitAlarm = clock.createAlarm(() => this.#shifted());
    this.#receiveAlarm = clock.createAlarm(() => this.#arrived());
    this.#timeoutAlarm = clock.createAlarm(() => this.#raise(INTERRUPT_TIMEOUT));
    this.registers = this.#table();
  }

  /** Bytes lost since power-on or reset because firmware did not read in time. */
  overruns = 0;

  /** As RESETS leaves it. What was on the line is lost. */
  reset(): void {
    this.registers.reset();
    for (const alarm of [this.#transmitAlarm, this.#receiveAlarm, this.#timeoutAlarm]) alarm.cancel();
    this.#receiveFifo.length = 0;
    this.#transmitFifo.length = 0;
    this.#line.length = 0;
    this.#lineAt = 0;
    this.#lineBytes = 0;
    this.#shifting = undefined;
    this.#arriving = false;
    this.#overrun = false;
    this.#gap = false;
    this.#status = 0;
    this.#divisor = 0;
    this.#update();
  }

  /** Puts bytes on the line; gives how many it took. */
  receive(bytes: Uint8Array): number {
    const taken = bytes.slice(0, LINE_BYTES_MAX - this.#lineBytes);
    if (taken.length > 0) this.#line.push(taken);
    this.#lineBytes += taken.length;
    this.poke();
    return taken.length;
  }

  /** A pin was connected or a clock changed: what waited may go on. */
  poke(): void {
    this.#startReceiving();
    this.#startSending();
  }

  get #depth(): number {
    return this.registers.get(LINE_CONTROL) & LINE_FIFO ? FIFO_DEPTH : 1;
  }
  #trigger(shift: number): number {
    if (this.#depth === 1) return shift === 0 ? 0 : 1;
    return TRIGGERS[(this.registers.get(TRIGGER_SELECT) >>> shift) & 7] ?? (TRIGGERS[4] as number);
  }
  #enabled(side: number): boolean {
    const bits = CONTROL_ENABLE | side;
    return (this.registers.get(CONTROL) & bits) === bits;
  }
  /** 0 without a baud rate. */
  get #bitNanos(): number {
    const hz = this.#options.peripheralHz();
    return hz > 0 ? (this.#divisor * 16e9) / hz : 0;
  }
  get #characterNanos(): number {
    const line = this.registers.get(LINE_CONTROL);
    const bits = 1 + 5 + ((line >>> 5) & 3) + (line & LINE_PARITY ? 1 : 0) + (line & LINE_TWO_STOP ? 2 : 1);
    return bits * this.#bitNanos;
  }

  #table(): RegisterBlock {
    const { name, violations } = this.#options;
    const plain = (write: (value: number) => void) => ({ write });
    const set = (offset: number, value: number) => this.registers.set(offset, value);
    return new RegisterBlock(
      name,
      {
        0: { read: () => this.#read(), write: (value) => this.#write(value & 0xff) },
        4: { read: () => (this.#overrun ? 8 : 0), write: () => this.#forgetOverrun() },
        24: { mask: READ_ONLY, read: () => this.#flags() },
        [BAUD_INT]: { mask: 0xffff },
        [BAUD_FRACTION]: { mask: 0x3f },
        [LINE_CONTROL]: plain((value) => {
          set(LINE_CONTROL, value & 0xff);
          this.#divisor = this.registers.get(BAUD_INT) + this.registers.get(BAUD_FRACTION) / 64;
        }),
        [CONTROL]: {
          reset: CONTROL_TRANSMIT | CONTROL_RECEIVE,
          write: (value) => {
            if (value & ~CONTROL_MODELLED)
              violations.report("unmodelled", `${name} loopback, IrDA or flow control`);
            set(CONTROL, value);
            this.poke();
          },
        },
        [TRIGGER_SELECT]: { reset: 0x12, mask: 0x3f },
        [MASK]: plain((value) => {
          set(MASK, value & 0x7ff);
          this.#update();
        }),
        60: { mask: READ_ONLY, read: () => this.#status },
        64: { mask: READ_ONLY, read: () => this.#status & this.registers.get(MASK) },
        68: { write: (_, raw) => this.#clear(raw) },
        72: {
          write: (value) => {
            if (value !== 0) violations.report("unmodelled", `${name} DMA`);
          },
        },
        ...Object.fromEntries(
          [0x11, 0x10, 0x34, 0, 0x0d, 0xf0, 0x05, 0xb1].map((id, index) => [
            0xfe0 + 4 * index,
            { reset: id, mask: READ_ONLY },
          ]),
        ),
      },
      violations,
    );
  }

  #forgetOverrun(): void {
    this.#overrun = false;
  }

  #flags(): number {
    const received = this.#receiveFifo.length;
    const waiting = this.#transmitFifo.length;
    return (
      (this.#shifting !== undefined || waiting > 0 ? FLAG_BUSY : 0) |
      (received === 0 ? FLAG_RX_EMPTY : 0) |
      (received >= this.#depth ? FLAG_RX_FULL : 0) |
      (waiting >= this.#depth ? FLAG_TX_FULL : 0) |
      (waiting === 0 ? FLAG_TX_EMPTY : 0)
    );
  }

  #read(): number {
    const byte = this.#receiveFifo.shift();
    if (byte === undefined) return 0;
    if (this.#receiveFifo.length < this.#trigger(3)) this.#status &= ~INTERRUPT_RECEIVE;
    if (this.#receiveFifo.length === 0) {
      this.#status &= ~INTERRUPT_TIMEOUT;
      this.#timeoutAlarm.cancel();
    } else this.#timeoutAlarm.schedule(TIMEOUT_BITS * this.#bitNanos);
    this.#update();
    return byte;
  }

  #write(byte: number): void {
    // A full FIFO loses the byte, as the real one does.
    if (this.#transmitFifo.length >= this.#depth) {
      this.#options.violations.report("uart", `${this.#options.name} written while its FIFO is full`);
      return;
    }
    this.#transmitFifo.push(byte);
    if (this.#transmitFifo.length > this.#trigger(0)) this.#status &= ~INTERRUPT_TRANSMIT;
    this.#startSending();
    this.#update();
  }

  #clear(bits: number): void {
    this.#status &= ~bits;
    this.#update();
  }
  #raise(bits: number): void {
    this.#status |= bits;
    this.#update();
  }
  #update(): void {
    this.#options.setInterrupt((this.#status & this.registers.get(MASK)) !== 0);
  }

  #startSending(): void {
    if (this.#shifting !== undefined || this.#transmitFifo.length === 0) return;
    if (!this.#enabled(CONTROL_TRANSMIT)) return;
    const { name, violations, connected } = this.#options;
    const nanos = this.#characterNanos;
    if (!(nanos > 0)) {
      violations.report("uart", `${name} sends without a baud rate: divisors, LCR_H or clk_peri`);
      return;
    }
    if (!connected("transmit")) violations.report("uart", `${name} sends, but no pin has its function`);
    this.#shifting = this.#transmitFifo.shift();
    if (this.#transmitFifo.length === this.#trigger(0)) this.#raise(INTERRUPT_TRANSMIT);
    this.#transmitAlarm.schedule(nanos);
  }
  #shifted(): void {
    const byte = this.#shifting as number;
    this.#shifting = undefined;
    if (this.#options.connected("transmit")) this.#options.sent(byte);
    this.#startSending();
  }

  #startReceiving(): void {
    if (this.#arriving || this.#lineBytes === 0) return;
    if (!this.#enabled(CONTROL_RECEIVE) || !this.#options.connected("receive")) return;
    const nanos = this.#characterNanos;
    if (!(nanos > 0)) return;
    this.#arriving = true;
    this.#receiveAlarm.schedule(nanos);
  }
  #arrived(): void {
    this.#arriving = false;
    const piece = this.#line[0] as Uint8Array;
    const byte = piece[this.#lineAt++] as number;
    this.#lineBytes -= 1;
    if (this.#lineAt === piece.length) {
      this.#line.shift();
      this.#lineAt = 0;
    }
    if (this.#enabled(CONTROL_RECEIVE)) this.#take(byte);
    this.#startReceiving();
  }
  #take(byte: number): void {
    if (this.#receiveFifo.length >= this.#depth) {
      this.overruns += 1;
      this.#overrun = true;
      this.#gap = true;
      this.#raise(INTERRUPT_OVERRUN);
      return;
    }
    this.#receiveFifo.push(byte | (this.#gap ? DATA_OVERRUN : 0));
    this.#gap = false;
    this.#timeoutAlarm.schedule(TIMEOUT_BITS * this.#bitNanos);
    if (this.#receiveFifo.length >= this.#trigger(3)) this.#status |= INTERRUPT_RECEIVE;
    this.#update();
  }
}
