/** What threads do in the tests of tardigrade/lockfree: a job and a handle, and an answer. */
import { parentPort, threadId, workerData } from "node:worker_threads";
import {
  attach,
  type BytesRing,
  type Deque,
  type Latest,
  type Pool,
  type Queue,
  type Ring,
  type SharedMap,
  type Stack,
} from "../../../host/exports/lockfree.ts";
import type { PAIR, WIDE } from "./schemas.ts";

type Pair = typeof PAIR;
const { job, handle, from = 0, count = 0 } = workerData;

const JOBS: Readonly<Record<string, () => unknown>> = {
  async produce() {
    const producer = attach<Ring<Pair>>(handle).producer();
    for (let id = 0; id < count; id += 1) await producer.push({ id, check: id * 3 });
    producer.close();
  },
  produceSync() {
    const producer = attach<Ring<Pair>>(handle).producer();
    for (let id = 0; id < count; id += 1) producer.pushSync({ id, check: id * 3 });
    producer.close();
  },
  /** Never gives its end back. */
  produceAndDie() {
    const producer = attach<Ring<Pair>>(handle).producer();
    for (let id = 0; id < count; id += 1) producer.tryPush({ id, check: id * 3 });
    process.exit(0);
  },
  async consumeSome() {
    let seen = 0;
    const consumer = attach<Ring<Pair>>(handle).consumer();
    while (seen < count) consumer.shiftSync(() => (seen += 1));
    consumer.close();
    return seen;
  },
  async bytes() {
    const producer = attach<BytesRing>(handle).producer();
    for (let id = 0; id < count; id += 1) await producer.push(new Uint8Array(id % 200).fill(id));
    producer.close();
  },
  async queuePush() {
    const queue = attach<Queue<Pair>>(handle);
    for (let id = from; id < from + count; id += 1) await queue.push({ id, check: id * 3 });
  },
  async queueShift() {
    const ids: number[] = [];
    for await (const { id, check } of attach<Queue<Pair>>(handle)) {
      if (check !== id * 3) throw new Error(`a torn record: ${id} ${check}`);
      ids.push(id);
    }
    return ids;
  },
  write() {
    const writer = attach<Latest<typeof WIDE>>(handle).writer();
    for (let value = 1; value <= count; value += 1) {
      writer.write({ a: value, b: value, c: value, d: value });
    }
  },
  add() {
    const map = attach<SharedMap>(handle);
    let added = 0;
    for (let key = 0; key < count; key += 1) if (map.add(key, threadId)) added += 1;
    return added;
  },
  /** Counts up under a key by compare-and-set. */
  countUp() {
    const map = attach<SharedMap>(handle);
    for (let done = 0; done < count; ) {
      const value = map.get(from) ?? 0;
      if (map.compareAndSet(from, value, value + 1)) done += 1;
    }
  },
  stack() {
    const stack = attach<Stack<Pair>>(handle);
    let balance = 0;
    for (let id = 0; id < count; id += 1) {
      if (stack.tryPush({ id, check: id * 3 })) balance += 1;
      stack.tryPop((record) => {
        if (record.check !== record.id * 3) throw new Error("a torn record");
        balance -= 1;
      });
    }
    return balance;
  },
  /** Writes its own number into each block that it has, and nobody else may. */
  blocks() {
    const pool = attach<Pool<Pair>>(handle);
    for (let round = 0; round < count; round += 1) {
      const block = pool.allocate(threadId + 1);
      if (block === undefined) continue;
      pool.view(block).id = threadId;
      if (pool.view(block).id !== threadId) throw new Error("two threads have a block");
      pool.free(block);
    }
  },
  allocateAndDie() {
    const pool = attach<Pool<Pair>>(handle);
    for (let round = 0; round < count; round += 1) pool.allocate(from);
    process.exit(0);
  },
  steal() {
    const deque = attach<Deque>(handle);
    const taken: number[] = [];
    while (true) {
      const value = deque.stealSync();
      if (value === undefined) return taken;
      taken.push(value);
    }
  },
};

parentPort?.postMessage({ result: await JOBS[job]?.() });
