import fc from "fast-check";
import { expect, test } from "vitest";
import { LiveSpans } from "../../../host/cluster/raft-log/live-spans.ts";

const SPAN_BYTES = 100;

test("the floor lies below everything that lives, by less than a span, with few marks", () => {
  const action = fc.record({
    /** Where a save begins, from the end of the log back; 0 follows. */
    back: fc.oneof({ arbitrary: fc.constant(0), weight: 4 }, fc.nat(12)),
    count: fc.integer({ min: 1, max: 5 }),
    bytes: fc.integer({ min: 1, max: 90 }),
    /** Compacts up to so many entries below the last. */
    compact: fc.option(fc.nat(12), { freq: 5 }),
  });
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), (actions) => {
      const spans = new LiveSpans(SPAN_BYTES);
      /** Index -> offset of the record that holds it. */
      const live = new Map<number, number>();
      let [end, last, snapshot, floor] = [1000, 0, 0, 1000];
      for (const { back, count, bytes, compact } of actions) {
        const first = Math.max(last - back, snapshot) + 1;
        for (let index = first; index <= last; index += 1) live.delete(index);
        last = first + count - 1;
        for (let index = first; index <= last; index += 1) live.set(index, end);
        spans.add(end, first, last);
        end += bytes;
        expect(spans.count).toBeLessThanOrEqual((end - floor) / SPAN_BYTES + 1);
        if (compact === null) continue;
        snapshot = Math.max(snapshot, last - compact);
        for (const index of [...live.keys()]) if (index <= snapshot) live.delete(index);
        const lowest = Math.min(...live.values(), end);
        floor = spans.compact(snapshot, end);
        expect(floor).toBeLessThanOrEqual(lowest);
        expect(lowest - floor).toBeLessThan(SPAN_BYTES);
      }
    }),
    { numRuns: 2000 },
  );
});

test("nothing lives above the mark that compacts, even where marks lie there", () => {
  const spans = new LiveSpans(SPAN_BYTES);
  spans.add(500, 1, 4);
  expect(spans.compact(0, 300)).toBe(300);
  spans.clear();
  expect([spans.count, spans.compact(9, 700)]).toEqual([0, 700]);
});
