/**
 * The bytes of one simulated file: what a reader sees (the page cache), what survives a power cut, and the
 * writes between the two.
 *
 *   cache    every write, at once                  pending  writes since the last sync began, oldest first
 *   durable  what syncs have carried over          flight   writes that a running sync is carrying
 *
 * At a power cut every 512-byte sector that a pending write touched ends, independently, at any of the
 * versions it went through since it was durable: writes tear, persist out of order and persist in part.
 */
export const SECTOR_BYTES = 512;

interface Write {
  readonly offset: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

export interface Dice {
  below(bound: number): number;
  chance(probability: number): boolean;
}

class Growable {
  bytes = new Uint8Array(0);
  size = 0;

  set(offset: number, bytes: Uint8Array): void {
    const end = offset + bytes.length;
    if (end > this.bytes.length) {
      const grown = new Uint8Array(Math.max(end, this.bytes.length * 2, 4096));
      grown.set(this.bytes);
      this.bytes = grown;
    }
    this.bytes.set(bytes, offset);
    this.size = Math.max(this.size, end);
  }

  copyFrom(other: Growable): void {
    this.bytes = other.bytes.slice(0, other.size);
    this.size = other.size;
  }
}

export class SimulatedFileBytes {
  readonly #cache = new Growable();
  readonly #durable = new Growable();
  #pending: Write[] = [];
  #flight: Write[] = [];

  get sizeBytes(): number {
    return this.#cache.size;
  }

  read(offset: number, length: number): Uint8Array<ArrayBuffer> {
    return this.#cache.bytes.slice(offset, Math.min(offset + length, this.#cache.size));
  }

  write(offset: number, bytes: Uint8Array): void {
    const copy = bytes.slice() as Uint8Array<ArrayBuffer>;
    this.#cache.set(offset, copy);
    this.#pending.push({ offset, bytes: copy });
  }

  /**
   * Takes what is pending into flight; the returned call makes it durable, with what an abandoned sync left
   * in flight.
   */
  beginSync(): () => void {
    this.#flight.push(...this.#pending);
    this.#pending = [];
    const covered = new Set(this.#flight);
    return () => {
      for (const write of this.#flight) {
        if (covered.has(write)) this.#durable.set(write.offset, write.bytes);
      }
      this.#flight = this.#flight.filter((write) => !covered.has(write));
    };
  }

  /**
   * A failed sync: Linux marks the pages clean, so what did not reach the disk never will, while readers
   * still see it.
   */
  failSync(dice: Dice): void {
    this.#tear(dice);
  }

  /** Sectors persist or not, and what was in memory is gone. */
  powerCut(dice: Dice): void {
    this.#tear(dice);
    this.#cache.copyFrom(this.#durable);
  }

  /** Damages a byte that the medium holds, for tests of rot. */
  corrupt(offset: number, mask: number): void {
    for (const side of [this.#cache, this.#durable]) {
      if (offset < side.size) side.bytes[offset] = (side.bytes[offset] as number) ^ mask;
    }
  }

  clone(): SimulatedFileBytes {
    const copy = new SimulatedFileBytes();
    copy.#cache.copyFrom(this.#cache);
    copy.#durable.copyFrom(this.#durable);
    copy.#pending = [...this.#flight, ...this.#pending];
    return copy;
  }

  #tear(dice: Dice): void {
    const writes = [...this.#flight, ...this.#pending];
    this.#flight = [];
    this.#pending = [];
    const touching = new Map<number, Write[]>();
    for (const write of writes) {
      const last = Math.floor((write.offset + write.bytes.length - 1) / SECTOR_BYTES);
      for (let sector = Math.floor(write.offset / SECTOR_BYTES); sector <= last; sector += 1) {
        const list = touching.get(sector);
        if (list === undefined) touching.set(sector, [write]);
        else list.push(write);
      }
    }
    // Now and then all or nothing persists: histories that a fair coin for every sector would hardly ever
    // show.
    const mood = dice.below(4);
    for (const [sector, list] of touching) {
      const versions = mood === 0 ? list.length : mood === 1 ? 0 : dice.below(list.length + 1);
      for (const write of list.slice(0, versions)) {
        const from = Math.max(write.offset, sector * SECTOR_BYTES);
        const to = Math.min(write.offset + write.bytes.length, (sector + 1) * SECTOR_BYTES);
        this.#durable.set(from, write.bytes.subarray(from - write.offset, to - write.offset));
      }
    }
  }
}
