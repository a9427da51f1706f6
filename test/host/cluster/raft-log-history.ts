/**
 * Random lives of a Raft log on a disk that forgets: entries are appended and overridden, terms and votes change, the log is
 * compacted and reset, the process dies and starts again; a model says what must be there. raft-log-crash.test.ts runs it.
 *
 * What must hold after any crash, and any number of crashes during recovery: a start finds the log as it was after some save, and
 * not before the last one that was told durable. So nothing durable is lost, nothing is out of order, nothing appears that was
 * not saved, and what one start did not find, no later one does.
 */
import {
  openRaftLog,
  type RaftLog,
  recordRunBytesMax,
  type SnapshotMark,
} from "../../../host/cluster/raft-log/raft-log.ts";
import { SimulatedClock } from "../../../host/world/clock.ts";
import { type CrashKind, SimulatedCrash, SimulatedDisk } from "../../../host/world/disk.ts";
import { type SeededRandom, seededRandom } from "../../../host/world/random.ts";
import { type ModelEntry, modelText, runOf, textOf } from "./raft-log-world.ts";

const SYNC_MS = 10;
const SEGMENT_BYTES = [1024, 1024, 4096] as const;
const PAYLOAD_BYTES = [0, 3, 8, 64, 100, 300] as const;

export interface CrashPlan {
  /** Crash at this operation of the whole life; at random ones when absent. */
  readonly operation?: number;
  readonly kind?: CrashKind;
}

interface Model {
  readonly term: number;
  readonly vote: number;
  readonly snapshot?: SnapshotMark;
  readonly firstIndex: number;
  readonly entries: readonly ModelEntry[];
}

/** The log after a save, and the token that says it is durable; none for the middle of a save. */
interface Stage {
  readonly model: Model;
  readonly token: number;
}

export interface Lived {
  readonly operations: number;
  /** How many starts found a compacted log, and one that lost something not durable. */
  readonly compacted: number;
  readonly lossy: number;
}

export async function liveRaftHistory(seed: number, plan: CrashPlan = {}): Promise<Lived> {
  const history = new History(seed, plan);
  await history.live();
  return { operations: history.disk.operations, compacted: history.compacted, lossy: history.lossy };
}

class History {
  readonly disk: SimulatedDisk;
  compacted = 0;
  lossy = 0;
  readonly #random: SeededRandom;
  readonly #clock = new SimulatedClock();
  readonly #plan: CrashPlan;
  readonly #segmentBytes: number;
  readonly #batchBytesMax: number;
  #model: Model = { term: 0, vote: 0, firstIndex: 1, entries: [] };
  #stages: Stage[] = [{ model: this.#model, token: 0 }];
  #durableToken = 0;
  #fill = 0;
  #failure: Error | undefined;

  constructor(seed: number, plan: CrashPlan) {
    this.#random = seededRandom(seed);
    this.#plan = plan;
    // Syncs that take time let saves, removals and crashes fall into them.
    const syncMs = this.#random.chance(0.5) ? SYNC_MS : 0;
    this.disk = new SimulatedDisk({ random: this.#random.fork("disk"), clock: this.#clock, syncMs });
    this.#segmentBytes = this.#pick(SEGMENT_BYTES);
    this.#batchBytesMax = this.#pick([64, 512, 4096]);
  }

  async live(): Promise<void> {
    if (this.#plan.operation !== undefined)
      this.disk.crashAfter(this.#plan.operation, this.#plan.kind ?? "power");
    const lives = 3 + this.#random.below(3);
    for (let life = 0; life < lives; life += 1) {
      if (this.#plan.operation === undefined) {
        // Early crashes hit recovery, late ones the work.
        const operations = 1 + this.#random.below(this.#random.chance(0.3) ? 8 : 100);
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
      const actions = this.#random.below(24);
      for (let action = 0; action < actions; action += 1) {
        this.#act(log);
        if (this.#random.chance(0.4)) await this.#during(this.#untilDurable(log));
        else if (this.#random.chance(0.5)) await this.#clock.advance(this.#random.below(2 * SYNC_MS));
      }
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

  #untilDurable(log: RaftLog): Promise<void> {
    const token = (this.#stages.at(-1) as Stage).token;
    return new Promise((resolve, reject) => {
      if (log.durableToken >= token) resolve();
      // The listeners of the past heard it.
      if (this.#failure !== undefined) reject(this.#failure);
      log.onDurable((durable) => durable >= token && resolve());
      log.onFatal(reject);
    });
  }

  async #open(): Promise<RaftLog> {
    const log = await openRaftLog({
      disk: this.disk.mount(),
      folder: "data/raft",
      clock: this.#clock,
      random: this.#random,
      segmentBytes: this.#segmentBytes,
      batchBytesMax: this.#batchBytesMax,
    });
    this.#check(log);
    log.releaseRecovered();
    this.#failure = undefined;
    log.onFatal((error) => {
      this.#failure = error;
    });
    log.onDurable((token) => {
      this.#durableToken = token;
    });
    return log;
  }

  /** Finds the stage that the start found, and goes on from there. */
  #check(log: RaftLog): void {
    const found = textOf(log.recovered);
    const sure = this.#stages.findLastIndex(({ token }) => token <= this.#durableToken);
    const may = this.#stages.slice(sure);
    const match = may.findIndex(({ model }) => modelText(model) === found);
    if (match < 0) {
      const expected = may.map(({ model }) => modelText(model)).join("\n  ");
      throw new Error(`found ${found}\nbut it should be one of\n  ${expected}`);
    }
    if (log.recovered.snapshot !== undefined) this.compacted += 1;
    if (match < may.length - 1) this.lossy += 1;
    this.#model = (may[match] as Stage).model;
    this.#stages = [{ model: this.#model, token: log.durableToken }];
    this.#durableToken = log.durableToken;
  }

  #act(log: RaftLog): void {
    const dice = this.#random.below(16);
    if (dice < 9) this.#append(log);
    else if (dice < 11) this.#override(log);
    else if (dice < 12) this.#vote(log);
    else if (dice < 15) this.#compact(log);
    else this.#reset(log);
  }

  #append(log: RaftLog): void {
    this.#saveFrom(log, this.#model.firstIndex + this.#model.entries.length);
  }

  #override(log: RaftLog): void {
    const { firstIndex, entries } = this.#model;
    this.#saveFrom(log, firstIndex + this.#random.below(entries.length + 1));
  }

  #saveFrom(log: RaftLog, index: number): void {
    const { firstIndex, entries, ...rest } = this.#model;
    const raised = this.#random.chance(0.3) || index < firstIndex + entries.length;
    const state = raised ? { term: rest.term + 1, vote: this.#random.below(4) } : undefined;
    const term = Math.max((state ?? rest).term, 1);
    const added = Array.from({ length: 1 + this.#random.below(4) }, () => this.#entry(term));
    const bytes = runOf(added);
    const hard = state ?? { term, vote: rest.vote };
    const token = log.save({ state: hard, entries: { firstIndex: index, run: bytes } });
    bytes.fill(0xee);
    const kept = entries.slice(0, index - firstIndex);
    const split = bytes.length > recordRunBytesMax(this.#segmentBytes);
    for (let count = split ? 1 : added.length; count <= added.length; count += 1) {
      this.#model = { ...rest, ...hard, firstIndex, entries: [...kept, ...added.slice(0, count)] };
      this.#stages.push({
        model: this.#model,
        token: count === added.length ? token : Number.POSITIVE_INFINITY,
      });
    }
  }

  #entry(term: number): ModelEntry {
    this.#fill = (this.#fill + 1) & 0xff;
    const length = this.#pick(PAYLOAD_BYTES);
    return { term, length, fill: length === 0 ? 0 : this.#fill };
  }

  #vote(log: RaftLog): void {
    const state = { term: this.#model.term + this.#random.below(2), vote: this.#random.below(4) };
    this.#push(log.save({ state }), { ...this.#model, ...state });
  }

  #compact(log: RaftLog): void {
    const { firstIndex, entries, ...rest } = this.#model;
    if (entries.length === 0) return;
    const index = firstIndex + this.#random.below(entries.length);
    const { term } = entries[index - firstIndex] as ModelEntry;
    const snapshot = { index, term, configuration: this.#random.bytes(this.#random.below(20)) };
    const model = {
      ...{ ...rest, snapshot, firstIndex: index + 1 },
      entries: entries.slice(index + 1 - firstIndex),
    };
    this.#push(log.compact(snapshot), model);
  }

  #reset(log: RaftLog): void {
    const { firstIndex, entries, snapshot } = this.#model;
    const index = Math.max(1, firstIndex - 1 + this.#random.below(entries.length + 20));
    const state = { term: this.#model.term + 1, vote: this.#random.below(4) };
    const term = Math.max(snapshot?.term ?? 0, this.#model.term);
    const mark = { index, term, configuration: this.#random.bytes(4) };
    const token = log.reset({ ...mark, state });
    this.#push(token, { ...state, snapshot: mark, firstIndex: index + 1, entries: [] });
  }

  #push(token: number, model: Model): void {
    this.#model = model;
    this.#stages.push({ model, token });
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#random.below(list.length)] as T;
  }
}
