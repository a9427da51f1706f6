/**
 * What the cluster agreed on: the committed entries, by whichever node applied them first, and a machine of one copy that applies them too.
 * Everything that nodes and clients see is held against it.
 */
import { crc32 } from "../../../protocols/crc.ts";
import type { MachineEntry } from "../../cluster/driver/replicated-machine.ts";
import type { KvEvent } from "../../cluster/kv/events.ts";
import type { KvLimits } from "../../cluster/kv/limits.ts";
import { KvMachine } from "../../cluster/kv/machine.ts";
import { memoryState } from "../../store/memory-state.ts";
import type { History } from "./history.ts";

const text = new TextDecoder();
/** Keys of the built-in clients, whose values are all unlike. */
const OURS = /^(?:k[0-9]{4}|probe)\//;

export class Reference {
  readonly #machine: KvMachine;
  readonly #watcher;
  /** Term and checksum of the entry at index - 1. */
  readonly #terms: number[] = [];
  readonly #checksums: number[] = [];
  readonly #queue: MachineEntry[] = [];
  #running: Promise<void> | undefined;
  /** At revision - 1. */
  readonly events: KvEvent[] = [];
  /** Running checksum of all of it. */
  digest = 0;

  constructor(limits: Partial<KvLimits>) {
    this.#machine = KvMachine.open({
      store: memoryState(),
      limits,
      watch: { queueEvents: Number.MAX_SAFE_INTEGER, queueBytes: Number.MAX_SAFE_INTEGER },
    });
    this.#watcher = this.#machine.watch({ from: "", to: "" });
  }

  get commits(): number {
    return this.#terms.length;
  }
  termAt(index: number): number {
    return this.#terms[index - 1] ?? 0;
  }

  /** A node applied these. A text when another entry was applied there before: state machine safety is broken. */
  applied(entries: readonly MachineEntry[]): string | undefined {
    for (const { index, term, payload } of entries) {
      const checksum = crc32(payload);
      if (index > this.#terms.length + 1)
        return `entry ${index} was applied before entry ${this.#terms.length + 1}`;
      if (index <= this.#terms.length) {
        const known = this.#terms[index - 1] as number;
        if (known !== term || this.#checksums[index - 1] !== checksum)
          return `state machine safety: entry ${index} of term ${term} was applied where another, of term ${known}, had been`;
        continue;
      }
      this.#terms.push(term);
      this.#checksums.push(checksum);
      this.digest = crc32(new Uint8Array(Uint32Array.of(index, term, checksum).buffer), this.digest);
      this.#queue.push({ index, term, payload: payload.slice() });
    }
    if (this.#queue.length > 0) this.#running ??= this.#apply();
    return undefined;
  }

  async #apply(): Promise<void> {
    while (this.#queue.length > 0) await this.#machine.apply(this.#queue.splice(0, 256));
    this.events.push(...this.#watcher.take());
    this.#running = undefined;
  }

  /** Resolves when it stands where the nodes do. */
  async settled(): Promise<void> {
    while (this.#running !== undefined) await this.#running;
  }

  get revision(): number {
    return this.#machine.revision;
  }
  snapshot(): Uint8Array[] {
    return [...this.#machine.snapshot(1 << 20)];
  }

  /** What clients were told, against what happened. Undefined when all of it is so. */
  judge(history: History): string | undefined {
    return this.#judgeWrites(history) ?? this.#judgeRanges(history) ?? this.#judgeWatches(history);
  }

  /** No acknowledged write is lost, and none that was sent is there twice. */
  #judgeWrites({ acknowledged }: History): string | undefined {
    const byRevision = new Map(this.events.map((event) => [event.revision, event]));
    for (const { key, value, revision } of acknowledged) {
      const event = byRevision.get(revision);
      const held =
        event === undefined || event.key !== key
          ? undefined
          : event.type === "put"
            ? numberOf(event.value)
            : null;
      if (held !== value)
        return `the acknowledged write of ${value} to ${key} at revision ${revision} is lost`;
    }
    const seen = new Map<number, number>();
    for (const event of this.events) {
      if (event.type !== "put" || !OURS.test(event.key)) continue;
      const value = numberOf(event.value);
      const before = seen.get(value);
      if (before !== undefined)
        return `the write of ${value} was done twice, at revisions ${before} and ${event.revision}`;
      seen.set(value, event.revision);
    }
    return undefined;
  }

  /** A range shows the state as of its revision, and that is no older than what was acknowledged before it was asked. */
  #judgeRanges({ ranges, acknowledged }: History): string | undefined {
    const state = new Map<string, number>();
    const writes = [...acknowledged].sort((a, b) => a.returnedAt - b.returnedAt);
    const byCall = [...ranges].sort((a, b) => a.calledAt - b.calledAt);
    let [write, newest] = [0, 0];
    for (const range of byCall) {
      while (write < writes.length && (writes[write] as { returnedAt: number }).returnedAt < range.calledAt) {
        newest = Math.max(newest, (writes[write] as { revision: number }).revision);
        write += 1;
      }
      if (range.revision < newest)
        return `client ${range.by} read a range at revision ${range.revision} after revision ${newest} had been acknowledged`;
    }
    let at = 0;
    for (const range of [...ranges].sort((a, b) => a.revision - b.revision)) {
      for (; at < this.events.length && (this.events[at] as KvEvent).revision <= range.revision; at += 1) {
        const event = this.events[at] as KvEvent;
        if (event.type === "put") state.set(event.key, numberOf(event.value));
        else state.delete(event.key);
      }
      const held = [...state]
        .filter(([key]) => range.from <= key && key < range.to)
        .sort(([a], [b]) => (a < b ? -1 : 1));
      const seen = range.items.map(({ key, value }) => `${key}=${value}`).join(" ");
      const expected = held.map(([key, value]) => `${key}=${value}`).join(" ");
      if (seen !== expected)
        return `client ${range.by} read "${seen}" at revision ${range.revision}, where "${expected}" stood`;
    }
    return undefined;
  }

  /** A watcher hears every change of its keys from its revision on, once and in order, as far as it heard. */
  #judgeWatches({ watches }: History): string | undefined {
    for (const { from, to, fromRevision, events, by } of watches) {
      const last = events.at(-1)?.revision ?? 0;
      const expected = this.events.filter(
        ({ key, revision }) => from <= key && key < to && revision >= fromRevision && revision <= last,
      );
      const differs = expected.findIndex(
        (event, at) => events[at]?.revision !== event.revision || events[at]?.key !== event.key,
      );
      if (differs < 0 && expected.length === events.length) continue;
      const missed = expected[differs]?.revision ?? "none";
      return `client ${by} watched from revision ${fromRevision} to ${last} and was told of ${events.length} of ${expected.length} changes; the first it missed is ${missed}`;
    }
    return undefined;
  }
}

export function numberOf(value: Uint8Array): number {
  return Number(text.decode(value));
}
