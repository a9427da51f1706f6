/**
 * The gateway's stamps, each above every one before, over restarts too, whatever became of the wall clock meanwhile.
 *
 * A clock in memory (the core's hybrid logical clock, or the one below) gives them. What it has given when the process is killed nobody knows, so an upper
 * bound is on disk before any stamp near it is given (Kulkarni et al., section 5, and as CockroachDB keeps it): reserved AHEAD_MS ahead of the wall clock, renewed while
 * RENEW_MS of it are left, and the next run begins above it. So after a kill stamps may run AHEAD_MS ahead of the wall clock, half of what other
 * machines put up with; after an orderly end they do not, since the last stamp is then kept instead. Stamps that are ahead of the wall clock, after a kill or
 * since it was set back, count on from the last until it has caught up. They need little room, COUNT_MS, so a process that is killed again and again is not
 * AHEAD_MS further ahead each time.
 *
 * Devices that know the time stamp what they send, and their stamps are taken in, so that an effect is above its cause. A device is trusted less than our own
 * wall clock (receive() says how far): its clock is a crystal, it may be wrong by years, and one device must not drag the stamps of all along.
 *
 * Where the wall clock leaps beyond the bound (a board without a battery learns the time), next() refuses with QUEUE_FULL until the new bound is on disk:
 * whoever sent keeps his message, as when the log is full.
 *
 * ```
 *   file   two slots, at 0 and 4096, written in turn; the whole one with the higher sequence counts
 *   slot   "TSTB" u32, version u32, sequence f64, bound u64, CRC-32 of these u32       little-endian
 * ```
 */
import { crc32 } from "../../protocols/crc.ts";
import { isTardigradeError, TardigradeError } from "../../protocols/error.ts";
import type { Clock, Disk, DiskFile, Dispose } from "../io/seams.ts";
import type { StampClock, Stamps } from "./ports.ts";

export const AHEAD_MS = 30_000;
/** How far ahead of our wall clock a device may be; well below what is left of the bound on disk while the wall clock leads. */
export const DEVICE_AHEAD_MS = 5000;
/** How far a device may raise the counter of milliseconds that are further ahead: 256 stamps are left before it carries. */
const DEVICE_LOGICAL_MAX = 0xff00n;
/** And beyond that, by each stamp: what an answer is above its command. */
const DEVICE_STEP = 1n;
/** With the time between checks, three tries before the bound is reached. */
const RENEW_MS = 20_000;
/** Room above the last stamp: 13 million of our own while the wall clock is behind, 25,600 where devices raise the counter; renewed when half of it is used. */
export const COUNT_MS = 200;
/** Between two renewals that stamps themselves ask for. */
const RENEW_AGAIN_MS = 20;
const CHECK_MS = 5000;
const LOGICAL_BITS = 16n;
const LOGICAL_MAX = 0xffffn;
const U64_MAX = 2n ** 64n - 1n;

const FOLDER = "stamps";
const PATH = `${FOLDER}/bound`;
const MAGIC = 0x42545354;
const VERSION = 1;
const SLOT_BYTES = 28;
const SLOT_OFFSETS = [0, 4096] as const;

export interface DurableStampsOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  /** A clock whose stamps begin above the floor. */
  readonly clockFrom: (floor: bigint) => StampClock;
  /** A bound could not be written; it is tried again. */
  readonly onError: (error: unknown) => void;
}

export class DurableStamps implements Stamps {
  readonly #options: DurableStampsOptions;
  #file: DiskFile;
  /** A handle whose sync failed syncs nothing any more. */
  #isFileSpent = false;
  readonly #stamps: StampClock;
  #sequence: number;
  #bound = 0n;
  /** A stamp above it asks for a new bound. */
  #renewAbove = U64_MAX;
  #renewedMs = Number.NEGATIVE_INFINITY;
  #renewing: Promise<void> | undefined;
  #stop: Dispose;
  #isClosed = false;

  /** For openStamps(). */
  constructor(options: DurableStampsOptions, file: DiskFile, kept: Kept) {
    this.#options = options;
    this.#file = file;
    this.#sequence = kept.sequence;
    this.#stamps = options.clockFrom(kept.bound);
    // Nothing is given before the first bound is on disk.
    this.#stamps.boundPersisted(kept.bound);
    this.#stop = this.#arm();
  }

  next(): bigint {
    try {
      if (!this.#isClosed) {
        const stamp = this.#stamps.tick();
        if (stamp > this.#renewAbove) this.#renewSoon();
        return stamp;
      }
    } catch (error) {
      if (!isTardigradeError(error) || error.code !== "CLOCK_DRIFT") throw error;
      this.renew().catch(this.#options.onError);
    }
    throw new TardigradeError(
      "QUEUE_FULL",
      "The bound of the gateway's stamps is not on disk yet; try again soon.",
    );
  }

  last(): bigint {
    return this.#stamps.last();
  }

  /**
   * A stamp is taken in when its milliseconds are at most DEVICE_AHEAD_MS ahead of our wall clock, or not above those of our last stamp, which lead while a wall
   * clock that was set back catches up. There a device may raise the counter only so far that 128 messages make a millisecond of lead, and
   * time is faster than that. What is above the bound on disk is refused, whatever the wall clock says.
   */
  receive(stamp: bigint): boolean {
    const last = this.#stamps.last();
    if (stamp <= last) return true;
    const nearest = ((wallOf(this.#options.clock) + BigInt(DEVICE_AHEAD_MS)) << LOGICAL_BITS) | LOGICAL_MAX;
    const counted = higher(((last >> LOGICAL_BITS) << LOGICAL_BITS) | DEVICE_LOGICAL_MAX, last + DEVICE_STEP);
    if (stamp > higher(nearest, counted) || stamp > this.#bound) return false;
    try {
      this.#stamps.receive(stamp);
      return true;
    } catch (error) {
      // A clock that has a narrower bound of its own.
      if (isTardigradeError(error) && error.code === "CLOCK_DRIFT") return false;
      throw error;
    }
  }

  /** Reserves anew. Rejects when the disk does; then the bound of before holds. */
  renew(): Promise<void> {
    this.#renewing ??= this.#keep(this.#above(AHEAD_MS, COUNT_MS)).finally(() => {
      this.#renewing = undefined;
    });
    return this.#renewing;
  }

  /** Before the next check, since stamps are given fast. */
  #renewSoon(): void {
    const nowMs = this.#options.clock.monotonicMs();
    if (this.#renewing !== undefined || nowMs - this.#renewedMs < RENEW_AGAIN_MS) return;
    this.#renewedMs = nowMs;
    this.renew().catch(this.#options.onError);
  }

  /** Keeps the last stamp, so that the next run need not begin ahead of the wall clock. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#stop();
    await this.#renewing?.catch(() => undefined);
    try {
      await this.#keep(this.#stamps.last());
    } catch (error) {
      // The bound on disk is higher, and as good.
      this.#options.onError(error);
    }
    await this.#file.close();
  }

  async #keep(bound: bigint): Promise<void> {
    // Counted when it is on disk: after a sync that failed the same slot is written again, and the other still holds what counts.
    const sequence = this.#sequence + 1;
    const slot = new Uint8Array(SLOT_BYTES);
    const view = new DataView(slot.buffer);
    view.setUint32(0, MAGIC, true);
    view.setUint32(4, VERSION, true);
    view.setFloat64(8, sequence, true);
    view.setBigUint64(16, bound, true);
    view.setUint32(24, crc32(slot.subarray(0, 24)), true);
    if (this.#isFileSpent) {
      await this.#file.close();
      this.#file = await this.#options.disk.open(PATH);
    }
    this.#isFileSpent = true;
    this.#file.write(SLOT_OFFSETS[sequence % 2] as number, slot);
    await this.#file.sync();
    this.#isFileSpent = false;
    this.#sequence = sequence;
    this.#bound = bound;
    this.#renewAbove = bound - ((BigInt(COUNT_MS) << LOGICAL_BITS) >> 1n);
    this.#stamps.boundPersisted(bound);
  }

  /** So far above the wall clock, and above the last stamp. */
  #above(wallMs: number, countMs: number): bigint {
    const ofWall = (wallOf(this.#options.clock) + BigInt(wallMs)) << LOGICAL_BITS;
    const ofLast = this.#stamps.last() + (BigInt(countMs) << LOGICAL_BITS);
    const bound = higher(ofWall, ofLast);
    return bound > U64_MAX ? U64_MAX : bound;
  }

  #arm(): Dispose {
    return this.#options.clock.alarm(
      CHECK_MS,
      () => {
        if (this.#bound < this.#above(RENEW_MS, COUNT_MS / 2)) this.renew().catch(this.#options.onError);
        this.#stop = this.#arm();
      },
      { background: true },
    );
  }
}

/** Rejects with a disk error or FORMAT_VERSION. A file that is not there, or is damaged in both slots, is begun anew from the wall clock. */
export async function openStamps(options: DurableStampsOptions): Promise<DurableStamps> {
  const { disk } = options;
  await disk.makeFolder(FOLDER);
  await disk.syncFolder(".");
  const file = await disk.open(PATH, { create: true });
  const stamps = new DurableStamps(options, file, await readKept(file));
  await stamps.renew();
  await disk.syncFolder(FOLDER);
  return stamps;
}

interface Kept {
  readonly sequence: number;
  readonly bound: bigint;
}

async function readKept(file: DiskFile): Promise<Kept> {
  let kept: Kept = { sequence: 0, bound: 0n };
  for (const offset of SLOT_OFFSETS) {
    const slot = await file.read(offset, SLOT_BYTES);
    if (slot.length < SLOT_BYTES) continue;
    const view = new DataView(slot.buffer, slot.byteOffset, slot.byteLength);
    const sum = crc32(slot.subarray(0, 24));
    if (view.getUint32(0, true) !== MAGIC || view.getUint32(24, true) !== sum) continue;
    if (view.getUint32(4, true) !== VERSION) {
      throw new TardigradeError(
        "FORMAT_VERSION",
        `${PATH} was written by another version; start the version that wrote it, or remove the file and let stamps begin at the wall clock.`,
        { context: { component: "stamps", version: view.getUint32(4, true) } },
      );
    }
    const sequence = view.getFloat64(8, true);
    if (sequence > kept.sequence) kept = { sequence, bound: view.getBigUint64(16, true) };
  }
  return kept;
}

/** A hybrid clock where the core is not loaded: wall milliseconds in the upper 48 bits, a counter below. */
export function wallStampClock(clock: Clock, floor = 0n): StampClock {
  let last = floor;
  let bound = U64_MAX;
  const wallStamp = () => wallOf(clock) << LOGICAL_BITS;
  return {
    tick: () => {
      const stamp = higher(last + 1n, wallStamp());
      if (stamp > bound) throw new TardigradeError("CLOCK_DRIFT", "The persisted bound is reached.");
      last = stamp;
      return stamp;
    },
    last: () => last,
    receive: (stamp) => {
      last = higher(last, stamp);
    },
    boundPersisted: (persisted) => {
      bound = persisted;
    },
  };
}

function wallOf(clock: Clock): bigint {
  return BigInt(Math.max(0, Math.floor(clock.wallMs())));
}

function higher(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
