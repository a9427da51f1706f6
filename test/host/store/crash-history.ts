/**
 * Random lives of a segment log on a disk that forgets: it is opened, appended to, cut, killed and opened
 * again, and a model says what must be there. Not a test by itself; log-crash.test.ts runs it.
 *
 * What must hold after any crash, and any number of crashes during recovery:
 *   - what was acknowledged is there, once, at its offset, in order
 *   - what is there was appended, with these bytes, and forms a prefix of what its process appended
 *   - what a start did not find never comes back
 *   - what removeBefore() removed stays removed
 */
import { openSegmentLog, type SegmentLog } from "../../../host/store/segment-log.ts";
import { SimulatedClock } from "../../../host/world/clock.ts";
import { type CrashKind, SimulatedCrash, SimulatedDisk } from "../../../host/world/disk.ts";
import { type SeededRandom, seededRandom } from "../../../host/world/random.ts";

const SYNC_MS = 10;

interface Appended {
  readonly id: number;
  readonly offset: number;
  /** Which process appended it. */
  readonly process: number;
}

export interface CrashPlan {
  /** Crash at this operation of the whole life; at random ones when absent. */
  readonly operation?: number;
  readonly kind?: CrashKind;
}

/**
 * Sizes repeat, so that batches of different lives end at the same places; the long one makes a batch of
 * exactly one sector, of which the first may be lost while the second is whole.
 */
const PAYLOAD_BYTES = [4, 12, 12, 480, 40, 480, 480, 100] as const;
const SEGMENT_BYTES = [1024, 1024, 4096, 4096] as const;

/**
 * Lives one history to its end and throws at the first broken promise. Returns how many disk operations it
 * took.
 */
export async function liveHistory(
  seed: number,
  plan: CrashPlan = {},
): Promise<{ readonly operations: number }> {
  const history = new History(seed, plan);
  await history.live();
  return { operations: history.disk.operations };
}

class History {
  readonly disk: SimulatedDisk;
  readonly #random: SeededRandom;
  readonly #clock = new SimulatedClock();
  readonly #plan: CrashPlan;
  readonly #segmentBytes: number;
  readonly #batchBytesMax: number;
  #nextId = 1;
  #process = 0;
  /** Appended by the process that runs, oldest first. */
  #fresh: Appended[] = [];
  /** Known durable: acknowledged, or found at a start. */
  #durable: Appended[] = [];
  #acknowledgedEnd = 0;
  #removedBelow = 0;
  #mayBeRemovedBelow = 0;

  constructor(seed: number, plan: CrashPlan) {
    this.#random = seededRandom(seed);
    this.#plan = plan;
    // Syncs that take time let appends, removals and crashes fall into them.
    const syncMs = this.#random.chance(0.3) ? SYNC_MS : 0;
    this.disk = new SimulatedDisk({ random: this.#random.fork("disk"), clock: this.#clock, syncMs });
    this.#segmentBytes = pick(this.#random, SEGMENT_BYTES);
    this.#batchBytesMax = pick(this.#random, [64, 512, 512, 4096]);
  }

  async live(): Promise<void> {
    if (this.#plan.operation !== undefined)
      this.disk.crashAfter(this.#plan.operation, this.#plan.kind ?? "power");
    const lives = 3 + this.#random.below(3);
    for (let life = 0; life < lives; life += 1) {
      if (this.#plan.operation === undefined) {
        // Early crashes hit recovery, late ones the work.
        const operations = 1 + this.#random.below(this.#random.chance(0.5) ? 8 : 60);
        this.disk.crashAfter(operations, this.#random.chance(0.5) ? "power" : "kill");
      }
      await this.#oneLife();
      if (this.#random.chance(0.5)) this.disk.powerCut();
      else this.disk.kill();
    }
    // The last look, twice: what the first finds, it promises to a second that follows a power cut.
    this.disk.disarm();
    for (let look = 0; look < 2; look += 1) {
      await this.#during(this.#open());
      this.disk.powerCut();
    }
  }

  async #oneLife(): Promise<void> {
    try {
      const log = await this.#during(this.#open());
      const actions = this.#random.below(14);
      for (let action = 0; action < actions; action += 1) await this.#act(log);
      if (this.#random.chance(0.3)) await this.#during(log.close());
    } catch (error) {
      if (!(error instanceof SimulatedCrash)) throw error;
    }
  }

  /** Lets time pass until the work is done. */
  async #during<T>(work: Promise<T>): Promise<T> {
    let busy = true;
    const end = (): void => {
      busy = false;
    };
    work.then(end, end);
    await this.#clock.settle();
    while (busy) await this.#clock.advance(SYNC_MS);
    return work;
  }

  async #open(): Promise<SegmentLog> {
    this.#process += 1;
    const log = await openSegmentLog({
      disk: this.disk.mount(),
      folder: "data/log",
      clock: this.#clock,
      random: this.#random,
      segmentBytes: this.#segmentBytes,
      batchBytesMax: this.#batchBytesMax,
    });
    await this.#check(log);
    log.onDurable((end) => {
      this.#acknowledgedEnd = end;
    });
    return log;
  }

  async #act(log: SegmentLog): Promise<void> {
    const dice = this.#random.below(10);
    if (dice < 6) {
      const count = 1 + this.#random.below(5);
      let last = 0;
      for (let number = 0; number < count; number += 1) last = this.#append(log);
      if (this.#random.chance(0.6)) await this.#during(log.durable(last));
      else await this.#clock.advance(this.#random.below(2 * SYNC_MS));
    } else if (dice < 7) {
      await this.#during(this.#remove(log));
    } else if (dice < 8) {
      await this.#clock.advance(6_000);
    } else {
      await this.#check(log);
    }
  }

  #append(log: SegmentLog): number {
    const id = this.#nextId;
    this.#nextId += 1;
    const payload = payloadOf(id);
    const offset = log.append(payload);
    payload.fill(0xee);
    this.#fresh.push({ id, offset, process: this.#process });
    return offset;
  }

  async #remove(log: SegmentLog): Promise<void> {
    const below = log.start + this.#random.below(log.syncedEnd - log.start + 1);
    this.#mayBeRemovedBelow = Math.max(this.#mayBeRemovedBelow, below);
    await log.removeBefore(below);
    this.#removedBelow = log.start;
  }

  /** Compares the log with the model, and takes what a new process found into the model. */
  async #check(log: SegmentLog): Promise<void> {
    const acknowledged = this.#fresh.filter((one) => one.offset < this.#acknowledgedEnd);
    const starting = this.#fresh.some((one) => one.process !== this.#process);
    const found = await readAll(log, this.#random);
    if (log.start < this.#removedBelow)
      throw new Error(`removed segments are back: ${log.start} < ${this.#removedBelow}`);
    if (log.start > this.#mayBeRemovedBelow) throw new Error(`segments are missing below ${log.start}`);
    const must = [...this.#durable, ...acknowledged].filter((one) => one.offset >= log.start);
    const may = starting
      ? this.#fresh.slice(acknowledged.length)
      : this.#fresh.slice(acknowledged.length).filter((one) => one.offset < log.syncedEnd);
    const expected = [...must, ...may].slice(0, Math.max(found.length, must.length));
    const text = (list: readonly { readonly id: number; readonly offset: number }[]) =>
      list.map((one) => `${one.id}@${one.offset}`).join(" ");
    if (text(found) !== text(expected)) {
      throw new Error(`expected ${must.length} records or more: ${text(expected)}\nfound: ${text(found)}`);
    }
    if (!starting) return;
    // A new process: what it found is durable from now on, and the rest is gone for good.
    this.#durable = expected;
    this.#fresh = [];
    this.#acknowledgedEnd = 0;
  }
}

/** All records, through a reader's pages of a random size. */
export async function readAll(
  log: SegmentLog,
  random: SeededRandom,
): Promise<{ readonly id: number; readonly offset: number }[]> {
  const found: { id: number; offset: number }[] = [];
  let from = random.chance(0.5) ? 0 : log.start;
  for (;;) {
    const page = await log.read(from, 1 + random.below(400));
    if (page.records.length === 0) return found;
    for (const record of page.records) found.push({ id: idOf(record.payload), offset: record.offset });
    if (page.next <= from) throw new Error(`the reader does not move on from ${from}`);
    from = page.next;
  }
}

/** Bytes that name their record, so that a record never appended is seen. */
export function payloadOf(id: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(PAYLOAD_BYTES[id % PAYLOAD_BYTES.length] as number);
  for (let at = 4; at < bytes.length; at += 1) bytes[at] = (id * 31 + at) & 0xff;
  new DataView(bytes.buffer).setUint32(0, id, true);
  return bytes;
}

function idOf(payload: Uint8Array): number {
  const id = new DataView(payload.buffer, payload.byteOffset, payload.byteLength).getUint32(0, true);
  if (Buffer.compare(payload, payloadOf(id)) !== 0)
    throw new Error(`record ${id} has bytes that were never appended`);
  return id;
}

function pick<T>(random: SeededRandom, list: readonly T[]): T {
  return list[random.below(list.length)] as T;
}
