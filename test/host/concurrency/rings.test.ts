/** Rings between two threads: what goes in comes out, once and in order; each end learns what became of the other. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { abandonOnExit, attach, bytesRing, ring, space } from "../../../host/exports/lockfree.ts";
import { PAIR } from "../../support/lockfree/schemas.ts";
import { thread } from "../../support/lockfree/thread.ts";

describe("a ring of records", () => {
  test("is a bounded queue, whatever the batches", () => {
    fc.assert(
      fc.property(
        fc.constantFrom(1, 2, 8),
        fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 9 })), { maxLength: 60 }),
        (capacity, steps) => {
          const one = ring({ schema: PAIR, capacity });
          const [producer, consumer] = [one.producer(), one.consumer()];
          const model: number[] = [];
          let next = 0;
          for (const [isPush, count] of steps) {
            if (isPush) {
              const pushed = producer.pushBatch(count, (record, index) => {
                record.id = next + index;
                record.check = (next + index) * 3;
              });
              expect(pushed).toBe(Math.min(count, capacity - model.length));
              for (let index = 0; index < pushed; index += 1) model.push(next++);
            } else {
              const shifted: number[] = [];
              consumer.shiftBatch(count, ({ id, check }) => {
                expect(check).toBe(id * 3);
                shifted.push(id);
              });
              expect(shifted).toEqual(model.splice(0, count));
            }
            expect(one.count).toBe(model.length);
          }
        },
      ),
    );
  });

  test("crosses threads in order, and ends when the producer closes", async () => {
    for (const job of ["produce", "produceSync"]) {
      const one = ring({ schema: PAIR, capacity: 64 });
      const { result } = thread({ job, handle: one.handle, count: 20_000 });
      let next = 0;
      for await (const { id, check } of one.consumer()) {
        expect(id).toBe(next);
        expect(check).toBe(id * 3);
        next += 1;
      }
      expect(next).toBe(20_000);
      await result;
    }
  });

  test("a producer whose thread is gone: what it published is read, then the consumer learns of it; another may take over", async () => {
    const one = ring({ schema: PAIR, capacity: 64 });
    const { worker, exit } = thread({ job: "produceAndDie", handle: one.handle, count: 10 });
    abandonOnExit(worker, one, "producer");
    const consumer = one.consumer();
    const ids: number[] = [];
    const reading = (async () => {
      for await (const { id } of consumer) ids.push(id);
    })();
    await expect(reading).rejects.toMatchObject({
      code: "SHARED_PEER_GONE",
      context: { side: "producer" },
    });
    await exit;
    expect(ids).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const heir = one.producer();
    heir.tryPush({ id: 10, check: 30 });
    heir.close();
    for await (const { id } of consumer) ids.push(id);
    expect(ids.at(-1)).toBe(10);
  });

  test("a producer that closed and whose thread ended then: the reader ends well", async () => {
    const one = ring({ schema: PAIR, capacity: 64 });
    const { worker, exit } = thread({ job: "produce", handle: one.handle, count: 10 });
    abandonOnExit(worker, one, "producer");
    await exit;
    let next = 0;
    for await (const { id } of one.consumer()) expect(id).toBe(next++);
    expect(next).toBe(10);
  });

  test("a consumer that closed: the producer's push rejects, one that waits too", async () => {
    const one = ring({ schema: PAIR, capacity: 4 });
    const producer = one.producer();
    const { result } = thread({ job: "consumeSome", handle: one.handle, count: 6 });
    const pushing = (async () => {
      for (let id = 0; ; id += 1) await producer.push({ id, check: id * 3 });
    })();
    await expect(pushing).rejects.toMatchObject({ code: "SHARED_CLOSED" });
    expect(await result).toBe(6);
    expect(() => producer.pushSync({ id: 1, check: 3 })).toThrow(/consumer closed/);
  });

  test("an end belongs to one thread; waiting has a limit; an exception leaves the record", () => {
    const one = ring({ schema: PAIR, capacity: 2 });
    const producer = one.producer();
    expect(() => one.producer()).toThrow(/there is one producer.*abandon/);
    expect(() => attach(one.handle).producer()).toThrow(/one producer/);
    const consumer = one.consumer();
    expect(consumer.shiftSync(() => {}, 5)).toBe(false);
    producer.tryPush({ id: 1, check: 3 });
    producer.tryPush({ id: 2, check: 6 });
    expect(producer.tryPush({ id: 3, check: 9 })).toBe(false);
    expect(producer.pushSync({ id: 3, check: 9 }, 5)).toBe(false);
    const failed = new Error("read failed");
    expect(() =>
      consumer.tryShift(() => {
        throw failed;
      }),
    ).toThrow(failed);
    const ids: number[] = [];
    while (consumer.tryShift(({ id }) => ids.push(id)));
    expect(ids).toEqual([1, 2]);
    expect(() =>
      producer.tryPush(() => {
        throw failed;
      }),
    ).toThrow(failed);
    expect(one.count).toBe(0);
  });
});

describe("a ring of bytes", () => {
  test("is a queue of messages; one that does not fit now fits later", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 0, max: 56 })), { maxLength: 100 }),
        (steps) => {
          const one = bytesRing({ capacityBytes: 128 });
          const [producer, consumer] = [one.producer(), one.consumer()];
          const model: Uint8Array[] = [];
          let next = 0;
          for (const [isPush, length] of steps) {
            const message = new Uint8Array(length).fill(next);
            if (!isPush) {
              const got = consumer.next();
              expect(got === undefined ? undefined : [...got]).toEqual(
                model[0] === undefined ? undefined : [...model[0]],
              );
              model.shift();
              consumer.release();
            } else if (producer.tryPush(message)) {
              model.push(message);
              next += 1;
            } else expect(model.length).toBeGreaterThan(0);
          }
        },
      ),
    );
  });

  test("several are reserved and published, read and released together", () => {
    const one = bytesRing({ capacityBytes: 64 });
    const [producer, consumer] = [one.producer(), one.consumer()];
    producer.reserve(3)?.set([1, 2, 3]);
    producer.reserve(2)?.set([4, 5]);
    expect(consumer.next()).toBeUndefined();
    producer.publish();
    expect([consumer.next(), consumer.next()].map((bytes) => [...(bytes ?? [])])).toEqual([
      [1, 2, 3],
      [4, 5],
    ]);
    expect(one.usedBytes).toBe(32);
    consumer.release();
    expect(one.usedBytes).toBe(0);
    expect(() => producer.reserve(25)).toThrow(/longer than half/);
  });

  test("what a consumer read and did not release is read again by the next, what a producer reserved and did not publish is gone", () => {
    const one = bytesRing({ capacityBytes: 256 });
    const [producer, consumer] = [one.producer(), one.consumer()];
    producer.tryPush(Uint8Array.of(1));
    expect(consumer.next()).toEqual(Uint8Array.of(1));
    producer.reserve(7);
    one.abandon("consumer");
    one.abandon("producer");
    const [heir, reader] = [one.producer(), one.consumer()];
    heir.tryPush(Uint8Array.of(2));
    expect([reader.next(), reader.next(), reader.next()]).toEqual([
      Uint8Array.of(1),
      Uint8Array.of(2),
      undefined,
    ]);
  });

  test("what was reserved stays so while a push waits for room; a message read and not released is not read again", async () => {
    const one = bytesRing({ capacityBytes: 64 });
    const [producer, consumer] = [one.producer(), one.consumer()];
    producer.tryPush(new Uint8Array(16).fill(1));
    producer.reserve(16)?.fill(2);
    const waiting = producer.push(new Uint8Array(16).fill(3));
    await new Promise(setImmediate);
    expect(consumer.next()?.[0]).toBe(1);
    const more = consumer.ready();
    expect(await Promise.race([more, new Promise((resolve) => setTimeout(resolve, 20, "none"))])).toBe(
      "none",
    );
    consumer.release();
    await waiting;
    expect(await more).toBe(true);
    expect([consumer.next()?.[0], consumer.next()?.[0]]).toEqual([2, 3]);
  });

  test("crosses threads in order", async () => {
    const one = bytesRing({ capacityBytes: 1024 });
    const { result } = thread({ job: "bytes", handle: one.handle, count: 5000 });
    let id = 0;
    for await (const message of one.consumer()) {
      expect(message.length).toBe(id % 200);
      expect(message.every((byte) => byte === (id & 0xff))).toBe(true);
      id += 1;
    }
    expect(id).toBe(5000);
    await result;
  });
});

test("records are copied by the schema's names: views too, and nothing else of an object", () => {
  const [one, other] = [0, 1].map(() => ring({ schema: { at: "f64", arrays: "u32" }, capacity: 4 }));
  const [from, to] = [one?.consumer(), other?.producer()];
  one?.producer().tryPush({ at: 5, arrays: 6, length: 7 } as { at: number; arrays: number });
  from?.tryShift((record) => to?.tryPush(record));
  const met: unknown[] = [];
  other?.consumer().tryShift((record) => met.push(JSON.parse(JSON.stringify(record))));
  expect(met).toEqual([{ at: 5, arrays: 6 }]);
});

test("a push to somebody who reads no more tells so at once", async () => {
  const one = ring({ schema: PAIR, capacity: 4 });
  const producer = one.producer();
  one.consumer().close();
  await expect(producer.push({ id: 1, check: 3 })).rejects.toMatchObject({ code: "SHARED_CLOSED" });
  const bytes = bytesRing({ capacityBytes: 64 });
  bytes.consumer().close();
  await expect(bytes.producer().push(Uint8Array.of(1))).rejects.toMatchObject({ code: "SHARED_CLOSED" });
});

test("a space holds several, and says when it is full", () => {
  const shared = space({ bytes: 4096 });
  const first = ring({ schema: PAIR, capacity: 8 }, shared);
  const second = bytesRing({ capacityBytes: 256 }, shared);
  expect(first.handle.memory).toBe(second.handle.memory);
  expect(() => bytesRing({ capacityBytes: 65_536 }, shared)).toThrow(/4\d* are taken|does not fit/);
  first.producer().tryPush({ id: 7, check: 21 });
  expect(second.consumer().next()).toBeUndefined();
  expect(attach(first.handle).count).toBe(1);
});

test("options and handles that are none", () => {
  expect(() => ring({ schema: PAIR, capacity: 3 })).toThrow(/power of two/);
  expect(() => ring({ schema: {}, capacity: 4 })).toThrow(/1 to 64 fields/);
  expect(() => ring({ schema: { toJSON: "u8" }, capacity: 4 })).toThrow(/cannot be called "toJSON"/);
  expect(() => ring({ schema: PAIR, capacity: 2.5 })).toThrow(/whole number/);
  expect(() => ring({ schema: { x: "u24" as "u8" }, capacity: 4 })).toThrow(/"u24".*u8, i8/);
  expect(() => ring({ schema: { x: { bytes: 0 } }, capacity: 4 })).toThrow(/1 to 2\^20 bytes/);
  expect(() => bytesRing({ capacityBytes: 32 })).toThrow(/whole number from 64/);
  expect(() => attach({ kind: "ring" } as never)).toThrow(/no handle/);
  const { handle } = ring({ schema: PAIR, capacity: 4 });
  for (const wrong of [
    { kind: "tree" },
    { kind: "constructor" },
    { memory: {} },
    { module: {} },
    { at: 64 },
    { at: 130 },
  ])
    expect(() => attach({ ...handle, ...wrong } as never)).toThrow(/no handle/);
  expect(() =>
    bytesRing({ capacityBytes: 64 })
      .producer()
      .reserve(2 ** 32 + 4),
  ).toThrow(/length is a whole number/);
});
