/**
 * A batch being filled. Its place in the log is fixed when it is begun, so a record's offset is known at
 * once; its header is written last, when it is known how far the log is synced. Buffers are used again.
 */
import {
  BATCH_HEADER_BYTES,
  padded,
  RECORD_HEADER_BYTES,
  type SegmentHeader,
  saltOf,
  sealBatch,
} from "./segment.ts";

/** Buffers kept for the next batches; beyond it they are left to the collector. */
const FREE_BUFFERS_MAX = 4;

export interface BatchPlace {
  /** Base offset of the segment. */
  readonly base: number;
  readonly position: number;
  /** Bytes that the batch may take there. */
  readonly roomBytes: number;
}

export class Batch {
  readonly base: number;
  readonly position: number;
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #limit: number;
  #used = BATCH_HEADER_BYTES;
  #records = 0;

  constructor(place: BatchPlace, bytes: Uint8Array<ArrayBuffer>) {
    this.base = place.base;
    this.position = place.position;
    this.#bytes = bytes;
    // Padding must fit too; segments and rooms are multiples of eight.
    this.#limit = Math.min(bytes.length, place.roomBytes) & ~7;
  }

  get records(): number {
    return this.#records;
  }
  get buffer(): Uint8Array<ArrayBuffer> {
    return this.#bytes;
  }
  /** Offset that the next record would have. */
  get next(): number {
    return this.base + this.position + this.#used;
  }
  get bodyBytes(): number {
    return this.#used - BATCH_HEADER_BYTES;
  }
  get sizeBytes(): number {
    return padded(this.#used);
  }

  fits(payloadBytes: number): boolean {
    return this.#used + RECORD_HEADER_BYTES + payloadBytes <= this.#limit;
  }

  /** Copies a record in and returns its offset. */
  append(payload: Uint8Array): number {
    const bytes = this.#bytes;
    const at = this.#used;
    const length = payload.length;
    bytes[at] = length;
    bytes[at + 1] = length >>> 8;
    bytes[at + 2] = length >>> 16;
    bytes[at + 3] = length >>> 24;
    bytes.set(payload, at + RECORD_HEADER_BYTES);
    this.#used = at + RECORD_HEADER_BYTES + length;
    this.#records += 1;
    return this.base + this.position + at;
  }

  /** The finished bytes; the batch takes no more. */
  seal(log: Pick<SegmentHeader, "logId">, proven: number): Uint8Array<ArrayBuffer> {
    const bytes = this.#bytes.subarray(0, this.sizeBytes);
    bytes.fill(0, this.#used);
    const salt = saltOf({ logId: log.logId, base: this.base }, this.position);
    sealBatch(bytes, { records: this.#records, proven, salt });
    return bytes;
  }
}

export class BatchBuffers {
  readonly #bytes: number;
  readonly #free: Uint8Array<ArrayBuffer>[] = [];

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** A buffer for at least so many bytes. */
  take(bytesMin: number): Uint8Array<ArrayBuffer> {
    if (bytesMin > this.#bytes) return new Uint8Array(bytesMin);
    return this.#free.pop() ?? new Uint8Array(this.#bytes);
  }

  give(buffer: Uint8Array<ArrayBuffer>): void {
    if (buffer.length === this.#bytes && this.#free.length < FREE_BUFFERS_MAX) this.#free.push(buffer);
  }
}
