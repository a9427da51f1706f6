/**
 * Serial lines of a simulated machine. A line is a wire for each direction: bytes travel at the line's rate, a write arrives
 * in up to two pieces, and on the way bytes may be lost or changed. Unlike TCP nothing is sent again, and what is sent
 * while nobody has the port open, or nothing is plugged in, is gone.
 *
 *   process ── ports(): list, open ──┐
 *                                    ├── SimulatedLine: wire up, wire down ── the device's end
 *   another ── ports(): list, open ──┘
 */
import { TardigradeError } from "../../protocols/error.ts";
import type { ByteStream, Clock, Dispose, SerialPortInfo, SerialPorts } from "../io/seams.ts";
import type { SeededRandom } from "./random.ts";

/** Waiting for the wire, on the host's side: write() says false above the first, the port breaks at the second. */
const SEND_BYTES_SOFT_MAX = 4096;
const SEND_BYTES_HARD_MAX = 256 * 1024;
/** A device's transmit ring: what does not fit is refused. */
const DEVICE_BYTES_MAX = 4096;
/** Start bit, 8 data bits, stop bit. */
const BITS_A_BYTE = 10;

export interface LineFaults {
  /** Probability that a byte is lost. */
  readonly lost: number;
  /** Probability that a byte has a bit changed. */
  readonly corrupted: number;
}
const CLEAN: LineFaults = { lost: 0, corrupted: 0 };

/** The device's end. It stays when the cable is pulled: a board may have a supply of its own. */
export interface SimulatedLine {
  readonly path: string;
  faults: LineFaults;
  /** What the device sends vanishes, as from firmware that hangs. */
  mute: boolean;
  readonly isPlugged: boolean;
  unplug(): void;
  plug(): void;
  /** False when its transmit ring has no room for all of it. */
  send(bytes: Uint8Array): boolean;
  onData(listener: (bytes: Uint8Array) => void): Dispose;
  /** The transmit ring has room again. */
  onReady(listener: () => void): Dispose;
}

export class SimulatedSerial {
  readonly #clock: Clock;
  readonly #random: SeededRandom;
  readonly #lines = new Map<string, Line>();
  #life = 0;

  constructor(options: { readonly clock: Clock; readonly random: SeededRandom }) {
    this.#clock = options.clock;
    this.#random = options.random;
  }

  /** A device at the other end of a port, plugged in. */
  line(path: string, info: Omit<SerialPortInfo, "path"> = {}): SimulatedLine {
    const line = new Line({ path, ...info }, this.#clock, this.#random.fork(path));
    this.#lines.set(path, line);
    return line;
  }

  /** The ports as one process sees them, until kill(). */
  ports(): SerialPorts {
    const life = this.#life;
    const alive = (): boolean => life === this.#life;
    return {
      list: async () => [...this.#lines.values()].filter((line) => line.isPlugged).map((line) => line.info),
      open: async (path, { baudRate }) => {
        const line = this.#lines.get(path);
        if (!alive() || line === undefined || !line.isPlugged || line.isOpen) {
          const why = line?.isOpen ? "Another program holds it." : "No such file.";
          throw new TardigradeError("SERIAL_OPEN", `The serial port ${path} cannot be opened: ${why}`);
        }
        return line.open(baudRate, alive);
      },
    };
  }

  /** The process that had ports open is gone, without a word to it. */
  kill(): void {
    this.#life += 1;
    for (const line of this.#lines.values()) line.forget();
  }
}

/** One direction. Bytes of a write arrive when the last of them has passed. */
class Wire {
  readonly #clock: Clock;
  readonly #random: SeededRandom;
  readonly #faults: () => LineFaults;
  readonly #arrive: (bytes: Uint8Array) => void;
  readonly #passed: () => void;
  #freeMs = 0;
  #epoch = 0;
  waiting = 0;
  baudRate = 115_200;

  constructor(options: {
    readonly clock: Clock;
    readonly random: SeededRandom;
    readonly faults: () => LineFaults;
    readonly arrive: (bytes: Uint8Array) => void;
    readonly passed: () => void;
  }) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.#faults = options.faults;
    this.#arrive = options.arrive;
    this.#passed = options.passed;
  }

  send(bytes: Uint8Array): void {
    const cut = this.#random.below(bytes.length + 1);
    this.#piece(bytes.slice(0, cut));
    this.#piece(bytes.slice(cut));
  }

  /** What is on the way is gone. */
  clear(): void {
    this.#epoch += 1;
    this.waiting = 0;
    this.#freeMs = 0;
  }

  #piece(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const epoch = this.#epoch;
    this.waiting += bytes.length;
    const nowMs = this.#clock.monotonicMs();
    this.#freeMs = Math.max(this.#freeMs, nowMs) + (bytes.length * BITS_A_BYTE * 1000) / this.baudRate;
    this.#clock.alarm(this.#freeMs - nowMs, () => {
      if (epoch !== this.#epoch) return;
      this.waiting -= bytes.length;
      this.#arrive(this.#damaged(bytes));
      this.#passed();
    });
  }

  #damaged(bytes: Uint8Array): Uint8Array {
    const { lost, corrupted } = this.#faults();
    if (lost === 0 && corrupted === 0) return bytes;
    const arrived: number[] = [];
    for (const byte of bytes) {
      if (this.#random.chance(lost)) continue;
      arrived.push(this.#random.chance(corrupted) ? byte ^ (1 << this.#random.below(8)) : byte);
    }
    return Uint8Array.from(arrived);
  }
}

class Line implements SimulatedLine {
  readonly info: SerialPortInfo;
  faults = CLEAN;
  mute = false;
  isPlugged = true;
  readonly #up: Wire;
  readonly #down: Wire;
  readonly #data = new Set<(bytes: Uint8Array) => void>();
  readonly #ready = new Set<() => void>();
  #host: HostEnd | undefined;
  #wanted = false;

  constructor(info: SerialPortInfo, clock: Clock, random: SeededRandom) {
    this.info = info;
    const faults = (): LineFaults => this.faults;
    this.#up = new Wire({
      clock,
      random,
      faults,
      arrive: (bytes) => this.#host?.arrive(bytes),
      passed: () => this.#deviceReady(),
    });
    this.#down = new Wire({
      clock,
      random,
      faults,
      arrive: (bytes) => {
        for (const listener of this.#data) listener(bytes);
      },
      passed: () => this.#host?.passed(),
    });
  }

  get path(): string {
    return this.info.path;
  }
  get isOpen(): boolean {
    return this.#host !== undefined;
  }

  open(baudRate: number, alive: () => boolean): ByteStream {
    this.#up.baudRate = baudRate;
    this.#down.baudRate = baudRate;
    const end: HostEnd = new HostEnd(this.#down, alive, () => {
      if (this.#host === end) this.#host = undefined;
    });
    this.#host = end;
    return end;
  }

  unplug(): void {
    this.isPlugged = false;
    this.#up.clear();
    this.#down.clear();
    this.#host?.end(new TardigradeError("SERIAL_LOST", `The serial port ${this.path} went away.`));
    // A transmitter goes on into a cable that leads nowhere.
    this.#deviceReady();
  }

  plug(): void {
    this.isPlugged = true;
  }

  /** The process with the port open is gone. */
  forget(): void {
    this.#host = undefined;
  }

  send(bytes: Uint8Array): boolean {
    if (!this.isPlugged || this.mute) return true;
    if (this.#up.waiting + bytes.length > DEVICE_BYTES_MAX) {
      this.#wanted = true;
      return false;
    }
    this.#up.send(bytes);
    return true;
  }

  onData(listener: (bytes: Uint8Array) => void): Dispose {
    return subscribe(this.#data, listener);
  }
  onReady(listener: () => void): Dispose {
    return subscribe(this.#ready, listener);
  }

  #deviceReady(): void {
    if (!this.#wanted || this.#up.waiting > DEVICE_BYTES_MAX / 2) return;
    this.#wanted = false;
    for (const listener of this.#ready) listener();
  }
}

class HostEnd implements ByteStream {
  readonly #wire: Wire;
  readonly #alive: () => boolean;
  readonly #released: () => void;
  readonly #data = new Set<(bytes: Uint8Array) => void>();
  readonly #drained = new Set<() => void>();
  readonly #closers = new Set<(error?: Error) => void>();
  #ended = false;
  #failure: Error | undefined;
  #wanted = false;

  constructor(wire: Wire, alive: () => boolean, released: () => void) {
    this.#wire = wire;
    this.#alive = alive;
    this.#released = released;
  }

  write(bytes: Uint8Array): boolean {
    if (this.#ended || !this.#alive()) return false;
    this.#wire.send(bytes);
    if (this.#wire.waiting > SEND_BYTES_HARD_MAX)
      this.end(new TardigradeError("QUEUE_FULL", "The line is slower than its writer; the port was closed."));
    if (this.#wire.waiting <= SEND_BYTES_SOFT_MAX) return true;
    this.#wanted = true;
    return false;
  }

  onData(listener: (bytes: Uint8Array) => void): Dispose {
    return subscribe(this.#data, listener);
  }
  onDrain(listener: () => void): Dispose {
    return subscribe(this.#drained, listener);
  }
  onClose(listener: (error?: Error) => void): Dispose {
    if (!this.#ended) return subscribe(this.#closers, listener);
    let wanted = true;
    queueMicrotask(() => wanted && listener(this.#failure));
    return () => {
      wanted = false;
    };
  }
  close(): void {
    this.end(undefined);
  }

  end(error: Error | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#failure = error;
    this.#released();
    if (!this.#alive()) return;
    queueMicrotask(() => {
      for (const listener of this.#closers) listener(error);
    });
  }

  arrive(bytes: Uint8Array): void {
    if (!this.#ended && this.#alive()) for (const listener of this.#data) listener(bytes);
  }
  passed(): void {
    if (!this.#wanted || this.#wire.waiting > 0 || !this.#alive()) return;
    this.#wanted = false;
    for (const listener of this.#drained) listener();
  }
}

function subscribe<T>(listeners: Set<T>, listener: T): Dispose {
  listeners.add(listener);
  return () => listeners.delete(listener);
}
