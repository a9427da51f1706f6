/**
 * Watchers: who wants to hear of every change of some keys, once each and in order. A change is told when its batch is committed, never
 * before. The machine never waits for a watcher: one whose queue was full when a batch came is ended with KV_WATCH_SLOW, and begins again
 * from the revision that it says, or, when that is no longer kept, from a read of the state (as etcd's watchers do after a compaction).
 */
import { TardigradeError } from "../../../protocols/error.ts";
import { compareKeys } from "../../store/ordered-map.ts";
import { type BatchEvents, EventHistory, type KvEvent } from "./events.ts";

/** Which keys; a range is from <= key < to, in the order of their UTF-8, an empty `to` the end. */
export type KvKeys =
  | { readonly key: string }
  | { readonly prefix: string }
  | { readonly from: string; readonly to: string };

export type WatchOptions = KvKeys & {
  /** The first revision wanted; by default the next one. After a read: the read's revision + 1. */
  readonly fromRevision?: number;
  /** Called when take() has something new, or the watcher was ended: once a batch at most. A throw ends the process. */
  readonly onReady?: () => void;
};

/** Why a watcher was ended by the machine: it was slow, or a snapshot replaced the state. */
export type WatchEnd = "KV_WATCH_SLOW" | "KV_COMPACTED";

export interface WatchLimits {
  readonly watchers: number;
  /** Events that a watcher may have waiting when the next batch comes; one batch more may stand in its queue. */
  readonly queueEvents: number;
  readonly queueBytes: number;
  /** Of the recent events that are kept for watchers from an older revision. */
  readonly historyEvents: number;
  readonly historyBytes: number;
}

/** They concern one machine only and may differ between replicas. */
export const WATCH_LIMITS: WatchLimits = {
  watchers: 1_024,
  queueEvents: 4_096,
  queueBytes: 4_194_304,
  historyEvents: 16_384,
  historyBytes: 8_388_608,
};

export class Watcher implements AsyncIterable<KvEvent> {
  readonly #keys: KvKeys;
  readonly #from: number;
  readonly #onReady: (() => void) | undefined;
  readonly #onClose: (watcher: Watcher) => void;
  readonly #published: () => number;
  #queue: KvEvent[] = [];
  /** Events of the queue before it are taken. */
  #head = 0;
  #bytes = 0;
  #nextRevision: number;
  #ended: WatchEnd | "closed" | undefined;
  #wake: (() => void) | undefined;

  /** Made by Watchers. */
  constructor(
    options: WatchOptions & { readonly fromRevision: number },
    hooks: { readonly published: () => number; readonly onClose: (watcher: Watcher) => void },
  ) {
    this.#keys = options;
    this.#from = options.fromRevision;
    this.#nextRevision = options.fromRevision;
    this.#onReady = options.onReady;
    this.#onClose = hooks.onClose;
    this.#published = hooks.published;
  }

  /** Undefined while it goes on. */
  get ended(): WatchEnd | "closed" | undefined {
    return this.#ended;
  }
  get queued(): number {
    return this.#queue.length - this.#head;
  }
  /** Where another watcher goes on without a gap: behind what was taken. */
  get nextRevision(): number {
    if (this.#ended !== undefined) return this.#nextRevision;
    return this.#queue[this.#head]?.revision ?? Math.max(this.#from, this.#published() + 1);
  }

  /** The next events, at most `limit`, and none when there are none or it has ended. */
  take(limit = Number.POSITIVE_INFINITY): KvEvent[] {
    const taken = this.#queue.slice(this.#head, this.#head + limit);
    this.#head += taken.length;
    for (const event of taken) this.#bytes -= bytesOf(event);
    if (this.#head * 2 >= this.#queue.length) {
      this.#queue = this.#queue.slice(this.#head);
      this.#head = 0;
    }
    return taken;
  }

  /** For one reader. Ends when it is closed, throws when the machine ended it. */
  async *[Symbol.asyncIterator](): AsyncGenerator<KvEvent> {
    try {
      for (;;) {
        for (const event of this.take(1)) yield event;
        if (this.queued > 0) continue;
        if (this.#ended === "closed") return;
        if (this.#ended !== undefined) {
          throw new TardigradeError(
            this.#ended,
            `The watch ended; go on from revision ${this.#nextRevision}.`,
            { context: { component: "kv", operation: "watch" } },
          );
        }
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      this.close();
    }
  }

  close(): void {
    if (this.end("closed")) this.#wake?.();
  }

  /** By the machine, which then calls ready(). What waited is dropped. False when it had ended before. */
  end(reason: WatchEnd | "closed"): boolean {
    if (this.#ended !== undefined) return false;
    this.#nextRevision = this.nextRevision;
    this.#ended = reason;
    this.#queue = [];
    this.#head = 0;
    this.#bytes = 0;
    this.#onClose(this);
    return true;
  }

  wants(key: string, revision: number): boolean {
    if (revision < this.#from) return false;
    const keys = this.#keys;
    if ("key" in keys) return keys.key === key;
    if ("prefix" in keys) return key.startsWith(keys.prefix);
    return compareKeys(keys.from, key) <= 0 && (keys.to === "" || compareKeys(key, keys.to) < 0);
  }

  push(event: KvEvent): void {
    this.#queue.push(event);
    this.#bytes += bytesOf(event);
  }

  isFull(limits: WatchLimits): boolean {
    return this.queued >= limits.queueEvents || this.#bytes >= limits.queueBytes;
  }

  ready(): void {
    this.#wake?.();
    if (this.#onReady === undefined) return;
    try {
      this.#onReady();
    } catch (error) {
      // The batch is committed: a bug of a watcher must not look like a failure of the machine.
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}

function bytesOf(event: KvEvent): number {
  return event.key.length + (event.type === "put" ? event.value.length : 0);
}

export class Watchers {
  readonly #limits: WatchLimits;
  /** Watchers of one key by that key; those of ranges and prefixes are asked one by one. */
  readonly #byKey = new Map<string, Set<Watcher>>();
  readonly #ranges = new Set<Watcher>();
  #count = 0;
  #history: EventHistory;
  /** Of the last event that was published. */
  #published: number;

  constructor(limits: WatchLimits, revision: number) {
    this.#limits = limits;
    this.#published = revision;
    this.#history = this.#newHistory(revision);
  }

  get count(): number {
    return this.#count;
  }
  /** Watching can begin here, or at any later revision. */
  get oldestRevision(): number {
    return this.#history.oldestRevision;
  }

  /** Throws KV_COMPACTED with the oldest revision that can be watched from, or KV_WATCHERS_FULL. */
  subscribe(options: WatchOptions, revision: number): Watcher {
    const { fromRevision = revision + 1 } = options;
    const context = { component: "kv", operation: "watch" };
    if (fromRevision < this.oldestRevision) {
      throw new TardigradeError(
        "KV_COMPACTED",
        `Changes from revision ${fromRevision} on are no longer kept; the oldest is ${this.oldestRevision}.`,
        { context },
      );
    }
    if (this.#count >= this.#limits.watchers) {
      throw new TardigradeError("KV_WATCHERS_FULL", `There are ${this.#limits.watchers} watchers already.`, {
        context,
      });
    }
    const home = this.#homeOf(options);
    const onClose = (ended: Watcher): void => {
      this.#count -= 1;
      home.delete(ended);
      if ("key" in options && home.size === 0) this.#byKey.delete(options.key);
    };
    const watcher = new Watcher({ ...options, fromRevision }, { published: () => this.#published, onClose });
    for (const [batch, index] of this.#history.since(fromRevision))
      if (watcher.wants(batch.key(index), batch.revision(index))) watcher.push(batch.event(index));
    home.add(watcher);
    this.#count += 1;
    return watcher;
  }

  /** A batch was committed. */
  publish(batch: BatchEvents): void {
    if (batch.count === 0) return;
    const reached = new Map<Watcher, "told" | "slow">();
    if (this.#count > 0) {
      for (let index = 0; index < batch.count; index += 1) this.#tell(batch, index, reached);
    }
    this.#history.push(batch);
    for (const [watcher, how] of reached) if (how === "slow") watcher.end("KV_WATCH_SLOW");
    this.#published = batch.lastRevision;
    // Last: whoever is called may watch, take or close.
    for (const watcher of reached.keys()) watcher.ready();
  }

  /** A snapshot replaced the state: what happened in between is unknown here. */
  reset(revision: number): void {
    this.#history = this.#newHistory(revision);
    const all = [...this.#ranges, ...[...this.#byKey.values()].flatMap((watchers) => [...watchers])];
    for (const watcher of all) watcher.end("KV_COMPACTED");
    this.#published = revision;
    for (const watcher of all) watcher.ready();
  }

  #tell(batch: BatchEvents, index: number, reached: Map<Watcher, "told" | "slow">): void {
    let event: KvEvent | undefined;
    const key = batch.key(index);
    const revision = batch.revision(index);
    const offer = (watcher: Watcher): void => {
      if (!watcher.wants(key, revision)) return;
      // Asked once a batch: one that comes into a queue with room is taken whole.
      let how = reached.get(watcher);
      if (how === undefined) {
        how = watcher.isFull(this.#limits) ? "slow" : "told";
        reached.set(watcher, how);
      }
      if (how === "slow") return;
      event ??= batch.event(index);
      watcher.push(event);
    };
    const exact = this.#byKey.get(key);
    if (exact !== undefined) for (const watcher of exact) offer(watcher);
    for (const watcher of this.#ranges) offer(watcher);
  }

  #homeOf(options: KvKeys): Set<Watcher> {
    if (!("key" in options)) return this.#ranges;
    const home = this.#byKey.get(options.key) ?? new Set();
    this.#byKey.set(options.key, home);
    return home;
  }

  #newHistory(revision: number): EventHistory {
    const { historyEvents, historyBytes } = this.#limits;
    return new EventHistory({ eventsMax: historyEvents, bytesMax: historyBytes, revision });
  }
}
