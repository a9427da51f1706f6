/**
 * A sliding view of a segment file, so that scanning one costs a window of memory and not a whole segment.
 * The window is kept between calls; a caller's view of it stays valid, because sliding reads into fresh
 * memory.
 */
import type { DiskFile } from "../io/seams.ts";

export class SegmentWindow {
  readonly #file: DiskFile;
  readonly #windowBytes: number;
  /** Reading never goes beyond this position. */
  readonly #limit: number;
  #bytes = new Uint8Array(0);
  #start = 0;

  constructor(file: DiskFile, options: { readonly windowBytes: number; readonly limit: number }) {
    this.#file = file;
    this.#windowBytes = options.windowBytes;
    this.#limit = options.limit;
  }

  /** Bytes from `position` on: at least `bytes` of them, fewer at the limit only. */
  async at(position: number, bytes: number): Promise<Uint8Array> {
    const wanted = Math.min(bytes, this.#limit - position);
    const has = position >= this.#start && position + wanted <= this.#start + this.#bytes.length;
    if (!has) {
      const length = Math.min(Math.max(wanted, this.#windowBytes), this.#limit - position);
      this.#bytes = await this.#file.read(position, length);
      this.#start = position;
    }
    return this.#bytes.subarray(position - this.#start);
  }
}
