/**
 * Frames on their way to one peer, in one piece of memory, so that all that is queued in a turn of the event loop goes out in one
 * write: a system call costs some microseconds, a frame in a queue a tenth of one.
 *
 * The stream takes a write when it is clear; while it is not, frames wait here and not in the stream, up to two bounds. Beyond
 * them put() refuses.
 */
import { FRAME_HEADER_BYTES, putFrame } from "./frame.ts";

const BYTES_AT_FIRST = 16 * 1024;
/** A larger buffer is given back when it is empty. */
const KEPT_BYTES_MAX = 1024 * 1024;

export class SendQueue {
  readonly #bytesMax: number;
  readonly #messagesMax: number;
  #buffer = new Uint8Array(BYTES_AT_FIRST);
  #used = 0;
  #messages = 0;

  constructor(options: { readonly bytesMax: number; readonly messagesMax: number }) {
    this.#bytesMax = options.bytesMax;
    this.#messagesMax = options.messagesMax;
  }

  get messages(): number {
    return this.#messages;
  }

  /** Frames that wait, in bytes. */
  get bytes(): number {
    return this.#used;
  }

  /** Copies; false when it is full. */
  put(message: Uint8Array): boolean {
    const end = this.#used + FRAME_HEADER_BYTES + message.length;
    if (this.#messages === this.#messagesMax || end > this.#bytesMax) return false;
    if (end > this.#buffer.length) this.#grow(end);
    this.#used = putFrame(this.#buffer, this.#used, message);
    this.#messages += 1;
    return true;
  }

  /** Everything, as a view that is good until the next put(); the queue is empty then. */
  take(): Uint8Array {
    const bytes = this.#buffer.subarray(0, this.#used);
    this.clear();
    return bytes;
  }

  clear(): void {
    this.#used = 0;
    this.#messages = 0;
    if (this.#buffer.length > KEPT_BYTES_MAX) this.#buffer = new Uint8Array(BYTES_AT_FIRST);
  }

  #grow(needs: number): void {
    const grown = new Uint8Array(Math.min(Math.max(this.#buffer.length * 2, needs), this.#bytesMax));
    grown.set(this.#buffer.subarray(0, this.#used));
    this.#buffer = grown;
  }
}
