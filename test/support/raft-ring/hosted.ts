/**
 * Boards of a ring as the module that devices link, in Node: for many more lives than emulated processors have time for. What a Pico does that matters is kept:
 * bytes that take their time, a FIFO of 32 bytes while flash is busy, 0.4 ms for a program and 45 ms for an erase, and flash that tears.
 */
import {
  type FlashOperation,
  NorFlash,
  PAGE_BYTES,
  SECTOR_BYTES,
} from "../../../boards/simulators/pico/flash.ts";
import { JOURNAL_SECTORS } from "../../../boards/toolchain/native/raft-image.ts";
import { buildRaftModule, type RaftModule } from "../../../boards/toolchain/raft-module.ts";
import { seededRandom } from "../../../host/world/random.ts";
import type { RingBoard, RingBoardOptions, RingBoards } from "./board.ts";

const BYTE_US = 87;
const RING_BYTES = 511;
const FIFO_BYTES = 32;
const PROGRAM_US = 400;
const ERASE_US = 45_000;
const BUTTON = 6;
const LAMP = 7;
const STRAPS = [2, 3];
const AREA_BYTES = JOURNAL_SECTORS * SECTOR_BYTES;

class PowerCut extends Error {}

interface Exports {
  readonly memory: WebAssembly.Memory;
  start(): void;
  boot(): void;
  setup(): void;
  poll(): bigint;
  loop(now: bigint): bigint;
}

export async function hostedBoards(app: string): Promise<RingBoards> {
  const built = await buildRaftModule(app);
  const module = await WebAssembly.compile(built.wasm);
  return { module: built, make: (options) => new HostedBoard(module, built, options) };
}

class HostedBoard implements RingBoard {
  readonly #module: WebAssembly.Module;
  readonly #built: RaftModule;
  readonly #options: RingBoardOptions;
  readonly #flash: NorFlash;
  readonly #random: ReturnType<typeof seededRandom>;
  readonly #pins = new Map<number, number>();
  #exports: Exports | undefined;
  #nowUs = 0;
  #targetUs = 0;
  #bootUs = 0;
  #wakeUs = 0;
  #selected = 0;
  /** Bytes on the line to the board, by when they are there, and in its ring. */
  #lines: { at: number; byte: number }[][] = [[], []];
  #received: number[][] = [[], []];
  /** Bytes that wait to leave, and when the next one has left. */
  #sending: number[][] = [[], []];
  #leaveUs = [0, 0];

  constructor(module: WebAssembly.Module, built: RaftModule, options: RingBoardOptions) {
    this.#module = module;
    this.#built = built;
    this.#options = options;
    this.#flash = new NorFlash(new Uint8Array(0), options.seed);
    this.#random = seededRandom(options.seed);
    STRAPS.forEach((pin, bit) => {
      this.#pins.set(pin, ((options.id - 1) >> bit) & 1);
    });
  }

  get isOn(): boolean {
    return this.#exports !== undefined;
  }
  powerOn(): void {
    if (this.isOn) return;
    const { exports } = new WebAssembly.Instance(this.#module, { hal: this.#hal() });
    this.#exports = exports as unknown as Exports;
    this.#bootUs = this.#nowUs;
    this.#wakeUs = 0;
    this.#run(({ start, boot, setup }) => {
      start();
      boot();
      setup();
    });
  }
  powerCut(): void {
    this.#exports = undefined;
    this.#lines = [[], []];
    this.#received = [[], []];
    this.#sending = [[], []];
    this.#pins.set(LAMP, 0);
  }

  advance(us: number): void {
    this.#targetUs += us;
    while (this.#nowUs < this.#targetUs) {
      const next = Math.min(this.#targetUs, this.#nowUs + 250);
      if (this.isOn) this.#carry(next, false);
      this.#nowUs = next;
      const hasInput = this.#received.some(({ length }) => length > 0);
      if (!this.isOn || (!hasInput && this.#nowUs < this.#wakeUs)) continue;
      this.#run(({ poll, loop }) => {
        const deadline = BigInt.asUintN(64, poll());
        const wanted = BigInt.asUintN(64, loop(BigInt(this.#nowUs - this.#bootUs)));
        const until = deadline < wanted ? deadline : wanted;
        this.#wakeUs = until > 2n ** 52n ? Number.POSITIVE_INFINITY : this.#bootUs + Number(until);
      });
    }
  }

  receive(link: 0 | 1, bytes: Uint8Array): void {
    if (!this.isOn) return;
    const line = this.#lines[link] as { at: number; byte: number }[];
    let at = Math.max(line.at(-1)?.at ?? 0, this.#targetUs);
    for (const byte of bytes) {
      at += BYTE_US;
      line.push({ at, byte });
    }
  }
  press(isPressed: boolean): void {
    this.#pins.set(BUTTON, isPressed ? 1 : 0);
  }
  lamp(): number {
    return this.#pins.get(LAMP) ?? 0;
  }
  memory(): DataView | undefined {
    return this.#exports && new DataView(this.#exports.memory.buffer, 0, this.#built.memoryBytes);
  }
  journal(): Uint8Array {
    return this.#flash.bytes.subarray(0, AREA_BYTES);
  }
  setJournal(area: Uint8Array): void {
    this.#flash.bytes.set(area);
  }

  #run(what: (exports: Exports) => void): void {
    try {
      what(this.#exports as Exports);
    } catch (error) {
      if (!(error instanceof PowerCut)) throw error;
      this.powerCut();
    }
  }

  /** Moves bytes on both lines up to a time. Masked: only what the FIFOs hold. */
  #carry(untilUs: number, isMasked: boolean): void {
    for (const link of [0, 1] as const) {
      const line = this.#lines[link] as { at: number; byte: number }[];
      const received = this.#received[link] as number[];
      let taken = 0;
      while (line.length > 0 && (line[0] as { at: number }).at <= untilUs) {
        const { byte } = line.shift() as { byte: number };
        taken += 1;
        if (received.length < RING_BYTES && !(isMasked && taken > FIFO_BYTES)) received.push(byte);
      }
      const sending = this.#sending[link] as number[];
      const sent: number[] = [];
      while (sending.length > 0 && (this.#leaveUs[link] as number) <= untilUs) {
        if (isMasked && sent.length === FIFO_BYTES) break;
        sent.push(sending.shift() as number);
        this.#leaveUs[link] = (this.#leaveUs[link] as number) + BYTE_US;
      }
      if (isMasked) this.#leaveUs[link] = Math.max(this.#leaveUs[link] as number, untilUs);
      if (sent.length > 0) this.#options.onBytes(link, Uint8Array.from(sent));
    }
  }

  #operate(kind: "erase" | "program", offset: number, length: number, data?: Uint8Array): void {
    const us = kind === "erase" ? ERASE_US : PROGRAM_US;
    const step = { kind, offset, length, ...(data ? { data } : {}) };
    const operation: FlashOperation = this.#flash.begin(step, this.#nowUs * 1000);
    const cut = this.#options.onFlashOperation(operation);
    if (cut === "cut-before") this.#flash.abandon();
    else if (cut === "cut-during") {
      this.#nowUs += us / 2;
      this.#flash.tear(this.#nowUs * 1000);
    } else {
      this.#carry(this.#nowUs + us, true);
      this.#nowUs += us;
      this.#flash.complete();
    }
    if (cut !== undefined) throw new PowerCut();
  }

  #bytes(at: number, length: number): Uint8Array {
    return new Uint8Array((this.#exports as Exports).memory.buffer, at, length);
  }

  #hal(): Record<string, (...values: number[]) => number | bigint | undefined> {
    return {
      hal_now_us: () => BigInt(Math.floor(this.#nowUs - this.#bootUs)),
      hal_random: () => this.#random.u32(),
      hal_link_select: (link = 0) => {
        this.#selected = link;
        return undefined;
      },
      hal_link_room: () => RING_BYTES - (this.#sending[this.#selected] as number[]).length,
      hal_link_send: (from = 0, length = 0) => {
        const sending = this.#sending[this.#selected] as number[];
        if (sending.length === 0)
          this.#leaveUs[this.#selected] =
            Math.max(this.#leaveUs[this.#selected] as number, this.#nowUs) + BYTE_US;
        sending.push(...this.#bytes(from, length));
        return 0;
      },
      hal_link_read: (link = 0, to = 0, capacity = 0) => {
        const taken = (this.#received[link] as number[]).splice(0, capacity);
        this.#bytes(to, taken.length).set(taken);
        return taken.length;
      },
      hal_flash_sectors: () => JOURNAL_SECTORS,
      hal_flash_read: (offset = 0, to = 0, length = 0) =>
        void this.#bytes(to, length).set(this.#flash.bytes.subarray(offset, offset + length)),
      hal_flash_erase: (offset = 0) => this.#operate("erase", offset, SECTOR_BYTES) as undefined,
      hal_flash_program: (offset = 0, from = 0) => {
        const page = new Uint8Array(PAGE_BYTES).fill(0xff);
        const bytes = this.#bytes(from, 16).slice();
        page.set(bytes, offset % PAGE_BYTES);
        this.#operate("program", offset - (offset % PAGE_BYTES), PAGE_BYTES, page);
        return Buffer.compare(this.#flash.bytes.subarray(offset, offset + 16), bytes) === 0 ? 1 : 0;
      },
      hal_pin_mode: () => 0,
      hal_pin_write: (pin = 0, value = 0) => {
        this.#pins.set(pin, value);
        return 0;
      },
      hal_pin_read: (pin = 0) => this.#pins.get(pin) ?? 0,
    };
  }
}
