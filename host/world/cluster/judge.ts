/** What clients of the store were told, against the changes that happened: each acknowledged write once, ranges and watches as of their revisions. */
import type { KvEvent } from "../../cluster/kv/events.ts";
import type { History } from "./history.ts";

const text = new TextDecoder();
/** Keys of the built-in clients, whose values are all unlike. */
const OURS = /^(?:k[0-9]{4}|probe)\//;

/** `changes`: all that the store went through, in the order of their revisions. Undefined when all of it fits. */
export function judgeAnswers(history: History, changes: readonly KvEvent[]): string | undefined {
  return judgeWrites(history, changes) ?? judgeRanges(history, changes) ?? judgeWatches(history, changes);
}

/** No acknowledged write is lost, and none that was sent is there twice. */
function judgeWrites({ acknowledged }: History, changes: readonly KvEvent[]): string | undefined {
  const byRevision = new Map(changes.map((event) => [event.revision, event]));
  for (const { key, value, revision } of acknowledged) {
    const event = byRevision.get(revision);
    const held =
      event === undefined || event.key !== key
        ? undefined
        : event.type === "put"
          ? numberOf(event.value)
          : null;
    if (held !== value) return `the acknowledged write of ${value} to ${key} at revision ${revision} is lost`;
  }
  const seen = new Map<number, number>();
  for (const event of changes) {
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
function judgeRanges({ ranges, acknowledged }: History, changes: readonly KvEvent[]): string | undefined {
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
    for (; at < changes.length && (changes[at] as KvEvent).revision <= range.revision; at += 1) {
      const event = changes[at] as KvEvent;
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
function judgeWatches({ watches }: History, changes: readonly KvEvent[]): string | undefined {
  for (const { from, to, fromRevision, events, by } of watches) {
    const last = events.at(-1)?.revision ?? 0;
    const expected = changes.filter(
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

export function numberOf(value: Uint8Array): number {
  return Number(text.decode(value));
}
