/**
 * A thread that is ended anywhere in the middle of its work, again and again: whoever is left reads nothing that is torn, gets nothing twice, goes on, and learns of it.
 */
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { bytesRing, deque, latest, map, pool, queue, ring, stack } from "../../../host/exports/lockfree.ts";
import { seededRandom } from "../../../host/world/random.ts";
import { PAIR, WIDE } from "../../support/lockfree/schemas.ts";
import { thread } from "../../support/lockfree/thread.ts";

const TIMES = 200;

test(`${TIMES} threads ended at random: ring, bytes, queue, stack, pool, deque, map and latest value stay whole`, async () => {
  const random = seededRandom(21);
  const seen = {
    ring: 0,
    bytes: 0,
    queue: 0,
    stack: 0,
    deque: 0,
    map: 0,
    latest: 0,
    stalled: 0,
    lostBlocks: 0,
  };
  const at = { ring: 0, bytes: 0 };
  const rings = ring({ schema: PAIR, capacity: 64 });
  const messages = bytesRing({ capacityBytes: 4096 });
  const values = latest({ schema: WIDE });
  const shared = map({ capacity: 2 ** 16, initial: 4 });
  const [reader, bytes] = [rings.consumer(), messages.consumer()];
  for (let time = 0; time < TIMES; time += 1) {
    // A queue, a stack, a pool and a deque may lose what the ended thread held: new ones each time.
    const records = queue({ schema: PAIR, capacity: 8 });
    const pile = stack({ schema: PAIR, capacity: 8 });
    const blocks = pool({ schema: PAIR, capacity: 8 });
    const work = deque({ capacity: 64 });
    const handles = {
      ring: rings.handle,
      bytes: messages.handle,
      latest: values.handle,
      map: shared.handle,
      queue: records.handle,
      stack: pile.handle,
      pool: blocks.handle,
      deque: work.handle,
    };
    const { worker, exit } = thread({
      job: "everything",
      handle: rings.handle,
      handles,
      from: at.ring,
      count: time,
    });
    await new Promise((resolve) => worker.once("message", resolve));
    const isReading = random.u32() % 2 === 0;
    const until = performance.now() + (random.u32() % 4);
    const read = () => {
      reader.shiftBatch(64, ({ id, check }) => {
        // Each thread begins where the last published.
        expect([id, check]).toEqual([at.ring, (id * 3) >>> 0]);
        at.ring += 1;
        seen.ring += 1;
      });
      for (let message = bytes.next(); message !== undefined; message = bytes.next()) {
        expect(message.every((byte) => byte === (message[0] ?? 0))).toBe(true);
        expect(message.length).toBe(1 + ((message[0] ?? 0) % 50));
        seen.bytes += 1;
        bytes.release();
      }
      const value = values.read();
      if (value !== undefined) {
        expect([value.b, value.c, value.d]).toEqual([value.a, value.a, value.a]);
        seen.latest += 1;
      }
      records.tryShift(({ id, check }) => {
        expect(check).toBe((id * 3) >>> 0);
        seen.queue += 1;
      });
      pile.tryPop(({ id, check }) => {
        expect(check).toBe((id * 3) >>> 0);
        seen.stack += 1;
      });
      const stolen = work.steal();
      if (stolen !== undefined) seen.deque += 1;
    };
    while (performance.now() < until) {
      if (isReading) read();
      else await delay(1);
    }
    await worker.terminate();
    await exit;
    rings.abandon("producer");
    messages.abandon("producer");
    values.abandon("producer");
    work.abandon("producer");
    for (let round = 0; round < 200; round += 1) read();
    // The map takes more, whatever its growth was in the middle of.
    shared.set(1, time);
    expect(shared.get(1)).toBe(time);
    seen.map += shared.size;
    // The queue: empty, or held up by a slot that nobody will finish, which it says.
    if (records.count > 0) {
      expect(records.tryShift(() => {})).toBe(false);
      expect(records.isStalled).toBe(true);
      seen.stalled += 1;
    }
    // Blocks: at most one of the stack, and one of the pool, died with its thread.
    let pushed = 0;
    while (pile.tryPush({ id: pushed, check: pushed * 3 })) pushed += 1;
    expect(pushed).toBeGreaterThanOrEqual(7);
    blocks.reclaim(1);
    const owned = new Set<number>();
    for (let block = blocks.allocate(2); block !== undefined; block = blocks.allocate(2)) owned.add(block);
    expect(owned.size).toBeGreaterThanOrEqual(7);
    seen.lostBlocks += 16 - pushed - owned.size;
  }
  for (const structure of ["ring", "bytes", "queue", "stack", "deque", "map", "latest"] as const)
    expect([structure, seen[structure] > TIMES / 4]).toEqual([structure, true]);
}, 300_000);
