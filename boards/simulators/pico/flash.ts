/**
 * The Pico's flash chip, a W25Q16: NOR, so programming clears bits and only an erase sets them. An operation is begun,
 * takes its time, and is in the array when it ends; power lost on the way leaves it torn. The boot ROM's functions drive it;
 * resets of the processor do not touch it.
 */
import { noise } from "./noise.ts";

export const FLASH_BYTES = 2 * 1024 * 1024;
export const PAGE_BYTES = 256;
export const SECTOR_BYTES = 4096;

/** Typical times of a W25Q16JV (datasheet, AC characteristics), in nanoseconds. */
const PROGRAM_NANOS = 400_000;
export const ERASE_NANOS: Readonly<Record<number, number>> = {
  [SECTOR_BYTES]: 45_000_000,
  [32 * 1024]: 120_000_000,
  [64 * 1024]: 150_000_000,
};

export interface FlashOperation {
  readonly kind: "erase" | "program";
  /** From the start of flash, in bytes. */
  readonly offset: number;
  readonly length: number;
  /** Counts a board's operations from 0, over resets and power cuts. */
  readonly index: number;
}

/** When the power goes: before anything changed, at a random half, or with the operation just complete. */
export type FlashCut = "cut-before" | "cut-during" | "cut-after";

interface Running {
  readonly operation: FlashOperation;
  /** Present for a program. */
  readonly data: Uint8Array | undefined;
  readonly nanos: number;
  readonly endNanos: number;
}

export class NorFlash {
  readonly bytes = new Uint8Array(FLASH_BYTES).fill(0xff);
  readonly view = new DataView(this.bytes.buffer);
  readonly #seed: number;
  #running: Running | undefined;
  #index = 0;

  constructor(image: Uint8Array, seed: number) {
    this.bytes.set(image.subarray(0, FLASH_BYTES));
    this.#seed = seed;
  }

  /** Operations begun so far. */
  get operations(): number {
    return this.#index;
  }
  /** When the running operation ends; undefined when the chip is idle. */
  get busyUntilNanos(): number | undefined {
    return this.#running?.endNanos;
  }

  begin(step: { kind: "erase" | "program"; offset: number; length: number; data?: Uint8Array }, now: number) {
    const nanos = step.kind === "erase" ? (ERASE_NANOS[step.length] ?? 0) : PROGRAM_NANOS;
    const { kind, offset, length } = step;
    const operation: FlashOperation = { kind, offset, length, index: this.#index++ };
    this.#running = { operation, data: step.data, nanos, endNanos: now + nanos };
    return operation;
  }

  /** Writes the running operation into the array. */
  complete(): void {
    const running = this.#running;
    this.#running = undefined;
    if (running === undefined) return;
    const { operation, data } = running;
    const at = operation.offset;
    if (data === undefined) this.bytes.fill(0xff, at, at + operation.length);
    else for (const [index, byte] of data.entries()) this.bytes[at + index] = this.#and(at + index, byte);
  }

  /** The running operation never began. */
  abandon(): void {
    this.#running = undefined;
  }

  /**
   * The power goes at `now`. What was running stays as far as it came: a share of the operation's cells done, a share untouched,
   * and between them cells in which each bit went either way.
   */
  tear(now: number): void {
    const running = this.#running;
    this.#running = undefined;
    if (running === undefined) return;
    const { operation, data, nanos, endNanos } = running;
    const done = 1 - Math.max(0, endNanos - now) / nanos;
    const random = noise(this.#seed ^ Math.imul(operation.index + 1, 0x2545_f491));
    const step = data === undefined ? PAGE_BYTES : 16;
    for (let cell = 0; cell < operation.length; cell += step) {
      const luck = random() / 2 ** 32;
      const fate = luck < done * 0.75 ? "done" : luck < done * 0.75 + 0.25 ? "mixed" : "untouched";
      if (fate === "untouched") continue;
      for (let index = cell; index < cell + step; index += 1) {
        const at = operation.offset + index;
        const old = this.bytes[at] as number;
        const target = data === undefined ? 0xff : this.#and(at, data[index] as number);
        const choice = fate === "done" ? 0xff : random() >>> 24;
        this.bytes[at] = (old & ~choice) | (target & choice);
      }
    }
  }

  #and(at: number, byte: number): number {
    return (this.bytes[at] as number) & byte;
  }
}
